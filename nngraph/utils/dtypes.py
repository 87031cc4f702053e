"""Names of dtypes."""

from __future__ import annotations

from typing import Any

from nngraph import config
from nngraph.ir import types

__all__ = ["standardize_dtype"]


def standardize_dtype(dtype: Any) -> str:
    """Return the name of a dtype given as a name, a Python type or a numpy dtype; None is ``floatx()``.

    Raises:
        ValueError: there is no such dtype.

    >>> standardize_dtype(None), standardize_dtype(int), standardize_dtype("half")
    ('float32', 'int32', 'float16')
    """
    return config.floatx() if dtype is None else types.standardize_dtype(dtype)
