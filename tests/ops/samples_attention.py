"""Samples of attention, rotary embeddings and sampling at places."""

from __future__ import annotations

import numpy as np
from sample import S, below, between, ints, normal

SINGLE = "ONNX has it for single precision at most"
BODY = "the sizes of its definition are computed at run time"


def heads(*shape: int) -> np.ndarray:
    return normal(*shape)


SAMPLES = {
    "Attention": [
        S(heads(2, 4, 3, 4), heads(2, 2, 5, 4), heads(2, 2, 5, 4), is_causal=1),
        S(heads(2, 2, 3, 4), heads(2, 2, 5, 4), heads(2, 2, 5, 4), heads(2, 2, 3, 5), softcap=2.0, scale=0.3),
        S(normal(2, 3, 8), normal(2, 5, 4), normal(2, 5, 4), q_num_heads=4, kv_num_heads=2),
    ],
    "RotaryEmbedding": [
        S(normal(2, 2, 3, 8), normal(5, 4), normal(5, 4), below(5, 2, 3)).but(wrt=(), why=SINGLE),
        S(normal(2, 3, 16), normal(2, 3, 4), normal(2, 3, 4), num_heads=2, interleaved=1).but(wrt=(), why=SINGLE),
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
            for p, a in (("zeros", 0), ("zeros", 1), ("border", 0), ("reflection", 0), ("reflection", 1))
        ),
        S(normal(1, 2, 3, 2, 4), between(-1.4, 1.4, 1, 2, 2, 2, 3), padding_mode="reflection", align_corners=1),
    ],
}
SAMPLES["GridSample"] = [s.but(named=False, why="the image's sizes are known") for s in SAMPLES["GridSample"]]
