"""A penalty on what flows through."""

from __future__ import annotations

from typing import Any

from nngraph import regularizers
from nngraph.layers.arguments import config_of
from nngraph.layers.layer import Layer

__all__ = ["ActivityRegularization"]


class ActivityRegularization(Layer):
    """Return the input as it is, and add ``l1 * sum(abs(x)) + l2 * sum(x**2)``, divided by the batch size, to the loss.

    Args:
        l1, l2: weights of the two sums.

    Example:
        >>> layer = ActivityRegularization(l2=0.5)
        >>> _ = layer(np.array([[2.0], [0.0]]))
        >>> [float(loss) for loss in layer.losses]
        [1.0]
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(activity_regularizer=regularizers.L1L2(l1=l1, l2=l2), **kwargs)
        self.l1 = l1
        self.l2 = l2
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """Return the input."""
        return inputs

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        described = super().get_config()
        described.pop("activity_regularizer")  # made of l1 and l2
        return {**described, **config_of(self, "l1", "l2")}
