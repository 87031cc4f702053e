"""Scale and shift numbers, such as pixels to [0, 1]."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngraph import ops
from nngraph.layers.arguments import config_of
from nngraph.layers.layer import Layer

__all__ = ["Rescaling"]


class Rescaling(Layer):
    """Compute ``inputs * scale + offset`` in the layer's dtype.

    Args:
        scale: a number, or one for each entry of the last axis.
        offset: a number, or one for each entry of the last axis.

    Example:
        >>> Rescaling(1 / 127.5, offset=-1)(np.array([0, 255])).tolist()
        [-1.0, 1.0]
    """

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = _plain(scale)
        self.offset = _plain(offset)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """Return the scaled inputs."""
        dtype = self.compute_dtype
        scaled = ops.multiply(ops.cast(inputs, dtype), ops.cast(self.scale, dtype))
        return scaled if self.offset == 0 else ops.add(scaled, ops.cast(self.offset, dtype))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), **config_of(self, "scale", "offset")}


def _plain(value: Any) -> Any:
    """Return a number, or lists of numbers."""
    return value if isinstance(value, (int, float)) else np.asarray(value).tolist()
