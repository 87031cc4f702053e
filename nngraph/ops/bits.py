"""Random bits from a seed and a counter, made of 32-bit integer operations only.

The same state gives the same bits on every target, in eager mode and in a graph: nothing but multiplication, addition,
shifts and exclusive or of ``uint32`` is involved.

Element ``i`` of a draw is ``F(R[i // 1024] + C[i % 1024])``. The vectors ``R`` and ``C`` are a slice of
``M(k * j + s)``, ``j = 0, 1, 2 ...``, where the key ``(s, k)`` comes from seed and counter; ``M`` is a finaliser with
full avalanche. So the expensive part runs over ``n / 1024 + 1024`` numbers, and only a sum and ``F``, which is ``M``
without its last step, over all ``n``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nngraph.ir import Value, numpy_dtype
from nngraph.ops.trace import composite
from nngraph.ops.vjp import no_gradient, raw
from nngraph.registry import COMPOSITE_DOMAIN

__all__ = ["COLUMNS", "dropout_mask", "normal_noise", "random_bits", "truncated_normal_noise", "uniform_noise"]

COLUMNS = 1024
"""How many neighbouring elements share one entry of ``R``."""

# Multipliers and shifts of the 32-bit finaliser with the lowest known bias of this form; found by exhaustive search in
# Christopher Wellons' "hash-prospector" (public domain), exact bias 0.1076.
_MULTIPLIERS = (0x21F0AAAD, 0xD35A2D97)
_SHIFTS = (16, 15, 15)

# Odd constants near 2**32 divided by the golden ratio; they only keep seed and counter apart.
_OFFSETS = (0x9E3779B9, 0x85EBCA6B)
_SPREAD = 0x9E3779B1


def _u32(numbers: Any) -> np.ndarray[Any, Any]:
    return np.asarray(numbers, np.uint32)


def _fold(x: Any, shift: int) -> Any:
    """Return ``x ^ (x >> shift)``."""
    return raw.BitwiseXor(x, raw.BitShift(x, _u32(shift), direction="RIGHT"))


def _stir(x: Any) -> Any:
    """Spread every bit of ``x`` over the upper bits."""
    x = raw.Mul(_fold(x, _SHIFTS[0]), _u32(_MULTIPLIERS[0]))
    return raw.Mul(_fold(x, _SHIFTS[1]), _u32(_MULTIPLIERS[1]))


def _mix(x: Any) -> Any:
    return _fold(_stir(x), _SHIFTS[2])


def _key(state: Any) -> tuple[Any, Any]:
    """Return an offset and an odd step that two different states never share."""
    parts = _mix(raw.Add(state, _u32(_OFFSETS)))
    seed = raw.Slice(parts, np.array([0]), np.array([1]))
    counter = raw.Slice(parts, np.array([1]), np.array([2]))
    step = raw.BitwiseOr(raw.Add(counter, raw.Mul(seed, _u32(_SPREAD))), _u32(1))
    return seed, step


@composite("RandomBits")
def random_bits(state: Any, shape: Any) -> Any:
    """Return uniformly random ``uint32`` numbers; take the upper bits where few are needed, they are the best.

    Args:
        state: ``uint32`` vector of seed and counter.
        shape: the shape as an ``int64`` vector.

    Example:
        >>> random_bits(np.array([7, 0], "uint32"), np.array([2, 2])).shape
        (2, 2)
    """
    offset, step = _key(state)
    known = _known_size(shape)
    if known is None:
        size = raw.Cast(raw.ReduceProd(shape, keepdims=0), to="int32")
        rows = raw.Div(raw.Add(size, np.int32(COLUMNS - 1)), np.int32(COLUMNS))
        length, columns = raw.Add(rows, np.int32(COLUMNS)), COLUMNS
    else:
        columns = min(COLUMNS, max(known, 1))
        length = np.int32(COLUMNS + -(-known // COLUMNS))
    places = raw.Cast(raw.Range(np.int32(0), length, np.int32(1)), to="uint32")
    mixed = _mix(raw.Add(raw.Mul(places, step), offset))
    last = np.array([np.iinfo(np.int64).max])
    column = raw.Slice(mixed, np.array([0]), np.array([columns]))
    row = raw.Reshape(raw.Slice(mixed, np.array([COLUMNS]), last), np.array([-1, 1]))
    bits = raw.Reshape(_stir(raw.Add(row, column)), np.array([-1]))
    if known is None or known % columns:
        bits = raw.Slice(bits, np.array([0]), raw.Reshape(raw.ReduceProd(shape, keepdims=0), np.array([1])))
    return raw.Reshape(bits, shape, allowzero=1)


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
    kept = raw.Cast(raw.GreaterOrEqual(random_bits(state, shape), _u32(threshold)), to=dtype)
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
