"""New tensors: filled, counted, triangular. With sizes that are numbers they are plain arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngraph.config import floatx
from nngraph.ir import Value, numpy_dtype, standardize_dtype
from nngraph.ops.axes import as_sizes, axes_of, ints, rank, scalar, sizes
from nngraph.ops.core import convert, convert_to_tensor, dtype_of, promote, result_type, shape_vector, type_of
from nngraph.ops.dispatch import public
from nngraph.ops.trace import apply, is_traced

__all__ = [
    "arange",
    "array",
    "copy",
    "diag",
    "diagflat",
    "diagonal",
    "empty",
    "empty_like",
    "eye",
    "full",
    "full_like",
    "identity",
    "linspace",
    "meshgrid",
    "ones",
    "ones_like",
    "tri",
    "tril",
    "triu",
    "zeros",
    "zeros_like",
]


@public
def full(shape: Any, fill_value: Any, dtype: Any = None) -> Any:
    """Return a tensor of this shape filled with one value (or with a tensor that broadcasts to it).

    Args:
        shape: sizes: numbers, or int scalars of the graph.
        fill_value: a number or tensor.
        dtype: dtype; the default float type if absent.
    """
    wanted = standardize_dtype(dtype) if dtype is not None else floatx()
    dims = as_sizes(shape)
    value = convert(fill_value, wanted)
    if not is_traced(value, *(d for d in dims if isinstance(d, Value))):
        return np.array(np.broadcast_to(np.asarray(value), [int(d) for d in dims]))
    return apply("Expand", value, shape_vector(dims))


@public
def zeros(shape: Any, dtype: Any = None) -> Any:
    """Return a tensor of zeros."""
    return full(shape, 0, dtype)


@public
def ones(shape: Any, dtype: Any = None) -> Any:
    """Return a tensor of ones."""
    return full(shape, 1, dtype)


@public
def empty(shape: Any, dtype: Any = None) -> Any:
    """Return a tensor of this shape whose content does not matter; it is zero."""
    return full(shape, 0, dtype)


@public
def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Any:
    """Return a tensor shaped like another, filled with one value, in its dtype by default."""
    t = convert(x)
    wanted = standardize_dtype(dtype) if dtype is not None else dtype_of(t)
    if all(isinstance(d, int) for d in t.shape):
        return full(t.shape, fill_value, wanted)
    types = [type_of(t).with_dtype(wanted)]
    return apply("Expand", convert(fill_value, wanted), apply("Shape", t), types=types)


@public
def zeros_like(x: Any, dtype: Any = None) -> Any:
    """Return zeros shaped like another tensor, in its dtype by default."""
    return full_like(x, 0, dtype)


@public
def ones_like(x: Any, dtype: Any = None) -> Any:
    """Return ones shaped like another tensor, in its dtype by default."""
    return full_like(x, 1, dtype)


@public
def empty_like(x: Any, dtype: Any = None) -> Any:
    """Return a tensor shaped like another whose content does not matter; it is zero."""
    return full_like(x, 0, dtype)


@public
def array(x: Any, dtype: Any = None) -> Any:
    """Return ``x`` as a tensor; see :func:`convert_to_tensor`."""
    return convert_to_tensor(x, dtype)


@public
def copy(x: Any) -> Any:
    """Return the tensor; an array is copied, values of a graph never change."""
    t = convert_to_tensor(x)
    return np.array(t) if isinstance(t, np.ndarray) else t


@public
def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Any:
    """Return the numbers from ``start`` (0 if only one limit is given) up to, not including, ``stop``.

    Limits may be scalars of the graph. The dtype is that of the limits if absent: int32 for Python integers.

    Example:
        >>> arange(3).tolist(), arange(1, 2, 0.5).tolist()
        ([0, 1, 2], [1.0, 1.5])
    """
    if stop is None:
        start, stop = 0, start
    step = 1 if step is None else step
    limits = (start, stop, step)
    wanted = standardize_dtype(dtype) if dtype is not None else result_type(*(_kind(i) for i in limits))
    if not is_traced(*(i for i in limits if isinstance(i, Value))):
        numbers = [i.numpy().item() if hasattr(i, "numpy") else np.asarray(i).item() for i in limits]
        return np.arange(*numbers, dtype=numpy_dtype(wanted))
    return apply("Range", *(_as_scalar(i, wanted) for i in limits))


def _kind(x: Any) -> Any:
    return type(x) if isinstance(x, (bool, int, float)) else dtype_of(x)


def _as_scalar(x: Any, dtype: str) -> Any:
    t = convert(x, dtype)
    return t if rank(t) == 0 else apply("Reshape", t, ints())


@public
def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """Return ``num`` evenly spaced numbers from ``start`` to ``stop``, along a new axis when these are tensors.

    Args:
        start: first number.
        stop: last number, or the number after it when ``endpoint`` is false.
        num: how many.
        endpoint: whether ``stop`` is one of them.
        retstep: also return the distance between neighbours.
        dtype: dtype; float by default.
        axis: where the new axis goes.
    """
    a, b = promote(start, stop, to_float=True)
    parts = num - 1 if endpoint else num
    gap = apply("Sub", b, a)
    step = apply("Div", gap, scalar(parts, a)) if parts > 0 else apply("Mul", gap, scalar(np.nan, a))
    width = max(rank(a), rank(b))
    fractions = np.arange(num) / max(parts, 1)
    column = scalar(fractions.reshape(-1, *[1] * width), a)
    low, high = apply("Unsqueeze", a, ints(0)), apply("Unsqueeze", b, ints(0))
    # Both ends weighted: the last number is exactly stop.
    one = scalar(1, a)
    line = apply("Add", apply("Mul", low, apply("Sub", one, column)), apply("Mul", high, column))
    order = list(range(1, width + 1))
    order.insert(axes_of(axis, width + 1, "linspace")[0], 0)
    line = line if order == sorted(order) else apply("Transpose", line, perm=tuple(order))
    if dtype is not None:
        wanted = standardize_dtype(dtype)
        line = convert(apply("Floor", line) if wanted.startswith(("int", "uint")) else line, wanted)
    return (line, step) if retstep else line


@public
def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:
    """Return a matrix with ones on a diagonal: the main one, or ``k`` above it."""
    return np.eye(N, M, k, dtype=numpy_dtype(standardize_dtype(dtype or floatx())))


@public
def identity(n: int, dtype: Any = None) -> Any:
    """Return the n by n identity matrix."""
    return eye(n, dtype=dtype)


@public
def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:
    """Return a matrix with ones on and below a diagonal: the main one, or ``k`` above it."""
    return np.tri(N, M, k, dtype=numpy_dtype(standardize_dtype(dtype or floatx())))


def _trilu(x: Any, k: Any, upper: int) -> Any:
    t = convert(x)
    if rank(t) < 2:
        raise ValueError(f"tril and triu take matrices, got a tensor of shape {tuple(t.shape)}")
    return apply("Trilu", t, convert(k, "int64"), upper=upper)


@public
def tril(x: Any, k: Any = 0) -> Any:
    """Return matrices with the part above a diagonal set to 0."""
    return _trilu(x, k, 0)


@public
def triu(x: Any, k: Any = 0) -> Any:
    """Return matrices with the part below a diagonal set to 0."""
    return _trilu(x, k, 1)


@public
def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Return the diagonals of matrices that lie on two axes, as the last axis of the result.

    Raises:
        ValueError: the two axes are the same, or one of their sizes is known only at run time.
    """
    t = convert(x)
    a, b = axes_of((axis1, axis2), rank(t), "diagonal")
    rows, columns = t.shape[a], t.shape[b]
    if isinstance(rows, str) or isinstance(columns, str):
        raise ValueError(f"diagonal: the sizes of axes {axis1} and {axis2} must be known, got {tuple(t.shape)}")
    order = [a, b, *(k for k in range(rank(t)) if k not in (a, b))]
    front = apply("Transpose", t, perm=tuple(order)) if order != sorted(order) else t
    count = max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
    index = np.arange(count)
    picked = np.stack([index - min(offset, 0), index + max(offset, 0)], axis=1).astype(np.int64)
    found = apply("GatherND", front, picked)
    last = [*range(1, rank(found)), 0]
    return found if rank(found) == 1 else apply("Transpose", found, perm=tuple(last))


