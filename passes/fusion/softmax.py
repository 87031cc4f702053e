"""Softmax: ``exp(x) / Σ exp(x)``, its logarithm, and the sum that is 1."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngraph.ir import Node, Value, numpy_dtype
from nngraph.ops import raw
from passes.build import Builder
from passes.pattern import Match
from passes.rewrite import LocalRule, PatternRule, Refusal, Result, Rule, example
from passes.simplify.reductions import axes_of

__all__ = ["RULES"]

_X = "float32[batch, 4]"


class LogOfSoftmax(PatternRule):
    """``log(Softmax(x)) = LogSoftmax(x)``, which also stays finite where Softmax is 0."""

    examples = (
        example(lambda x: raw.Log(raw.Softmax(x, axis=-1)), _X),
        example(lambda x: raw.Log(raw.Softmax(x, axis=0)), "float32[2, 3]"),
        example(lambda x: (lambda p: (raw.Log(p), p))(raw.Softmax(x)), _X, refuses="an inner value is used elsewhere"),
    )

    @staticmethod
    def pattern(op: Any, x: Any) -> Any:
        return op.Log(op.Softmax(x, _bind="softmax"))

    def rewrite(self, op: Builder, match: Match) -> Value:
        value: Value = op.LogSoftmax(match.x, axis=match.node("softmax").attributes.get("axis", -1))
        return value


def _exponentials(x: Any) -> Any:
    return raw.Exp(raw.Sub(x, raw.ReduceMax(x, np.array([-1]), keepdims=1)))


class ExpToSoftmax(PatternRule):
    """``e / Σ e = Softmax(x)`` for ``e = exp(x − max x)``, all along one axis."""

    examples = (
        example(lambda x: (lambda e: raw.Div(e, raw.ReduceSum(e, np.array([-1]), keepdims=1)))(_exponentials(x)), _X),
        example(
            lambda x: (lambda e: raw.Div(e, raw.ReduceSum(e, np.array([0]), keepdims=1)))(_exponentials(x)),
            "float32[2, 3]",
            refuses="maximum and sum do not run over one and the same axis",
        ),
    )

    @staticmethod
    def pattern(op: Any, x: Any, over: Any, over_again: Any) -> Any:
        e = op.Exp(op.Sub(x, op.ReduceMax(x, over, keepdims=1, _bind="max")))
        return op.Div(e, op.ReduceSum(e, over_again, keepdims=1, _bind="sum"))

    def check(self, match: Match) -> Refusal | None:
        axes = axes_of(match.node("max"))
        if axes is None or len(axes) != 1 or axes != axes_of(match.node("sum")):
            return match.refuse("maximum and sum do not run over one and the same axis", match.x)
        return None

    def rewrite(self, op: Builder, match: Match) -> Value:
        axes = axes_of(match.node("max"))
        assert axes is not None
        value: Value = op.Softmax(match.x, axis=axes[0])
        return value


class SumOfSoftmax(LocalRule):
    """``Σ Softmax(x) = 1`` along its axis; losses that normalise probabilities divide by it."""

    roots = ("ReduceSum",)
    operands = ("Softmax",)
    examples = (
        example(lambda x: raw.Neg(raw.ReduceSum(raw.Softmax(x), np.array([-1]), keepdims=1)), "float32[2, 4]"),
        example(lambda x: raw.Neg(raw.ReduceSum(raw.Softmax(x, axis=0), np.array([0]), keepdims=0)), "float32[2, 4]"),
        example(
            lambda x: raw.ReduceSum(raw.Softmax(x, axis=1), np.array([0]), keepdims=1),
            "float32[2, 4]",
            refuses="it runs over another axis",
        ),
        example(
            lambda x: raw.ReduceSum(raw.Softmax(x), np.array([-1]), keepdims=1), _X, refuses="its size is not known"
        ),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        p = node.inputs[0]
        made = p.producer if p is not None else None
        if p is None or made is None or made.op_id != "Softmax":
            return None
        if axes_of(node) != (made.attributes.get("axis", -1) % p.ndim,):
            return Refusal("it runs over another axis", p)
        if not node.output.type.is_static:
            return Refusal("its size is not known", node.output)
        return op.constant(np.ones(node.output.shape, numpy_dtype(p.dtype)), "one")


def _gradient(g: Any, p: Any, axes: Any = (-1,)) -> Any:
    return raw.Mul(raw.Sub(g, raw.ReduceSum(raw.Mul(g, p), np.array(axes), keepdims=1)), p)


class GradientOfSoftmax(PatternRule):
    """``((g ± c) − Σ (g ± c) p) p = (g − Σ g p) p`` for ``p = Softmax(x)`` and c that is the same along its axis.

    Losses that divide p by its sum add such a c to the gradient.
    """

    shared_nodes = ("softmax",)
    examples = (
        example(lambda x, g, c: _gradient(raw.Add(g, c), raw.Softmax(x)), _X, _X, "float32[batch, 1]"),
        example(lambda x, g, c: _gradient(raw.Add(c, g), raw.Softmax(x)), _X, _X, "float32[]"),
        example(lambda x, g, c: _gradient(raw.Sub(g, c), raw.Softmax(x)), _X, _X, "float32[1, 1]"),
        example(
            lambda x, g, c: (lambda s: (_gradient(s, raw.Softmax(x)), s))(raw.Add(g, c)),
            _X,
            _X,
            "float32[batch, 1]",
            refuses="an inner value is used elsewhere",
        ),
        example(
            lambda x, g, c: _gradient(raw.Add(g, c), raw.Softmax(x)),
            _X,
            _X,
            _X,
            refuses="c differs along the axis of Softmax",
        ),
        example(
            lambda x, g, c: _gradient(raw.Add(g, c), raw.Softmax(x), [0]),
            _X,
            _X,
            "float32[batch, 1]",
            refuses="the sum does not run over the axis of Softmax",
        ),
        example(
            lambda x, g, c: _gradient(raw.Add(g, c), raw.Softmax(x)),
            _X,
            "float32[4]",
            "float32[batch, 1]",
            refuses="g is spread",
        ),
    )

    @staticmethod
    def pattern(op: Any, x: Any, g: Any, c: Any, axes: Any) -> Any:
        p = op.Softmax(x, _bind="softmax")
        whole = op.either(op.Add(g, c), op.Sub(g, c))
        return op.Mul(op.Sub(whole, op.ReduceSum(op.Mul(whole, p), axes, keepdims=1, _bind="sum")), p)

    def check(self, match: Match) -> Refusal | None:
        softmax = match.node("softmax")
        rank = match.x.ndim
        axis = softmax.attributes.get("axis", -1) % rank
        if axes_of(match.node("sum")) != (axis,):
            return match.refuse("the sum does not run over the axis of Softmax", match.axes)
        along = axis - rank + match.c.ndim  # where c has that axis, if it does
        if along >= 0 and match.c.shape[along] != 1:
            return match.refuse("c differs along the axis of Softmax", match.c)
        if match.g.shape != match.x.shape:
            return match.refuse("g is spread", match.g)
        return None

    def rewrite(self, op: Builder, match: Match) -> Value:
        p = match.node("softmax").output
        total = op.ReduceSum(op.Mul(match.g, p), match.axes, keepdims=1)
        value: Value = op.Mul(op.Sub(match.g, total), p)
        return value


RULES: tuple[Rule, ...] = (LogOfSoftmax(), ExpToSoftmax(), SumOfSoftmax(), GradientOfSoftmax())
