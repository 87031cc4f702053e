"""The base of layers that hold one other layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nngraph.layers.arguments import layer_name
from nngraph.layers.layer import Layer
from nngraph.saving.registry import deserialize_keras_object, serialize_keras_object

__all__ = ["Wrapper"]


class Wrapper(Layer):
    """A layer around another, which it builds and saves; a subclass says in ``call`` what it does with it.

    Args:
        layer: the layer inside.

    Raises:
        ValueError: ``layer`` is no layer.

    Example:
        >>> class Twice(Wrapper):
        ...     def call(self, inputs):
        ...         return self.layer(self.layer(inputs))
        >>> from nngraph.layers import Dense
        >>> Twice(Dense(3))(np.ones((2, 3))).shape
        (2, 3)
    """

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        if not isinstance(layer, Layer):
            raise ValueError(f"{layer_name(self)} takes a layer, got {layer!r}")
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape: Any = None) -> None:
        """Build the layer inside."""
        if not self.layer.built:
            self.layer.path = f"{self.path}/{self.layer.name}"
            self.layer.build(input_shape)
            self.layer._build_shapes = input_shape
            self.layer.built = True
        self.built = True

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, the layer described among them."""
        return {**super().get_config(), "layer": serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        """Make the layer that ``config`` describes."""
        inner = deserialize_keras_object(config["layer"], custom_objects=custom_objects)
        return cls(**{**config, "layer": inner})
