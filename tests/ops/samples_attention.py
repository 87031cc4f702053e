"""Samples of attention, rotary embeddings and sampling at places."""

from __future__ import annotations

import numpy as np
from sample import S, Sample, below, between, ints, normal

from nngraph.ops import raw

HEADS = "the size of a head is known"
BODY = "the sizes of its definition are computed at run time"


def heads(*shape: int) -> np.ndarray:
    return normal(*shape)


PAST = (heads(1, 2, 1, 4), heads(1, 2, 1, 4))
MASK = np.array([[True, True, False], [True, True, True]])


def with_products(mode: int):
    """Attention and its products of queries and keys, at one of the stages that ONNX counts."""

    def call(q, k, v):
        y, _, _, products = raw.Attention(q, k, v, softcap=2.0, qk_matmul_output_mode=mode, outputs=4)
        return y, products

    return call


def turned(sample: Sample) -> Sample:
    """ONNX has it for single precision at most; it is linear in each input, so a large step is exact."""
    return sample.but(single=True, step=0.25, rtol=1e-5, named=False, why=HEADS)


SAMPLES = {
    "Attention": [
        S(heads(2, 4, 3, 4), heads(2, 2, 5, 4), heads(2, 2, 5, 4), is_causal=1),
        S(heads(2, 2, 3, 4), heads(2, 2, 5, 4), heads(2, 2, 5, 4), heads(2, 2, 3, 5), softcap=2.0, scale=0.3),
        S(normal(2, 3, 8), normal(2, 5, 4), normal(2, 5, 4), q_num_heads=4, kv_num_heads=2),
        S(heads(1, 2, 2, 4), heads(1, 2, 3, 4), heads(1, 2, 3, 2), MASK),
        S(heads(1, 2, 2, 4), heads(1, 2, 2, 4), heads(1, 2, 2, 4), heads(2, 3), *PAST).but(outputs=3),
        S(heads(1, 2, 2, 4), heads(1, 2, 2, 4), heads(1, 2, 2, 4), None, *PAST, is_causal=1).but(outputs=3),
        *(
            S(heads(1, 1, 2, 4), heads(1, 1, 3, 4), heads(1, 1, 3, 4), softcap=2.0, qk_matmul_output_mode=mode).but(
                call=with_products(mode)
            )
            for mode in (1, 2, 3)  # at 0 onnx.reference differs from ONNX's own definition
        ),
    ],
    "RotaryEmbedding": [
        turned(S(normal(2, 2, 3, 8), normal(5, 4), normal(5, 4), below(5, 2, 3))),
        turned(S(normal(2, 3, 16), normal(2, 3, 4), normal(2, 3, 4), num_heads=2, interleaved=1)),
        turned(S(normal(1, 2, 2, 6), normal(1, 2, 2), normal(1, 2, 2), rotary_embedding_dim=4)),
    ],
    "CenterCropPad": [S(normal(2, 3, 6), ints(5, 4), axes=(1, 2)).but(named=False, why=BODY)],
    "CastLike": [S(normal(2, 3), np.array(1, np.int64)).but(wrt=()), S(normal(2, 3), np.float64(1.0)).but(wrt=(0,))],
    "GridSample": [
        S(normal(2, 2, 4, 5), between(-1.4, 1.4, 2, 3, 2, 2)),
        S(normal(2, 2, 4, 5), between(-1.4, 1.4, 2, 3, 2, 2), padding_mode="border", align_corners=1),
        S(normal(2, 2, 4, 5), between(-1.4, 1.4, 2, 3, 2, 2), padding_mode="reflection"),
        S(normal(2, 2, 4, 5), between(-1.4, 1.4, 2, 3, 2, 2), mode="nearest"),
        *(
            S(normal(2, 2, 4, 5), between(-1.4, 1.4, 2, 2, 3, 2), mode="cubic", padding_mode=p, align_corners=a).but(
                reference=False, why="onnx.reference folds the place instead of the neighbours"
            )
            for p, a in (("zeros", 0), ("border", 1), ("reflection", 0))
        ),
        S(normal(1, 2, 3, 2, 4), between(-1.4, 1.4, 1, 2, 2, 2, 3), padding_mode="reflection", align_corners=1),
    ],
}
SAMPLES["GridSample"] = [s.but(named=False, why="the image's sizes are known") for s in SAMPLES["GridSample"]]
