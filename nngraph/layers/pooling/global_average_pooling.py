"""Average pooling over all places."""

from __future__ import annotations

from typing import Any

from nngraph import ops
from nngraph.layers.pooling.base import GlobalPooling

__all__ = ["GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D"]


class GlobalAveragePooling1D(GlobalPooling):
    """Take the mean of each channel over all places of sequences ``(batch, steps, features)``.

    Args:
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.
        keepdims: keep the spatial axes with size 1.

    Call arguments:
        inputs: the sequences.
        mask: booleans ``(batch, steps)``; steps that are false do not count.

    Example:
        >>> GlobalAveragePooling1D()(np.zeros((1, 4, 2))).shape
        (1, 2)
    """

    rank = 1
    function = ops.mean

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(data_format, keepdims, **kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Return the mean of the steps that count."""
        if mask is None:
            return super().call(inputs)
        (steps,) = self._axes
        counted = ops.expand_dims(ops.cast(mask, ops.dtype_of(inputs)), 3 - steps)
        total = ops.sum(ops.multiply(inputs, counted), axis=steps, keepdims=self.keepdims)
        return ops.divide(total, ops.sum(counted, axis=steps, keepdims=self.keepdims))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return no mask: there are no steps any more."""
        return None


class GlobalAveragePooling2D(GlobalPooling):
    """Take the mean of each channel over all places of images ``(batch, height, width, channels)``.

    Args:
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.
        keepdims: keep the spatial axes with size 1.

    Example:
        >>> GlobalAveragePooling2D()(np.zeros((1, 4, 4, 2))).shape
        (1, 2)
    """

    rank = 2
    function = ops.mean


class GlobalAveragePooling3D(GlobalPooling):
    """Take the mean of each channel over all places of volumes ``(batch, depth, height, width, channels)``.

    Args:
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.
        keepdims: keep the spatial axes with size 1.

    Example:
        >>> GlobalAveragePooling3D()(np.zeros((1, 4, 4, 4, 2))).shape
        (1, 2)
    """

    rank = 3
    function = ops.mean
