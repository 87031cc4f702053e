"""Bodies of If, Loop and Scan: tracing them, and letting a loop return more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nngraph.ir import Graph, Node, TensorType, Value, numpy_dtype
from nngraph.ops.trace import Trace, apply, current_trace
from nngraph.schema import infer_types

__all__ = [
    "add_scan_output",
    "as_output",
    "as_value",
    "trace_body",
]


def as_value(x: Any, dtype: str | None = None) -> Value:
    """Return a tensor as a value of the active trace; Python numbers take ``dtype``."""
    trace = current_trace()
    assert trace is not None
    if isinstance(x, Value):
        return x
    if hasattr(x, "_is_nngraph_variable"):
        return trace.read(x)
    number = isinstance(x, (bool, int, float)) and not isinstance(x, np.generic)
    if number and dtype is None:
        dtype = "bool" if isinstance(x, bool) else "int32" if isinstance(x, int) else "float32"
    return trace.constant(np.asarray(x, numpy_dtype(dtype) if number and dtype else None))


def as_output(x: Any, taken: set[Value], dtype: str | None = None) -> Value:
    """Return a value that the active trace's graph may return: made by a node of its own and not returned before."""
    trace = current_trace()
    assert trace is not None
    value = as_value(x, dtype)
    if value.graph is not trace.graph or value.producer is None or value in taken:
        value = apply("Identity", value, types=[value.type])
    taken.add(value)
    return value


def trace_body(
    name: str, inputs: Sequence[tuple[str, TensorType]], fn: Callable[..., Sequence[tuple[Any, str | None]]]
) -> Graph:
    """Trace a subgraph of the active trace's graph.

    Args:
        name: the subgraph's name.
        inputs: name and type of each input.
        fn: takes the inputs and returns pairs of an output and the dtype that it takes when it is a Python number.
    """
    outer = current_trace()
    assert outer is not None
    body = Graph(name, parent=outer.graph)
    inner = Trace(body, outer=outer)
    inner.forward = outer.forward
    with inner:
        results = fn(*(body.add_input(hint, type) for hint, type in inputs))
        taken: set[Value] = set()
        body.set_outputs([as_output(x, taken, dtype) for x, dtype in results])
    return body


def add_scan_output(node: Node, value: Value) -> Value:
    """Let a Loop or Scan also return a value of its body for every step, stacked along axis 0; return the stack.

    The node is changed in place: its other outputs stay what they are. A value that is returned already is not
    returned twice.
    """
    body: Graph = node.attributes["body"]
    trace = Trace(body, outer=current_trace())
    known = _returned(node, value)
    if known is not None:
        return known
    with trace:
        output = as_output(value, set(body.outputs))
    body.set_outputs([*body.outputs, output], [*body.output_names, output.name])
    if node.op == "Scan":
        for key in ("scan_output_axes", "scan_output_directions"):
            if node.attributes.get(key):
                node.attributes[key] = (*node.attributes[key], 0)
    assert node.graph is not None
    stacked = infer_types(node)[-1]
    if stacked.shape[0] == "?":
        first = _first_stack(node)
        length = node.outputs[first].shape[0] if first < len(node.outputs) else node.graph.unique_name("steps")
        stacked = stacked.with_shape((length, *value.shape))
    return node.graph.add_node_output(node, stacked, f"{value.name}_steps")


def _returned(node: Node, value: Value) -> Value | None:
    body: Graph = node.attributes["body"]
    first = _first_stack(node)
    stacked = body.outputs[first + (1 if node.op == "Loop" else 0) :]  # a Loop's body also returns whether to go on
    axes = node.attributes.get("scan_output_axes") or (0,) * len(stacked)
    directions = node.attributes.get("scan_output_directions") or (0,) * len(stacked)
    for k, output in enumerate(stacked):
        source = output
        while source is not value and source.producer is not None and source.producer.op == "Identity":
            inner = source.producer.inputs[0]
            assert inner is not None
            source = inner
        if source is value and axes[k] == 0 and directions[k] == 0:
            return node.outputs[first + k]
    return None


def _first_stack(node: Node) -> int:
    """Where the stacked ones begin among the outputs of a Loop or Scan."""
    return len(node.inputs) - (2 if node.op == "Loop" else int(node.attributes["num_scan_inputs"]))
