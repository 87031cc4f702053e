"""Less common functions of one or two numbers, as in ``keras.ops``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nngraph.ir import is_float, is_integer, numpy_dtype, standardize_dtype
from nngraph.ops.axes import ints, rank, reshaped, scalar, sizes, to_float
from nngraph.ops.control import while_loop
from nngraph.ops.core import convert, dtype_of, promote
from nngraph.ops.dispatch import public
from nngraph.ops.elementwise import absolute, isnan, log1p, logical_or, power, where
from nngraph.ops.reduction import any as any_over
from nngraph.ops.trace import apply, composite
from nngraph.ops.vjp import raw, vjp

__all__ = [
    "angle",
    "cbrt",
    "conj",
    "conjugate",
    "deg2rad",
    "erfc",
    "erfinv",
    "fmax",
    "fmin",
    "fmod",
    "gcd",
    "heaviside",
    "hypot",
    "i0",
    "imag",
    "isneginf",
    "isposinf",
    "isreal",
    "lcm",
    "ldexp",
    "logaddexp",
    "logaddexp2",
    "nextafter",
    "rad2deg",
    "real",
    "saturate_cast",
    "signbit",
    "sinc",
    "view",
]


@public
def cbrt(x: Any) -> Any:
    """Return the real cube root."""
    t = to_float(x)
    return apply("Mul", apply("Sign", t), power(apply("Abs", t), scalar(1 / 3, t)))


@public
def deg2rad(x: Any) -> Any:
    """Return degrees as radians."""
    t = to_float(x)
    return apply("Mul", t, scalar(math.pi / 180, t))


@public
def rad2deg(x: Any) -> Any:
    """Return radians as degrees."""
    t = to_float(x)
    return apply("Mul", t, scalar(180 / math.pi, t))


@public
def sinc(x: Any) -> Any:
    """Return sin(pi x) / (pi x), and 1 at 0."""
    t = to_float(x)
    zero = apply("Equal", t, scalar(0, t))
    angle_ = apply("Mul", apply("Where", zero, scalar(1, t), t), scalar(math.pi, t))
    return apply("Where", zero, scalar(1, t), apply("Div", apply("Sin", angle_), angle_))


@public
def heaviside(x1: Any, x2: Any) -> Any:
    """Return 0 for negative ``x1``, ``x2`` for zero and 1 for positive."""
    a, b = promote(x1, x2, to_float=True)
    zero = scalar(0, a)
    step = where(apply("Less", a, zero), zero, where(apply("Equal", a, zero), b, scalar(1, a)))
    return where(isnan(a), a, step)


@public
def hypot(x1: Any, x2: Any) -> Any:
    """Return sqrt(x1² + x2²) without overflow on the way."""
    a, b = promote(x1, x2, to_float=True)
    a, b = absolute(a), absolute(b)
    large, small = apply("Max", a, b), apply("Min", a, b)
    zero = apply("Equal", large, scalar(0, a))
    ratio = apply("Div", small, apply("Where", zero, scalar(1, a), large))
    root = apply("Sqrt", apply("Add", apply("Mul", ratio, ratio), scalar(1, a)))
    return apply("Mul", large, root)


@public
def ldexp(x1: Any, x2: Any) -> Any:
    """Return x1 · 2^x2."""
    t = to_float(x1)
    return apply("Mul", t, apply("Exp", apply("Mul", convert(x2, dtype_of(t)), scalar(math.log(2), t))))


def _log_of_sum(x1: Any, x2: Any, scale: float) -> Any:
    """log(e^(s a) + e^(s b)) / s for s = scale, from the larger of the two."""
    a, b = promote(x1, x2, to_float=True)
    gap = absolute(apply("Sub", a, b))
    more = log1p(apply("Exp", apply("Mul", gap, scalar(-scale, a))))
    apart = apply("Add", apply("Max", a, b), apply("Mul", more, scalar(1 / scale, a)))
    # Equal infinities have no difference; the mean shares the gradient of equal numbers.
    mean = apply("Mul", apply("Add", a, b), scalar(0.5, a))
    same = apply("Add", mean, scalar(math.log(2) / scale, a))
    return apply("Where", apply("Equal", a, b), same, apart)


@public
def logaddexp(x1: Any, x2: Any) -> Any:
    """Return log(exp(x1) + exp(x2)), safe from overflow."""
    return _log_of_sum(x1, x2, 1.0)


@public
def logaddexp2(x1: Any, x2: Any) -> Any:
    """Return log2(2^x1 + 2^x2), safe from overflow."""
    return _log_of_sum(x1, x2, math.log(2))


@public
def fmax(x1: Any, x2: Any) -> Any:
    """Return the larger of two; a number rather than NaN."""
    return _ignoring_nan("Max", x1, x2)


@public
def fmin(x1: Any, x2: Any) -> Any:
    """Return the smaller of two; a number rather than NaN."""
    return _ignoring_nan("Min", x1, x2)


def _ignoring_nan(op: str, x1: Any, x2: Any) -> Any:
    a, b = promote(x1, x2)
    best = apply(op, a, b)
    return where(isnan(a), b, where(isnan(b), a, best)) if is_float(dtype_of(a)) else best


@public
def fmod(x1: Any, x2: Any) -> Any:
    """Return the remainder with the sign of the dividend, as in C."""
    a, b = promote(x1, x2)
    if dtype_of(a) == "bool":
        a, b = convert(a, "int32"), convert(b, "int32")
    return apply("Mod", a, b, fmod=1)


@public
def gcd(x1: Any, x2: Any) -> Any:
    """Return the greatest common divisor of integers (Euclid's algorithm in a loop).

    Raises:
        TypeError: an operand is not of an integer dtype.
    """
    a, b = promote(x1, x2)
    if not is_integer(dtype_of(a)):
        raise TypeError(f"gcd takes integers, got {dtype_of(a)}")
    a, b = absolute(a), absolute(b)
    zero, one = scalar(0, a), scalar(1, a)
    # A loop keeps shapes, so both take the common one first.
    a, b = apply("Add", a, apply("Mul", b, zero)), apply("Add", b, apply("Mul", a, zero))

    def step(p: Any, q: Any) -> Any:
        done = apply("Equal", q, zero)
        return where(done, p, q), where(done, zero, apply("Mod", p, where(done, one, q)))

    return while_loop(lambda p, q: any_over(apply("Not", apply("Equal", q, zero))), step, (a, b))[0]


@public
def lcm(x1: Any, x2: Any) -> Any:
    """Return the least common multiple of integers; see :func:`gcd`."""
    a, b = promote(x1, x2)
    divisor = gcd(a, b)
    none = apply("Equal", divisor, scalar(0, divisor))
    return apply("Mul", absolute(a), apply("Div", absolute(b), where(none, scalar(1, divisor), divisor)))


# -- special functions ----------------------------------------------------------------------------------------------


def _polynomial(t: Any, *coefficients: float) -> Any:
    """Horner's rule, the constant term first."""
    total: Any = scalar(coefficients[-1], t)
    for c in coefficients[-2::-1]:
        total = apply("Add", apply("Mul", total, t), scalar(c, t))
    return total


@composite("Erfc")
def _erfc(x: Any) -> Any:
    """Chebyshev fit with a relative error below 1.2e-7 everywhere (Press et al., Numerical Recipes, 2nd ed., 6.2)."""
    z = raw.Abs(x)
    t = raw.Reciprocal(raw.Add(raw.Mul(z, 0.5), 1))
    terms = (-1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587)
    exponent = raw.Sub(_polynomial(t, *terms, -0.82215223, 0.17087277), raw.Mul(z, z))
    tail = raw.Mul(t, raw.Exp(exponent))
    return raw.Where(raw.Less(x, 0), raw.Sub(2, tail), tail)


@vjp("Erfc", domain="nngraph")
def _(g: Any, y: Any, x: Any) -> Any:
    return (raw.Mul(g, raw.Mul(raw.Exp(raw.Neg(raw.Mul(x, x))), -2 / math.sqrt(math.pi))),)


@composite("ErfInv")
def _erfinv(x: Any) -> Any:
    """M. Giles, "Approximating the erfinv function" (GPU Computing Gems 2, 2010), for float32: 4e-7 relative error."""
    w = raw.Neg(raw.Log(raw.Mul(raw.Sub(1, x), raw.Add(x, 1))))
    inner = (1.50140941, 0.246640727, -0.00417768164, -0.00125372503, 0.00021858087)
    near = _polynomial(raw.Sub(w, 2.5), *inner, -4.39150654e-06, -3.5233877e-06, 3.43273939e-07, 2.81022636e-08)
    root = raw.Sub(raw.Sqrt(raw.Max(w, scalar(5, w))), 3)
    outer = (2.83297682, 1.00167406, 0.00943887047, -0.0076224613, 0.00573950773)
    far = _polynomial(root, *outer, -0.00367342844, 0.00134934322, 0.000100950558, -0.000200214257)
    found = raw.Mul(raw.Where(raw.Less(w, 5), near, far), x)
    end = raw.Equal(raw.Abs(x), scalar(1, x))
    return raw.Where(end, raw.Mul(x, scalar(math.inf, x)), found)


@vjp("ErfInv", domain="nngraph")
def _(g: Any, y: Any, x: Any) -> Any:
    return (raw.Mul(g, raw.Mul(raw.Exp(raw.Mul(y, y)), math.sqrt(math.pi) / 2)),)


@public
def erfc(x: Any) -> Any:
    """Return 1 - erf(x), with its digits kept where that is small."""
    return _erfc(to_float(x))


@public
def erfinv(x: Any) -> Any:
    """Return the number whose error function is ``x``, for x in [-1, 1]."""
    return _erfinv(to_float(x))


@public
def i0(x: Any) -> Any:
    """Return the modified Bessel function of order 0 (Abramowitz and Stegun 9.8.1 and 9.8.2, relative error 2e-7)."""
    size = apply("Abs", to_float(x))
    bound = scalar(3.75, size)
    low = apply("Div", apply("Min", size, bound), bound)
    small = (1, 3.5156229, 3.0899424, 1.2067492, 0.2659732, 0.0360768, 0.0045813)
    near = _polynomial(apply("Mul", low, low), *small)
    high = apply("Max", size, bound)
    large = (0.39894228, 0.01328592, 0.00225319, -0.00157565, 0.00916281, -0.02057706, 0.02635537, -0.01647633)
    series = _polynomial(apply("Div", bound, high), *large, 0.00392377)
    far = apply("Mul", apply("Div", apply("Exp", high), apply("Sqrt", high)), series)
    return apply("Where", apply("Less", size, bound), near, far)


# -- the parts of a number ------------------------------------------------------------------------------------------


@public
def isposinf(x: Any) -> Any:
    """Return where ``x`` is plus infinity."""
    return apply("IsInf", to_float(x), detect_negative=0, detect_positive=1)


@public
def isneginf(x: Any) -> Any:
    """Return where ``x`` is minus infinity."""
    return apply("IsInf", to_float(x), detect_negative=1, detect_positive=0)


@public
def signbit(x: Any) -> Any:
    """Return where the sign is minus, also that of a zero."""
    t = convert(x)
    if not is_float(dtype_of(t)):
        return convert(np.False_) if dtype_of(t) == "bool" else apply("Less", t, scalar(0, t))
    zero = scalar(0, t)
    negative_zero = apply("And", apply("Equal", t, zero), apply("Less", apply("Reciprocal", t), zero))
    return logical_or(apply("Less", t, zero), negative_zero)


@public
def real(x: Any) -> Any:
    """Return the real part; real tensors are their own."""
    return convert(x)


@public
def imag(x: Any) -> Any:
    """Return the imaginary part, which is 0 for real tensors."""
    t = convert(x)
    return apply("Mul", t, scalar(0, t))


@public
def conj(x: Any) -> Any:
    """Return the complex conjugate; real tensors are their own."""
    return convert(x)


conjugate = conj


@public
def isreal(x: Any) -> Any:
    """Return where the imaginary part is 0: everywhere for real tensors."""
    t = convert(x)
    return apply("Or", apply("Equal", t, t), np.asarray(True))


@public
def angle(x: Any) -> Any:
    """Return the angle in the complex plane: 0 for positive numbers and pi for negative ones."""
    t = to_float(x)
    turned = where(signbit(t), scalar(math.pi, t), scalar(0, t))
    return where(isnan(t), t, turned)


@public
def saturate_cast(x: Any, dtype: Any) -> Any:
    """Return the tensor in another dtype; what lies outside its range becomes its nearest number.

    Example:
        >>> saturate_cast(np.float32([300, -5]), "uint8").tolist()
        [255, 0]
    """
    wanted, t = standardize_dtype(dtype), convert(x)
    have = dtype_of(t)
    if have == "bool" or wanted == "bool" or not (is_integer(wanted) or is_float(wanted)):
        return convert(t, wanted)
    if is_float(have) and is_integer(wanted):
        t = where(isnan(t), scalar(0, t), t)
    source, target = numpy_dtype(have), numpy_dtype(wanted)
    low, high = _limits(source, target)
    found = convert(apply("Min", apply("Max", t, low), high), wanted)
    if target.kind in "iu" and int(high) < np.iinfo(target).max and source.kind not in "iu":
        # No float lies between this one and the largest integer.
        found = where(apply("Greater", t, high), np.asarray(np.iinfo(target).max, target), found)
    return found


def _limits(source: np.dtype[Any], wanted: np.dtype[Any]) -> tuple[Any, Any]:
    """Return the numbers of dtype ``source`` between which nothing leaves the range of ``wanted``."""
    if wanted.kind not in "iu":
        info = np.finfo(wanted) if wanted.kind == "f" else np.finfo(np.float32)
        low, high = (np.asarray(np.clip(b, *_own(source)), source) for b in (info.min, info.max))
        return low, high
    exact = np.iinfo(wanted)
    if source.kind in "iu":
        own = np.iinfo(source)
        return np.asarray(max(exact.min, own.min), source), np.asarray(min(exact.max, own.max), source)
    low, high = source.type(exact.min), source.type(exact.max)
    # The largest integer may round up to one that is out of the range.
    return np.asarray(low), np.asarray(high if int(high) <= exact.max else np.nextafter(high, source.type(0)))


def _own(source: np.dtype[Any]) -> tuple[Any, Any]:
    if source.kind in "iu":
        return np.iinfo(source).min, np.iinfo(source).max
    info = np.finfo(source) if source.kind == "f" else np.finfo(np.float32)
    return info.min, info.max


@public
def nextafter(x1: Any, x2: Any) -> Any:
    """Return the floating number next to ``x1`` in the direction of ``x2``."""
    a, b = promote(x1, x2, to_float=True)
    whole = f"int{8 * numpy_dtype(dtype_of(a)).itemsize}"
    bits = apply("BitCast", a, to=whole)
    # Away from zero the bits count up, towards it down, for either sign.
    outward = apply("Equal", apply("Greater", b, a), apply("Greater", a, scalar(0, a)))
    one = np.asarray(1, whole)
    moved = apply("BitCast", where(outward, apply("Add", bits, one), apply("Sub", bits, one)), to=dtype_of(a))
    # The bits of the smallest number are 1, and with the sign the smallest integer and 1.
    tiny = np.array([1, np.iinfo(whole).min + 1], whole).view(numpy_dtype(dtype_of(a)))
    from_zero = where(apply("Greater", b, a), tiny[0], tiny[1])
    moved = where(apply("Equal", a, scalar(0, a)), from_zero, moved)
    moved = where(apply("Equal", a, b), b, moved)
    return where(logical_or(isnan(a), isnan(b)), scalar(math.nan, a), moved)


@public
def view(x: Any, dtype: Any = None) -> Any:
    """Return the same bytes read as another dtype; the last axis changes when the dtypes differ in width.

    Raises:
        TypeError: a dtype that is neither a number of 8 to 64 bits nor an integer.
    """
    t = convert(x)
    if dtype is None or standardize_dtype(dtype) == dtype_of(t):
        return t
    wanted = standardize_dtype(dtype)
    for d in (dtype_of(t), wanted):
        if not (is_float(d) or is_integer(d)):
            raise TypeError(f"view: cannot reinterpret {d}")
    have_bits, want_bits = (8 * numpy_dtype(d).itemsize for d in (dtype_of(t), wanted))
    if have_bits == want_bits:
        return apply("BitCast", t, to=wanted)
    bits = apply("BitCast", t, to=f"uint{have_bits}") if not dtype_of(t).startswith("uint") else t
    dims, ratio = sizes(bits), max(have_bits, want_bits) // min(have_bits, want_bits)
    if want_bits < have_bits:
        shifts = np.arange(ratio, dtype=f"uint{have_bits}") * want_bits
        parts = apply("BitShift", apply("Unsqueeze", bits, ints(rank(bits))), shifts, direction="RIGHT")
        narrow = convert(parts, f"uint{want_bits}")
        bits = reshaped(narrow, [*dims[:-1], dims[-1] * ratio])
    else:
        if not isinstance(dims[-1], int) or dims[-1] % ratio:
            raise ValueError(f"view: the last axis of {tuple(t.shape)} does not divide into {wanted}")
        parts = reshaped(convert(bits, f"uint{want_bits}"), [*dims[:-1], dims[-1] // ratio, ratio])
        shifts = np.arange(ratio, dtype=f"uint{want_bits}") * have_bits
        shifted = apply("BitShift", parts, shifts, direction="LEFT")
        pieces = apply("Split", shifted, outputs=ratio, axis=rank(shifted) - 1, num_outputs=ratio)
        joined = pieces[0]
        for piece in pieces[1:]:
            joined = apply("BitwiseOr", joined, piece)
        bits = apply("Squeeze", joined, ints(-1))
    return bits if wanted.startswith("uint") else apply("BitCast", bits, to=wanted)
