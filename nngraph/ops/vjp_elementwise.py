"""Gradient rules of elementwise operators; y is the output, g its gradient."""

from __future__ import annotations

from math import pi, sqrt
from typing import Any

import numpy as np

from nngraph.ir import is_float
from nngraph.ops.axes import scalar
from nngraph.ops.core import dtype_of
from nngraph.ops.vjp import no_gradient, raw, vjp

__all__: list[str] = []


def _as(mask: Any, like: Any) -> Any:
    return raw.Cast(mask, to=dtype_of(like))


@vjp("Identity")
def _(g: Any, y: Any, x: Any) -> Any:
    return (g,)


@vjp("Cast")
def _(g: Any, y: Any, x: Any, *, to: str, **_: Any) -> Any:
    return (raw.Cast(g, to=dtype_of(x)) if is_float(dtype_of(x)) else None,)


@vjp("CastLike")
def _(g: Any, y: Any, x: Any, like: Any, **_: Any) -> Any:
    return (raw.Cast(g, to=dtype_of(x)) if is_float(dtype_of(x)) else None,)


@vjp("Add")
def _(g: Any, y: Any, a: Any, b: Any) -> Any:
    return g, g


@vjp("Sub")
def _(g: Any, y: Any, a: Any, b: Any) -> Any:
    return g, lambda: raw.Neg(g)


@vjp("Mul")
def _(g: Any, y: Any, a: Any, b: Any) -> Any:
    return lambda: raw.Mul(g, b), lambda: raw.Mul(g, a)


@vjp("Div")
def _(g: Any, y: Any, a: Any, b: Any) -> Any:
    return lambda: raw.Div(g, b), lambda: raw.Neg(raw.Div(raw.Mul(g, y), b))


@vjp("Pow")
def _(g: Any, y: Any, a: Any, b: Any) -> Any:
    def base() -> Any:  # b a^(b-1), and 0 where b is 0, also if a is
        lower = raw.Sub(b, 1)
        known = b if isinstance(b, np.ndarray) else b.data
        if known is None or not known.all():
            lower = raw.Where(raw.Equal(b, 0), scalar(1, b), lower)
        return raw.Mul(g, raw.Mul(_as(b, a), raw.Pow(a, lower)))

    def exponent() -> Any:  # y log a, and 0 where a is 0
        zero = raw.Equal(a, raw.Sub(a, a))
        logarithm = raw.Log(raw.Where(zero, raw.Add(raw.Mul(a, 0), 1), a))
        return raw.Mul(g, raw.Mul(y, logarithm))

    return base, exponent


@vjp("Neg")
def _(g: Any, y: Any, x: Any) -> Any:
    return (raw.Neg(g),)


@vjp("Abs")
def _(g: Any, y: Any, x: Any) -> Any:
    return (raw.Mul(g, raw.Sign(x)),)


@vjp("Exp")
def _(g: Any, y: Any, x: Any) -> Any:
    return (raw.Mul(g, y),)


@vjp("Log")
def _(g: Any, y: Any, x: Any) -> Any:
    return (raw.Div(g, x),)


@vjp("Sqrt")
def _(g: Any, y: Any, x: Any) -> Any:
    return (raw.Div(raw.Mul(g, 0.5), y),)


@vjp("Reciprocal")
def _(g: Any, y: Any, x: Any) -> Any:
    return (raw.Neg(raw.Mul(g, raw.Mul(y, y))),)


@vjp("Sin")
def _(g: Any, y: Any, x: Any) -> Any:
    return (raw.Mul(g, raw.Cos(x)),)


@vjp("Cos")
def _(g: Any, y: Any, x: Any) -> Any:
    return (raw.Neg(raw.Mul(g, raw.Sin(x))),)


@vjp("Tan")
def _(g: Any, y: Any, x: Any) -> Any:
    return (raw.Mul(g, raw.Add(raw.Mul(y, y), 1)),)


@vjp("Asin")
def _(g: Any, y: Any, x: Any) -> Any:
    return (raw.Div(g, raw.Sqrt(raw.Sub(1, raw.Mul(x, x)))),)


@vjp("Acos")
def _(g: Any, y: Any, x: Any) -> Any:
    return (raw.Neg(raw.Div(g, raw.Sqrt(raw.Sub(1, raw.Mul(x, x))))),)


