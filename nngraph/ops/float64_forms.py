"""Elementary functions, activations and normalisations in double precision.

The runtime has no double kernel for some operators, and for a few others one that rounds to single precision on the
way. A float64 node of these is written with operators that do compute in double, so that a float64 model is what it
says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import pi, sqrt
from typing import Any

import numpy as np

from nngraph.ops.axes import ints
from nngraph.ops.core import type_of
from nngraph.ops.trace import set_expansion
from nngraph.ops.vjp import raw
from nngraph.registry import op_def

__all__ = ["float64_form"]


def float64_form(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as the form that an ai.onnx operator takes in float64.

    Example:
        >>> @float64_form("Softsign")                                   # doctest: +SKIP
        ... def _(x):
        ...     return raw.Div(x, raw.Add(raw.Abs(x), 1))
    """

    def register(fn: Callable[..., Any]) -> Callable[..., Any]:
        set_expansion(op_def(name), fn)
        return fn

    return register


# -- elementary functions -------------------------------------------------------------------------------------------


@float64_form("Tan")
def _(x: Any) -> Any:
    return raw.Div(raw.Sin(x), raw.Cos(x))


@float64_form("Cosh")
def _cosh(x: Any) -> Any:
    return raw.Mul(raw.Add(raw.Exp(x), raw.Exp(raw.Neg(x))), 0.5)


@float64_form("Sinh")
def _(x: Any) -> Any:
    # tanh(x/2) = sinh(x) / (1 + cosh(x)) keeps the digits near 0 that a difference of exponentials loses.
    return raw.Mul(raw.Tanh(raw.Mul(x, 0.5)), raw.Add(_cosh(x), 1))


@float64_form("Atan")
def _atan(x: Any) -> Any:
    """Correct the single-precision angle a: atan(x) = a + atan(δ), δ = (x cos a - sin a) / (cos a + x sin a).

    δ is about 1e-7, so δ - δ³/3 is its arc tangent to the last digit.
    """
    x = raw.Clip(x, -1e300, 1e300)
    angle = raw.Cast(raw.Atan(raw.Cast(x, to="float32")), to="float64")
    cos, sin = raw.Cos(angle), raw.Sin(angle)
    delta = raw.Div(raw.Sub(raw.Mul(x, cos), sin), raw.Add(cos, raw.Mul(x, sin)))
    cubic = raw.Mul(raw.Mul(raw.Mul(delta, delta), delta), 1 / 3)
    return raw.Add(angle, raw.Sub(delta, cubic))


def _around_one(x: Any) -> tuple[Any, Any]:
    return raw.Sub(1, x), raw.Add(x, 1)


@float64_form("Asin")
def _(x: Any) -> Any:
    below, above = _around_one(x)
    return _atan(raw.Div(x, raw.Sqrt(raw.Mul(below, above))))


@float64_form("Acos")
def _(x: Any) -> Any:
    below, above = _around_one(x)
    return raw.Mul(_atan(raw.Sqrt(raw.Div(below, above))), 2)


def _log1p(x: Any) -> Any:
    """log(1 + x), corrected for the rounding of 1 + x (Kahan); for x from 0 up."""
    whole = raw.Add(x, 1)
    itself = raw.Or(raw.Equal(whole, 1), raw.IsInf(x))
    gap = raw.Where(itself, np.asarray(1.0), raw.Sub(whole, 1))
    return raw.Where(itself, x, raw.Mul(raw.Log(whole), raw.Div(x, gap)))


@float64_form("Asinh")
def _(x: Any) -> Any:
    a = raw.Abs(x)
    square = raw.Mul(a, a)
    root = raw.Sqrt(raw.Add(square, 1))
    return raw.Mul(raw.Sign(x), _log1p(raw.Add(a, raw.Div(square, raw.Add(root, 1)))))


@float64_form("Acosh")
def _(x: Any) -> Any:
    t = raw.Sub(x, 1)
    return _log1p(raw.Add(t, raw.Sqrt(raw.Mul(t, raw.Add(t, 2)))))


@float64_form("Atanh")
def _(x: Any) -> Any:
    a = raw.Abs(x)
    return raw.Mul(raw.Mul(raw.Sign(x), 0.5), _log1p(raw.Div(raw.Mul(a, 2), raw.Sub(1, a))))


