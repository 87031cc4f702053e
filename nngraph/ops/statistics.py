"""Statistics that leave out NaN, histograms, and what numpy computes over neighbours and pairs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nngraph.errors import unknown_name
from nngraph.ir import is_float
from nngraph.ops.axes import axes_of, axis_of, ints, rank, reshaped, scalar, sizes, sliced, to_float
from nngraph.ops.core import convert, dtype_of, promote
from nngraph.ops.creation import linspace
from nngraph.ops.dispatch import public
from nngraph.ops.elementwise import clip, isnan, logical_xor, maximum, where
from nngraph.ops.products import matmul
from nngraph.ops.reduction import all as all_over
from nngraph.ops.reduction import argmax, argmin, cumprod, cumsum, mean, prod
from nngraph.ops.reduction import max as max_over
from nngraph.ops.reduction import min as min_over
from nngraph.ops.reduction import sum as sum_over
from nngraph.ops.shapes import flip, moveaxis, stack, transpose
from nngraph.ops.sorting import METHODS, between_ranks, sort
from nngraph.ops.trace import apply

__all__ = [
    "cdist",
    "corrcoef",
    "correlate",
    "cross",
    "diff",
    "histogram",
    "nanargmax",
    "nanargmin",
    "nancumprod",
    "nancumsum",
    "nanmax",
    "nanmean",
    "nanmedian",
    "nanmin",
    "nanpercentile",
    "nanprod",
    "nanquantile",
    "nanstd",
    "nansum",
    "nanvar",
    "trapezoid",
    "vander",
]


# -- without what is not a number -----------------------------------------------------------------------------------


def _replaced(x: Any, number: float) -> Any:
    """Return the tensor with NaN replaced."""
    t = convert(x)
    return where(isnan(t), scalar(number, t), t) if is_float(dtype_of(t)) else t


def _present(x: Any, axis: Any, keepdims: bool) -> Any:
    """Return how many numbers there are, in the tensor's floating dtype."""
    return sum_over(convert(apply("Not", isnan(x)), dtype_of(x)), axis, keepdims)


@public
def nansum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the sum over axes, NaN counting as 0."""
    return sum_over(_replaced(x, 0), axis, keepdims)


@public
def nanprod(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the product over axes, NaN counting as 1."""
    return prod(_replaced(x, 1), axis, keepdims)


@public
def nancumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Return the running sum, NaN counting as 0."""
    return cumsum(_replaced(x, 0), axis, dtype)


@public
def nancumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Return the running product, NaN counting as 1."""
    return cumprod(_replaced(x, 1), axis, dtype)


@public
def nanmean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the mean over axes of what is not NaN; NaN where nothing is left."""
    t = to_float(x)
    return apply("Div", nansum(t, axis, keepdims), _present(t, axis, keepdims))


@public
def nanvar(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the variance over axes of what is not NaN."""
    t = to_float(x)
    centered = apply("Sub", t, nanmean(t, axis, keepdims=True))
    return nanmean(apply("Mul", centered, centered), axis, keepdims)


