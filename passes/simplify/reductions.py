"""Sums and their relatives over axes."""

from __future__ import annotations

from math import prod

import numpy as np

from nngraph.ir import Node, Shape, Value
from nngraph.ops import raw
from nngraph.ops.axes import ints
from passes.build import Builder, splat
from passes.rewrite import LocalRule, Refusal, Result, Rule, example
from passes.simplify.views import VIEWS, reshape_target
from passes.traits import REDUCTIONS

__all__ = ["RULES", "axes_of", "zeros_around"]


def axes_of(node: Node) -> tuple[int, ...] | None:
    """Return the axes of a reduction, none negative, or ``None`` when they are not constant."""
    x = node.inputs[0]
    axes = node.inputs[1] if len(node.inputs) > 1 else None
    assert x is not None
    if axes is None:
        return () if node.attributes.get("noop_with_empty_axes", 0) else tuple(range(x.ndim))
    if axes.data is None:
        return None
    if axes.data.size == 0:
        return () if node.attributes.get("noop_with_empty_axes", 0) else tuple(range(x.ndim))
    return tuple(sorted(int(a) % x.ndim for a in axes.data.reshape(-1)))


def zeros_around(x: Value | None) -> tuple[int, ...] | None:
    """Return how many zeros a Pad put before and behind each axis, or ``None`` if something else made the tensor."""
    pad = x.producer if x is not None else None
    if pad is None or pad.op_id != "Pad" or len(pad.inputs) > 3 or pad.attributes.get("mode", "constant") != "constant":
        return None
    amounts, number = pad.inputs[1], pad.inputs[2] if len(pad.inputs) > 2 else None
    if amounts is None or amounts.data is None or (number is not None and (number.data is None or number.data.any())):
        return None
    found = tuple(int(i) for i in amounts.data)
    return found if min(found, default=0) >= 0 else None


