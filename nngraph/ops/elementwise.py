"""Arithmetic, comparison and the elementary functions, named as in ``keras.ops`` and numpy."""

from __future__ import annotations

import builtins
from functools import partial
from typing import Any

import numpy as np

from nngraph.ir import is_float, numpy_dtype
from nngraph.ir.operators import OPERATORS
from nngraph.ops.axes import widened
from nngraph.ops.core import convert, dtype_of, promote, result_type
from nngraph.ops.dispatch import public
from nngraph.ops.keras_tensor import KerasTensor
from nngraph.ops.trace import apply, current_trace
from nngraph.ops.variable import Variable

__all__ = [
    "abs",
    "absolute",
    "add",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "ceil",
    "clip",
    "cos",
    "cosh",
    "divide",
    "divide_no_nan",
    "equal",
    "erf",
    "exp",
    "exp2",
    "expm1",
    "fabs",
    "floor",
    "floor_divide",
    "greater",
    "greater_equal",
    "isfinite",
    "isinf",
    "isnan",
    "left_shift",
    "less",
    "less_equal",
    "log",
    "log1p",
    "log2",
    "log10",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "mod",
    "multiply",
    "negative",
    "not_equal",
    "power",
    "reciprocal",
    "right_shift",
    "round",
    "rsqrt",
    "sign",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "subtract",
    "tan",
    "tanh",
    "true_divide",
    "trunc",
    "where",
]


@public
def add(x1: Any, x2: Any) -> Any:
    """Return ``x1 + x2``, broadcast."""
    a, b = promote(x1, x2)
    return logical_or(a, b) if dtype_of(a) == "bool" else apply("Add", a, b)


@public
def subtract(x1: Any, x2: Any) -> Any:
    """Return ``x1 - x2``, broadcast."""
    return apply("Sub", *promote(x1, x2))


@public
def multiply(x1: Any, x2: Any) -> Any:
    """Return ``x1 * x2``, broadcast."""
    a, b = promote(x1, x2)
    return logical_and(a, b) if dtype_of(a) == "bool" else apply("Mul", a, b)


@public
def divide(x1: Any, x2: Any) -> Any:
    """Return ``x1 / x2``, broadcast; integers give float32."""
    return apply("Div", *promote(x1, x2, to_float=True))


true_divide = divide


@public
def divide_no_nan(x1: Any, x2: Any) -> Any:
    """Return ``x1 / x2``, and 0 where ``x2`` is 0."""
    a, b = promote(x1, x2, to_float=True)
    zero = np.asarray(0, numpy_dtype(dtype_of(b)))
    absent = apply("Equal", b, zero)
    # The divisor is replaced as well, so that no infinity enters the gradient.
    safe = apply("Where", absent, np.asarray(1, zero.dtype), b)
    return apply("Where", absent, zero, apply("Div", a, safe))


def _numbers(x1: Any, x2: Any) -> list[Any]:
    """Promote two operands; truth values become int32."""
    a, b = promote(x1, x2)
    return [convert(a, "int32"), convert(b, "int32")] if dtype_of(a) == "bool" else [a, b]


@public
def floor_divide(x1: Any, x2: Any) -> Any:
    """Return the largest integer not above ``x1 / x2``."""
    a, b = _numbers(x1, x2)
    if is_float(dtype_of(a)):
        return apply("Floor", apply("Div", a, b))
    quotient, rest = apply("Div", a, b), apply("Mod", a, b)
    if dtype_of(a).startswith("uint"):
        return quotient
    # ONNX divides integers towards zero; Mod has the divisor's sign, so (a - mod) divides exactly.
    return apply("Div", apply("Sub", a, rest), b)


@public
def mod(x1: Any, x2: Any) -> Any:
    """Return the remainder with the sign of the divisor, as Python's ``%``."""
    a, b = _numbers(x1, x2)
    if not is_float(dtype_of(a)):
        return apply("Mod", a, b)
    return apply("Sub", a, apply("Mul", apply("Floor", apply("Div", a, b)), b))


@public
def power(x1: Any, x2: Any) -> Any:
    """Return ``x1`` to the power ``x2``, broadcast."""
    if isinstance(x2, (int, float)) and not isinstance(x2, bool) and is_float(dtype_of(x1)):
        if x2 == 2:
            return square(x1)
        x = convert(x1)
        return apply("Pow", x, np.asarray(x2, numpy_dtype(dtype_of(x))))
    return widened(partial(apply, "Pow"), *_numbers(x1, x2))


@public
def maximum(x1: Any, x2: Any) -> Any:
    """Return the larger of two, element by element."""
    a, b = promote(x1, x2)
    return apply("Or" if dtype_of(a) == "bool" else "Max", a, b)


