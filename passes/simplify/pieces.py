"""Slice, Pad, Split and Concat where they leave a tensor whole."""

from __future__ import annotations

from nngraph.ir import Node, Value
from nngraph.ops import raw
from nngraph.ops.axes import ints
from passes.build import Builder
from passes.rewrite import CONSTANT, LocalRule, Refusal, Result, Rule, example

__all__ = ["RULES"]


class RemoveSlice(LocalRule):
    """``Slice(x) = x`` when the shape stays and every step is 1."""

    roots = ("Slice",)
    examples = (
        example(lambda x: raw.Slice(x, ints(0), ints(9), ints(1)), "float32[2, 3]"),
        example(lambda x: raw.Slice(x, ints(0), ints(2**62), ints(0), ints(1)), "float32[batch, 3]"),
        example(
            lambda x: raw.Slice(x, ints(-1), ints(-9), ints(1), ints(-1)),
            "float32[2, 3]",
            refuses="it turns an axis round",
        ),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        x = node.inputs[0]
        if x is None or x.shape != node.output.shape:
            return None
        steps = node.inputs[4] if len(node.inputs) > 4 else None
        if steps is not None and (steps.data is None or (steps.data != 1).any()):
            return Refusal("it turns an axis round", steps)
        return x


class RemovePad(LocalRule):
    """``Pad(x, 0) = x``."""

    roots = ("Pad",)
    operands = (CONSTANT,)
    examples = (example(lambda x: raw.Pad(x, ints(0, 0, 0, 0)), "float32[batch, 3]"),)

    def apply(self, node: Node, op: Builder) -> Result:
        pads = node.inputs[1]
        return node.inputs[0] if pads is not None and pads.data is not None and not pads.data.any() else None


class ConcatOfSplit(LocalRule):
    """``Concat(Split(x)) = x`` along one axis, all parts in their order."""

    roots = ("Concat",)
    operands = ("Split",)
    examples = (
        example(lambda x: raw.Concat(*raw.Split(x, ints(1, 2), axis=1, outputs=2), axis=-1), "float32[batch, 3]"),
        example(
            lambda x: raw.Concat(*reversed(raw.Split(x, ints(1, 2), axis=0, outputs=2)), axis=0),
            "float32[3]",
            refuses="the parts stand in another order, or along another axis",
        ),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        split = node.inputs[0].producer if node.inputs[0] is not None else None
        if split is None or split.op_id != "Split" or any(v is None or v.producer is not split for v in node.inputs):
            return None
        rank = node.output.ndim
        same = split.attributes.get("axis", 0) % rank == node.attributes["axis"] % rank
        if not same or node.inputs != split.outputs:
            return Refusal("the parts stand in another order, or along another axis", node.output)
        return split.inputs[0]


class RemoveSplit(LocalRule):
    """``Split(x) = x`` when it has one part."""

    roots = ("Split",)
    examples = (example(lambda x: raw.Split(x, ints(3), axis=0), "float32[3]"),)

    def apply(self, node: Node, op: Builder) -> Result:
        return node.inputs[0] if len(node.outputs) == 1 else None


class ConcatWithoutEmpty(LocalRule):
    """``Concat(…, x of size 0, …)`` does without x."""

    roots = ("Concat",)
    examples = (
        example(lambda x, y, z: raw.Concat(x, y, z, axis=1), "float32[2, 3]", "float32[2, 0]", "float32[2, 1]"),
        example(lambda x, y: raw.Concat(x, y, axis=0), "float32[3]", "float32[0]"),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        axis = node.attributes["axis"]
        full = [v for v in node.inputs if v is not None and v.shape[axis] != 0]
        if not full or len(full) == len(node.inputs):
            return None
        return full[0] if len(full) == 1 else op.Concat(*full, axis=axis)


class ConcatOfConcat(LocalRule):
    """``Concat(x, Concat(y, z)) = Concat(x, y, z)`` along one axis, when the inner one has no other use."""

    roots = ("Concat",)
    operands = ("Concat",)
    examples = (
        example(lambda x: raw.Concat(x, raw.Concat(x, x, axis=1), axis=1), "float32[2, 3]"),
        example(
            lambda x: (lambda c: (raw.Concat(x, c, axis=0), raw.Neg(c)))(raw.Concat(x, x, axis=0)),
            "float32[2, 3]",
            refuses="the inner Concat is used elsewhere",
        ),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        rank = node.output.ndim
        axis = node.attributes["axis"] % rank

        def inner(v: Value | None) -> Node | None:
            made = v.producer if v is not None else None
            same = made is not None and made.op_id == "Concat" and made.attributes["axis"] % rank == axis
            return made if same else None

        found = [v for v in node.inputs if inner(v) is not None]
        if not found:
            return None
        for value in found:
            if value is not None and (len(value.uses) > 1 or value.is_output):
                return Refusal("the inner Concat is used elsewhere", value)
        parts: list[Value | None] = []
        for value in node.inputs:
            made = inner(value)
            parts.extend(made.inputs if made is not None else (value,))
        return op.Concat(*parts, axis=axis)


RULES: tuple[Rule, ...] = (
    RemoveSlice(),
    RemovePad(),
    RemoveSplit(),
    ConcatWithoutEmpty(),
    ConcatOfConcat(),
    ConcatOfSplit(),
)
