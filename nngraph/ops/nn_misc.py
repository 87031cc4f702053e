"""Blocks and patches, labels with several classes, and other functions of ``keras.ops.nn``."""

from __future__ import annotations

from collections.abc import Sequence
from math import log, prod
from typing import Any

import numpy as np

from nngraph import config
from nngraph.ir import numpy_dtype, standardize_dtype
from nngraph.ops.axes import ints, reshaped, to_float
from nngraph.ops.comparison import one_hot
from nngraph.ops.core import convert, promote, shape, type_of
from nngraph.ops.dispatch import public
from nngraph.ops.trace import is_traced
from nngraph.ops.vjp import raw
from nngraph.ops.windows import check_data_format, per_axis

__all__ = ["depth_to_space", "fold", "multi_hot", "polar", "psnr", "space_to_depth", "unfold"]


@public
def multi_hot(
    inputs: Any, num_classes: int | None = None, axis: int = -1, dtype: Any = None, sparse: bool = False, **kwargs: Any
) -> Any:
    """Return a one for every class that a row of class numbers names; numbers outside the range name nothing.

    Args:
        inputs: integers, a vector or rows of them (batch, labels).
        num_classes: how many classes there are; ``num_tokens`` is its older name.
        axis: where the axis of the classes goes.
        dtype: dtype; the default float type if absent.
        sparse: not supported.

    Raises:
        ValueError: ``num_classes`` is missing, or an option is not supported.

    Example:
        >>> multi_hot([[0, 2], [1, 1]], 3).tolist()
        [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    count = kwargs.pop("num_tokens", num_classes)
    if kwargs:
        raise ValueError(f"multi_hot has no arguments {sorted(kwargs)}")
    if count is None:
        raise ValueError("multi_hot needs num_classes, the number of classes")
    if sparse:
        raise ValueError("multi_hot: sparse tensors are not supported; use sparse=False")
    x = convert(inputs)
    labels = 1 if type_of(x).rank > 1 else 0
    marks = one_hot(x, count, axis=axis, dtype="int32")
    return convert(raw.ReduceMax(marks, ints(labels), keepdims=0), standardize_dtype(dtype or config.floatx()))


# -- blocks and channels --------------------------------------------------------------------------------------------


def _blocks(op: str, name: str, x: Any, block_size: int, data_format: str) -> Any:
    t = convert(x)
    kind = type_of(t)
    layout = check_data_format(data_format)
    if kind.rank != 4:
        raise ValueError(f"{name} takes 4 axes, (batch, height, width, channels) or with channels first; got {kind}")
    if block_size < 2:
        raise ValueError(f"{name}: block_size must be at least 2, got {block_size}")
    _, *rest = kind.shape
    channels, spatial = (rest[-1], rest[:-1]) if layout == "channels_last" else (rest[0], rest[1:])
    step = block_size**2
    divided = {"channels": (channels, step)} if op == "DepthToSpace" else {"height and width": (spatial, block_size)}
    for what, (sizes, by) in divided.items():
        many = sizes if isinstance(sizes, list) else [sizes]
        if any(isinstance(s, int) and s % by for s in many):
            raise ValueError(f"{name}: {what} must be multiples of {by}, got {sizes}")
    if layout == "channels_first":
        return getattr(raw, op)(t, blocksize=block_size)
    y = getattr(raw, op)(raw.Transpose(t, perm=(0, 3, 1, 2)), blocksize=block_size)
    return raw.Transpose(y, perm=(0, 2, 3, 1))


@public
def depth_to_space(x: Any, block_size: int, data_format: str = "channels_last") -> Any:
    """Spread groups of channels over blocks of pixels: an image ``block_size`` times as high and wide.

    Args:
        x: (batch, height, width, channels), or with the channels first; channel (i b + j) C + c of a pixel becomes
            channel c of the pixel in row i and column j of its block, with b the block size and C the new channels.
        block_size: side of a block.
        data_format: ``"channels_last"`` or ``"channels_first"``.

    Raises:
        ValueError: the channels are not a multiple of ``block_size`` squared.

    Example:
        >>> depth_to_space(np.arange(4, dtype="float32").reshape(1, 1, 1, 4), 2)[0, :, :, 0].tolist()
        [[0.0, 1.0], [2.0, 3.0]]
    """
    return _blocks("DepthToSpace", "depth_to_space", x, block_size, data_format)


@public
def space_to_depth(x: Any, block_size: int, data_format: str = "channels_last") -> Any:
    """Gather blocks of pixels into channels: the inverse of :func:`depth_to_space`.

    Args:
        x: (batch, height, width, channels), or with the channels first.
        block_size: side of a block.
        data_format: ``"channels_last"`` or ``"channels_first"``.

    Raises:
        ValueError: height or width is not a multiple of ``block_size``.

    Example:
        >>> space_to_depth(np.arange(4, dtype="float32").reshape(1, 2, 2, 1), 2).ravel().tolist()
        [0.0, 1.0, 2.0, 3.0]
    """
    return _blocks("SpaceToDepth", "space_to_depth", x, block_size, data_format)


# -- patches --------------------------------------------------------------------------------------------------------


def _one_hot_kernel(kernel: Sequence[int], dtype: str) -> np.ndarray[Any, Any]:
    """A filter for each place of a window, which picks that place."""
    count = prod(kernel)
    return np.eye(count, dtype=numpy_dtype(dtype)).reshape(count, 1, *kernel)


@public
def unfold(
    x: Any,
    kernel_size: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    stride: int | Sequence[int] = 1,
) -> Any:
    """Return the windows that slide over an image as columns.

    Args:
        x: (batch, channels, height, width), floating.
        kernel_size, dilation, stride: one number, or one for height and one for width.
        padding: zeros on both sides, one number, or one for height and one for width.

    Returns:
        (batch, channels * kernel height * kernel width, number of windows).

    Raises:
        ValueError: the rank is not 4, or the number of channels is unknown.

    Example:
        >>> unfold(np.arange(6, dtype="float32").reshape(1, 1, 2, 3), 2)[0].tolist()
        [[0.0, 1.0], [1.0, 2.0], [3.0, 4.0], [4.0, 5.0]]
    """
    t = to_float(x)
    kind = type_of(t)
    if kind.rank != 4 or not isinstance(kind.shape[1], int):
        raise ValueError(f"unfold takes (batch, channels, height, width) with a known number of channels, got {kind}")
    kernel = per_axis(kernel_size, 2, "kernel_size")
    pads = per_axis(padding, 2, "padding", least=0)
    batch, channels, height, width = shape(t)
    # Convolving with filters that pick one pixel each is a copy that has a kernel and a gradient everywhere.
    patches = raw.Conv(
        reshaped(t, [-1, 1, height, width]),
        _one_hot_kernel(kernel, kind.dtype),
        kernel_shape=kernel,
        strides=per_axis(stride, 2, "stride"),
        dilations=per_axis(dilation, 2, "dilation"),
        pads=(*pads, *pads),
    )
    rows, columns = type_of(patches).shape[2:]
    windows = rows * columns if isinstance(rows, int) and isinstance(columns, int) else -1
    return reshaped(patches, [batch, channels * prod(kernel), windows])


@public
def fold(
    x: Any,
    output_size: int | Sequence[int],
    kernel_size: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    stride: int | Sequence[int] = 1,
) -> Any:
    """Add columns up to an image: every column is a window, put where :func:`unfold` would have taken it.

    Args:
        x: (batch, channels * kernel height * kernel width, number of windows), floating.
        output_size: height and width of the image, one number or two.
        kernel_size, dilation, stride: one number, or one for height and one for width.
        padding: rows and columns that were added on both sides and are cut off.

    Returns:
        (batch, channels, height, width).

    Raises:
        ValueError: the sizes do not fit.

    Example:
        >>> fold(np.ones((1, 4, 4), "float32"), 3, 2)[0, 0].tolist()
        [[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]
    """
    t = to_float(x)
    kind = type_of(t)
    image = per_axis(output_size, 2, "output_size")
    kernel = per_axis(kernel_size, 2, "kernel_size")
    dilations = per_axis(dilation, 2, "dilation")
    pads = per_axis(padding, 2, "padding", least=0)
    strides = per_axis(stride, 2, "stride")
    room = [n + 2 * p - (k - 1) * d - 1 for n, p, k, d in zip(image, pads, kernel, dilations, strict=True)]
    windows = [r // s + 1 for r, s in zip(room, strides, strict=True)]
    step = prod(kernel)
    size = kind.shape[1] if kind.rank == 3 else None
    if not isinstance(size, int) or size % step or (isinstance(kind.shape[2], int) and kind.shape[2] != prod(windows)):
        raise ValueError(
            f"fold takes (batch, channels * {step}, {prod(windows)}) for an image of {image} with windows of {kernel}, "
            f"got {kind}"
        )
    y = raw.ConvTranspose(
        reshaped(t, [-1, step, *windows]),
        _one_hot_kernel(kernel, kind.dtype),
        kernel_shape=kernel,
        strides=strides,
        dilations=dilations,
        pads=(*pads, *pads),
        output_padding=[r % s for r, s in zip(room, strides, strict=True)],
    )
    return reshaped(y, [shape(t)[0], size // step, *image])


@public
def polar(abs_: Any, angle: Any) -> Any:
    """Return complex numbers of given magnitudes and angles.

    Raises:
        TypeError: in a traced function; graphs hold no complex numbers.

    Example:
        >>> polar([2.0], [0.0]).tolist()
        [(2+0j)]
    """
    if is_traced(abs_, angle):
        raise TypeError(
            "polar makes complex numbers, which graphs do not hold; keep real and imaginary part as two tensors"
        )
    magnitude, turn = (np.asarray(t) for t in promote(abs_, angle, to_float=True))
    return magnitude * np.exp(1j * turn).astype("complex128" if turn.dtype == np.float64 else "complex64")


@public
def psnr(x1: Any, x2: Any, max_val: float) -> Any:
    """Return the peak signal-to-noise ratio in decibels: 20 log10(max_val) - 10 log10(mean squared difference).

    Example:
        >>> print(round(float(psnr([0.0, 0.0], [1.0, 1.0], max_val=2.0)), 3))
        6.021
    """
    a, b = promote(x1, x2, to_float=True)
    away = raw.Sub(a, b)
    error = raw.ReduceMean(raw.Mul(away, away), keepdims=0)
    return raw.Mul(raw.Sub(2 * log(max_val), raw.Log(error)), 10 / log(10))
