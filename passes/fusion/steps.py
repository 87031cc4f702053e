"""Products that a loop computes in its steps are taken from it, not computed again from their factors."""

from __future__ import annotations

from typing import Any

from nngraph.ir import Graph, Node, Value
from nngraph.ops import raw
from nngraph.ops.control import scan_steps
from nngraph.ops.subgraph import add_scan_output
from passes.build import Builder, splat
from passes.rewrite import LocalRule, Refusal, Result, Rule, example

__all__ = ["RULES"]


def _gated(x: Any, h: Any, join: Any, product: Any = raw.Mul) -> Any:
    """A loop over ``product(tanh, sigmoid)`` that returns both, and what ``join`` makes of their stacks."""

    def step(states: list[Any], slices: list[Any]) -> Any:
        a, y = raw.Tanh(states[0]), raw.Sigmoid(raw.Add(slices[0], states[0]))
        return [product(a, y)], [a, y]

    _, (a, y) = scan_steps(step, [h], [x])
    return join(a, y)


def _sigmoid_slope(a: Any, y: Any) -> Any:
    return raw.Mul(a, raw.Mul(y, raw.Sub(1, y)))


def _tanh_slope(a: Any, y: Any) -> Any:
    return raw.Mul(y, raw.Sub(1, raw.Mul(a, a)))


_TYPES = ("float32[5, n, 3]", "float32[n, 3]")


class ProductOfSteps(LocalRule):
    """``a · y (1 − y) = p (1 − y)`` and ``a (1 − y²) = a − p y`` where a loop returns a and y and has p = a · y.

    The gates of recurrent cells make such products, and their gradients these: the derivatives of a sigmoid or tanh y
    times what it was multiplied with.
    """

    roots = ("Mul",)
    operands = ("Sub", "Mul")
    examples = (
        example(lambda x, h: _gated(x, h, _sigmoid_slope), *_TYPES),
        example(lambda x, h: _gated(x, h, _tanh_slope), *_TYPES),
        example(lambda x, h: _gated(x, h, _sigmoid_slope, raw.Add), *_TYPES, refuses="the loop does not multiply them"),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        for a, slope in (node.inputs, node.inputs[::-1]):
            found = None if a is None or slope is None else _slope(slope)
            if a is None or found is None or a.shape != found[0].shape or not _comes_with(a, found[0]):
                continue
            y, rest = found
            product = _product(a, y)
            if product is None:
                return Refusal("the loop does not multiply them", node.output)
            return op.Sub(a, op.Mul(product, y)) if rest is None else op.Mul(product, rest)
        return None


def _slope(value: Value) -> tuple[Value, Value | None] | None:
    """Return y and 1 − y of ``y (1 − y)``, and y and ``None`` of ``1 − y²``."""
    node = value.producer
    if node is None:
        return None
    if node.op_id == "Sub":
        square = _of(node.inputs[1], "Mul")
        if splat(node.inputs[0]) == 1 and square is not None and square.inputs[0] is square.inputs[1]:
            assert square.inputs[0] is not None
            return square.inputs[0], None
    if node.op_id == "Mul":
        for y, rest in (node.inputs, node.inputs[::-1]):
            left = _of(rest, "Sub")
            if y is not None and left is not None and splat(left.inputs[0]) == 1 and left.inputs[1] is y:
                return y, rest
    return None


def _of(value: Value | None, op: str) -> Node | None:
    made = None if value is None else value.producer
    return made if made is not None and made.op_id == op else None


def _comes_with(a: Value, y: Value) -> bool:
    """Whether two values are stacks of one loop's steps, in the order of the steps."""
    node = a.producer
    if node is None or node is not y.producer or node.op_id != "Scan" or a is y:
        return False
    states = len(node.inputs) - int(node.attributes["num_scan_inputs"])
    if min(a.index, y.index) < states:
        return False
    ways = [node.attributes.get(k) or () for k in ("scan_output_axes", "scan_output_directions")]
    return not any(way[v.index - states] for way in ways if way for v in (a, y))


def _product(a: Value, y: Value) -> Value | None:
    """Return the stack of the products that the loop computes of two of its stacks, if it does."""
    node = a.producer
    assert node is not None
    body: Graph = node.attributes["body"]
    first, second = (_source(body.outputs[v.index]) for v in (a, y))
    for user in first.users:
        if user.graph is body and user.op_id == "Mul" and set(user.inputs) == {first, second}:
            return add_scan_output(node, user.output)
    return None


def _source(value: Value) -> Value:
    """The value that Identity nodes return once more."""
    while value.producer is not None and value.producer.op_id == "Identity" and value.producer.inputs[0] is not None:
        value = value.producer.inputs[0]
    return value


RULES: tuple[Rule, ...] = (ProductOfSteps(),)
