"""Products of vectors and matrices, and norms, as in ``keras.ops``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from nngraph.ir.operators import OPERATORS
from nngraph.ops.axes import axes_of, ints, rank, reshaped, scalar, sizes, to_float, widened
from nngraph.ops.core import convert, dtype_of, promote
from nngraph.ops.dispatch import public
from nngraph.ops.elementwise import absolute, multiply, not_equal, power
from nngraph.ops.reduction import max as maximum_over
from nngraph.ops.reduction import min as minimum_over
from nngraph.ops.reduction import sum as sum_over
from nngraph.ops.shapes import ravel, transpose
from nngraph.ops.trace import apply

__all__ = ["dot", "einsum", "inner", "kron", "matmul", "norm", "outer", "tensordot", "trace", "vdot"]


@public
def matmul(x1: Any, x2: Any) -> Any:
    """Return the matrix product; leading axes broadcast, vectors count as a row on the left and a column on the right.

    Two int8 tensors give int32.

    Raises:
        ValueError: the inner sizes differ, or an operand is a scalar.

    Example:
        >>> matmul(np.float32([[1, 2]]), np.float32([[3], [4]])).tolist()
        [[11.0]]
    """
    a, b = promote(x1, x2)
    if rank(a) == 0 or rank(b) == 0:
        raise ValueError(f"matmul takes vectors and matrices, got shapes {tuple(a.shape)} and {tuple(b.shape)}")
    inner_a, inner_b = a.shape[-1], b.shape[-2 if rank(b) > 1 else -1]
    if isinstance(inner_a, int) and isinstance(inner_b, int) and inner_a != inner_b:
        raise ValueError(f"matmul: shapes {tuple(a.shape)} and {tuple(b.shape)} do not fit: {inner_a} is not {inner_b}")
    if dtype_of(a) == "int8" and dtype_of(convert(x1)) == dtype_of(convert(x2)):
        return apply("MatMul", convert(a, "int32"), convert(b, "int32"))
    return widened(partial(apply, "MatMul"), a, b)


@public
def dot(x1: Any, x2: Any) -> Any:
    """Return numpy's dot product: the last axis of ``x1`` against the last but one of ``x2`` (the last of a vector)."""
    a, b = promote(x1, x2)
    if rank(a) == 0 or rank(b) == 0:
        return multiply(a, b)
    if rank(b) <= 2:
        return widened(partial(apply, "MatMul"), a, b)
    return tensordot(a, b, [[-1], [-2]])


@public
def inner(x1: Any, x2: Any) -> Any:
    """Return the sums of products over the last axes."""
    a, b = promote(x1, x2)
    return multiply(a, b) if rank(a) == 0 or rank(b) == 0 else tensordot(a, b, [[-1], [-1]])


@public
def vdot(x1: Any, x2: Any) -> Any:
    """Return the sum of products of all elements."""
    a, b = promote(x1, x2)
    return widened(partial(apply, "MatMul"), ravel(a), ravel(b))


@public
def outer(x1: Any, x2: Any) -> Any:
    """Return all products of an element of the first with an element of the second, as a matrix."""
    a, b = promote(x1, x2)
    return multiply(apply("Reshape", a, ints(-1, 1)), apply("Reshape", b, ints(1, -1)))


@public
def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Any:
    """Return the sums of products over pairs of axes.

    Args:
        x1: a tensor.
        x2: a tensor.
        axes: how many axes (the last of ``x1`` against the first of ``x2``), or two lists of axes.

    Raises:
        ValueError: paired axes differ in size.
    """
    a, b = promote(x1, x2)
    if isinstance(axes, (int, np.integer)):
        left, right = list(range(rank(a) - int(axes), rank(a))), list(range(int(axes)))
    else:
        left, right = axes_of(axes[0], rank(a), "tensordot"), axes_of(axes[1], rank(b), "tensordot")
    pairs = [(a.shape[i], b.shape[j]) for i, j in zip(left, right, strict=True)]
    if any(isinstance(m, int) and isinstance(n, int) and m != n for m, n in pairs):
        raise ValueError(f"tensordot: axes {left} of {tuple(a.shape)} and {right} of {tuple(b.shape)} differ in size")
    rows = [k for k in range(rank(a)) if k not in left]
    columns = [k for k in range(rank(b)) if k not in right]
    dims_a, dims_b = sizes(a), sizes(b)
    depth = _product([dims_a[k] for k in left])
    p = reshaped(transpose(a, rows + left), [_product([dims_a[k] for k in rows]), depth])
    q = reshaped(transpose(b, right + columns), [depth, _product([dims_b[k] for k in columns])])
    found = widened(partial(apply, "MatMul"), p, q)
    return reshaped(found, [*(dims_a[k] for k in rows), *(dims_b[k] for k in columns)])


