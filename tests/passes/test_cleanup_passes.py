"""Dead code, common subexpressions, folding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import zoo
from nngraph.ir import Graph, TensorType
from nngraph.ops import raw
from nngraph.ops.trace import composite
from nngraph.registry import REGISTRY
from passes.base import check_graph
from passes.cse import Cse
from passes.dce import Dce
from passes.fold import Fold
from passes.rewrite import example


def graph_of(fn: Any, *types: str) -> Graph:
    return example(fn, *types).graph()


def ops(graph: Graph) -> list[str]:
    return [node.op for node in graph.all_nodes()]


# -- dce --------------------------------------------------------------------------------------------------------------


def test_dead_nodes_and_constants_go() -> None:
    graph = graph_of(lambda x: (raw.Exp(raw.Mul(x, np.float32(3))), raw.Neg(x))[1], "float32[2]")
    assert Dce().run(graph) == 3
    assert ops(graph) == ["Neg"] and not graph.constants


def test_inputs_stay() -> None:
    graph = graph_of(lambda x, y: raw.Neg(x), "float32[2]", "float32[2]")
    assert Dce().run(graph) == 0 and len(graph.inputs) == 2


def test_optional_outputs_go_and_needed_ones_stay() -> None:
    image = "float32[1, 1, 4, 4]"
    graph = graph_of(lambda x: raw.MaxPool(x, kernel_shape=(2, 2), outputs=2)[0], image)
    name = graph.outputs[0].name
    assert Dce().run(graph) == 1
    assert len(graph.nodes[0].outputs) == 1 and graph.outputs[0].name == name
    check_graph(graph)
    graph = graph_of(lambda x: raw.TopK(x, np.array([1]), axis=-1, outputs=2)[0], image)
    assert Dce().run(graph) == 0 and len(graph.nodes[0].outputs) == 2
    graph = graph_of(lambda x: raw.MaxPool(x, kernel_shape=(2, 2), outputs=2)[1], image)
    assert Dce().run(graph) == 0, "only the first output is dead"


def test_training_batch_normalisation_keeps_what_the_runtime_needs() -> None:
    vectors = ["float32[2]"] * 4
    graph = graph_of(
        lambda x, *v: raw.BatchNormalization(x, *v, training_mode=1, outputs=3)[0], "float32[3, 2, 4]", *vectors
    )
    wanted = zoo.run(graph)
    Dce().run(graph)
    np.testing.assert_allclose(zoo.run(graph)["y0"], wanted["y0"])


def test_unused_results_of_control_flow_go_with_what_made_them() -> None:
    graph = zoo.ZOO["branches"]()
    wanted = zoo.run(graph)
    Dce().run(graph)
    check_graph(graph)
    (node,) = (n for n in graph if n.op == "If")
    assert len(node.outputs) == len(node.attributes["then_branch"].outputs) == 2
    assert "Neg" not in ops(graph)
    np.testing.assert_allclose(zoo.run(graph)["second"], wanted["second"])

    graph = zoo.ZOO["scan"]()
    wanted = zoo.run(graph)
    Dce().run(graph)
    check_graph(graph)
    (node,) = (n for n in graph if n.op == "Scan")
    assert len(node.outputs) == 2 and "Exp" not in ops(graph)
    np.testing.assert_allclose(zoo.run(graph)["every"], wanted["every"])


def test_states_of_a_scan_stay() -> None:
    graph = zoo.ZOO["scan"]()
    graph.set_outputs([graph.find("every")], ["every"])
    Dce().run(graph)
    check_graph(graph)
    assert len(next(n for n in graph if n.op == "Scan").outputs) == 2


def test_what_only_a_subgraph_uses_stays() -> None:
    graph = zoo.ZOO["branches"]()
    Dce().run(graph)
    assert "Exp" in [n.op for n in graph], "captured by both branches"


# -- cse --------------------------------------------------------------------------------------------------------------


def test_equal_nodes_become_one() -> None:
    graph = graph_of(lambda x, y: raw.Mul(raw.Add(x, y), raw.Add(y, x)), "float32[2]", "float32[2]")
    assert Cse().run(graph) == 1
    assert ops(graph) == ["Add", "Mul"]


@pytest.mark.parametrize(
    "fn",
    [
        lambda x, y: raw.Mul(raw.Sub(x, y), raw.Sub(y, x)),
        lambda x, y: raw.Mul(raw.Softmax(x, axis=0), raw.Softmax(x, axis=1)),
        lambda x, y: raw.Div(y, raw.Add(raw.LeakyRelu(x, alpha=0.0), raw.LeakyRelu(x, alpha=-0.0))),
        lambda x, y: raw.Mul(raw.Cast(x, to="float16"), raw.Cast(raw.Cast(y, to="float16"), to="float16")),
    ],
)
def test_different_nodes_stay_two(fn: Any) -> None:
    assert Cse().run(graph_of(fn, "float32[2, 2]", "float32[2, 2]")) == 0


def test_random_nodes_stay_two() -> None:
    def noise(x: Any) -> Any:
        return raw.RandomNormalLike(x)

    assert Cse().run(graph_of(lambda x: raw.Sub(noise(x), noise(x)), "float32[2]")) == 0
    training = np.array(True)
    half = np.float32(0.5)
    drop = graph_of(lambda x: raw.Sub(raw.Dropout(x, half, training), raw.Dropout(x, half, training)), "float32[2]")
    assert Cse().run(drop) == 0
    assert Cse().run(graph_of(lambda x: raw.Sub(raw.Dropout(x), raw.Dropout(x)), "float32[2]")) == 1


def test_a_composite_registered_as_random_stays_two() -> None:
    noise = composite("ZooNoise", random=True)(lambda x: raw.Neg(x))
    calm = composite("ZooCalm")(lambda x, k=0: raw.Neg(x))
    try:
        assert Cse().run(graph_of(lambda x: raw.Sub(noise(x), noise(x)), "float32[2]")) == 0
        assert Cse().run(graph_of(lambda x: raw.Sub(calm(x), calm(x)), "float32[2]")) == 1
        # 1, 1.0 and True are equal in Python but not as attributes.
        assert Cse().run(graph_of(lambda x: raw.Sum(calm(x, k=1), calm(x, k=1.0), calm(x, k=True)), "float32[2]")) == 0
        assert Cse().run(graph_of(lambda x: raw.Sub(calm(x, k=(1, 2)), calm(x, k=(1.0, 2.0))), "float32[2]")) == 0
        # So are the two zeros, while NaN differs from itself in Python alone.
        assert Cse().run(graph_of(lambda x: raw.Sub(calm(x, k=0.0), calm(x, k=-0.0)), "float32[2]")) == 0
        assert Cse().run(graph_of(lambda x: raw.Sub(calm(x, k=(1.0, 0.0)), calm(x, k=(1.0, -0.0))), "float32[2]")) == 0
        nan = lambda: float("nan")  # noqa: E731
        assert Cse().run(graph_of(lambda x: raw.Sub(calm(x, k=nan()), calm(x, k=nan())), "float32[2]")) == 1
    finally:
        del REGISTRY["nngraph", "ZooNoise"], REGISTRY["nngraph", "ZooCalm"]


def test_equal_constants_become_one() -> None:
    def fn(x: Any) -> Any:
        for array in (np.float32(2), np.float32(2), np.ones(600, np.float32), np.ones(600, np.float32), np.int64(2)):
            x.graph.add_constant(np.asarray(array))
        a, b, big, same, other = x.graph.constants
        return raw.Add(
            raw.Add(x, raw.Mul(a, b)), raw.Mul(raw.ReduceSum(raw.Sub(big, same)), raw.Cast(other, to="float32"))
        )

    graph = graph_of(fn, "float32[2]")
    assert Cse().run(graph) == 2
    assert len(graph.constants) == 3
    check_graph(graph)


def test_negative_zero_and_nan_are_values_of_their_own() -> None:
    def fn(x: Any) -> Any:
        for number in (0.0, -0.0, np.nan, np.nan):
            x = raw.Div(x, x.graph.add_constant(np.float32(number)))
        return x

    graph = graph_of(fn, "float32[2]")
    assert Cse().run(graph) == 1
    assert len(graph.constants) == 3


def test_a_subgraph_uses_the_node_of_the_graph_around_it() -> None:
    graph = zoo.ZOO["branches"]()
    assert ops(graph).count("Exp") == 2
    assert Cse().run(graph) >= 1
    assert ops(graph).count("Exp") == 1
    check_graph(graph)


# -- fold -------------------------------------------------------------------------------------------------------------


def constant(x: Any, array: Any) -> Any:
    """A value that is constant, where an array would make the operation run at once."""
    return x.graph.add_constant(np.asarray(array))


def test_the_maximal_constant_part_is_computed_in_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    import nngraph.runtime as runtime

    made = []
    session = runtime.Session
    monkeypatch.setattr(runtime, "Session", lambda graph, *a, **k: made.append(graph) or session(graph, *a, **k))

    def fn(x: Any) -> Any:
        c = raw.Exp(raw.Add(constant(x, np.float32([1, 2])), np.float32(1)))
        return raw.Mul(raw.Add(x, c), raw.Neg(c)), raw.Sqrt(c)

    graph = graph_of(fn, "float32[2]")
    wanted, name = zoo.run(graph), graph.outputs[1].name
    made.clear()
    assert Fold().run(graph) == 3
    assert len(made) == 1 and len(made[0]) == 4
    assert ops(graph) == ["Add", "Mul"]
    assert graph.outputs[1].is_constant and graph.outputs[1].name == name
    for output, result in zoo.run(graph).items():
        np.testing.assert_array_equal(result, wanted[output])


def test_nothing_large_is_stored() -> None:
    def fn(x: Any) -> Any:
        return raw.Mul(x, raw.Expand(constant(x, np.float32(3)), np.array([100, 100])))

    assert Fold(max_bytes=100).run(graph_of(fn, "float32[100, 100]")) == 0
    assert Fold(max_bytes=40_000).run(graph_of(fn, "float32[100, 100]")) == 1


def test_what_does_not_grow_may_be_large() -> None:
    graph = graph_of(lambda x: raw.Mul(x, raw.Neg(constant(x, np.ones((100, 100), np.float32)))), "float32[100, 100]")
    assert Fold(max_bytes=1).run(graph) == 1


def test_random_and_dead_nodes_are_not_folded() -> None:
    assert (
        Fold().run(graph_of(lambda x: raw.Add(x, raw.RandomNormalLike(constant(x, np.float32(1)))), "float32[2]")) == 0
    )
    assert Fold().run(graph_of(lambda x: (raw.Neg(constant(x, np.float32(1))), raw.Neg(x))[1], "float32[2]")) == 0


@pytest.mark.parametrize(
    ("fn", "result"),
    [
        (lambda x: raw.Shape(x, start=1), [2, 3]),
        (lambda x: raw.Concat(raw.Gather(raw.Shape(x), np.array([2])), np.array([7]), axis=0), [3, 7]),
        (lambda x: raw.Mul(raw.Squeeze(raw.Shape(x, start=1, end=2), np.array([0])), np.int64(5)), 10),
        (lambda x: raw.Cast(raw.Shape(x, start=2), to="int32"), [3]),
    ],
)
def test_known_sizes_are_folded_also_beside_unknown_ones(fn: Any, result: Any) -> None:
    graph = graph_of(fn, "float32[batch, 2, 3]")
    dtype = graph.outputs[0].dtype
    assert Fold().run(graph) >= 1
    assert not len(graph) or all(n.op == "Shape" for n in graph)
    assert graph.outputs[0].data is not None
    assert graph.outputs[0].data.tolist() == result and graph.outputs[0].dtype == dtype


def test_unknown_sizes_are_not_folded() -> None:
    for fn in (lambda x: raw.Shape(x), lambda x: raw.Size(x)):
        assert Fold().run(graph_of(fn, "float32[batch, 2]")) == 0
    assert Fold().run(graph_of(lambda x: raw.Size(x), "float32[5, 2]")) == 1


def test_folding_reaches_into_subgraphs() -> None:
    graph = zoo.ZOO["branches"]()
    Fold().run(graph)
    branch = next(n for n in graph if n.op == "If").attributes["else_branch"]
    assert [n.op for n in branch] == ["Mul", "Identity"] or "Add" not in [n.op for n in branch]
    check_graph(graph)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64", "int8", "uint64", "bool"])
def test_every_dtype_folds_to_itself(dtype: str) -> None:
    from nngraph.ir import numpy_dtype

    array = np.array([1, 0], numpy_dtype(dtype))
    graph = graph_of(lambda x: raw.Reshape(constant(x, array), np.array([2, 1])), "float32[2]")
    assert Fold().run(graph) == 1
    assert graph.outputs[0].type == TensorType(dtype, (2, 1))
    assert graph.outputs[0].data is not None and graph.outputs[0].data.ravel().tolist() == array.tolist()
