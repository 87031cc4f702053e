"""Work moved out of loops: what is the same in every step, and what can be done for all steps at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nngraph.ir import Graph, Node, TensorType, Value, copy_node
from nngraph.ops.trace import Trace, apply, current_trace
from nngraph.registry import lookup

__all__ = ["hoist_invariants", "hoist_steps", "regroup_products"]


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
        if node.op == "Conv":
            moved[node.output] = _all_at_once(node, inputs, types[0])
            continue
        copy = Node(node.op, inputs, _for_stacks(node), domain=node.domain, origin=node.origin)
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
        body.inputs[:] = [v for v in body.inputs if v is not value]
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
    if not steps or any(v not in stacks for v in steps) or node.domain:
        return False
    rank = node.output.ndim
    if node.op == "Split":
        return len(steps) == 1 and steps[0] is node.inputs[0]
    if len(node.outputs) != 1:
        return False
    if node.op in _POINTWISE:
        return all(v.ndim == rank for v in steps) and all(v.ndim <= rank for v in values)
    if node.op == "Concat":
        return len(steps) == len(values)
    if node.op == "Transpose":
        return True
    if node.op == "Conv":
        return len(steps) == 1 and steps[0] is values[0] and all(isinstance(d, int) for d in steps[0].shape[1:])
    if node.op == "MatMul":
        a, b = values
        if len(steps) == 2:
            return a.ndim == b.ndim >= 2
        return steps[0] is a and a.ndim >= 2 and b.ndim == 2
    return False


def _all_at_once(node: Node, inputs: Sequence[Value | None], type: TensorType) -> Value:
    """Run an operator that knows a batch on one batch of all steps."""
    images, *others = inputs
    assert images is not None
    merged = apply("Reshape", images, np.array([-1, *images.shape[2:]], np.int64))
    result = apply(node.op, merged, *others, **node.attributes)
    sizes = apply("Concat", apply("Shape", images, end=2), np.array(result.shape[1:], np.int64), axis=0)
    stacked: Value = apply("Reshape", result, sizes, types=[type])
    return stacked


def _for_stacks(node: Node) -> dict[str, Any]:
    """The node's attributes when the steps are stacked in front of its axes."""
    if node.op == "Transpose":
        perm = node.attributes.get("perm") or tuple(reversed(range(node.output.ndim)))
        return {"perm": (0, *(p + 1 for p in perm))}
    axis = node.attributes.get("axis", 0) if node.op in ("Concat", "Split") else -1
    return node.attributes if axis < 0 else {**node.attributes, "axis": axis + 1}


def regroup_products(body: Graph, stacks: dict[Value, Value]) -> None:
    """Rearrange products in a loop's body so that :func:`hoist_steps` finds more of them.

    With a, b known for all steps and x, y not::

        (x * a) * b               becomes  x * (a * b)
        Concat(x * a, y * b)      becomes  Concat(x, y) * Concat(a, b)

    Args:
        body: the body of a Scan whose node does not exist yet.
        stacks: inputs of the body and the tensors, stacked along axis 0, of which they are the steps.
    """
    known = dict(stacks)
    for node in body.nodes:
        if _same_for_all_steps(node, body, known):
            known.update(zip(node.outputs, node.outputs, strict=True))
        elif node.op == "Mul":
            _merge_factors(node, body, known)
        elif node.op == "Concat":
            _split_products(node, body, known)


def _factors(value: Value, known: dict[Value, Value]) -> tuple[Value, Value] | None:
    """Return x and a of a product x * a whose a is known for all steps and x is not."""
    node = value.producer
    if node is None or node.op != "Mul" or node.domain:
        return None
    a, b = node.inputs
    assert a is not None and b is not None
    if any(v.ndim != value.ndim for v in (a, b)) or (a in known) == (b in known):
        return None
    return (b, a) if a in known else (a, b)


def _used_once(value: Value) -> bool:
    return len(value.uses) == 1 and not value.is_output


def _merge_factors(node: Node, body: Graph, known: dict[Value, Value]) -> None:
    outer = _factors(node.output, known)
    inner = _factors(outer[0], known) if outer is not None and outer[0].graph is body else None
    if outer is None or inner is None or not _used_once(outer[0]):
        return
    product, (x, a), b = outer[0], inner, outer[1]
    if a.shape != b.shape:
        return
    both = Node("Mul", [a, b], {}, origin=node.origin)
    body.insert_before(node, both, [a.type])
    node.set_input(0, x)
    node.set_input(1, both.output)
    known[both.output] = both.output
    assert product.producer is not None
    body.erase(product.producer)


def _split_products(node: Node, body: Graph, known: dict[Value, Value]) -> None:
    parts = [_factors(v, known) if v is not None and v.graph is body else None for v in node.inputs]
    products = [v for v in node.inputs if v is not None]
    if any(p is None or p[0].shape != p[1].shape for p in parts) or len(set(products)) < len(products):
        return
    if not all(_used_once(v) for v in products):
        return
    pairs = [p for p in parts if p is not None]
    firsts = Node("Concat", [x for x, _ in pairs], node.attributes, origin=node.origin)
    seconds = Node("Concat", [a for _, a in pairs], node.attributes, origin=node.origin)
    for new in (firsts, seconds):
        body.insert_before(node, new, [node.output.type])
    result = Node("Mul", [firsts.output, seconds.output], {}, origin=node.origin)
    body.insert_before(node, result, [node.output.type])
    node.output.replace_uses(result.output)
    body.erase(node)
    for product in products:
        assert product.producer is not None
        body.erase(product.producer)
    known[seconds.output] = seconds.output
