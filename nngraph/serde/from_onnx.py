"""ONNX model to graph: functions inlined, old operators upgraded, every type inferred."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import inliner

from nngraph.garbage import collection_paused
from nngraph.ir import Graph, Node, OpaqueType, TensorType, Value
from nngraph.proto import attribute_from_proto, dense_array, tensor_to_array, type_from_proto
from nngraph.schema import OPSET, has_schema, infer_types
from nngraph.serde.checking import check_model
from nngraph.serde.limits import check_sizes
from nngraph.serde.reading import Opened, open_model
from nngraph.serde.upgrade import upgrade_node

__all__ = ["check_operators", "from_proto"]


@collection_paused()
def from_proto(
    model: onnx.ModelProto | Opened,
    *,
    base_dir: str | None = None,
    types: Mapping[str, onnx.TypeProto] | None = None,
) -> Graph:
    """Return the graph of an ONNX model, brought to the one opset, with functions inlined and every type inferred.

    Names of values, nodes and sizes are kept, and so are operators of other domains, whose results have the types that
    the model declares for them.

    Args:
        model: the model, or one that :func:`nngraph.serde.reading.open_model` opened; it is not changed.
        base_dir: folder of external data files, for a model in memory.
        types: types of values that the model does not declare and ONNX cannot infer.

    Raises:
        ValueError: the model is not valid ONNX, or holds things that a graph cannot; all of them are listed.
    """
    opened = model if isinstance(model, Opened) else open_model(model, folder=base_dir or None)
    proto = opened.model
    if not isinstance(model, Opened):
        check_operators(opened)
        check_model(proto, full=False)
    if proto.functions:
        proto = inliner.inline_local_functions(proto)
    versions = {o.domain: o.version for o in proto.opset_import}
    version = versions.pop("", versions.pop("ai.onnx", OPSET))
    if version > OPSET:
        raise ValueError(
            f"{opened.name} uses ai.onnx opset {version}; the newest supported is {OPSET}. Export it with that"
        )
    reader = _Reader(opened, proto, version, types or {})
    graph = reader.graph(proto.graph, None, {}, ())
    if reader.problems:
        raise ValueError(_listed(opened.name, version, reader.problems))
    check_sizes(graph)
    graph.domains.update(versions)
    graph.metadata.update((entry.key, entry.value) for entry in proto.metadata_props)
    return graph


def check_operators(opened: Opened) -> None:
    """Refuse operators that the model's opset does not have, all of them at once; ONNX's checker names only the first.

    Raises:
        ValueError: there are such operators.
    """
    version = next((o.version for o in opened.model.opset_import if o.domain in ("", "ai.onnx")), OPSET)
    problems: dict[str, list[str]] = {}
    exists = functools.cache(onnx.defs.has)
    for node in _all_nodes(opened.model.graph):
        if node.domain in ("", "ai.onnx") and not exists(node.op_type, version, ""):
            what = f"operator {node.op_type!r} does not exist in this opset; operators of your own need a domain"
            problems.setdefault(what, []).append(node.name or "".join(node.output[:1]))
    if problems:
        raise ValueError(_listed(opened.name, version, problems))


def _all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _all_nodes(attribute.g)


def _listed(name: str, version: int, problems: Mapping[str, list[str]]) -> str:
    lines = [f"{name} (opset {version}) holds {len(problems)} thing(s) that nngraph cannot import:"]
    for what, nodes in problems.items():
        more = f" and {len(nodes) - 3} more" if len(nodes) > 3 else ""
        lines.append(f"  {what} (node {', '.join(map(repr, nodes[:3]))}{more})")
    return "\n".join(lines)


class _Reader:
    """Reads the graphs of one model; what cannot be read is noted, and reading goes on to find the rest.

    To :func:`upgrade_node` it is what is known of a node's inputs.
    """

    def __init__(
        self, opened: Opened, model: onnx.ModelProto, version: int, told: Mapping[str, onnx.TypeProto]
    ) -> None:
        self.arrays = opened.arrays
        self.stored = opened.stored
        self.version = version
        self.told = told
        self.problems: dict[str, list[str]] = {}
        self.proto = model.graph
        self.scope: dict[str, Value] = {}

    @functools.cached_property
    def names(self) -> set[str]:
        """Every name of a value; only few models need a fresh one."""
        return _all_names(self.proto)

    @functools.cached_property
    def dims(self) -> set[str]:
        """Every name of a size."""
        return _all_dims(self.proto)

    # -- what an upgrade may ask ----------------------------------------------------------------------------------

    def type_of(self, name: str) -> TensorType | None:
        """Return the type of a value, ``None`` where it is no tensor of known rank."""
        value = self.scope.get(name)
        return None if value is None or isinstance(value.type, OpaqueType) else value.type

    def constant(self, name: str) -> np.ndarray[Any, Any] | None:
        """Return the array of a constant, ``None`` for what is computed."""
        value = self.scope.get(name)
        return None if value is None else value.data

    def fresh(self, hint: str) -> str:
        """Return a name that nothing in the model has."""
        name, k = hint, 0
        while name in self.names:
            k += 1
            name = f"{hint}_{k}"
        self.names.add(name)
        return name

    # -- graphs ---------------------------------------------------------------------------------------------------

    def graph(
        self,
        proto: onnx.GraphProto,
        parent: Graph | None,
        outer: Mapping[str, Value],
        formal: Sequence[TensorType | None],
    ) -> Graph:
        """Read a graph; ``formal`` are the types of a body's inputs as far as its node tells them."""
        graph = Graph(proto.name or "graph", parent)
        before, self.scope = self.scope, dict(outer)
        constants = self.constants(proto, parent is None)
        for k, entry in enumerate(proto.input):
            if entry.name in constants:
                continue
            type = type_from_proto(entry.type, what=f"input {entry.name!r}")
            told = formal[k] if k < len(formal) else None
            if isinstance(type, OpaqueType) and told is not None:
                type = told.with_shape("?" for _ in told.shape)
            self.scope[entry.name] = graph.add_input(entry.name, self.named(type, graph))
        for name, array in constants.items():
            self.scope[name] = graph.add_constant(array, name)
        declared = {**{e.name: e.type for e in (*proto.value_info, *proto.output)}, **self.told}
        for entry in proto.node:
            for node in self.upgraded(entry):
                self.node(node, graph, declared)
        outputs = []
        for entry in proto.output:
            value = self.scope[entry.name]
            if value.graph is not graph:
                value = graph.append(Node("Identity", [value], {}), [value.type]).output
            outputs.append(value)
        graph.set_outputs(outputs, [o.name for o in proto.output])
        self.scope = before
        return graph

    def constants(self, proto: onnx.GraphProto, outermost: bool) -> dict[str, np.ndarray[Any, Any]]:
        found = {t.name: t for t in proto.initializer}
        names = self.stored if outermost else list(found)
        arrays = {n: self.arrays[n] if n not in found else tensor_to_array(found[n]) for n in names}
        arrays.update((s.values.name, dense_array(s)) for s in proto.sparse_initializer)
        return arrays

    def named(self, type: TensorType, graph: Graph) -> TensorType:
        return type.with_shape(self.new_dim(graph) if d == "?" else d for d in type.shape)

    def new_dim(self, graph: Graph) -> str:
        name = graph.unique_name("dim")
        while name in self.dims:
            name = graph.unique_name("dim")
        return name

    # -- nodes ----------------------------------------------------------------------------------------------------

    def upgraded(self, proto: onnx.NodeProto) -> list[onnx.NodeProto]:
        if proto.domain not in ("", "ai.onnx"):
            return [proto]
        if proto.op_type == "Range":
            return self.with_scalars(proto)
        if self.version == OPSET:
            return [proto]
        try:
            return upgrade_node(proto, self.version, self)
        except ValueError as error:
            self.note(str(error), proto)
            return [proto]

    def with_scalars(self, proto: onnx.NodeProto) -> list[onnx.NodeProto]:
        """Make scalars of a range's limits: some files give vectors of one number, which runtimes often let pass."""
        nodes, new = [], onnx.NodeProto()
        new.CopyFrom(proto)
        for k, name in enumerate(proto.input):
            type = self.type_of(name)
            if type is not None and type.rank:
                new.input[k] = self.fresh(f"{name}_scalar")
                nodes.append(onnx.helper.make_node("Squeeze", [name], [new.input[k]]))
        return [*nodes, new] if nodes else [proto]

    def note(self, what: str, proto: onnx.NodeProto) -> None:
        self.problems.setdefault(what, []).append(proto.name or (proto.output[0] if proto.output else proto.op_type))

    def node(self, proto: onnx.NodeProto, graph: Graph, declared: Mapping[str, onnx.TypeProto]) -> None:
        try:
            self.read_node(proto, graph, declared)
        except ValueError as error:
            self.note(str(error), proto)
            for name in proto.output:
                if name and name not in self.scope:
                    self.scope[name] = graph.add_input(name, OpaqueType.named())  # so that the rest can be read

    def read_node(self, proto: onnx.NodeProto, graph: Graph, declared: Mapping[str, onnx.TypeProto]) -> None:
        # Every access to a protobuf makes a new object, so nothing is asked twice.
        op, names, scope = proto.op_type, list(proto.output), self.scope
        domain = "" if proto.domain == "ai.onnx" else proto.domain
        inputs: list[Value | None] = []
        missing = []
        for name in proto.input:
            inputs.append(scope.get(name) if name else None)
            if name and inputs[-1] is None:
                missing.append(name)
        if missing:
            raise ValueError(f"{op} uses {missing}, which nothing defines")
        formal = _formal_types(op if not domain else "", inputs, proto)
        attributes: dict[str, Any] = {
            a.name: attribute_from_proto(a, domain, lambda g: self.graph(g, graph, scope, formal))
            for a in proto.attribute
        }
        if op == "Constant" and domain == "":
            scope[names[0]] = graph.add_constant(_constant(attributes), names[0])
            return
        if not domain and not has_schema(op):
            raise ValueError(f"operator {op!r} is not known to onnx {onnx.__version__}")
        while inputs and inputs[-1] is None:
            inputs.pop()
        node = Node(op, inputs, attributes, domain=domain, name=proto.name or names[0])
        types = self.types(node, names, graph, declared)
        given = [n or f"{node.name}.{k}" for k, n in enumerate(names)]
        for name, output in zip(names, graph.append(node, types, given).outputs, strict=True):
            if name:
                scope[name] = output

    def types(
        self, node: Node, names: Sequence[str], graph: Graph, declared: Mapping[str, onnx.TypeProto]
    ) -> list[TensorType]:
        node.outputs = tuple([Value(n, _UNKNOWN, graph) for n in names])
        try:
            inferred = infer_types(node)
        finally:
            node.outputs = ()
        if len(inferred) < len(names):
            raise ValueError(f"{node.op_id} gives {len(inferred)} outputs, the node has {len(names)}")
        types = []
        for name, type in zip(names, inferred, strict=False):
            if name in declared:
                type = _joined(type, type_from_proto(declared[name], what=name))
            types.append(self.named(type, graph) if "?" in type.shape else type)
        return types


