"""Small graphs of every kind, for sweeps over passes, serde, exporters and the text form.

Each entry is a function that builds a fresh graph. ``feeds`` makes inputs for any of them, the same ones each time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nngraph.ir import Graph, TensorType, Value, numpy_dtype
from nngraph.ops import raw
from nngraph.ops.core import stop_gradient
from nngraph.ops.nn_norm import batch_norm_training
from nngraph.ops.subgraph import trace_body
from nngraph.ops.trace import Trace, apply

__all__ = ["DIFFERENTIABLE", "ZOO", "build", "feeds", "run"]

SIZES = {"batch": 3, "time": 4}
"""What named dimensions are at run time."""

ZOO: dict[str, Callable[[], Graph]] = {}
DIFFERENTIABLE: dict[str, tuple[str, tuple[str, ...]]] = {}
"""Entry to (output, inputs) of a gradient to take."""


def f32(*shape: int | str) -> TensorType:
    return TensorType("float32", shape)


def i64(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def ramp(*shape: int) -> np.ndarray:
    return np.linspace(-1, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape)


def build(fn: Callable[..., Any], name: str, **inputs: TensorType) -> Graph:
    """Trace a function that returns a dict of outputs by name."""
    graph = Graph(name)
    values = [graph.add_input(n, t) for n, t in inputs.items()]
    with Trace(graph):
        outputs = fn(*values)
    graph.set_outputs(list(outputs.values()), list(outputs))
    return graph


def feeds(graph: Graph, seed: int = 0) -> dict[str, np.ndarray]:
    """Return random inputs for a graph; floats are from a normal distribution, integers from 0 to 2."""
    rng = np.random.default_rng(seed)
    found = {}
    for value in graph.inputs:
        shape = [SIZES.get(d, 2) if isinstance(d, str) else d for d in value.shape]
        if value.dtype == "bool":
            array: np.ndarray = rng.random(shape) < 0.5
        elif value.dtype.startswith(("int", "uint")):
            array = rng.integers(0, 3, shape)
        else:
            array = rng.normal(size=shape)
        found[value.name] = np.asarray(array, numpy_dtype(value.dtype))
    return found


def run(graph: Graph, seed: int = 0) -> dict[str, np.ndarray]:
    """Run a graph on its random inputs with the runtime's optimisations off."""
    from nngraph.runtime import Session

    return Session(graph, "cpu", optimize=False).run(feeds(graph, seed))


def entry(*, grad: str = "", wrt: Sequence[str] = (), **inputs: TensorType) -> Callable[..., Any]:
    """Register the function below as an entry of the zoo, traced on inputs of these types."""

    def register(fn: Callable[..., Any]) -> Callable[..., Any]:
        ZOO[fn.__name__] = lambda: build(fn, fn.__name__, **inputs)
        if grad:
            DIFFERENTIABLE[fn.__name__] = (grad, tuple(wrt))
        return fn

    return register


# -- dense ----------------------------------------------------------------------------------------------------------


@entry(grad="y", wrt=("w1", "b1", "w2"), x=f32("batch", 4), w1=f32(4, 5), b1=f32(5), w2=f32(5, 2), b2=f32(2))
def mlp(x, w1, b1, w2, b2):
    hidden = raw.Relu(raw.Add(raw.MatMul(x, w1), b1))
    return {"y": raw.Add(raw.MatMul(hidden, w2), b2)}


@entry(grad="y", wrt=("x", "w"), x=f32(3, 4), w=f32(4, 4))
def shared_weights(x, w):
    once = raw.Tanh(raw.MatMul(x, w))
    return {"y": raw.MatMul(raw.Tanh(raw.MatMul(once, w)), raw.Transpose(w, perm=(1, 0)))}


@entry(grad="high", wrt=("x",), x=f32("batch", 6))
def many_outputs(x):
    low, high = raw.Split(x, i64(2, 4), axis=1, outputs=2)
    values, _ = raw.TopK(x, i64(2), axis=1, outputs=2)
    return {"low": low, "high": raw.Mul(high, high), "largest": values, "x_again": x}


