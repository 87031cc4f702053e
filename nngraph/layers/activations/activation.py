"""An activation function as a layer."""

from __future__ import annotations

from typing import Any

from nngraph import activations
from nngraph.layers.arguments import config_of
from nngraph.layers.layer import Layer

__all__ = ["Activation"]


class Activation(Layer):
    """Apply an activation function.

    Args:
        activation: a name from ``nngraph.activations`` or a function.

    Raises:
        ValueError: the name is unknown.

    Example:
        >>> Activation("relu")(np.array([-1.0, 2.0])).tolist()
        [0.0, 2.0]
    """

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activations.get(activation)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """Return the activation of the inputs."""
        return self.activation(inputs)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), **config_of(self, "activation")}
