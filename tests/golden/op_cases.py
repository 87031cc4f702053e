"""The dtypes that functions give: what Keras gives once (generate.py), what nngraph gives in the tests."""

from __future__ import annotations

from typing import Any

__all__ = ["BINARY", "KINDS", "PAIRS", "UNARY", "binary", "differs", "unary"]

KINDS = ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "float16", "bfloat16", "float32")
"""Dtypes of tensors; Keras on JAX has no 64-bit ones by default."""

SIDES = ("bool", "int8", "uint8", "int32", "uint32", "float16", "bfloat16", "float32", "int", "float")
"""Dtypes of operands; ``int`` and ``float`` are Python numbers."""

PAIRS = [(a, b) for k, a in enumerate(SIDES) for b in SIDES[k:] if {a, b} - {"int", "float"}]

UNARY = (
    *("sum", "prod", "mean", "var", "std", "max", "min", "any", "all", "argmax", "argmin", "cumsum", "cumprod"),
    *("count_nonzero", "logsumexp", "median", "average", "norm", "trace", "diagonal", "sort", "argsort"),
    *("abs", "square", "sqrt", "rsqrt", "exp", "log", "log1p", "expm1", "sin", "tanh", "reciprocal", "sign"),
    *("floor", "ceil", "round", "isnan", "isinf", "isfinite", "signbit", "logical_not", "nan_to_num", "cbrt", "exp2"),
    *("log2", "log10", "deg2rad", "sinc", "erf", "transpose", "ravel", "flip", "tril", "zeros_like", "ones_like"),
    *("ptp", "nansum", "nanmean", "nanmax", "nanprod", "corrcoef", "trapezoid", "angle", "real", "isreal"),
)
BINARY = (
    *("add", "subtract", "multiply", "divide", "power", "maximum", "minimum", "mod", "floor_divide", "arctan2"),
    *("equal", "less", "logical_and", "matmul", "dot", "tensordot", "outer", "inner", "where", "isclose"),
    *("logaddexp", "hypot", "heaviside", "fmod", "append", "vdot", "divide_no_nan", "nextafter", "kron"),
)


def _tensor(ops: Any, kind: str) -> Any:
    if kind == "int":
        return 2
    return 2.0 if kind == "float" else ops.cast(ops.ones((2, 2)), kind)


def _dtype(result: Any) -> str:
    return str(getattr(result, "dtype", type(result).__name__))


def unary(ops: Any, name: str) -> list[str]:
    """Return the dtype of the function's result for each dtype of its argument, ``"-"`` where it refuses it."""
    found = []
    for kind in KINDS:
        try:
            found.append(_dtype(getattr(ops, name)(_tensor(ops, kind))))
        except Exception:
            found.append("-")
    return found


def binary(ops: Any, name: str) -> list[str]:
    """Return the dtype of the function's result for each pair of dtypes, ``"-"`` where it refuses them."""
    found = []
    for pair in PAIRS:
        a, b = (_tensor(ops, kind) for kind in pair)
        function = getattr(ops, name)
        try:
            found.append(_dtype(function(ops.ones((2, 2), "bool"), a, b) if name == "where" else function(a, b)))
        except Exception:
            found.append("-")
    return found


def differs(name: str, pair: tuple[str, str]) -> str:
    """Return why the answer of Keras on JAX is not ours, or an empty text."""
    if "uint32" in pair and set(pair) & {"int8", "int32"}:
        return "Keras's table says int64, which JAX narrows"
    if name in ("arctan2", "logaddexp") and pair in (("float16", "float"), ("bfloat16", "float")):
        return "a Python number gives way to a tensor, as everywhere else"
    return ""
