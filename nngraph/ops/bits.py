"""Random bits from a seed and a counter, made of 32-bit integer operations only.

The same state gives the same bits on every target, in eager mode and in a graph: nothing but multiplication, addition
and shifts to the right of ``uint32`` is involved, which every provider computes exactly (a shift is also a division).

A draw is a table of 512 columns. Element ``(i, j)`` is the product ``(R[i] + C[j]) * (S[i] + D[j])`` modulo ``2**32``,
whose upper bits are random; a last step spreads them over all bits where those are wanted. So the expensive part, the
vectors R, S, C and D, runs over ``n / 256 + 1024`` numbers, and only two sums and a product over all ``n``. In a
sum alone, the corners of a rectangle would obey a linear equation; in a product of two they do not.

The vectors are a slice of ``M(a * k + b)``, ``k = 0, 1, 2 ...``. The line's numbers ``(a, b)``, with odd ``a``, are
linear in seed and counter, and ``M`` is a finaliser: the number is multiplied with an odd number made of its own upper
half, then that product's upper half is added to it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nngraph.ir import Value, numpy_dtype
from nngraph.ops.trace import apply, composite
from nngraph.ops.vjp import no_gradient, raw
from nngraph.registry import COMPOSITE_DOMAIN

__all__ = ["COLUMNS", "dropout_mask", "normal_noise", "random_bits", "truncated_normal_noise", "uniform_noise"]

COLUMNS = 512
"""How many neighbouring elements share a row's numbers."""

_HALF = 16

# The numbers of the line: what one step (a) and the start (b) take from seed, counter and neither. The first two of `a`
# are even and the last is odd, which makes `a` odd: the places of a line then have different numbers.
_STEP = (0x9E3779B2, 0x3C6EF35E, 0x85EBCA6B)
_START = (0xC2B2AE35, 0x27D4EB2F, 0x165667B1)

# The finaliser multiplies with `upper half * even + odd`.
_EVEN, _ODD = 0xD35A2D96, 0x21F0AAAD


def _u32(numbers: Any) -> np.ndarray[Any, Any]:
    return np.asarray(numbers, np.uint32)


def _upper(x: Any) -> Any:
    return raw.BitShift(x, _u32(_HALF), direction="RIGHT")


def _mix(x: Any) -> Any:
    x = raw.Mul(x, raw.Add(raw.Mul(_upper(x), _u32(_EVEN)), _u32(_ODD)))
    return raw.Add(x, _upper(x))


def _settle(x: Any) -> Any:
    """Exchange the halves and multiply with an odd number: one to one, which the last step of `_mix` is not quite."""
    return raw.Add(raw.Mul(_upper(x), _u32(_ODD)), raw.Mul(x, _u32(_ODD << _HALF & 0xFFFFFFFF)))


def _line(state: Any, count: Any) -> Any:
    """Return ``a * k + b`` for so many ``k``.

    What does not depend on the state comes first, so that it is a constant where the count is one.
    """
    places = raw.Cast(raw.Range(np.int32(0), count, np.int32(1)), to="uint32")
    by_seed, by_counter, rest = (
        raw.Add(raw.Mul(places, _u32(step)), _u32(start)) for step, start in zip(_STEP, _START, strict=True)
    )
    seed, counter = apply("Split", state, np.array([1, 1]), outputs=2)
    return raw.Add(raw.Add(raw.Mul(by_seed, seed), raw.Mul(by_counter, counter)), rest)


