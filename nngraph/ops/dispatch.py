"""The wrapper of every public operation: on Keras tensors the call is recorded, on anything else it runs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from nngraph.ir import Value
from nngraph.ops.keras_tensor import KerasTensor, OpCall, any_symbolic, record_call

__all__ = ["PUBLIC", "is_tensor", "public"]

F = TypeVar("F", bound=Callable[..., Any])

PUBLIC: dict[str, Callable[..., Any]] = {}
"""Every public operation by name (with its namespace where it is not top level, as ``"random.normal"``).

A saved functional model names its operations by these keys, and only these can be named."""


def public(fn: F | None = None, *, namespace: str = "") -> Any:
    """Make a function a public operation under its own name."""
    if fn is None:
        return functools.partial(public, namespace=namespace)
    key = f"{namespace}.{fn.__name__}" if namespace else fn.__name__

    @functools.wraps(fn)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if any_symbolic(args, kwargs):
            return record_call(OpCall(wrapper, key), fn, args, kwargs)
        return fn(*args, **kwargs)

    PUBLIC[key] = wrapper
    return wrapper


def is_tensor(x: Any) -> bool:
    """Tell whether ``x`` is something operations take as a tensor: an array, value, variable or Keras tensor."""
    return isinstance(x, (Value, KerasTensor)) or (hasattr(x, "dtype") and hasattr(x, "shape"))
