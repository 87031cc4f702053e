"""Softmax as a layer, which can leave out masked places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nngraph import ops
from nngraph.layers.arguments import config_of
from nngraph.layers.layer import Layer

__all__ = ["Softmax", "large_negative"]


def large_negative(dtype: str) -> float:
    """Return a number that a dtype holds and whose exponential is 0.

    Example:
        >>> large_negative("float16"), large_negative("float32")
        (-30000.0, -1000000000.0)
    """
    return -3e4 if dtype == "float16" else -1e9


class Softmax(Layer):
    """Turn scores into probabilities that sum to 1 along an axis.

    Args:
        axis: an axis, or several over which the probabilities sum to 1 together.

    Call arguments:
        inputs: scores.
        mask: booleans of the same shape; places that are false get probability 0.

    Example:
        >>> Softmax()(np.array([0.0, 0.0])).tolist()
        [0.5, 0.5]
    """

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis if isinstance(axis, int) else list(axis)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Return the probabilities."""
        axis = self.axis if isinstance(self.axis, int) else tuple(self.axis)
        if mask is None:
            return ops.softmax(inputs, axis=axis)
        dtype = ops.dtype_of(inputs)
        kept = ops.cast(mask, dtype)
        lowered = ops.add(inputs, (1.0 - kept) * large_negative(dtype))
        # A row in which everything is masked gives zeros and not equal shares.
        return ops.multiply(ops.softmax(lowered, axis=axis), kept)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), **config_of(self, "axis")}