def _table(state: Any, shape: Any, *, odd: bool) -> Any:
    """Return products whose upper bits are random; with ``odd``, all 2**32 numbers are equally likely."""
    known = _known_size(shape)
    if known is None:
        size = raw.Cast(raw.ReduceProd(shape, keepdims=0), to="int32")
        rows = raw.Div(raw.Add(size, np.int32(COLUMNS - 1)), np.int32(COLUMNS))
        pairs: Any = raw.Mul(rows, np.int32(2))
        behind = raw.Reshape(raw.Cast(pairs, to="int64"), np.array([1]))
        parts = raw.Concat(np.array([COLUMNS, COLUMNS]), behind, axis=0)
    else:
        pairs = np.int32(2 * -(-known // COLUMNS))
        parts = np.array([COLUMNS, COLUMNS, pairs])
    mixed = _mix(_line(state, raw.Add(pairs, np.int32(2 * COLUMNS))))
    c, d, both = apply("Split", mixed, parts, outputs=3, axis=0)
    r, s = apply("Split", raw.Reshape(both, np.array([-1, 2])), np.array([1, 1]), outputs=2, axis=1)
    if odd:
        s, d = raw.Add(s, s), raw.Add(raw.Add(d, d), _u32(1))
    products = raw.Reshape(raw.Mul(raw.Add(r, c), raw.Add(s, d)), np.array([-1]))
    if known is None or known % COLUMNS:
        products = raw.Slice(products, np.array([0]), raw.Reshape(raw.ReduceProd(shape, keepdims=0), np.array([1])))
    return raw.Reshape(products, shape, allowzero=1)


@composite("RandomBits")
def random_bits(state: Any, shape: Any) -> Any:
    """Return uniformly random ``uint32`` numbers; all bits are equally good.

    Args:
        state: ``uint32`` vector of seed and counter.
        shape: the shape as an ``int64`` vector.

    Example:
        >>> random_bits(np.array([7, 0], "uint32"), np.array([2, 2])).shape
        (2, 2)
    """
    return _settle(_table(state, shape, odd=True))


def _data(shape: Any) -> np.ndarray[Any, Any] | None:
    return shape.data if isinstance(shape, Value) else np.asarray(shape)


def _known_size(shape: Any) -> int | None:
    data = _data(shape)
    return None if data is None else int(np.prod(data, dtype=np.int64))


@composite("DropoutMask")
def dropout_mask(state: Any, shape: Any, *, rate: float, dtype: str) -> Any:
    """Return ``1 / (1 - rate)`` with probability ``1 - rate`` and 0 otherwise, independently for each element.

    The comparison is one of integers, so no target rounds it differently.

    Args:
        state: ``uint32`` vector of seed and counter.
        shape: the shape as an ``int64`` vector.
        rate: probability of 0.
        dtype: dtype of the result.
    """
    threshold = min(round(rate * 2**32), 2**32 - 1)
    kept = raw.Cast(raw.GreaterOrEqual(_table(state, shape, odd=False), _u32(threshold)), to=dtype)
    scale = 0.0 if rate >= 1 else 1 / (1 - rate)
    return raw.Mul(kept, np.asarray(scale, numpy_dtype(dtype)))


_PRECISION = {"float64": 32, "float32": 24, "float16": 11, "bfloat16": 8}
"""How many random bits a dtype's numbers below 1 hold exactly."""


@composite("UniformNoise")
def uniform_noise(state: Any, shape: Any, *, dtype: str) -> Any:
    """Return numbers uniform in ``[0, 1)``: multiples of ``2**-24`` for float32.

    Args:
        state: ``uint32`` vector of seed and counter.
        shape: the shape as an ``int64`` vector.
        dtype: a floating dtype.
    """
    return _fraction(random_bits(state, shape), dtype, 0.0)


def _fraction(bits: Any, dtype: str, shift: float) -> Any:
    """Return the upper bits as a number ``(k + shift) * 2**-p`` in the unit interval."""
    precision = _PRECISION[dtype]
    kept = raw.BitShift(bits, _u32(32 - precision), direction="RIGHT") if precision < 32 else bits
    whole = raw.Cast(kept, to=dtype)
    if shift:
        whole = raw.Add(whole, np.asarray(shift, numpy_dtype(dtype)))
    return raw.Mul(whole, np.asarray(2.0**-precision, numpy_dtype(dtype)))


@composite("NormalNoise")
def normal_noise(state: Any, shape: Any, *, dtype: str) -> Any:
    """Return standard normal numbers by the Box-Muller transform ``sqrt(-2 ln u) cos(2 pi v)``, with ``u`` in (0, 1].

    Args:
        state: ``uint32`` vector of seed and counter.
        shape: the shape as an ``int64`` vector.
        dtype: a floating dtype.
    """
    wide = "float64" if dtype == "float64" else "float32"
    numbers = numpy_dtype(wide)
    data = _data(shape)
    pair = raw.Concat(np.array([2]), shape, axis=0) if data is None else np.concatenate([[2], data])
    bits = random_bits(state, pair)
    first, second = (raw.Gather(bits, np.array(k), axis=0) for k in range(2))
    radius = raw.Sqrt(raw.Mul(raw.Log(_fraction(first, wide, 1.0)), np.asarray(-2, numbers)))
    angle = raw.Mul(_fraction(second, wide, 0.0), np.asarray(2 * np.pi, numbers))
    result = raw.Mul(radius, raw.Cos(angle))
    return result if dtype == wide else raw.Cast(result, to=dtype)


# M. Giles, "Approximating the erfinv function" (2010), single precision, the branch for |x| < 0.9966.
_ERF_INV = (
    *(2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087),
    *(-0.00125372503, -0.00417768164, 0.246640727, 1.50140941),
)
_ERF_OF_SQRT_2 = 0.9544997361036416
"""Probability that a standard normal number lies within -2 and 2."""


@composite("TruncatedNormalNoise")
def truncated_normal_noise(state: Any, shape: Any, *, dtype: str) -> Any:
    """Return standard normal numbers within -2 and 2, by the inverse of their distribution function.

    Args:
        state: ``uint32`` vector of seed and counter.
        shape: the shape as an ``int64`` vector.
        dtype: a floating dtype.
    """
    wide = "float64" if dtype == "float64" else "float32"
    numbers = numpy_dtype(wide)
    place = _fraction(random_bits(state, shape), wide, 0.5)
    x = raw.Mul(raw.Sub(raw.Mul(place, 2), 1), np.asarray(_ERF_OF_SQRT_2, numbers))
    w = raw.Sub(raw.Neg(raw.Log(raw.Sub(1, raw.Mul(x, x)))), np.asarray(2.5, numbers))
    total = np.asarray(_ERF_INV[0], numbers)
    for coefficient in _ERF_INV[1:]:
        total = raw.Add(raw.Mul(w, total), np.asarray(coefficient, numbers))
    result = raw.Clip(
        raw.Mul(raw.Mul(total, x), np.asarray(np.sqrt(2), numbers)), np.asarray(-2, numbers), np.asarray(2, numbers)
    )
    return result if dtype == wide else raw.Cast(result, to=dtype)


no_gradient(
    "random numbers depend on nothing differentiable",
    *("RandomBits", "DropoutMask", "UniformNoise", "NormalNoise", "TruncatedNormalNoise"),
    domain=COMPOSITE_DOMAIN,
)
