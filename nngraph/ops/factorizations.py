"""Factorisations of matrices and determinants: Cholesky's, LU and QR.

Each is a loop over columns, a composite operator with a gradient of its own; see ``nngraph.ops.solvers``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nngraph.ops.axes import ints, rank, scalar, sizes, zeros_of
from nngraph.ops.control import fori_loop
from nngraph.ops.core import convert, dtype_of, promote
from nngraph.ops.dispatch import public
from nngraph.ops.shapes import broadcast_to
from nngraph.ops.solvers import (
    as_matrix,
    column_of,
    count_of,
    identity_of,
    range_along,
    row_of,
    solve_linear,
    solve_triangular,
    substitute,
    transposed,
    triangle,
)
from nngraph.ops.trace import composite
from nngraph.ops.vjp import no_gradient, raw, vjp

__all__ = ["cholesky", "cholesky_inverse", "det", "logdet", "lstsq", "lu_factor", "qr", "slogdet"]


# -- Cholesky -------------------------------------------------------------------------------------------------------


@composite("Cholesky")
def factor(a: Any) -> Any:
    """One column a step: s = a_j - L L_jᵀ, and L's column j is s / sqrt(s_j) from row j on."""
    rows, columns = range_along(a, -2), range_along(a, -1)

    def step(i: Any, factor: Any) -> Any:
        j = convert(i, "int64")
        rest = raw.Sub(column_of(a, j), raw.MatMul(factor, transposed(row_of(factor, j))))
        pivot = raw.Sqrt(raw.Gather(rest, raw.Unsqueeze(j, ints(0)), axis=rank(rest) - 2))
        column = raw.Where(raw.GreaterOrEqual(rows, j), raw.Div(rest, pivot), scalar(0, a))
        return raw.Where(raw.Equal(columns, j), column, factor)

    return fori_loop(0, raw.Cast(count_of(a, -2), to="int32"), step, zeros_of(a))


@vjp("Cholesky", domain="nngraph")
def _(g: Any, y: Any, a: Any) -> Any:
    """(S + Sᵀ) / 2 with S = L⁻ᵀ F(Lᵀ g) L⁻¹, where F keeps the lower triangle and halves the diagonal.

    I. Murray, "Differentiation of the Cholesky decomposition" (2016), equation 10.
    """
    half = raw.Sub(triangle(_ones(y), 1), raw.Mul(identity_of(y), scalar(0.5, y)))
    inner = raw.Mul(raw.MatMul(transposed(y), triangle(g, 1)), half)
    upper = transposed(y)
    left = substitute(upper, inner, lower=0)
    both = transposed(substitute(upper, transposed(left), lower=0))
    return (raw.Mul(raw.Add(both, transposed(both)), scalar(0.5, y)),)


def _ones(x: Any) -> Any:
    return raw.Add(zeros_of(x), scalar(1, x))


@public
def cholesky(x: Any, upper: bool = False) -> Any:
    """Return the lower triangular L with ``L Lᵀ = x`` (or the upper one, its transpose).

    Args:
        x: symmetric positive definite matrices ``(..., n, n)``; their lower triangle is read.
        upper: whether to return the upper factor.

    Raises:
        ValueError: an array that is not positive definite. In a graph the result is then NaN.
    """
    t = as_matrix(x, "cholesky")
    # The gradient belongs to both triangles alike.
    below = triangle(t, 1)
    diagonal = raw.Mul(t, identity_of(t))
    found = factor(raw.Sub(raw.Add(below, transposed(below)), diagonal))
    if isinstance(found, np.ndarray) and np.isnan(found).any() and not np.isnan(np.asarray(t)).any():
        raise ValueError("cholesky: the matrix is not positive definite")
    return transposed(found) if upper else found


@public
def cholesky_inverse(x: Any, upper: bool = False) -> Any:
    """Return ``(x xᵀ)⁻¹`` of a Cholesky factor, or ``(xᵀ x)⁻¹`` of an upper one."""
    t = as_matrix(x, "cholesky_inverse")
    unit = broadcast_to(identity_of(t), sizes(t))
    inverse = solve_triangular(t, unit, lower=not upper)
    turned = transposed(inverse)
    return raw.MatMul(inverse, turned) if upper else raw.MatMul(turned, inverse)


# -- LU and determinants --------------------------------------------------------------------------------------------


