"""RoiAlign and MaxRoiPool, written with simpler operators, through which their gradients go.

He et al., "Mask R-CNN", 2017, and Girshick, "Fast R-CNN", 2015. A region of an image is divided into bins; each bin's
result is the mean or the maximum over some pixels or places between pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nngraph.errors import unknown_name
from nngraph.ir import numpy_dtype
from nngraph.ops.axes import ints, reshaped, scalar, sizes
from nngraph.ops.core import dtype_of
from nngraph.ops.float64_forms import float64_form
from nngraph.ops.vjp import raw, through_form, vjp_through
from nngraph.registry import op_def

__all__: list[str] = []


def _float(size: Any, like: Any) -> Any:
    """A size as a number of a tensor's dtype."""
    return scalar(size, like) if isinstance(size, int) else raw.Cast(size, to=dtype_of(like))


def _int(size: Any) -> Any:
    return np.asarray(size, np.int64) if isinstance(size, int) else raw.Cast(size, to="int64")


def _numbers(count: Any, like: Any) -> Any:
    """0, 1, 2, ... below a count that is a number or a scalar int64 tensor, as floats."""
    if isinstance(count, int):
        return np.arange(count, dtype=numpy_dtype(dtype_of(like)))
    numbers = raw.Range(np.asarray(0, np.int64), count, np.asarray(1, np.int64))
    return raw.Cast(numbers, to=dtype_of(like))


def _column(table: Any, k: int) -> Any:
    """One column of a matrix as (rows, 1, 1), which broadcasts over bins and places in a bin."""
    return raw.Unsqueeze(raw.Gather(table, np.asarray(k, np.int64), axis=1), ints(1, 2))


def _pixel_rows(x: Any) -> Any:
    """Images (batch, channels, height, width) as rows of channels, one a pixel."""
    batch, channels, height, width = sizes(x)
    target = [-1, channels] if isinstance(channels, int) else [batch * height * width, channels]
    return reshaped(raw.Transpose(x, perm=(0, 2, 3, 1)), target)


def _picked(rows: Any, x: Any, batch: Any, y: Any, x_places: Any) -> Any:
    """The pixels at places y (regions, bins, places) and x: (regions, bins, places, bins, places, channels)."""
    height, width = (_int(size) for size in sizes(x)[2:])
    top = raw.Add(raw.Mul(batch, height), raw.Cast(y, to="int64"))
    line = raw.Unsqueeze(raw.Mul(top, width), ints(3, 4))
    return raw.Gather(rows, raw.Add(line, raw.Unsqueeze(raw.Cast(x_places, to="int64"), ints(1, 2))), axis=0)


def _crossed(y: Any, x_factor: Any) -> Any:
    """What belongs to places y and what belongs to places x, shaped to meet in one product."""
    return raw.Unsqueeze(y, ints(3, 4, 5)), raw.Unsqueeze(x_factor, ints(1, 2, 5))


def _channels_first(y: Any) -> Any:
    return raw.Transpose(y, perm=(0, 3, 1, 2))


# -- RoiAlign -------------------------------------------------------------------------------------------------------


def _axis_samples(start: Any, extent: Any, bins: int, ratio: int, size: Any) -> tuple[list[Any], Any, Any]:
    """Return for one axis both neighbours of each place with their weights, which places there are, and how many."""
    step = raw.Div(extent, scalar(bins, extent))
    if ratio:
        count: Any = scalar(ratio, extent)
        k = _numbers(ratio, extent).reshape(1, 1, -1)
        there = None
    else:  # as many places as the region has pixels
        count = raw.Ceil(step)
        most = raw.Cast(raw.Max(raw.ReduceMax(count, keepdims=0), scalar(1, extent)), to="int64")
        k = raw.Unsqueeze(_numbers(most, extent), ints(0, 1))
        there = raw.Less(k, count)
        count = raw.Max(count, scalar(1, extent))
    share = raw.Div(raw.Add(k, 0.5), count)
    along = raw.Add(share, np.arange(bins, dtype=numpy_dtype(dtype_of(extent))).reshape(1, -1, 1))
    place = raw.Add(raw.Mul(along, step), start)
    limit = _float(size, place)
    inside = raw.And(raw.GreaterOrEqual(place, scalar(-1, place)), raw.LessOrEqual(place, limit))
    last = raw.Sub(limit, 1)
    place = raw.Min(raw.Max(place, scalar(0, place)), last)
    low = raw.Floor(place)
    part = raw.Sub(place, low)
    factor = raw.Cast(inside, to=dtype_of(place))
    taps = [(low, raw.Mul(raw.Sub(1, part), factor)), (raw.Min(raw.Add(low, 1), last), raw.Mul(part, factor))]
    return taps, there, count


