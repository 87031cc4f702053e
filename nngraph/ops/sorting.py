"""Order: sorting, the largest few, quantiles, and places in sorted sequences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nngraph.errors import unknown_name
from nngraph.ir import TensorType
from nngraph.ops.axes import axes_of, axis_of, ints, rank, reshaped, scalar, sizes, to_float
from nngraph.ops.core import convert, dtype_of, promote, shape_vector, type_of
from nngraph.ops.dispatch import public
from nngraph.ops.elementwise import add, greater_equal, multiply, subtract
from nngraph.ops.indexing import take_along_axis
from nngraph.ops.reduction import sum as sum_over
from nngraph.ops.shapes import ravel, transpose
from nngraph.ops.trace import apply

__all__ = [
    "argpartition",
    "argsort",
    "bincount",
    "digitize",
    "in_top_k",
    "median",
    "percentile",
    "quantile",
    "searchsorted",
    "sort",
    "top_k",
]


def _ranked(t: Any, k: Any, axis: int, largest: bool) -> Any:
    """Return the first k values and indices along an axis in descending or ascending order."""
    dtype = dtype_of(t)
    wide = {"bool": "int32", "uint16": "int32", "uint32": "int64", "uint64": "int64"}.get(dtype)
    source = t if wide is None else convert(t, wide)
    shape = list(t.shape)
    shape[axis] = k if isinstance(k, int) else shape[axis]
    types = [type_of(source).with_shape(shape), TensorType("int64", tuple(shape))]
    count = shape_vector([k])
    values, indices = apply("TopK", source, count, outputs=2, types=types, axis=axis, largest=int(largest), sorted=1)
    return (values if wide is None else convert(values, dtype)), indices


@public
def top_k(x: Any, k: int, sorted: bool = True) -> Any:
    """Return the k largest elements along the last axis, in descending order, and their int32 indices.

    Example:
        >>> values, indices = top_k(np.float32([1, 3, 2]), 2)
        >>> values.tolist(), indices.tolist()
        ([3.0, 2.0], [1, 2])
    """
    t = convert(x)
    values, indices = _ranked(t, int(k), rank(t) - 1, largest=True)
    return values, convert(indices, "int32")


@public
def in_top_k(targets: Any, predictions: Any, k: int) -> Any:
    """Return for each row whether the target class is among the k with the largest predictions (ties count).

    Args:
        targets: class numbers, shape ``(batch,)``.
        predictions: shape ``(batch, classes)``.
        k: how many.
    """
    scores, classes = convert(predictions), convert(targets, "int64")
    own = take_along_axis(scores, apply("Unsqueeze", classes, ints(-1)), axis=-1)
    limit = _ranked(scores, int(k), rank(scores) - 1, largest=True)[0]
    lowest = apply("ReduceMin", limit, ints(-1), keepdims=1)
    return apply("Squeeze", greater_equal(own, lowest), ints(-1))


@public
def sort(x: Any, axis: int | None = -1) -> Any:
    """Return the elements in ascending order along an axis (of the flat tensor for ``None``)."""
    t = convert(x)
    if axis is None:
        t, axis = ravel(t), 0
    if rank(t) == 0:
        return t
    axis = axis_of(axis, rank(t), "sort")
    return _ranked(t, sizes(t)[axis], axis, largest=False)[0]


@public
def argsort(x: Any, axis: int | None = -1) -> Any:
    """Return the int32 indices that sort along an axis (of the flat tensor for ``None``); equal elements keep order."""
    t = convert(x)
    if axis is None:
        t, axis = ravel(t), 0
    axis = axis_of(axis, rank(t), "argsort")
    return convert(_ranked(t, sizes(t)[axis], axis, largest=False)[1], "int32")


@public
def argpartition(x: Any, kth: int, axis: int | None = -1) -> Any:
    """Return int32 indices that put the ``kth`` smallest element in its place, smaller ones before it."""
    # A full order is one such partition, and TopK gives it in one operator.
    return argsort(x, axis)


METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


@public
def quantile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
    """Return the values below which given fractions of the elements lie.

    Args:
        x: a tensor.
        q: one fraction in [0, 1] or a vector of them, whose axis comes first in the result.
        axis: one axis, several, or ``None`` for all.
        method: what to do between two elements: ``"linear"``, ``"lower"``, ``"higher"``, ``"midpoint"``,
            ``"nearest"``.
        keepdims: leave the axes with size 1.
    """
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    t = to_float(x)
    axes = axes_of(axis, rank(t), "quantile")
    fractions = convert(q, dtype_of(t))
    rest = [k for k in range(rank(t)) if k not in axes]
    dims = sizes(t)
    # The reduced axes become one, in front; fractions then gather from it.
    flat = reshaped(transpose(t, axes + rest), [-1, *(dims[k] for k in rest)])
    length = sizes(flat)[0]
    ordered = sort(flat, 0)
    place = multiply(fractions, convert(subtract(length, 1), dtype_of(t)))
    found = between_ranks(lambda at: apply("Gather", ordered, at, axis=0), place, method)
    if not keepdims:
        return found
    kept = [dims[k] if k in rest else 1 for k in range(rank(t))]
    return reshaped(found, [*sizes(fractions), *kept])


def between_ranks(pick: Callable[[Any], Any], place: Any, method: str) -> Any:
    """Return elements of sorted slices at fractional ranks.

    Args:
        pick: gathers the elements of given int64 ranks.
        place: the ranks.
        method: what to do between two elements, one of ``METHODS``.
    """
    if method == "nearest":
        return pick(convert(apply("Round", place), "int64"))
    floor = apply("Floor", place)
    below = pick(convert(floor, "int64"))
    if method == "lower":
        return below
    above = pick(convert(apply("Ceil", place), "int64"))
    if method == "higher":
        return above
    weight = scalar(0.5, place) if method == "midpoint" else subtract(place, floor)
    extra = rank(below) - len(weight.shape)
    if len(weight.shape) and extra:
        weight = apply("Unsqueeze", weight, ints(*range(len(weight.shape), len(weight.shape) + extra)))
    return add(below, multiply(weight, subtract(above, below)))


@public
def percentile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
    """Return the values below which given percentages of the elements lie; see :func:`quantile`."""
    t = to_float(x)
    return quantile(t, apply("Div", convert(q, dtype_of(t)), scalar(100, t)), axis, method, keepdims)


@public
def median(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the middle element over axes (all by default), or the mean of the two in the middle."""
    return quantile(x, 0.5, axis, keepdims=keepdims)


