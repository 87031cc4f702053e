"""Maximum pooling over windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nngraph import ops
from nngraph.layers.pooling.base import Pooling

__all__ = ["MaxPooling1D", "MaxPooling2D", "MaxPooling3D"]


class _MaxPooling(Pooling):
    """Take the largest values, by default of windows of size 2."""

    function = ops.max_pool

    def __init__(
        self,
        pool_size: int | Sequence[int] = 2,
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)


class MaxPooling1D(_MaxPooling):
    """Take the largest value of each window of sequences ``(batch, steps, features)``.

    Args:
        pool_size: size of the window, an integer.
        strides: distance between windows; default ``pool_size``.
        padding: ``"valid"``, or ``"same"`` for an output size of input size / strides, rounded up,
            where padding never wins.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.

    Raises:
        ValueError: an argument is none of these, or the window is larger than the input.

    Example:
        >>> MaxPooling1D(2)(np.zeros((1, 4, 2))).shape
        (1, 2, 2)
    """

    rank = 1


class MaxPooling2D(_MaxPooling):
    """Take the largest value of each window of images ``(batch, height, width, channels)``.

    Args:
        pool_size: size of the window, an integer, or 2 of them.
        strides: distance between windows; default ``pool_size``.
        padding: ``"valid"``, or ``"same"`` for an output size of input size / strides, rounded up,
            where padding never wins.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.

    Raises:
        ValueError: an argument is none of these, or the window is larger than the input.

    Example:
        >>> MaxPooling2D(2)(np.zeros((1, 4, 4, 2))).shape
        (1, 2, 2, 2)
    """

    rank = 2


class MaxPooling3D(_MaxPooling):
    """Take the largest value of each window of volumes ``(batch, depth, height, width, channels)``.

    Args:
        pool_size: size of the window, an integer, or 3 of them.
        strides: distance between windows; default ``pool_size``.
        padding: ``"valid"``, or ``"same"`` for an output size of input size / strides, rounded up,
            where padding never wins.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.

    Raises:
        ValueError: an argument is none of these, or the window is larger than the input.

    Example:
        >>> MaxPooling3D(2)(np.zeros((1, 4, 4, 4, 2))).shape
        (1, 2, 2, 2, 2)
    """

    rank = 3
