"""Attention, layer normalisation and GELU on the CPU target: which forms they take, and that these mean the same."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

import zoo
from nngraph.ir import Graph, TensorType
from nngraph.ops import gelu, layer_normalization, raw
from nngraph.ops.nn_attention import dot_product_attention
from nngraph.ops.trace import trace_graph
from passes import PassManager, gradients, pipeline
from passes.base import check_graph
from passes.blocks import NCHWC, block_size
from passes.simplify.transposes import permutation


def traced(fn: Any, *shapes: tuple[int, ...], dtype: str = "float32") -> Graph:
    graph, _, y = trace_graph(fn, [TensorType(dtype, s) for s in shapes])
    graph.set_outputs([y], ["y"])
    return graph


def compiled(graph: Graph, target: str) -> Graph:
    copy = graph.clone()
    PassManager(pipeline(target)).run(copy)
    check_graph(copy)
    return copy


def with_gradients(fn: Any, *shapes: tuple[int, ...], dtype: str = "float32") -> Graph:
    graph = traced(lambda *xs: raw.ReduceSum(raw.Sin(fn(*xs)), keepdims=0), *shapes, dtype=dtype)
    return gradients(graph, [graph.outputs[0]], graph.inputs)


def operators(graph: Graph) -> Counter[str]:
    return Counter(node.op for node in graph)


def attend(x: Any, wq: Any, wk: Any, wv: Any) -> Any:
    """Self-attention with two heads of three features."""
    heads = [raw.Reshape(raw.MatMul(x, w), zoo.i64(2, 5, 2, 3)) for w in (wq, wk, wv)]
    return raw.Reshape(dot_product_attention(*heads), zoo.i64(2, 5, 6))


ATTENTION = ((2, 5, 6), (6, 6), (6, 6), (6, 6))


def test_attention_turns_no_single_numbers() -> None:
    whole = with_gradients(attend, *ATTENTION)
    fast = compiled(whole, "cpu")
    perms = [permutation(node) for node in fast if node.op_id == "Transpose"]
    # Queries, keys, values and their result, the gradient of the result and those of queries and values. The gradient
    # of the keys is the one product that comes out the wrong way round.
    assert Counter(perms) == {(0, 2, 1, 3): 7, (0, 3, 1, 2): 1}
    for name, wanted in zoo.run(whole).items():
        np.testing.assert_allclose(zoo.run(fast)[name], wanted, rtol=1e-4, atol=1e-5)


def test_attention_multiplies_nothing_by_its_scale() -> None:
    fast = compiled(traced(attend, *ATTENTION), "cpu")
    assert operators(fast)["Mul"] == 0
    (scores,) = (node for node in fast if node.op == "FusedMatMul")
    assert scores.attributes["alpha"] == pytest.approx(1 / np.sqrt(3))


def test_other_targets_have_no_operators_of_the_runtime() -> None:
    for target in ("portable", "cuda"):
        assert all(not node.domain for node in compiled(with_gradients(attend, *ATTENTION), target))


def test_layer_normalisation_keeps_its_statistics_for_the_gradient() -> None:
    shapes = ((3, 4, 8), (8,), (8,))
    whole = with_gradients(layer_normalization, *shapes)
    fast = compiled(whole, "cpu")
    (forward,) = (node for node in fast if node.op == "LayerNormalization")
    assert len(forward.outputs) == 3 and operators(fast)["Sqrt"] == operators(fast)["Reciprocal"] == 0
    exact = zoo.run(with_gradients(layer_normalization, *shapes, dtype="float64"))  # which computes them anew
    for graph in (whole, fast):
        for name, result in zoo.run(graph).items():
            np.testing.assert_allclose(result, exact[name], rtol=1e-4, atol=1e-5)


def test_second_derivatives_of_layer_normalisation_pass_through_its_statistics() -> None:
    shapes = ((3, 4, 8), (8,), (8,))

    def second(dtype: str) -> dict[str, np.ndarray]:
        first = with_gradients(layer_normalization, *shapes, dtype=dtype)
        return zoo.run(gradients(first, first.outputs, first.inputs))

    exact = second("float64")
    for name, result in second("float32").items():
        np.testing.assert_allclose(result, exact[name], rtol=1e-3, atol=1e-4)


def test_half_of_the_gradient_of_gelu_is_in_the_product_before_it() -> None:
    def fn(x: Any, w: Any) -> Any:
        return raw.MatMul(gelu(x, approximate=False), w)

    graph = traced(lambda x, w: raw.ReduceSum(raw.Sin(fn(x, w)), keepdims=0), (2, 3, 4), (4, 5))
    whole = gradients(graph, [graph.outputs[0]], graph.inputs[:1])
    fast = compiled(whole, "cpu")
    (product,) = (node for node in fast if node.op == "Gemm")
    assert product.attributes["alpha"] == 0.5
    exact = zoo.run(gradients(*_double(fn)))
    for name, wanted in zoo.run(whole).items():
        np.testing.assert_allclose(zoo.run(fast)[name], wanted, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(wanted, next(iter(exact.values())), rtol=1e-5, atol=1e-6)


def _double(fn: Any) -> tuple[Graph, Any, Any]:
    graph = traced(lambda x, w: raw.ReduceSum(raw.Sin(fn(x, w)), keepdims=0), (2, 3, 4), (4, 5), dtype="float64")
    return graph, [graph.outputs[0]], graph.inputs[:1]


@pytest.mark.skipif(block_size() is None, reason="this runtime has no blocked layout")
@pytest.mark.parametrize(
    ("shape", "columns", "in_blocks"),
    [
        ((1024, 256), 208, True),
        ((2, 512, 203), 256, True),  # steps, and columns of the left operand that fill no block
        ((1024, 256), 128, False),  # too little work for each number on its way
        ((1024, 256), 204, False),  # columns that fill no block
        ((1028, 256), 208, False),  # rows that fill none
        ((512, 256), 208, False),  # few rows
    ],
)
def test_large_gradients_of_weights_are_blocked_convolutions(
    shape: tuple[int, ...], columns: int, in_blocks: bool
) -> None:
    whole = with_gradients(raw.MatMul, shape, (shape[-1], columns))
    fast = compiled(whole, "cpu")
    assert [n.op for n in fast if n.domain == NCHWC and n.op == "Conv"] == ["Conv"] * in_blocks
    for name, wanted in zoo.run(whole).items():
        np.testing.assert_allclose(zoo.run(fast)[name], wanted, rtol=1e-3, atol=1e-4 * np.abs(wanted).max())
