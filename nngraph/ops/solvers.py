"""Systems of linear equations.

ONNX has no operator for them, so each is a loop over rows or columns whose steps are whole-matrix operations: the graph
has the same few nodes for every size. Each is a composite operator with a gradient of its own in terms of the others.
Leading axes are batches.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nngraph.ops.axes import ints, rank, scalar, sizes, to_float, zeros_of
from nngraph.ops.control import fori_loop
from nngraph.ops.core import convert, dtype_of, promote
from nngraph.ops.dispatch import public
from nngraph.ops.shapes import broadcast_to
from nngraph.ops.trace import composite
from nngraph.ops.vjp import raw, vjp

__all__ = ["inv", "solve", "solve_triangular"]


def as_matrix(x: Any, what: str, *, square: bool = True) -> Any:
    """Return a floating tensor that holds matrices.

    Raises:
        ValueError: it has less than two axes, or its matrices should be square and are not.
    """
    t = to_float(x)
    rows, columns = t.shape[-2:] if rank(t) >= 2 else (0, 1)
    different = isinstance(rows, int) and isinstance(columns, int) and rows != columns
    if rank(t) < 2 or (square and different):
        kind = "square matrices" if square else "matrices"
        raise ValueError(f"{what} takes {kind}, got a tensor of shape {tuple(t.shape)}")
    return t


def range_along(x: Any, axis: int) -> Any:
    """Return 0, 1, 2 … along an axis counted from the end, shaped to broadcast against matrices."""
    numbers = raw.Range(np.asarray(0, np.int64), count_of(x, axis), np.asarray(1, np.int64))
    return numbers if axis == -1 else raw.Unsqueeze(numbers, ints(1))


def count_of(x: Any, axis: int) -> Any:
    """Return one size as an int64 scalar."""
    size = x.shape[axis]
    if isinstance(size, int):
        return np.asarray(size, np.int64)
    k = axis % rank(x)
    return raw.Squeeze(raw.Shape(x, start=k, end=k + 1), ints(0))


def row_of(x: Any, k: Any) -> Any:
    """Return row k of matrices as matrices of one row."""
    return raw.Unsqueeze(raw.Gather(x, k, axis=rank(x) - 2), ints(-2))


def column_of(x: Any, k: Any) -> Any:
    """Return column k of matrices as matrices of one column."""
    return raw.Unsqueeze(raw.Gather(x, k, axis=rank(x) - 1), ints(-1))


def identity_of(x: Any) -> Any:
    """Return the identity matrix as large as the columns of ``x``, without batch axes."""
    return raw.Cast(raw.Equal(range_along(x, -1), raw.Unsqueeze(range_along(x, -1), ints(1))), to=dtype_of(x))


# -- triangular systems ---------------------------------------------------------------------------------------------


@composite("TriangularSolve")
def substitute(a: Any, b: Any, *, lower: int = 0) -> Any:
    """Substitution, one row a step: x_i = (b_i - a_i x) / a_ii, from the first row or from the last."""
    rows, last = range_along(a, -2), raw.Sub(count_of(a, -2), np.asarray(1, np.int64))

    def step(i: Any, x: Any) -> Any:
        k = convert(i, "int64") if lower else raw.Sub(last, convert(i, "int64"))
        own = row_of(a, k)
        pivot = raw.Gather(own, raw.Unsqueeze(k, ints(0)), axis=rank(own) - 1)
        found = raw.Div(raw.Sub(row_of(b, k), raw.MatMul(own, x)), pivot)
        return raw.Where(raw.Equal(rows, k), found, x)

    return fori_loop(0, raw.Cast(count_of(a, -2), to="int32"), step, zeros_of(b))


def triangle(x: Any, lower: int) -> Any:
    """Return matrices with what lies above (or below) the diagonal set to 0."""
    return raw.Trilu(x, np.asarray(0, np.int64), upper=1 - lower)


def transposed(x: Any) -> Any:
    """Return matrices transposed."""
    order = list(range(rank(x)))
    order[-2:] = order[-1], order[-2]
    return raw.Transpose(x, perm=tuple(order))


@vjp("TriangularSolve", domain="nngraph")
def _(g: Any, y: Any, a: Any, b: Any, *, lower: int = 0) -> Any:
    """db = A⁻ᵀ g and dA = -db xᵀ, of which A's triangle counts."""
    back = substitute(transposed(a), g, lower=1 - lower)
    return lambda: triangle(raw.Neg(raw.MatMul(back, transposed(y))), lower), back


