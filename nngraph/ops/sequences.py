"""Sequences: numbers at equal ratios, and window functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nngraph.config import floatx
from nngraph.ir import is_float, numpy_dtype, standardize_dtype
from nngraph.ops.core import convert, dtype_of, promote
from nngraph.ops.creation import linspace
from nngraph.ops.dispatch import public
from nngraph.ops.elementwise import absolute, exp, log, power, sign
from nngraph.ops.trace import apply

__all__ = ["bartlett", "blackman", "geomspace", "hamming", "hanning", "kaiser", "logspace"]


@public
def logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """Return ``base`` to the power of ``num`` evenly spaced exponents; see :func:`linspace`."""
    exponents = linspace(start, stop, num, endpoint, axis=axis)
    found = power(*promote(convert(base, dtype_of(exponents)), exponents))
    return found if dtype is None else convert(found, standardize_dtype(dtype))


@public
def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Any:
    """Return ``num`` numbers from ``start`` to ``stop``, neighbours in the same ratio; both ends have one sign."""
    a, b = promote(start, stop, to_float=True)
    exponents = linspace(log(absolute(a)), log(absolute(b)), num, endpoint, axis=axis)
    found = apply("Mul", exp(exponents), sign(a))
    if dtype is None:
        return found
    wanted = standardize_dtype(dtype)
    # A power of e falls short of a whole number by its rounding.
    return convert(found if is_float(wanted) else apply("Round", found), wanted)


def _window(x: Any, shape: Callable[[int], np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    return shape(int(np.asarray(x))).astype(numpy_dtype(floatx()))


@public
def bartlett(x: Any) -> Any:
    """Return the triangular window of a number of points."""
    return _window(x, np.bartlett)


@public
def blackman(x: Any) -> Any:
    """Return the Blackman window of a number of points."""
    return _window(x, np.blackman)


@public
def hamming(x: Any) -> Any:
    """Return the Hamming window of a number of points."""
    return _window(x, np.hamming)


@public
def hanning(x: Any) -> Any:
    """Return the Hann window of a number of points."""
    return _window(x, np.hanning)


@public
def kaiser(x: Any, beta: float) -> Any:
    """Return the Kaiser window of a number of points with shape parameter ``beta``."""
    return _window(x, lambda n: np.kaiser(n, float(np.asarray(beta))))
