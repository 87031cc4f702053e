"""GridSample, written with simpler operators, through which its gradient goes.

Jaderberg et al., "Spatial transformer networks", 2015: every output pixel reads the input at a place that the grid
gives, in coordinates from -1 to 1 along each axis.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from nngraph.errors import unknown_name
from nngraph.ops.axes import ints, reshaped, scalar, sizes
from nngraph.ops.core import dtype_of, shape_vector, type_of
from nngraph.ops.vjp import raw, vjp_through
from nngraph.ops.windows import are_known

__all__ = ["linear_taps", "picked"]

Tap = tuple[Any, Any]


_CUBIC = -0.75
"""Keys's parameter, as ONNX fixes it for this operator."""


def _pixel(u: Any, size: int, align_corners: int) -> Any:
    """Return the place on an axis of ``size`` pixels of a coordinate from -1 to 1."""
    if align_corners:
        return raw.Mul(raw.Add(u, 1), (size - 1) / 2)
    return raw.Mul(raw.Sub(raw.Mul(raw.Add(u, 1), size), 1), 0.5)


def _folded(place: Any, size: int, align_corners: int, padding_mode: str) -> Any:
    """Return places outside of an axis as places inside, as the padding mode says."""
    if padding_mode == "zeros":
        return place
    low, high = (0.0, size - 1.0) if align_corners else (-0.5, size - 0.5)
    if padding_mode == "reflection" and high > low:
        # A triangle wave of period 2 (high - low).
        span = high - low
        phase = raw.Mod(raw.Abs(raw.Sub(place, low)), scalar(2 * span, place), fmod=1)
        place = raw.Add(raw.Sub(span, raw.Abs(raw.Sub(phase, span))), low)
    return raw.Clip(place, scalar(0, place), scalar(size - 1, place))


def _taps(u: Any, size: int, mode: str, align_corners: int, padding_mode: str) -> list[Tap]:
    """Return for coordinates on an axis the neighbours, as whole floats, and their weights (``None`` for 1)."""
    place = _pixel(u, size, align_corners)
    if mode == "cubic":  # here the neighbours are folded, not the place
        return [(_folded(at, size, align_corners, padding_mode), share) for at, share in _cubic_taps(place)]
    place = _folded(place, size, align_corners, padding_mode)
    return [(raw.Round(place), None)] if mode == "nearest" else linear_taps(place)


def linear_taps(place: Any) -> list[Tap]:
    """Return the two neighbours of places, as whole floats, and their weights."""
    low = raw.Floor(place)
    part = raw.Sub(place, low)
    return [(low, raw.Sub(1, part)), (raw.Add(low, 1), part)]


def _cubic_taps(place: Any) -> list[Tap]:
    """The four neighbours of places and their weights.

    Keys, "Cubic convolution interpolation for digital image processing", 1981.
    """
    low = raw.Floor(place)
    part = raw.Sub(place, low)
    rest = raw.Sub(1, part)

    def inner(d: Any) -> Any:
        return raw.Add(raw.Mul(raw.Sub(raw.Mul(d, _CUBIC + 2), _CUBIC + 3), raw.Mul(d, d)), 1)

    def outer(d: Any) -> Any:
        found = raw.Add(raw.Mul(raw.Sub(raw.Mul(d, _CUBIC), 5 * _CUBIC), d), 8 * _CUBIC)
        return raw.Sub(raw.Mul(found, d), 4 * _CUBIC)

    shares = (outer(raw.Add(part, 1)), inner(part), inner(rest), outer(raw.Add(rest, 1)))
    return [(raw.Add(low, k - 1), share) for k, share in enumerate(shares)]


@vjp_through("GridSample")
def _(x: Any, grid: Any, *, align_corners: int = 0, mode: str = "linear", padding_mode: str = "zeros") -> Any:
    mode = {"bilinear": "linear", "bicubic": "cubic"}.get(mode, mode)
    if mode not in ("linear", "nearest", "cubic"):
        raise unknown_name("mode of GridSample", mode, ("linear", "nearest", "cubic"))
    image: Any = type_of(x).shape[2:]
    if not are_known(image) or not isinstance(type_of(x).shape[1], int):
        raise ValueError(f"GridSample needs a known image to be differentiated, got {type_of(x)}")
    rank = len(image)
    batch, channels = sizes(x)[:2]
    steps = sizes(grid)[1:-1]
    points = reshaped(grid, [batch, -1, rank])
    axes = []
    for k, size in enumerate(image):
        # The grid names the last axis first.
        u = raw.Squeeze(raw.Slice(points, ints(rank - 1 - k), ints(rank - k), ints(2)), ints(2))
        axes.append(_taps(u, size, mode, align_corners, padding_mode))
    flat = reshaped(x, [batch, channels, prod(image)])
    total: Any = None
    for corner in itertools.product(*axes):
        value = picked(flat, corner, image)
        total = value if total is None else raw.Add(total, value)
    return raw.Reshape(total, shape_vector([batch, channels, *steps]))


def picked(flat: Any, corner: Sequence[Tap], image: Sequence[int]) -> Any:
    """Return the weighted pixels at one neighbour of every point: (batch, channels, points).

    Args:
        flat: the images, (batch, channels, pixels).
        corner: for each axis of the image the place of the neighbour, whole floats (batch, points), and its weight.
        image: the sizes of the image; a neighbour outside of it gives zero.
    """
    dtype = dtype_of(flat)
    place: Any = None
    weight: Any = None
    for (at, share), size in zip(corner, image, strict=True):
        inside = raw.And(raw.GreaterOrEqual(at, scalar(0, at)), raw.LessOrEqual(at, scalar(size - 1, at)))
        factor = raw.Cast(inside, to=dtype)
        factor = factor if share is None else raw.Mul(factor, share)
        index = raw.Cast(raw.Clip(at, scalar(0, at), scalar(size - 1, at)), to="int64")
        place = index if place is None else raw.Add(raw.Mul(place, np.int64(size)), index)
        weight = factor if weight is None else raw.Mul(weight, factor)
    target = raw.Concat(raw.Shape(flat, end=2), raw.Shape(place, start=1), axis=0)
    pixels = raw.GatherElements(flat, raw.Expand(raw.Unsqueeze(place, ints(1)), target), axis=2)
    return raw.Mul(pixels, raw.Unsqueeze(weight, ints(1)))
