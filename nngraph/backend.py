"""``keras.backend``: the settings, and the small functions that older programs use (``K.dot``, ``K.mean``, ...)."""

# ruff: noqa: F405  (the operations named in __all__ come from nngraph.ops)

from __future__ import annotations

from typing import Any

import numpy as np

from nngraph import ops
from nngraph.config import (
    backend,
    clear_session,
    epsilon,
    floatx,
    image_data_format,
    set_epsilon,
    set_floatx,
    set_image_data_format,
)
from nngraph.ir import is_float, is_integer, standardize_dtype
from nngraph.naming import auto_name
from nngraph.ops import *  # noqa: F403  (K.exp, K.sqrt, K.reshape and so on are the operations of that name)
from nngraph.ops.keras_tensor import KerasTensor

__all__ = [
    "all",
    "any",
    "argmax",
    "argmin",
    "backend",
    "batch_dot",
    "binary_crossentropy",
    "cast_to_floatx",
    "categorical_crossentropy",
    "clear_session",
    "concatenate",
    "constant",
    "dot",
    "epsilon",
    "eval",
    "exp",
    "flatten",
    "floatx",
    "gather",
    "get_uid",
    "get_value",
    "image_data_format",
    "int_shape",
    "is_float_dtype",
    "is_int_dtype",
    "is_keras_tensor",
    "log",
    "max",
    "mean",
    "min",
    "ndim",
    "permute_dimensions",
    "pow",
    "prod",
    "relu",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "set_value",
    "sigmoid",
    "softmax",
    "sparse_categorical_crossentropy",
    "sqrt",
    "square",
    "standardize_dtype",
    "std",
    "sum",
    "tanh",
    "transpose",
    "update",
    "update_add",
    "update_sub",
    "var",
    "variable",
    "zeros",
]


def is_float_dtype(dtype: Any) -> bool:
    """Tell whether a dtype is floating."""
    return is_float(standardize_dtype(dtype))


def is_int_dtype(dtype: Any) -> bool:
    """Tell whether a dtype is an integer type."""
    return is_integer(standardize_dtype(dtype))


def is_keras_tensor(x: Any) -> bool:
    """Tell whether ``x`` is a Keras tensor."""
    return isinstance(x, KerasTensor)


def get_uid(prefix: str = "") -> int:
    """Return a number that counts up for each prefix."""
    name = auto_name(f"uid_{prefix}")
    tail = name.removeprefix(f"uid_{prefix}").lstrip("_")
    return int(tail or 0) + 1


def batch_dot(x: Any, y: Any, axes: int | tuple[int, int] | None = None) -> Any:
    """Return the product of each row's tensors, contracted over ``axes`` (default: last of x, last but one of y)."""
    if axes is None:
        axes = (len(x.shape) - 1, max(1, len(y.shape) - 2))
    left, right = (axes, axes) if isinstance(axes, int) else axes
    a = x if left == len(x.shape) - 1 else ops.swapaxes(x, left, -1)
    b = y if len(y.shape) == 2 else (y if right == len(y.shape) - 2 else ops.swapaxes(y, right, -2))
    if len(x.shape) == 2 and len(y.shape) == 2:
        return ops.sum(a * b, axis=-1, keepdims=True)
    if len(y.shape) == 2:
        return ops.squeeze(ops.matmul(a, ops.expand_dims(b, -1)), -1)
    if len(x.shape) == 2:
        return ops.squeeze(ops.matmul(ops.expand_dims(a, -2), b), -2)
    return ops.matmul(a, b)


def cast_to_floatx(x: Any) -> Any:
    """Return ``x`` in ``floatx()``."""
    return ops.cast(x, floatx())


def constant(value: Any, dtype: Any = None, shape: Any = None, name: str | None = None) -> Any:
    """Return an array of a value."""
    array = np.asarray(value, dtype or floatx())
    return array if shape is None else np.broadcast_to(array, shape).copy()


def variable(value: Any, dtype: Any = None, name: str | None = None, constraint: Any = None) -> Any:
    """Return a new Variable."""
    made = ops.Variable(np.asarray(value), dtype=dtype or floatx(), name=name)
    made.constraint = constraint
    return made


def eval(x: Any) -> Any:
    """Return the numbers of a variable or array."""
    return ops.convert_to_numpy(x)


get_value = eval


def set_value(x: Any, value: Any) -> None:
    """Assign to a variable."""
    x.assign(value)


def update(x: Any, new_x: Any) -> Any:
    """Assign to a variable."""
    return x.assign(new_x)


def update_add(x: Any, increment: Any) -> Any:
    """Add to a variable."""
    return x.assign_add(increment)


def update_sub(x: Any, decrement: Any) -> Any:
    """Subtract from a variable."""
    return x.assign_sub(decrement)


def int_shape(x: Any) -> tuple[int | None, ...]:
    """Return the shape with ``None`` for sizes known only at run time."""
    return tuple(d if isinstance(d, int) else None for d in x.shape)


def flatten(x: Any) -> Any:
    """Return the tensor as a vector."""
    return ops.reshape(x, (-1,))


def permute_dimensions(x: Any, pattern: Any) -> Any:
    """Return the tensor with its axes in another order."""
    return ops.transpose(x, pattern)


def gather(reference: Any, indices: Any) -> Any:
    """Return rows by number."""
    return ops.take(reference, indices, axis=0)


def pow(x: Any, a: Any) -> Any:
    """Return ``x`` to the power ``a``."""
    return ops.power(x, a)
