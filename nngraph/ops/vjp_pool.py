"""Gradients of pooling.

Each gradient is an operator of its own, so that a target may compute it in its own way, and each is linear in what
arrives from above: ``AveragePoolGrad`` has the gradient ``AveragePool``, and ``MaxPoolGrad`` has ``MaxPoolPick``.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from nngraph.ir import numpy_dtype
from nngraph.ops.axes import ints, reshaped, scalar
from nngraph.ops.core import dtype_of, shape, type_of
from nngraph.ops.trace import composite
from nngraph.ops.vjp import raw, vjp
from nngraph.ops.windows import Window, are_known, pad_spatial, window_counts

__all__ = ["average_pool_grad", "max_pool_grad", "max_pool_pick"]


def _placed(x: Any, kernel_shape: Any, strides: Any, dilations: Any, pads: Any, auto_pad: str) -> dict[str, Any]:
    """Return a pooling's attributes with all defaults spelled out."""
    if auto_pad == "VALID":
        pads, auto_pad = None, "NOTSET"
    window = Window(kernel_shape, strides, dilations, pads, auto_pad, sizes=type_of(x).shape[2:])
    placing = {"auto_pad": auto_pad} if window.pads is None else {"pads": window.pads}
    return {"kernel_shape": window.kernel, "strides": window.strides, "dilations": window.dilations, **placing}


# -- averages -------------------------------------------------------------------------------------------------------


@composite("AveragePoolGrad")
def average_pool_grad(
    g: Any,
    sizes: Any = None,
    *,
    kernel_shape: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    pads: Sequence[int] | None = None,
    auto_pad: str = "NOTSET",
    count_include_pad: int = 0,
    ceil_mode: int = 0,
    spatial: Sequence[int] | None = None,
) -> Any:
    """Return the gradient of AveragePool: every window's share goes to each of its pixels.

    The image's sizes are ``spatial`` where they are known, else the int64 vector ``sizes``.
    """
    window = Window(kernel_shape, strides, dilations, pads, auto_pad, sizes=spatial or ("?",) * len(kernel_shape))
    steps: Any = type_of(g).shape[2:]
    if ceil_mode and (spatial is None or not are_known(steps)):
        raise ValueError(f"the gradient of AveragePool with ceil_mode needs known sizes, got {type_of(g)}")
    image: Any = spatial if spatial is not None else sizes
    share = raw.Div(g, window_counts(window, image, steps, dtype_of(g), bool(count_include_pad)))
    if spatial is not None and are_known(steps) and window.tiles(spatial, steps):
        return _grown(_upsampled(share, window.kernel), spatial)
    return _spread(share, window, spatial, sizes)


def _upsampled(x: Any, kernel: Sequence[int]) -> Any:
    """Repeat every pixel over its window, where windows stand side by side."""
    scales = np.array([1, 1, *kernel], np.float32)
    return raw.Resize(
        x, None, scales, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"
    )


def _grown(x: Any, wanted: Sequence[Any]) -> Any:
    """Add zeros at the end, up to the sizes of an image."""
    missing = [n - m for n, m in zip(wanted, type_of(x).shape[2:], strict=True)]
    return pad_spatial(x, ints(*[0] * len(missing)), ints(*missing)) if any(missing) else x


def _spread(x: Any, window: Window, spatial: Sequence[int] | None, sizes: Any) -> Any:
    """Add every pixel to all the places of its window."""
    steps: Any = type_of(x).shape[2:]
    batch, channels, *counts = shape(x)
    ones = np.ones((1, 1, *window.kernel), numpy_dtype(dtype_of(x)))
    common = {"kernel_shape": window.kernel, "strides": window.strides, "dilations": window.dilations}
    images = reshaped(x, [-1, 1, *counts])
    if spatial is not None and window.pads is not None and are_known(steps):
        after = window.reach(spatial, steps)
        pads = (*window.pads[: window.rank], *(max(a, 0) for a in after))
        y = raw.ConvTranspose(images, ones, pads=pads, output_padding=[max(-a, 0) for a in after], **common)
        return reshaped(y, [batch, channels, *spatial])
    whole = raw.ConvTranspose(images, ones, **common)
    size = ints(*spatial) if spatial is not None else sizes
    before = window.before(size)
    after = raw.Sub(raw.Add(size, before), raw.Shape(whole, start=2))
    y = pad_spatial(whole, raw.Neg(before), after)
    return raw.Reshape(y, raw.Concat(raw.Shape(x, end=2), size, axis=0))