def _product(dims: Sequence[Any]) -> Any:
    total: Any = math.prod(d for d in dims if isinstance(d, int))
    for d in dims:
        total = total if isinstance(d, int) else multiply(d, total)
    return total


@public
def einsum(subscripts: str, *operands: Any, **kwargs: Any) -> Any:
    """Return a sum of products written in Einstein's notation, such as ``"ij,jk->ik"``.

    Two int8 tensors give int32.

    Example:
        >>> einsum("ij->ji", np.float32([[1, 2]])).tolist()
        [[1.0], [2.0]]
    """
    tensors = promote(*operands)
    dtype = dtype_of(tensors[0])
    equation = subscripts.replace(" ", "")
    if dtype == "int8" and {dtype_of(convert(t)) for t in operands} == {"int8"}:
        return apply("Einsum", *(convert(t, "int32") for t in tensors), equation=equation)
    return widened(partial(apply, "Einsum", equation=equation), *tensors)


@public
def kron(x1: Any, x2: Any) -> Any:
    """Return the Kronecker product: every element of the first times the whole of the second."""
    a, b = promote(x1, x2)
    width = max(rank(a), rank(b))
    a = apply("Unsqueeze", a, ints(*range(width - rank(a)))) if rank(a) < width else a
    b = apply("Unsqueeze", b, ints(*range(width - rank(b)))) if rank(b) < width else b
    dims_a, dims_b = sizes(a), sizes(b)
    product = multiply(
        apply("Unsqueeze", a, ints(*range(1, 2 * width, 2))), apply("Unsqueeze", b, ints(*range(0, 2 * width, 2)))
    )
    return reshaped(product, [_product([m, n]) for m, n in zip(dims_a, dims_b, strict=True)])


@public
def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Return the sums of the diagonals of matrices that lie on two axes."""
    from nngraph.ops.creation import diagonal

    return sum_over(diagonal(x, offset, axis1, axis2), -1)


@public
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Return vector norms (one axis) or matrix norms (two axes).

    Args:
        x: a tensor.
        ord: for vectors a number, ``inf`` or ``-inf`` (2 by default); for matrices ``"fro"`` (the default), 1, -1,
            ``inf`` or ``-inf``.
        axis: one axis, a pair, or ``None``: the whole tensor, which for a given ``ord`` must be a vector or matrix.
        keepdims: leave the axes with size 1.

    Raises:
        ValueError: a norm that needs singular values, or that does not exist.
    """
    t = to_float(x)
    if axis is None and ord is None:
        return _root_of_squares(t, list(range(rank(t))), keepdims)
    axes = axes_of(axis, rank(t), "norm")
    if len(axes) == 1:
        return _vector_norm(t, 2 if ord is None else ord, axes, keepdims)
    if len(axes) == 2:
        return _matrix_norm(t, "fro" if ord is None else ord, axes, keepdims)
    raise ValueError(f"norm: ord={ord!r} takes one axis or two, got {len(axes)}")


def _root_of_squares(t: Any, axes: list[int], keepdims: bool) -> Any:
    return apply("ReduceL2", t, ints(*axes), keepdims=int(keepdims)) if axes else absolute(t)


def _vector_norm(t: Any, order: Any, axes: list[int], keepdims: bool) -> Any:
    if isinstance(order, str):
        raise ValueError(f"norm: ord={order!r} is a matrix norm; give two axes")
    if order == 2:
        return _root_of_squares(t, axes, keepdims)
    size = absolute(t)
    if order == math.inf:
        return maximum_over(size, axes, keepdims)
    if order == -math.inf:
        return minimum_over(size, axes, keepdims)
    if order == 0:
        return convert(sum_over(convert(not_equal(t, 0), dtype_of(t)), axes, keepdims), dtype_of(t))
    if order == 1:
        return apply("ReduceL1", t, ints(*axes), keepdims=int(keepdims))
    return power(sum_over(power(size, scalar(order, t)), axes, keepdims), scalar(1 / order, t))


def _matrix_norm(t: Any, order: Any, axes: list[int], keepdims: bool) -> Any:
    if order == "fro":
        return _root_of_squares(t, axes, keepdims)
    if order not in (1, -1, math.inf, -math.inf):
        raise ValueError(f"norm: ord={order!r} of a matrix is not supported; use 'fro', 1, -1, inf or -inf")
    rows, columns = axes
    summed, searched = (rows, columns) if order in (1, -1) else (columns, rows)
    sums = sum_over(absolute(t), summed, keepdims=True)
    best = maximum_over(sums, searched, keepdims=True) if order > 0 else minimum_over(sums, searched, keepdims=True)
    return best if keepdims else apply("Squeeze", best, ints(*axes))


OPERATORS.update(matmul=matmul)