@entry(x=f32("batch", 2), y=f32("batch", 2))
def passes_through(x, y):
    """A graph whose outputs are inputs, one of them twice, and a constant."""
    return {"a": x, "b": x, "c": raw.Identity(y), "seven": x.graph.add_constant(np.float32(7), "seven_stored")}


@entry(grad="loss", wrt=("z",), z=f32("batch", 5), labels=f32("batch", 5))
def cross_entropy(z, labels):
    p = raw.Softmax(z, axis=-1)
    q = raw.Div(p, raw.ReduceSum(p, i64(-1), keepdims=1))
    terms = raw.Mul(labels, raw.Log(raw.Clip(q, np.float32(1e-7), np.float32(1))))
    return {"loss": raw.Neg(raw.ReduceMean(raw.ReduceSum(terms, i64(1), keepdims=0), keepdims=0)), "p": q}


@entry(grad="y", wrt=("x", "scale"), x=f32("batch", "time", 4), scale=f32(4), offset=f32(4))
def layer_norm(x, scale, offset):
    away = raw.Sub(x, raw.ReduceMean(x, i64(-1), keepdims=1))
    variance = raw.ReduceMean(raw.Mul(away, away), i64(-1), keepdims=1)
    normal = raw.Div(away, raw.Sqrt(raw.Add(variance, np.float32(1e-3))))
    return {"y": raw.Add(raw.Mul(normal, scale), offset)}


@entry(grad="y", wrt=("q", "k", "v"), q=f32(2, 3, 4), k=f32(2, 5, 4), v=f32(2, 5, 4))
def attention(q, k, v):
    def heads(x: Value) -> Value:
        length = x.shape[1]
        return raw.Transpose(raw.Reshape(x, i64(2, length, 2, 2)), perm=(0, 2, 1, 3))

    scores = raw.MatMul(heads(q), raw.Transpose(heads(k), perm=(0, 1, 3, 2)))
    weights = raw.Softmax(raw.Div(scores, np.float32(np.sqrt(2))), axis=-1)
    mixed = raw.Transpose(raw.MatMul(weights, heads(v)), perm=(0, 2, 1, 3))
    return {"y": raw.Reshape(mixed, i64(2, 3, 4))}


# -- images -----------------------------------------------------------------------------------------------------------


def _first(x: Value) -> Value:
    return raw.Transpose(x, perm=(0, 3, 1, 2))


def _last(x: Value) -> Value:
    return raw.Transpose(x, perm=(0, 2, 3, 1))


def _conv(x: Value, w: Value) -> Value:
    return _last(raw.Conv(_first(x), raw.Transpose(w, perm=(3, 2, 0, 1)), pads=(1, 1, 1, 1)))


@entry(
    grad="y",
    wrt=("w1", "b1", "w2", "d"),
    x=f32(2, 8, 8, 3),
    w1=f32(3, 3, 3, 4),
    b1=f32(4),
    w2=f32(3, 3, 4, 5),
    d=f32(80, 3),
)
def channels_last_cnn(x, w1, b1, w2, d):
    h = raw.Relu(raw.Add(_conv(x, w1), b1))
    h = _last(raw.MaxPool(_first(h), kernel_shape=(2, 2), strides=(2, 2)))
    h = raw.Tanh(_conv(h, w2))
    h = _last(raw.AveragePool(_first(h), kernel_shape=(2, 2), strides=(2, 2)))
    return {"y": raw.MatMul(raw.Reshape(h, i64(2, -1)), raw.Reshape(d, i64(20, -1)))}


@entry(grad="y", wrt=("x", "w"), x=f32("batch", 4, 4, 2), w=f32(3, 3, 2, 2), s=f32(2))
def channels_last_residual(x, w, s):
    """A residual block with things that have axes: pad, concat, split, softmax, reductions, side operands."""
    h = raw.Add(_conv(x, w), x)
    h = raw.Mul(raw.Softmax(_conv(h, w), axis=-1), s)
    a, b = raw.Split(raw.Concat(h, x, axis=3), i64(1, 3), axis=3, outputs=2)
    h = raw.Pad(raw.Concat(a, b, axis=-1), i64(0, 1, 0, 0, 0, 0, 1, 0))
    h = raw.Slice(h, i64(1, 0), i64(5, 2), i64(1, 3))
    h = raw.Sub(_conv(h, w), raw.ReduceMean(h, i64(1, 2), keepdims=1))
    return {"y": raw.ReduceSum(h, i64(1, 2), keepdims=0), "shape": raw.Shape(h), "best": raw.ArgMax(h, axis=3)}


