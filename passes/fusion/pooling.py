"""Gradients of pooling, before they are lowered."""

from __future__ import annotations

from typing import Any

from nngraph.ir import Node, Value
from nngraph.ops import raw
from nngraph.ops.vjp_pool import max_pool_grad
from passes.build import Builder
from passes.pattern import Match
from passes.rewrite import PatternRule, Refusal, Rule, example

__all__ = ["RULES"]

_TWO = {"kernel_shape": (2, 2), "strides": (2, 2)}
_X, _G = "float32[2, 3, 4, 4]", "float32[2, 3, 2, 2]"


def _masked(g: Any, x: Any, **more: Any) -> Any:
    gradient = max_pool_grad(g, x, **{**_TWO, "dilations": (1, 1), "pads": (0, 0, 0, 0), "ceil_mode": 0, **more})
    return raw.Mul(gradient, raw.Cast(raw.Greater(x, 0.0), to="float32"))


class MaskBelowPool(PatternRule):
    """``MaxPoolGrad(g, x) · [x > 0] = MaxPoolGrad(g · [y > 0], x)`` with ``y = MaxPool(x)``.

    The gradient goes to pixels that equal y, so what masks them may mask y instead, which is smaller. This is the
    gradient of pooling after Relu.
    """

    shared_nodes = ("mask", "positive")
    examples = (
        example(lambda g, x: (_masked(g, x), raw.MaxPool(x, **_TWO)), _G, _X),
        example(lambda g, x: (raw.MaxPool(x, **_TWO, pads=(0, 0, 0, 0)), _masked(g, x)), _G, _X),
        example(
            lambda g, x: (raw.MaxPool(x, kernel_shape=(3, 3)), _masked(g, x, kernel_shape=(3, 3), strides=(1, 1))),
            _G,
            _X,
        ),
        example(lambda g, x: _masked(g, x), _G, _X, refuses="y is not at hand"),
        example(lambda g, x: (raw.MaxPool(x, kernel_shape=(2, 2)), _masked(g, x)), _G, _X, refuses="y is not at hand"),
        example(
            lambda g, x: (
                lambda d: (raw.Mul(d, raw.Cast(raw.Greater(x, 0.0), to="float32")), d, raw.MaxPool(x, **_TWO))
            )(max_pool_grad(g, x, **_TWO, dilations=(1, 1), pads=(0, 0, 0, 0))),
            _G,
            _X,
            refuses="an inner value is used elsewhere",
        ),
    )

    @staticmethod
    def pattern(op: Any, g: Any, x: Any) -> Any:
        gradient = op.MaxPoolGrad(g, x, _domain="nngraph", _bind="gradient")
        return op.Mul(gradient, op.Cast(op.Greater(x, 0.0, _bind="positive"), _bind="mask"))

    def check(self, match: Match) -> Refusal | None:
        return match.refuse("y is not at hand", match.x) if _pooling(match) is None else None

    def rewrite(self, op: Builder, match: Match) -> Value:
        gradient, pooling = match.node("gradient"), _pooling(match)
        assert pooling is not None
        # Pooled once more, because the other one may stand behind; equal nodes are merged later.
        mask = op.Cast(op.Greater(op.MaxPool(match.x, **pooling.attributes), 0.0), to=match.g.dtype)
        value: Value = op.node(
            "MaxPoolGrad",
            [op.Mul(match.g, mask), match.x],
            _domain="nngraph",
            _types=[gradient.output.type],
            **gradient.attributes,
        )
        return value


def _pooling(match: Match) -> Node | None:
    """Return the MaxPool whose gradient was matched."""
    wanted = _placing(match.node("gradient"))
    for user in match.x.users:
        same_graph = user.graph is match.root.graph
        if same_graph and user.op_id == "MaxPool" and len(user.outputs) == 1 and _placing(user) == wanted:
            return user
    return None


def _placing(node: Node) -> dict[str, Any]:
    """Return the attributes of a pooling with defaults filled in."""
    kernel = tuple(node.attributes["kernel_shape"])
    rank = len(kernel)
    defaults: dict[str, Any] = {
        "auto_pad": "NOTSET",
        "ceil_mode": 0,
        "dilations": (1,) * rank,
        "pads": (0,) * (2 * rank),
        "storage_order": 0,
        "strides": (1,) * rank,
    }
    return {**defaults, **node.attributes, "kernel_shape": kernel}


RULES: tuple[Rule, ...] = (MaskBelowPool(),)
