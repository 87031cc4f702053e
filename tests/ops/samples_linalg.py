"""Samples of matrix products."""

from __future__ import annotations

from sample import S, normal

SAMPLES = {
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
