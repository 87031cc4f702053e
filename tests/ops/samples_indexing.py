"""Samples of gathering, scattering and searching."""

from __future__ import annotations

import numpy as np
from sample import S, apart, below, between, ints, normal

PLACES = np.array([[0, 2], [1, 0], [1, 3]])  # each once
REPEATED = np.array([[0, 2], [1, 0], [0, 2]])
ROWS = np.array([[2], [0]])
COLUMN = np.array([[2, 0, 1, 1], [0, 0, 2, 2]])
ONCE = np.array([[2, 0, 1], [0, 1, 2]])
HOLDS = np.array([True, False, True])
COUNT = "how many there are is known at run time only"
SECOND_AT_ZERO = "at a zero the rule is exact for first derivatives only"

SAMPLES = {
    "Gather": [
        S(normal(5, 3), np.array([[0, 2], [4, 2]])),
        S(normal(5, 3), np.array([1, -1, 1], np.int32)).but(fed=(1,)),
        S(normal(2, 5, 3), below(5, 2, 2), axis=1),
        S(normal(2, 5), np.array(3), axis=-1),
        S(normal(5, 2), np.array(-2)),
    ],
    "GatherElements": [
        S(normal(3, 4), COLUMN, axis=0),
        S(normal(3, 4), np.array([[0], [3], [-1]]), axis=1).but(fed=(1,)),
    ],
    "GatherND": [
        S(normal(3, 4), REPEATED),
        S(normal(3, 4, 2), ROWS),
        S(normal(2, 3, 2), np.array([[1], [2]]), batch_dims=1).but(fed=(1,)),
        S(normal(2, 3, 4), below(4, 2, 3, 1), batch_dims=2),
        S(normal(2, 3, 4), np.array([[[1]], [[0]]]), batch_dims=1),
    ],
    "Compress": [
        S(normal(3, 2), HOLDS, axis=0),
        S(normal(2, 3), HOLDS, axis=-1).but(fed=(1,)),
        S(normal(2, 2), np.array([True, False, False, True])),
    ],
    "ScatterElements": [
        S(normal(3, 4), ONCE, normal(2, 3), axis=0).but(wrt=(0, 2)),
        S(normal(3, 4), COLUMN, normal(2, 4), axis=0, reduction="add"),
        S(between(0.5, 2, 3, 4), COLUMN, between(0.5, 2, 2, 4), axis=0, reduction="mul"),
        S(apart(12).reshape(3, 4), COLUMN, apart(8).reshape(2, 4) + 0.1, axis=0, reduction="max"),
        S(apart(12).reshape(3, 4), COLUMN, apart(8).reshape(2, 4) + 0.1, axis=0, reduction="min"),
        S(normal(5), ints(1, 3), normal(2)).but(fed=(1,)),
    ],
    "ScatterND": [
        S(normal(3, 4), PLACES, normal(3)),
        S(normal(3, 4), ROWS, normal(2, 4)).but(fed=(1,)),
        S(normal(3, 4), REPEATED, normal(3), reduction="add"),
        S(between(0.5, 2, 3, 4), REPEATED, between(0.5, 2, 3), reduction="mul"),
        S(between(0.5, 2, 2), np.array([[0], [1]]), np.array([0.0, 2.0]), reduction="mul").but(
            second=False, why=SECOND_AT_ZERO
        ),
        S(apart(12).reshape(3, 4), REPEATED, apart(3) + 0.1, reduction="max"),
        S(apart(12).reshape(3, 4), REPEATED, apart(3) + 0.1, reduction="min"),
    ],
    "TensorScatter": [
        S(normal(2, 5, 3), normal(2, 2, 3), ints(1, 3)),
        S(normal(2, 2, 4), normal(2, 2, 3), ints(2, 3), axis=2, mode="circular").but(fed=(2,)),
        S(normal(2, 3, 2), normal(2, 2, 2), axis=1),
    ],
    "Unique": [
        S(apart(2, 2)).but(outputs=4, named=False, why=COUNT),
        S(apart(3, 2), axis=0, sorted=0).but(reference=False, named=False, why=COUNT + "; onnx.reference sorts"),
    ],
    "TopK": [
        S(apart(3, 5), ints(2)).but(outputs=2),
        S(apart(4, 3), ints(4), axis=0, largest=0).but(outputs=2),
        S(apart(4, 3), ints(2), axis=0, sorted=0).but(outputs=2, reference=False, why="any order is right"),
    ],
    "NonZero": [S(np.array([[0.0, 2.0], [1.0, 0.0]]))],
    "ArgMax": [S(apart(3, 4), axis=1), S(np.array([[1.0, 3.0, 3.0]]), axis=-1, keepdims=0)],
    "ArgMin": [S(apart(3, 4), axis=0)],
}