@public
def nanstd(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the standard deviation over axes of what is not NaN."""
    return apply("Sqrt", nanvar(x, axis, keepdims))


def _extreme(x: Any, axis: Any, keepdims: bool, sign: int) -> Any:
    t = convert(x)
    over = max_over if sign > 0 else min_over
    if not is_float(dtype_of(t)):
        return over(t, axis, keepdims)
    found = over(_replaced(t, -sign * math.inf), axis, keepdims)
    return where(all_over(isnan(t), axis, keepdims), scalar(math.nan, t), found)


@public
def nanmax(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the largest element over axes, NaN left out."""
    return _extreme(x, axis, keepdims, 1)


@public
def nanmin(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the smallest element over axes, NaN left out."""
    return _extreme(x, axis, keepdims, -1)


def _arg_extreme(x: Any, axis: Any, keepdims: bool, sign: int) -> Any:
    t = convert(x)
    arg = argmax if sign > 0 else argmin
    found = arg(_replaced(t, -sign * math.inf), axis, keepdims)
    return where(all_over(isnan(t), axis, keepdims), np.int32(-1), found) if is_float(dtype_of(t)) else found


@public
def nanargmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """Return the index of the largest element, NaN left out; -1 where nothing is left."""
    return _arg_extreme(x, axis, keepdims, 1)


@public
def nanargmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """Return the index of the smallest element, NaN left out; -1 where nothing is left."""
    return _arg_extreme(x, axis, keepdims, -1)


@public
def nanquantile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
    """Return the values below which given fractions of what is not NaN lie; see :func:`quantile`."""
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    t = to_float(x)
    axes = axes_of(axis, rank(t), "nanquantile")
    rest = [k for k in range(rank(t)) if k not in axes]
    fractions, dims = convert(q, dtype_of(t)), sizes(t)
    flat = reshaped(transpose(t, axes + rest), [-1, *(dims[k] for k in rest)])
    ordered = sort(_replaced(flat, math.inf), 0)
    count = _present(flat, 0, False)
    column = reshaped(fractions, [-1, *[1] * len(rest)])
    last = maximum(apply("Sub", count, scalar(1, t)), scalar(0, t))
    place = apply("Mul", column, apply("Unsqueeze", last, ints(0)))
    found = between_ranks(lambda at: apply("GatherElements", ordered, at, axis=0), place, method)
    found = where(apply("Equal", count, scalar(0, t)), scalar(math.nan, t), found)
    kept = [dims[k] if k in rest else 1 for k in range(rank(t))] if keepdims else [dims[k] for k in rest]
    return reshaped(found, [*sizes(fractions), *kept])


@public
def nanpercentile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
    """Return the values below which given percentages of what is not NaN lie; see :func:`quantile`."""
    t = to_float(x)
    return nanquantile(t, apply("Div", convert(q, dtype_of(t)), scalar(100, t)), axis, method, keepdims)


@public
def nanmedian(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the middle of what is not NaN over axes."""
    return nanquantile(x, 0.5, axis, keepdims=keepdims)


# -- counting, neighbours, pairs ------------------------------------------------------------------------------------


@public
def histogram(x: Any, bins: int = 10, range: Any = None) -> Any:
    """Return how many elements fall into each of equally wide bins, and the edges of the bins.

    Args:
        x: a tensor.
        bins: how many bins.
        range: lowest and highest edge; the smallest and largest element by default. Other elements are left out.

    Returns:
        Counts of shape ``(bins,)`` and edges of shape ``(bins + 1,)``, floating.
    """
    t = reshaped(to_float(x), [-1])
    if range is None:
        low, high = min_over(t), max_over(t)
        flat = apply("Equal", low, high)
        half = scalar(0.5, t)
        low, high = where(flat, low - half, low), where(flat, high + half, high)
    else:
        low, high = scalar(range[0], t), scalar(range[1], t)
    edges = linspace(low, high, bins + 1)
    column = apply("Unsqueeze", t, ints(1))
    above = apply("GreaterOrEqual", column, sliced(edges, 0, 0, bins))
    below = apply("Less", column, sliced(edges, 0, 1))
    # The last bin holds its upper edge too.
    last = np.arange(bins) == bins - 1
    below = apply("Or", below, apply("And", apply("Equal", column, sliced(edges, 0, bins)), last))
    inside = apply("And", above, below)
    return sum_over(convert(inside, dtype_of(t)), 0), edges


@public
def diff(a: Any, n: int = 1, axis: int = -1) -> Any:
    """Return the differences of neighbours along an axis, taken ``n`` times."""
    t = convert(a)
    axis = axis_of(axis, rank(t), "diff")
    for _ in np.arange(n):
        later, earlier = sliced(t, axis, 1), sliced(t, axis, None, -1)
        t = logical_xor(later, earlier) if dtype_of(t) == "bool" else apply("Sub", later, earlier)
    return t


@public
def trapezoid(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Any:
    """Return the integral along an axis by the trapezoidal rule, at places ``x`` or at a distance ``dx``."""
    t = moveaxis(to_float(y), axis, -1)
    last = rank(t) - 1
    heights = apply("Add", sliced(t, last, 1), sliced(t, last, None, -1))
    if x is None:
        widths: Any = scalar(dx, t)
    else:
        places = convert(x, dtype_of(t))
        widths = diff(places if rank(places) == 1 else moveaxis(places, axis, -1))
    return apply("Mul", sum_over(apply("Mul", heights, widths), -1), scalar(0.5, t))


@public
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """Return the matrix whose columns are powers of a vector, the highest first."""
    t = convert(x)
    count = t.shape[0] if N is None else N
    if not isinstance(count, int):
        raise ValueError(f"vander: the vector's size is {count!r}, known only at run time; give N=")
    powers = [apply("Add", apply("Mul", t, scalar(0, t)), scalar(1, t))]
    while len(powers) < count:
        powers.append(apply("Mul", powers[-1], t))
    return stack(powers[:count] if increasing else powers[:count][::-1], 1)


@public
def cross(x1: Any, x2: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """Return the vector product over an axis of size 3 (or 2, of which the third component is 0)."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = promote(x1, x2)
    left, right = _components(a, axisa), _components(b, axisb)

    def minor(i: int, j: int) -> Any:
        return apply("Sub", apply("Mul", left[i], right[j]), apply("Mul", left[j], right[i]))

    if len(left) == len(right) == 2:
        return minor(0, 1)
    zero = scalar(0, a)
    left, right = [*left, zero][:3], [*right, zero][:3]
    return stack([minor(1, 2), minor(2, 0), minor(0, 1)], axisc)


def _components(t: Any, axis: int) -> list[Any]:
    axis = axis_of(axis, rank(t), "cross")
    size = t.shape[axis]
    if size not in (2, 3):
        raise ValueError(f"cross: axis {axis} of shape {tuple(t.shape)} must have size 2 or 3")
    return [apply("Squeeze", sliced(t, axis, k, k + 1), ints(axis)) for k in np.arange(size).tolist()]


@public
def correlate(x1: Any, x2: Any, mode: str = "valid") -> Any:
    """Return the sums of products of two vectors, the second moved along the first.

    Args:
        x1: a vector.
        x2: a vector of known size.
        mode: ``"valid"``: where they overlap fully; ``"same"``: as many as the longer has; ``"full"``: all.
    """
    if mode not in ("valid", "same", "full"):
        raise ValueError(f"correlate: mode must be 'valid', 'same' or 'full', got {mode!r}")
    a, b = promote(x1, x2, to_float=True)
    n, m = a.shape[0], b.shape[0]
    if not isinstance(m, int):
        raise ValueError(f"correlate: the size of x2 is {m!r}, known only at run time")
    if isinstance(n, int) and n < m and mode != "full":
        return flip(correlate(b, a, mode), 0)
    before = {"valid": 0, "same": m // 2, "full": m - 1}[mode]
    after = {"valid": 0, "same": (m - 1) // 2, "full": m - 1}[mode]
    signal, kernel = apply("Unsqueeze", a, ints(0, 1)), apply("Unsqueeze", b, ints(0, 1))
    return apply("Squeeze", apply("Conv", signal, kernel, pads=(before, after)), ints(0, 1))


@public
def corrcoef(x: Any) -> Any:
    """Return the correlation coefficients of the rows of a matrix with each other."""
    t = to_float(x)
    rows = t if rank(t) == 2 else apply("Reshape", t, ints(1, -1))
    centered = apply("Sub", rows, mean(rows, 1, keepdims=True))
    products = matmul(centered, transpose(centered))
    lengths = apply("Sqrt", sum_over(apply("Mul", centered, centered), 1, keepdims=True))
    found = apply("Div", products, apply("Mul", lengths, transpose(lengths)))
    found = clip(found, -1.0, 1.0)
    return found if rank(t) == 2 else apply("Reshape", found, ints())


@public
def cdist(x: Any, y: Any) -> Any:
    """Return the Euclidean distances of each row of the first to each row of the second: (..., n, d), (..., m, d)."""
    a, b = promote(x, y, to_float=True)
    apart = apply("Sub", apply("Unsqueeze", a, ints(-2)), apply("Unsqueeze", b, ints(-3)))
    return apply("ReduceL2", apart, ints(-1), keepdims=0)
