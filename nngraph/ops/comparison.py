"""Questions about numbers: closeness, and repairs of what is not a number."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngraph.ir import is_float, numpy_dtype
from nngraph.ops.axes import ints, rank, scalar
from nngraph.ops.core import convert, dtype_of, promote
from nngraph.ops.dispatch import public
from nngraph.ops.elementwise import logical_or
from nngraph.ops.reduction import all as all_over
from nngraph.ops.trace import apply

__all__ = ["allclose", "isclose", "nan_to_num", "one_hot"]


@public
def isclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    """Return where ``|x1 - x2| <= atol + rtol |x2|``; equal infinities are close."""
    a, b = promote(x1, x2, to_float=True)
    limit = apply("Add", scalar(atol, a), apply("Mul", scalar(rtol, a), apply("Abs", b)))
    infinite = apply("Or", apply("IsInf", a), apply("IsInf", b))
    near = apply("And", apply("LessOrEqual", apply("Abs", apply("Sub", a, b)), limit), apply("Not", infinite))
    near = apply("Or", near, apply("Equal", a, b))
    return logical_or(near, apply("And", apply("IsNaN", a), apply("IsNaN", b))) if equal_nan else near


@public
def allclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    """Return whether all elements are close; see :func:`isclose`."""
    return all_over(isclose(x1, x2, rtol, atol, equal_nan))


@public
def nan_to_num(x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Any:
    """Return the tensor with NaN and infinities replaced by numbers (the dtype's largest and smallest by default)."""
    t = convert(x)
    if not is_float(dtype_of(t)):
        return t
    limits = np.finfo(np.float32) if dtype_of(t) == "bfloat16" else np.finfo(numpy_dtype(dtype_of(t)))
    high = limits.max if posinf is None else posinf
    low = limits.min if neginf is None else neginf
    t = apply("Where", apply("IsNaN", t), scalar(nan, t), t)
    t = apply("Where", apply("IsInf", t, detect_negative=0, detect_positive=1), scalar(high, t), t)
    return apply("Where", apply("IsInf", t, detect_negative=1, detect_positive=0), scalar(low, t), t)


@public
def one_hot(x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False) -> Any:
    """Return class numbers as vectors with a one at that place; numbers outside the range give zeros.

    Args:
        x: integers.
        num_classes: the length of the vectors.
        axis: where their axis goes.
        dtype: dtype; the default float type if absent.
        sparse: not supported.

    Example:
        >>> one_hot([0, 2], 3).tolist()
        [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    from nngraph.config import floatx
    from nngraph.ir import standardize_dtype
    from nngraph.ops.axes import axis_of

    if sparse:
        raise ValueError("one_hot: sparse tensors are not supported; use sparse=False")
    t = convert(x)
    t = t if dtype_of(t) in ("int32", "int64") else convert(t, "int32")
    place = axis_of(axis, rank(t) + 1, "one_hot")
    classes = np.arange(num_classes, dtype=numpy_dtype(dtype_of(t)))
    classes = classes.reshape(-1, *[1] * (rank(t) - place))
    return convert(apply("Equal", apply("Unsqueeze", t, ints(place)), classes), standardize_dtype(dtype or floatx()))
