"""Functional models: layers connected by Keras tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngraph.layers import Layer
from nngraph.layers.core.input_layer import InputLayer
from nngraph.models.connections import Connections
from nngraph.models.model import Model
from nngraph.ops.keras_tensor import KerasTensor, leaves, map_leaves
from nngraph.ops.masking import set_mask
from nngraph.ops.trace import apply

__all__ = ["Functional"]


class Functional(Model):
    """A model given by its inputs and outputs; ``Model(inputs, outputs)`` makes one.

    Args:
        inputs: a Keras tensor, or a list or dict of them.
        outputs: a Keras tensor, or a list or dict of them.
        name: a name.
        trainable: whether its weights are trained.

    Raises:
        ValueError: an output does not depend on the inputs, an input appears twice, or two layers share a name.
    """

    def __init__(
        self, inputs: Any, outputs: Any, name: str | None = None, trainable: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(name=name, trainable=trainable, **kwargs)
        self._set_connections(inputs, outputs)

    def _set_connections(self, inputs: Any, outputs: Any) -> None:
        tensors = list(leaves(inputs))
        for tensor in tensors:
            if not isinstance(tensor, KerasTensor):
                raise ValueError(
                    f"inputs of model {self.name!r} must be Keras tensors from Input(...), got {type(tensor).__name__}"
                )
        if len({id(t) for t in tensors}) != len(tensors):
            raise ValueError(f"model {self.name!r}: the same tensor appears twice among its inputs")
        # Inputs that are inner tensors of another model become entrances of their own.
        self._inputs_struct = inputs
        self._outputs_struct = outputs
        self._connections = Connections(tensors, outputs, self.name)
        self._entrances = [_entrance(t) for t in tensors]
        self._layers = self._ordered_layers()
        self.built = True
        names: dict[str, Layer] = {}
        for layer in self._layers:
            if names.setdefault(layer.name, layer) is not layer:
                raise ValueError(
                    f"model {self.name!r} has two layers named {layer.name!r}; give each layer its own name="
                )
        self.supports_masking = True

    def _ordered_layers(self) -> list[Layer]:
        found: dict[Layer, None] = dict.fromkeys(self._entrances)
        for record in self._connections.records:
            if isinstance(record.operation, Layer):
                found[record.operation] = None
        return list(found)

    @property
    def layers(self) -> list[Layer]:
        """The layers, entrances first, each once."""
        return list(self._layers)

    @property
    def operations(self) -> list[Any]:
        """Layers and recorded functions in the order in which they run."""
        return [*self._entrances, *(r.operation for r in self._connections.records)]

    @property
    def inputs(self) -> list[KerasTensor]:
        """The inputs, flat."""
        return list(self._connections.inputs)

    @property
    def outputs(self) -> list[KerasTensor]:
        """The outputs, flat."""
        return [t for t in leaves(self._outputs_struct) if isinstance(t, KerasTensor)]

    @property
    def input(self) -> Any:
        """The inputs in the structure they were given in."""
        return self._inputs_struct

    @property
    def output(self) -> Any:
        """The outputs in the structure they were given in."""
        return self._outputs_struct

    @property
    def input_shape(self) -> Any:
        """Shapes of the inputs."""
        return map_leaves(lambda t: t.shape, self._inputs_struct)

    @property
    def output_shape(self) -> Any:
        """Shapes of the outputs."""
        return map_leaves(lambda t: t.shape, self._outputs_struct)

    def build(self, input_shape: Any = None) -> None:
        """A functional model is built when it is made."""
        self.built = True

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Run the layers on new inputs."""
        values = self._flat_inputs(inputs)
        for value, item in zip(values, leaves(mask), strict=False):
            set_mask(value, item)
        return self._connections.run(values)

    def _flat_inputs(self, inputs: Any) -> list[Any]:
        tensors = self._connections.inputs
        values = self._in_order(inputs)
        if len(values) != len(tensors):
            names = [t.name for t in tensors]
            raise ValueError(f"model {self.name!r} has {len(tensors)} inputs {names}, got {len(values)}")
        return [self._fit(value, tensor) for value, tensor in zip(values, tensors, strict=True)]

    def _in_order(self, inputs: Any) -> list[Any]:
        """Return the given inputs in the model's order; dicts go by the inputs' names."""
        if not isinstance(inputs, dict):
            return list(leaves(inputs))
        if isinstance(self._inputs_struct, dict):
            wanted = {id(t): key for key, t in self._inputs_struct.items()}
            keys = [wanted[id(t)] for t in self._connections.inputs]
        else:
            keys = [t.name for t in self._connections.inputs]
        missing = [k for k in keys if k not in inputs]
        if missing:
            raise ValueError(f"model {self.name!r} needs the inputs {missing}; the dict has the keys {sorted(inputs)}")
        return [inputs[k] for k in keys]

    def _fit(self, value: Any, tensor: KerasTensor) -> Any:
        """Check one input against its Keras tensor; a missing or surplus last axis of size 1 is mended, as in Keras."""
        if value is None or not hasattr(value, "shape"):
            return value
        value = _mend_last_axis(value, tensor.shape)
        shape = tuple(d if isinstance(d, int) else None for d in value.shape)
        fits = len(shape) == len(tensor.shape) and all(
            want is None or got is None or want == got for want, got in zip(tensor.shape, shape, strict=True)
        )
        if not fits:
            what = "" if len(self._connections.inputs) == 1 else f" {tensor.name!r}"
            raise ValueError(f"input{what} of model {self.name!r} must have shape {tensor.shape}, got {shape}")
        return value

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The layers inside have set the masks already."""
        return None

    def _graph_inputs(self, batch_size: int | None) -> tuple[Any, list[str]]:
        """Return the inputs' structure of tensor types, and their names."""

        def kind(tensor: KerasTensor) -> Any:
            dims = [
                batch_size if batch_size is not None and k == 0 and isinstance(d, str) else d
                for k, d in enumerate(tensor.type.shape)
            ]
            return tensor.type.with_shape(dims)

        names = [t.name for t in self._connections.inputs]
        return map_leaves(kind, self._inputs_struct), names

    def _output_names(self) -> list[str]:
        """Names of the outputs: keys of a dict, else the producing layers' names, made unique."""
        if isinstance(self._outputs_struct, dict):
            return list(self._outputs_struct)
        names: list[str] = []
        for tensor in self.outputs:
            operation = tensor.record.operation if tensor.record is not None else None
            name = getattr(operation, "name", tensor.name)
            names.append(name if name not in names else f"{name}_{len(names)}")
        return names


def _entrance(tensor: KerasTensor) -> InputLayer:
    record = tensor.record
    if record is not None and isinstance(record.operation, InputLayer):
        return record.operation
    layer = InputLayer(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name)
    return layer


def _mend_last_axis(value: Any, wanted: tuple[int | None, ...]) -> Any:
    last = np.array([-1], np.int64)
    if len(value.shape) == len(wanted) - 1 and wanted[-1] == 1:
        return apply("Unsqueeze", value, last)
    if len(value.shape) == len(wanted) + 1 and value.shape[-1] == 1:
        return apply("Squeeze", value, last)
    return value
