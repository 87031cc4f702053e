"""Bodies of If, Loop and Scan: tracing them, and taking out of a loop what does not change in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nngraph.ir import Dim, Graph, Node, TensorType, Value, copy_node, numpy_dtype
from nngraph.ops.trace import Trace, apply, current_trace
from nngraph.registry import lookup

__all__ = [
    "add_scan_output",
    "as_output",
    "as_value",
    "hoist_invariants",
    "scan_output_count",
    "step_count",
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


def hoist_invariants(body: Graph) -> int:
    """Move nodes that use nothing of a loop's body out of it, to the active trace; return how many there were."""
    trace = current_trace()
    assert trace is not None
    outside: dict[Value, Value] = {}
    count = 0
    for node in body:
        entry = lookup(node.op, node.domain)
        fixed = all(v is None or v.graph is not body or v.is_constant or v in outside for v in node.inputs)
        if (
            not fixed
            or node.subgraphs
            or (entry is not None and entry.random)
            or any(o.is_output for o in node.outputs)
        ):
            continue
        for value in node.inputs:
            if value is not None and value.graph is body and value.is_constant:
                assert value.data is not None
                outside[value] = trace.constant(value.data)
        copy = copy_node(node, trace.graph, outside, before=trace.before)
        for old, new in zip(node.outputs, copy.outputs, strict=True):
            old.replace_uses(new)
        body.erase(node)
        count += 1
    for value in list(body.constants):
        if not value.uses and not value.is_output:
            body.erase_constant(value)
    return count


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
    type = value.type.with_shape((step_count(node), *value.shape))
    return node.graph.add_node_output(node, type, f"{value.name}_steps")


def _returned(node: Node, value: Value) -> Value | None:
    body: Graph = node.attributes["body"]
    first = len(body.outputs) - scan_output_count(node)
    offset = 1 if node.op == "Loop" else 0  # a Loop's body also returns whether to go on
    axes = node.attributes.get("scan_output_axes") or (0,) * scan_output_count(node)
    directions = node.attributes.get("scan_output_directions") or (0,) * scan_output_count(node)
    for k, output in enumerate(body.outputs[first:]):
        source = output
        while source is not value and source.producer is not None and source.producer.op == "Identity":
            inner = source.producer.inputs[0]
            assert inner is not None
            source = inner
        if source is value and axes[k] == 0 and directions[k] == 0:
            return node.outputs[first - offset + k]
    return None


def scan_output_count(node: Node) -> int:
    """Return how many of a Loop's or Scan's outputs are stacked over the steps."""
    body: Graph = node.attributes["body"]
    if node.op == "Loop":
        return len(body.outputs) - 1 - (len(node.inputs) - 2)
    return len(body.outputs) - (len(node.inputs) - int(node.attributes["num_scan_inputs"]))


def step_count(node: Node) -> Dim:
    """Return the number of steps of a Loop or Scan as a size: a number or a name."""
    assert node.graph is not None
    if node.op == "Scan":
        scanned = int(node.attributes["num_scan_inputs"])
        first = node.inputs[len(node.inputs) - scanned]
        assert first is not None
        return first.shape[(node.attributes.get("scan_input_axes") or (0,))[0]]
    stacked = node.outputs[len(node.outputs) - scan_output_count(node) :] if scan_output_count(node) else ()
    return stacked[0].shape[0] if stacked else node.graph.unique_name("steps")