# W. J. Cody, "Rational Chebyshev approximations for the error function", Mathematics of Computation 23 (1969), in the
# form of his routine CALERF: erf(x) = x N(x²) / D(x²) up to 0.46875, and erfc(x) = exp(-x²) N(x) / D(x) from there on.
# Coefficients are in falling powers.
_ERF_N = (0.185777706184603153, 3.16112374387056560, 113.864154151050156, 377.485237685302021, 3209.37758913846947)
_ERF_D = (1.0, 23.6012909523441209, 244.024637934444173, 1282.61652607737228, 2844.23683343917062)
_ERFC_N = (
    *(2.15311535474403846e-8, 0.564188496988670089, 8.88314979438837594, 66.1191906371416295, 298.635138197400131),
    *(881.952221241769090, 1712.04761263407058, 2051.07837782607147, 1230.33935479799725),
)
_ERFC_D = (
    *(1.0, 15.7449261107098347, 117.693950891312499, 537.181101862009858, 1621.38957456669019),
    *(3290.79923573345963, 4362.61909014324716, 3439.36767414372164, 1230.33935480374942),
)


def _polynomial(x: Any, coefficients: Sequence[float]) -> Any:
    total = raw.Add(raw.Mul(x, coefficients[0]), coefficients[1])
    for c in coefficients[2:]:
        total = raw.Add(raw.Mul(total, x), c)
    return total


@float64_form("Erf")
def _erf(x: Any) -> Any:
    a = raw.Abs(x)
    square = raw.Mul(x, x)
    low = raw.Min(square, 0.46875**2)
    near = raw.Mul(x, raw.Div(_polynomial(low, _ERF_N), _polynomial(low, _ERF_D)))
    # Beyond 6 the complement is below the last digit of 1.
    high = raw.Clip(a, 0.46875, 6.0)
    ratio = raw.Div(_polynomial(high, _ERFC_N), _polynomial(high, _ERFC_D))
    complement = raw.Mul(raw.Exp(raw.Neg(raw.Mul(high, high))), ratio)
    far = raw.Mul(raw.Sign(x), raw.Sub(1, complement))
    return raw.Where(raw.LessOrEqual(a, 0.46875), near, far)


# -- activations ----------------------------------------------------------------------------------------------------


def _below(x: Any) -> Any:
    return raw.Min(x, 0)


@float64_form("Elu")
def _elu(x: Any, *, alpha: float = 1.0) -> Any:
    return raw.Add(raw.Relu(x), raw.Mul(raw.Sub(raw.Exp(_below(x)), 1), alpha))


@float64_form("Selu")
def _(x: Any, *, alpha: float = 1.67326319217681884765625, gamma: float = 1.05070102214813232421875) -> Any:
    return raw.Mul(_elu(x, alpha=alpha), gamma)


@float64_form("LeakyRelu")
def _(x: Any, *, alpha: float = 0.01) -> Any:
    return raw.Add(raw.Relu(x), raw.Mul(_below(x), alpha))


@float64_form("PRelu")
def _(x: Any, slope: Any) -> Any:
    return raw.Add(raw.Relu(x), raw.Mul(_below(x), slope))


@float64_form("ThresholdedRelu")
def _(x: Any, *, alpha: float = 1.0) -> Any:
    return raw.Mul(x, raw.Cast(raw.Greater(x, alpha), to="float64"))


@float64_form("Shrink")
def _(x: Any, *, bias: float = 0.0, lambd: float = 0.5) -> Any:
    outside = raw.Cast(raw.Greater(raw.Abs(x), lambd), to="float64")
    return raw.Mul(outside, raw.Sub(x, raw.Mul(raw.Sign(x), bias)))


@float64_form("HardSigmoid")
def _hard_sigmoid(x: Any, *, alpha: float = 0.2, beta: float = 0.5) -> Any:
    return raw.Clip(raw.Add(raw.Mul(x, alpha), beta), 0.0, 1.0)


@float64_form("HardSwish")
def _(x: Any) -> Any:
    return raw.Mul(x, _hard_sigmoid(x, alpha=1 / 6))


@float64_form("Softplus")
def _softplus(x: Any) -> Any:
    return raw.Add(raw.Relu(x), _log1p(raw.Exp(raw.Neg(raw.Abs(x)))))


@float64_form("Softsign")
def _(x: Any) -> Any:
    return raw.Div(x, raw.Add(raw.Abs(x), 1))


@float64_form("Swish")
def _(x: Any, *, alpha: float = 1.0) -> Any:
    return raw.Mul(x, raw.Sigmoid(raw.Mul(x, alpha)))


@float64_form("Mish")
def _(x: Any) -> Any:
    return raw.Mul(x, raw.Tanh(_softplus(x)))