@composite("LuFactor")
def _lu(a: Any) -> Any:
    """Gaussian elimination with row exchanges: L below the diagonal and U from it on, and the row of each pivot."""
    rows, columns = range_along(a, -2), range_along(a, -1)
    steps = raw.Min(count_of(a, -2), count_of(a, -1))
    order = raw.Add(raw.Mul(raw.Cast(column_of(a, np.asarray(0, np.int64)), to="int64"), np.asarray(0, np.int64)), rows)

    def step(i: Any, state: Any) -> Any:
        matrix, swapped = state
        k = convert(i, "int64")
        size = raw.Where(raw.GreaterOrEqual(rows, k), raw.Abs(column_of(matrix, k)), scalar(-1, a))
        pivot = raw.ArgMax(size, axis=rank(a) - 2, keepdims=1)
        source = raw.Where(raw.Equal(rows, k), pivot, raw.Where(raw.Equal(rows, pivot), k, rows))
        matrix = raw.GatherElements(matrix, raw.Expand(source, raw.Shape(matrix)), axis=rank(a) - 2)
        top = row_of(matrix, k)
        head = raw.Gather(top, raw.Unsqueeze(k, ints(0)), axis=rank(a) - 1)
        below = raw.Greater(rows, k)
        head = raw.Where(raw.Equal(head, scalar(0, a)), scalar(1, a), head)
        factor = raw.Where(below, raw.Div(column_of(matrix, k), head), scalar(0, a))
        right = raw.Where(raw.Greater(columns, k), top, scalar(0, a))
        matrix = raw.Sub(matrix, raw.MatMul(factor, right))
        matrix = raw.Where(raw.And(below, raw.Equal(columns, k)), factor, matrix)
        return matrix, raw.Where(raw.Equal(rows, k), pivot, swapped)

    matrix, swapped = fori_loop(0, raw.Cast(steps, to="int32"), step, (raw.Add(a, scalar(0, a)), order))
    pivots = raw.Slice(raw.Squeeze(swapped, ints(-1)), ints(0), raw.Unsqueeze(steps, ints(0)), ints(-1))
    return matrix, raw.Cast(pivots, to="int32")


no_gradient("solve, inv, det and slogdet have gradients of their own", "LuFactor", domain="nngraph")


@public
def lu_factor(x: Any) -> Any:
    """Return the factors of ``P x = L U`` in one matrix, and the int32 row exchanged with each row in turn.

    The unit diagonal of L is not stored. No gradient passes; use :func:`solve`, :func:`inv` or :func:`slogdet`.
    """
    return tuple(_lu(as_matrix(x, "lu_factor", square=False), outputs=2))


@composite("LogDeterminant")
def _log_determinant(a: Any) -> Any:
    """The product of U's diagonal, and the parity of the row exchanges: its sign and the logarithm of its size."""
    matrix, pivots = _lu(a, outputs=2)
    diagonal = raw.ReduceSum(raw.Mul(matrix, identity_of(matrix)), ints(-1), keepdims=0)
    places = raw.Range(np.asarray(0, np.int64), count_of(a, -1), np.asarray(1, np.int64))
    moved = raw.Not(raw.Equal(raw.Cast(pivots, to="int64"), places))
    turns = raw.Mul(scalar(-2, a), raw.Cast(moved, to=dtype_of(a)))
    sign = raw.ReduceProd(raw.Mul(raw.Sign(diagonal), raw.Add(turns, scalar(1, a))), ints(-1), keepdims=0)
    return sign, raw.ReduceSum(raw.Log(raw.Abs(diagonal)), ints(-1), keepdims=0)


@vjp("LogDeterminant", domain="nngraph")
def _(g: Any, y: Any, a: Any) -> Any:
    """x⁻ᵀ g; the sign is piecewise constant."""
    if g[1] is None:
        return (None,)
    inverse = solve_linear(transposed(a), broadcast_to(identity_of(a), sizes(a)))
    return (raw.Mul(raw.Unsqueeze(g[1], ints(-1, -2)), inverse),)


@public
def slogdet(x: Any) -> Any:
    """Return the sign of the determinant and the logarithm of its magnitude, -inf for singular matrices."""
    return tuple(_log_determinant(as_matrix(x, "slogdet"), outputs=2))


@public
def logdet(x: Any) -> Any:
    """Return the logarithm of the determinant's magnitude."""
    return slogdet(x)[1]


@public
def det(x: Any) -> Any:
    """Return the determinants of square matrices; their gradients need them regular."""
    sign, logarithm = slogdet(x)
    return raw.Mul(sign, raw.Exp(logarithm))


@vjp("Det")
def _(g: Any, y: Any, x: Any) -> Any:
    """det(x) x⁻ᵀ g, for regular matrices."""
    inverse = solve_linear(transposed(x), broadcast_to(identity_of(x), sizes(x)))
    return (raw.Mul(raw.Unsqueeze(raw.Mul(g, y), ints(-1, -2)), inverse),)


# -- orthogonal factors ---------------------------------------------------------------------------------------------


