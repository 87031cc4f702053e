"""Models: layers that can be compiled, trained, saved and exported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nngraph.ir import Graph, TensorType, Value
from nngraph.layers.layer import Layer
from nngraph.models.trainer import Trainer
from nngraph.ops.keras_tensor import KerasTensor, leaves, map_leaves
from nngraph.ops.trace import Trace

__all__ = ["Model"]


class Model(Trainer, Layer):
    """Layers that train together.

    ``Model(inputs, outputs)`` connects Keras tensors; a subclass with ``call`` computes what it likes.

    Args:
        inputs, outputs: Keras tensors, or lists or dicts of them.
        name: a name.
        trainable: whether its weights are trained.

    Example:
        >>> from nngraph.layers import Dense, Input
        >>> x = Input((4,)); model = Model(x, Dense(2)(x))
        >>> model.predict(np.zeros((3, 4), "float32"), verbose=0).shape
        (3, 2)
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is Model and _is_functional(args, kwargs):
            from nngraph.models.functional import Functional

            return super().__new__(Functional, *args, **kwargs)
        return super().__new__(cls, *args, **kwargs)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if _is_functional(args, kwargs):
            # A subclass that hands inputs and outputs to its base is a functional model under its own name.
            from nngraph.models.functional import Functional

            kind = type(self)
            self.__class__ = type(kind.__name__, (kind, Functional), {"__module__": kind.__module__})
            Functional.__init__(self, *args, **kwargs)  # type: ignore[arg-type]
            return
        if args or not kwargs.keys().isdisjoint({"inputs", "outputs"}):
            raise TypeError(
                f"{type(self).__name__} takes inputs= and outputs= (Keras tensors) or neither, "
                f"got {', '.join([*map(repr, args), *(f'{k}={v!r}' for k, v in kwargs.items())])}"
            )
        Layer.__init__(self, **kwargs)
        Trainer.__init__(self)

    # -- layers ----------------------------------------------------------------------------------------------------

    @property
    def layers(self) -> list[Layer]:
        """The layers directly inside."""
        return [layer for layer in self._sublayers if not _is_metric(layer)]

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return a layer by name or by position.

        Raises:
            ValueError: there is no such layer; the names are listed.
        """
        layers = self.layers
        if (name is None) == (index is None):
            raise ValueError("get_layer takes either name= or index=")
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ValueError(f"model {self.name!r} has {len(layers)} layers, index {index} does not exist")
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        raise ValueError(f"model {self.name!r} has no layer named {name!r}; it has {[layer.name for layer in layers]}")

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the outputs; subclasses write this."""
        raise NotImplementedError(
            f"{type(self).__name__} must define call(self, inputs, ...), or be given inputs= and outputs="
        )

    def build(self, input_shape: Any = None) -> None:
        """Create all weights by calling the model once on symbols of this shape."""
        if input_shape is None:
            raise ValueError(f"model {self.name!r}: build needs an input_shape, batch first, such as (None, 28, 28)")
        if not self.built and type(self).call is not Model.call:
            self.built = True
            self._make_weights(input_shape)

    def _make_weights(self, input_shape: Any) -> None:
        from nngraph.layers.layer import _tensors_of
        from nngraph.ops.keras_tensor import record_call

        record_call(self, lambda x: self.call(x), (_tensors_of(input_shape, self.compute_dtype),), {})

    # -- graphs ----------------------------------------------------------------------------------------------------

    def graph(self, training: bool = False, batch_size: int | None = None) -> Graph:
        """Return the model as a graph with its weights as constants.

        Args:
            training: as the layers behave in training (dropout active, batch statistics).
            batch_size: a fixed batch size; by default the batch stays symbolic.

        Raises:
            ValueError: the model does not know its input shape yet.
        """
        graph, trace = self._traced(training, batch_size)
        for variable, value in trace.sources.items():
            graph.make_constant(value, variable.numpy())
        return graph

    def _traced(self, training: bool, batch_size: int | None, finalized: bool = False) -> tuple[Graph, Trace]:
        """Trace the model, ``finalized`` with the weights that it has after training; variables are still inputs."""
        types, names = self._graph_inputs(batch_size)
        graph = Graph(self.name)
        entries = iter([graph.add_input(n, t) for n, t in zip(names, leaves(types), strict=True)])
        inputs = map_leaves(lambda _: next(entries), types)
        with Trace(graph) as trace:
            if finalized:
                self.optimizer.finalize_variable_values(self.trainable_variables)
            result = self(inputs, training=training)
            outputs = [x if isinstance(x, Value) else trace.constant(np.asarray(x)) for x in leaves(result)]
        names = list(result) if isinstance(result, dict) else self._output_names()
        if len(names) != len(outputs):
            names = [f"output_{k}" for k in range(len(outputs))]
        graph.set_outputs(outputs, [n if n not in {v.name for v in graph.inputs} else f"{n}_output" for n in names])
        return graph, trace

    def _graph_inputs(self, batch_size: int | None) -> tuple[Any, list[str]]:
        """Return the inputs' structure of tensor types, and their names, as last seen."""
        spec = self._seen_inputs
        if spec is None:
            raise ValueError(
                f"model {self.name!r} has not seen an input yet; call it on data or build(input_shape) it first"
            )

        def kind(tensor: KerasTensor) -> TensorType:
            first: Any = "batch" if batch_size is None else batch_size
            return tensor.type.with_shape((first, *tensor.type.shape[1:]) if tensor.ndim else ())

        structure = map_leaves(kind, spec)
        count = len(list(leaves(structure)))
        if isinstance(structure, dict):
            return structure, list(structure)
        return structure, ["input"] if count == 1 else [f"input_{k}" for k in range(count)]

    def _output_names(self) -> list[str]:
        return ["output"]

    _seen_inputs: Any = None

    def _run(self, *args: Any, **kwargs: Any) -> Any:
        if self._seen_inputs is None and args:
            first = args[0]
            if any(hasattr(x, "shape") and hasattr(x, "dtype") for x in leaves(first)):
                self._seen_inputs = map_leaves(_loose, first)
        return super()._run(*args, **kwargs)

    # -- showing, saving, exporting --------------------------------------------------------------------------------

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
    ) -> None:
        """Print a table of the layers with output shapes and numbers of parameters."""
        from nngraph.models.summary import print_summary

        print_summary(
            self,
            line_length=line_length,
            print_fn=print_fn,
            expand_nested=expand_nested,
            show_trainable=show_trainable,
            layer_range=layer_range,
        )

    exports_optimized = True
    """Whether exporting runs the passes; an imported model keeps the nodes and names of its file."""

    def export(
        self,
        filepath: str | Path,
        format: str = "onnx",
        verbose: bool | None = None,
        input_signature: Any = None,
        *,
        opset_version: int | None = None,
        optimize: bool | None = None,
        **kwargs: Any,
    ) -> None:
        """Write the model as a plain .onnx file that any runtime executes: for inference, or for training.

        ``format="onnx_training"`` writes a compiled model's training step: forward, loss, gradients, update and metrics
        in one graph, state in and out, initial values inside. Beside it goes the inference model, into which a trainer
        copies the trained weights. docs/training-anywhere.md describes both files and shows trainers.

        Args:
            filepath: where to; the file appears whole or not at all.
            format: ``"onnx"`` or ``"onnx_training"``.
            verbose: print where the file went and what is in it.
            input_signature: not needed; the inputs' own shapes are used.
            opset_version: the ai.onnx opset; default 20, or the oldest newer one that expresses the model.
            optimize: run the compiler's passes first; by default an imported model is written as it is in its file.
            batch_size: of a training step; by default any number of rows will do.
            example: of a training step, a batch ``(x, y)`` or ``(x, y, sample_weight)`` that shows dtypes and shapes;
                by default targets are what the losses expect.
            inference_path: of a training step, where the inference model goes; default ``NAME.infer.onnx`` beside
                ``NAME.onnx``.

        Raises:
            RuntimeError: a training step is wanted and the model is not compiled.
            ValueError: unknown format, the opset cannot express the model, or the step needs a fixed batch size.
        """
        from nngraph.models.saving import export_model

        export_model(
            self, filepath, format=format, verbose=verbose, opset_version=opset_version, optimize=optimize, **kwargs
        )

    def save(self, filepath: str | Path, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any) -> None:
        """Save the model as an .onnx file that also holds the layers' configuration and the optimizer's state.

        The file is the inference model that any runtime executes; ``load_model`` gives the layers back.
        """
        from nngraph.models.saving import save_model

        save_model(self, filepath, overwrite=overwrite, zipped=zipped, **kwargs)

    def save_weights(self, filepath: str | Path, overwrite: bool = True, max_shard_size: Any = None) -> None:
        """Save the weights alone."""
        from nngraph.models.saving import save_weights

        save_weights(self, filepath, overwrite=overwrite)

    def load_weights(self, filepath: str | Path, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """Load weights that :meth:`save_weights` or :meth:`save` wrote."""
        from nngraph.models.saving import load_weights

        load_weights(self, filepath, skip_mismatch=skip_mismatch, **kwargs)

    def _load_state(self, filepath: str | Path) -> None:
        """Restore weights, optimizer state and random counters from a saved model into this one."""
        from nngraph.models.saving import load_state

        load_state(self, filepath)

    def to_json(self, **kwargs: Any) -> str:
        """Return the architecture as JSON; ``model_from_json`` makes an equal model with new weights."""
        from nngraph.models.saving import model_to_json

        return model_to_json(self, **kwargs)

    def __reduce__(self) -> Any:
        """Copies and pickles go through the saved form: sessions and device memory cannot be copied."""
        from nngraph.models.saving import pickled, unpickled

        return unpickled, (pickled(self),)

    def get_config(self) -> dict[str, Any]:
        """Return the configuration from which an equal model can be made."""
        from nngraph.models.configuration import model_config

        return model_config(self)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Make a model from its configuration."""
        from nngraph.models.configuration import model_from_config

        return model_from_config(cls, config, custom_objects)


def _is_functional(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return len(args) == 2 or (len(args) == 1 and "outputs" in kwargs) or ("inputs" in kwargs and "outputs" in kwargs)


def _is_metric(x: Any) -> bool:
    return hasattr(x, "update_state")


def _loose(x: Any) -> Any:
    """Return a Keras tensor for an array with the batch left open."""
    if not (hasattr(x, "shape") and hasattr(x, "dtype")):
        return x
    if isinstance(x, (Value, KerasTensor)):
        return KerasTensor.of(x.type)
    return KerasTensor((None, *x.shape[1:]) if len(x.shape) else (), x.dtype)
