"""What loops in blocks need not copy: the parts of a product are products with parts of the weights.

The gates of a recurrent cell are the parts of one product. In blocks the parts of a kernel lie one after the other, and
each gate's convolution takes its own summand and activation. A step's tensor that is only read in parts is split for
all steps before the loop, and so on back to the product that made it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nngraph.ir import Graph, Node, Value
from nngraph.ops.axes import ints
from passes.blocks import NCHWC, block_size
from passes.build import Builder, beside
from passes.rewrite import LocalRule, Refusal, Result, Rule

__all__ = ["RULES"]


class PartsOfConv(LocalRule):
    """``Split(Conv(x, w, b, y)) = Conv(x, wₖ, bₖ, yₖ)`` for each part k of the channels, in blocks."""

    roots = ("Split",)

    def apply(self, node: Node, op: Builder) -> Result:
        image = _image_in_parts(node)
        made = image.producer if image is not None else None
        if image is None or made is None or made.op_id != f"{NCHWC}::Conv" or made.attributes.get("group", 1) != 1:
            return None
        if len(image.uses) > 1 or image.is_output:
            return Refusal("the whole is used elsewhere", image)
        x, *others = made.inputs
        sizes = _sizes(node)
        axes = (0, 0, 1)  # of the kernel's filters, of the biases, of the summand's channels
        columns = [_parts(v, sizes, axis, self.name) for v, axis in zip(others, axes, strict=False)]
        results = []
        for k, part in enumerate(node.outputs):
            kind = image.type.with_shape((image.shape[0], sizes[k], *image.shape[2:]))
            values = [x, *(None if c is None else c[k] for c in columns)]
            value = op.node("Conv", values, _domain=NCHWC, _types=[kind], **made.attributes)
            results.append(value if part.ndim == 4 else op.Reshape(value, ints(*(int(d) for d in part.shape))))
        return tuple(results)


def _sizes(split: Node) -> list[int]:
    axis = int(split.attributes.get("axis", 0))
    return [int(v.shape[axis]) for v in split.outputs]


def _image_in_parts(split: Node) -> Value | None:
    """Return the image whose channels a Split separates into whole blocks; each step may stand alone as in a loop."""
    x, axis, block = split.inputs[0], split.attributes.get("axis", 0), block_size()
    if x is None or block is None or not x.type.is_static or axis != x.ndim - 3:
        return None
    if any(size % block for size in _sizes(split)):
        return None
    if x.ndim == 5 and x.producer is not None and x.producer.op_id == "Reshape" and x.shape[1] == 1:
        source = x.producer.inputs[0]
        return source if source is not None and source.shape == (x.shape[0], *x.shape[2:]) else None
    return x if x.ndim == 4 else None


def _parts(value: Value | None, sizes: list[int], axis: int, by: str) -> list[Any] | None:
    """Return the parts of a tensor, made where it is known."""
    if value is None:
        return None
    if value.data is not None:
        return np.split(value.data, np.cumsum(sizes)[:-1], axis=axis)
    return list(beside(value, by).Split(value, ints(*sizes), _outputs=len(sizes), axis=axis))


class PartsOfSteps(LocalRule):
    """``Scan(x)`` whose steps only split x is ``Scan(x₁, x₂, …)`` with x split before the loop."""

    roots = ("Scan",)

    def apply(self, node: Node, op: Builder) -> Result:
        body: Graph = node.attributes["body"]
        scanned = int(node.attributes["num_scan_inputs"])
        states = len(node.inputs) - scanned
        for k in range(scanned):
            entry, stack = body.inputs[states + k], node.inputs[states + k]
            split = entry.users[0] if len(entry.uses) == 1 and not entry.is_output else None
            if stack is None or split is None or split.op_id != "Split" or _image_in_parts(split) is not entry:
                continue
            if (node.attributes.get("scan_input_axes") or (0,) * scanned)[k]:
                return Refusal("the steps do not lie along the first axis", stack)
            return self._split(node, op, k, split)
        return None

    def _split(self, node: Node, op: Builder, k: int, split: Node) -> Result:
        body: Graph = node.attributes["body"]
        scanned = int(node.attributes["num_scan_inputs"])
        place, count = len(node.inputs) - scanned + k, len(split.outputs)
        stack, sizes = node.inputs[place], _sizes(split)
        parts = op.Split(stack, ints(*sizes), _outputs=count, axis=int(split.attributes["axis"]) + 1)
        entries = [body.add_input("step", part.type) for part in split.outputs]
        for part, entry in zip(split.outputs, entries, strict=True):
            part.replace_uses(entry)
        body.erase(split)
        body.inputs[:] = [*body.inputs[:place], *entries, *body.inputs[place + 1 : -count]]
        attributes = {**node.attributes, "num_scan_inputs": scanned + count - 1}
        for key in ("scan_input_axes", "scan_input_directions"):
            if attributes.get(key):
                old = tuple(attributes[key])
                attributes[key] = (*old[:k], *old[k : k + 1] * count, *old[k + 1 :])
        inputs = [*node.inputs[:place], *parts, *node.inputs[place + 1 :]]
        types = [v.type for v in node.outputs]
        made = op.node("Scan", inputs, _outputs=len(types), _types=types, **attributes)
        # The body lives on in the new node, so the old one must not release what it uses.
        node.attributes = {key: v for key, v in node.attributes.items() if v is not body}
        return made if isinstance(made, tuple) else (made,)


RULES: tuple[Rule, ...] = (PartsOfConv(), PartsOfSteps())
"""The rules of this module."""
