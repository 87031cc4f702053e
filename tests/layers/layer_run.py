"""How the tests of this folder build a case's layer and run it, at once or as a graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from layer_cases import Case, call_arguments

from nngraph import layers
from nngraph.ir import Graph, TensorType, Value, verify
from nngraph.layers import Layer
from nngraph.ops import raw
from nngraph.ops.trace import Trace, trace_graph
from nngraph.runtime import Session
from traced import infer

__all__ = ["built", "call", "feeds_of", "graph_of_layer", "open_types", "run_graph", "shapes_of"]


def shapes_of(inputs: Any) -> Any:
    return [tuple(a.shape) for a in inputs] if isinstance(inputs, list) else tuple(inputs.shape)


def built(case: Case, dtype: str = "float32", layer: Layer | None = None) -> Layer:
    """Make the case's layer, build it and give it the case's weights."""
    if layer is None:
        layer = case.make(layers, dtype=dtype)
    if not layer.built:
        layer.build(shapes_of(case.inputs()))
        layer.built = True
    layer.set_weights(case.weights([w.shape for w in layer.weights], [w.name for w in layer.weights]))
    return layer


def call(case: Case, layer: Layer, inputs: Any, mask: Any = None) -> Any:
    """Call the layer as the case says, with the case's mask where no other is given."""
    arguments = call_arguments(case)
    if mask is not None:
        arguments["mask"] = mask
    return layer(inputs, **arguments)


def open_types(case: Case, inputs: Any) -> list[TensorType]:
    """Return the types of the inputs with names for the sizes that may be unknown."""
    found = []
    mask = case.mask_array()
    for array in [*(inputs if isinstance(inputs, list) else [inputs]), *([] if mask is None else [mask])]:
        # A size of 1 stays a number: in a merge it is there to be broadcast.
        dims = [
            "batch" if axis == 0 else f"size_{axis}_{size}" if axis in case.free and size != 1 else size
            for axis, size in enumerate(array.shape)
        ]
        found.append(TensorType(str(array.dtype), tuple(dims)))
    return found


def graph_of_layer(case: Case, layer: Layer, types: Sequence[TensorType]) -> tuple[Graph, Trace, Value]:
    """Trace the layer's call, state and result as outputs."""

    def forward(*tensors: Any) -> Any:
        mask = tensors[-1] if case.mask is not None else None
        return call(case, layer, list(tensors) if isinstance(case.shapes, list) else tensors[0], mask)

    graph, trace, result = trace_graph(forward, types)
    return graph, trace, result


def run_graph(case: Case, graph: Graph, trace: Trace, results: Sequence[Any]) -> list[np.ndarray]:
    """Make values the outputs of the graph, check it, and run it on the case's inputs and the variables' values."""
    with trace:
        graph.set_outputs([raw.Identity(r) for r in results], [f"y{k}" for k in range(len(results))])
    verify(graph, infer)
    return list(Session(graph, "cpu").run(feeds_of(case, trace)).values())


def feeds_of(case: Case, trace: Trace, dtype: str = "float32") -> dict[str, np.ndarray]:
    inputs, mask = case.inputs(dtype), case.mask_array()
    arrays = [*(inputs if isinstance(inputs, list) else [inputs]), *([] if mask is None else [mask])]
    feeds = {f"x{k}": a for k, a in enumerate(arrays)}
    feeds.update({value.name: variable.numpy() for variable, value in trace.sources.items()})
    return feeds