@public
def minimum(x1: Any, x2: Any) -> Any:
    """Return the smaller of two, element by element."""
    a, b = promote(x1, x2)
    return apply("And" if dtype_of(a) == "bool" else "Min", a, b)


@public
def clip(x: Any, x_min: Any, x_max: Any) -> Any:
    """Return ``x`` limited to ``[x_min, x_max]``."""
    t = convert(x)
    if dtype_of(t) == "bool":
        t = convert(t, "int32")
    whole = not is_float(dtype_of(t)) and any(isinstance(limit, float) for limit in (x_min, x_max))
    if whole or not isinstance(x_min, (int, float)) or not isinstance(x_max, (int, float)):
        return minimum(maximum(t, x_min), x_max)
    dtype = numpy_dtype(dtype_of(t))
    return apply("Clip", t, np.asarray(x_min, dtype), np.asarray(x_max, dtype))


@public
def arctan2(x1: Any, x2: Any) -> Any:
    """Return the angle of the point ``(x2, x1)`` in radians, in (-pi, pi]."""
    y, x = promote(x1, x2, to_float=True)
    dtype = numpy_dtype(dtype_of(x))
    zero, pi = np.asarray(0, dtype), np.asarray(np.pi, dtype)
    flat = apply("Equal", x, zero)
    base = apply("Atan", apply("Div", y, apply("Where", flat, np.asarray(1, dtype), x)))
    side = apply("Where", apply("Less", y, zero), apply("Neg", pi), pi)
    turned = apply("Where", apply("Less", x, zero), apply("Add", base, side), base)
    half = np.asarray(np.pi / 2, dtype)
    return apply("Where", flat, apply("Mul", apply("Sign", y), half), turned)


# -- comparison and logic -------------------------------------------------------------------------------------------


def _compare(op: str, x1: Any, x2: Any) -> Any:
    a, b = promote(x1, x2)
    if dtype_of(a) == "bool" and op != "Equal":
        a, b = convert(a, "int32"), convert(b, "int32")
    return apply(op, a, b)


@public
def equal(x1: Any, x2: Any) -> Any:
    """Return ``x1 == x2``, element by element."""
    return _compare("Equal", x1, x2)


@public
def not_equal(x1: Any, x2: Any) -> Any:
    """Return ``x1 != x2``, element by element."""
    return apply("Not", _compare("Equal", x1, x2))


@public
def less(x1: Any, x2: Any) -> Any:
    """Return ``x1 < x2``, element by element."""
    return _compare("Less", x1, x2)


@public
def less_equal(x1: Any, x2: Any) -> Any:
    """Return ``x1 <= x2``, element by element."""
    return _compare("LessOrEqual", x1, x2)


@public
def greater(x1: Any, x2: Any) -> Any:
    """Return ``x1 > x2``, element by element."""
    return _compare("Greater", x1, x2)


@public
def greater_equal(x1: Any, x2: Any) -> Any:
    """Return ``x1 >= x2``, element by element."""
    return _compare("GreaterOrEqual", x1, x2)


@public
def logical_and(x1: Any, x2: Any) -> Any:
    """Return whether both are true, element by element."""
    return apply("And", convert(x1, "bool"), convert(x2, "bool"))


@public
def logical_or(x1: Any, x2: Any) -> Any:
    """Return whether either is true, element by element."""
    return apply("Or", convert(x1, "bool"), convert(x2, "bool"))


@public
def logical_xor(x1: Any, x2: Any) -> Any:
    """Return whether exactly one is true, element by element."""
    return apply("Xor", convert(x1, "bool"), convert(x2, "bool"))


@public
def logical_not(x: Any) -> Any:
    """Return the opposite, element by element."""
    return apply("Not", convert(x, "bool"))


@public
def where(condition: Any, x1: Any = None, x2: Any = None) -> Any:
    """Return ``x1`` where the condition holds and ``x2`` elsewhere, broadcast.

    Without ``x1`` and ``x2`` the indices where it holds, as :func:`nonzero` gives them.

    Raises:
        ValueError: only one of ``x1`` and ``x2`` is given.
    """
    if (x1 is None) != (x2 is None):
        raise ValueError("where takes both x1 and x2, or neither")
    if x1 is None:
        from nngraph.ops.numpy_more import nonzero

        return nonzero(condition)
    a, b = promote(x1, x2)
    return apply("Where", convert(condition, "bool"), a, b)


@public
def isnan(x: Any) -> Any:
    """Return where ``x`` is not a number."""
    t = convert(x)
    return apply("IsNaN", t if is_float(dtype_of(t)) else convert(t, "float32"))


