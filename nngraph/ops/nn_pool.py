"""Pooling, named as in ``keras.ops``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nngraph.ir import is_float, numpy_dtype
from nngraph.ops.axes import ints, to_float
from nngraph.ops.core import convert, dtype_of, type_of
from nngraph.ops.dispatch import public
from nngraph.ops.vjp import raw
from nngraph.ops.windows import (
    channels_first,
    check_data_format,
    check_padding,
    from_channels_first,
    per_axis,
    spatial_attributes,
)

__all__ = ["adaptive_average_pool", "adaptive_max_pool", "average_pool", "max_pool", "repeat_pixels"]


def _spatial(name: str, x: Any) -> int:
    kind = type_of(x)
    if kind.rank < 3:
        raise ValueError(f"{name} takes inputs (batch, spatial..., channels) with 1 to 3 spatial axes, got {kind}")
    return kind.rank - 2


def _pool(
    op: str, x: Any, pool_size: Any, strides: Any, padding: str, data_format: str | None, name: str, **more: Any
) -> Any:
    layout = check_data_format(data_format)
    rank = _spatial(name, x)
    kernel = per_axis(pool_size, rank, "pool_size")
    steps = kernel if strides is None else per_axis(strides, rank, "strides")
    t = channels_first(x, layout)
    attributes = spatial_attributes(type_of(t).shape[2:], kernel, steps, (1,) * rank, check_padding(padding))
    del attributes["dilations"]
    return from_channels_first(getattr(raw, op)(t, kernel_shape=kernel, **attributes, **more), layout)


@public
def max_pool(
    inputs: Any,
    pool_size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Any:
    """Return the largest value of each window.

    Args:
        inputs: (batch, spatial..., channels), or (batch, channels, spatial...) with ``"channels_first"``; 1 to 3
            spatial axes.
        pool_size: window size, one number or one for each spatial axis.
        strides: distance between windows; default ``pool_size``.
        padding: ``"valid"``, or ``"same"``, whose padding never wins.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.

    Raises:
        ValueError: rank or options do not fit.

    Example:
        >>> x = np.array([3, 1, 2, 5, 4], "float32").reshape(1, 5, 1)
        >>> max_pool(x, 2).ravel().tolist(), max_pool(x, 2, padding="same").ravel().tolist()
        ([3.0, 5.0], [3.0, 5.0, 4.0])
    """
    x = convert(inputs)
    if is_float(dtype_of(x)):
        return _pool("MaxPool", x, pool_size, strides, padding, data_format, "max_pool")
    # Doubles hold 32-bit integers exactly, and pooling has a kernel for them.
    pooled = _pool("MaxPool", convert(x, "float64"), pool_size, strides, padding, data_format, "max_pool")
    return convert(pooled, dtype_of(x))


@public
def average_pool(
    inputs: Any,
    pool_size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Any:
    """Return the mean of each window; padding does not count.

    Args:
        inputs: (batch, spatial..., channels), or (batch, channels, spatial...) with ``"channels_first"``; 1 to 3
            spatial axes.
        pool_size: window size, one number or one for each spatial axis.
        strides: distance between windows; default ``pool_size``.
        padding: ``"valid"`` or ``"same"``.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.

    Raises:
        ValueError: rank or options do not fit.

    Example:
        >>> x = np.array([3, 1, 2, 5, 4], "float32").reshape(1, 5, 1)
        >>> average_pool(x, 2, padding="same").ravel().tolist()
        [2.0, 3.5, 4.0]
    """
    x = to_float(inputs)
    return _pool("AveragePool", x, pool_size, strides, padding, data_format, "average_pool", count_include_pad=0)


# -- adaptive -------------------------------------------------------------------------------------------------------


def _bins(size: int, count: int) -> list[tuple[int, int]]:
    """Start and end of ``count`` windows that cover an axis: floor(i n / count) to ceil((i + 1) n / count)."""
    return [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


def _adaptive(name: str, x: Any, output_size: Any, data_format: str | None, function: Any) -> Any:
    layout = check_data_format(data_format)
    rank = _spatial(name, x)
    counts = per_axis(output_size, rank, "output_size")
    t = channels_first(x, layout)
    sizes = type_of(t).shape[2:]
    if not all(isinstance(s, int) for s in sizes):
        raise ValueError(f"{name} needs known spatial sizes, got {type_of(x)}; give the input a fixed size")
    for axis, (size, count) in enumerate(zip(sizes, counts, strict=True), 2):
        if size != count:
            t = function(t, axis, _bins(int(size), count))
    return from_channels_first(t, layout)


def _mean_of_bins(x: Any, axis: int, bins: list[tuple[int, int]]) -> Any:
    size: Any = type_of(x).shape[axis]
    weights = np.zeros((size, len(bins)), numpy_dtype(dtype_of(x)))
    for k, (start, end) in enumerate(bins):
        weights[start:end, k] = 1 / (end - start)
    rank = type_of(x).rank
    swap = [*range(rank)]
    swap[axis], swap[-1] = swap[-1], swap[axis]
    return raw.Transpose(raw.MatMul(raw.Transpose(x, perm=swap), weights), perm=swap)


def _max_of_bins(x: Any, axis: int, bins: list[tuple[int, int]]) -> Any:
    width = max(end - start for start, end in bins)
    # A window shorter than the widest repeats its last entry, which does not change its maximum.
    indices = np.array([[min(start + j, end - 1) for j in range(width)] for start, end in bins], np.int64)
    return raw.ReduceMax(raw.Gather(x, indices, axis=axis), ints(axis + 1), keepdims=0)


@public
def adaptive_average_pool(inputs: Any, output_size: int | Sequence[int], data_format: str | None = None) -> Any:
    """Return means over windows chosen so that the output has a given size.

    Window i of o covers floor(i n / o) up to ceil((i + 1) n / o) of an axis of size n; windows may overlap by one.

    Args:
        inputs: (batch, spatial..., channels), or (batch, channels, spatial...); the spatial sizes known.
        output_size: one number or one for each spatial axis.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.

    Raises:
        ValueError: rank or sizes do not fit.

    Example:
        >>> adaptive_average_pool(np.arange(5, dtype="float32").reshape(1, 5, 1), 2).ravel().tolist()
        [1.0, 3.0]
    """
    x = to_float(inputs)
    return _adaptive("adaptive_average_pool", x, output_size, data_format, _mean_of_bins)


@public
def adaptive_max_pool(inputs: Any, output_size: int | Sequence[int], data_format: str | None = None) -> Any:
    """Return maxima over windows chosen so that the output has a given size.

    The windows are those of :func:`adaptive_average_pool`.

    Args:
        inputs: (batch, spatial..., channels), or (batch, channels, spatial...); the spatial sizes known.
        output_size: one number or one for each spatial axis.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.

    Raises:
        ValueError: rank or sizes do not fit.

    Example:
        >>> adaptive_max_pool(np.arange(5, dtype="float32").reshape(1, 5, 1), 2).ravel().tolist()
        [2.0, 4.0]
    """
    x = to_float(inputs)
    return _adaptive("adaptive_max_pool", x, output_size, data_format, _max_of_bins)


# -- the other way --------------------------------------------------------------------------------------------------


def repeat_pixels(inputs: Any, size: int | Sequence[int], data_format: str | None = None) -> Any:
    """Return an image in which every pixel has become a block of equal ones.

    Args:
        inputs: (batch, spatial..., channels), or (batch, channels, spatial...) with ``"channels_first"``; floating.
        size: size of the blocks, one number or one for each spatial axis.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.

    Raises:
        ValueError: rank or size does not fit.

    Example:
        >>> repeat_pixels(np.float32([[[1.0], [2.0]]]), 2).ravel().tolist()
        [1.0, 1.0, 2.0, 2.0]
    """
    x = to_float(inputs)
    layout = check_data_format(data_format)
    factors = per_axis(size, _spatial("repeat_pixels", x), "size")
    y = raw.Resize(
        channels_first(x, layout),
        None,
        np.array([1, 1, *factors], np.float32),
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    return from_channels_first(y, layout)
