"""Gradient rules of reductions and running totals; y is the output, g its gradient."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nngraph.ops.axes import expanded_like, ints, rank, scalar, zeros_of
from nngraph.ops.core import dtype_of
from nngraph.ops.vjp import raw, vjp

__all__: list[str] = []


def _kept(t: Any, x: Any, axes: Any, keepdims: int, noop_with_empty_axes: int = 0) -> Any:
    """Return a reduced tensor with its reduced axes put back at size 1."""
    if keepdims or t.shape == x.shape:
        return t
    if axes is None or axes.shape == (0,):
        return t if noop_with_empty_axes else raw.Reshape(t, ints(*[1] * rank(x)))
    return raw.Unsqueeze(t, axes)


def _reduce(op: str, t: Any, axes: Any, noop_with_empty_axes: int = 0) -> Any:
    return getattr(raw, op)(t, axes, keepdims=1, noop_with_empty_axes=noop_with_empty_axes or None)


def _mask(condition: Any, like: Any) -> Any:
    return raw.Cast(condition, to=dtype_of(like))


@vjp("ReduceSum")
def _(g: Any, y: Any, x: Any, axes: Any = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Any:
    return (expanded_like(_kept(g, x, axes, keepdims, noop_with_empty_axes), x),)


@vjp("ReduceMean")
def _(g: Any, y: Any, x: Any, axes: Any = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Any:
    spread = _kept(g, x, axes, keepdims, noop_with_empty_axes)
    return (expanded_like(raw.Div(spread, _count(x, y, g)), x),)


def _count(x: Any, y: Any, like: Any) -> Any:
    """Return how many elements went into each result."""
    if all(isinstance(d, int) for d in (*x.shape, *y.shape)):
        return scalar(math.prod(x.shape) / max(math.prod(y.shape), 1), like)
    ratio = raw.Div(raw.Size(x), raw.Max(raw.Size(y), np.asarray(1, np.int64)))
    return raw.Cast(ratio, to=dtype_of(like))


@vjp("ReduceMax", "ReduceMin")
def _(g: Any, y: Any, x: Any, axes: Any = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Any:
    """Elements that equal the extreme share its gradient."""
    mask = _mask(raw.Equal(x, _kept(y, x, axes, keepdims, noop_with_empty_axes)), g)
    ties = _reduce("ReduceSum", mask, axes, noop_with_empty_axes)
    return (raw.Mul(mask, raw.Div(_kept(g, x, axes, keepdims, noop_with_empty_axes), ties)),)


@vjp("ReduceProd")
def _(g: Any, y: Any, x: Any, axes: Any = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Any:
    """The product of the others is y / x; where x is 0 it is that of the rest if there is no other 0, else 0."""
    zero, one = scalar(0, x), scalar(1, x)
    absent = raw.Equal(x, zero)
    zeros = _reduce("ReduceSum", _mask(absent, x), axes, noop_with_empty_axes)
    safe = raw.Where(absent, one, x)
    rest = _reduce("ReduceProd", safe, axes, noop_with_empty_axes)
    at_zero = raw.Where(raw.Equal(zeros, one), rest, zero)
    elsewhere = raw.Where(raw.Equal(zeros, zero), raw.Div(rest, safe), zero)
    others = raw.Where(absent, at_zero, elsewhere)
    return (raw.Mul(_kept(g, x, axes, keepdims, noop_with_empty_axes), others),)


@vjp("ReduceL1")
def _(g: Any, y: Any, x: Any, axes: Any = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Any:
    return (raw.Mul(_kept(g, x, axes, keepdims, noop_with_empty_axes), raw.Sign(x)),)


@vjp("ReduceL2")
def _(g: Any, y: Any, x: Any, axes: Any = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Any:
    """x / y, and 0 for a vector of zeros."""
    length = _kept(y, x, axes, keepdims, noop_with_empty_axes)
    none = raw.Equal(length, scalar(0, x))
    scale = raw.Div(_kept(g, x, axes, keepdims, noop_with_empty_axes), raw.Where(none, scalar(1, x), length))
    return (raw.Mul(scale, x),)


@vjp("ReduceSumSquare")
def _(g: Any, y: Any, x: Any, axes: Any = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Any:
    return (raw.Mul(raw.Mul(_kept(g, x, axes, keepdims, noop_with_empty_axes), scalar(2, x)), x),)


@vjp("ReduceLogSum")
def _(g: Any, y: Any, x: Any, axes: Any = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Any:
    total = raw.Exp(_kept(y, x, axes, keepdims, noop_with_empty_axes))
    return (expanded_like(raw.Div(_kept(g, x, axes, keepdims, noop_with_empty_axes), total), x),)


@vjp("ReduceLogSumExp")
def _(g: Any, y: Any, x: Any, axes: Any = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Any:
    """exp(x - y): the softmax of x."""
    share = raw.Exp(raw.Sub(x, _kept(y, x, axes, keepdims, noop_with_empty_axes)))
    return (raw.Mul(_kept(g, x, axes, keepdims, noop_with_empty_axes), share),)


@vjp("CumSum")
def _(g: Any, y: Any, x: Any, axis: Any, *, exclusive: int = 0, reverse: int = 0) -> Any:
    return (raw.CumSum(g, axis, exclusive=exclusive, reverse=1 - reverse),)


@vjp("CumProd")
def _(g: Any, y: Any, x: Any, axis: Any, *, exclusive: int = 0, reverse: int = 0) -> Any:
    """Sum of g y / x over the products that hold x.

    The first zero of a row is the only one that matters: products beyond a second are 0 whatever it is. Its gradient
    comes from the products with 1 in its place.
    """

    def back(t: Any) -> Any:
        return raw.CumSum(t, axis, exclusive=exclusive, reverse=1 - reverse)

    zero, one = scalar(0, x), scalar(1, x)
    absent = raw.Equal(x, zero)
    seen = raw.CumSum(_mask(absent, x), axis, reverse=reverse)
    first = raw.And(absent, raw.Equal(seen, one))
    without = raw.CumProd(raw.Where(first, one, x), axis, exclusive=exclusive, reverse=reverse)
    elsewhere = raw.Div(back(raw.Mul(g, y)), raw.Where(absent, one, x))
    return (raw.Where(first, back(raw.Mul(g, without)), elsewhere),)


@vjp("TopK")
def _(g: Any, y: Any, x: Any, k: Any, *, axis: int = -1, **_: Any) -> Any:
    values, indices = g[0], y[1]
    if values is None:
        return (None,)
    return (raw.ScatterElements(zeros_of(x), indices, values, axis=axis),)
