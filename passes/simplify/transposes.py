"""Transpose: two that follow each other, and those that move nothing."""

from __future__ import annotations

from nngraph.ir import Node
from nngraph.ops import raw
from passes.build import Builder
from passes.rewrite import LocalRule, Refusal, Result, Rule, example
from passes.simplify.views import reshape_target, reshaped

__all__ = ["RULES", "goes_into_matmul", "permutation"]


class ComposeTransposes(LocalRule):
    """``Transpose(Transpose(x, p), q) = Transpose(x, r)`` with ``r[k] = p[q[k]]``; ``= x`` when r changes nothing.

    A swap of the last two axes that goes into matrix products costs nothing there; it stays where p is needed anyhow.
    """

    roots = ("Transpose",)
    operands = ("Transpose",)
    examples = (
        example(lambda x: raw.Transpose(raw.Transpose(x, perm=(0, 2, 1)), perm=(0, 2, 1)), "float32[2, 3, 4]"),
        example(lambda x: raw.Transpose(raw.Transpose(x, perm=(1, 2, 0)), perm=(1, 0, 2)), "float32[2, 3, 4]"),
        example(lambda x: raw.Transpose(raw.Transpose(x)), "float32[batch, n]"),
        example(
            lambda x: (lambda t: raw.MatMul(t, raw.Transpose(t, perm=(0, 2, 1))))(raw.Transpose(x, perm=(1, 0, 2))),
            "float32[2, 3, 4]",
            refuses="the product takes it as it is",
        ),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        middle = node.inputs[0]
        if middle is None or middle.producer is None or middle.producer.op_id != "Transpose":
            return None
        inner, outer = permutation(middle.producer), permutation(node)
        x = middle.producer.inputs[0]
        composed = tuple(inner[k] for k in outer)
        if composed == tuple(range(len(composed))):
            return x
        if len(middle.uses) > 1 and goes_into_matmul(node):
            return Refusal("the product takes it as it is", node.output)
        return op.Transpose(x, perm=composed)


class RemoveTranspose(LocalRule):
    """``Transpose(x, perm=identity) = x``."""

    roots = ("Transpose",)
    examples = (example(lambda x: raw.Transpose(x, perm=(0, 1)), "float32[2, 3]"),)

    def apply(self, node: Node, op: Builder) -> Result:
        return node.inputs[0] if permutation(node) == tuple(range(node.output.ndim)) else None


class TransposeToReshape(LocalRule):
    """``Transpose(x) = Reshape(x)`` when only axes of size 1 change their place."""

    roots = ("Transpose",)
    examples = (
        example(lambda x: raw.Transpose(x, perm=(0, 3, 1, 2)), "float32[batch, 5, 5, 1]"),
        example(lambda x: raw.Transpose(x), "float32[1, 7]"),
        example(lambda x: raw.Transpose(x), "float32[7]"),
        example(
            lambda x: raw.Transpose(x, perm=(0, 1, 3, 2)),
            "float32[a, b, 1, 2]",
            refuses="two sizes are known only by name",
        ),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        x = node.inputs[0]
        assert x is not None
        moved = [k for k in permutation(node) if x.shape[k] != 1]
        if moved != sorted(moved):
            return None
        target = reshape_target(node.output.shape)
        if target is None:
            return Refusal("two sizes are known only by name", node.output)
        return x if x.shape == node.output.shape else reshaped(op, x, target)


def goes_into_matmul(node: Node) -> bool:
    """Whether a transpose swaps the last two axes for matrix products only, which take such an operand as it is."""
    perm = permutation(node)
    if len(perm) < 2 or perm != (*range(len(perm) - 2), len(perm) - 1, len(perm) - 2) or node.output.is_output:
        return False
    users = node.output.users
    return bool(users) and all(u.op_id in ("MatMul", "Gemm") for u in users)


def permutation(node: Node) -> tuple[int, ...]:
    """Return the permutation of a Transpose; the default reverses the axes."""
    assert node.inputs[0] is not None
    return tuple(node.attributes.get("perm") or reversed(range(node.inputs[0].ndim)))


RULES: tuple[Rule, ...] = (RemoveTranspose(), ComposeTransposes(), TransposeToReshape())