@public
def searchsorted(sorted_sequence: Any, values: Any, side: str = "left") -> Any:
    """Return how many elements of a sorted vector are smaller than each value (``"right"``: not larger), as int32.

    The comparison is with every element, which is fast for short sequences and needs memory for long ones.
    """
    if side not in ("left", "right"):
        raise ValueError(f"searchsorted: side must be 'left' or 'right', got {side!r}")
    sequence, t = promote(sorted_sequence, values)
    if rank(sequence) != 1:
        raise ValueError(f"searchsorted: the sequence must be a vector, got shape {tuple(sequence.shape)}")
    before = apply("Less" if side == "left" else "LessOrEqual", sequence, apply("Unsqueeze", t, ints(rank(t))))
    return sum_over(before, -1)


@public
def digitize(x: Any, bins: Any) -> Any:
    """Return for each element the number of the bin it falls into: how many edges are not larger, as int32."""
    return searchsorted(bins, x, side="right")


@public
def bincount(x: Any, weights: Any = None, minlength: int = 0, sparse: bool = False) -> Any:
    """Return how often each number occurs, or the sum of its weights, along the last axis.

    Args:
        x: non-negative integers, shape ``(n,)`` or ``(batch, n)``.
        weights: a number for each of them.
        minlength: the least length of the result. While tracing it is the length (what the graph returns must have a
            known size), and larger numbers are left out.
        sparse: not supported.

    Raises:
        ValueError: tracing without ``minlength``, or ``sparse=True``.
    """
    from nngraph.ops.trace import is_traced

    if sparse:
        raise ValueError("bincount: sparse tensors are not supported; use sparse=False")
    t = convert(x, "int64")
    if is_traced(t):
        if not minlength:
            raise ValueError("bincount: minlength= is needed while a graph is traced: the largest number is not known")
        length = int(minlength)
    else:
        length = int(max(int(np.max(np.asarray(t), initial=-1)) + 1, minlength))
    hits = apply("Equal", apply("Unsqueeze", t, ints(rank(t))), np.arange(length, dtype=np.int64))
    if weights is None:
        return sum_over(hits, -2)
    w = apply("Unsqueeze", convert(weights), ints(rank(t)))
    return sum_over(multiply(convert(hits, dtype_of(w)), w), -2)
