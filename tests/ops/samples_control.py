"""Samples of branches, loops, custom gradients and the counter-based random numbers."""

from __future__ import annotations

import numpy as np
from sample import S, ints, normal

from nngraph import ops
from nngraph.ir import Graph, TensorType
from nngraph.ops import raw
from nngraph.ops.trace import Trace, apply, current_trace, run_traced

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


def several_states(x, h, w):
    """Two states of which one is used inside the other, two stacked results, and a weight from outside."""
    last, stacks = ops.scan(lambda c, t: ((ops.tanh(c[0] @ w + t), c[1] * c[0]), (c[0] * t, c[1])), (h, h + 1.0), x)
    return *last, *stacks


def nested(x, h, w):
    """A scan inside a scan, and a branch inside of that."""

    def inner(c, t):
        return ops.cond(ops.sum(c) > 0, lambda: ops.sin(c) * w, lambda: c + t), c * t

    return ops.scan(lambda c, rows: ops.scan(inner, c, rows), h, x)


def never(x, w):
    return ops.while_loop(lambda i, v: i < 0, lambda i, v: (i + 1, ops.sin(v) * w), (np.int32(0), x))[1]


def stopped_early(x, w):
    """A limit of ten rounds, of which three are taken."""
    return ops.while_loop(
        lambda i, v: i < 3, lambda i, v: (i + 1, ops.sin(v) * w), (np.int32(0), x), maximum_iterations=10
    )[1]


def foreign_scan(x, h):
    """Axes and directions as other exporters use them."""
    trace = current_trace()
    if trace is None:
        return run_traced(foreign_scan, x, h)
    body = Graph("body", parent=trace.graph)
    with Trace(body, outer=trace):
        state = body.add_input("state", h.type)
        step = body.add_input("step", TensorType(h.dtype, (x.shape[0],)))
        new = raw.Sin(raw.Add(raw.Mul(state, step), state))
        body.set_outputs([new, raw.Mul(new, step)], ["new", "out"])
    return apply(
        "Scan",
        h,
        x,
        outputs=2,
        body=body,
        num_scan_inputs=1,
        scan_input_axes=(1,),
        scan_input_directions=(1,),
        scan_output_axes=(1,),
        scan_output_directions=(1,),
    )


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
        of_call(several_states, normal(3, 2, 2), normal(2, 2), normal(2, 2)),
        of_call(nested, normal(2, 3, 2), normal(2), normal(2)),
        of_call(foreign_scan, normal(2, 3), normal(2)).but(
            reference=False, named=False, why="onnx.reference only runs forwards; the body's sizes are numbers"
        ),
    ],
    "Loop": [
        of_call(repeated, normal(2, 3), normal(3, 3)),
        of_call(until_large, normal(2, 3), normal(3)),
        of_call(never, normal(2, 3), normal(3)),
        of_call(stopped_early, normal(2, 3), normal(3)),
    ],
    "nngraph::CustomGradient": [of_call(lambda x: _cube(x), normal(2, 3))],
    "nngraph::RandomBits": [noise()],
    "nngraph::DropoutMask": [noise(rate=0.3, dtype="float32")],
    "nngraph::UniformNoise": [noise(dtype="float32"), noise(dtype="float16")],
    "nngraph::NormalNoise": [noise(dtype="float32")],
    "nngraph::TruncatedNormalNoise": [noise(dtype="float32")],
}