class SumOfPadded(LocalRule):
    """``ReduceSum(Pad(x)) = ReduceSum(x)`` when zeros are padded, along axes that are summed over."""

    roots = ("ReduceSum",)
    operands = ("Pad",)
    examples = (
        example(lambda x: raw.ReduceSum(raw.Pad(x, ints(0, 1, 2, 0)), ints(0, 1)), "float32[batch, 3]"),
        example(
            lambda x: raw.ReduceSum(raw.Pad(x, ints(0, 0, 0, 1), np.float32(0)), ints(1), keepdims=0), "float32[2, 3]"
        ),
        example(
            lambda x: raw.ReduceSum(raw.Pad(x, ints(0, 1, 2, 0)), ints(1)),
            "float32[2, 3]",
            refuses="zeros stay along other axes",
        ),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        x, axes = node.inputs[0], axes_of(node)
        amount = zeros_around(x)
        if x is None or axes is None or amount is None:
            return None
        if any(n for k, n in enumerate(amount) if k % x.ndim not in axes):
            return Refusal("zeros stay along other axes", x)
        assert x.producer is not None
        return op.ReduceSum(x.producer.inputs[0], *node.inputs[1:], **node.attributes)


class ReduceNothing(LocalRule):
    """``ReduceSum(x) = Reshape(x)`` (also Mean, Max, Min, Prod) over axes of size 1."""

    roots = ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd")
    examples = (
        example(lambda x: raw.ReduceSum(x, ints(1), keepdims=1), "float32[batch, 1, n]"),
        example(lambda x: raw.ReduceMean(x, ints(1), keepdims=0), "float32[batch, 1, 3]"),
        example(lambda x: raw.ReduceMax(x, keepdims=0), "float32[1, 1]"),
        example(
            lambda x: raw.ReduceSum(x, ints(1), keepdims=0),
            "float32[batch, 1, n]",
            refuses="two sizes are known only by name",
        ),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        x = node.inputs[0]
        axes = axes_of(node)
        if x is None or axes is None or any(x.shape[k] != 1 for k in axes):
            return None
        if x.shape == node.output.shape:
            return x
        target = reshape_target(node.output.shape)
        if target is None:
            return Refusal("two sizes are known only by name", x)
        return op.Reshape(x, target[0], allowzero=target[1])


class ReduceReduced(LocalRule):
    """``ReduceSum(ReduceSum(x, A), B) = ReduceSum(x, A ∪ B)``; likewise Max, Min, Prod."""

    roots = ("ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd")
    operands = roots
    examples = (
        example(
            lambda x: raw.ReduceSum(raw.ReduceSum(x, ints(2), keepdims=1), ints(0), keepdims=1), "float32[2, 3, 4]"
        ),
        example(
            lambda x: raw.ReduceMax(raw.ReduceMax(x, ints(1), keepdims=0), ints(1), keepdims=0), "float32[2, 3, 4]"
        ),
        example(
            lambda x: raw.ReduceSum(raw.ReduceSum(x, ints(2), keepdims=1), ints(0), keepdims=0),
            "float32[2, 3, 4]",
            refuses="one keeps the axes, the other does not",
        ),
        example(
            lambda x: (lambda s: (raw.ReduceSum(s, ints(0)), s))(raw.ReduceSum(x, ints(1), keepdims=1)),
            "float32[2, 3]",
            refuses="the inner sum is used elsewhere",
        ),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        middle = node.inputs[0]
        inner = middle.producer if middle is not None else None
        if middle is None or inner is None or inner.op_id != node.op_id:
            return None
        first, second, x = axes_of(inner), axes_of(node), inner.inputs[0]
        if first is None or second is None or x is None:
            return None
        if len(middle.uses) > 1 or middle.is_output:
            return Refusal("the inner sum is used elsewhere", middle)
        keep = inner.attributes.get("keepdims", 1)
        if keep != node.attributes.get("keepdims", 1):
            return Refusal("one keeps the axes, the other does not", middle)
        if not keep:
            left = [k for k in range(x.ndim) if k not in first]
            second = tuple(left[k] for k in second)
        return op.node(node.op, [x, ints(*sorted({*first, *second}))], keepdims=keep)


class KeepReducedAxes(LocalRule):
    """``Reshape(ReduceSum(x, A, keepdims=0))`` to the shape of ``keepdims=1`` is ``ReduceSum(x, A, keepdims=1)``.

    And the other way round; likewise for the other reductions, and for Unsqueeze and Squeeze.
    """

    roots = tuple(sorted(VIEWS))
    operands = tuple(sorted(REDUCTIONS))
    examples = (
        example(lambda x: raw.Unsqueeze(raw.ReduceMean(x, ints(1), keepdims=0), ints(1)), "float32[batch, 3, n]"),
        example(lambda x: raw.Reshape(raw.ReduceSum(x, ints(0, 1), keepdims=1), ints(4)), "float32[2, 3, 4]"),
        example(
            lambda x: (lambda s: (raw.Unsqueeze(s, ints(1)), s))(raw.ReduceSum(x, ints(1), keepdims=0)),
            "float32[2, 3]",
            refuses="the reduction is used elsewhere",
        ),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        middle = node.inputs[0]
        inner = middle.producer if middle is not None else None
        if middle is None or inner is None or inner.op_id not in REDUCTIONS:
            return None
        axes, x = axes_of(inner), inner.inputs[0]
        if axes is None or x is None:
            return None
        keep = 1 - inner.attributes.get("keepdims", 1)
        kept = tuple(1 if k in axes else d for k, d in enumerate(x.shape))
        shape = kept if keep else tuple(d for k, d in enumerate(x.shape) if k not in axes)
        if shape != node.output.shape:
            return None
        if len(middle.uses) > 1 or middle.is_output:
            return Refusal("the reduction is used elsewhere", middle)
        return op.node(inner.op, list(inner.inputs), **{**inner.attributes, "keepdims": keep})


class NegAfterSum(LocalRule):
    """``Σ −x = −Σ x`` and ``mean(−x) = −mean(x)``: the result is smaller, and the sign may vanish in what follows."""

    roots = ("ReduceSum", "ReduceMean")
    operands = ("Neg",)
    examples = (
        example(lambda x: raw.ReduceSum(raw.Neg(x), ints(0), keepdims=1), "float32[batch, 3]"),
        example(lambda x: raw.ReduceMean(raw.Neg(x), keepdims=0), "float32[2, 3]"),
        example(
            lambda x: (lambda n: (raw.ReduceSum(n), raw.Exp(n)))(raw.Neg(x)),
            "float32[3]",
            refuses="−x is used elsewhere",
        ),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        x = node.inputs[0]
        made = x.producer if x is not None else None
        if x is None or made is None or made.op_id != "Neg":
            return None
        if len(x.uses) > 1 or x.is_output:
            return Refusal("−x is used elsewhere", x)
        return op.Neg(op.node(node.op, [made.inputs[0], *node.inputs[1:]], **node.attributes))


class RatioOfSizes(LocalRule):
    """``Size(x) / max(Size(y), 1)`` and ``Size(x) / Size(y)`` are constant when x and y have the same named sizes.

    Gradients of means divide by such a ratio.
    """

    roots = ("Div",)
    operands = ("Size",)
    examples = (
        example(
            lambda x: raw.Div(raw.Size(x), raw.Max(raw.Size(raw.ReduceMax(x, ints(1), keepdims=1)), np.int64(1))),
            "float32[batch, 3]",
        ),
        example(lambda x, y: raw.Div(raw.Size(x), raw.Size(y)), "float32[batch, 3]", "float32[2, batch]"),
        example(
            lambda x, y: raw.Div(raw.Size(x), raw.Size(y)),
            "float32[a, 2]",
            "float32[b, 2]",
            refuses="the named sizes differ",
        ),
        example(
            lambda x, y: raw.Div(raw.Size(x), raw.Max(raw.Size(y), np.int64(1))),
            "float32[a, 2]",
            "float32[a, 0]",
            refuses="a size is 0",
        ),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        above, below = node.inputs
        made = below.producer if below is not None else None
        if made is not None and made.op_id == "Max" and len(made.inputs) == 2 and splat(made.inputs[1]) == 1:
            below = made.inputs[0]
        shapes = [_measured(v) for v in (above, below)]
        if shapes[0] is None or shapes[1] is None:
            return None
        names = [sorted(d for d in shape if isinstance(d, str)) for shape in shapes if shape is not None]
        counts = [prod(d for d in shape if isinstance(d, int)) for shape in shapes if shape is not None]
        if names[0] != names[1]:
            return Refusal("the named sizes differ", node.output)
        if 0 in counts:
            return Refusal("a size is 0", node.output)
        return op.constant(np.array(counts[0] // counts[1], np.int64), "ratio")


def _measured(value: Value | None) -> Shape | None:
    """Return the shape of the tensor of which a value is the Size."""
    made = value.producer if value is not None else None
    measured = made.inputs[0] if made is not None and made.op_id == "Size" else None
    return None if measured is None else measured.shape


RULES: tuple[Rule, ...] = (
    ReduceNothing(),
    ReduceReduced(),
    SumOfPadded(),
    KeepReducedAxes(),
    NegAfterSum(),
    RatioOfSizes(),
)