@entry(grad="y", wrt=("w1", "b", "w2"), x=f32(2, 6, 6, 16), w1=f32(3, 3, 16, 16), b=f32(16), w2=f32(3, 3, 16, 32))
def wide_cnn(x, w1, b, w2):
    """Channels enough for the runtime's blocked layout."""
    h = raw.Relu(raw.Add(_conv(x, w1), b))
    h = _last(raw.MaxPool(_first(h), kernel_shape=(2, 2), strides=(2, 2)))
    h = raw.Sigmoid(_conv(raw.Add(h, raw.Mul(h, np.float32(0.5))), w2))
    return {"y": raw.ReduceMean(h, i64(1, 2), keepdims=0)}


@entry(grad="y", wrt=("x", "s", "b"), x=f32(4, 3, 3, 2), s=f32(2), b=f32(2))
def normalised_twice(x, s, b):
    """Two batch normalisations with shared parameters whose statistics are read at the very end."""
    first, mean, variance, _ = batch_norm_training(_first(x), s, b, epsilon=0.01, outputs=4)
    second, again, spread, _ = batch_norm_training(raw.Exp(first), s, b, epsilon=0.01, outputs=4)
    last = raw.Mul(raw.ReduceSum(second, keepdims=0), np.float32(0))
    statistics = [raw.Add(v, last) for v in (mean, variance, again, spread)]
    return {"y": raw.Mul(second, raw.Cos(first)), "statistics": raw.Concat(*statistics, axis=0)}


@entry(x=f32("batch", 2, 6, 6))
def inference_cnn(x):
    """Constant weights, padding, batch normalisation and scale: all of it fits into one convolution."""
    h = raw.Conv(raw.Pad(x, i64(0, 0, 1, 1, 0, 0, 1, 1)), ramp(4, 2, 3, 3))
    h = raw.BatchNormalization(h, ramp(4), ramp(4), ramp(4), np.abs(ramp(4)) + 1)
    h = raw.Add(raw.Mul(h, ramp(4, 1, 1)), ramp(4, 1, 1))
    return {"y": raw.Relu(h)}


# -- shapes and constants ------------------------


@entry(grad="y", wrt=("x",), x=f32("batch", 2, 3))
def dynamic_shape(x):
    rows = raw.Gather(raw.Shape(x), i64(0))
    flat = raw.Reshape(x, raw.Concat(rows, i64(6), axis=0))
    spread = raw.Expand(np.float32([[2]]), raw.Shape(flat))
    return {"y": raw.Mul(flat, spread), "count": raw.Size(x)}


@entry(x=f32(2, 3))
def constant_parts(x):
    table = raw.Mul(ramp(2, 3), np.float32(2))
    table = x.graph.add_constant(np.asarray(table), "table")
    mask = raw.Greater(raw.Add(table, np.float32(0.5)), np.float32(0))
    grid = raw.Range(raw.Squeeze(raw.Shape(x, start=0, end=1), i64(0)), np.int64(9), np.int64(1))
    return {"y": raw.Where(mask, x, raw.Exp(table)), "grid": grid}


@entry(x=f32("batch", 0, 3), y=f32(0, 3))
def empty_dims(x, y):
    joined = raw.Concat(y, ramp(2, 3), y, axis=0)
    return {"sum": raw.ReduceSum(x, i64(1), keepdims=0), "joined": joined, "doubled": raw.Add(y, y)}


