"""Nodes that hand their input on unchanged: they go."""

from __future__ import annotations

import numpy as np

from nngraph.ir import Node, Value
from nngraph.ops import raw
from passes.build import Builder, splat
from passes.rewrite import CONSTANT, LocalRule, Refusal, Result, Rule, example
from passes.traits import is_random

__all__ = ["RULES"]


class RemoveIdentity(LocalRule):
    """``Identity(x) = x``; the result of a subgraph that is a value from outside must keep its node."""

    roots = ("Identity",)
    examples = (
        example(lambda x: raw.Relu(raw.Identity(x)), "float32[2]"),
        example(lambda x: raw.Identity(x), "float32[2]"),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        x = node.inputs[0]
        if node.output.is_output and x is not None and x.graph is not node.graph:
            return None
        return x


class RemoveDropout(LocalRule):
    """``Dropout(x) = x`` when it is not training and nobody asks for its mask."""

    roots = ("Dropout",)
    examples = (
        example(lambda x: raw.Neg(raw.Dropout(x)), "float32[2]"),
        example(lambda x: raw.Neg(raw.Dropout(x, np.float32(0.5), np.array(False))), "float32[2]"),
        example(
            lambda x: raw.Neg(raw.Dropout(x, np.float32(0), np.array(True))), "float32[2]", refuses="it is training"
        ),
        example(lambda x: raw.Dropout(x, outputs=2), "float32[2]", refuses="its mask is used"),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        if is_random(node):
            return Refusal("it is training")
        if len(node.outputs) > 1:
            return Refusal("its mask is used", node.outputs[1])
        return node.inputs[0]


class OneOperand(LocalRule):
    """``Sum(x) = Max(x) = Min(x) = Mean(x) = Concat(x) = x``."""

    roots = ("Sum", "Max", "Min", "Mean", "Concat")
    examples = tuple(
        example(lambda x, o=o: getattr(raw, o)(x), "float32[2]") for o in ("Sum", "Max", "Min", "Mean")
    ) + (example(lambda x: raw.Concat(x, axis=0), "float32[2]"),)

    def apply(self, node: Node, op: Builder) -> Result:
        return node.inputs[0] if len(node.inputs) == 1 else None


class EqualOperands(LocalRule):
    """``x ∧ x = x ∨ x = max(x, x) = min(x, x) = x`` and ``where(c, x, x) = x``, shapes permitting."""

    roots = ("And", "Or", "Max", "Min", "Where")
    examples = (
        example(lambda x: raw.And(x, x), "bool[2]"),
        example(lambda x: raw.Max(x, x, x), "float32[2]"),
        example(lambda c, x: raw.Where(c, x, x), "bool[2]", "float32[2]"),
        example(lambda c, x: raw.Where(c, x, x), "bool[3, 2]", "float32[2]", refuses="the operand is spread"),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        operands = node.inputs[1:] if node.op == "Where" else node.inputs
        x = operands[0]
        if x is None or any(v is not x for v in operands):
            return None
        return x if x.shape == node.output.shape else Refusal("the operand is spread", x)


class Idempotent(LocalRule):
    """``f(f(x)) = f(x)`` for relu, abs, sign and roundings."""

    roots = ("Relu", "Abs", "Sign", "Floor", "Ceil", "Round")
    operands = roots
    examples = tuple(
        example(lambda x, o=o: getattr(raw, o)(getattr(raw, o)(x)), "float32[2]") for o in ("Relu", "Abs", "Floor")
    )

    def apply(self, node: Node, op: Builder) -> Result:
        return node.inputs[0] if _is(node.inputs[0], node.op) else None


class Involution(LocalRule):
    """``−(−x) = x`` and ``¬¬x = x``."""

    roots = ("Neg", "Not", "BitwiseNot")
    operands = roots
    examples = (example(lambda x: raw.Neg(raw.Neg(x)), "float32[2]"), example(lambda x: raw.Not(raw.Not(x)), "bool[2]"))

    def apply(self, node: Node, op: Builder) -> Result:
        inner = node.inputs[0]
        return inner.producer.inputs[0] if inner is not None and inner.producer and _is(inner, node.op) else None


class WhereOfConstant(LocalRule):
    """``where(true, x, y) = x`` and ``where(false, x, y) = y`` for a constant condition, shapes permitting."""

    roots = ("Where",)
    operands = (CONSTANT,)
    examples = (
        example(lambda x, y: raw.Where(np.array(True), x, y), "float32[2]", "float32[2]"),
        example(lambda x, y: raw.Where(np.array([False, False]), x, y), "float32[2]", "float32[2]"),
        example(
            lambda x, y: raw.Where(np.array([True, False]), x, y), "float32[2]", "float32[2]", refuses="it is mixed"
        ),
        example(
            lambda x, y: raw.Where(np.array(True), x, y), "float32[1]", "float32[2]", refuses="the operand is spread"
        ),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        condition, a, b = node.inputs
        if condition is None or condition.data is None or condition.data.size == 0:
            return None
        number = splat(condition)
        if number is None:
            return Refusal("it is mixed", condition)
        chosen = a if number else b
        assert chosen is not None
        return chosen if chosen.shape == node.output.shape else Refusal("the operand is spread", chosen)


class RemoveCast(LocalRule):
    """``Cast(x, to=T) = x`` when x is of dtype T."""

    roots = ("Cast",)
    examples = (example(lambda x: raw.Cast(x, to="float32"), "float32[2]"),)

    def apply(self, node: Node, op: Builder) -> Result:
        x = node.inputs[0]
        return x if x is not None and x.dtype == node.attributes["to"] else None


_BITS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}
_UNSIGNED_BITS = {"uint8": 8, "uint16": 16, "uint32": 32, "uint64": 64}
_MANTISSA = {"bfloat16": 8, "float16": 11, "float32": 24, "float64": 53}
_WIDER_FLOATS = {"float16": ("float32", "float64"), "bfloat16": ("float32", "float64"), "float32": ("float64",)}


def _holds_all(narrow: str, wide: str) -> bool:
    """Whether every number of one dtype is a number of the other."""
    if narrow == "bool":
        return wide in (*_BITS, *_UNSIGNED_BITS, *_MANTISSA)
    if narrow in _MANTISSA:
        return wide in _WIDER_FLOATS.get(narrow, ())
    bits = _BITS.get(narrow, _UNSIGNED_BITS.get(narrow, 0) + 1)
    if bits == 1:
        return False
    if narrow in _UNSIGNED_BITS and wide in _UNSIGNED_BITS:
        return _UNSIGNED_BITS[wide] >= bits - 1
    return _BITS.get(wide, _MANTISSA.get(wide, 0)) >= bits


class CastOfCast(LocalRule):
    """``Cast(Cast(x, to=A), to=B) = Cast(x, to=B)`` when A holds all numbers of x's dtype; ``= x`` when B is it."""

    roots = ("Cast",)
    operands = ("Cast",)
    examples = (
        example(lambda x: raw.Cast(raw.Cast(x, to="float64"), to="float16"), "float32[2]"),
        example(lambda x: raw.Cast(raw.Cast(x, to="float32"), to="bool"), "bool[2]"),
        example(lambda x: raw.Cast(raw.Cast(x, to="int32"), to="float32"), "uint8[2]"),
        example(
            lambda x: raw.Cast(raw.Cast(x, to="int32"), to="float32"),
            "float32[2]",
            refuses="the first cast loses numbers",
        ),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        middle = node.inputs[0]
        if middle is None or middle.producer is None or not _is(middle, "Cast"):
            return None
        x = middle.producer.inputs[0]
        assert x is not None
        if not _holds_all(x.dtype, middle.dtype):
            return Refusal("the first cast loses numbers", middle)
        return x if x.dtype == node.attributes["to"] else op.Cast(x, to=node.attributes["to"])


def _is(value: Value | None, name: str) -> bool:
    return value is not None and value.producer is not None and value.producer.op_id == name


RULES: tuple[Rule, ...] = (
    RemoveIdentity(),
    RemoveDropout(),
    OneOperand(),
    EqualOperands(),
    Idempotent(),
    Involution(),
    WhereOfConstant(),
    RemoveCast(),
    CastOfCast(),
)
