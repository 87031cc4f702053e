"""Samples of quantised numbers, of windows and of operators that give integers."""

from __future__ import annotations

import numpy as np
from sample import S, Sample, apart, between, ints, normal

WORDS = np.array([[1, 7, 12, 3], [200, 0, 90, 45]], np.uint8)


def single(numbers: np.ndarray) -> np.ndarray:
    return np.asarray(numbers, np.float32)


def scaled(x: np.ndarray, scale: np.ndarray, zero: np.ndarray | None = None, **attributes) -> Sample:
    """A sample that is linear in its scale, so that a large step is exact."""
    return S(x, scale, zero, **attributes).but(single=True, step=0.1, rtol=1e-5, wrt=(1,))


def quiet(*inputs, **attributes) -> Sample:
    return S(*inputs, **attributes).but(wrt=())


SAMPLES = {
    "DequantizeLinear": [
        scaled(WORDS, np.array(0.5)),
        scaled(WORDS, between(0.5, 1, 4), np.arange(4, dtype=np.uint8), axis=-1),
        scaled(WORDS, between(0.5, 1, 2), axis=0),
        scaled(WORDS, between(0.5, 1, 2, 2), WORDS[:, :2], axis=1, block_size=3),
    ],
    "DynamicQuantizeLinear": [S(apart(2, 2, gap=100.0)).but(outputs=3, single=True, step=8.0, rtol=1e-5)],
    "QuantizeLinear": [quiet(single(normal(2, 3)), single(0.1), np.uint8(128))],
    "QLinearConv": [
        quiet(
            *(WORDS.reshape(1, 1, 2, 4), single(0.1), np.uint8(3)),
            *(WORDS[:1, :2].reshape(1, 1, 1, 2), single(0.2), np.uint8(2)),
            *(single(0.5), np.uint8(1)),
        )
    ],
    "QLinearMatMul": [
        quiet(WORDS, single(0.1), np.uint8(3), WORDS.T.copy(), single(0.2), np.uint8(2), single(5.0), np.uint8(1))
    ],
    "ConvInteger": [quiet(WORDS.reshape(1, 1, 2, 4), WORDS[:1, :2].reshape(1, 1, 1, 2), np.uint8(1))],
    "MatMulInteger": [quiet(WORDS, WORDS.T.copy(), np.uint8(1))],
    "NonMaxSuppression": [
        quiet(
            single([[[0, 0, 1, 1], [0, 0.1, 1, 1.1], [0, 10, 1, 11]]]),
            single([[[0.9, 0.75, 0.6]]]),
            ints(3),
            single([0.5]),
            single([0.0]),
        )
    ],
    "MelWeightMatrix": [quiet(np.int64(4), np.int64(8), np.int64(8000), single(0.0), single(4000.0))],
    "HannWindow": [quiet(np.int64(5))],
    "HammingWindow": [quiet(np.int64(5), periodic=0)],
    "BlackmanWindow": [quiet(np.int64(6))],
    "TfIdfVectorizer": [
        quiet(
            np.int32([1, 1, 3, 3, 3, 7]),
            mode="TF",
            min_gram_length=1,
            max_gram_length=1,
            max_skip_count=0,
            ngram_counts=(0,),
            ngram_indexes=(0, 1),
            pool_int64s=(1, 3),
        )
    ],
}
