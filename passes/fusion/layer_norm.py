"""Layer normalisation: ``(x − μ) / √(σ² + ε) · γ + β`` over the last axes (Ba, Kiros and Hinton, 2016)."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngraph.ir import Value
from nngraph.ops import raw
from passes.build import Builder, splat
from passes.pattern import Match
from passes.rewrite import PatternRule, Refusal, Rule, example
from passes.simplify.reductions import axes_of

__all__ = ["RULES"]


def _norm(x: Any, axes: Any, epsilon: Any = None) -> Any:
    over = np.array(axes, np.int64)
    away = raw.Sub(x, raw.ReduceMean(x, over, keepdims=1))
    variance = raw.ReduceMean(raw.Mul(away, away), over, keepdims=1)
    return raw.Div(away, raw.Sqrt(raw.Add(variance, np.float32(1e-3) if epsilon is None else epsilon)))


class LayerNorm(PatternRule):
    """``(x − mean(x)) / √(mean((x − mean(x))²) + ε) · γ + β = LayerNormalization(x, γ, β)`` over the last axes."""

    examples = (
        example(
            lambda x, s, b: raw.Add(raw.Mul(_norm(x, [-1]), s), b), "float32[batch, 4]", "float32[4]", "float32[4]"
        ),
        example(
            lambda x, s, b: raw.Add(b, raw.Mul(s, _norm(x, [1, 2]))),
            "float32[2, 3, 4]",
            "float32[3, 4]",
            "float32[3, 4]",
        ),
        example(
            lambda x, s, b: raw.Add(raw.Mul(_norm(x, [0]), s), b),
            "float32[2, 4]",
            "float32[4]",
            "float32[4]",
            refuses="it does not run over the last axes",
        ),
        example(
            lambda x, s, b: raw.Add(raw.Mul(_norm(x, [-1]), s), b),
            "float32[2, 4]",
            "float32[2, 1]",
            "float32[4]",
            refuses="scale and offset do not have the normalised axes",
        ),
        example(
            lambda x, s, b: raw.Add(raw.Mul(_norm(x, [-1], raw.ReduceMax(raw.Abs(b))), s), b),
            "float32[2, 4]",
            "float32[4]",
            "float32[4]",
            refuses="epsilon is not a constant",
        ),
        example(
            lambda x, s, b: raw.Add(raw.Mul(_norm(x, [-1], np.float64(1e-3)), s), b),
            "float64[2, 4]",
            "float64[4]",
            "float64[4]",
            refuses="it computes in single precision",
        ),
    )

    @staticmethod
    def pattern(op: Any, x: Any, axes: Any, axes_again: Any, epsilon: Any, scale: Any, offset: Any) -> Any:
        away = op.Sub(x, op.ReduceMean(x, axes, keepdims=1, _bind="mean"))
        square = op.either(op.Mul(away, away), op.Pow(away, 2.0))
        variance = op.ReduceMean(square, axes_again, keepdims=1, _bind="variance")
        return op.Add(op.Mul(op.Div(away, op.Sqrt(op.Add(variance, epsilon))), scale), offset)

    def check(self, match: Match) -> Refusal | None:
        axes, rank = axes_of(match.node("mean")), match.x.ndim
        if not axes or axes != axes_of(match.node("variance")) or axes != tuple(range(axes[0], rank)):
            return match.refuse("it does not run over the last axes", match.axes)
        shape = match.x.shape[axes[0] :]
        if match.scale.shape != shape or match.offset.shape != shape:
            return match.refuse("scale and offset do not have the normalised axes", match.scale)
        if splat(match.epsilon) is None or match.epsilon.type.size != 1:
            return match.refuse("epsilon is not a constant", match.epsilon)
        if match.x.dtype != "float32":
            return match.refuse("it computes in single precision", match.x)
        return None

    def rewrite(self, op: Builder, match: Match) -> Value:
        axes = axes_of(match.node("mean"))
        assert axes
        value: Value = op.LayerNormalization(
            match.x, match.scale, match.offset, axis=axes[0] - match.x.ndim, epsilon=splat(match.epsilon)
        )
        return value


RULES: tuple[Rule, ...] = (LayerNorm(),)
