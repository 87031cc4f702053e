"""Convolution and pooling in double precision, made of slices and matrix products; see ``float64_forms``."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import reduce
from math import prod
from typing import Any

import numpy as np

from nngraph.ops.axes import ints, reshaped, sizes
from nngraph.ops.core import shape, shape_vector, type_of
from nngraph.ops.float64_forms import float64_form
from nngraph.ops.vjp import raw
from nngraph.ops.windows import Window, are_known, dynamic_pads, pad_spatial, transposed_crops, window_counts

__all__ = ["weight_grad_by_matmul"]


def _padded(x: Any, window: Window) -> Any:
    if window.pads is not None:
        before, after = window.pads[: window.rank], window.pads[window.rank :]
        return pad_spatial(x, ints(*before), ints(*after)) if any(window.pads) else x
    pair = dynamic_pads(raw.Shape(x, start=2), window.kernel, window.strides, window.dilations)
    return pad_spatial(x, *(pair[::-1] if window.lower else pair))


def _taps(x: Any, window: Window) -> Iterator[Any]:
    """Yield, for each place of the window, the pixels of a padded x that it sees: (batch, channels, windows...).

    The end is counted from the end of the axis, which gives the right number of windows whatever the axis' size.
    """
    end = np.iinfo(np.int64).max
    axes = ints(*range(2, window.rank + 2))
    for place in itertools.product(*(range(k) for k in window.kernel)):
        starts = [p * d for p, d in zip(place, window.dilations, strict=True)]
        ends = [s - e + 1 if e - 1 - s else end for s, e in zip(starts, window.extent, strict=True)]
        yield raw.Slice(x, ints(*starts), ints(*ends), axes, ints(*window.strides))


def _columns(x: Any, window: Window, group: int) -> tuple[Any, Any]:
    """Return the windows as columns (batch, group, places * channels / group, windows), and one tap."""
    channels: Any = type_of(x).shape[1]
    taps = list(_taps(_padded(x, window), window))
    parts = [raw.Reshape(t, ints(0, group, channels // group, -1)) for t in taps]
    return (raw.Concat(*parts, axis=2) if len(parts) > 1 else parts[0]), taps[0]


def _conv(x: Any, w: Any, window: Window, group: int) -> Any:
    shape_of_w: Any = type_of(w).shape
    filters, inner = shape_of_w[:2]
    places = prod(window.kernel)
    flat = raw.Transpose(raw.Reshape(w, ints(group, -1, inner, places)), perm=(0, 1, 3, 2))
    columns, tap = _columns(x, window, group)
    y = raw.MatMul(raw.Reshape(flat, ints(group, -1, inner * places)), columns)
    return reshaped(y, [sizes(x)[0], filters, *shape(tap)[2:]])


def weight_grad_by_matmul(x: Any, g: Any, window: Window, group: int) -> Any:
    """Return the gradient of a convolution's kernel as one matrix product for each group."""
    channels: Any = type_of(x).shape[1]
    filters: Any = type_of(g).shape[1]
    columns, _ = _columns(x, window, group)
    # (group, batch * windows, places * channels / group), and g likewise on the other side.
    right = raw.Transpose(columns, perm=(1, 0, 3, 2))
    right = raw.Reshape(right, ints(group, -1, prod(window.kernel) * channels // group))
    left = raw.Transpose(raw.Reshape(g, ints(0, group, filters // group, -1)), perm=(1, 2, 0, 3))
    left = raw.Reshape(left, ints(group, filters // group, -1))
    flat = raw.Reshape(raw.MatMul(left, right), ints(filters, prod(window.kernel), channels // group))
    return raw.Reshape(raw.Transpose(flat, perm=(0, 2, 1)), ints(filters, channels // group, *window.kernel))


def _with_bias(y: Any, b: Any) -> Any:
    return y if b is None else raw.Add(y, raw.Unsqueeze(b, ints(*range(1, type_of(y).rank - 1))))


@float64_form("Conv")
def _(
    x: Any,
    w: Any,
    b: Any = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Any = None,
    group: int = 1,
    kernel_shape: Any = None,
    pads: Any = None,
    strides: Any = None,
) -> Any:
    kernel: Any = type_of(w).shape[2:]
    if not all(isinstance(d, int) for d in kernel):
        raise ValueError(f"Conv in float64 needs a kernel of known size, got {type_of(w)}")
    window = Window(kernel, strides, dilations, pads, auto_pad, sizes=type_of(x).shape[2:])
    return _with_bias(_conv(x, w, window, group), b)


def _spaced(x: Any, axis: int, stride: int) -> Any:
    """Put ``stride - 1`` zeros after every pixel of an axis."""
    if stride == 1:
        return x
    apart = raw.Unsqueeze(x, ints(axis + 1))
    rank = type_of(apart).rank
    filled = raw.Pad(apart, ints(*[0] * (rank + axis + 1), stride - 1, *[0] * (rank - axis - 2)))
    target = sizes(x)
    target[axis] = -1
    return raw.Reshape(filled, shape_vector(target))


@float64_form("ConvTranspose")
def _(
    x: Any,
    w: Any,
    b: Any = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Any = None,
    group: int = 1,
    kernel_shape: Any = None,
    output_padding: Any = None,
    output_shape: Any = None,
    pads: Any = None,
    strides: Any = None,
) -> Any:
    kernel: Any = type_of(w).shape[2:]
    window = Window(kernel, strides, dilations, pads)
    rank = window.rank
    head, tail = transposed_crops(window, type_of(x).shape[2:], auto_pad, output_padding, output_shape)
    before = [e - 1 - c for e, c in zip(window.extent, head, strict=True)]
    # Every pixel is followed by stride - 1 zeros, the last one too.
    after = [e - s - c for e, s, c in zip(window.extent, window.strides, tail, strict=True)]
    for k, stride in enumerate(window.strides):
        x = _spaced(x, k + 2, stride)
    shape_of_w: Any = type_of(w).shape
    inner, filters = shape_of_w[:2]
    turned = raw.Reshape(w, ints(group, inner // group, filters, *kernel))
    turned = raw.Transpose(turned, perm=(0, 2, 1, *range(3, rank + 3)))
    turned = raw.Reshape(turned, ints(-1, inner // group, *kernel))
    lowest = np.iinfo(np.int64).min
    axes = ints(*range(2, rank + 2))
    flipped = raw.Slice(turned, ints(*[-1] * rank), ints(*[lowest] * rank), axes, ints(*[-1] * rank))
    plain = Window(kernel, None, window.dilations)
    return _with_bias(_conv(pad_spatial(x, ints(*before), ints(*after)), flipped, plain, group), b)


# -- pooling --------------------------------------------------------------------------------------------------------


def _windows_of(x: Any, attributes: dict[str, Any]) -> tuple[Window, Window]:
    """Return a pooling's windows, and the same with padding grown so that the last one is whole."""
    placing = {k: attributes.get(k) for k in ("strides", "dilations", "pads")}
    image: Any = type_of(x).shape[2:]
    auto_pad = attributes.get("auto_pad", "NOTSET")
    if auto_pad == "VALID":
        placing["pads"], auto_pad = None, "NOTSET"
    window = Window(attributes["kernel_shape"], **placing, auto_pad=auto_pad, sizes=image)
    if not attributes.get("ceil_mode"):
        return window, window
    if window.pads is None or not are_known(image):
        raise ValueError(f"pooling in float64 with ceil_mode needs known sizes, got {type_of(x)}")
    before, after = window.pads[: window.rank], window.pads[window.rank :]
    steps = []
    for n, b, a, e, s in zip(image, before, after, window.extent, window.strides, strict=True):
        count = -(-(n + b + a - e) // s) + 1
        # A window that would start behind the image does not exist.
        steps.append(count - 1 if (count - 1) * s >= n + b else count)
    grown = tuple(max(a, r) for a, r in zip(after, window.reach(image, steps), strict=True))
    return window, Window(window.kernel, window.strides, window.dilations, (*before, *grown))


def _sum_of_taps(x: Any, window: Window) -> Any:
    return reduce(raw.Add, _taps(_padded(x, window), window))


@float64_form("AveragePool")
def _(x: Any, *, count_include_pad: int = 0, **attributes: Any) -> Any:
    window, whole = _windows_of(x, attributes)
    total = _sum_of_taps(x, whole)
    image: Any = type_of(x).shape[2:]
    image = image if are_known(image) else raw.Shape(x, start=2)
    counts = window_counts(window, image, type_of(total).shape[2:], "float64", bool(count_include_pad))
    return raw.Div(total, counts)


@float64_form("LpPool")
def _(x: Any, *, p: int = 2, **attributes: Any) -> Any:
    _, whole = _windows_of(x, attributes)
    power = np.asarray(float(p))
    return raw.Pow(_sum_of_taps(raw.Pow(raw.Abs(x), power), whole), 1 / power)


def _spatial_axes(x: Any) -> Any:
    return ints(*range(2, type_of(x).rank))


@float64_form("GlobalAveragePool")
def _(x: Any) -> Any:
    return raw.ReduceMean(x, _spatial_axes(x), keepdims=1)


@float64_form("GlobalMaxPool")
def _(x: Any) -> Any:
    return raw.ReduceMax(x, _spatial_axes(x), keepdims=1)


@float64_form("GlobalLpPool")
def _(x: Any, *, p: int = 2) -> Any:
    power = np.asarray(float(p))
    return raw.Pow(raw.ReduceSum(raw.Pow(raw.Abs(x), power), _spatial_axes(x), keepdims=1), 1 / power)
