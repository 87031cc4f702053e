"""Sequential models: one layer after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nngraph.layers import Layer
from nngraph.layers.core.input_layer import Input, InputLayer
from nngraph.models.functional import Functional
from nngraph.models.model import Model
from nngraph.ops.keras_tensor import KerasTensor, leaves

__all__ = ["Sequential"]


class Sequential(Model):
    """A stack of layers.

    Args:
        layers: the layers, first one first; more can be added.
        trainable: whether its weights are trained.
        name: a name.

    Example:
        >>> from nngraph.layers import Dense, Input
        >>> model = Sequential([Input((4,)), Dense(3, activation="softmax")])
        >>> model.output_shape
        (None, 3)
    """

    def __init__(self, layers: Sequence[Any] | None = None, trainable: bool = True, name: str | None = None) -> None:
        super().__init__(trainable=trainable, name=name)
        self._stack: list[Layer] = []
        self._functional: Functional | None = None
        if layers is not None and not isinstance(layers, (list, tuple)):
            raise ValueError(
                f"Sequential takes a list of layers, got {type(layers).__name__}; write Sequential([layer, ...])"
            )
        for layer in layers or ():
            self.add(layer, rebuild=False)
        self._rebuild()

    def add(self, layer: Any, rebuild: bool = True, **kwargs: Any) -> None:
        """Put a layer on top.

        Raises:
            TypeError: arguments that belong to the layer, or something that is not a layer.
            ValueError: the name is taken, or the layer does not fit the output below it.
        """
        if kwargs:
            key, value = next(iter(kwargs.items()))
            raise TypeError(
                f"Sequential.add() takes only a layer; {key}={value!r} belongs to the layer itself: "
                f"model.add({type(layer).__name__}(..., {key}={value!r}))"
            )
        if (
            isinstance(layer, KerasTensor)
            and layer.record is not None
            and isinstance(layer.record.operation, InputLayer)
        ):
            layer = layer.record.operation
        if not isinstance(layer, Layer):
            raise TypeError(f"Sequential.add() takes a layer instance, got {layer!r}" + _class_hint(layer))
        if any(other.name == layer.name for other in self._stack):
            raise ValueError(
                f"model {self.name!r} already has a layer named {layer.name!r}; give the new one another name="
            )
        if isinstance(layer, InputLayer) and self._stack:
            raise ValueError(f"model {self.name!r}: Input must be the first layer")
        if not self._stack and not isinstance(layer, InputLayer):
            entrance = _entrance_of(layer)
            if entrance is not None:
                self._stack.append(entrance)
        self._stack.append(layer)
        self._forget_compiled()
        if rebuild:
            try:
                self._rebuild()
            except Exception:
                self._stack.pop()
                self._rebuild()
                raise

    def pop(self, rebuild: bool = True) -> Layer:
        """Remove and return the top layer."""
        layer = self._stack.pop()
        self._forget_compiled()
        if rebuild:
            self._rebuild()
        return layer

    def _rebuild(self) -> None:
        self._functional = None
        self.built = False
        if self._stack and isinstance(self._stack[0], InputLayer) and len(self._stack) > 1:
            self._connect(self._stack[0].output)

    def _connect(self, tensor: KerasTensor) -> None:
        x: Any = tensor
        for layer in self._stack:
            if not isinstance(layer, InputLayer):
                x = layer(x)
        self._functional = Functional(tensor, x, name=self.name)
        self.built = True
        self.supports_masking = True

    def build(self, input_shape: Any = None) -> None:
        """Create all weights for an input shape, batch first."""
        if self._functional is not None:
            return
        if not self._stack:
            raise ValueError(f"model {self.name!r} has no layers; add some before you build or call it")
        if input_shape is None:
            raise ValueError(f"model {self.name!r} does not know its input shape; begin it with Input(shape=...)")
        if input_shape and isinstance(input_shape[0], (list, tuple)):
            raise ValueError(
                f"a Sequential model has one input, got {len(input_shape)} shapes; use Model(inputs, outputs)"
            )
        self._connect(Input(batch_shape=(None, *input_shape[1:]), dtype=self._first_dtype()))

    def _first_dtype(self) -> str:
        first = self._stack[0]
        return "int32" if type(first).__name__ in ("Embedding",) else first.compute_dtype

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Run the layers in order."""
        if self._functional is not None:
            return self._functional.call(inputs, training=training, mask=mask)
        x = inputs
        for layer in self._stack:
            x = layer(x)
        return x

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The layers inside have set the masks already."""
        return None

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the entrance."""
        return [layer for layer in self._stack if not isinstance(layer, InputLayer)]

    @property
    def _sublayers(self) -> list[Layer]:
        return list(dict.fromkeys(self._stack))

    def _built_functional(self) -> Functional:
        if self._functional is None:
            raise ValueError(
                f"model {self.name!r} does not know its input shape yet; begin it with Input(shape=...), "
                "call it on data, or build(input_shape) it"
            )
        return self._functional

    @property
    def inputs(self) -> list[KerasTensor]:
        """The input, in a list."""
        return self._built_functional().inputs

    @property
    def outputs(self) -> list[KerasTensor]:
        """The output, in a list."""
        return self._built_functional().outputs

    @property
    def input(self) -> Any:
        """The input's Keras tensor."""
        return self._built_functional().input

    @property
    def output(self) -> Any:
        """The output's Keras tensor."""
        return self._built_functional().output

    @property
    def input_shape(self) -> Any:
        """Shape of the input."""
        return self._built_functional().input_shape

    @property
    def output_shape(self) -> Any:
        """Shape of the output."""
        return self._built_functional().output_shape

    def _graph_inputs(self, batch_size: int | None) -> tuple[Any, list[str]]:
        return self._built_functional()._graph_inputs(batch_size)

    def _output_names(self) -> list[str]:
        return self._built_functional()._output_names()

    def _in_order(self, inputs: Any) -> list[Any]:
        return self._functional._in_order(inputs) if self._functional is not None else list(leaves(inputs))

    def __bool__(self) -> bool:
        return True


def _class_hint(layer: Any) -> str:
    return f"; write {layer.__name__}(...)" if isinstance(layer, type) else ""


def _entrance_of(layer: Layer) -> InputLayer | None:
    """An entrance for a layer that was given ``input_shape=``, or that is itself a model with known inputs."""
    if layer._input_shape_arg is not None:
        dtype = "int32" if type(layer).__name__ == "Embedding" else layer.compute_dtype
        return InputLayer(batch_shape=layer._input_shape_arg, dtype=dtype)
    if isinstance(layer, Model) and layer.built and hasattr(layer, "inputs") and len(layer.inputs) == 1:
        return InputLayer(batch_shape=layer.inputs[0].shape, dtype=layer.inputs[0].dtype)
    return None
