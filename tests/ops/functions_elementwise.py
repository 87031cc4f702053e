"""Cases of arithmetic, comparison and the elementary functions."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from function_case import C, Case, of, positive, truth, whole

X, Y, P = of(2, 3), of(2, 3), positive(2, 3)
ROW = of(3)
WHOLE, DIVISORS = whole(2, 3), whole(3, low=1)
B = truth(2, 3)
ODD = np.float32([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.5, -2.5])
BITS = np.uint8([[1, 2, 200], [7, 0, 255]])
SMALL = np.float32([0.0, 0.3, -0.9])


def erf(x: np.ndarray) -> np.ndarray:
    return np.vectorize(math.erf, otypes=[np.float32])(x)


def unary(name: str, x: np.ndarray, expect=None) -> Case:
    return Case(name, (x,), {}, expect=expect)


def both(name: str, *args, expect) -> Case:
    return Case(name, args, {}, expect=expect)


def saturated(x: np.ndarray, dtype: str) -> np.ndarray:
    info = np.iinfo(dtype)
    return np.clip(np.nan_to_num(x.astype(np.float64)), info.min, info.max).astype(dtype)


CASES = [
    *(C(n, X, Y) for n in ("add", "subtract", "multiply", "divide", "true_divide", "maximum", "minimum", "arctan2")),
    *(
        C(n, X, ROW)
        for n in ("add", "subtract", "less", "less_equal", "greater", "greater_equal", "equal", "not_equal")
    ),
    *(C(n, WHOLE, DIVISORS) for n in ("add", "floor_divide", "mod", "fmod", "maximum", "equal", "less", "gcd", "lcm")),
    *(C(n, X, P) for n in ("floor_divide", "mod", "fmod", "fmax", "fmin", "hypot", "logaddexp", "logaddexp2")),
    *(C(n, P, X) for n in ("power", "heaviside")),
    *(C(n, B, truth(2, 3)) for n in ("logical_and", "logical_or", "logical_xor", "bitwise_and", "equal", "add")),
    *(C(n, BITS, BITS[0]) for n in ("bitwise_and", "bitwise_or", "bitwise_xor")),
    *(C(n, WHOLE, np.int32([1, 2, 3])) for n in ("left_shift", "right_shift")),
    both("bitwise_left_shift", WHOLE, np.int32([1, 2, 3]), expect=np.left_shift),
    both("bitwise_right_shift", BITS, np.uint8([1, 2, 3]), expect=np.right_shift),
    *(unary(n, BITS) for n in ("bitwise_not", "bitwise_invert")),
    C("bitwise_not", WHOLE),
    C("logical_not", B),
    C("divide", WHOLE, DIVISORS),
    C("power", X, 2),
    C("power", P, 1.5),
    C("mod", -7, 3),
    Case("divide_no_nan", (X, X * B), {}, expect=lambda a, b: np.where(b == 0, 0, a / np.where(b == 0, 1, b))),
    *(unary(n, X) for n in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "arctan", "arcsinh", "exp", "exp2", "expm1")),
    *(unary(n, P) for n in ("log", "log2", "log10", "log1p", "sqrt", "reciprocal", "square", "cbrt", "deg2rad")),
    *(
        unary(n, X)
        for n in ("abs", "absolute", "fabs", "negative", "sign", "floor", "ceil", "trunc", "round", "rad2deg")
    ),
    *(unary(n, X) for n in ("real", "imag", "conj", "conjugate", "angle", "isreal", "sinc", "cbrt", "i0")),
    *(unary(n, SMALL) for n in ("arcsin", "arccos", "arctanh", "log1p", "expm1", "sinc", "angle")),
    unary("arccosh", P + 1),
    *(unary(n, ODD) for n in ("isnan", "isinf", "isfinite", "isposinf", "isneginf", "signbit", "sign", "angle")),
    *(unary(n, WHOLE) for n in ("exp", "abs", "sign", "negative", "square", "signbit", "isnan", "cosh")),
    unary("sqrt", np.abs(WHOLE)),
    unary("rsqrt", P, expect=lambda x: 1 / np.sqrt(x)),
    unary("erf", X, expect=erf),
    replace(unary("erfc", of(3) * 3, expect=lambda x: np.vectorize(math.erfc)(x).astype(np.float32)), rtol=1e-5),
    replace(unary("erfinv", erf(X), expect=lambda x: X), rtol=1e-5),
    unary("erfinv", np.float32([1, -1]), expect=lambda x: x * np.float32(np.inf)),
    *(unary(n, WHOLE, expect=lambda x: x.astype(np.float32)) for n in ("floor", "ceil")),
    C("round", X * 10, 1),
    C("round", X * 100, -1),
    C("round", WHOLE * 10 + 4, -1),
    C("clip", X, -0.5, 0.5),
    C("clip", WHOLE, -3, 2),
    C("clip", WHOLE, -2.5, 2.5),
    C("clip", X, of(3), 1.0),
    C("where", B, X, ROW),
    C("where", B, X, 0.0),
    C("where", B),
    C("ldexp", X, np.int32([1, -2, 3])),
    *(Case(n, (ODD, np.float32(1)), {}) for n in ("fmax", "fmin", "nextafter", "logaddexp")),
    C("nextafter", np.float32([0, 1, -1, 2]), np.float32([-1, 2, 5, 2])),
    C("nan_to_num", ODD),
    C("nan_to_num", ODD, nan=1.0, posinf=9.0, neginf=-9.0),
    C("isclose", ODD, ODD[::-1].copy()),
    C("isclose", ODD, ODD + np.float32(1e-9), equal_nan=True),
    C("allclose", X, X + np.float32(1e-9)),
    C("allclose", X, Y),
    Case("saturate_cast", (ODD * 200, "uint8"), {}, expect=saturated),
    Case("saturate_cast", (ODD * np.float32(1e10), "int32"), {}, expect=saturated),
    Case("saturate_cast", (WHOLE * 100, "int8"), {}, expect=saturated),
    Case("view", (X, "int32"), {}, expect=lambda x, d: x.view(d)),
    Case("view", (X, "uint8"), {}, expect=lambda x, d: x.view(d)),
    Case("view", (BITS[:, :2].copy(), "int16"), {}, expect=lambda x, d: x.view(d)),
]