@float64_form("Gelu")
def _(x: Any, *, approximate: str = "none") -> Any:
    if approximate == "none":
        return raw.Mul(raw.Mul(x, 0.5), raw.Add(_erf(raw.Mul(x, 1 / sqrt(2))), 1))
    inner = raw.Mul(x, raw.Add(raw.Mul(raw.Mul(x, x), 0.044715), 1))
    return raw.Mul(raw.Mul(x, 0.5), raw.Add(raw.Tanh(raw.Mul(inner, sqrt(2 / pi))), 1))


@float64_form("Hardmax")
def _(x: Any, *, axis: int = -1) -> Any:
    size = type_of(x).shape[axis]
    best = raw.ArgMax(x, axis=axis, keepdims=1)
    if not isinstance(size, int):
        raise ValueError(f"Hardmax in float64 needs a known size on axis {axis}, got {type_of(x)}")
    along = [1] * type_of(x).rank
    along[axis] = size
    return raw.Cast(raw.Equal(best, np.arange(size).reshape(along)), to="float64")


@float64_form("Mean")
def _(*xs: Any) -> Any:
    return raw.Div(raw.Sum(*xs), len(xs))


# -- normalisations -------------------------------------------------------------------------------------------------


def _standardized(x: Any, axes: Sequence[int], epsilon: float) -> tuple[Any, Any, Any]:
    """x with mean 0 and variance 1 along axes, the mean, and 1 / sqrt(variance + ε)."""
    over = ints(*axes)
    mean = raw.ReduceMean(x, over, keepdims=1)
    away = raw.Sub(x, mean)
    variance = raw.ReduceMean(raw.Mul(away, away), over, keepdims=1)
    inverse = raw.Reciprocal(raw.Sqrt(raw.Add(variance, epsilon)))
    return raw.Mul(away, inverse), mean, inverse


def _per_channel(vector: Any, rank: int) -> Any:
    return raw.Unsqueeze(vector, ints(*range(1, rank - 1))) if rank > 2 else vector


@float64_form("LayerNormalization")
def _(
    x: Any, scale: Any, bias: Any = None, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1
) -> tuple[Any, Any, Any]:
    rank = type_of(x).rank
    y, mean, inverse = _standardized(x, range(axis % rank, rank), epsilon)
    y = raw.Mul(y, scale)
    y = y if bias is None else raw.Add(y, bias)
    return y, raw.Cast(mean, to="float32"), raw.Cast(inverse, to="float32")


@float64_form("RMSNormalization")
def _(x: Any, scale: Any, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1) -> Any:
    rank = type_of(x).rank
    square = raw.ReduceMean(raw.Mul(x, x), ints(*range(axis % rank, rank)), keepdims=1)
    return raw.Mul(raw.Div(x, raw.Sqrt(raw.Add(square, epsilon))), scale)


@float64_form("InstanceNormalization")
def _(x: Any, scale: Any, bias: Any, *, epsilon: float = 1e-5) -> Any:
    rank = type_of(x).rank
    y, _, _ = _standardized(x, range(2, rank), epsilon)
    return raw.Add(raw.Mul(y, _per_channel(scale, rank)), _per_channel(bias, rank))


@float64_form("GroupNormalization")
def _(x: Any, scale: Any, bias: Any, *, num_groups: int, epsilon: float = 1e-5, stash_type: int = 1) -> Any:
    rank = type_of(x).rank
    groups = raw.Reshape(x, ints(0, num_groups, -1))
    y, _, _ = _standardized(groups, [2], epsilon)
    y = raw.Reshape(y, raw.Shape(x))
    return raw.Add(raw.Mul(y, _per_channel(scale, rank)), _per_channel(bias, rank))


@float64_form("MeanVarianceNormalization")
def _(x: Any, *, axes: Sequence[int] = (0, 2, 3)) -> Any:
    over = ints(*axes)
    away = raw.Sub(x, raw.ReduceMean(x, over, keepdims=1))
    deviation = raw.Sqrt(raw.ReduceMean(raw.Mul(away, away), over, keepdims=1))
    return raw.Div(away, raw.Add(deviation, 1e-9))


@float64_form("LRN")
def _(x: Any, *, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0) -> Any:
    rank = type_of(x).rank
    before, after = (size - 1) // 2, size - 1 - (size - 1) // 2
    square = raw.Mul(x, x)
    padded = raw.Pad(square, ints(0, before, *[0] * (rank - 1), after, *[0] * (rank - 2)))
    # The sum over a run of channels: slices of the padded squares.
    total = None
    for k in range(size):
        end = k - size + 1
        part = raw.Slice(padded, ints(k), ints(end if end else np.iinfo(np.int64).max), ints(1))
        total = part if total is None else raw.Add(total, part)
    base = raw.Add(raw.Mul(total, alpha / size), bias)
    return raw.Div(x, raw.Pow(base, beta))