@public
def isinf(x: Any) -> Any:
    """Return where ``x`` is infinite."""
    t = convert(x)
    return apply("IsInf", t if is_float(dtype_of(t)) else convert(t, "float32"))


@public
def isfinite(x: Any) -> Any:
    """Return where ``x`` is neither infinite nor NaN."""
    return apply("Not", apply("Or", isinf(x), isnan(x)))


# -- bits -----------------------------------------------------------------------------------------------------------


def _bits(op: str, x: Any, y: Any) -> Any:
    a, b = promote(x, y)
    if dtype_of(a) == "bool":
        return apply(op.removeprefix("Bitwise"), a, b)
    return apply(op, a, b)


@public
def bitwise_and(x: Any, y: Any) -> Any:
    """Return the bits set in both."""
    return _bits("BitwiseAnd", x, y)


@public
def bitwise_or(x: Any, y: Any) -> Any:
    """Return the bits set in either."""
    return _bits("BitwiseOr", x, y)


@public
def bitwise_xor(x: Any, y: Any) -> Any:
    """Return the bits set in exactly one."""
    return _bits("BitwiseXor", x, y)


@public
def bitwise_not(x: Any) -> Any:
    """Return the bits flipped."""
    t = convert(x)
    return apply("Not" if dtype_of(t) == "bool" else "BitwiseNot", t)


bitwise_invert = bitwise_not


def _shift(x: Any, y: Any, direction: str) -> Any:
    a, b = promote(x, y)
    dtype = dtype_of(a)
    if dtype.startswith("uint"):
        return apply("BitShift", a, b, direction=direction)
    if direction == "LEFT":  # two's complement: the unsigned shift has the same bits
        wide = apply("BitShift", convert(a, "uint64"), convert(b, "uint64"), direction="LEFT")
        return convert(wide, dtype)
    return floor_divide(
        a, convert(apply("BitShift", convert(np.asarray(1), "uint64"), convert(b, "uint64"), direction="LEFT"), dtype)
    )


@public
def bitwise_left_shift(x: Any, y: Any) -> Any:
    """Return ``x`` shifted left by ``y`` bits."""
    return _shift(x, y, "LEFT")


@public
def bitwise_right_shift(x: Any, y: Any) -> Any:
    """Return ``x`` shifted right by ``y`` bits, the sign kept."""
    return _shift(x, y, "RIGHT")


left_shift, right_shift = bitwise_left_shift, bitwise_right_shift


# -- functions of one number ----------------------------------------------------------------------------------------


def _float(x: Any) -> Any:
    t = convert(x)
    return t if is_float(dtype_of(t)) else convert(t, result_type(dtype_of(t), float))


def _unary(name: str, op: str, summary: str) -> Any:
    def function(x: Any) -> Any:
        return apply(op, _float(x))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Return {summary}, element by element; integers give float32."
    return public(function)


exp = _unary("exp", "Exp", "e to the power x")
log = _unary("log", "Log", "the natural logarithm")
sqrt = _unary("sqrt", "Sqrt", "the square root")
sin = _unary("sin", "Sin", "the sine")
cos = _unary("cos", "Cos", "the cosine")
tan = _unary("tan", "Tan", "the tangent")
sinh = _unary("sinh", "Sinh", "the hyperbolic sine")
cosh = _unary("cosh", "Cosh", "the hyperbolic cosine")
tanh = _unary("tanh", "Tanh", "the hyperbolic tangent")
arcsin = _unary("arcsin", "Asin", "the inverse sine")
arccos = _unary("arccos", "Acos", "the inverse cosine")
arctan = _unary("arctan", "Atan", "the inverse tangent")
arcsinh = _unary("arcsinh", "Asinh", "the inverse hyperbolic sine")
arccosh = _unary("arccosh", "Acosh", "the inverse hyperbolic cosine")
arctanh = _unary("arctanh", "Atanh", "the inverse hyperbolic tangent")
erf = _unary("erf", "Erf", "the error function")
reciprocal = _unary("reciprocal", "Reciprocal", "1 / x")


@public
def log1p(x: Any) -> Any:
    """Return log(1 + x), accurate near 0 (Kahan's correction of the rounding of 1 + x)."""
    t = _float(x)
    one = np.asarray(1, numpy_dtype(dtype_of(t)))
    u = apply("Add", t, one)
    near = apply("Or", apply("Equal", u, one), apply("IsInf", t))
    gap = apply("Where", near, one, apply("Sub", u, one))
    return apply("Where", near, t, apply("Mul", apply("Log", u), apply("Div", t, gap)))


