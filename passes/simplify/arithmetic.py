"""Sums, products, powers and their neutral and inverse elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngraph.ir import Node, Value, is_float
from nngraph.ops import raw
from passes.build import Builder, splat
from passes.pattern import Match
from passes.rewrite import CONSTANT, LocalRule, PatternRule, Refusal, Result, Rule, example

__all__ = ["RULES"]

_F2 = "float32[2]"


def _f32(numbers: Any) -> Any:
    return np.array(numbers, np.float32)


# operator: (neutral element, slots in which it is neutral)
_NEUTRAL: dict[str, tuple[float, tuple[int, ...]]] = {
    "Add": (0, (0, 1)),
    "Sub": (0, (1,)),
    "Mul": (1, (0, 1)),
    "Div": (1, (1,)),
    "Pow": (1, (1,)),
    "Or": (0, (0, 1)),
    "Xor": (0, (0, 1)),
    "And": (1, (0, 1)),
    "BitwiseOr": (0, (0, 1)),
    "BitwiseXor": (0, (0, 1)),
    "BitShift": (0, (1,)),
}


class NeutralElement(LocalRule):
    """``x + 0 = x − 0 = x · 1 = x / 1 = x ** 1 = x``; likewise for truth values and bits. Shapes permitting."""

    roots = tuple(_NEUTRAL)
    operands = (CONSTANT,)
    examples = (
        example(lambda x: raw.Add(np.float32(0), x), _F2),
        example(lambda x: raw.Sub(x, _f32([0, 0])), _F2),
        example(lambda x: raw.Mul(x, np.float32(1)), "float32[batch]"),
        example(lambda x: raw.Div(x, np.float32(1)), _F2),
        example(lambda x: raw.Pow(x, np.int64(1)), _F2),
        example(lambda x: raw.And(x, np.array(True)), "bool[2]"),
        example(lambda x: raw.Add(x, np.zeros((3, 2), np.float32)), _F2, refuses="the operand is spread"),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        neutral, slots = _NEUTRAL[node.op]
        for slot in slots:
            other = node.inputs[1 - slot]
            if other is None or splat(node.inputs[slot]) != neutral:
                continue
            return other if other.shape == node.output.shape else Refusal("the operand is spread", other)
        return None


def _negated(value: Value | None) -> Value | None:
    """Return x when the value is −x."""
    made = value.producer if value is not None else None
    return made.inputs[0] if made is not None and made.op_id == "Neg" else None


class AddOfNegated(LocalRule):
    """``x + (−y) = x − y``, ``(−x) + y = y − x`` and ``x − (−y) = x + y``."""

    roots = ("Add", "Sub")
    operands = ("Neg",)
    examples = (
        example(lambda x, y: raw.Add(x, raw.Neg(y)), _F2, _F2),
        example(lambda x, y: raw.Add(raw.Neg(x), y), _F2, _F2),
        example(lambda x, y: raw.Sub(x, raw.Neg(y)), _F2, _F2),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        a, b = node.inputs
        minus_a, minus_b = _negated(a), _negated(b)
        if minus_b is not None:
            return op.Sub(a, minus_b) if node.op == "Add" else op.Add(a, minus_b)
        return op.Sub(b, minus_a) if node.op == "Add" and minus_a is not None else None


class NegOfSub(PatternRule):
    """``−(x − y) = y − x``."""

    examples = (
        example(lambda x, y: raw.Neg(raw.Sub(x, y)), _F2, _F2),
        example(
            lambda x, y: (lambda d: (raw.Neg(d), raw.Exp(d)))(raw.Sub(x, y)),
            _F2,
            _F2,
            refuses="an inner value is used elsewhere",
        ),
    )

    @staticmethod
    def pattern(op: Any, x: Any, y: Any) -> Any:
        return op.Neg(op.Sub(x, y))

    def rewrite(self, op: Builder, match: Match) -> Value:
        value: Value = op.Sub(match.y, match.x)
        return value


class ProductOfNegated(LocalRule):
    """``(−x)(−y) = xy``, ``(−x) / (−y) = x / y``, and with a constant ``(−x) c = x (−c)``, ``(−x) / c = x / (−c)``."""

    roots = ("Mul", "Div")
    operands = ("Neg",)
    examples = (
        example(lambda x, y: raw.Mul(raw.Neg(x), raw.Neg(y)), _F2, _F2),
        example(lambda x: raw.Mul(np.float32(3), raw.Neg(x)), _F2),
        example(lambda x: raw.Div(raw.Neg(x), _f32([2, 3])), _F2),
        example(lambda x: raw.Div(_f32([2, 3]), raw.Neg(x)), _F2),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        pairs = [(v, _negated(v)) for v in node.inputs]
        if not is_float(node.output.dtype) or all(minus is None for _, minus in pairs):
            return None
        inputs: list[Any] = []
        for value, minus in pairs:
            if minus is None and (value is None or value.data is None):
                return None
            inputs.append(minus if minus is not None else -value.data)  # type: ignore[union-attr, operator]
        return op.node(node.op, inputs)


class NegFromConstants(LocalRule):
    """``0 − x = x · (−1) = x / (−1) = −x``, shapes permitting."""

    roots = ("Sub", "Mul", "Div")
    operands = (CONSTANT,)
    examples = (
        example(lambda x: raw.Sub(np.float32(0), x), _F2),
        example(lambda x: raw.Mul(np.float32(-1), x), _F2),
        example(lambda x: raw.Div(x, np.float32(-1)), _F2),
        example(lambda x: raw.Mul(_f32([[-1], [-1]]), x), _F2, refuses="the operand is spread"),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        a, b = node.inputs
        if not (is_float(node.output.dtype) or node.output.dtype in ("int32", "int64")):
            return None
        if node.op == "Sub":
            x = b if splat(a) == 0 else None
        else:
            x = a if splat(b) == -1 else b if node.op == "Mul" and splat(a) == -1 else None
        if x is None:
            return None
        return op.Neg(x) if x.shape == node.output.shape else Refusal("the operand is spread", x)


class MulByReciprocal(LocalRule):
    """``x · (1 / y) = x / y`` for Reciprocal(y) and for Div(1, y)."""

    roots = ("Mul",)
    operands = ("Reciprocal", "Div")
    examples = (
        example(lambda x, y: raw.Mul(raw.Reciprocal(x), y), _F2, _F2),
        example(lambda x, y: raw.Mul(x, raw.Div(np.float32(1), y)), _F2, _F2),
        example(
            lambda x, y: (lambda r: (raw.Mul(x, r), raw.Exp(r)))(raw.Reciprocal(y)),
            _F2,
            _F2,
            refuses="1 / y is used elsewhere",
        ),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        for slot in (1, 0):
            made = node.inputs[slot].producer if node.inputs[slot] is not None else None  # type: ignore[union-attr]
            if made is None or made.op_id not in ("Reciprocal", "Div") or not is_float(made.output.dtype):
                continue
            if made.op == "Div" and (splat(made.inputs[0]) != 1 or made.inputs[0].ndim > made.inputs[1].ndim):  # type: ignore[union-attr]
                continue
            if len(made.output.uses) > 1 or made.output.is_output:
                return Refusal("1 / y is used elsewhere", made.output)
            return op.Div(node.inputs[1 - slot], made.inputs[-1])
        return None


class PowToProduct(LocalRule):
    """``x ** 2 = x · x``, ``x ** 0.5 = sqrt(x)``, ``x ** −1 = 1 / x``, the last two for floats."""

    roots = ("Pow",)
    operands = (CONSTANT,)
    examples = (
        example(lambda x: raw.Pow(x, np.float32(2)), _F2),
        example(lambda x: raw.Pow(raw.Abs(x), np.float32(0.5)), _F2),
        example(lambda x: raw.Pow(x, np.float32(-1)), _F2),
        example(lambda x: raw.Pow(x, _f32([[2], [2]])), _F2, refuses="the base is spread"),
        example(lambda x: raw.Pow(x, np.int32(-1)), "int32[2]", refuses="the base is no float"),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        x, exponent = node.inputs
        number = splat(exponent)
        if x is None or number not in (2, 0.5, -1):
            return None
        if x.shape != node.output.shape:
            return Refusal("the base is spread", x)
        if number == 2:
            return op.Mul(x, x)
        if not is_float(x.dtype):
            return Refusal("the base is no float", x)
        return op.Sqrt(x) if number == 0.5 else op.Reciprocal(x)


def _constant_and_rest(node: Node | None) -> tuple[Value, Value, int] | None:
    """Return (constant, other operand, slot of the constant) of an operator of two operands, one of them constant."""
    if node is None or len(node.inputs) != 2:
        return None
    a, b = node.inputs
    if a is None or b is None or (a.data is None) == (b.data is None):
        return None
    return (a, b, 0) if a.data is not None else (b, a, 1)


class JoinFactors(LocalRule):
    """``(x · c) · d = x · cd``, ``(x / c) · d = x · (d / c)``, ``(x · c) / d = x · (c / d)``, ``(x / c) / d = x / cd``.

    For floats, where the joined constant is finite and not zero and no larger than the two it comes from.
    """

    roots = ("Mul", "Div")
    operands = (CONSTANT,)
    examples = (
        example(lambda x: raw.Mul(raw.Mul(x, np.float32(3)), np.float32(5)), _F2),
        example(lambda x: raw.Mul(_f32([3, 4]), raw.Mul(np.float32(5), x)), _F2),
        example(lambda x: raw.Mul(raw.Div(x, np.float32(3)), np.float32(5)), _F2),
        example(lambda x: raw.Div(raw.Mul(x, np.float32(3)), np.float32(5)), _F2),
        example(lambda x: raw.Div(raw.Div(x, np.float32(3)), np.float32(5)), _F2),
        example(
            lambda x: raw.Mul(raw.Mul(x, np.float32(1e30)), np.float32(1e30)),
            _F2,
            refuses="the joined constant is not finite or is 0",
        ),
        example(
            lambda x: raw.Mul(raw.Mul(x, _f32([[2], [3]])), _f32([2, 3])),
            _F2,
            refuses="the joined constant is larger",
        ),
        example(
            lambda x: (lambda p: (raw.Mul(p, np.float32(2)), raw.Exp(p)))(raw.Mul(x, np.float32(3))),
            _F2,
            refuses="an inner value is used elsewhere",
        ),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        outer = _constant_and_rest(node)
        inner_node = outer[1].producer if outer is not None else None
        if (
            outer is None
            or inner_node is None
            or inner_node.op_id not in ("Mul", "Div")
            or not is_float(node.output.dtype)
        ):
            return None
        inner = _constant_and_rest(inner_node)
        # A constant divided by x is another story.
        if inner is None or (node.op == "Div" and outer[2] == 0) or (inner_node.op == "Div" and inner[2] == 0):
            return None
        if len(outer[1].uses) > 1 or outer[1].is_output:
            return Refusal("an inner value is used elsewhere", outer[1])
        c, d = inner[0].data, outer[0].data
        assert c is not None and d is not None
        if c.ndim > inner[1].ndim or np.broadcast(c, d).size > max(c.size, d.size):
            return Refusal("the joined constant is larger", outer[0])
        both_divide = inner_node.op == "Div" and node.op == "Div"
        with np.errstate(all="ignore"):
            if inner_node.op == node.op:
                joined = c * d
            else:
                joined = d / c if inner_node.op == "Div" else c / d
        joined = np.asarray(joined, c.dtype)
        if not np.isfinite(joined.astype(np.float64)).all() or (joined == 0).any():
            return Refusal("the joined constant is not finite or is 0", outer[0])
        return op.Div(inner[1], joined) if both_divide else op.Mul(inner[1], joined)


RULES: tuple[Rule, ...] = (
    NeutralElement(),
    AddOfNegated(),
    NegOfSub(),
    ProductOfNegated(),
    NegFromConstants(),
    MulByReciprocal(),
    PowToProduct(),
    JoinFactors(),
)
