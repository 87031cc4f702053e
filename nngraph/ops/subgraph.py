"""Bodies of If, Loop and Scan: tracing them, and taking out of a loop what does not change in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nngraph.ir import Graph, Node, TensorType, Value, copy_node, numpy_dtype
from nngraph.ops.trace import Trace, apply, current_trace
from nngraph.registry import lookup
from nngraph.schema import infer_types

__all__ = [
    "add_scan_output",
    "as_output",
    "as_value",
    "hoist_invariants",
    "hoist_steps",
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


_POINTWISE = frozenset(
    (
        *("Abs", "Add", "And", "Cast", "Ceil", "Clip", "Cos", "Div", "Elu", "Equal", "Erf", "Exp", "Floor", "Gelu"),
        *(
            "Greater",
            "GreaterOrEqual",
            "HardSigmoid",
            "HardSwish",
            "Identity",
            "LeakyRelu",
            "Less",
            "LessOrEqual",
            "Log",
        ),
        *("Max", "Mean", "Min", "Mish", "Mod", "Mul", "Neg", "Not", "Or", "Pow", "Reciprocal", "Relu", "Round", "Selu"),
        *("Sigmoid", "Sign", "Sin", "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Swish", "Tanh", "Where", "Xor"),
    )
)
"""Operators that work element by element, so that they give the same on one step and on all steps stacked."""


def hoist_steps(body: Graph, stacks: dict[Value, Value]) -> dict[Value, Value]:
    """Compute what depends on nothing but a step's inputs for all steps at once, in front of the loop.

    A loop's state forces an order on what depends on it; the rest gains from one large operation instead of many
    small ones: the product of an input with a weight becomes one product for the whole sequence.

    Args:
        body: the body of a Scan whose node does not exist yet.
        stacks: inputs of the body and the tensors, stacked along axis 0, of which they are the steps.

    Returns:
        The inputs of the body that are steps now, and their stacks: new ones, and those given that are still used.
    """
    trace = current_trace()
    assert trace is not None
    moved: dict[Value, Value] = {}
    for node in body.nodes:
        if any(o.is_output for o in node.outputs) or not _same_for_all_steps(node, body, {**stacks, **moved}):
            continue
        inputs = [_outside(v, body, stacks, moved, trace) for v in node.inputs]
        length = next(iter(stacks.values())).shape[0]
        types = [o.type.with_shape((length, *o.shape)) for o in node.outputs]
        copy = Node(node.op, inputs, node.attributes, domain=node.domain, origin=node.origin)
        trace.graph.insert_before(trace.before, copy, types)
        moved.update(zip(node.outputs, copy.outputs, strict=True))
    result = dict(stacks)
    gone = {value.producer for value in moved}
    for value, stack in moved.items():
        if any(user not in gone for user in value.users):
            entry = body.add_input("step", value.type)
            for user, index in list(value.uses):
                if user not in gone:
                    user.set_input(index, entry)
            result[entry] = stack
    for node in reversed(body.nodes):
        if node in gone:
            body.erase(node)
    unused = [v for v in result if not v.uses and not v.is_output]
    for value in unused[1:] if len(unused) == len(result) else unused:
        body.inputs.remove(value)
        del result[value]
    return result


def _outside(
    value: Value | None, body: Graph, stacks: dict[Value, Value], moved: dict[Value, Value], trace: Trace
) -> Value | None:
    if value is None or value.graph is not body:
        return value
    if value.data is not None:
        return trace.constant(value.data)
    return moved[value] if value in moved else stacks[value]


def _same_for_all_steps(node: Node, body: Graph, stacks: dict[Value, Value]) -> bool:
    """Whether a node gives on stacked inputs the stack of what it gives on each step."""
    values = [v for v in node.inputs if v is not None]
    steps = [v for v in values if v.graph is body and not v.is_constant]
    if not steps or any(v not in stacks for v in steps) or node.domain or len(node.outputs) != 1:
        return False
    rank = node.output.ndim
    if node.op in _POINTWISE:
        return all(v.ndim == rank for v in steps) and all(v.ndim <= rank for v in values)
    if node.op == "MatMul":
        a, b = values
        if a in steps and b in steps:
            return a.ndim == b.ndim >= 2
        return a in steps and a.ndim >= 2 and b.ndim == 2
    return False


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
