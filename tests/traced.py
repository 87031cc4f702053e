"""Run a function as one verified graph, its variables as state: what tests of losses, metrics and optimizers share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nngraph import ops
from nngraph.ir import Graph, Node, TensorType, verify
from nngraph.ops.trace import infer_composite, trace_graph
from nngraph.registry import COMPOSITE_DOMAIN
from nngraph.runtime import Session
from nngraph.schema import infer_types


def infer(node: Node) -> Any:
    return infer_composite(node) if node.domain == COMPOSITE_DOMAIN else infer_types(node)


def graph_of(fn: Callable[..., Any], *arrays: np.ndarray, batch: bool = True) -> Graph:
    """Trace a function of tensors that returns one tensor, with a named first size as a model has it."""
    types = [TensorType.of(a) for a in arrays]
    if batch:
        types = [t.with_shape(("batch", *t.shape[1:])) for t in types]
    graph, trace, result = trace_graph(fn, types)
    with trace:
        graph.set_outputs([ops.convert_to_tensor(result)], ["y"])
    verify(graph, infer)
    return graph


class TracedStep:
    """A function that reads and assigns variables, as one graph: a call runs it and writes the variables back."""

    def __init__(self, fn: Callable[..., Any], *arrays: np.ndarray, batch: bool = False) -> None:
        types = [TensorType.of(a) for a in arrays]
        if batch:
            types = [t.with_shape(("batch", *t.shape[1:])) for t in types]
        graph, trace, result = trace_graph(fn, types)
        self.has_result = result is not None
        with trace:
            outputs = [trace.variables[v] for v in trace.assigned]
            if self.has_result:
                outputs.append(ops.convert_to_tensor(result))
            # A result that is a constant, an input or another's result gets a node of its own.
            outputs = [ops.apply("Identity", o) for o in outputs]
        graph.set_outputs(outputs, [f"y{k}" for k in range(len(outputs))])
        verify(graph, infer)
        self.graph, self.trace = graph, trace
        self.session = Session(graph, "cpu")

    def __call__(self, *arrays: np.ndarray) -> Any:
        feeds = {f"x{k}": a for k, a in enumerate(arrays)}
        feeds.update({value.name: variable.numpy() for variable, value in self.trace.sources.items()})
        found = list(self.session.run(feeds).values())
        for variable, value in zip(self.trace.assigned, found, strict=False):
            variable.assign(value)
        return found[-1] if self.has_result else None
