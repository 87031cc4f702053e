"""Transposes: where they go, and what an operator looks like on the other side of one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import zoo
from nngraph.ir import Graph
from nngraph.ops import raw
from passes import PassManager, parse
from passes.base import check_graph
from passes.layout import Transposes
from passes.layout.axes import flip, inverse
from passes.rewrite import example

FIRST, LAST = (0, 3, 1, 2), (0, 2, 3, 1)
IMAGE = "float32[2, 5, 6, 3]"
KERNEL = "float32[3, 3, 1, 1]"


def graph_of(fn: Any, *types: str) -> Graph:
    return example(fn, *types).graph()


def first(x: Any) -> Any:
    return raw.Transpose(x, perm=FIRST)


def last(x: Any) -> Any:
    return raw.Transpose(x, perm=LAST)


def conv(x: Any, w: Any) -> Any:
    return last(raw.Conv(first(x), w))


def ops(graph: Graph) -> list[str]:
    return [node.op for node in graph.all_nodes()]


def i64(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def check(graph: Graph, transposes: int) -> None:
    """The pass leaves this many transposes and the same results."""
    wanted = zoo.run(graph)
    Transposes().run(graph)
    check_graph(graph, after="transposes")
    for name, result in zoo.run(graph).items():
        np.testing.assert_allclose(result, wanted[name], rtol=1e-5, atol=1e-6)
    assert ops(graph).count("Transpose") == transposes, str(graph)
    before = str(graph)
    assert Transposes().run(graph) == 0 and str(graph) == before


AGNOSTIC = {
    "relu": lambda x, s: raw.Relu(x),
    "bias": lambda x, s: raw.Add(x, s),
    "constant side operand": lambda x, s: raw.Mul(x, np.float32([[1, 2, 3]])),
    "scalar": lambda x, s: raw.Mul(x, np.float32(3)),
    "clip": lambda x, s: raw.Clip(x, np.float32(-1), np.float32(1)),
    "full operand": lambda x, s: raw.Add(x, raw.Reshape(s, i64(1, 1, 1, 3))),
    "constant full operand": lambda x, s: raw.Add(x, zoo.ramp(1, 1, 6, 3)),
    "where": lambda x, s: raw.Where(raw.Greater(x, np.float32(0)), x, raw.Neg(x)),
    "cast": lambda x, s: raw.Cast(raw.Cast(x, to="float64"), to="float32"),
    "softmax of channels": lambda x, s: raw.Softmax(x, axis=-1),
    "softmax of rows": lambda x, s: raw.Softmax(x, axis=1),
    "concat": lambda x, s: raw.Slice(raw.Concat(x, x, axis=3), i64(1), i64(4), i64(-1)),
    "split": lambda x, s: raw.Concat(*raw.Split(x, i64(1, 2), axis=3, outputs=2), axis=-1),
    "pad": lambda x, s: raw.Pad(x, i64(0, 1, 2, 0, 0, 3, 4, 0)),
    "pad some axes": lambda x, s: raw.Pad(x, i64(1, 2), np.float32(9), i64(-2)),
    "pad by reflection": lambda x, s: raw.Pad(x, i64(0, 1, 1, 0, 0, 1, 1, 0), mode="reflect"),
    "slice with steps": lambda x, s: raw.Slice(x, i64(4, 0), i64(-9, 3), i64(1, 2), i64(-2, 2)),
    "slice of leading axes": lambda x, s: raw.Slice(x, i64(0, 1), i64(2, 4)),
    "mean that keeps axes": lambda x, s: raw.Sub(x, raw.ReduceMean(x, i64(1, -2), keepdims=1)),
    "sum of everything": lambda x, s: raw.Mul(x, raw.ReduceSum(x, keepdims=1)),
    "cumulative sum": lambda x, s: raw.CumSum(x, np.int64(-1)),
    "largest": lambda x, s: raw.TopK(x, i64(2), axis=2, outputs=2)[0],
    "expand": lambda x, s: raw.Expand(raw.ReduceMax(x, i64(3), keepdims=1), i64(2, 5, 6, 3)),
    "tile": lambda x, s: raw.Tile(raw.ReduceMax(x, i64(1), keepdims=1), i64(1, 4, 1, 1)),
    "gather": lambda x, s: raw.Gather(x, i64(2, 0, 0), axis=1),
    "prelu": lambda x, s: raw.PRelu(x, s),
}


@pytest.mark.parametrize("kind", AGNOSTIC)
def test_operators_between_convolutions_work_in_the_convolutions_layout(kind: str) -> None:
    def fn(x: Any, w: Any, s: Any) -> Any:
        return conv(AGNOSTIC[kind](conv(x, w), s), w)

    check(graph_of(fn, IMAGE, KERNEL, "float32[3]"), transposes=2)


REDUCING = {
    "global mean": lambda x: raw.ReduceMean(x, i64(1, 2), keepdims=0),
    "bias gradient": lambda x: raw.ReduceSum(x, i64(0, 1, 2), keepdims=0),
    "all": lambda x: raw.ReduceSum(x, keepdims=0),
    "class map": lambda x: raw.ArgMax(x, axis=3, keepdims=0),
    "class map with axis": lambda x: raw.ReduceMax(raw.Cast(raw.ArgMax(x, axis=3), to="float32"), keepdims=0),
    "shape": lambda x: raw.Shape(x, start=1, end=3),
    "size": lambda x: raw.Size(x),
}


@pytest.mark.parametrize("kind", REDUCING)
def test_a_reduction_needs_no_transpose_of_its_own(kind: str) -> None:
    check(graph_of(lambda x, w: REDUCING[kind](raw.Relu(conv(x, w))), IMAGE, KERNEL), transposes=1)


def test_a_reduction_whose_other_axes_would_change_places_stays() -> None:
    check(graph_of(lambda x, w: raw.ReduceSum(conv(x, w), i64(1), keepdims=0), IMAGE, KERNEL), transposes=2)


def test_what_the_outside_sees_keeps_its_layout() -> None:
    graph = graph_of(lambda x, w: (lambda y: (conv(raw.Relu(y), w), y))(conv(x, w)), IMAGE, KERNEL)
    check(graph, transposes=3)
    assert [v.shape for v in graph.outputs] == [(2, 5, 6, 3)] * 2


def test_a_mask_is_transposed_rather_than_what_it_masks() -> None:
    """One transpose of the operand from outside instead of two of the tensor inside."""
    graph = graph_of(lambda x, w, m: conv(raw.Mul(conv(x, w), m), w), IMAGE, KERNEL, IMAGE)
    check(graph, transposes=3)
    assert sum(n.op == "Transpose" and n.inputs[0] in graph.inputs for n in graph) == 2


def test_a_transpose_with_two_users_is_paid_once() -> None:
    graph = graph_of(lambda x, w: raw.Sub(raw.Exp(conv(x, w)), raw.Sin(conv(raw.Relu(x), w))), IMAGE, KERNEL)
    check(graph, transposes=2)


def test_nothing_moves_without_a_gain() -> None:
    for fn in (lambda x, w: raw.Relu(conv(x, w)), lambda x, w: conv(raw.Relu(x), w)):
        graph = graph_of(fn, IMAGE, KERNEL)
        before = str(graph)
        assert Transposes().run(graph) == 0 and str(graph) == before


def test_larger_tensors_decide() -> None:
    """Where a small mean is spread over a large image, the transpose goes to the small one."""

    def fn(x: Any, w: Any) -> Any:
        return conv(raw.Add(conv(x, w), raw.ReduceMean(x, i64(1, 2), keepdims=1)), w)

    graph = graph_of(fn, "float32[2, 64, 64, 3]", KERNEL)
    Transposes().run(graph)
    # The mean runs over the first transpose, which is there anyhow.
    assert ops(graph).count("Transpose") == 2


def test_images_with_a_named_size() -> None:
    check(
        graph_of(lambda x, w: conv(raw.Relu(conv(x, w)), w), "float32[batch, height, width, 3]", KERNEL), transposes=2
    )


def test_other_ranks_and_permutations() -> None:
    def line(x: Any, w: Any) -> Any:
        return raw.Transpose(raw.Conv(raw.Transpose(x, perm=(0, 2, 1)), w), perm=(0, 2, 1))

    check(graph_of(lambda x, w: line(raw.Relu(line(x, w)), w), "float32[2, 7, 3]", "float32[3, 3, 1]"), transposes=2)

    def volume(x: Any, w: Any) -> Any:
        return raw.Transpose(raw.Conv(raw.Transpose(x, perm=(0, 4, 1, 2, 3)), w), perm=(0, 2, 3, 4, 1))

    kinds = "float32[1, 3, 4, 2, 3]", "float32[3, 3, 1, 1, 1]"
    check(graph_of(lambda x, w: volume(raw.Add(volume(x, w), np.float32([1, 2, 3])), w), *kinds), transposes=2)


def test_a_chain_of_different_permutations_is_composed() -> None:
    turn = (1, 2, 0)
    graph = graph_of(lambda x: raw.Transpose(raw.Relu(raw.Transpose(x, perm=turn)), perm=turn), "float32[2, 3, 4]")
    wanted = zoo.run(graph)["y0"]
    PassManager(parse("transposes,simplify,transposes,simplify")).run(graph)
    np.testing.assert_array_equal(zoo.run(graph)["y0"], wanted)


def test_a_transposed_operand_of_a_batched_product_stays() -> None:
    def fn(q: Any, k: Any) -> Any:
        return raw.MatMul(q, raw.Transpose(raw.Relu(k), perm=(0, 2, 1)))

    graph = graph_of(fn, "float32[2, 3, 4]", "float32[2, 5, 4]")
    assert Transposes().run(graph) == 0


def test_random_numbers_stay_where_they_are() -> None:
    """A mask drawn in one layout is another mask in the other."""
    training = np.array(True)
    graph = graph_of(
        lambda x, w: conv(raw.Dropout(conv(x, w), np.float32(0.5), training), w), "float32[2, 5, 6, 3]", KERNEL
    )
    assert Transposes().run(graph) == 0 and ops(graph).count("Transpose") == 4


def test_inside_of_subgraphs() -> None:
    from nngraph.ops.subgraph import trace_body
    from nngraph.ops.trace import apply

    def fn(x: Any, w: Any) -> Any:
        big = raw.Greater(raw.ReduceSum(x, keepdims=0), np.float32(0))
        then = trace_body("then", [], lambda: [(conv(raw.Relu(conv(x, w)), w), None)])
        other = trace_body("other", [], lambda: [(x, None)])
        return apply("If", big, then_branch=then, else_branch=other)

    check(graph_of(fn, IMAGE, KERNEL), transposes=2)


def test_flipped_nodes_keep_their_names_and_say_who_moved_them() -> None:
    graph = graph_of(lambda x, w: conv(raw.Relu(conv(x, w)), w), IMAGE, KERNEL)
    Transposes().run(graph)
    (relu,) = (n for n in graph if n.op == "Relu")
    assert relu.name == relu.output.name == "relu" and relu.origin.by == ("transposes",)


def test_the_flipped_form_of_a_node_undoes_itself() -> None:
    for kind, fn in AGNOSTIC.items():
        graph = graph_of(fn, IMAGE, "float32[3]")
        for node in graph:
            if any(v is not None and v.ndim == 4 for v in node.inputs) and node.op != "Reshape":
                there = flip(node, FIRST)
                assert there is not None, (kind, node)
                assert there.slots


def test_inverse() -> None:
    assert inverse(FIRST) == LAST and inverse(inverse((2, 0, 3, 1))) == (2, 0, 3, 1)


PLACES = "int64[3, 4]"
TABLE = "float32[6, 2]"


def small(x: Any) -> Any:
    """Places that are inside of the table."""
    return raw.Mod(raw.Abs(x), np.int64(6))


def test_the_places_of_rows_are_turned_instead_of_the_rows() -> None:
    graph = graph_of(lambda x, t: raw.Relu(raw.Transpose(raw.Gather(t, small(x)), perm=(1, 0, 2))), PLACES, TABLE)
    check(graph, transposes=1)
    assert [n.output.dtype for n in graph if n.op == "Transpose"] == ["int64"]


def test_rows_that_are_added_need_no_order() -> None:
    def scattered(x: Any, t: Any, rows: Any) -> Any:
        places = raw.Unsqueeze(small(x), i64(-1))
        return raw.ScatterND(t, places, raw.Transpose(raw.Exp(rows), perm=(1, 0, 2)), reduction="add")

    graph = graph_of(scattered, PLACES, TABLE, "float32[4, 3, 2]")
    check(graph, transposes=1)
    assert [n.output.dtype for n in graph if n.op == "Transpose"] == ["int64"]


def test_rows_that_replace_each_other_keep_their_order() -> None:
    def scattered(x: Any, t: Any, rows: Any) -> Any:
        return raw.ScatterND(t, raw.Unsqueeze(small(x), i64(-1)), raw.Transpose(raw.Exp(rows), perm=(1, 0, 2)))

    graph = graph_of(scattered, PLACES, TABLE, "float32[4, 3, 2]")
    check(graph, transposes=1)
    assert [n.output.dtype for n in graph if n.op == "Transpose"] == ["float32"]


def test_places_stay_where_the_rows_themselves_are_turned() -> None:
    graph = graph_of(lambda x, t: raw.Transpose(raw.Gather(t, small(x)), perm=(0, 2, 1)), PLACES, TABLE)
    check(graph, transposes=1)
    assert [n.output.dtype for n in graph if n.op == "Transpose"] == ["float32"]
