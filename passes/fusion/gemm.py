"""Gemm: matrix product, transposes and bias in one node.

``Gemm(a, b, c, transA, transB) = aᵀ bᵀ + c``, each transpose where its attribute says so.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nngraph.ir import Node, Value, is_float
from nngraph.ops import raw
from passes.build import Builder, splat
from passes.pattern import Match
from passes.rewrite import CONSTANT, LocalRule, PatternRule, Refusal, Result, Rule, example
from passes.simplify.transposes import permutation
from passes.simplify.views import reshape_target, reshaped

__all__ = ["RULES"]


class TransposeIntoGemm(LocalRule):
    """``MatMul(aᵀ, b) = Gemm(a, b, transA=1)`` for matrices, likewise bᵀ, and likewise inside a Gemm."""

    roots = ("MatMul", "Gemm")
    operands = ("Transpose",)
    examples = (
        example(lambda a, b: raw.MatMul(raw.Transpose(a, perm=(1, 0)), b), "float32[3, 2]", "float32[3, 4]"),
        example(lambda a, b: raw.MatMul(a, raw.Transpose(b)), "float32[batch, 2]", "float32[4, 2]"),
        example(lambda a, b: raw.Gemm(raw.Transpose(a), b, transA=1, alpha=2.0), "float32[2, 3]", "float32[3, 4]"),
        example(lambda a, b: raw.Gemm(a, raw.Transpose(b), b), "float32[4, 4]", "float32[4, 4]"),
        example(
            lambda a, b: raw.MatMul(a, raw.Transpose(b)),
            "int32[3, 2]",
            "int32[4, 2]",
            refuses="Gemm is for floats here",
        ),
        example(
            lambda a, b: raw.MatMul(raw.Transpose(a, perm=(0, 2, 1)), b),
            "float32[5, 3, 2]",
            "float32[3, 4]",
            refuses="it is no product of matrices",
        ),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        a, b = node.inputs[0], node.inputs[1]
        transposed = [v for v in (a, b) if v is not None and v.producer is not None and v.producer.op_id == "Transpose"]
        if a is None or b is None or not transposed:
            return None
        if a.ndim != 2 or b.ndim != 2:
            return Refusal("it is no product of matrices", a if a.ndim != 2 else b)
        if not is_float(a.dtype):
            return Refusal("Gemm is for floats here", a)
        attributes = dict(node.attributes)
        inputs: list[Any] = [a, b, *node.inputs[2:]]
        for slot, key in enumerate(("transA", "transB")):
            made = inputs[slot].producer
            if made is not None and made.op_id == "Transpose" and permutation(made) == (1, 0):
                inputs[slot] = made.inputs[0]
                attributes[key] = 1 - attributes.get(key, 0)
        return op.node("Gemm", inputs, **attributes)


class AddIntoGemm(PatternRule):
    """``MatMul(a, b) + c = Gemm(a, b, c)`` and ``Gemm(a, b) + c = Gemm(a, b, c)`` for matrices of floats."""

    examples = (
        example(lambda a, b, c: raw.Add(raw.MatMul(a, b), c), "float32[batch, 3]", "float32[3, 4]", "float32[4]"),
        example(
            lambda a, b, c: raw.Add(c, raw.Gemm(a, b, transA=1)), "float32[3, 2]", "float32[3, 4]", "float32[2, 1]"
        ),
        example(
            lambda a, b, c: raw.Add(raw.MatMul(a, b), c),
            "float32[5, 2, 3]",
            "float32[3, 4]",
            "float32[4]",
            refuses="it is no product of matrices",
        ),
        example(
            lambda a, b, c: raw.Add(raw.MatMul(a, b), c),
            "float32[2, 3]",
            "float32[3, 4]",
            "float32[5, 2, 4]",
            refuses="the sum is larger than the product",
        ),
        example(
            lambda a, b, c: raw.Add(raw.MatMul(a, b), c),
            "int32[2, 3]",
            "int32[3, 4]",
            "int32[4]",
            refuses="Gemm is for floats here",
        ),
        example(
            lambda a, b, c: (lambda p: (raw.Add(p, c), raw.Exp(p)))(raw.MatMul(a, b)),
            "float32[2, 3]",
            "float32[3, 4]",
            "float32[4]",
            refuses="an inner value is used elsewhere",
        ),
    )

    @staticmethod
    def pattern(op: Any, a: Any, b: Any, c: Any) -> Any:
        return op.Add(op.either(op.MatMul(a, b, _bind="product"), op.Gemm(a, b, _bind="product")), c)

    def check(self, match: Match) -> Refusal | None:
        if match.a.ndim != 2 or match.b.ndim != 2:
            return match.refuse("it is no product of matrices", match.a)
        if not is_float(match.a.dtype):
            return match.refuse("Gemm is for floats here", match.a)
        product = match.nodes[1].output
        spread = zip(reversed(match.c.shape), reversed(product.shape), strict=False)
        if match.c.ndim > 2 or any(mine not in (1, whole) for mine, whole in spread):
            return match.refuse("the sum is larger than the product", match.c)
        return None

    def rewrite(self, op: Builder, match: Match) -> Value:
        product = match.nodes[1]
        attributes = {k: v for k, v in product.attributes.items() if k != "beta"}
        value: Value = op.node("Gemm", [match.a, match.b, match.c], **attributes)
        return value


class FactorIntoGemm(LocalRule):
    """``Gemm(a, b) · c = Gemm(a, b, alpha=c)`` for a number c in single precision, also through a Reshape."""

    roots = ("Mul",)
    operands = (CONSTANT,)
    examples = (
        example(
            lambda a, b: raw.Mul(raw.Reshape(raw.Gemm(a, b, transB=1, alpha=3.0), np.array([2, 3, 5])), np.float32(2)),
            "float32[6, 4]",
            "float32[5, 4]",
        ),
        example(lambda a, b: raw.Mul(np.float32(2), raw.Gemm(a, b)), "float32[6, 4]", "float32[4, 5]"),
        example(
            lambda a, b: raw.Mul(raw.Gemm(a, b), np.full((2, 1, 1), 2, np.float32)),
            "float32[6, 4]",
            "float32[4, 5]",
            refuses="the product is spread",
        ),
        example(
            lambda a, b: (lambda p: (raw.Mul(p, np.float32(2)), raw.Exp(p)))(
                raw.Reshape(raw.Gemm(a, b), np.array([2, 2, 4]))
            ),
            "float32[4, 4]",
            "float32[4, 4]",
            refuses="the product is needed otherwise",
        ),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        for slot in (0, 1):
            value, factor = node.inputs[slot], splat(node.inputs[1 - slot])
            product = _viewed(value)
            gemm = product.producer if product is not None else None
            if value is None or product is None or factor is None or gemm is None or gemm.op_id != "Gemm":
                continue
            if len(gemm.inputs) > 2 or value.dtype != "float32" or not value.type.is_static:
                continue
            if value.shape != node.output.shape:
                return Refusal("the product is spread", value)
            if any(len(v.uses) > 1 or v.is_output for v in (value, product)):
                return Refusal("the product is needed otherwise", value)
            attributes = {**gemm.attributes, "alpha": gemm.attributes.get("alpha", 1.0) * factor}
            scaled: Value = op.node("Gemm", gemm.inputs, **attributes)
            target = reshape_target(value.shape)
            return scaled if product is value or target is None else reshaped(op, scaled, target)
        return None


def _viewed(value: Value | None) -> Value | None:
    """Return what a value is a Reshape of, or else the value."""
    made = value.producer if value is not None else None
    return made.inputs[0] if made is not None and made.op_id == "Reshape" else value


class ScaleIntoWeights(PatternRule):
    """``MatMul(x, w) · s = MatMul(x, w s)`` for constants w and s, one factor a column."""

    examples = (
        example(
            lambda x: raw.Mul(raw.MatMul(x, np.ones((3, 2), np.float32)), np.array([2, 3], np.float32)),
            "float32[batch, 3]",
        ),
        example(
            lambda x, w: raw.Mul(raw.MatMul(x, w), np.array([2, 3], np.float32)),
            "float32[batch, 3]",
            "float32[3, 2]",
            refuses="weights or factors are not constant",
        ),
        example(
            lambda x: raw.Mul(raw.MatMul(x, np.ones((3, 2), np.float32)), np.ones((4, 1), np.float32) * 2),
            "float32[4, 3]",
            refuses="the factors do not belong to columns",
        ),
        example(
            lambda x: (
                lambda w: raw.Add(
                    raw.Mul(raw.MatMul(x, w), np.array([2, 3], np.float32)), raw.ReduceSum(raw.MatMul(x, w))
                )
            )(x.graph.add_constant(np.ones((3, 2), np.float32))),
            "float32[4, 3]",
            refuses="the weights are shared",
        ),
    )

    @staticmethod
    def pattern(op: Any, x: Any, w: Any, s: Any) -> Any:
        return op.Mul(op.MatMul(x, w), s)

    def check(self, match: Match) -> Refusal | None:
        if match.w.data is None or match.s.data is None:
            return match.refuse("weights or factors are not constant", match.w)
        columns = match.w.shape[-1]
        if (
            match.w.ndim != 2
            or match.s.shape not in ((), (1,), (columns,), (1, columns))
            or match.s.ndim > match.x.ndim
        ):
            return match.refuse("the factors do not belong to columns", match.s)
        if len(match.w.uses) > 1:
            return match.refuse("the weights are shared", match.w)
        return None

    def rewrite(self, op: Builder, match: Match) -> Value:
        assert match.w.data is not None and match.s.data is not None
        value: Value = op.MatMul(match.x, (match.w.data * match.s.data).astype(match.w.data.dtype))
        return value


RULES: tuple[Rule, ...] = (
    ScaleIntoWeights(),
    AddIntoGemm(),
    FactorIntoGemm(),
    TransposeIntoGemm(),
)