@public
def diag(x: Any, k: int = 0) -> Any:
    """Return the ``k``-th diagonal of a matrix, or the matrix that has a vector as its ``k``-th diagonal.

    Raises:
        ValueError: neither a vector nor a matrix, or a vector whose size is known only at run time.
    """
    t = convert(x)
    if rank(t) == 2:
        return diagonal(t, k)
    if rank(t) != 1:
        raise ValueError(f"diag takes a vector or a matrix, got shape {tuple(t.shape)}")
    length = t.shape[0]
    if isinstance(length, str):
        raise ValueError(f"diag: the size of the vector is {length!r}; it must be known")
    zero = scalar(0, t)
    square = np.eye(length, dtype=bool)
    matrix = apply("Where", square, apply("Unsqueeze", t, ints(0)), zero)
    if k == 0:
        return matrix
    before = [max(-k, 0), max(k, 0)]
    return apply("Pad", matrix, ints(*before, *before[::-1]), zero, mode="constant")


@public
def diagflat(x: Any, k: int = 0) -> Any:
    """Return the matrix that has the elements of a tensor on its ``k``-th diagonal."""
    return diag(apply("Reshape", convert(x), ints(-1)), k)


@public
def meshgrid(*x: Any, indexing: str = "xy") -> Any:
    """Return, for each vector, a tensor of its coordinates on the grid that the vectors span.

    Args:
        x: vectors (or scalars).
        indexing: ``"xy"``: the first two axes of the grid are exchanged, as in pictures; ``"ij"``: they are not.
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing must be 'xy' or 'ij', got {indexing!r}")
    vectors = [apply("Reshape", convert(v), ints(-1)) for v in x]
    order = list(range(len(vectors)))
    if indexing == "xy" and len(order) > 1:
        order[0], order[1] = 1, 0
    target = shape_vector([sizes(vectors[k])[0] for k in order])
    grids = []
    for k, vector in enumerate(vectors):
        place = order.index(k)
        column = [1] * len(order)
        column[place] = -1
        grids.append(apply("Expand", apply("Reshape", vector, ints(*column)), target))
    return grids
