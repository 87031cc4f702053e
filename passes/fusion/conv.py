"""Convolutions take up what follows or precedes them: padding, bias, and scales and statistics that are constant.

With w' = s w and b' = s b + t for each output channel, ``s · Conv(x, w, b) + t = Conv(x, w', b')``. Batch normalisation
with fixed statistics is the case s = γ / √(σ² + ε), t = β − s μ (Ioffe and Szegedy, 2015).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nngraph.ir import Node, Value
from nngraph.ops import raw
from nngraph.ops.vjp_conv import conv_input_grad, conv_weight_grad
from passes.build import Builder
from passes.pattern import Match
from passes.rewrite import LocalRule, PatternRule, Refusal, Result, Rule, example

__all__ = ["RULES"]

_X = "float32[batch, 2, 5, 5]"
_W = "float32[3, 2, 3, 3]"


def _ramp(*shape: int) -> Any:
    return np.linspace(0.5, 2, int(np.prod(shape)), dtype=np.float32).reshape(shape)


def _is_per_channel(value: Value, output: Value) -> bool:
    """Whether a tensor that broadcasts to an image has one number for each channel, or one for all."""
    shape = (1,) * (output.ndim - value.ndim) + value.shape
    return value.ndim <= output.ndim and all(d == 1 for k, d in enumerate(shape) if k != 1)


def _channels(value: Value, output: Value) -> np.ndarray[Any, Any]:
    """Return the numbers of a constant, one for each channel."""
    assert value.data is not None
    return np.broadcast_to(value.data.reshape(-1), (output.shape[1],))  # type: ignore[arg-type]


class AddIntoConv(PatternRule):
    """``Conv(x, w) + c = Conv(x, w, c)`` and ``Conv(x, w, b) + c = Conv(x, w, b + c)``, c one number a channel."""

    examples = (
        example(lambda x, w, b: raw.Add(raw.Conv(x, w), b), _X, _W, "float32[3, 1, 1]"),
        example(lambda x, w, b: raw.Add(raw.Conv(x, w, b), _ramp(3, 1, 1)), _X, _W, "float32[3]"),
        example(lambda x, w, b, c: raw.Add(raw.Conv(x, w, b), c), _X, _W, "float32[3]", "float32[3, 1, 1]"),
        example(lambda x, w: raw.Add(_ramp(1, 3, 1, 1), raw.Conv(x, w, strides=(2, 2))), _X, _W),
        example(
            lambda x, w, b: raw.Add(raw.Conv(x, w), b), _X, _W, "float32[3]", refuses="it is not one number a channel"
        ),
        example(
            lambda x, w, b: (lambda y: (raw.Add(y, b), raw.Exp(y)))(raw.Conv(x, w)),
            _X,
            _W,
            "float32[3, 1, 1]",
            refuses="an inner value is used elsewhere",
        ),
    )

    @staticmethod
    def pattern(op: Any, x: Any, w: Any, b: Any, c: Any) -> Any:
        return op.Add(op.either(op.Conv(x, w), op.Conv(x, w, b)), c)

    def check(self, match: Match) -> Refusal | None:
        # One number for all channels is left to constants: as a bias it would have to be spread first.
        channels = match.w.shape[0]
        one_each = match.c.data is not None or match.c.type.size == channels
        if not _is_per_channel(match.c, match.root.output) or not one_each:
            return match.refuse("it is not one number a channel", match.c)
        return None

    def rewrite(self, op: Builder, match: Match) -> Value:
        conv, b, c = match.nodes[1], match.values.get("b"), match.c
        bias: Any = (
            op.Reshape(c, np.array([-1], np.int64)) if c.data is None else _channels(c, match.root.output).copy()
        )
        if b is not None:
            bias = b.data + bias if b.data is not None and c.data is not None else op.Add(b, bias)
        value: Value = op.node("Conv", [match.x, match.w, bias], **conv.attributes)
        return value


class ScaleIntoConv(PatternRule):
    """``s · Conv(x, w, b) = Conv(x, s w, s b)`` for constants, s one number a channel."""

    examples = (
        example(lambda x: raw.Mul(raw.Conv(x, _ramp(3, 2, 3, 3)), _ramp(3, 1, 1)), _X),
        example(lambda x: raw.Mul(raw.Conv(x, _ramp(3, 2, 3, 3), _ramp(3)), _ramp(1, 3, 1, 1)), _X),
        example(
            lambda x, w: raw.Mul(raw.Conv(x, w), _ramp(3, 1, 1)), _X, _W, refuses="weights or factors are not constant"
        ),
        example(
            lambda x: raw.Mul(raw.Conv(x, _ramp(3, 2, 3, 3)), _ramp(3)), _X, refuses="it is not one number a channel"
        ),
        example(
            lambda x: (lambda w: (raw.Mul(raw.Conv(x, w), _ramp(3, 1, 1)), raw.Conv(x, w, strides=(2, 2))))(
                x.graph.add_constant(_ramp(3, 2, 3, 3))
            ),
            _X,
            refuses="the weights are shared",
        ),
    )

    @staticmethod
    def pattern(op: Any, x: Any, w: Any, b: Any, s: Any) -> Any:
        return op.Mul(op.either(op.Conv(x, w), op.Conv(x, w, b)), s)

    def check(self, match: Match) -> Refusal | None:
        if not _is_per_channel(match.s, match.root.output):
            return match.refuse("it is not one number a channel", match.s)
        return _refuse_constants(match, match.values.get("b"), match.s)

    def rewrite(self, op: Builder, match: Match) -> Value:
        factor = _channels(match.s, match.root.output)
        return _scaled(op, match, match.nodes[1], factor, np.zeros_like(factor))


class NormIntoConv(PatternRule):
    """``BatchNormalization(Conv(x, w, b), γ, β, μ, σ²) = Conv(x, s w, s (b − μ) + β)``, all but x constant."""

    examples = (
        example(lambda x: raw.BatchNormalization(raw.Conv(x, _ramp(3, 2, 3, 3)), *[_ramp(3)] * 4), _X),
        example(
            lambda x: raw.BatchNormalization(raw.Conv(x, _ramp(3, 2, 3, 3), _ramp(3)), *[_ramp(3)] * 4, epsilon=0.1), _X
        ),
        example(
            lambda x, m: raw.BatchNormalization(raw.Conv(x, _ramp(3, 2, 3, 3)), _ramp(3), _ramp(3), m, _ramp(3)),
            _X,
            "float32[3]",
            refuses="weights or factors are not constant",
        ),
        example(
            lambda x: (
                lambda w: (raw.BatchNormalization(raw.Conv(x, w), *[_ramp(3)] * 4), raw.Conv(x, w, strides=(2, 2)))
            )(x.graph.add_constant(_ramp(3, 2, 3, 3))),
            _X,
            refuses="the weights are shared",
        ),
    )

    @staticmethod
    def pattern(op: Any, x: Any, w: Any, b: Any, gamma: Any, beta: Any, mean: Any, variance: Any) -> Any:
        conv = op.either(op.Conv(x, w), op.Conv(x, w, b))
        return op.BatchNormalization(conv, gamma, beta, mean, variance, training_mode=0)

    def check(self, match: Match) -> Refusal | None:
        given = (match.values.get("b"), match.gamma, match.beta, match.mean, match.variance)
        return _refuse_constants(match, *given)

    def rewrite(self, op: Builder, match: Match) -> Value:
        gamma, beta, mean, variance = (
            np.asarray(v.data) for v in (match.gamma, match.beta, match.mean, match.variance)
        )
        factor = gamma / np.sqrt(variance + variance.dtype.type(match.root.attributes.get("epsilon", 1e-5)))
        return _scaled(op, match, match.nodes[1], factor, beta - factor * mean)


def _refuse_constants(match: Match, *values: Value | None) -> Refusal | None:
    if match.w.data is None or any(v is not None and v.data is None for v in values):
        return match.refuse("weights or factors are not constant", match.w)
    if len(match.w.uses) > 1:
        return match.refuse("the weights are shared", match.w)
    return None


def _scaled(op: Builder, match: Match, conv: Node, factor: Any, offset: Any) -> Value:
    w, bias = match.w.data, match.values.get("b")
    assert w is not None
    weights = (w * factor.reshape((-1,) + (1,) * (w.ndim - 1))).astype(w.dtype)
    if bias is not None and bias.data is not None:
        offset = offset + factor * bias.data
    inputs = [match.x, weights, offset.astype(w.dtype)] if bias is not None or offset.any() else [match.x, weights]
    value: Value = op.node("Conv", inputs, **conv.attributes)
    return value


class PadIntoConv(LocalRule):
    """``Conv(Pad(x, p), w) = Conv(x, w, pads + p)`` when zeros are padded around the spatial axes.

    The same holds for the gradient of the kernel, which reads the same padded image.
    """

    roots = ("Conv", "nngraph::ConvWeightGrad")
    operands = ("Pad",)
    examples = (
        example(
            lambda x, g: conv_weight_grad(
                raw.Pad(x, _pads(0, 0, 1, 1, 0, 0, 1, 1)), g, kernel_shape=(3, 3), strides=(2, 2), dilations=(1, 1)
            ),
            "float32[4, 2, 5, 5]",
            "float32[4, 3, 3, 3]",
        ),
        example(lambda x, w: raw.Conv(raw.Pad(x, _pads(0, 0, 1, 2, 0, 0, 3, 0)), w, pads=(1, 1, 0, 0)), _X, _W),
        example(
            lambda x, w: raw.Conv(raw.Pad(x, _pads(0, 0, 1, 1, 0, 0, 1, 1), np.float32(7)), w),
            _X,
            _W,
            refuses="something else than zeros is padded",
        ),
        example(
            lambda x, w: raw.Conv(raw.Pad(x, _pads(0, 1, 0, 0, 0, 0, 0, 0)), w),
            "float32[batch, 1, 5, 5]",
            _W,
            refuses="other axes than the spatial ones are padded",
        ),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        padded = node.inputs[0]
        pad = padded.producer if padded is not None else None
        if pad is None or pad.op_id != "Pad" or node.attributes.get("auto_pad", "NOTSET") != "NOTSET":
            return None
        amounts, number = pad.inputs[1], pad.inputs[2] if len(pad.inputs) > 2 else None
        if amounts is None or amounts.data is None or len(pad.inputs) > 3:
            return None
        zero = number is None or (number.data is not None and not number.data.any())
        if not zero or pad.attributes.get("mode", "constant") != "constant":
            return Refusal("something else than zeros is padded", padded)
        rank = node.output.ndim
        amount = [int(i) for i in amounts.data]
        before, after = amount[:rank], amount[rank:]
        if any((*before[:2], *after[:2])) or min(amount) < 0:
            return Refusal("other axes than the spatial ones are padded", padded)
        pads = node.attributes.get("pads") or (0,) * (2 * (rank - 2))
        total = tuple(a + b for a, b in zip(pads, (*before[2:], *after[2:]), strict=True))
        attributes = {**node.attributes, "pads": total}
        return op.node(node.op, [pad.inputs[0], *node.inputs[1:]], _domain=node.domain, **attributes)


class CropOfInputGrad(LocalRule):
    """``Pad(ConvInputGrad(g, w, spatial=n, pads=p), -c) = ConvInputGrad(g, w, spatial=n - c, pads=p + c)``.

    The gradient of an image that was padded is the inner part of the padded image's gradient.
    """

    roots = ("Pad",)
    operands = ("nngraph::ConvInputGrad",)
    examples = (
        example(
            lambda g, w: raw.Pad(
                conv_input_grad(g, w, strides=(2, 2), dilations=(1, 1), spatial=(7, 7)),
                _pads(0, 0, -1, -1, 0, 0, -1, -1),
            ),
            "float32[4, 3, 3, 3]",
            _W,
        ),
        example(
            lambda g, w: (lambda y: (raw.Pad(y, _pads(0, 0, -1, -1, 0, 0, -1, -1)), raw.Exp(y)))(
                conv_input_grad(g, w, strides=(1, 1), dilations=(1, 1), spatial=(5, 5))
            ),
            "float32[4, 3, 3, 3]",
            _W,
            refuses="the whole gradient is used elsewhere",
        ),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        whole, amounts = node.inputs[0], node.inputs[1]
        made = whole.producer if whole is not None else None
        if whole is None or made is None or made.op_id != "nngraph::ConvInputGrad" or "spatial" not in made.attributes:
            return None
        if (
            amounts is None
            or amounts.data is None
            or len(node.inputs) > 3
            or made.attributes.get("auto_pad", "NOTSET") != "NOTSET"
        ):
            return None
        amount, rank = [-int(i) for i in amounts.data], whole.ndim
        before, after = amount[:rank], amount[rank:]
        if any((*before[:2], *after[:2])) or min(amount) < 0:
            return None
        if len(whole.uses) > 1 or whole.is_output:
            return Refusal("the whole gradient is used elsewhere", whole)
        cut = (*before[2:], *after[2:])
        pads = made.attributes.get("pads") or (0,) * len(cut)
        spatial = tuple(n - b - a for n, b, a in zip(made.attributes["spatial"], before[2:], after[2:], strict=True))
        attributes = {
            **made.attributes,
            "pads": tuple(p + c for p, c in zip(pads, cut, strict=True)),
            "spatial": spatial,
        }
        return op.node(made.op, list(made.inputs), _domain=made.domain, **attributes)


def _pads(*numbers: int) -> Any:
    return np.array(numbers, np.int64)


RULES: tuple[Rule, ...] = (NormIntoConv(), ScaleIntoConv(), AddIntoConv(), PadIntoConv(), CropOfInputGrad())
