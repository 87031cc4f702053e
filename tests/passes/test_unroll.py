"""Loops written out compute what the loops compute."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nngraph as keras
import zoo
from nngraph.ir import Graph, Node, TensorType
from nngraph.models.steps import describe, trace_step
from nngraph.ops import raw
from nngraph.ops.subgraph import trace_body
from nngraph.ops.trace import apply, trace_graph
from nngraph.runtime.placement import capture_obstacles
from passes import PassManager, pipeline
from passes.base import check_graph
from passes.unroll import Unroll

F = "float32"


def scan(steps: int | str, **attributes: Any) -> Graph:
    """A loop with a state, two scanned inputs, a captured value and two stacked outputs."""
    axes = attributes.get("scan_input_axes", (0, 0))
    shapes = [[2, 3], [2]]
    for shape, axis in zip(shapes, axes, strict=True):
        shape.insert(axis, steps)  # type: ignore[arg-type]
    types = [TensorType(F, (2, 3)), *(TensorType(F, tuple(s)) for s in shapes), TensorType(F, (3,))]

    def fn(state: Any, xs: Any, ys: Any, captured: Any) -> Any:
        def body(s: Any, x: Any, y: Any) -> Any:
            new = raw.Tanh(raw.Add(raw.Mul(s, captured), raw.Add(x, raw.Unsqueeze(y, np.array([1])))))
            return [
                (new, None),
                (raw.Mul(new, np.float32(2)), None),
                (raw.ReduceSum(new, np.array([1]), keepdims=0), None),
            ]

        inner = [("s", TensorType(F, (2, 3))), ("x", TensorType(F, (2, 3))), ("y", TensorType(F, (2,)))]
        made = trace_body("body", inner, body)
        return apply("Scan", state, xs, ys, body=made, num_scan_inputs=2, outputs=3, **attributes)

    graph, _, outputs = trace_graph(fn, types)
    graph.set_outputs(list(outputs), ["last", "rows", "sums"])
    return graph


KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "backwards": {"scan_input_directions": (1, 0), "scan_output_directions": (0, 1)},
    "other axes": {"scan_input_axes": (1, 1), "scan_output_axes": (2, 1)},
}


@pytest.mark.parametrize("steps", [1, 3, 40])
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_as_the_loop(kind: str, steps: int) -> None:
    graph = scan(steps, **KINDS[kind])
    wanted = zoo.run(graph)
    flat = graph.clone()
    assert Unroll().run(flat) == 1
    check_graph(flat)
    assert not any(n.subgraphs for n in flat)
    assert max(len(n.inputs) for n in flat if n.op == "Concat") <= 32 if steps > 1 else True
    for name, value in zoo.run(flat).items():
        np.testing.assert_array_equal(value, wanted[name])
    assert Unroll().run(flat) == 0


@pytest.mark.parametrize(("steps", "limit"), [("time", 256), (5, 4)])
def test_loops_that_stay(steps: int | str, limit: int) -> None:
    graph = scan(steps)
    before = str(graph)
    assert Unroll(limit).run(graph) == 0
    assert str(graph) == before


@pytest.mark.parametrize("layer", ["LSTM", "GRU", "SimpleRNN"])
def test_a_step_of_a_recurrent_network_can_be_captured(layer: str) -> None:
    layers = [keras.Input((8, 3)), getattr(keras.layers, layer)(4), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile("adam", "mse")
    data = (np.zeros((6, 8, 3), np.float32), np.zeros((6, 1), np.float32))
    model._prepare((*data, None))
    graph, _, _ = trace_step(model.train_step, *describe(data), "step")
    results = []
    for unroll in (0, 8):
        made = PassManager(pipeline("cuda", unroll=unroll)).run(graph, clone=True).graph
        assert bool(capture_obstacles(made)) == (unroll == 0)
        results.append(zoo.run(made))
    for name, wanted in results[0].items():
        np.testing.assert_allclose(results[1][name], wanted, rtol=1e-4, atol=1e-6)


def test_the_pipeline_writes_loops_out_when_asked() -> None:
    made = PassManager(pipeline("cuda", unroll=40)).run(scan(40), clone=True).graph
    assert capture_obstacles(made) == []
    left = PassManager(pipeline("cuda", unroll=39)).run(scan(40), clone=True).graph
    assert any(isinstance(n, Node) and n.op == "Scan" for n in left)
