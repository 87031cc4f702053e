"""Operands of elementwise operators need not be as large as the result: broadcasting makes up the rest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nngraph.ir import Node, Shape, Value, broadcast_shapes
from nngraph.ops import raw
from nngraph.symbolic import sizes_of
from passes.build import Builder, splat
from passes.rewrite import CONSTANT, LocalRule, Refusal, Result, Rule, example
from passes.traits import BROADCASTING

__all__ = ["RULES"]

# Clip wants scalars and PRelu lets only its second operand be spread.
_ROOTS = tuple(sorted(BROADCASTING - {"Clip", "PRelu"}))


def _shape_of(operands: Sequence[Value | None]) -> Shape:
    return broadcast_shapes([v.shape for v in operands if v is not None])


class ShrinkConstant(LocalRule):
    """``x ∘ full(shape, c) = x ∘ c`` when the other operands have the result's shape by themselves."""

    roots = _ROOTS
    operands = (CONSTANT,)
    examples = (
        example(lambda x: raw.Mul(x, np.full((2, 3), 7, np.float32)), "float32[2, 3]"),
        example(lambda x: raw.Mul(np.full((1,), 7, np.float32), x), "float32[batch, 3]"),
        example(lambda x: raw.Greater(x, np.zeros((2, 3), np.float32)), "float32[2, 3]"),
        example(
            lambda x: raw.Mul(x, np.full((2, 3), 7, np.float32)), "float32[3]", refuses="it spreads the other operands"
        ),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        refusal: Refusal | None = None
        for k, value in enumerate(node.inputs):
            if value is None or value.data is None or value.ndim == 0 or splat(value) is None:
                continue
            others = [v for i, v in enumerate(node.inputs) if i != k]
            if _shape_of(others) != node.output.shape:
                refusal = Refusal("it spreads the other operands", value)
                continue
            scalar = value.data.reshape(-1)[0].reshape(())
            inputs = [np.asarray(scalar) if i == k else v for i, v in enumerate(node.inputs)]
            return op.node(node.op, inputs, **node.attributes)
        return refusal


class DropExpand(LocalRule):
    """``Expand(x) ∘ y = x ∘ y`` when the result's shape stays the same."""

    roots = _ROOTS
    operands = ("Expand",)
    examples = (
        example(lambda x, y: raw.Mul(y, raw.Expand(x, np.array([2, 3]))), "float32[1]", "float32[2, 3]"),
        example(lambda x, y: raw.Mul(y, raw.Expand(x, raw.Shape(y))), "float32[1, 1]", "float32[batch, 3]"),
        example(
            lambda x, y: raw.Mul(y, raw.Expand(x, np.array([2, 3]))),
            "float32[1]",
            "float32[3]",
            refuses="the result needs the spread",
        ),
        example(
            lambda x, y, z: raw.Mul(y, raw.Expand(x, raw.Shape(z))),
            "float32[a]",
            "float32[a]",
            "float32[b]",
            refuses="the result needs the spread",
        ),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        refusal: Refusal | None = None
        for k, value in enumerate(node.inputs):
            if value is None or value.producer is None or value.producer.op_id != "Expand":
                continue
            x, target = value.producer.inputs
            assert x is not None
            inputs = [x if i == k else v for i, v in enumerate(node.inputs)]
            others = [v for i, v in enumerate(node.inputs) if i != k]
            if _is_covered(sizes_of(target), x, others):
                return op.node(node.op, inputs, **node.attributes)
            refusal = Refusal("the result needs the spread", value)
        return refusal


def _is_covered(target: Shape | None, x: Value, others: Sequence[Value | None]) -> bool:
    """Whether each size to which x is spread is x's own or that of another operand."""
    if target is None:
        return False
    shapes = [x.shape, *(v.shape for v in others if v is not None)]
    return all(
        size == 1 or any(len(s) >= back and s[-back] == size for s in shapes)
        for back, size in enumerate(reversed(target), start=1)
    )


RULES: tuple[Rule, ...] = (ShrinkConstant(), DropExpand())
