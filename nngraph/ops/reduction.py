"""Many numbers to few: sums, extremes, statistics and running totals, as in ``keras.ops``."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngraph.ir import standardize_dtype
from nngraph.ops.axes import axes_of, axis_of, ints, rank, reshaped, scalar, sizes, to_float, widened
from nngraph.ops.core import convert, dtype_of, promote, stop_gradient
from nngraph.ops.dispatch import public
from nngraph.ops.elementwise import isfinite, maximum, minimum, not_equal, where
from nngraph.ops.shapes import broadcast_to, ravel
from nngraph.ops.trace import apply

__all__ = [
    "all",
    "amax",
    "amin",
    "any",
    "argmax",
    "argmin",
    "average",
    "count_nonzero",
    "cumprod",
    "cumsum",
    "logsumexp",
    "max",
    "mean",
    "min",
    "prod",
    "ptp",
    "std",
    "sum",
    "var",
]


def reduced(op: str, t: Any, axis: Any, keepdims: bool, what: str) -> Any:
    """Apply a Reduce operator to a converted tensor."""
    axes = axes_of(axis, rank(t), what)
    if not axes and op not in ("ReduceSumSquare", "ReduceL1", "ReduceL2"):
        return t
    return apply(op, t, ints(*axes), keepdims=int(keepdims))


def _summable(x: Any) -> Any:
    """Return the tensor in the dtype in which its sum is given: narrow integers widen to 32 bits."""
    t = convert(x)
    dtype = dtype_of(t)
    wide = {"bool": "int32", "int8": "int32", "int16": "int32", "uint8": "uint32", "uint16": "uint32"}
    return convert(t, wide.get(dtype, dtype))


@public
def sum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the sum over axes (all by default); truth values and narrow integers give 32-bit integers.

    Args:
        x: a tensor.
        axis: one axis, several, or ``None`` for all.
        keepdims: leave summed axes with size 1.

    Example:
        >>> sum(np.float32([[1, 2], [3, 4]]), axis=0).tolist()
        [4.0, 6.0]
    """
    return reduced("ReduceSum", _summable(x), axis, keepdims, "sum")


@public
def prod(x: Any, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> Any:
    """Return the product over axes (all by default), in ``dtype`` if given."""
    t = _summable(x) if dtype is None else convert(x, standardize_dtype(dtype))
    return reduced("ReduceProd", t, axis, keepdims, "prod")


@public
def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the mean over axes (all by default); integers give float32."""
    return reduced("ReduceMean", to_float(x), axis, keepdims, "mean")


def _extreme(op: str, x: Any, axis: Any, keepdims: bool, initial: Any, what: str) -> Any:
    def reduce(t: Any) -> Any:
        return reduced(op, t, axis, keepdims, what)

    t = convert(x)
    narrow = dtype_of(t) not in ("int8", "uint8", "uint32")
    found = widened(reduce, t) if narrow else reduce(t)
    if initial is None:
        return found
    return maximum(found, initial) if op == "ReduceMax" else minimum(found, initial)


@public
def max(x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Any:
    """Return the largest element over axes (all by default), at least ``initial`` if given."""
    return _extreme("ReduceMax", x, axis, keepdims, initial, "max")


@public
def min(x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Any:
    """Return the smallest element over axes (all by default), at most ``initial`` if given."""
    return _extreme("ReduceMin", x, axis, keepdims, initial, "min")


@public
def amax(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the largest element over axes (all by default)."""
    return max(x, axis, keepdims)


@public
def amin(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the smallest element over axes (all by default)."""
    return min(x, axis, keepdims)


@public
def ptp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the distance from the smallest to the largest element over axes."""
    return apply("Sub", max(x, axis, keepdims), min(x, axis, keepdims))


@public
def any(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return whether any element over axes is true (not zero)."""
    return max(convert(x, "bool"), axis, keepdims)


@public
def all(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return whether all elements over axes are true (not zero)."""
    return min(convert(x, "bool"), axis, keepdims)


@public
def count_nonzero(x: Any, axis: Any = None) -> Any:
    """Return how many elements over axes are not zero, as int32."""
    return sum(not_equal(x, 0), axis)


@public
def var(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the mean square distance from the mean over axes (all by default)."""
    t = to_float(x)
    centered = apply("Sub", t, mean(t, axis, keepdims=True))
    return mean(apply("Mul", centered, centered), axis, keepdims)


@public
def std(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the square root of the variance over axes (all by default)."""
    return apply("Sqrt", var(x, axis, keepdims))


@public
def average(x: Any, axis: Any = None, weights: Any = None) -> Any:
    """Return the weighted mean over axes; weights have the tensor's shape, or are one vector along one axis."""
    if weights is None:
        return mean(x, axis)
    t, w = promote(x, weights, to_float=True)
    if rank(w) != rank(t):
        axes = axes_of(axis, rank(t), "average")
        if axis is None or len(axes) != rank(w):
            raise ValueError(
                f"average: weights of shape {tuple(w.shape)} do not fit x of shape {tuple(t.shape)} on axis {axis}"
            )
        dims = [1] * rank(t)
        for k, a in enumerate(axes):
            dims[a] = sizes(w)[k]
        w = reshaped(w, dims)
    total = sum(apply("Mul", t, w), axis)
    weight = sum(broadcast_to(w, sizes(t)), axis)
    return apply("Div", total, weight)


def _arg(op: str, x: Any, axis: Any, keepdims: bool) -> Any:
    t = convert(x)
    t = convert(t, "int32") if dtype_of(t) == "bool" else t
    if axis is None:
        found = apply(op, ravel(t), axis=0, keepdims=0)
        found = apply("Reshape", found, ints(*[1] * rank(t))) if keepdims else found
    else:
        found = apply(op, t, axis=axis_of(axis, rank(t), op.lower()), keepdims=int(keepdims))
    return convert(found, "int32")


@public
def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """Return the index of the first largest element along an axis (of the flat tensor by default), as int32."""
    return _arg("ArgMax", x, axis, keepdims)


@public
def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """Return the index of the first smallest element along an axis (of the flat tensor by default), as int32."""
    return _arg("ArgMin", x, axis, keepdims)


def _running(op: str, x: Any, axis: int | None, dtype: Any) -> Any:
    t = convert(x) if dtype is None else convert(x, standardize_dtype(dtype))
    t = convert(t, "int32") if dtype_of(t) == "bool" else t
    if axis is None:
        t, axis = ravel(t), 0
    place = np.asarray(axis_of(axis, rank(t), op.lower()), np.int64)
    return widened(lambda v: apply(op, v, place), t)


@public
def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Return the running sum along an axis (of the flat tensor by default)."""
    return _running("CumSum", x, axis, dtype)


@public
def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Return the running product along an axis (of the flat tensor by default)."""
    return _running("CumProd", x, axis, dtype)


@public
def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the logarithm of the sum of exponentials over axes (all by default), safe from overflow."""
    t = to_float(x)
    # Any shift gives the same result; the largest element keeps every exponential at most 1.
    top = stop_gradient(max(t, axis, keepdims=True))
    shift = where(isfinite(top), top, scalar(0, t))
    total = sum(apply("Exp", apply("Sub", t, shift)), axis, keepdims=True)
    found = apply("Add", apply("Log", total), shift)
    axes = axes_of(axis, rank(t), "logsumexp")
    return found if keepdims or not axes else apply("Squeeze", found, ints(*axes))
