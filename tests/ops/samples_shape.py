"""Samples of operators that move elements as their shape says."""

from __future__ import annotations

import numpy as np
from sample import S, below, ints, normal

MAX, MIN = np.iinfo(np.int64).max, np.iinfo(np.int64).min

SAMPLES = {
    "Reshape": [
        S(normal(2, 6), ints(3, 4)),
        S(normal(2, 6), ints(0, 2, -1)),
        S(normal(), ints(1, 1)),
        S(normal(0, 3), ints(3, 0), allowzero=1).but(named=False, why="empty"),
    ],
    "Flatten": [S(normal(2, 3, 2), axis=1), S(normal(2, 3, 2), axis=0), S(normal(3), axis=-1)],
    "Squeeze": [
        S(normal(1, 3, 1), ints(0)),
        S(normal(1, 3, 1), ints(-1, 0)),
        S(normal(1, 3, 1)).but(named=False, why="what is squeezed depends on the sizes"),
    ],
    "Unsqueeze": [S(normal(3), ints(0)), S(normal(2, 3), ints(-1, 1))],
    "Transpose": [S(normal(2, 3, 4), perm=(1, 2, 0)), S(normal(2, 3)), S(normal(2, 3, 4, 5), perm=(0, 3, 1, 2))],
    "Expand": [
        S(normal(1, 3), ints(2, 3)),
        S(normal(3), ints(2, 4, 3)),
        S(normal(), ints(2)),
        S(normal(2, 3), ints(1, 1)),
    ],
    "Concat": [
        S(normal(2, 3), normal(2, 1), normal(2, 2), axis=1),
        S(normal(2, 3), normal(1, 3), axis=-2),
        S(normal(3), axis=0),
    ],
    "Split": [
        S(normal(2, 6), ints(1, 3, 2), axis=1).but(outputs=3),
        S(normal(6, 2), axis=0, num_outputs=2).but(outputs=2),
        S(normal(7), axis=0, num_outputs=3).but(outputs=3, named=False, why="ONNX does not infer names here"),
    ],
    "Slice": [
        S(normal(5, 4), ints(1), ints(4), ints(0)),
        S(normal(5, 4), ints(-3, 1), ints(MAX, -1), ints(0, 1)),
        S(normal(7, 4), ints(1, 0), ints(6, 3), ints(-2, 1), ints(2, 2)),
        S(normal(7, 4), ints(MAX), ints(MIN), ints(0), ints(-1)),
        S(normal(7, 4), ints(5, -1), ints(0, MIN), ints(0, 1), ints(-2, -3)),
        S(normal(4, 3), ints(1, 1), ints(3, 9)),
        S(normal(5, 4), ints(1), ints(4), ints(0)).but(fed=(1, 2)),
        S(normal(5, 4), ints(-2), ints(0), ints(0), ints(-1)).but(fed=(1, 2)),
        S(normal(5), ints(3), ints(3), ints(0)).but(second=False, why="nothing is left to differentiate"),
    ],
    "Tile": [
        S(normal(2, 3), ints(2, 3)),
        S(normal(3), ints(4)),
        S(normal(2, 1), ints(1, 2)).but(fed=(1,)),
    ],
    "Pad": [
        S(normal(2, 3), ints(1, 0, 2, 1)),
        S(normal(2, 3), ints(0, 2, 0, 1), np.float64(1.5)),
        S(normal(2, 5), ints(0, -1, 1, -2)).but(reference=False, why="onnx.reference only adds"),
        S(normal(2, 3), ints(1, 2), None, ints(-1)),
        S(normal(2, 3), ints(1, 0, 0, 2)).but(fed=(1,)),
        S(normal(3, 4), ints(1, 3, 2, 1), mode="reflect"),
        S(normal(3, 4), ints(1, 2, 2, 1), mode="edge"),
        S(normal(3, 4), ints(1, 2, 2, 1), mode="wrap"),
        S(normal(3, 4), ints(2, 1), None, ints(1), mode="edge"),
    ],
    "DepthToSpace": [S(normal(2, 8, 2, 3), blocksize=2), S(normal(2, 8, 2, 3), blocksize=2, mode="CRD")],
    "SpaceToDepth": [S(normal(2, 2, 4, 6), blocksize=2)],
    "Trilu": [
        S(normal(3, 4)),
        S(normal(2, 3, 3), np.int64(1), upper=0),
        S(normal(3, 3), np.int64(-1), upper=1).but(fed=(1,)),
    ],
    "ReverseSequence": [
        S(normal(4, 3), ints(1, 4, 2)),
        S(normal(3, 4, 2), ints(3, 1, 2), batch_axis=0, time_axis=1),
    ],
    "OneHot": [
        S(below(3, 2, 2), np.array(3, np.int64), normal(2), axis=0).but(fed=(0,)),
        S(below(4, 3), np.array(4, np.int64), normal(2)),
    ],
    "Range": [
        S(np.float64(0.5), np.float64(3.0), np.float64(0.75)),
        S(np.int64(1), np.int64(7), np.int64(2)),
    ],
    "ConstantOfShape": [S(ints(2, 3), value=np.array([1.5], np.float32))],
    "EyeLike": [S(normal(3, 4), k=1)],
    "Shape": [S(normal(2, 3)), S(normal(2, 3, 4), start=1, end=-1)],
    "Size": [S(normal(2, 3))],
}
