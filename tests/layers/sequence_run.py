"""What the tests of recurrent and attention layers share: fixed weights, layers as graphs, gradients by differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from nngraph import ops, tree
from nngraph.ir import Graph, TensorType, verify
from nngraph.ops.subgraph import as_value
from nngraph.ops.trace import Trace, trace_graph
from nngraph.runtime import Session
from passes.autodiff import append_gradients
from traced import infer

__all__ = ["as_graph", "check_gradients", "filled", "nodes", "run", "wave"]


def wave(shape: Sequence[int], phase: float) -> np.ndarray:
    """Numbers that depend on the shape alone; the golden numbers were measured with them."""
    count = int(np.prod(shape))
    return (0.6 * np.cos(np.arange(count) * 1.7 + phase)).reshape(shape).astype("float32")


def filled(layer: Any) -> Any:
    """Give a built layer its fixed weights."""
    layer.set_weights([wave(w.shape, k) for k, w in enumerate(layer.weights)])
    return layer


def as_graph(fn: Callable[..., Any], types: Sequence[TensorType]) -> tuple[Graph, Trace, Any]:
    """Trace a function and verify the graph; outputs are y0, y1, ..., then the assigned variables."""
    graph, trace, result = trace_graph(fn, types)
    with trace:
        outputs = [as_value(x) for x in tree.flatten(result) if x is not None]
    state = [trace.variables[v] for v in trace.assigned]
    graph.set_outputs([*outputs, *state], [f"y{k}" for k in range(len(outputs) + len(state))])
    verify(graph, infer)
    return graph, trace, result


def run(graph: Graph, trace: Trace, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Run a traced graph on its inputs and the variables' values."""
    feeds = {f"x{k}": a for k, a in enumerate(arrays)}
    feeds.update({value.name: variable.numpy() for variable, value in trace.sources.items()})
    return list(Session(graph, "cpu").run(feeds).values())


def nodes(graph: Graph, op: str) -> list[Any]:
    """The nodes of an operator, those of bodies included."""
    return [n for n in graph.all_nodes() if n.op == op]


def check_gradients(layer: Any, fn: Callable[..., Any], arrays: Sequence[np.ndarray], step: float = 1e-6) -> Graph:
    """Compare gradients with respect to weights and inputs with central differences, in float64."""
    data = [np.asarray(a, "float64") for a in arrays]
    graph, trace, result = trace_graph(fn, [TensorType.of(a) for a in data])
    with trace:
        parts = [ops.sum(ops.sin(y) * (k + 1)) for k, y in enumerate(tree.flatten(result))]
        loss = parts[0]
        for part in parts[1:]:
            loss = loss + part
        weights = [trace.sources[v] for v in layer.trainable_weights]
        wanted = [*weights, *graph.inputs[: len(data)]]
        gradients = append_gradients([loss], wanted)
    graph.set_outputs([loss, *gradients], ["y", *(f"g{k}" for k in range(len(gradients)))])
    verify(graph, infer)
    feeds = {f"x{k}": a for k, a in enumerate(data)}
    feeds.update({value.name: variable.numpy() for variable, value in trace.sources.items()})
    session = Session(graph, "cpu")
    _, *found = session.run(feeds).values()
    rng = np.random.default_rng(3)
    for value, gradient in zip(wanted, found, strict=True):
        direction = rng.normal(size=gradient.shape)
        moved = [session.run({**feeds, value.name: feeds[value.name] + s * direction})["y"] for s in (step, -step)]
        numeric = (moved[0] - moved[1]) / (2 * step)
        assert float(np.sum(gradient * direction)) == pytest.approx(float(numeric), rel=2e-5, abs=2e-6), value.name
    return graph
