"""Gradient rules of matrix products; y is the output, g its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngraph.ir import is_float
from nngraph.ops.axes import expanded_like, ints, rank, scalar, shaped_like
from nngraph.ops.core import dtype_of
from nngraph.ops.vjp import raw, vjp

__all__: list[str] = []


def _swapped(x: Any) -> Any:
    """Return matrices transposed."""
    order = list(range(rank(x)))
    order[-2:] = order[-1], order[-2]
    return raw.Transpose(x, perm=tuple(order))


def _rows(x: Any) -> Any:
    """Return a tensor as one matrix, its leading axes merged."""
    width = x.shape[-1]
    if rank(x) == 2:
        return x
    if isinstance(width, int) and width > 0:
        return raw.Reshape(x, ints(-1, width))
    return raw.Reshape(x, raw.Concat(ints(-1), raw.Shape(x, start=rank(x) - 1), axis=0))


@vjp("MatMul")
def _(g: Any, y: Any, a: Any, b: Any) -> Any:
    """da = g bᵀ and db = aᵀ g.

    With a matrix on the right all leading axes of a are rows of one product: one Gemm each, and no transposed copy.
    """
    if rank(a) == 1 and rank(b) == 1:
        return lambda: raw.Mul(g, b), lambda: raw.Mul(g, a)
    if rank(b) == 1:  # (…, m, k) by (k): outer product, and a sum over the rows
        column = raw.Unsqueeze(g, ints(-1))
        return lambda: raw.Mul(column, b), lambda: raw.ReduceSum(raw.Mul(column, a), ints(-2), keepdims=0)
    if rank(a) == 1:  # (k) by (…, k, n)
        row = raw.Unsqueeze(g, ints(-2))
        return lambda: raw.ReduceSum(raw.Mul(row, b), ints(-1), keepdims=0), lambda: raw.Mul(
            raw.Unsqueeze(a, ints(-1)), row
        )
    if rank(b) == 2 and is_float(dtype_of(a)):
        return (
            lambda: shaped_like(raw.Gemm(_rows(g), b, transB=1), a),
            lambda: raw.Gemm(_rows(a), _rows(g), transA=1),
        )
    return lambda: raw.MatMul(g, _swapped(b)), lambda: raw.MatMul(_swapped(a), g)


@vjp("Gemm")
def _(
    g: Any,
    y: Any,
    a: Any,
    b: Any,
    c: Any = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> Any:
    """For Y = alpha A' B' + beta C with A' = A or Aᵀ, B' = B or Bᵀ: each factor's gradient is again one Gemm."""

    def left() -> Any:
        if transA:
            return raw.Gemm(b, g, alpha=alpha, transA=transB, transB=1)
        return raw.Gemm(g, b, alpha=alpha, transB=1 - transB)

    def right() -> Any:
        if transB:
            return raw.Gemm(g, a, alpha=alpha, transA=1, transB=transA)
        return raw.Gemm(a, g, alpha=alpha, transA=1 - transA)

    return left, right, lambda: g if beta == 1 else raw.Mul(g, scalar(beta, g))


# -- Einsum ---------------------------------------------------------------------------------------------------------


def einsum_letters(equation: str, ranks: list[int]) -> tuple[list[str], str]:
    """Return the letters of each operand and of the output, with letters of its own for every ellipsis axis.

    Example:
        >>> einsum_letters("...ij,...jk->...ik", [3, 2])
        (['Aij', 'jk'], 'Aik')
    """
    equation = equation.replace(" ", "")
    left, arrow, out = equation.partition("->")
    terms = left.split(",")
    free = [chr(c) for c in (*range(ord("A"), ord("Z") + 1), *range(ord("a"), ord("z") + 1)) if chr(c) not in equation]
    hidden = [r - len(t.replace("...", "")) if "..." in t else 0 for t, r in zip(terms, ranks, strict=True)]
    stretch = "".join(free[: max(hidden)])
    explicit = [t.replace("...", stretch[len(stretch) - n :]) for t, n in zip(terms, hidden, strict=True)]
    if not arrow:
        letters = sorted(set(left) - set(",."))
        out = stretch + "".join(c for c in letters if left.count(c) == 1)
    return explicit, out.replace("...", stretch)


@vjp("Einsum")
def _(g: Any, y: Any, *xs: Any, equation: str) -> Any:
    terms, out = einsum_letters(equation, [rank(x) for x in xs])
    return tuple((lambda k=k: _einsum_gradient(g, xs, terms, out, k)) for k in range(len(xs)))


def _einsum_gradient(g: Any, xs: Any, terms: list[str], out: str, k: int) -> Any:
    """Contract the gradient with the other operands; spread over axes that were summed, and onto diagonals taken."""
    x, own = xs[k], terms[k]
    others = [(t, o) for j, (t, o) in enumerate(zip(terms, xs, strict=True)) if j != k]
    present = set(out).union(*(t for t, _ in others))
    unique = "".join(dict.fromkeys(own))
    target = "".join(c for c in unique if c in present)
    equation = ",".join([out, *(t for t, _ in others)]) + "->" + target
    found = raw.Einsum(g, *(o for _, o in others), equation=equation)
    summed = [i for i, c in enumerate(unique) if c not in present]
    if summed:
        found = raw.Unsqueeze(found, ints(*summed))
    if unique == own:
        return expanded_like(found, x) if summed else found
    for i, c in enumerate(own):
        first = own.index(c)
        if first != i:
            found = raw.Mul(raw.Unsqueeze(found, ints(i)), _identity_mask(x, first, i, own, g))
    return expanded_like(found, x)


def _identity_mask(x: Any, a: int, b: int, own: str, like: Any) -> Any:
    """Return ones where the indices of axes a and b agree, shaped to multiply a tensor that has axes up to b."""
    size = x.shape[a]
    count = (
        np.asarray(size, np.int64) if isinstance(size, int) else raw.Squeeze(raw.Shape(x, start=a, end=a + 1), ints(0))
    )
    numbers = raw.Range(np.asarray(0, np.int64), count, np.asarray(1, np.int64))
    left = len(dict.fromkeys(own[b + 1 :]).keys() - set(own[: b + 1]))
    width = b + 1 + left
    shapes = []
    for axis in (a, b):
        shape = [1] * width
        shape[axis] = -1
        shapes.append(raw.Reshape(numbers, ints(*shape)))
    return raw.Cast(raw.Equal(*shapes), to=dtype_of(like))