def _average_grad(g: Any, x: Any, attributes: dict[str, Any]) -> Any:
    sizes = type_of(x).shape[2:]
    if are_known(sizes):
        return average_pool_grad(g, spatial=sizes, types=[type_of(x)], **attributes)
    return average_pool_grad(g, raw.Shape(x, start=2), types=[type_of(x)], **attributes)


@vjp("AveragePool")
def _(
    g: Any,
    y: Any,
    x: Any,
    *,
    kernel_shape: Any,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    count_include_pad: int = 0,
    dilations: Any = None,
    pads: Any = None,
    strides: Any = None,
) -> Any:
    placed = _placed(x, kernel_shape, strides, dilations, pads, auto_pad)
    return (_average_grad(g, x, {**placed, "count_include_pad": count_include_pad, "ceil_mode": ceil_mode}),)


@vjp("AveragePoolGrad", domain="nngraph")
def _(h: Any, y: Any, g: Any, sizes: Any = None, *, spatial: Any = None, **attributes: Any) -> Any:
    return raw.AveragePool(h, **attributes), None


@vjp("GlobalAveragePool")
def _(g: Any, y: Any, x: Any) -> Any:
    sizes: Any = type_of(x).shape[2:]
    if are_known(sizes):
        return (raw.Expand(raw.Mul(g, 1 / prod(sizes)), raw.Shape(x)),)
    pixels = raw.ReduceProd(raw.Shape(x, start=2), keepdims=0)
    return (raw.Expand(raw.Div(g, raw.Cast(pixels, to=dtype_of(g))), raw.Shape(x)),)


# -- maxima ---------------------------------------------------------------------------------------------------------


