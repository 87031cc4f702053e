"""Cases of products, norms and linear systems."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from function_case import C, Case, of, truth, whole

A, B = of(2, 3, 4), of(2, 4, 5)
M, N, V = of(3, 4), of(4, 5), of(4)
SQUARE = of(2, 4, 4) + 3 * np.eye(4, dtype=np.float32)[::-1]
DEFINITE = SQUARE @ SQUARE.swapaxes(1, 2)
LOWER = np.tril(SQUARE[:, ::-1])
RIGHT = of(2, 4, 3)
LOOSE = 1e-4


def loose(case: Case) -> Case:
    """Elimination in float32 loses digits."""
    return replace(case, rtol=LOOSE)


def norm(x: np.ndarray, **kwargs: Any) -> np.ndarray:
    return np.linalg.norm(x, **kwargs)


def qr(mode: str) -> Any:
    return lambda x, **_: tuple(np.linalg.qr(x, mode))


def linear(name: str, *args: Any, expect: Any, **kwargs: Any) -> Case:
    return loose(Case(name, args, kwargs, expect=expect))


CASES = [
    C("matmul", M, N),
    C("matmul", A, N),
    C("matmul", A, B),
    C("matmul", of(3, 1, 2, 4), B),
    C("matmul", V, N),
    C("matmul", A, V),
    C("matmul", V, V),
    C("matmul", whole(2, 3), whole(3, 2)),
    C("matmul", truth(2, 3), truth(3, 2)),
    C("matmul", whole(2, 3).astype(np.int16), whole(3, 2).astype(np.int16)),
    C("dot", M, N),
    C("dot", V, V),
    C("dot", A, V),
    C("dot", A, N),
    C("dot", of(3, 4), B),
    C("dot", np.float32(2), M),
    C("inner", M, of(2, 4)),
    C("inner", V, V),
    C("vdot", M, of(3, 4)),
    C("outer", V, of(3)),
    C("outer", M, whole(2)),
    C("tensordot", A, B, axes=([2, 0], [1, 0])),
    C("tensordot", M, N, axes=1),
    C("tensordot", A, of(3, 4, 2)),
    C("tensordot", V, of(2), axes=0),
    C("kron", of(2, 3), of(3, 2)),
    C("kron", V, of(2, 2)),
    *(
        C("einsum", *operands)
        for operands in (
            ("ij,jk->ik", M, N),
            ("ij,jk", M, N),
            ("bij,bjk->bki", A, B),
            ("...ij,jk->...ik", A, N),
            ("ij->ji", M),
            ("ij->", M),
            ("i,i", V, V),
            ("ij,ij->i", whole(2, 3), whole(2, 3)),
        )
    ),
    *(replace(C("trace", of(3, 3), k), named=False, why="a diagonal's length must be known") for k in (0, 1)),
    C("trace", of(2, 3, 4), axis1=1, axis2=2),
    *(Case("norm", (M,), k, expect=norm) for k in ({}, {"ord": "fro"}, {"ord": 1}, {"ord": np.inf}, {"ord": -1})),
    *(Case("norm", (M,), {"axis": 1, "ord": o}, expect=norm) for o in (None, 1, 2, 3, 0, np.inf, -np.inf)),
    Case("norm", (A,), {"axis": (1, 2), "ord": -np.inf, "keepdims": True}, expect=norm),
    Case("norm", (A,), {}, expect=norm),
    linear("solve", SQUARE, RIGHT, expect=np.linalg.solve),
    linear("solve", SQUARE[0], RIGHT[0, :, 0], expect=np.linalg.solve),
    linear("solve", SQUARE, RIGHT[:1], expect=np.linalg.solve),
    linear("inv", SQUARE, expect=np.linalg.inv),
    linear("det", SQUARE, expect=np.linalg.det),
    linear("slogdet", SQUARE, expect=lambda x: tuple(np.linalg.slogdet(x))),
    linear("slogdet", np.zeros((2, 2), np.float32), expect=lambda x: tuple(np.linalg.slogdet(x))),
    linear("logdet", SQUARE, expect=lambda x: np.linalg.slogdet(x)[1]),
    linear("cholesky", DEFINITE, expect=np.linalg.cholesky),
    linear("cholesky", DEFINITE, upper=True, expect=lambda x, upper: np.linalg.cholesky(x).swapaxes(-1, -2)),
    linear("cholesky_inverse", LOWER, expect=lambda x: np.linalg.inv(x @ x.swapaxes(-1, -2))),
    linear("solve_triangular", LOWER, RIGHT, lower=True, expect=lambda a, b, lower: np.linalg.solve(a, b)),
    linear("solve_triangular", SQUARE, RIGHT, expect=lambda a, b: np.linalg.solve(np.triu(a), b)),
    linear("solve_triangular", LOWER[0], V, lower=True, expect=lambda a, b, lower: np.linalg.solve(a, b)),
    *(
        replace(linear("qr", x, mode=mode, expect=qr(mode)), named=x.ndim == 3, why="the matrix's sizes must be known")
        for x in (of(5, 3), of(3, 5), of(2, 4, 4), np.eye(3, dtype=np.float32))
        for mode in ("reduced", "complete")
    ),
    *(
        replace(linear("lstsq", a, b, expect=lambda a, b: np.linalg.lstsq(a, b)[0]), named=False, why="see qr")
        for a, b in ((of(5, 3), of(5)), (of(5, 3), of(5, 2)), (of(3, 5), of(3)))
    ),
    linear(
        "lu_factor",
        np.float32([[1, 2], [3, 4]]),
        expect=lambda x: (np.float32([[3, 4], [1 / 3, 2 / 3]]), np.int32([1, 1])),
    ),
]
