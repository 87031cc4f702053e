"""Maximum pooling over all places."""

from __future__ import annotations

from nngraph import ops
from nngraph.layers.pooling.base import GlobalPooling

__all__ = ["GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D"]


class GlobalMaxPooling1D(GlobalPooling):
    """Take the largest value of each channel over all places of sequences ``(batch, steps, features)``.

    Args:
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.
        keepdims: keep the spatial axes with size 1.

    Example:
        >>> GlobalMaxPooling1D()(np.zeros((1, 4, 2))).shape
        (1, 2)
    """

    rank = 1
    function = ops.max


class GlobalMaxPooling2D(GlobalPooling):
    """Take the largest value of each channel over all places of images ``(batch, height, width, channels)``.

    Args:
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.
        keepdims: keep the spatial axes with size 1.

    Example:
        >>> GlobalMaxPooling2D()(np.zeros((1, 4, 4, 2))).shape
        (1, 2)
    """

    rank = 2
    function = ops.max


class GlobalMaxPooling3D(GlobalPooling):
    """Take the largest value of each channel over all places of volumes ``(batch, depth, height, width, channels)``.

    Args:
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.
        keepdims: keep the spatial axes with size 1.

    Example:
        >>> GlobalMaxPooling3D()(np.zeros((1, 4, 4, 4, 2))).shape
        (1, 2)
    """

    rank = 3
    function = ops.max
