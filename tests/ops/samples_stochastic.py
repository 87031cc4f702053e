"""Samples of ONNX's own random operators; only their types and shapes can be compared."""

from __future__ import annotations

import numpy as np
from sample import S, between, normal


def drawn(*inputs, **attributes):
    return S(*inputs, **attributes).but(reference=False, wrt=(), why="every call draws other numbers")


SAMPLES = {
    "RandomNormalLike": [drawn(normal(2, 3))],
    "RandomUniformLike": [drawn(normal(2, 3), low=-1.0)],
    "Bernoulli": [drawn(between(0.2, 0.8, 2, 3))],
    "Multinomial": [drawn(np.log(between(0.2, 0.8, 2, 3)), sample_size=4, dtype="int32")],
}
for op in ("RandomNormal", "RandomUniform"):
    # Nothing goes in, so the shape of another tensor is added to have something to record.
    SAMPLES[op] = [drawn(normal(2)).but(call=lambda x, op=op: _with_noise(op, x))]


def _with_noise(op, x):
    from nngraph.ops import raw

    return getattr(raw, op)(shape=(2,)) * 0 + x
