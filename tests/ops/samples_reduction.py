"""Samples of reductions and running totals."""

from __future__ import annotations

import numpy as np
from sample import S, Sample, apart, between, ints, normal

WITH_ZEROS = np.array([[0.0, 2.0, -1.5, 3.0], [0.0, 2.0, 0.0, 3.0], [1.0, 2.0, 4.0, 0.5]])
FIRST_ONLY = "at a zero the rule is exact for first derivatives only"


def reduction(numbers) -> list[Sample]:
    """Axes negative, several, none at all; with and without kept dimensions."""
    return [
        S(numbers(2, 3, 4), ints(1)),
        S(numbers(2, 3, 4), ints(0, -1), keepdims=0),
        S(numbers(2, 3), None, keepdims=0),
        S(numbers(2, 3)),
        S(numbers(2, 3), noop_with_empty_axes=1),
        S(numbers(3), ints(0), keepdims=0),
    ]


def positive(*shape: int) -> np.ndarray:
    return between(0.5, 2, *shape)


def running(zeros: bool) -> list[Sample]:
    """Every combination of exclusive and reverse, along both axes."""
    modes = [{"exclusive": e, "reverse": r} for e in (0, 1) for r in (0, 1)]
    samples = [S(between(0.5, 2, 3, 4), np.array(k % 2), **m) for k, m in enumerate(modes)]
    samples.append(S(between(0.5, 2, 3, 4), np.array(-1)))
    if zeros:
        samples += [S(WITH_ZEROS, np.array(1), **m).but(second=False, why=FIRST_ONLY) for m in modes]
    return samples


SAMPLES = {
    "ReduceSum": reduction(normal),
    "ReduceMean": reduction(normal),
    "ReduceMax": reduction(apart),
    "ReduceMin": reduction(apart),
    "ReduceProd": [
        *reduction(positive),
        S(WITH_ZEROS, ints(1)).but(second=False, why=FIRST_ONLY),
    ],
    "ReduceL1": reduction(apart),
    "ReduceL2": reduction(normal),
    "ReduceSumSquare": reduction(normal),
    "ReduceLogSum": reduction(positive),
    "ReduceLogSumExp": reduction(normal),
    "CumSum": running(zeros=False),
    "CumProd": running(zeros=True),
}
