"""Samples of matrix products, linear systems, factorisations and transforms."""

from __future__ import annotations

import numpy as np
from sample import S, Sample, between, normal


def regular(*shape: int) -> np.ndarray:
    """Return matrices far from singular, of which the largest elements are not on the diagonal."""
    return normal(*shape) + 3 * np.eye(shape[-1])[::-1]


def definite(*shape: int) -> np.ndarray:
    """Return symmetric positive definite matrices."""
    half = normal(*shape)
    return half @ np.swapaxes(half, -1, -2) + np.eye(shape[-1])


def symmetric(x):
    """Factorise the symmetric part, so that derivatives in every direction stay on symmetric matrices."""
    from nngraph.ops.factorizations import factor
    from nngraph.ops.solvers import transposed

    return factor((x + transposed(x)) * 0.5)


def precise(sample: Sample) -> Sample:
    """Elimination in float32 loses more digits than one operation."""
    return sample.but(value_rtol=1e-4)


SAMPLES = {
    "nngraph::TriangularSolve": [
        S(np.tril(regular(3, 3)[::-1]), normal(3, 2), lower=1),
        S(np.triu(regular(2, 3, 3)[:, ::-1]), normal(2, 3, 2), lower=0),
    ],
    "nngraph::Solve": [precise(S(regular(3, 3), normal(3, 2))), precise(S(regular(2, 4, 4), normal(2, 4, 1)))],
    "nngraph::Cholesky": [precise(S(definite(k, 3, 3)).but(call=symmetric)) for k in (1, 2)],
    "nngraph::LuFactor": [precise(S(regular(3, 3)).but(outputs=2)), precise(S(normal(2, 4, 3)).but(outputs=2))],
    "nngraph::LogDeterminant": [precise(S(regular(3, 3)).but(outputs=2)), precise(S(regular(2, 4, 4)).but(outputs=2))],
    "nngraph::Qr": [
        precise(S(normal(4, 4)).but(outputs=2, named=False, why="its gradient needs to know which side is longer")),
        precise(S(normal(2, 3, 5)).but(outputs=2, wrt=(), why="there is no gradient for wide matrices")),
    ],
    "Det": [S(regular(3, 3)), S(regular(2, 2, 2))],
    "DFT": [
        S(normal(2, 5, 2), None, np.int64(1)),
        S(normal(2, 4, 2), None, np.int64(1), inverse=1),
        S(normal(2, 5, 1), None, np.int64(1), onesided=1),
        S(normal(2, 5, 1), np.int64(4), np.int64(1), onesided=1),
        S(normal(2, 3, 2), np.int64(6), np.int64(-2)),
        S(normal(2, 4, 2), None, np.int64(1), onesided=1, inverse=1),
        S(normal(2, 4, 2), np.int64(6), np.int64(1), onesided=1, inverse=1).but(named=False, why="a length"),
    ],
    "STFT": [
        S(normal(2, 7, 1), np.int64(2), normal(3), np.int64(3)),
        S(normal(2, 8, 1), np.int64(3), normal(4), onesided=0).but(named=False, why="a frame is as long as the window"),
        S(normal(1, 6, 2), np.int64(2), None, np.int64(3), onesided=0),
        S(normal(1, 6, 1), np.int64(2), None, np.int64(4)),
    ],
    "nngraph::Erfc": [S(between(-2, 2, 3, 4)).but(rtol=1e-5, why="an approximation's derivative")],
    "nngraph::ErfInv": [S(between(-0.95, 0.95, 3, 4)).but(rtol=1e-4, why="an approximation's derivative")],
    "MatMul": [
        S(normal(2, 3), normal(3, 4)),
        S(normal(5, 2, 3), normal(3, 4)),
        S(normal(5, 2, 3), normal(5, 3, 4)),
        S(normal(5, 1, 2, 3), normal(4, 3, 2)),
        S(normal(2, 3), normal(4, 3, 2)),
        S(normal(3), normal(3)),
        S(normal(3), normal(3, 4)),
        S(normal(3), normal(2, 3, 4)),
        S(normal(2, 3), normal(3)),
        S(normal(5, 2, 3), normal(3)),
    ],
    "Gemm": [
        *(
            S(normal(*((3, 2) if a else (2, 3))), normal(*((4, 3) if b else (3, 4))), normal(4), transA=a, transB=b)
            for a in (0, 1)
            for b in (0, 1)
        ),
        S(normal(2, 3), normal(3, 4), normal(2, 1), alpha=0.5, beta=2.0),
        S(normal(2, 3), normal(3, 4)),
    ],
    "Einsum": [
        S(normal(2, 3), normal(3, 4), equation="ij,jk->ik"),
        S(normal(2, 3), normal(3, 4), equation="ij,jk"),
        S(normal(2, 3, 4), normal(2, 5, 4), equation="bij,bkj->bik"),
        S(normal(2, 3), equation="ij->ji"),
        S(normal(2, 3), equation="ij->i"),
        S(normal(2, 3), normal(4), equation="ij,k->jk"),
        S(normal(3, 3), equation="ii->i"),
        S(normal(3, 3), equation="ii"),
        S(normal(3, 3, 2), equation="iij->j"),
        S(normal(2, 3, 4), normal(4, 5), equation="...j,jk->...k"),
        S(normal(5, 2, 3), normal(1, 3, 4), equation="...ij,...jk->...ik"),
        S(normal(2), normal(3), normal(2, 3), equation="a,b,ab->b"),
    ],
}
