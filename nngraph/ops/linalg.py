"""Linear algebra under the name it has in Keras: ``ops.linalg.solve`` is ``ops.solve``."""

from __future__ import annotations

from nngraph.ops.factorizations import cholesky, cholesky_inverse, det, lstsq, lu_factor, qr
from nngraph.ops.products import norm
from nngraph.ops.solvers import inv, solve, solve_triangular

__all__ = [
    "cholesky",
    "cholesky_inverse",
    "det",
    "inv",
    "lstsq",
    "lu_factor",
    "norm",
    "qr",
    "solve",
    "solve_triangular",
]
