"""GridSample, written with simpler operators, through which its gradient goes.

Jaderberg et al., "Spatial transformer networks", 2015: every output pixel reads the input at a place that the grid
gives, in coordinates from -1 to 1 along each axis.
"""

from __future__ import annotations

import itertools
from math import prod
from typing import Any

import numpy as np

from nngraph.errors import unknown_name
from nngraph.ops.axes import ints, reshaped, scalar, sizes
from nngraph.ops.core import dtype_of, shape_vector, type_of
from nngraph.ops.vjp import raw, vjp_through
from nngraph.ops.windows import are_known

__all__: list[str] = []


def _pixels(u: Any, size: int, align_corners: int, padding_mode: str) -> Any:
    """Return the place on an axis of ``size`` pixels of a coordinate from -1 to 1."""
    if align_corners:
        place, low, high = raw.Mul(raw.Add(u, 1), (size - 1) / 2), 0.0, size - 1.0
    else:
        place, low, high = raw.Mul(raw.Sub(raw.Mul(raw.Add(u, 1), size), 1), 0.5), -0.5, size - 0.5
    if padding_mode == "zeros":
        return place
    if padding_mode == "reflection" and high > low:
        # A triangle wave of period 2 (high - low).
        span = high - low
        phase = raw.Mod(raw.Abs(raw.Sub(place, low)), scalar(2 * span, u), fmod=1)
        place = raw.Add(raw.Sub(span, raw.Abs(raw.Sub(phase, span))), low)
    return raw.Clip(place, scalar(0, u), scalar(size - 1, u))


def _taps(place: Any, mode: str) -> list[tuple[Any, Any]]:
    """Return the neighbours of places on an axis, as whole floats, and their weights (``None`` for 1)."""
    if mode == "nearest":
        return [(raw.Round(place), None)]
    low = raw.Floor(place)
    part = raw.Sub(place, low)
    return [(low, raw.Sub(1, part)), (raw.Add(low, 1), part)]


@vjp_through("GridSample")
def _(x: Any, grid: Any, *, align_corners: int = 0, mode: str = "linear", padding_mode: str = "zeros") -> Any:
    mode = {"bilinear": "linear", "bicubic": "cubic"}.get(mode, mode)
    if mode not in ("linear", "nearest"):
        raise unknown_name("differentiable mode of GridSample", mode, ("linear", "nearest"))
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
        axes.append(_taps(_pixels(u, size, align_corners, padding_mode), mode))
    flat = reshaped(x, [batch, channels, prod(image)])
    total: Any = None
    for corner in itertools.product(*axes):
        value = _corner(flat, corner, image)
        total = value if total is None else raw.Add(total, value)
    return raw.Reshape(total, shape_vector([batch, channels, *steps]))


def _corner(flat: Any, corner: tuple[tuple[Any, Any], ...], image: tuple[int, ...]) -> Any:
    """Return the weighted pixels at one neighbour of every point: (batch, channels, points)."""
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
    picked = raw.GatherElements(flat, raw.Expand(raw.Unsqueeze(place, ints(1)), target), axis=2)
    return raw.Mul(picked, raw.Unsqueeze(weight, ints(1)))
