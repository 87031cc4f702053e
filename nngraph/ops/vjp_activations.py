"""Gradient rules of activation operators; y is the output, g its gradient.

Where the output alone tells the derivative, the rule uses it, so that the input need not be kept until then.
"""

from __future__ import annotations

from math import log, pi, sqrt
from typing import Any

from nngraph.ops.axes import ints
from nngraph.ops.core import dtype_of
from nngraph.ops.vjp import no_gradient, raw, vjp

__all__: list[str] = []


def _positive(x: Any) -> Any:
    """1 where x is positive, else 0."""
    return raw.Cast(raw.Greater(x, 0), to=dtype_of(x))


def _times(g: Any, factor: Any) -> tuple[Any]:
    return (raw.Mul(g, factor),)


@vjp("LeakyRelu")
def _(g: Any, y: Any, x: Any, *, alpha: float) -> Any:
    # A slope that is not negative keeps the sign, so the output tells where the input was positive.
    positive = _positive(y if alpha >= 0 else x)
    return _times(g, raw.Add(raw.Mul(positive, 1 - alpha), alpha))


@vjp("PRelu")
def _(g: Any, y: Any, x: Any, slope: Any) -> Any:
    def of_input() -> Any:
        positive = _positive(x)
        return raw.Mul(g, raw.Add(positive, raw.Mul(slope, raw.Sub(1, positive))))

    return of_input, lambda: raw.Mul(g, raw.Min(x, 0))


@vjp("ThresholdedRelu")
def _(g: Any, y: Any, x: Any, *, alpha: float) -> Any:
    return _times(g, raw.Cast(raw.Greater(x, alpha), to=dtype_of(x)))


@vjp("Shrink")
def _(g: Any, y: Any, x: Any, *, bias: float, lambd: float) -> Any:
    return _times(g, raw.Cast(raw.Greater(raw.Abs(x), lambd), to=dtype_of(x)))


def _inside(y: Any) -> Any:
    """1 where 0 < y < 1, else 0."""
    return raw.Cast(raw.And(raw.Greater(y, 0), raw.Less(y, 1)), to=dtype_of(y))


@vjp("HardSigmoid")
def _(g: Any, y: Any, x: Any, *, alpha: float, beta: float) -> Any:
    return _times(g, raw.Mul(_inside(y), alpha))


@vjp("HardSwish")
def _(g: Any, y: Any, x: Any) -> Any:
    h = raw.HardSigmoid(x, alpha=1 / 6, beta=0.5)
    return _times(g, raw.Add(h, raw.Mul(raw.Mul(x, 1 / 6), _inside(h))))


@vjp("Elu")
def _(g: Any, y: Any, x: Any, *, alpha: float) -> Any:
    # y + α = α exp(x) below 0. With α = 1 nothing else is needed: the derivative has no step.
    if alpha == 1:
        return _times(g, raw.Add(raw.Min(y, 0), 1))
    if alpha > 0:
        return _times(g, _with_step(raw.Min(y, 0), alpha, raw.Mul(_positive(y), 1 - alpha)))
    below = raw.Mul(raw.Exp(raw.Min(x, 0)), alpha)
    return _times(g, raw.Add(below, raw.Mul(_positive(x), 1 - alpha)))


def _with_step(low: Any, constant: float, step: Any) -> Any:
    return raw.Add(raw.Add(low, constant), step)


@vjp("Celu")
def _(g: Any, y: Any, x: Any, *, alpha: float) -> Any:
    return _times(g, raw.Add(raw.Mul(raw.Min(y, 0), 1 / alpha), 1))


@vjp("Selu")
def _(g: Any, y: Any, x: Any, *, alpha: float, gamma: float) -> Any:
    step = raw.Mul(_positive(y), gamma - gamma * alpha)
    return _times(g, _with_step(raw.Min(y, 0), gamma * alpha, step))


@vjp("Softplus")
def _(g: Any, y: Any, x: Any) -> Any:
    return _times(g, raw.Sigmoid(x))


@vjp("Softsign")
def _(g: Any, y: Any, x: Any) -> Any:
    root = raw.Sub(1, raw.Abs(y))  # 1 / (1 + |x|)
    return _times(g, raw.Mul(root, root))


@vjp("Swish")
def _(g: Any, y: Any, x: Any, *, alpha: float) -> Any:
    s = raw.Sigmoid(raw.Mul(x, alpha))
    return _times(g, raw.Add(s, raw.Mul(raw.Mul(y, alpha), raw.Sub(1, s))))


@vjp("Mish")
def _(g: Any, y: Any, x: Any) -> Any:
    t = raw.Tanh(raw.Softplus(x))
    return _times(g, raw.Add(t, raw.Mul(raw.Mul(x, raw.Sigmoid(x)), raw.Sub(1, raw.Mul(t, t)))))


@vjp("Gelu")
def _(g: Any, y: Any, x: Any, *, approximate: str) -> Any:
    if approximate == "tanh":
        return _times(g, _gelu_tanh_slope(x))
    # Half of g is free where g is a matrix product.
    return _times(raw.Mul(g, 0.5), _gelu_double_slope(x))


def _gelu_double_slope(x: Any) -> Any:
    """2 (Φ(x) + x φ(x)), with the normal distribution function and density.

    With u = x / √2 that is 1 + erf u + 2 u exp(-u²) / √π; the factor 2 / √π goes into the exponent.
    """
    u = raw.Mul(x, 1 / sqrt(2))
    density = raw.Exp(raw.Sub(log(2 / sqrt(pi)), raw.Mul(u, u)))
    return raw.Add(raw.Add(raw.Erf(u), 1), raw.Mul(u, density))


def _gelu_tanh_slope(x: Any) -> Any:
    """d/dx of x (1 + t) / 2 with t = tanh(u) and u = c (x + 0.044715 x³)."""
    c, cubic = sqrt(2 / pi), 0.044715
    square = raw.Mul(x, x)
    t = raw.Tanh(raw.Mul(raw.Mul(x, raw.Add(raw.Mul(square, cubic), 1)), c))
    inner = raw.Mul(raw.Add(raw.Mul(square, 3 * cubic), 1), 0.5 * c)
    tail = raw.Mul(raw.Mul(x, inner), raw.Sub(1, raw.Mul(t, t)))
    return raw.Add(raw.Mul(raw.Add(t, 1), 0.5), tail)


@vjp("Softmax")
def _(g: Any, y: Any, x: Any, *, axis: int) -> Any:
    total = raw.ReduceSum(raw.Mul(g, y), ints(axis), keepdims=1)
    return (raw.Mul(raw.Sub(g, total), y),)


@vjp("LogSoftmax")
def _(g: Any, y: Any, x: Any, *, axis: int) -> Any:
    total = raw.ReduceSum(g, ints(axis), keepdims=1)
    return (raw.Sub(g, raw.Mul(raw.Exp(y), total)),)


no_gradient("piecewise constant", "Hardmax")