@vjp("Atan")
def _(g: Any, y: Any, x: Any) -> Any:
    return (raw.Div(g, raw.Add(raw.Mul(x, x), 1)),)


@vjp("Sinh")
def _(g: Any, y: Any, x: Any) -> Any:
    return (raw.Mul(g, raw.Cosh(x)),)


@vjp("Cosh")
def _(g: Any, y: Any, x: Any) -> Any:
    return (raw.Mul(g, raw.Sinh(x)),)


@vjp("Tanh")
def _(g: Any, y: Any, x: Any) -> Any:
    return (raw.Mul(g, raw.Sub(1, raw.Mul(y, y))),)


@vjp("Asinh")
def _(g: Any, y: Any, x: Any) -> Any:
    return (raw.Div(g, raw.Sqrt(raw.Add(raw.Mul(x, x), 1))),)


@vjp("Acosh")
def _(g: Any, y: Any, x: Any) -> Any:
    return (raw.Div(g, raw.Sqrt(raw.Sub(raw.Mul(x, x), 1))),)


@vjp("Atanh")
def _(g: Any, y: Any, x: Any) -> Any:
    return (raw.Div(g, raw.Sub(1, raw.Mul(x, x))),)


@vjp("Erf")
def _(g: Any, y: Any, x: Any) -> Any:
    return (raw.Mul(g, raw.Mul(raw.Exp(raw.Neg(raw.Mul(x, x))), 2 / sqrt(pi))),)


@vjp("Sigmoid")
def _(g: Any, y: Any, x: Any) -> Any:
    return (raw.Mul(g, raw.Mul(y, raw.Sub(1, y))),)


@vjp("Relu")
def _(g: Any, y: Any, x: Any) -> Any:
    # The output's sign tells where the input was positive, so the input need not be kept.
    return (raw.Mul(g, _as(raw.Greater(y, 0), g)),)


@vjp("CappedRelu", domain="nngraph")
def _(g: Any, y: Any, x: Any, *, most: float) -> Any:
    return (raw.Mul(g, _as(raw.And(raw.Greater(y, 0), raw.Less(y, most)), g)),)


@vjp("Max", "Min")
def _(g: Any, y: Any, *xs: Any) -> Any:
    # Equal operands share the gradient.
    shares = [_as(raw.Equal(x, y), g) for x in xs]
    total = shares[0]
    for share in shares[1:]:
        total = raw.Add(total, share)
    return tuple((lambda s=s: raw.Mul(g, raw.Div(s, total))) for s in shares)


@vjp("Clip")
def _(g: Any, y: Any, x: Any, low: Any = None, high: Any = None) -> Any:
    kept = raw.Equal(x, y)
    below = None if low is None else (lambda: raw.Mul(g, _as(raw.Less(x, low), g)))
    above = None if high is None else (lambda: raw.Mul(g, _as(raw.Greater(x, high), g)))
    return raw.Mul(g, _as(kept, g)), below, above


@vjp("Where")
def _(g: Any, y: Any, condition: Any, a: Any, b: Any) -> Any:
    def part(when: Any) -> Any:
        return raw.Mul(g, _as(when, g))

    return None, lambda: part(condition), lambda: part(raw.Not(condition))


@vjp("Sum")
def _(g: Any, y: Any, *xs: Any) -> Any:
    return tuple(g for _ in xs)


@vjp("Mean")
def _(g: Any, y: Any, *xs: Any) -> Any:
    return tuple(raw.Div(g, len(xs)) for _ in xs)


@vjp("Mod")
def _(g: Any, y: Any, a: Any, b: Any, *, fmod: int = 0) -> Any:
    # a - b * trunc(a / b); (a - y) / b is that whole number.
    return g, lambda: raw.Neg(raw.Mul(g, raw.Div(raw.Sub(a, y), b)))


no_gradient("ops.stop_gradient says so", "StopGradient", domain="nngraph")
no_gradient("piecewise constant", "Floor", "Ceil", "Round", "Sign", "Shape", "Size", "ArgMax", "ArgMin", "NonZero")
no_gradient("its output is a truth value", "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual")
no_gradient("its output is a truth value", "Not", "And", "Or", "Xor", "IsNaN", "IsInf")
no_gradient("it works on bits", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitwiseNot", "BitCast")
