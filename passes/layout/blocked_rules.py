"""What the runtime does for ordinary convolutions but not for those in blocks, and what only blocks can do.

A convolution in blocks takes a shift for each channel, a tensor to be added, and an activation, in this order.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from nngraph.ir import Node, Value
from nngraph.ops.axes import ints
from passes.blocks import NCHWC, image_behind, rows_of
from passes.build import Builder
from passes.rewrite import LocalRule, Refusal, Result, Rule
from passes.simplify.transposes import permutation

__all__ = ["RULES"]

_CONV = (f"{NCHWC}::Conv",)


def _inner_conv(x: Value | None, inputs: int = 3) -> Node | Refusal | None:
    """Return the blocked convolution that made a tensor for one user, has no activation, and at most so many inputs."""
    made = x.producer if x is not None else None
    if x is None or made is None or made.op_id not in _CONV or "activation" in made.attributes:
        return None
    if len(made.inputs) > inputs:
        return None
    return Refusal("the convolution's result is used elsewhere", x) if len(x.uses) > 1 or x.is_output else made


def _conv(node: Node, op: Builder, inputs: list[Any], attributes: dict[str, Any]) -> Value:
    """Make a blocked convolution whose result takes the node's place."""
    value: Value = op.node("Conv", inputs, _domain=NCHWC, _types=[node.output.type], **attributes)
    return value


class ActivationIntoConv(LocalRule):
    """``Relu(Conv(x, w)) = Conv(x, w, activation="Relu")`` in the blocked layout, and so for other activations."""

    roots = ("Clip", "Relu", "Sigmoid", "Tanh")
    operands = _CONV

    def apply(self, node: Node, op: Builder) -> Result:
        made = _inner_conv(node.inputs[0], inputs=4)
        if not isinstance(made, Node):
            return made
        attributes = {**made.attributes, "activation": node.op}
        if node.op == "Clip":
            bounds = [v.data for v in node.inputs[1:] if v is not None and v.data is not None]
            if len(bounds) != 2:
                return None
            attributes["activation_params"] = tuple(float(b.item()) for b in bounds)
        return _conv(node, op, list(made.inputs), attributes)


class ShiftIntoConv(LocalRule):
    """``Conv(x, w) + c = Conv(x, w, c)`` in the blocked layout, one number a channel."""

    roots = _CONV
    operands = _CONV

    def apply(self, node: Node, op: Builder) -> Result:
        x, w = node.inputs[:2]
        if len(node.inputs) != 3 or w is None or w.data is None or w.shape[1:] != (1, 1, 1) or (w.data != 1).any():
            return None
        if node.attributes.get("group", 1) != w.shape[0]:
            return None
        made = _inner_conv(x, inputs=2)
        if not isinstance(made, Node):
            return made if isinstance(made, Refusal) else None
        more = {k: v for k, v in node.attributes.items() if k.startswith("activation")}
        return _conv(node, op, [*made.inputs, node.inputs[2]], {**made.attributes, **more})


class SumIntoConv(LocalRule):
    """``Conv(x, w, b) + y = Conv(x, w, b, y)`` in the blocked layout; the runtime adds in place when y is for this."""

    roots = ("Add",)
    operands = _CONV

    def apply(self, node: Node, op: Builder) -> Result:
        a, b = node.inputs
        if a is None or b is None or a is b or a.shape != b.shape:
            return None
        for x, y in ((a, b), (b, a)):
            made = _inner_conv(x)
            if isinstance(made, Node) and _may_be_written(y, node) and len(y.uses) == 1 and not y.is_output:
                inputs = [*made.inputs, *[None] * (3 - len(made.inputs)), y]
                return _conv(node, op, inputs, dict(made.attributes))
        return None


def _may_be_written(y: Value, node: Node) -> bool:
    """Whether the sum may take a tensor's place, or, of what a loop hands to its step, costs no more than a copy."""
    return y.producer is not None or (y.graph is node.graph and y.graph is not None and y.graph.parent is not None)


class ProductIntoConv(LocalRule):
    """``GlobalAveragePool(x · y) = Conv(x, y) / pixels``, each channel of each image with its own kernel y."""

    roots = (f"{NCHWC}::GlobalAveragePool",)
    operands = ("Mul",)

    def apply(self, node: Node, op: Builder) -> Result:
        product = node.inputs[0]
        made = product.producer if product is not None else None
        if product is None or made is None or made.op_id != "Mul" or not product.type.is_static:
            return None
        x, y = made.inputs
        if x is None or y is None or x.shape != y.shape or len(product.uses) > 1 or product.is_output:
            return None
        batch, channels, *sizes = (int(d) for d in product.shape)
        count = batch * channels
        image, kernel = op.Reshape(x, ints(1, count, *sizes)), op.Reshape(y, ints(count, 1, *sizes))
        kind = product.type.with_shape((1, count, 1, 1))
        total = op.node("Conv", [image, kernel], _domain=NCHWC, _types=[kind], group=count, kernel_shape=tuple(sizes))
        return op.Mul(op.Reshape(total, ints(batch, channels, 1, 1)), np.float32(1 / prod(sizes)))


class LastFromBlocks(LocalRule):
    """``Transpose(ReorderOutput(x)) = ReorderOutput(x)`` to channels last: a reorder uses all threads."""

    roots = ("Transpose",)
    operands = (f"{NCHWC}::ReorderOutput",)

    def apply(self, node: Node, op: Builder) -> Result:
        image = image_behind(node.inputs[0])
        return None if image is None or permutation(node) != (0, 2, 3, 1) else rows_of(op, image)


RULES: tuple[Rule, ...] = (
    ActivationIntoConv(),
    ShiftIntoConv(),
    SumIntoConv(),
    ProductIntoConv(),
    LastFromBlocks(),
)