@composite("Qr")
def _qr(a: Any) -> Any:
    """Householder's reflections, one column a step; a column that is zero below the diagonal stays as it is."""
    rows = range_along(a, -2)
    square = raw.MatMul(a, transposed(a))
    steps = raw.Min(raw.Sub(count_of(a, -2), np.asarray(1, np.int64)), count_of(a, -1))
    start = raw.Add(raw.Mul(square, scalar(0, a)), identity_of(square))
    zero, one = scalar(0, a), scalar(1, a)

    def step(i: Any, state: Any) -> Any:
        q, r = state
        k = convert(i, "int64")
        column = column_of(r, k)
        below = raw.Where(raw.Greater(rows, k), column, zero)
        head = raw.Gather(column, raw.Unsqueeze(k, ints(0)), axis=rank(a) - 2)
        rest = raw.ReduceSum(raw.Mul(below, below), ints(-2), keepdims=1)
        length = raw.Sqrt(raw.Add(rest, raw.Mul(head, head)))
        first = raw.Where(raw.Less(head, zero), raw.Sub(head, length), raw.Add(head, length))
        v = raw.Where(raw.Equal(rows, k), first, below)
        size = raw.Add(rest, raw.Mul(first, first))
        idle = raw.Equal(rest, zero)
        scale = raw.Where(idle, zero, raw.Div(scalar(2, a), raw.Where(idle, one, size)))
        turned = transposed(v)
        r = raw.Sub(r, raw.Mul(scale, raw.MatMul(v, raw.MatMul(turned, r))))
        q = raw.Sub(q, raw.Mul(scale, raw.MatMul(raw.MatMul(q, v), turned)))
        return q, r

    q, r = fori_loop(0, raw.Cast(steps, to="int32"), step, (start, raw.Add(a, zero)))
    return q, triangle(r, 0)


@vjp("Qr", domain="nngraph")
def _(g: Any, y: Any, a: Any) -> Any:
    """(gQ + Q copyltu(M)) R⁻ᵀ with M = R gRᵀ - gQᵀ Q, for tall matrices of full rank and their first columns.

    Walter and Lehmann, "Algorithmic differentiation of linear algebra functions" (2010).
    """
    m, n = a.shape[-2:]
    if not (isinstance(m, int) and isinstance(n, int) and m >= n):
        raise ValueError(f"the gradient of qr needs at least as many rows as columns, got {tuple(a.shape)}")
    q, r = (_first(t, n, axis) for t, axis in zip(y, (-1, -2), strict=True))
    gq = zeros_of(q) if g[0] is None else _first(g[0], n, -1)
    gr = zeros_of(r) if g[1] is None else _first(g[1], n, -2)
    mixed = raw.Sub(raw.MatMul(r, transposed(gr)), raw.MatMul(transposed(gq), q))
    below = triangle(mixed, 1)
    mirrored = raw.Sub(raw.Add(below, transposed(below)), raw.Mul(mixed, identity_of(mixed)))
    right = raw.Add(gq, raw.MatMul(q, mirrored))
    return (transposed(substitute(r, transposed(right), lower=0)),)


def _first(x: Any, count: int, axis: int) -> Any:
    return x if x.shape[axis] == count else raw.Slice(x, ints(0), ints(count), ints(axis))


@public
def qr(x: Any, mode: str = "reduced") -> Any:
    """Return orthogonal Q and upper triangular R with ``Q R = x``.

    Args:
        x: matrices ``(..., m, n)``.
        mode: ``"reduced"``: Q is m by min(m, n); ``"complete"``: Q is m by m.

    Gradients need m >= n, full rank and, for Q's further columns, none.
    """
    if mode not in ("reduced", "complete"):
        raise ValueError(f"qr: mode must be 'reduced' or 'complete', got {mode!r}")
    t = as_matrix(x, "qr", square=False)
    q, r = _qr(t, outputs=2)
    m, n = t.shape[-2:]
    if mode == "complete":
        return q, r
    if not (isinstance(m, int) and isinstance(n, int)):
        raise ValueError(f"qr: the matrices' sizes must be known, got {tuple(t.shape)}")
    return _first(q, min(m, n), -1), _first(r, min(m, n), -2)


@public
def lstsq(a: Any, b: Any, rcond: float | None = None) -> Any:
    """Return x of least norm that makes ``|a x - b|`` least, for matrices of full rank.

    Args:
        a: a matrix ``(m, n)``.
        b: right-hand sides ``(m, k)`` or ``(m,)``.
        rcond: not used: without singular values there is no rank to find out.
    """
    matrix, right = promote(as_matrix(a, "lstsq", square=False), b, to_float=True)
    single = rank(right) == rank(matrix) - 1
    right = raw.Unsqueeze(right, ints(-1)) if single else right
    if matrix.shape[-2] >= matrix.shape[-1]:
        q, r = qr(matrix)
        found = solve_triangular(r, raw.MatMul(transposed(q), right))
    else:
        q, r = qr(transposed(matrix))
        found = raw.MatMul(q, solve_triangular(transposed(r), right, lower=True))
    return raw.Squeeze(found, ints(-1)) if single else found