_UNKNOWN = OpaqueType.named()


def _joined(inferred: TensorType, declared: TensorType) -> TensorType:
    """Return what inference found, completed by what the model declares."""
    if isinstance(inferred, OpaqueType):
        known = isinstance(declared, OpaqueType) and not declared.encoded
        return inferred if known else declared
    if isinstance(declared, OpaqueType) or declared.rank != inferred.rank or declared.dtype != inferred.dtype:
        return inferred
    return inferred.with_shape(
        b if a == "?" or (isinstance(a, str) and isinstance(b, int)) else a
        for a, b in zip(inferred.shape, declared.shape, strict=True)
    )


def _formal_types(op: str, inputs: Sequence[Value | None], proto: onnx.NodeProto) -> list[TensorType | None]:
    """Return the types of the inputs of a loop's body, as far as the loop's inputs tell them."""
    if op not in ("Loop", "Scan"):
        return []
    types = [None if v is None else v.type for v in inputs]
    if op == "Loop":
        return [TensorType("int64", ()), TensorType("bool", ()), *types[2:]]
    scanned = next((a.i for a in proto.attribute if a.name == "num_scan_inputs"), 0)
    states = len(types) - scanned
    return [*types[:states], *(None if t is None or not t.rank else _without_axis(t) for t in types[states:])]


def _without_axis(type: TensorType) -> TensorType:
    return type.with_shape("?" for _ in type.shape[1:])


def _all_names(graph: onnx.GraphProto) -> set[str]:
    names = {v.name for v in (*graph.input, *graph.initializer)}
    for node in graph.node:
        names.update(node.output)
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                names |= _all_names(attribute.g)
    return names


def _all_dims(graph: onnx.GraphProto) -> set[str]:
    entries = (*graph.input, *graph.output, *graph.value_info)
    return {d.dim_param for e in entries for d in e.type.tensor_type.shape.dim if d.dim_param}


def _constant(attributes: dict[str, Any]) -> np.ndarray[Any, Any]:
    (key, value), *_ = attributes.items()
    if key in ("value", "sparse_value"):
        return np.asarray(value)
    dtypes: dict[str, str] = {
        "value_float": "float32",
        "value_floats": "float32",
        "value_int": "int64",
        "value_ints": "int64",
    }
    return np.asarray(value, dtype=dtypes.get(key, object))
