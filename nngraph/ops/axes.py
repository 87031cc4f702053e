"""Axes, index vectors and constants: the small change that shape and reduction operations share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nngraph.ir import is_float, numpy_dtype
from nngraph.ops.core import convert, dtype_of, shape, shape_vector, type_of
from nngraph.ops.trace import apply, current_trace

__all__: list[str] = []


def ints(*numbers: int) -> np.ndarray[Any, Any]:
    """Return an int64 vector, the form in which ONNX takes axes and sizes."""
    return np.array(numbers, np.int64)


def scalar(number: Any, like: Any) -> np.ndarray[Any, Any]:
    """Return a number as a constant in the dtype of a tensor."""
    return np.asarray(number, numpy_dtype(dtype_of(like)))


def rank(x: Any) -> int:
    """Return the number of dimensions of a converted tensor."""
    return len(x.shape)


def sizes(x: Any) -> list[Any]:
    """Return the sizes as :func:`nngraph.ops.shape` does, in a list."""
    return list(shape(x))


def as_sizes(shape: Any) -> list[Any]:
    """Return a shape's sizes in a list: numbers as ``int``, others (scalars of the graph) as they are."""
    given = shape if isinstance(shape, (list, tuple, np.ndarray)) else [shape]
    return [int(d) if isinstance(d, (int, np.integer, np.ndarray)) else d for d in given]


def axis_of(axis: Any, ndim: int, what: str) -> int:
    """Return an axis as a number from 0.

    Raises:
        ValueError: it is out of range.
    """
    number = int(axis)
    if not -ndim <= number < ndim:
        raise ValueError(f"{what}: axis {number} is out of range for a tensor of rank {ndim}")
    return number % ndim


def axes_of(axis: Any, ndim: int, what: str) -> list[int]:
    """Return one axis, several or ``None`` (all) as numbers from 0.

    Raises:
        ValueError: one is out of range or given twice.
    """
    if axis is None:
        return list(range(ndim))
    given = list(axis) if isinstance(axis, (list, tuple, np.ndarray)) else [axis]
    found = [axis_of(a, ndim, what) for a in given]
    if len(set(found)) < len(found):
        raise ValueError(f"{what}: an axis is given twice in {tuple(given)}")
    return found


def to_float(x: Any) -> Any:
    """Return a converted tensor in a floating dtype; integers become float32."""
    t = convert(x)
    return t if is_float(dtype_of(t)) else convert(t, "float32")


_WIDE = {"bool": "int32", "int8": "int32", "int16": "int32", "uint8": "int32", "uint16": "int32", "uint32": "int64"}


def widened(op: Callable[..., Any], *tensors: Any) -> Any:
    """Apply an operator in wider integers where ONNX does not define it for narrow ones, and narrow the result."""
    dtype = dtype_of(tensors[0])
    if dtype not in _WIDE:
        return op(*tensors)
    return convert(op(*(convert(t, _WIDE[dtype]) for t in tensors)), dtype)


def reshaped(x: Any, target: Sequence[Any]) -> Any:
    """Reshape to sizes of which some may be known only at run time; a single such size is left to the runtime."""
    dims = list(target)
    dynamic = [k for k, d in enumerate(dims) if not isinstance(d, (int, np.integer))]
    if len(dynamic) == 1 and -1 not in (d for k, d in enumerate(dims) if k not in dynamic):
        known = [d for k, d in enumerate(dims) if k not in dynamic]
        if 0 not in known:
            dims[dynamic[0]] = -1
    return apply(
        "Reshape", x, shape_vector(dims), allowzero=1 if 0 in [d for d in dims if isinstance(d, int)] else None
    )


def sliced(x: Any, axis: int, start: Any = None, stop: Any = None, step: int = 1) -> Any:
    """Return ``x[start:stop:step]`` along one axis."""
    limits = np.iinfo(np.int64)
    start = (0 if step > 0 else limits.max) if start is None else start
    stop = (limits.max if step > 0 else limits.min) if stop is None else stop
    return apply("Slice", x, shape_vector([start]), shape_vector([stop]), ints(axis), ints(step))


def size_vector(x: Any) -> Any:
    """Return a tensor's shape as an int64 vector: a constant where all sizes are numbers."""
    return ints(*x.shape) if all(isinstance(d, int) for d in x.shape) else apply("Shape", x)


def shaped_like(g: Any, x: Any) -> Any:
    """Return ``g`` reshaped to the shape of ``x``."""
    if tuple(g.shape) == tuple(x.shape):
        return g
    allowzero = None if all(isinstance(d, int) and d > 0 for d in x.shape) else 1
    return apply("Reshape", g, size_vector(x), allowzero=allowzero, types=[type_of(x).with_dtype(dtype_of(g))])


def expanded_like(g: Any, x: Any) -> Any:
    """Return ``g`` broadcast to the shape of ``x``."""
    if tuple(g.shape) == tuple(x.shape):
        return g
    return apply("Expand", g, size_vector(x), types=[type_of(x).with_dtype(dtype_of(g))])


def zeros_of(x: Any) -> Any:
    """Return zeros of the shape and dtype of ``x``: while tracing a node, so that no large constant is stored."""
    vector = size_vector(x)
    trace = current_trace()
    if trace is not None and isinstance(vector, np.ndarray):
        vector = trace.constant(vector)
    return apply("ConstantOfShape", vector, value=np.zeros(1, numpy_dtype(dtype_of(x))), types=[type_of(x)])
