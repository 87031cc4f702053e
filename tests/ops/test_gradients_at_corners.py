"""Gradients where a formula divides by zero, where elements tie, and of what a graph of its own computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from opcheck import checked

from nngraph import ops
from nngraph.ir import Graph, TensorType
from nngraph.ops.trace import Trace, trace_graph
from nngraph.runtime import Session
from passes.autodiff import append_gradients

NAN, INF = np.nan, np.inf


def gradient(fn: Callable[[Any], Any], x: Any) -> list[float]:
    """Return the gradient of the sum of a function's results at a point."""
    array = np.asarray(x, np.float32)
    graph, trace, result = trace_graph(fn, [TensorType.of(array)], ["x"])
    with trace:
        graph.set_outputs(append_gradients([result], graph.inputs), ["dx"])
    return np.asarray(Session(checked(graph), "cpu").run({"x": array})["dx"]).round(5).tolist()


CASES: dict[str, tuple[Callable[[Any], Any], Any, Any]] = {
    "max shares ties": (lambda x: ops.max(x), [1.0, 3.0, 3.0], [0.0, 0.5, 0.5]),
    "min shares ties": (lambda x: ops.min(x, axis=0), [[1.0], [1.0]], [[0.5], [0.5]]),
    "maximum shares ties": (lambda x: ops.maximum(x, 1.0), [0.0, 1.0, 2.0], [0.0, 0.5, 1.0]),
    "abs at 0": (ops.abs, [-1.0, 0.0, 2.0], [-1.0, 0.0, 1.0]),
    "relu at 0": (ops.relu, [0.0, 1.0], [0.0, 1.0]),
    "relu6 at its bounds": (ops.relu6, [-1.0, 0.0, 1.0, 6.0, 7.0], [0.0, 0.0, 1.0, 0.0, 0.0]),
    "norm at 0": (ops.norm, [0.0, 0.0], [0.0, 0.0]),
    "distance to itself": (lambda x: ops.cdist(x, x), [[1.0, 2.0]], [[0.0, 0.0]]),
    "sinc at 0": (ops.sinc, [0.0], [0.0]),
    "power 0 at 0": (lambda x: ops.power(x, np.float32([0, 0, 1, 2])), [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]),
    "product with one zero": (ops.prod, [2.0, 0.0, 3.0], [0.0, 6.0, 0.0]),
    "product with two zeros": (ops.prod, [2.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
    "running product with a zero": (ops.cumprod, [2.0, 0.0, 3.0], [1.0, 8.0, 0.0]),
    "logsumexp of -inf": (ops.logsumexp, [-INF, 0.0], [0.0, 1.0]),
    "logaddexp of equals": (lambda x: ops.logaddexp(x[0], x[1]), [2.0, 2.0], [0.5, 0.5]),
    "logaddexp of -inf": (lambda x: ops.logaddexp(x[0], x[1]), [-INF, 1.0], [0.0, 1.0]),
    "division by 0": (lambda x: ops.divide_no_nan(1.0, x), [0.0, 2.0], [0.0, -0.25]),
    "mean without NaN": (ops.nanmean, [NAN, 1.0, 3.0], [0.0, 0.5, 0.5]),
    "maximum without NaN": (ops.nanmax, [NAN, 1.0, 3.0], [0.0, 0.0, 1.0]),
    "NaN replaced": (ops.nan_to_num, [NAN, 1.0, INF], [0.0, 1.0, 0.0]),
    "clip at the bounds": (lambda x: ops.clip(x, -1.0, 1.0), [-2.0, 0.0, 2.0], [0.0, 1.0, 0.0]),
    "a row taken twice": (lambda x: ops.take(x, [0, 0, 2], axis=0), [[1.0], [2.0], [3.0]], [[2.0], [0.0], [1.0]]),
    "an element indexed twice": (lambda x: x[np.array([1, 1])], [1.0, 2.0], [0.0, 2.0]),
    "sorting permutes": (lambda x: ops.sort(x) * np.float32([1, 2, 3]), [3.0, 1.0, 2.0], [3.0, 1.0, 2.0]),
    "median of four": (ops.median, [4.0, 1.0, 3.0, 2.0], [0.0, 0.0, 0.5, 0.5]),
    "the largest two": (lambda x: ops.top_k(x, 2)[0], [4.0, 1.0, 3.0], [1.0, 0.0, 1.0]),
    "a segment's maximum": (lambda x: ops.segment_max(x, np.array([0, 0, 1]), 2), [1.0, 5.0, 2.0], [0.0, 1.0, 1.0]),
    "a replaced block": (lambda x: ops.slice_update(x, (1,), np.float32([9])), [1.0, 2.0, 3.0], [1.0, 0.0, 1.0]),
    "erf from both ends": (lambda x: ops.erf(x) + ops.erfc(x), [0.3], [0.0]),
    "a determinant": (ops.det, [[2.0, 1.0], [1.0, 3.0]], [[3.0, -1.0], [-1.0, 2.0]]),
    "a filtered signal": (lambda x: ops.irfft(ops.rfft(x)), [1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 1.0, 1.0]),
}


@pytest.mark.parametrize("name", CASES)
def test_gradient(name: str) -> None:
    fn, x, expected = CASES[name]
    np.testing.assert_allclose(gradient(fn, x), expected, atol=1e-4)


def nodes_of(fn: Callable[..., Any], *shapes: tuple[int | str, ...]) -> list[str]:
    """Return the operators of a function's gradient by its first argument."""
    graph = Graph("g")
    with Trace(graph):
        xs = [graph.add_input(f"x{k}", TensorType("float32", s)) for k, s in enumerate(shapes)]
        y = fn(*xs)
        count = len(graph)
        graph.set_outputs(append_gradients([y], xs[:1], [graph.add_input("g", y.type)]), ["d"])
    return [n.op for n in graph.nodes[count:]]


def test_an_embedding_s_gradient_adds_rows_into_zeros() -> None:
    indices = np.zeros((4, 7), np.int64)
    found = nodes_of(lambda table: ops.take(table, indices, axis=0), (10_000, 128))
    assert found == ["ConstantOfShape", "Unsqueeze", "ScatterND"]


def test_a_dense_layer_s_weight_gradient_is_one_product() -> None:
    found = nodes_of(lambda w, x: ops.matmul(x, w), (16, 4), ("batch", 10, 16))
    assert found == ["Reshape", "Reshape", "Gemm"]


def test_a_slice_s_gradient_is_one_padding() -> None:
    assert nodes_of(lambda x: x[:, 1:3], ("batch", 5)) == ["Pad"]
