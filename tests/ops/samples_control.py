"""Samples of branches, loops, custom gradients and the counter-based random numbers."""

from __future__ import annotations

import numpy as np
from sample import S, ints, normal

from nngraph import ops

STATE = np.array([7, 3], np.uint32)


def noise(**attributes):
    """A random composite: a function of its state, so that its values agree everywhere."""
    return S(STATE, ints(3, 4), **attributes).but(
        fed=(0,), wrt=(), why="random numbers depend on nothing differentiable"
    )


def of_call(fn, *inputs, why=""):
    """A sample whose node holds subgraphs."""
    return S(*inputs).but(call=fn, why=why)


def branch(x, w):
    return ops.cond(ops.sum(x * x) > 0, lambda: ops.sin(x) * w, lambda: x + w)


def scanned(x, h, w):
    return ops.scan(lambda c, t: (ops.tanh(ops.matmul(c, w) + t), c * t), h, x)


def backwards(x, h):
    return ops.scan(lambda c, t: (ops.sin(c) + t, ops.exp(c)), h, x, reverse=True)


def repeated(x, w):
    return ops.fori_loop(0, 3, lambda i, v: ops.tanh(ops.matmul(v, w) + x), x)


def until_large(x, w):
    return ops.while_loop(lambda i, v: i < 3, lambda i, v: (i + 1, ops.sin(v) * w + x), (np.int32(0), x))[1]


@ops.custom_gradient
def _cube(x):
    return x * x * x, lambda g: 3 * g * x * x


SAMPLES = {
    "If": [of_call(branch, normal(2, 3), normal(3))],
    "Scan": [
        of_call(scanned, normal(4, 2, 3), normal(2, 3), normal(3, 3)),
        of_call(backwards, normal(4, 3), normal(3)).but(reference=False, why="onnx.reference only runs forwards"),
    ],
    "Loop": [of_call(repeated, normal(2, 3), normal(3, 3)), of_call(until_large, normal(2, 3), normal(3))],
    "nngraph::CustomGradient": [of_call(lambda x: _cube(x), normal(2, 3))],
    "nngraph::RandomBits": [noise()],
    "nngraph::DropoutMask": [noise(rate=0.3, dtype="float32")],
    "nngraph::UniformNoise": [noise(dtype="float32"), noise(dtype="float16")],
    "nngraph::NormalNoise": [noise(dtype="float32")],
    "nngraph::TruncatedNormalNoise": [noise(dtype="float32")],
}