@public
def solve_triangular(a: Any, b: Any, lower: bool = False) -> Any:
    """Return x with ``a x = b`` for triangular matrices.

    Args:
        a: matrices ``(..., n, n)``; only their upper (or lower) triangle is read.
        b: right-hand sides ``(..., n, m)`` or ``(..., n)``.
        lower: whether ``a`` is lower triangular.

    Example:
        >>> solve_triangular(np.float32([[2, 0], [1, 1]]), np.float32([2, 3]), lower=True).tolist()
        [1.0, 2.0]
    """
    matrix, right, single = _system(a, b, "solve_triangular")
    found = substitute(triangle(matrix, int(lower)), right, lower=int(lower))
    return raw.Squeeze(found, ints(-1)) if single else found


def _system(a: Any, b: Any, what: str) -> tuple[Any, Any, bool]:
    """Return matrices, right-hand sides as matrices with the same batch axes, and whether they were vectors."""
    matrix, right = promote(as_matrix(a, what), b, to_float=True)
    single = rank(right) == rank(matrix) - 1
    right = raw.Unsqueeze(right, ints(-1)) if single else right
    if rank(right) < 2:
        raise ValueError(
            f"{what}: the right-hand side of shape {tuple(right.shape)} does not fit {tuple(matrix.shape)}"
        )
    n, m = matrix.shape[-2], right.shape[-2]
    if isinstance(n, int) and isinstance(m, int) and n != m:
        raise ValueError(f"{what}: matrices of {n} rows and right-hand sides of {m} rows do not fit")
    batch = max(rank(matrix), rank(right)) - 2
    if tuple(matrix.shape[:-2]) != tuple(right.shape[:-2]):
        pairs = zip(_lead(matrix, batch), _lead(right, batch), strict=True)
        common = [q if isinstance(p, int) and p == 1 else p for p, q in pairs]
        matrix = broadcast_to(matrix, [*common, *sizes(matrix)[-2:]])
        right = broadcast_to(right, [*common, *sizes(right)[-2:]])
    return matrix, right, single


def _lead(x: Any, count: int) -> list[Any]:
    lead = sizes(x)[:-2]
    return [1] * (count - len(lead)) + lead


# -- square systems -------------------------------------------------------------------------------------------------


@composite("Solve")
def solve_linear(a: Any, b: Any) -> Any:
    """Gauss and Jordan: each step makes one more column of A that of the identity, with the same operations on b."""
    rows = range_along(a, -2)

    def step(i: Any, state: Any) -> Any:
        matrix, right = state
        k = convert(i, "int64")
        size = raw.Where(raw.GreaterOrEqual(rows, k), raw.Abs(column_of(matrix, k)), scalar(-1, a))
        pivot = raw.ArgMax(size, axis=rank(a) - 2, keepdims=1)
        source = raw.Where(raw.Equal(rows, k), pivot, raw.Where(raw.Equal(rows, pivot), k, rows))
        matrix, right = (
            raw.GatherElements(t, raw.Expand(source, raw.Shape(t)), axis=rank(a) - 2) for t in (matrix, right)
        )
        top, other = row_of(matrix, k), row_of(right, k)
        head = raw.Gather(top, raw.Unsqueeze(k, ints(0)), axis=rank(a) - 1)
        top, other = raw.Div(top, head), raw.Div(other, head)
        here = raw.Equal(rows, k)
        factor = raw.Where(here, scalar(0, a), column_of(matrix, k))
        matrix = raw.Where(here, top, raw.Sub(matrix, raw.MatMul(factor, top)))
        right = raw.Where(here, other, raw.Sub(right, raw.MatMul(factor, other)))
        return matrix, right

    start = (raw.Add(a, scalar(0, a)), raw.Add(b, scalar(0, b)))
    return fori_loop(0, raw.Cast(count_of(a, -2), to="int32"), step, start)[1]


@vjp("Solve", domain="nngraph")
def _(g: Any, y: Any, a: Any, b: Any) -> Any:
    """db = A⁻ᵀ g and dA = -db xᵀ."""
    back = solve_linear(transposed(a), g)
    return lambda: raw.Neg(raw.MatMul(back, transposed(y))), back


@public
def solve(a: Any, b: Any) -> Any:
    """Return x with ``a x = b``.

    Args:
        a: matrices ``(..., n, n)``.
        b: right-hand sides ``(..., n, m)`` or ``(..., n)``.

    Example:
        >>> solve(np.float32([[0, 2], [1, 0]]), np.float32([4, 3])).tolist()
        [3.0, 2.0]
    """
    matrix, right, single = _system(a, b, "solve")
    found = solve_linear(matrix, right)
    return raw.Squeeze(found, ints(-1)) if single else found


@public
def inv(x: Any) -> Any:
    """Return the inverse of square matrices."""
    t = as_matrix(x, "inv")
    return solve_linear(t, broadcast_to(identity_of(t), sizes(t)))