@vjp_through("RoiAlign")
def _roi_align(
    x: Any,
    rois: Any,
    batch_indices: Any,
    *,
    coordinate_transformation_mode: str = "half_pixel",
    mode: str = "avg",
    output_height: int = 1,
    output_width: int = 1,
    sampling_ratio: int = 0,
    spatial_scale: float = 1.0,
) -> Any:
    if mode not in ("avg", "max"):
        raise unknown_name("mode of RoiAlign", mode, ("avg", "max"))
    half = coordinate_transformation_mode == "half_pixel"
    corners = raw.Mul(rois, spatial_scale)
    corners = raw.Sub(corners, 0.5) if half else corners
    axes = []
    for first, bins, size in ((1, output_height, sizes(x)[2]), (0, output_width, sizes(x)[3])):
        start = _column(corners, first)
        extent = raw.Sub(_column(corners, first + 2), start)
        extent = extent if half else raw.Max(extent, scalar(1, extent))
        axes.append(_axis_samples(start, extent, bins, sampling_ratio, size))
    (ys, y_there, y_count), (xs, x_there, x_count) = axes
    batch = raw.Unsqueeze(raw.Cast(batch_indices, to="int64"), ints(1, 2))
    rows = _pixel_rows(x)
    taps = [raw.Mul(_picked(rows, x, batch, y, u), raw.Mul(*_crossed(wy, wx))) for y, wy in ys for u, wx in xs]
    there = None if y_there is None else raw.And(*_crossed(y_there, x_there))
    if mode == "max":  # over the weighted neighbours, as the runtime does
        return _channels_first(_maximum(raw.Max(*taps), there))
    total = raw.Sum(*taps)
    if there is not None:
        total = raw.Mul(total, raw.Cast(there, to=dtype_of(total)))
    total = raw.ReduceSum(total, ints(2, 4), keepdims=0)
    number = raw.Mul(y_count, x_count)
    return _channels_first(raw.Div(total, number if number.shape == () else raw.Unsqueeze(number, ints(3))))


def _maximum(values: Any, there: Any) -> Any:
    """The largest value of each bin among those that are there, and 0 where none is."""
    if there is None:
        return raw.ReduceMax(values, ints(2, 4), keepdims=0)
    lowest = np.asarray(np.finfo(numpy_dtype(dtype_of(values))).min)
    found = raw.ReduceMax(raw.Where(there, values, lowest), ints(2, 4), keepdims=0)
    return raw.Where(raw.Greater(found, lowest), found, scalar(0, found))


# -- MaxRoiPool -----------------------------------------------------------------------------------------------------


def _rounded(x: Any) -> Any:
    """Round halves away from zero."""
    return raw.Mul(raw.Sign(x), raw.Floor(raw.Add(raw.Abs(x), 0.5)))


def _axis_pixels(start: Any, end: Any, bins: int, size: Any) -> tuple[Any, Any]:
    """Return for one axis the pixels of each bin (regions, bins, pixels), and which of them there are."""
    step = raw.Div(raw.Max(raw.Add(raw.Sub(end, start), 1), scalar(1, start)), scalar(bins, start))
    numbers = np.arange(bins, dtype=numpy_dtype(dtype_of(start))).reshape(1, -1, 1)
    limit = _float(size, start)

    def kept(place: Any) -> Any:
        return raw.Min(raw.Max(raw.Add(place, start), scalar(0, start)), limit)

    first = kept(raw.Floor(raw.Mul(step, numbers)))
    behind = kept(raw.Ceil(raw.Mul(step, numbers + 1)))
    most = raw.Max(raw.ReduceMax(raw.Sub(behind, first), keepdims=0), scalar(1, start))
    pixels = raw.Add(first, raw.Unsqueeze(_numbers(raw.Cast(most, to="int64"), start), ints(0, 1)))
    return raw.Min(pixels, raw.Sub(limit, 1)), raw.Less(pixels, behind)


@float64_form("MaxRoiPool")
def _(x: Any, rois: Any, *, pooled_shape: Sequence[int], spatial_scale: float = 1.0) -> Any:
    batch = raw.Cast(_column(rois, 0), to="int64")
    x1, y1, x2, y2 = (_rounded(raw.Mul(_column(rois, k), spatial_scale)) for k in (1, 2, 3, 4))
    height, width = sizes(x)[2:]
    ys, y_there = _axis_pixels(y1, y2, pooled_shape[0], height)
    xs, x_there = _axis_pixels(x1, x2, pooled_shape[1], width)
    return _channels_first(_maximum(_picked(_pixel_rows(x), x, batch, ys, xs), raw.And(*_crossed(y_there, x_there))))


op_def("MaxRoiPool").vjp = through_form
