"""Conversion, dtypes and shapes: what every other operation starts from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nngraph.ir import TensorType, Value, is_float, numpy_dtype, standardize_dtype
from nngraph.ops.dispatch import is_tensor, public
from nngraph.ops.trace import apply, composite

__all__ = [
    "cast",
    "convert_to_numpy",
    "convert_to_tensor",
    "dtype_of",
    "promote",
    "result_type",
    "shape",
    "shape_vector",
    "stop_gradient",
    "type_of",
]


def dtype_of(x: Any) -> str:
    """Return the dtype name of a tensor or of what a number would become."""
    if isinstance(x, bool):
        return "bool"
    if isinstance(x, int):
        return "int32"
    if type(x) is float:  # numpy's float64 is a subclass
        return "float32"
    if hasattr(x, "dtype"):
        return x.dtype if isinstance(x.dtype, str) else standardize_dtype(x.dtype)
    return standardize_dtype(np.asarray(x).dtype)


def type_of(x: Any) -> TensorType:
    """Return the type of a tensor; arrays have the type of their data."""
    return x.type if hasattr(x, "type") and isinstance(x.type, TensorType) else TensorType.of(np.asarray(x))


_FLOAT_ORDER = {"float16": 0, "bfloat16": 0, "float32": 1, "float64": 2}
_BITS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64, "uint8": 8, "uint16": 16, "uint32": 32, "uint64": 64}


def result_type(*dtypes: Any) -> str:
    """Return the dtype in which operands meet: Keras's table, in which Python numbers give way to tensors.

    Floats win over integers whatever their widths; a signed and an unsigned integer meet in the signed one that holds
    both; ``float16`` and ``bfloat16`` meet in ``float32``.

    Example:
        >>> result_type("int64", "float32"), result_type("float32", int), result_type("uint8", "int8")
        ('float32', 'float32', 'int16')
    """
    strong = [standardize_dtype(d) for d in dtypes if d not in (int, float, bool)]
    weak = [d for d in dtypes if d in (int, float, bool)]
    kind = _meet(strong) if strong else None
    if kind is None:
        return "float32" if float in weak else "int32" if int in weak else "bool"
    if float in weak and not is_float(kind) and not kind.startswith("complex"):
        return "float32"
    if int in weak and kind == "bool":
        return "int32"
    return kind


def _meet(dtypes: list[str]) -> str:
    result = dtypes[0]
    for other in dtypes[1:]:
        result = _meet_two(result, other)
    return result


def _meet_two(a: str, b: str) -> str:
    if a == b or b == "bool":
        return a
    if a == "bool":
        return b
    if is_float(a) or is_float(b):
        floats = [d for d in (a, b) if is_float(d)]
        if len(floats) == 2 and {a, b} == {"float16", "bfloat16"}:
            return "float32"
        return max(floats, key=lambda d: _FLOAT_ORDER[d])
    if a in _BITS and b in _BITS:
        if a[0] == b[0]:
            return max(a, b, key=lambda d: _BITS[d])
        signed, unsigned = (a, b) if a[0] == "i" else (b, a)
        bits = max(_BITS[signed], min(64, 2 * _BITS[unsigned]))
        return "float32" if unsigned == "uint64" else f"int{bits}"
    return standardize_dtype(np.result_type(numpy_dtype(a), numpy_dtype(b)))


def convert(x: Any, dtype: str | None = None) -> Any:
    """Return ``x`` as something :func:`apply` takes, in ``dtype``: an array unless it is symbolic or a variable."""
    if is_tensor(x):
        if not isinstance(x, Value) and not hasattr(x, "_is_nngraph_variable"):
            x = np.asarray(x)
            if x.dtype.kind in "US":
                x = x.astype(object)
        return x if dtype is None or dtype_of(x) == dtype else _cast(x, dtype)
    if isinstance(x, (list, tuple)) and any(isinstance(i, Value) for i in _flat(x)):
        return convert(_stack_nested(x), dtype)
    array = np.asarray(x)
    if dtype is None:
        default = {"f": "float32", "i": "int32", "b": "bool"}.get(array.dtype.kind)
        return array.astype(default) if default else array
    return array.astype(numpy_dtype(dtype))


def _flat(x: Any) -> list[Any]:
    return [j for i in x for j in _flat(i)] if isinstance(x, (list, tuple)) else [x]


def _stack_nested(x: Any) -> Any:
    """Stack nested lists that hold symbolic tensors."""
    items = [_stack_nested(i) if isinstance(i, (list, tuple)) else convert(i) for i in x]
    common = result_type(*(dtype_of(i) for i in items))
    parts = [apply("Unsqueeze", convert(i, common), np.array([0], np.int64)) for i in items]
    return apply("Concat", *parts, axis=0)


def _cast(x: Any, dtype: str) -> Any:
    if isinstance(x, np.ndarray):
        return x.astype(numpy_dtype(dtype))
    return apply("Cast", x, to=dtype)


def promote(*xs: Any, to_float: bool = False) -> list[Any]:
    """Return operands converted to the dtype in which they meet; with ``to_float`` at least a floating one.

    A float64 array that meets a graph value or variable of floating dtype takes that dtype: numpy makes float64 where
    its user did not ask for it, and a model's precision is its variables'.
    """
    kinds = [type(x) if type(x) in (int, float, bool) else dtype_of(x) for x in xs]
    held = [isinstance(x, Value) or hasattr(x, "_is_nngraph_variable") for x in xs]
    if any(h and is_float(str(k)) for h, k in zip(held, kinds, strict=True)):
        kinds = [float if k == "float64" and not h else k for h, k in zip(held, kinds, strict=True)]
    dtype = result_type(*kinds)
    if to_float and not is_float(dtype) and not dtype.startswith("complex"):
        dtype = "float32"
    return [convert(x, dtype) for x in xs]


@public
def cast(x: Any, dtype: Any) -> Any:
    """Return the tensor in another dtype.

    Example:
        >>> cast(np.array([1.7, -1.7]), "int32").tolist()
        [1, -1]
    """
    return convert(x, standardize_dtype(dtype))


@public
def convert_to_tensor(x: Any, dtype: Any = None, sparse: Any = None, ragged: Any = None) -> Any:
    """Return ``x`` as a tensor: arrays stay arrays, variables give their value, lists and numbers become arrays.

    Python floats and ints become float32 and int32.
    """
    result = convert(x, None if dtype is None else standardize_dtype(dtype))
    return result.value if hasattr(result, "_is_nngraph_variable") else result


def convert_to_numpy(x: Any) -> np.ndarray[Any, Any]:
    """Return ``x`` as a numpy array.

    Raises:
        TypeError: ``x`` is symbolic.
    """
    return np.asarray(x)


@composite("StopGradient")
def _stopped(x: Any) -> Any:
    return apply("Identity", x)


@public
def stop_gradient(variable: Any) -> Any:
    """Return the tensor unchanged, as a constant for gradients."""
    x = convert(variable)
    return x if isinstance(x, np.ndarray) else _stopped(x)


def shape(x: Any) -> tuple[Any, ...]:
    """Return the shape as a tuple: numbers where known, int32 scalars of the graph where known only at run time.

    Example:
        >>> shape(np.zeros((2, 3)))
        (2, 3)
    """
    if hasattr(x, "_nngraph_symbolic"):
        return tuple(_symbolic_dim(x, k) if d is None else d for k, d in enumerate(x.shape))
    if not isinstance(x, Value):
        return tuple(np.shape(x))
    sizes: list[Any] = []
    for k, d in enumerate(x.shape):
        sizes.append(d if isinstance(d, int) else dim_of(x, k))
    return tuple(sizes)


def dim_of(x: Any, axis: int) -> Any:
    """Return one size of a graph value as an int32 scalar of the graph."""
    size = apply("Shape", x, start=axis, end=axis + 1)
    return apply("Cast", apply("Squeeze", size, np.array([0], np.int64)), to="int32")


@public
def _symbolic_dim(x: Any, axis: int) -> Any:
    return dim_of(x, axis)


def shape_vector(sizes: Sequence[Any]) -> Any:
    """Return sizes (numbers, or scalars of the graph) as one int64 vector for Reshape, Expand and their like."""
    if all(isinstance(s, (int, np.integer)) for s in sizes):
        return np.array([int(s) for s in sizes], np.int64)
    parts: list[Any] = []
    for s in sizes:
        if isinstance(s, (int, np.integer)):
            parts.append(np.array([int(s)], np.int64))
        else:
            parts.append(apply("Reshape", convert(s, "int64"), np.array([1], np.int64)))
    return apply("Concat", *parts, axis=0)
