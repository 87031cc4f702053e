"""Composites become real operators, in a form that suits the target."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import zoo
from nngraph.ir import Graph, Node
from nngraph.ops import raw
from nngraph.ops.core import stop_gradient
from nngraph.ops.subgraph import trace_body
from nngraph.ops.trace import apply, composite
from nngraph.registry import REGISTRY
from passes import lower
from passes.base import check_graph
from passes.lowering import FORMS, Lower
from passes.rewrite import example


@pytest.fixture
def twice() -> Iterator[object]:
    """A composite made of another composite."""
    composite("LowerInner")(lambda x: raw.Mul(x, np.float32(2)))
    yield composite("LowerOuter")(lambda x: raw.Add(apply("LowerInner", x, domain="nngraph"), np.float32(1)))
    del REGISTRY["nngraph", "LowerInner"], REGISTRY["nngraph", "LowerOuter"]


def ops(graph: Graph) -> list[str]:
    return [node.op_id for node in graph.all_nodes()]


@pytest.mark.parametrize("target", FORMS)
def test_composites_of_composites_go(target: str, twice: object) -> None:
    graph = example(lambda x: raw.Relu(twice(x)), "float32[batch, 2]").graph()  # type: ignore[operator]
    wanted = zoo.run(graph)["y0"]
    assert ops(graph) == ["nngraph::LowerOuter", "Relu"]
    assert lower(graph, target) is graph
    assert ops(graph) == ["Mul", "Add", "Relu"]
    check_graph(graph)
    np.testing.assert_array_equal(zoo.run(graph)["y0"], wanted)


def test_composites_in_subgraphs_go(twice: object) -> None:
    def fn(x, c):  # type: ignore[no-untyped-def]
        then = trace_body("then", [], lambda: [(twice(x), None)])  # type: ignore[operator]
        return apply("If", c, then_branch=then, else_branch=trace_body("other", [], lambda: [(stop_gradient(x), None)]))

    graph = example(fn, "float32[2]", "bool").graph()
    lower(graph)
    assert not any(op.startswith("nngraph::") for op in ops(graph))
    check_graph(graph)


def test_a_graph_without_composites_is_left_alone() -> None:
    graph = zoo.ZOO["mlp"]()
    before = str(graph)
    for target in FORMS:
        assert Lower(target).run(graph) == 0
    assert str(graph) == before


def test_a_form_of_the_target_comes_first(twice: object, monkeypatch: pytest.MonkeyPatch) -> None:
    def form(node: Node) -> bool:
        assert node.graph is not None
        x = node.inputs[0]
        if x is None or x.shape != (2,):
            return False
        better = Node("Neg", [x], {}, origin=node.origin)
        node.graph.insert_before(node, better, [node.output.type])
        node.output.replace_uses(better.output)
        node.graph.erase(node)
        return True

    monkeypatch.setitem(FORMS["cpu"], "LowerInner", form)

    def build(size: int) -> Graph:
        return example(lambda x: twice(x), f"float32[{size}]").graph()  # type: ignore[operator]

    assert ops(lower(build(2), "cpu")) == ["Neg", "Add"], "also inside of what another composite expands to"
    assert ops(lower(build(3), "cpu")) == ["Mul", "Add"], "where the form does not fit, the portable one is used"
    assert ops(lower(build(2), "portable")) == ["Mul", "Add"]


def test_the_cpu_has_no_kernel_for_everything() -> None:
    graph = example(lambda x: raw.Det(x), "float16[2, 2]").graph()
    assert Lower("cpu").run(graph) == 1
    assert "Cast" in ops(graph)
    check_graph(graph)
    again = example(lambda x: raw.Det(x), "float16[2, 2]").graph()
    assert Lower("portable").run(again) == 0


def test_an_unknown_target_is_named() -> None:
    with pytest.raises(ValueError, match="Unknown target 'cud'"):
        lower(Graph(), "cud")
