"""Gradient rules of gathering and scattering; y is the output, g its gradient.

Gathering copies elements, so its gradient adds up what was copied; scattering's gradient gathers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nngraph.ir import numpy_dtype
from nngraph.ops.axes import ints, rank, scalar, shaped_like, size_vector, zeros_of
from nngraph.ops.core import convert, dtype_of, type_of
from nngraph.ops.trace import apply, current_trace
from nngraph.ops.vjp import raw, vjp

__all__: list[str] = []


def gather_gradient(g: Any, indices: Any, axis: int, sizes: Sequence[Any], like: Any = None) -> Any:
    """Return the gradient of ``Gather(x, indices, axis)`` for x of these sizes (each an int64 vector of length 1).

    Rows are added by ScatterND into zeros (``scatter_forms`` says what becomes of it on CPUs); another axis is moved to
    the front and back.
    """
    width = rank(indices)
    block = list(range(axis, axis + width))
    rest = [k for k in range(rank(g)) if k not in block]
    order = block + rest
    rows = raw.Transpose(g, perm=tuple(order)) if order != sorted(order) else g
    front = [sizes[axis], *(s for k, s in enumerate(sizes) if k != axis)]
    known = all(isinstance(s, np.ndarray) for s in front)
    vector = np.concatenate(front) if known else raw.Concat(*front, axis=0)
    trace = current_trace()
    if known and trace is not None:
        vector = trace.constant(vector)
    zeros = apply("ConstantOfShape", vector, value=np.zeros(1, numpy_dtype(dtype_of(g))))
    summed = raw.ScatterND(zeros, raw.Unsqueeze(convert(indices, "int64"), ints(-1)), rows, reduction="add")
    types = None if like is None else [type_of(like)]
    if axis == 0:
        return summed if types is None else apply("Identity", summed, types=types) if _vague(summed, like) else summed
    back = [*range(1, axis + 1), 0, *range(axis + 1, len(sizes))]
    return apply("Transpose", summed, perm=tuple(back), types=types)


def _vague(x: Any, like: Any) -> bool:
    return tuple(x.shape) != tuple(like.shape)


def _sizes(x: Any) -> list[Any]:
    return [ints(d) if isinstance(d, int) else raw.Shape(x, start=k, end=k + 1) for k, d in enumerate(x.shape)]


@vjp("Gather")
def _(g: Any, y: Any, x: Any, indices: Any, *, axis: int = 0) -> Any:
    return (gather_gradient(g, indices, axis % rank(x), _sizes(x), like=x),)


@vjp("GatherElements")
def _(g: Any, y: Any, x: Any, indices: Any, *, axis: int = 0) -> Any:
    return (raw.ScatterElements(zeros_of(x), indices, g, axis=axis, reduction="add"),)


@vjp("GatherND")
def _(g: Any, y: Any, x: Any, indices: Any, *, batch_dims: int = 0) -> Any:
    return (raw.ScatterND(zeros_of(x), _with_batch(indices, batch_dims), g, reduction="add"),)


def _with_batch(indices: Any, batch_dims: int) -> Any:
    """Put the batch numbers in front of the index tuples, which then need no batch axes."""
    if not batch_dims:
        return indices
    lead = raw.Slice(indices, ints(0), ints(1), ints(-1))
    columns = []
    for k in range(batch_dims):
        size = indices.shape[k]
        count = (
            np.asarray(size, np.int64) if isinstance(size, int) else raw.Squeeze(raw.Shape(indices, start=k, end=k + 1))
        )
        numbers = raw.Range(np.asarray(0, np.int64), count, np.asarray(1, np.int64))
        shape = [1] * rank(indices)
        shape[k] = -1
        columns.append(raw.Expand(raw.Reshape(numbers, ints(*shape)), size_vector(lead)))
    return raw.Concat(*columns, indices, axis=-1)


@vjp("Compress")
def _(g: Any, y: Any, x: Any, condition: Any, *, axis: Any = None) -> Any:
    def positions(size: Any) -> Any:
        numbers = raw.Range(np.asarray(0, np.int64), raw.Squeeze(size, ints(0)), np.asarray(1, np.int64))
        return raw.Compress(numbers, condition, axis=0)

    if axis is None:
        total = raw.Reshape(raw.Size(x), ints(1))
        return (shaped_like(gather_gradient(g, positions(total), 0, [total]), x),)
    sizes, axis = _sizes(x), axis % rank(x)
    return (gather_gradient(g, positions(sizes[axis]), axis, sizes, like=x),)


Scatter = Callable[..., Any]
Gather = Callable[[Any], Any]


@vjp("ScatterElements")
def _(g: Any, y: Any, x: Any, indices: Any, updates: Any, *, axis: int = 0, reduction: str = "none") -> Any:
    def scatter(into: Any, values: Any, how: str) -> Any:
        return raw.ScatterElements(into, indices, values, axis=axis, reduction=how)

    return _scatter_gradient(g, y, x, updates, reduction, scatter, lambda t: raw.GatherElements(t, indices, axis=axis))


@vjp("ScatterND")
def _(g: Any, y: Any, x: Any, indices: Any, updates: Any, *, reduction: str = "none") -> Any:
    def scatter(into: Any, values: Any, how: str) -> Any:
        return raw.ScatterND(into, indices, values, reduction=how)

    return _scatter_gradient(g, y, x, updates, reduction, scatter, lambda t: raw.GatherND(t, indices))


def _scatter_gradient(g: Any, y: Any, x: Any, u: Any, reduction: str, scatter: Scatter, gather: Gather) -> Any:
    """Return the gradients of x and of the updates u; "none" assumes that no place is written twice."""
    if reduction == "none":
        return lambda: scatter(g, zeros_of(u), "none"), None, lambda: gather(g)
    if reduction == "add":
        return g, None, lambda: gather(g)
    if reduction == "mul":
        return (
            lambda: raw.Mul(g, scatter(_ones_of(x), u, "mul")),
            None,
            lambda: raw.Mul(gather(g), _other_factors(y, x, u, scatter, gather)),
        )
    # max, min: all that equal the result share the gradient.
    here, there = _mask(raw.Equal(x, y), g), _mask(raw.Equal(u, gather(y)), g)
    share = raw.Div(g, raw.Max(scatter(here, there, "add"), scalar(1, g)))
    return lambda: raw.Mul(share, here), None, lambda: raw.Mul(gather(share), there)


def _mask(condition: Any, like: Any) -> Any:
    return raw.Cast(condition, to=dtype_of(like))


def _ones_of(x: Any) -> Any:
    return raw.Add(zeros_of(x), scalar(1, x))


def _other_factors(y: Any, x: Any, u: Any, scatter: Scatter, gather: Gather) -> Any:
    """Return for each update the product of everything else at its place, right also where factors are zero."""
    zero, one = scalar(0, u), scalar(1, u)
    absent = raw.Equal(u, zero)
    rest = scatter(x, raw.Where(absent, one, u), "mul")
    zeros = scatter(zeros_of(x), _mask(absent, x), "add")
    alone = raw.Equal(gather(zeros), one)
    at_zero = raw.Where(alone, gather(rest), zero)
    return raw.Where(absent, at_zero, raw.Div(gather(y), raw.Where(absent, one, u)))
