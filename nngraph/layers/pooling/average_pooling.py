"""Average pooling over windows."""

from __future__ import annotations

from nngraph import ops
from nngraph.layers.pooling.base import Pooling

__all__ = ["AveragePooling1D", "AveragePooling2D", "AveragePooling3D"]


class AveragePooling1D(Pooling):
    """Take the mean of each window of sequences ``(batch, steps, features)``.

    Args:
        pool_size: size of the window, an integer.
        strides: distance between windows; default ``pool_size``.
        padding: ``"valid"``, or ``"same"`` for an output size of input size / strides, rounded up,
            where padding does not count.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.

    Raises:
        ValueError: an argument is none of these, or the window is larger than the input.

    Example:
        >>> AveragePooling1D(2)(np.zeros((1, 4, 2))).shape
        (1, 2, 2)
    """

    rank = 1
    function = ops.average_pool


class AveragePooling2D(Pooling):
    """Take the mean of each window of images ``(batch, height, width, channels)``.

    Args:
        pool_size: size of the window, an integer, or 2 of them.
        strides: distance between windows; default ``pool_size``.
        padding: ``"valid"``, or ``"same"`` for an output size of input size / strides, rounded up,
            where padding does not count.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.

    Raises:
        ValueError: an argument is none of these, or the window is larger than the input.

    Example:
        >>> AveragePooling2D(2)(np.zeros((1, 4, 4, 2))).shape
        (1, 2, 2, 2)
    """

    rank = 2
    function = ops.average_pool


class AveragePooling3D(Pooling):
    """Take the mean of each window of volumes ``(batch, depth, height, width, channels)``.

    Args:
        pool_size: size of the window, an integer, or 3 of them.
        strides: distance between windows; default ``pool_size``.
        padding: ``"valid"``, or ``"same"`` for an output size of input size / strides, rounded up,
            where padding does not count.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.

    Raises:
        ValueError: an argument is none of these, or the window is larger than the input.

    Example:
        >>> AveragePooling3D(2)(np.zeros((1, 4, 4, 4, 2))).shape
        (1, 2, 2, 2, 2)
    """

    rank = 3
    function = ops.average_pool
