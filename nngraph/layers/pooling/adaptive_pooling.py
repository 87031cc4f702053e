"""Pooling to a given size."""

from __future__ import annotations

from nngraph import ops
from nngraph.layers.pooling.base import AdaptivePooling

__all__ = [
    "AdaptiveAveragePooling1D",
    "AdaptiveAveragePooling2D",
    "AdaptiveAveragePooling3D",
    "AdaptiveMaxPooling1D",
    "AdaptiveMaxPooling2D",
    "AdaptiveMaxPooling3D",
]


class AdaptiveAveragePooling1D(AdaptivePooling):
    """Take the means of windows of sequences ``(batch, steps, features)``.

    The windows are chosen so that the output has a given size.

    Args:
        output_size: size of the output's spatial axes, an integer.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.

    Raises:
        ValueError: the size is not positive, or a spatial size of the input is not known.

    Example:
        >>> AdaptiveAveragePooling1D(3)(np.zeros((1, 4, 2))).shape
        (1, 3, 2)
    """

    rank = 1
    function = ops.adaptive_average_pool


class AdaptiveAveragePooling2D(AdaptivePooling):
    """Take the means of windows of images ``(batch, height, width, channels)``.

    The windows are chosen so that the output has a given size.

    Args:
        output_size: size of the output's spatial axes, an integer, or 2 of them.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.

    Raises:
        ValueError: the size is not positive, or a spatial size of the input is not known.

    Example:
        >>> AdaptiveAveragePooling2D(3)(np.zeros((1, 4, 4, 2))).shape
        (1, 3, 3, 2)
    """

    rank = 2
    function = ops.adaptive_average_pool


class AdaptiveAveragePooling3D(AdaptivePooling):
    """Take the means of windows of volumes ``(batch, depth, height, width, channels)``.

    The windows are chosen so that the output has a given size.

    Args:
        output_size: size of the output's spatial axes, an integer, or 3 of them.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.

    Raises:
        ValueError: the size is not positive, or a spatial size of the input is not known.

    Example:
        >>> AdaptiveAveragePooling3D(3)(np.zeros((1, 4, 4, 4, 2))).shape
        (1, 3, 3, 3, 2)
    """

    rank = 3
    function = ops.adaptive_average_pool


class AdaptiveMaxPooling1D(AdaptivePooling):
    """Take the largest values of windows of sequences ``(batch, steps, features)``.

    The windows are chosen so that the output has a given size.

    Args:
        output_size: size of the output's spatial axes, an integer.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.

    Raises:
        ValueError: the size is not positive, or a spatial size of the input is not known.

    Example:
        >>> AdaptiveMaxPooling1D(3)(np.zeros((1, 4, 2))).shape
        (1, 3, 2)
    """

    rank = 1
    function = ops.adaptive_max_pool


class AdaptiveMaxPooling2D(AdaptivePooling):
    """Take the largest values of windows of images ``(batch, height, width, channels)``.

    The windows are chosen so that the output has a given size.

    Args:
        output_size: size of the output's spatial axes, an integer, or 2 of them.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.

    Raises:
        ValueError: the size is not positive, or a spatial size of the input is not known.

    Example:
        >>> AdaptiveMaxPooling2D(3)(np.zeros((1, 4, 4, 2))).shape
        (1, 3, 3, 2)
    """

    rank = 2
    function = ops.adaptive_max_pool


class AdaptiveMaxPooling3D(AdaptivePooling):
    """Take the largest values of windows of volumes ``(batch, depth, height, width, channels)``.

    The windows are chosen so that the output has a given size.

    Args:
        output_size: size of the output's spatial axes, an integer, or 3 of them.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.

    Raises:
        ValueError: the size is not positive, or a spatial size of the input is not known.

    Example:
        >>> AdaptiveMaxPooling3D(3)(np.zeros((1, 4, 4, 4, 2))).shape
        (1, 3, 3, 3, 2)
    """

    rank = 3
    function = ops.adaptive_max_pool