@public
def expm1(x: Any) -> Any:
    """Return exp(x) - 1, accurate near 0: 2 sinh(x/2) exp(x/2), written with tanh."""
    t = _float(x)
    dtype = numpy_dtype(dtype_of(t))
    half = apply("Tanh", apply("Mul", t, np.asarray(0.5, dtype)))
    e = apply("Exp", t)
    return apply("Mul", half, apply("Add", e, np.asarray(1, dtype)))


@public
def exp2(x: Any) -> Any:
    """Return 2 to the power x."""
    t = _float(x)
    return apply("Exp", apply("Mul", t, np.asarray(np.log(2.0), numpy_dtype(dtype_of(t)))))


@public
def log2(x: Any) -> Any:
    """Return the logarithm to base 2."""
    t = _float(x)
    return apply("Mul", apply("Log", t), np.asarray(1 / np.log(2.0), numpy_dtype(dtype_of(t))))


@public
def log10(x: Any) -> Any:
    """Return the logarithm to base 10."""
    t = _float(x)
    return apply("Mul", apply("Log", t), np.asarray(1 / np.log(10.0), numpy_dtype(dtype_of(t))))


@public
def rsqrt(x: Any) -> Any:
    """Return 1 / sqrt(x)."""
    return apply("Reciprocal", apply("Sqrt", _float(x)))


@public
def square(x: Any) -> Any:
    """Return x times x."""
    t = convert(x)
    t = convert(t, "int32") if dtype_of(t) == "bool" else t
    return apply("Mul", t, t)


@public
def negative(x: Any) -> Any:
    """Return -x."""
    return apply("Neg", convert(x))


@public
def absolute(x: Any) -> Any:
    """Return the magnitude."""
    t = convert(x)
    return t if dtype_of(t) == "bool" else apply("Abs", t)


abs = absolute


@public
def fabs(x: Any) -> Any:
    """Return the magnitude as a float."""
    return apply("Abs", _float(x))


@public
def sign(x: Any) -> Any:
    """Return -1, 0 or 1."""
    return apply("Sign", convert(x))


@public
def floor(x: Any) -> Any:
    """Return the largest integer not above x, as a float; integers give float32."""
    return apply("Floor", _float(x))


@public
def ceil(x: Any) -> Any:
    """Return the smallest integer not below x, as a float; integers give float32."""
    return apply("Ceil", _float(x))


@public
def trunc(x: Any) -> Any:
    """Return x without its fraction."""
    t = convert(x)
    return t if not is_float(dtype_of(t)) else apply("Mul", apply("Sign", t), apply("Floor", apply("Abs", t)))


@public
def round(x: Any, decimals: int = 0) -> Any:
    """Return x rounded to ``decimals`` places, halves to even; integers stay integers."""
    t = convert(x)
    if not is_float(dtype_of(t)):
        return t if decimals >= 0 else convert(round(convert(t, "float32"), decimals), dtype_of(t))
    if decimals == 0:
        return apply("Round", t)
    scale = np.asarray(10.0 ** builtins.abs(decimals), numpy_dtype(dtype_of(t)))
    forth, back = ("Mul", "Div") if decimals > 0 else ("Div", "Mul")
    return apply(back, apply("Round", apply(forth, t, scale)), scale)


def _is_comparable(x: Any, y: Any) -> bool:
    """Whether ``==`` compares entries: in user code, that is while tracing or on Keras tensors.

    Elsewhere graph values and variables are compared as objects, as the passes and lists of variables need it.
    """
    if isinstance(x, KerasTensor) or isinstance(y, KerasTensor):
        return True
    if isinstance(x, Variable) and (isinstance(y, Variable) or not _is_numeric(y)):
        return False
    return _is_numeric(y) and (current_trace() is not None or isinstance(x, Variable))


def _is_numeric(x: Any) -> bool:
    return isinstance(x, (int, float)) or hasattr(x, "dtype")


def _equal_entries(x: Any, y: Any) -> Any:
    return equal(x, y) if _is_comparable(x, y) else x is y


def _unequal_entries(x: Any, y: Any) -> Any:
    return not_equal(x, y) if _is_comparable(x, y) else x is not y


OPERATORS.update(
    add=add,
    subtract=subtract,
    multiply=multiply,
    divide=divide,
    floor_divide=floor_divide,
    mod=mod,
    power=power,
    negative=negative,
    absolute=absolute,
    logical_not=logical_not,
    logical_and=logical_and,
    logical_or=logical_or,
    logical_xor=logical_xor,
    less=less,
    less_equal=less_equal,
    greater=greater,
    greater_equal=greater_equal,
    equal=_equal_entries,
    not_equal=_unequal_entries,
)
