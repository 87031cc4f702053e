"""Reshape and its relatives, Transpose, and the other operators that only move elements or leave them alone."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from nngraph.ir import Graph, Node, Shape, Value
from nngraph.ops import raw
from nngraph.symbolic import sizes_of
from passes.build import Builder
from passes.rewrite import LocalRule, Refusal, Result, Rule, example

__all__ = ["RULES", "VIEWS", "goes_into_matmul", "permutation", "reshape_target"]

VIEWS = frozenset(("Reshape", "Squeeze", "Unsqueeze", "Flatten"))
"""Operators that keep the elements in their order and only change the shape."""


def _i64(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def reshape_target(shape: Shape) -> tuple[np.ndarray, int] | None:
    """Return Reshape's target and ``allowzero`` for a shape, or ``None`` when two sizes or more are only names."""
    names = [d for d in shape if isinstance(d, str)]
    empty = 0 in shape
    if len(names) > 1 or (names and empty):
        return None
    return _i64(*(d if isinstance(d, int) else -1 for d in shape)), int(empty)


class RemoveView(LocalRule):
    """``Reshape(x) = x`` (also Squeeze, Unsqueeze, Flatten) when the shape stays."""

    roots = tuple(sorted(VIEWS))
    examples = (
        example(lambda x: raw.Reshape(x, _i64(2, 3)), "float32[2, 3]"),
        example(lambda x: raw.Reshape(x, _i64(-1, 3)), "float32[batch, 3]"),
        example(lambda x: raw.Flatten(x), "float32[2, 3]"),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        x = node.inputs[0]
        return x if x is not None and x.shape == node.output.shape else None


class RemoveExpand(LocalRule):
    """``Expand(x, sizes) = x`` when every size is 1 or x's own, and ``Tile(x, 1) = x``."""

    roots = ("Expand", "Tile")
    examples = (
        example(lambda x: raw.Expand(x, _i64(1, 3)), "float32[2, 3]"),
        example(lambda x: raw.Expand(x, raw.Shape(x)), "float32[a, b]"),
        example(lambda x: raw.Tile(x, _i64(1, 1)), "float32[2, 3]"),
        # Two sizes with different names may be 1 and 5.
        example(
            lambda x, y: raw.Expand(x, raw.Shape(y)),
            "float32[a]",
            "float32[b]",
            refuses="it may spread x along an axis",
        ),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        x, numbers = node.inputs[0], sizes_of(node.inputs[1])
        if x is None or numbers is None or len(numbers) > x.ndim:
            return None
        own = (1,) * x.ndim if node.op == "Tile" else x.shape[x.ndim - len(numbers) :]
        if all(size in (1, mine) for size, mine in zip(numbers, own, strict=True)):
            return x
        return Refusal("it may spread x along an axis", x)


class ShapeOfInput(LocalRule):
    """``Shape(y)`` takes sizes that have a name from the graph's inputs, when only shapes are asked of y.

    What computes y need not run then: equal names are equal sizes.
    """

    roots = ("Shape",)
    examples = (
        example(lambda x: raw.Shape(raw.Reshape(raw.Exp(x), _i64(-1, 6))), "float32[batch, 2, 3]"),
        example(lambda x: raw.Shape(raw.Exp(x), end=1), "float32[batch, 2]"),
        example(
            lambda x: (lambda y: (raw.Shape(y), raw.Neg(y)))(raw.Exp(x)), "float32[batch]", refuses="y is used for more"
        ),
        example(
            lambda x: raw.Shape(raw.Compress(x, raw.Greater(x, np.float32(0)), axis=0)),
            "float32[batch]",
            refuses="a size is no size of an input",
        ),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        y = node.inputs[0]
        if y is None or y.producer is None or y.type.is_static:
            return None
        if y.is_output or any(user.op_id != "Shape" for user in y.users):
            return Refusal("y is used for more", y)
        known = _named_sizes(node.graph)
        wanted = y.shape[node.attributes.get("start", 0) : node.attributes.get("end")]
        if any(isinstance(d, str) and d not in known for d in wanted):
            return Refusal("a size is no size of an input", y)
        parts: list[Any] = []
        for dim in wanted:
            if isinstance(dim, str):
                source, axis = known[dim]
                parts.append(op.Shape(source, start=axis, end=axis + 1))
            elif parts and isinstance(parts[-1], np.ndarray):
                parts[-1] = np.append(parts[-1], dim)
            else:
                parts.append(_i64(dim))
        if not any(isinstance(part, Value) for part in parts):
            return None
        return parts[0] if len(parts) == 1 else op.Concat(*parts, axis=0)


def _named_sizes(graph: Graph | None) -> dict[str, tuple[Value, int]]:
    """Where the inputs of a graph and of those around it have their named sizes."""
    found: dict[str, tuple[Value, int]] = {}
    while graph is not None:
        for value in graph.inputs:
            for axis, dim in enumerate(value.shape):
                if isinstance(dim, str):
                    found.setdefault(dim, (value, axis))
        graph = graph.parent
    return found


class ViewOfView(LocalRule):
    """``view(view(x)) = Reshape(x)`` for Reshape, Squeeze, Unsqueeze and Flatten, or ``x`` when the shape is x's."""

    roots = tuple(sorted(VIEWS))
    examples = (
        example(lambda x: raw.Reshape(raw.Reshape(x, _i64(6)), _i64(3, 2)), "float32[2, 3]"),
        example(lambda x: raw.Squeeze(raw.Unsqueeze(x, _i64(0)), _i64(0)), "float32[batch, n]"),
        example(lambda x: raw.Reshape(raw.Unsqueeze(x, _i64(0)), _i64(-1, 6)), "float32[batch, 2, 3]"),
        example(lambda x: raw.Reshape(raw.Unsqueeze(x, _i64(0)), _i64(0, 3), allowzero=1), "float32[3, 0]"),
        example(
            lambda x: raw.Unsqueeze(raw.Unsqueeze(x, _i64(0)), _i64(0)),
            "float32[batch, n]",
            refuses="two sizes are known only by name",
        ),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        middle = node.inputs[0]
        if middle is None or middle.producer is None or middle.producer.op_id not in VIEWS:
            return None
        x = middle.producer.inputs[0]
        assert x is not None
        if x.shape == node.output.shape:
            return x
        target = reshape_target(node.output.shape)
        if target is None:
            return Refusal("two sizes are known only by name", node.output)
        return _reshape(op, x, target)


def _reshape(op: Builder, x: Value, target: tuple[np.ndarray, int]) -> Value:
    value: Value = op.Reshape(x, target[0], allowzero=1) if target[1] else op.Reshape(x, target[0])
    return value


class PlainReshape(LocalRule):
    """``Reshape(x, computed target) = Reshape(x, constant)`` when at most one size is known only by name."""

    roots = ("Reshape",)
    examples = (
        example(
            lambda x, y: raw.Reshape(x, raw.Concat(raw.Shape(y, start=0, end=1), _i64(6), axis=0)),
            "float32[batch, 2, 3]",
            "float32[batch]",
        ),
        example(
            lambda x, y: raw.Reshape(x, raw.Shape(y)),
            "float32[a, b]",
            "float32[c, d]",
            refuses="two sizes are known only by name",
        ),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        x, shape = node.inputs
        if x is None or shape is None or shape.data is not None:
            return None
        target = reshape_target(node.output.shape)
        if target is None:
            return Refusal("two sizes are known only by name", node.output)
        if -1 in target[0] and not _same_names(x.shape, node.output.shape):
            return None
        return _reshape(op, x, target)


def _same_names(a: Shape, b: Shape) -> bool:
    """Whether the one size of ``b`` that is a name follows from the element count."""
    names = ([d for d in a if isinstance(d, str)], [d for d in b if isinstance(d, str)])
    sizes = [prod(d for d in s if isinstance(d, int)) for s in (a, b)]
    return names[0] == names[1] and sizes[0] == sizes[1]


class ComposeTransposes(LocalRule):
    """``Transpose(Transpose(x, p), q) = Transpose(x, r)`` with ``r[k] = p[q[k]]``; ``= x`` when r changes nothing.

    A swap of the last two axes that goes into matrix products costs nothing there; it stays where p is needed anyhow.
    """

    roots = ("Transpose",)
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
        return x if x.shape == node.output.shape else _reshape(op, x, target)


def goes_into_matmul(node: Node) -> bool:
    """Whether a transpose swaps the last two axes for matrix products only, which take such an operand as it is."""
    perm = permutation(node)
    swaps = len(perm) >= 2 and perm == (*range(len(perm) - 2), len(perm) - 1, len(perm) - 2)
    users = node.output.users
    return swaps and bool(users) and not node.output.is_output and all(u.op_id in ("MatMul", "Gemm") for u in users)


def permutation(node: Node) -> tuple[int, ...]:
    """Return the permutation of a Transpose; the default reverses the axes."""
    assert node.inputs[0] is not None
    return tuple(node.attributes.get("perm") or reversed(range(node.inputs[0].ndim)))


class RemoveSlice(LocalRule):
    """``Slice(x) = x`` when the shape stays and every step is 1."""

    roots = ("Slice",)
    examples = (
        example(lambda x: raw.Slice(x, _i64(0), _i64(9), _i64(1)), "float32[2, 3]"),
        example(lambda x: raw.Slice(x, _i64(0), _i64(2**62), _i64(0), _i64(1)), "float32[batch, 3]"),
        example(
            lambda x: raw.Slice(x, _i64(-1), _i64(-9), _i64(1), _i64(-1)),
            "float32[2, 3]",
            refuses="it turns an axis round",
        ),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        x = node.inputs[0]
        if x is None or x.shape != node.output.shape:
            return None
        steps = node.inputs[4] if len(node.inputs) > 4 else None
        if steps is not None and (steps.data is None or (steps.data != 1).any()):
            return Refusal("it turns an axis round", steps)
        return x


class RemovePad(LocalRule):
    """``Pad(x, 0) = x``."""

    roots = ("Pad",)
    examples = (example(lambda x: raw.Pad(x, _i64(0, 0, 0, 0)), "float32[batch, 3]"),)

    def apply(self, node: Node, op: Builder) -> Result:
        pads = node.inputs[1]
        return node.inputs[0] if pads is not None and pads.data is not None and not pads.data.any() else None


class ConcatOfSplit(LocalRule):
    """``Concat(Split(x)) = x`` along one axis, all parts in their order."""

    roots = ("Concat",)
    examples = (
        example(lambda x: raw.Concat(*raw.Split(x, _i64(1, 2), axis=1, outputs=2), axis=-1), "float32[batch, 3]"),
        example(
            lambda x: raw.Concat(*reversed(raw.Split(x, _i64(1, 2), axis=0, outputs=2)), axis=0),
            "float32[3]",
            refuses="the parts stand in another order, or along another axis",
        ),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        split = node.inputs[0].producer if node.inputs[0] is not None else None
        if split is None or split.op_id != "Split" or any(v is None or v.producer is not split for v in node.inputs):
            return None
        rank = node.output.ndim
        same = split.attributes.get("axis", 0) % rank == node.attributes["axis"] % rank
        if not same or node.inputs != split.outputs:
            return Refusal("the parts stand in another order, or along another axis", node.output)
        return split.inputs[0]


class RemoveSplit(LocalRule):
    """``Split(x) = x`` when it has one part."""

    roots = ("Split",)
    examples = (example(lambda x: raw.Split(x, _i64(3), axis=0), "float32[3]"),)

    def apply(self, node: Node, op: Builder) -> Result:
        return node.inputs[0] if len(node.outputs) == 1 else None


class ConcatWithoutEmpty(LocalRule):
    """``Concat(…, x of size 0, …)`` does without x."""

    roots = ("Concat",)
    examples = (
        example(lambda x, y, z: raw.Concat(x, y, z, axis=1), "float32[2, 3]", "float32[2, 0]", "float32[2, 1]"),
        example(lambda x, y: raw.Concat(x, y, axis=0), "float32[3]", "float32[0]"),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        axis = node.attributes["axis"]
        full = [v for v in node.inputs if v is not None and v.shape[axis] != 0]
        if not full or len(full) == len(node.inputs):
            return None
        return full[0] if len(full) == 1 else op.Concat(*full, axis=axis)


class ConcatOfConcat(LocalRule):
    """``Concat(x, Concat(y, z)) = Concat(x, y, z)`` along one axis, when the inner one has no other use."""

    roots = ("Concat",)
    examples = (
        example(lambda x: raw.Concat(x, raw.Concat(x, x, axis=1), axis=1), "float32[2, 3]"),
        example(
            lambda x: (lambda c: (raw.Concat(x, c, axis=0), raw.Neg(c)))(raw.Concat(x, x, axis=0)),
            "float32[2, 3]",
            refuses="the inner Concat is used elsewhere",
        ),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        rank = node.output.ndim
        axis = node.attributes["axis"] % rank

        def inner(v: Value | None) -> Node | None:
            made = v.producer if v is not None else None
            same = made is not None and made.op_id == "Concat" and made.attributes["axis"] % rank == axis
            return made if same else None

        found = [v for v in node.inputs if inner(v) is not None]
        if not found:
            return None
        for value in found:
            if value is not None and (len(value.uses) > 1 or value.is_output):
                return Refusal("the inner Concat is used elsewhere", value)
        parts: list[Value | None] = []
        for value in node.inputs:
            made = inner(value)
            parts.extend(made.inputs if made is not None else (value,))
        return op.Concat(*parts, axis=axis)


RULES: tuple[Rule, ...] = (
    RemoveView(),
    RemoveExpand(),
    ShapeOfInput(),
    RemoveTranspose(),
    RemoveSlice(),
    RemovePad(),
    RemoveSplit(),
    ConcatWithoutEmpty(),
    ConcatOfConcat(),
    ConcatOfSplit(),
    ComposeTransposes(),
    TransposeToReshape(),
    ViewOfView(),
    PlainReshape(),
)
