"""Sizes bound, inputs made constant, inputs dropped."""

from __future__ import annotations

import numpy as np
import pytest

import zoo
from nngraph.ir import TensorType
from nngraph.ops import raw
from nngraph.runtime import Session
from passes import freeze, gradients, prune_inputs, specialize
from passes.base import check_graph
from passes.rewrite import example


@pytest.mark.parametrize(
    "name", [n for n, make in zoo.ZOO.items() if any(isinstance(d, str) for v in make().inputs for d in v.shape)]
)
def test_bound_sizes_leave_no_names(name: str) -> None:
    graph = zoo.ZOO[name]()
    before = str(graph)
    wanted = zoo.run(graph)
    names = {d for v in graph.inputs for d in v.shape if isinstance(d, str)}
    bound = specialize(graph, {n: zoo.SIZES[n] for n in names})
    assert str(graph) == before, "the graph itself stays"
    check_graph(bound)
    assert all(v.type.is_static for v in (*bound.inputs, *bound.outputs))
    for output, result in zoo.run(bound).items():
        np.testing.assert_array_equal(result, wanted[output])


def test_sizes_that_follow_are_inferred() -> None:
    def fn(x):  # type: ignore[no-untyped-def]
        return raw.Reshape(raw.Concat(x, x, axis=0), np.array([-1]))

    graph = example(fn, "float32[batch, 3]").graph()
    assert isinstance(graph.outputs[0].shape[0], str)
    assert specialize(graph, {"batch": 5}).outputs[0].shape == (30,)


def test_a_gradient_can_be_specialised() -> None:
    graph = gradients(zoo.ZOO["mlp"](), ["y"], ["w1"])
    wanted = zoo.run(graph)["grad_w1"]
    bound = specialize(graph, {"batch": 3})
    check_graph(bound)
    np.testing.assert_array_equal(zoo.run(bound)["grad_w1"], wanted)


def test_some_names_may_stay() -> None:
    graph = specialize(zoo.ZOO["layer_norm"](), {"time": 4})
    assert graph.inputs[0].shape == ("batch", 4, 4)


def test_sizes_in_place() -> None:
    graph = zoo.ZOO["mlp"]()
    assert specialize(graph, {"batch": 8}, clone=False) is graph
    assert graph.outputs[0].shape == (8, 2)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"bacth": 2}, "Unknown dimension 'bacth'. Did you mean 'batch'?"),
        ({"batch": -1}, "dimension 'batch' must be a size of 0 or more, got -1"),
    ],
)
def test_bad_sizes(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError) as raised:
        specialize(zoo.ZOO["mlp"](), sizes)
    assert message in str(raised.value)


def test_sizes_that_do_not_fit_together_are_refused() -> None:
    graph = example(lambda x, y: raw.Add(x, y), "float32[a]", "float32[b]").graph()
    with pytest.raises(ValueError):
        specialize(graph, {"a": 2, "b": 3})


def test_frozen_inputs_are_constants() -> None:
    graph = zoo.ZOO["mlp"]()
    data, wanted = zoo.feeds(graph), zoo.run(graph)["y"]
    weights = {name: data[name] for name in ("w1", "b1", "w2", "b2")}
    frozen = freeze(graph, weights)
    assert [v.name for v in frozen.inputs] == ["x"] and len(graph.inputs) == 5
    check_graph(frozen)
    np.testing.assert_array_equal(Session(frozen, "cpu", optimize=False).run({"x": data["x"]})["y"], wanted)
    assert all(any(v.data is a for a in weights.values()) for v in frozen.constants), "arrays are not copied"


def test_a_frozen_named_size_becomes_known() -> None:
    graph = example(lambda x, y: raw.MatMul(x, y), "float32[2, n]", "float32[n, m]").graph()
    assert freeze(graph, {"x1": np.ones((3, 4), "float32")}).outputs[0].type == TensorType("float32", (2, 4))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"weight": np.float32(1)}, "Unknown input 'weight'"),
        ({"w1": np.ones((4, 5))}, "input 'w1' of graph 'mlp' must be float32[4, 5], got float64[4, 5]"),
        ({"w1": np.ones((5, 4), "float32")}, "must be float32[4, 5], got float32[5, 4]"),
        ({"w1": np.ones(4, "float32")}, "must be float32[4, 5], got float32[4]"),
    ],
)
def test_bad_values(values: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(ValueError) as raised:
        freeze(zoo.ZOO["mlp"](), values)
    assert message in str(raised.value)


def test_unused_inputs_go_and_used_ones_stay() -> None:
    graph = example(lambda a, b, c: (raw.Neg(a), b), "float32[2]", "float32[2]", "float32[2]").graph()
    assert [v.name for v in prune_inputs(graph).inputs] == ["x0", "x1"]
    assert [v.name for v in prune_inputs(graph, keep=["x2"]).inputs] == ["x0", "x1", "x2"]
    assert len(graph.inputs) == 3
    captured = zoo.ZOO["branches"]()
    assert len(prune_inputs(captured).inputs) == 2, "captured by a branch is used"
