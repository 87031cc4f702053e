"""Every pass and pipeline on every graph of the zoo and on the gradients of those that have one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

import zoo
from nngraph.ir import Graph
from passes import PASSES, Pass, PassManager, gradients, parse, pipeline


def gradient_of(name: str) -> Graph:
    output, inputs = zoo.DIFFERENTIABLE[name]
    return gradients(zoo.ZOO[name](), [output], inputs)


GRAPHS: dict[str, Callable[[], Graph]] = {
    **zoo.ZOO,
    **{f"gradient_of_{name}": (lambda name=name: gradient_of(name)) for name in zoo.DIFFERENTIABLE},
}
PLANS: dict[str, Callable[[], list[Pass]]] = {
    **{name: (lambda name=name: parse(name)) for name in PASSES},
    **{f"lower_{target}": (lambda target=target: parse(f"lower{{target={target}}}")) for target in ("cpu", "cuda")},
    **{f"level_{level}": (lambda level=level: pipeline("cpu", level)) for level in range(4)},
    **{f"level_2_{target}": (lambda target=target: pipeline(target)) for target in ("portable", "cuda")},
}


@cache
def expected(name: str) -> dict[str, np.ndarray]:
    return zoo.run(GRAPHS[name]())


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("name", GRAPHS)
def test_a_pass_keeps_its_promises(name: str, plan: str) -> None:
    """It verifies, counts changes honestly, is deterministic and idempotent, and keeps the meaning."""
    graph = GRAPHS[name]()
    before, signature = str(graph), [(v.name, v.type) for v in graph.inputs]
    report = PassManager(PLANS[plan](), verify=True).run(graph)
    after = str(graph)
    assert (report.changes == 0) == (after == before)

    assert [(v.name, v.type) for v in graph.inputs] == signature
    results = zoo.run(graph)
    assert list(results) == list(expected(name))
    for output, wanted in expected(name).items():
        np.testing.assert_allclose(results[output], wanted, rtol=1e-5, atol=1e-5, err_msg=output)
        assert results[output].dtype == wanted.dtype

    again = GRAPHS[name]()
    PassManager(PLANS[plan](), verify=False).run(again)
    assert str(again) == after
    second = PassManager(PLANS[plan](), verify=False).run(graph)
    assert second.changes == 0, [(step.name, step.changes, dict(step.hits)) for step in second.steps if step.changes]


@pytest.mark.parametrize("name", GRAPHS)
def test_the_pipeline_makes_no_graph_larger(name: str) -> None:
    graph = GRAPHS[name]()
    lowered = PassManager(pipeline("portable", 0)).run(graph).graph
    size = len(list(lowered.all_nodes()))
    assert PassManager(pipeline("portable", 2)).run(lowered).steps[-1].after <= size


def test_the_zoo_is_varied() -> None:
    graphs = [make() for make in zoo.ZOO.values()]
    assert len(graphs) >= 20
    assert any(node.subgraphs for g in graphs for node in g)
    assert any(v in g.inputs for g in graphs for v in g.outputs)
    assert any(isinstance(d, str) for g in graphs for v in g.inputs for d in v.shape)
    assert any(0 in v.shape for g in graphs for v in g.inputs)
    assert any(len(set(g.outputs)) < len(g.outputs) for g in graphs)
    assert any(len(node.outputs) > 1 for g in graphs for node in g)