def _tiles(x: Any, attributes: dict[str, Any]) -> tuple[tuple[int, ...], list[int]] | None:
    """Return the kernel and the part of an image that windows cover, if they stand side by side; else ``None``."""
    sizes: Any = type_of(x).shape[2:]
    placing = {k: v for k, v in attributes.items() if k != "ceil_mode"}
    window = Window(**placing, sizes=sizes)
    if not are_known(sizes):
        return None
    counts = [n // k for n, k in zip(sizes, window.kernel, strict=True)]
    covered = [o * k for o, k in zip(counts, window.kernel, strict=True)]
    whole = not attributes.get("ceil_mode") or covered == list(sizes)
    return (window.kernel, covered) if whole and window.tiles(sizes, counts) else None


def _winners(x: Any, kernel: tuple[int, ...]) -> tuple[Any, Any]:
    """For windows side by side: 1 where a pixel is its window's maximum, else 0; and how many those are."""
    best = _upsampled(raw.MaxPool(x, kernel_shape=kernel, strides=kernel), kernel)
    wins = raw.Cast(raw.Equal(x, best), to=dtype_of(x))
    return wins, _window_sum(wins, kernel)


def _window_sum(x: Any, kernel: tuple[int, ...]) -> Any:
    return raw.Mul(raw.AveragePool(x, kernel_shape=kernel, strides=kernel), prod(kernel))


def _cropped(x: Any, wanted: Sequence[int]) -> Any:
    if tuple(wanted) == type_of(x).shape[2:]:
        return x
    rank = len(wanted)
    return raw.Slice(x, ints(*[0] * rank), ints(*wanted), ints(*range(2, rank + 2)))


@composite("MaxPoolGrad")
def max_pool_grad(g: Any, x: Any, **attributes: Any) -> Any:
    """Return the gradient of MaxPool: a window's gradient goes to its largest pixel.

    Of equal pixels the first gets it; where windows stand side by side, each gets an equal share.
    """
    tiles = _tiles(x, attributes)
    if tiles is not None:
        kernel, covered = tiles
        wins, number = _winners(_cropped(x, covered), kernel)
        return _grown(raw.Mul(wins, _upsampled(raw.Div(g, number), kernel)), type_of(x).shape[2:])
    _, places = raw.MaxPool(x, outputs=2, **attributes)
    # ONNX numbers the pixels of the whole tensor, all images and channels together.
    zeros = raw.Expand(scalar(0, g), raw.Reshape(raw.Size(x), ints(1)))
    flat = raw.ScatterElements(zeros, raw.Reshape(places, ints(-1)), raw.Reshape(g, ints(-1)), axis=0, reduction="add")
    return raw.Reshape(flat, raw.Shape(x))


@composite("MaxPoolPick")
def max_pool_pick(h: Any, x: Any, **attributes: Any) -> Any:
    """Return what h holds where x has the largest pixel of each window: the adjoint of ``MaxPoolGrad``."""
    tiles = _tiles(x, attributes)
    if tiles is not None:
        kernel, covered = tiles
        wins, number = _winners(_cropped(x, covered), kernel)
        return raw.Div(_window_sum(raw.Mul(_cropped(h, covered), wins), kernel), number)
    _, places = raw.MaxPool(x, outputs=2, **attributes)
    flat = raw.GatherElements(raw.Reshape(h, ints(-1)), raw.Reshape(places, ints(-1)), axis=0)
    return raw.Reshape(flat, raw.Shape(places))


@vjp("MaxPool")
def _(
    g: Any,
    y: Any,
    x: Any,
    *,
    kernel_shape: Any,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Any = None,
    pads: Any = None,
    storage_order: int = 0,
    strides: Any = None,
) -> Any:
    values = g[0] if isinstance(g, tuple) else g
    placed = _placed(x, kernel_shape, strides, dilations, pads, auto_pad)
    return (max_pool_grad(values, x, ceil_mode=ceil_mode, types=[type_of(x)], **placed),)


@vjp("MaxPoolGrad", domain="nngraph")
def _(h: Any, y: Any, g: Any, x: Any, **attributes: Any) -> Any:
    return max_pool_pick(h, x, types=[type_of(g)], **attributes), None


@vjp("MaxPoolPick", domain="nngraph")
def _(g: Any, y: Any, h: Any, x: Any, **attributes: Any) -> Any:
    return max_pool_grad(g, x, types=[type_of(x)], **attributes), None


@vjp("GlobalMaxPool")
def _(g: Any, y: Any, x: Any) -> Any:
    # Equal pixels share the gradient, as in ReduceMax.
    wins = raw.Cast(raw.Equal(x, y), to=dtype_of(x))
    number = raw.ReduceSum(wins, ints(*range(2, type_of(x).rank)), keepdims=1)
    return (raw.Mul(wins, raw.Div(g, number)),)


# -- norms ----------------------------------------------------------------------------------------------------------


def _norm_slope(x: Any, p: int) -> Any:
    """sign(x) |x|^(p - 1)."""
    if p == 1:
        return raw.Sign(x)
    return x if p == 2 else raw.Mul(raw.Sign(x), raw.Pow(raw.Abs(x), scalar(p - 1, x)))


def _norm_share(g: Any, y: Any, p: int) -> Any:
    """g y^(1 - p), and 0 where the norm is 0."""
    if p == 1:
        return g
    empty = raw.Equal(y, scalar(0, y))
    safe = raw.Where(empty, scalar(1, y), y)
    return raw.Where(empty, scalar(0, g), raw.Div(g, raw.Pow(safe, scalar(p - 1, y))))


@vjp("GlobalLpPool")
def _(g: Any, y: Any, x: Any, *, p: int = 2) -> Any:
    return (raw.Mul(_norm_slope(x, p), _norm_share(g, y, p)),)


@vjp("LpPool")
def _(
    g: Any,
    y: Any,
    x: Any,
    *,
    kernel_shape: Any,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Any = None,
    p: int = 2,
    pads: Any = None,
    strides: Any = None,
) -> Any:
    placed = _placed(x, kernel_shape, strides, dilations, pads, auto_pad)
    # The gradient of a sum over windows is that of an average, times what the average divides by.
    sizes: Any = type_of(x).shape[2:]
    window = Window(**placed, sizes=sizes)
    image = sizes if are_known(sizes) else raw.Shape(x, start=2)
    counts = window_counts(window, image, type_of(g).shape[2:], dtype_of(g), True)
    attributes = {**placed, "count_include_pad": 1, "ceil_mode": ceil_mode}
    spread = _average_grad(raw.Mul(_norm_share(g, y, p), counts), x, attributes)
    return (raw.Mul(_norm_slope(x, p), spread),)