@entry(grad="y", wrt=("x",), x=f32("batch", 3))
def identities(x):
    h = raw.Neg(raw.Neg(raw.Mul(x, np.float32(1))))
    h = raw.Reshape(raw.Reshape(h, i64(-1)), i64(-1, 3))
    h = raw.Cast(raw.Cast(raw.Add(h, np.zeros(3, np.float32)), to="float64"), to="float32")
    h = raw.Squeeze(raw.Unsqueeze(raw.Transpose(raw.Transpose(h)), i64(1)), i64(1))
    return {"y": raw.Div(raw.Mul(raw.Mul(h, np.float32(3)), np.float32(5)), np.float32(15)), "x_too": raw.Identity(x)}


@entry(x=f32(3), n=TensorType("int64", (3,)), flags=TensorType("bool", (3,)))
def other_dtypes(x, n, flags):
    wide = raw.Cast(x, to="float64")
    truth = raw.Not(raw.Not(raw.And(flags, raw.Greater(n, np.int64(1)))))
    number = raw.Add(raw.Mul(n, np.int64(2)), raw.Cast(truth, to="int64"))
    small = raw.Add(raw.Cast(n, to="uint8"), np.uint8(250))
    return {
        "wide": raw.Mul(wide, 0.1),
        "truth": truth,
        "number": number,
        "small": small,
        "half": raw.Cast(x, to="float16"),
    }


@entry(x=f32(4, 4))
def duplicates(x):
    a = raw.Add(raw.Exp(x), raw.Sin(x))
    b = raw.Add(raw.Sin(x), raw.Exp(x))
    return {"y": raw.Mul(a, b), "again": raw.Exp(x), "dead_too": raw.Split(raw.Cos(x), i64(2, 2), axis=0, outputs=2)[0]}


@entry(grad="y", wrt=("x",), x=f32("batch", 4))
def stops_gradients(x):
    return {"y": raw.Mul(stop_gradient(raw.Exp(x)), x)}


# -- control flow -----------------------------------------------------------------------------------------------------


@entry(x=f32("batch", 2), w=f32(2, 2))
def branches(x, w):
    """An If whose branches capture values, hold constants, return one from outside, and have a result nobody uses."""
    big = raw.Greater(raw.ReduceSum(x, keepdims=0), np.float32(0))
    h = raw.Exp(x)

    def then() -> list[tuple[Any, None]]:
        return [(raw.Add(raw.MatMul(raw.Exp(x), w), np.float32(0)), None), (h, None), (raw.Neg(x), None)]

    def otherwise() -> list[tuple[Any, None]]:
        return [(raw.Mul(h, raw.Add(x.graph.add_constant(np.float32(1)), np.float32(2))), None), (x, None), (h, None)]

    first, second, _ = apply(
        "If",
        big,
        outputs=3,
        then_branch=trace_body("then", [], then),
        else_branch=trace_body("otherwise", [], otherwise),
    )
    return {"first": first, "second": second}


@entry(xs=f32("time", "batch", 2), w=f32(2, 2))
def scan(xs, w):
    """A recurrent cell whose second stacked output nobody uses."""
    start = raw.Expand(np.float32(0), raw.Shape(xs, start=1))

    def step(state: Value, x: Value) -> list[tuple[Any, None]]:
        new = raw.Tanh(raw.Add(raw.MatMul(state, w), raw.Add(x, np.float32(0))))
        return [(new, None), (raw.Neg(raw.Neg(new)), None), (raw.Exp(new), None)]

    body = trace_body("cell", [("state", f32("batch", 2)), ("x", f32("batch", 2))], step)
    last, every, _ = apply("Scan", start, xs, outputs=3, num_scan_inputs=1, body=body)
    return {"last": last, "every": every}


@entry(x=f32(2), n=TensorType("int64", ()))
def loop(x, n):
    """A Loop that carries a value and stacks another; its body uses a constant from outside."""
    two = x.graph.add_constant(np.float32(2), "two")

    def step(count: Value, go_on: Value, v: Value) -> list[tuple[Any, None]]:
        new = raw.Mul(v, two)
        return [(go_on, None), (new, None), (raw.Add(new, raw.Cast(count, to="float32")), None)]

    types = [("count", TensorType("int64", ())), ("go_on", TensorType("bool", ())), ("v", f32(2))]
    last, every = apply("Loop", n, np.array(True), x, outputs=2, body=trace_body("step", types, step))
    return {"last": last, "every": every}
