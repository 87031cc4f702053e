"""Any .onnx file as a model: called, differentiated, fine-tuned and exported like one that was defined here."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from nngraph import ops, random
from nngraph.errors import unknown_name
from nngraph.ir import Graph, Node, OpaqueType, TensorType, Value, is_float, numpy_dtype
from nngraph.layers.layer import Layer
from nngraph.models.model import Model
from nngraph.models.summary import print_node_summary
from nngraph.naming import auto_name
from nngraph.ops import raw
from nngraph.ops.keras_tensor import KerasTensor, leaves
from nngraph.ops.trace import Trace, current_trace, inline
from nngraph.ops.variable import Variable
from nngraph.runtime.foreign import foreign_types
from nngraph.runtime.isolation import probe
from nngraph.serde import check_model, check_operators, from_proto, to_proto
from nngraph.serde.reading import Source, give_shapes, open_model
from nngraph.transforms import function
from passes.dce import Dce
from passes.fold import Fold

__all__ = ["ONNXModel", "load_onnx"]

Trainable = bool | str | Sequence[str]


def load_onnx(
    source: Source,
    trainable: Trainable = True,
    outputs: Sequence[str] | str | None = None,
    *,
    input_shapes: Mapping[str, Sequence[int | None]] | None = None,
    untrusted: bool = False,
    name: str | None = None,
) -> ONNXModel:
    """Return any ONNX model as a :class:`nngraph.Model`, to predict with, to fine-tune, or to build upon.

    Operators of opset 7 and later are upgraded, functions inlined, branches and loops kept. Weights keep the names that
    they have in the file; they are mapped from it and read when they are first needed. In training,
    BatchNormalization and Dropout do what they do in a network that is trained, except where they are frozen.

    Args:
        source: a path, the bytes of a file, or an ``onnx.ModelProto``.
        trainable: which weights training changes: all, none, or those whose names match one of these patterns
            (``"layer4.*"``; ``*``, ``?`` and ``[...]`` as in file names).
        outputs: names of values inside the model at which to cut it, such as the features before its last layer.
        input_shapes: for inputs by name other shapes than the file's, ``None`` where a size may be anything: a file
            that fixes the batch size to 1 becomes usable for any.
        untrusted: let a child process check the model and build a session from it first, so that a file that crashes
            onnx or the runtime is an error like any other. What a file asks for is limited in any case.
        name: the model's name; default is the graph's.

    Returns:
        A built model with ``summary``, ``compile``, ``fit``, ``evaluate``, ``predict`` and ``export``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no valid ONNX, holds things that cannot be imported (all are listed), or an argument
            names what the model has not.

    Example:
        >>> import tempfile, nngraph
        >>> net = nngraph.Sequential([nngraph.Input((4,)), nngraph.layers.Dense(2, use_bias=False)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     net.export(f"{folder}/net.onnx", verbose=False)
        ...     model = load_onnx(f"{folder}/net.onnx")
        >>> model.predict(np.zeros((3, 4), "float32"), verbose=0).tolist()
        [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
        >>> [w.shape for w in model.weights]
        [(4, 2)]
    """
    opened = open_model(source)
    if untrusted:
        probe(source if isinstance(source, (str, os.PathLike, bytes)) else source.SerializeToString(), name=opened.name)
    if input_shapes:
        give_shapes(opened, {name: _named_dims(name, shape) for name, shape in input_shapes.items()})
    check_operators(opened)
    check_model(opened.model, name=opened.name)
    graph = from_proto(opened, types=foreign_types(opened.model))
    if any(isinstance(o.type, OpaqueType) for n in graph.all_nodes() for o in n.outputs):
        _take_known_branches(graph)
    if outputs is not None:
        _cut(graph, [outputs] if isinstance(outputs, str) else list(outputs))
    if input_shapes:
        graph = _reshaped(graph, input_shapes)
    stored = set(opened.stored)
    weights = _find_weights(graph, stored)
    chosen = _chosen([v.name for v in weights], trainable)
    return ONNXModel(graph, weights, chosen, name=name or _model_name(source, graph))


def _model_name(source: Source, graph: Graph) -> str:
    if isinstance(source, (str, os.PathLike)):
        return Path(source).stem
    return graph.name


class ONNXModel(Model):
    """A model whose computation is an imported graph; :func:`load_onnx` makes one.

    Args:
        graph: the graph.
        weights: those of its constants that are weights.
        chosen: names of the weights that training changes.
        name: the model's name.

    Attributes:
        input_names: names of the inputs, in order; a dict with these keys may be given instead of a list.
        output_names: names of the outputs, in order.
    """

    def __init__(
        self, graph: Graph, weights: Sequence[Value], chosen: Sequence[str] | set[str], name: str | None = None
    ) -> None:
        super().__init__(name=name or auto_name("onnx_model"))
        self._graph = graph
        self._slots: dict[Value, Variable] = {}
        for value in weights:
            statistics = all(_is_statistic(node, k) for node, k in value.uses)
            variable = Variable(value.data, name=value.name, trainable=value.name in chosen and not statistics)
            variable._added_trainable = not statistics  # type: ignore[attr-defined]
            self._slots[value] = variable
            self._own_variables.append(variable)
        Layer.structure_version += 1
        self._seeds = random.SeedGenerator() if any(n.op == "Dropout" for n in graph.all_nodes()) else None
        self._symbols: tuple[list[KerasTensor], Any] | None = None
        self._eager = function(self._compute)
        self.built = True

    # -- what it looks like ---------------------------------------------------------------------------------------

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs, in the file's order."""
        return [v.name for v in self._graph.inputs]

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs, in the file's order."""
        return list(self._graph.output_names)

    @property
    def inputs(self) -> list[KerasTensor]:
        """Keras tensors for the inputs; with :attr:`outputs` a head can be put on top of the model."""
        return list(self._connected()[0])

    @property
    def outputs(self) -> list[KerasTensor]:
        """Keras tensors for the outputs."""
        return list(leaves(self._connected()[1]))

    @property
    def input(self) -> Any:
        """The Keras tensor of the only input, or a list of them."""
        return _single(self._connected()[0])

    @property
    def output(self) -> Any:
        """The Keras tensor of the only output, or a list of them."""
        return self._connected()[1]

    @property
    def input_shape(self) -> Any:
        """Shape of the only input, or a list of shapes; ``None`` where a size may be anything."""
        return _single([_sizes(v.type) for v in self._graph.inputs])

    @property
    def output_shape(self) -> Any:
        """Shape of the only output, or a list of shapes."""
        return _single([_sizes(v.type) for v in self._graph.outputs])

    def _connected(self) -> tuple[list[KerasTensor], Any]:
        if self._symbols is None:
            from nngraph.layers import Input

            self._require_tensors()
            tensors = [Input(batch_shape=_sizes(v.type), dtype=v.dtype, name=v.name) for v in self._graph.inputs]
            self._symbols = tensors, self(_single(tensors))
        return self._symbols

    def _require_tensors(self) -> None:
        for what, values in (("input", self._graph.inputs), ("output", self._graph.outputs)):
            for value in values:
                if isinstance(value.type, OpaqueType):
                    remedy = "give its shape with input_shapes=" if what == "input" else "cut the model with outputs="
                    raise ValueError(
                        f"{what} {value.name!r} of model {self.name!r} is {value.type}, not a tensor of known rank; "
                        f"{remedy} (the model can still be exported)"
                    )

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
    ) -> None:
        """Print a table of the nodes that have weights, with output shapes and numbers of parameters."""
        print_node_summary(
            self,
            self._graph,
            self._slots,
            line_length=line_length,
            print_fn=print_fn,
            show_trainable=show_trainable,
        )

    # -- what it computes -----------------------------------------------------------------------------------------

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Return the graph's outputs for tensors or arrays: the only one, or a list of them."""
        self._require_tensors()
        values = self._in_order(inputs)
        if current_trace() is None:
            return self._eager(values, bool(training))
        return self._compute(values, bool(training))

    def _compute(self, values: Sequence[Any], training: bool) -> Any:
        trace = current_trace()
        assert trace is not None
        variables = {slot: trace.read(variable) for slot, variable in self._slots.items()}
        others = {v: trace.graph.add_constant(v.data, v.name) for v in self._graph.constants if v not in variables}  # type: ignore[arg-type]
        try:
            found = inline(self._graph, values, {**others, **variables}, self._training_form if training else None)
        except ValueError as error:
            raise ValueError(f"model {self.name!r} does not accept these inputs: {error}{self._remedy()}") from None
        return _single(found)

    def _remedy(self) -> str:
        fixed = {v.name: (None, *_sizes(v.type)[1:]) for v in self._graph.inputs if v.ndim and v.type.is_static}
        return f" (load_onnx(..., input_shapes={fixed}) leaves the first size open)" if fixed else ""

    def _in_order(self, inputs: Any) -> list[Any]:
        names = self.input_names
        if isinstance(inputs, dict):
            missing = [n for n in names if n not in inputs]
            if missing:
                raise ValueError(f"model {self.name!r} needs the inputs {missing}; the dict has {sorted(inputs)}")
            return [inputs[n] for n in names]
        values = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        if len(values) != len(names):
            raise ValueError(f"model {self.name!r} has {len(names)} inputs {names}, got {len(values)}")
        return values

    def _training_form(self, node: Node, inputs: Sequence[Value | None]) -> Sequence[Any] | None:
        """Return what a node computes while training, or ``None`` where that is the same."""
        if node.op == "BatchNormalization" and not node.attributes.get("training_mode"):
            return self._batch_normalization(node, inputs)
        if node.op == "Dropout":
            return self._dropout(node, inputs)
        return None

    def _batch_normalization(self, node: Node, inputs: Sequence[Value | None]) -> Sequence[Any] | None:
        scale, bias, *statistics = (None if v is None else self._slots.get(v) for v in node.inputs[1:])
        learns = self.trainable and any(v is not None and v.trainable for v in (scale, bias))
        if not learns or any(v is None for v in statistics):
            return None
        momentum = float(node.attributes.get("momentum", 0.9))
        y, *found = ops.batch_normalization_training(
            inputs[0], 1, inputs[2], inputs[1], float(node.attributes.get("epsilon", 1e-5))
        )
        for variable, value in zip(statistics, found, strict=True):
            assert variable is not None
            new = ops.cast(ops.stop_gradient(value), variable.dtype)
            variable.assign(ops.add(ops.multiply(variable, momentum), ops.multiply(new, 1.0 - momentum)))
        return [y]

    def _dropout(self, node: Node, inputs: Sequence[Value | None]) -> Sequence[Any] | None:
        ratio = node.inputs[1] if len(node.inputs) > 1 else None
        rate = 0.5 if ratio is None else None if ratio.data is None else float(ratio.data.reshape(()))
        if not self.trainable or rate is None:
            return None
        x = inputs[0]
        assert x is not None
        if len(node.outputs) == 1 or not node.outputs[1].uses:
            return [random.dropout(x, rate, seed=self._seeds), None]
        kept = ops.greater_equal(random.uniform(ops.shape(x), seed=self._seeds), rate)
        scaled = ops.multiply(x, ops.cast(ops.divide(1.0, 1.0 - rate), x.dtype))
        return [ops.where(kept, scaled, raw.Sub(scaled, scaled)), kept]

    # -- graphs and files -----------------------------------------------------------------------------------------

    def _graph_inputs(self, batch_size: int | None) -> tuple[Any, list[str]]:
        def sized(type: TensorType) -> TensorType:
            if batch_size is None or not type.rank or isinstance(type.shape[0], int):
                return type
            return type.with_shape((batch_size, *type.shape[1:]))

        types = [sized(v.type) for v in self._graph.inputs]
        return (types[0] if len(types) == 1 else types), self.input_names

    def _output_names(self) -> list[str]:
        return self.output_names

    def graph(self, training: bool = False, batch_size: int | None = None) -> Graph:
        """Return the model as a graph with its weights as constants; for inference it is the imported one."""
        if training or batch_size is not None:
            return super().graph(training, batch_size)
        graph, mapping = self._graph.clone_with_map()
        for slot, variable in self._slots.items():
            mapping[slot].data = variable.cell.snapshot()
        return graph

    exports_optimized = False

    def get_config(self) -> dict[str, Any]:
        """Return the graph without its weights, which are saved beside it."""
        graph, mapping = self._graph.clone_with_map()
        for slot in self._slots:
            value = mapping[slot]
            del graph.constants[value]
            value.data = None
            graph.inputs.append(value)
        return {
            "name": self.name,
            "graph": base64.b64encode(to_proto(graph).SerializeToString(deterministic=True)).decode(),
            "weights": [v.name for v in self._slots],
            "trainable": [v.name for v in self._slots.values() if v.trainable],
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> ONNXModel:
        """Make a model from its configuration; its weights are zeros until they are loaded."""
        opened = open_model(base64.b64decode(config["graph"]))
        check_model(opened.model, name="the graph of the configuration", full=False)
        graph = from_proto(opened)
        inputs = {v.name: v for v in graph.inputs}
        weights = [inputs[n] for n in config["weights"]]
        for value in weights:
            zeros = np.zeros(tuple(int(d) for d in value.shape), numpy_dtype(value.dtype))
            graph.make_constant(value, zeros)
        return cls(graph, weights, set(config["trainable"]), name=config["name"])


def _single(items: list[Any]) -> Any:
    return items[0] if len(items) == 1 else items


def _sizes(type: TensorType) -> tuple[int | None, ...]:
    return tuple(d if isinstance(d, int) else None for d in type.shape)


# -- which constants are weights ------------------------------------------------------------------------------------

_STATISTICS = {"BatchNormalization": (3, 4)}

_SETTINGS = {
    # Inputs that say how an operator works, although a gradient for them exists.
    "Clip": (1, 2),
    "Dropout": (1, 2),
    "GRU": (5,),
    "LSTM": (5, 6),
    "OneHot": (2,),
    "Pad": (2,),
    "Pow": (1,),
    "QuantizeLinear": (1, 2),
    "DequantizeLinear": (1, 2),
    "RNN": (5,),
    "Range": (0, 1, 2),
    "Resize": (1, 2, 3),
}

_PARAMETERS = {
    # Inputs that nobody computes: a constant that fills them is a weight even where the file makes it by an operator.
    "BatchNormalization": (1, 2, 3, 4),
    "Conv": (1, 2),
    "ConvTranspose": (1, 2),
    "GRU": (1, 2, 3),
    "Gemm": (1, 2),
    "InstanceNormalization": (1, 2),
    "LSTM": (1, 2, 3),
    "LayerNormalization": (1, 2),
    "MatMul": (1,),
    "RNN": (1, 2, 3),
}

_MASKING = ("Add", "Mul", "Sub", "Where")

_MOST_FILLED = 2 << 30
"""Bytes of weights that come from a file without being in it; a file of 100 bytes may ask for any number."""


def _is_statistic(node: Node, position: int) -> bool:
    return not node.domain and position in _STATISTICS.get(node.op, ())


def _find_weights(graph: Graph, stored: set[str]) -> list[Value]:
    """Return the constants that are weights or moving statistics: floating arrays of the file, settings left out."""
    _store_filled(graph, stored)
    return [v for v in graph.constants if v.name in stored and is_float(v.dtype) and v.ndim and _is_weight(v)]


def _is_weight(value: Value) -> bool:
    uses = [(node, k) for node, k in value.uses if k not in _SETTINGS.get(node.op, ()) or node.domain]
    if not uses:
        return False
    return not (value.ndim >= 2 and all(node.op in _MASKING for node, _ in uses) and _is_mask(value))


def _is_mask(value: Value) -> bool:
    """Whether an array that is added or multiplied only lets entries pass or not."""
    assert value.data is not None
    zeros, ones, shut = value.data == 0, value.data == 1, value.data <= -1e4
    # All zeros or all ones is how weights begin.
    return bool(np.all(zeros | ones | shut) and (shut.any() or (zeros.any() and ones.any())))


def _store_filled(graph: Graph, stored: set[str]) -> None:
    """Store weights that the file makes with ConstantOfShape as arrays, until they would take too much memory."""
    budget = _MOST_FILLED
    for node in graph:
        shape = node.inputs[0] if node.op == "ConstantOfShape" and not node.domain else None
        if shape is None or shape.data is None or not is_float(node.output.dtype):
            continue
        if not node.output.uses or not all(k in _PARAMETERS.get(user.op, ()) for user, k in node.output.uses):
            continue
        fill = np.asarray(node.attributes.get("value", np.zeros(1, np.float32)))
        value, name = node.output, node.output.name
        dims = tuple(int(d) for d in shape.data)
        budget -= prod(dims) * fill.itemsize
        if budget < 0:
            return
        array = np.full(dims, fill.reshape(-1)[0], fill.dtype)
        array.flags.writeable = False
        constant = graph.add_constant(array, name)
        value.replace_uses(constant)
        graph.erase(node)
        value.name, constant.name = constant.name, name
        stored.add(name)


def _chosen(names: Sequence[str], trainable: Trainable) -> set[str]:
    """Return the names that ``trainable`` selects."""
    if isinstance(trainable, bool):
        return set(names) if trainable else set()
    chosen: set[str] = set()
    for pattern in [trainable] if isinstance(trainable, str) else trainable:
        if not isinstance(pattern, str):
            raise ValueError(f"trainable is True, False, or patterns of weight names such as 'fc.*'; got {trainable!r}")
        found = {n for n in names if fnmatchcase(n, pattern)}
        if not found:
            raise unknown_name("weight", pattern, names)
        chosen |= found
    return chosen


def _take_known_branches(graph: Graph) -> None:
    """Leave out branches that are never taken: where two differ in rank, nothing is known of what comes after them."""
    weights = [v for v in graph.constants if is_float(v.dtype) and v.ndim]
    arrays = [v.data for v in weights]
    for value in weights:  # they must not be computed with
        value.data = None
        del graph.constants[value]
    Fold().run(graph)
    for value, array in zip(weights, arrays, strict=True):
        value.data = array
        graph.constants[value] = None


# -- other outputs, other shapes ------------------------------------------------------------------------------------


def _cut(graph: Graph, names: Sequence[str]) -> None:
    """Make inner values the outputs, and remove what nothing needs any more."""
    known = {v.name: v for v in graph.values()} | dict(zip(graph.output_names, graph.outputs, strict=True))
    for name in names:
        if name not in known:
            raise unknown_name("value", name, known)
    graph.set_outputs([known[n] for n in names], names)
    Dce().run(graph)


def _named_dims(name: str, shape: Sequence[int | None]) -> list[int | str]:
    return [("batch" if k == 0 else f"{name}_dim_{k}") if d is None else d for k, d in enumerate(shape)]


def _reshaped(graph: Graph, shapes: Mapping[str, Sequence[int | None]]) -> Graph:
    """Return the graph for inputs of other shapes; sizes of ``None`` may be anything at run time."""
    inputs = {v.name: v for v in graph.inputs}
    types = {v.name: v.type for v in graph.inputs}
    for name, shape in shapes.items():
        if name not in inputs:
            raise unknown_name("input", name, inputs)
        old = inputs[name].type
        if isinstance(old, OpaqueType):
            raise ValueError(f"input {name!r} is {old}; its element type must be known to give it a shape")
        if len(shape) != old.rank:
            raise ValueError(f"input_shapes: input {name!r} has {old.rank} dimensions, got {tuple(shape)}")
        types[name] = old.with_shape(_named_dims(name, shape))
    _free_batch(graph, [v for v in graph.inputs if types[v.name] != v.type])
    return _with_types(graph, types)


def _free_batch(graph: Graph, changed: Sequence[Value]) -> None:
    """Let reshapes keep the first size of what they get, where they now repeat the fixed batch size of the file."""
    batches = {v.shape[0] for v in changed if v.ndim}
    for node in graph.all_nodes():
        target = node.inputs[1] if node.op == "Reshape" and not node.domain else None
        source = node.inputs[0] if node.inputs else None
        if target is None or target.data is None or source is None or not source.ndim or not target.data.size:
            continue
        first = int(target.data[0])
        if first in batches and source.shape[0] == first and not node.attributes.get("allowzero"):
            data = target.data.copy()
            data[0] = 0
            if list(data).count(-1) == 0:
                rest = [k for k, d in enumerate(data) if k and d == 0]
                data[rest] = [source.shape[k] for k in rest]
            node.set_input(1, target.graph.add_constant(data, f"{target.name}_any_batch"))


def _with_types(graph: Graph, types: Mapping[str, TensorType]) -> Graph:
    new = Graph(graph.name)
    with Trace(new):
        inputs = [new.add_input(v.name, types[v.name]) for v in graph.inputs]
        constants = {v: new.add_constant(v.data, v.name) for v in graph.constants}  # type: ignore[arg-type]
        outputs = inline(graph, inputs, constants)
    new.set_outputs(outputs, graph.output_names)
    new.metadata.update(graph.metadata)
    new.domains.update(graph.domains)
    return new
