"""Reshape and its relatives, and shapes that are asked for."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from nngraph.ir import Graph, Node, Shape, Value
from nngraph.ops import raw
from nngraph.ops.axes import ints
from nngraph.symbolic import sizes_of
from passes.build import Builder
from passes.rewrite import LocalRule, Refusal, Result, Rule, example

__all__ = ["RULES", "VIEWS", "reshape_target", "reshaped"]

VIEWS = frozenset(("Reshape", "Squeeze", "Unsqueeze", "Flatten"))
"""Operators that keep the elements in their order and only change the shape."""


def reshape_target(shape: Shape) -> tuple[np.ndarray, int] | None:
    """Return Reshape's target and ``allowzero`` for a shape, or ``None`` when two sizes or more are only names."""
    names = [d for d in shape if isinstance(d, str)]
    empty = 0 in shape
    if len(names) > 1 or (names and empty):
        return None
    return ints(*(d if isinstance(d, int) else -1 for d in shape)), int(empty)


class RemoveView(LocalRule):
    """``Reshape(x) = x`` (also Squeeze, Unsqueeze, Flatten) when the shape stays."""

    roots = tuple(sorted(VIEWS))
    examples = (
        example(lambda x: raw.Reshape(x, ints(2, 3)), "float32[2, 3]"),
        example(lambda x: raw.Reshape(x, ints(-1, 3)), "float32[batch, 3]"),
        example(lambda x: raw.Flatten(x), "float32[2, 3]"),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        x = node.inputs[0]
        return x if x is not None and x.shape == node.output.shape else None


class RemoveExpand(LocalRule):
    """``Expand(x, sizes) = x`` when every size is 1 or x's own, and ``Tile(x, 1) = x``."""

    roots = ("Expand", "Tile")
    examples = (
        example(lambda x: raw.Expand(x, ints(1, 3)), "float32[2, 3]"),
        example(lambda x: raw.Expand(x, raw.Shape(x)), "float32[a, b]"),
        example(lambda x: raw.Tile(x, ints(1, 1)), "float32[2, 3]"),
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
        example(lambda x: raw.Shape(raw.Reshape(raw.Exp(x), ints(-1, 6))), "float32[batch, 2, 3]"),
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
                parts.append(ints(dim))
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
    operands = tuple(sorted(VIEWS))
    examples = (
        example(lambda x: raw.Reshape(raw.Reshape(x, ints(6)), ints(3, 2)), "float32[2, 3]"),
        example(lambda x: raw.Squeeze(raw.Unsqueeze(x, ints(0)), ints(0)), "float32[batch, n]"),
        example(lambda x: raw.Reshape(raw.Unsqueeze(x, ints(0)), ints(-1, 6)), "float32[batch, 2, 3]"),
        example(lambda x: raw.Reshape(raw.Unsqueeze(x, ints(0)), ints(0, 3), allowzero=1), "float32[3, 0]"),
        example(
            lambda x: raw.Unsqueeze(raw.Unsqueeze(x, ints(0)), ints(0)),
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
        return reshaped(op, x, target)


def reshaped(op: Builder, x: Value, target: tuple[np.ndarray, int]) -> Value:
    """Make a Reshape to what :func:`reshape_target` gave."""
    value: Value = op.Reshape(x, target[0], allowzero=1) if target[1] else op.Reshape(x, target[0])
    return value


class PlainReshape(LocalRule):
    """``Reshape(x, computed target) = Reshape(x, constant)`` when at most one size is known only by name."""

    roots = ("Reshape",)
    examples = (
        example(
            lambda x, y: raw.Reshape(x, raw.Concat(raw.Shape(y, start=0, end=1), ints(6), axis=0)),
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
        return reshaped(op, x, target)


def _same_names(a: Shape, b: Shape) -> bool:
    """Whether the one size of ``b`` that is a name follows from the element count."""
    names = ([d for d in a if isinstance(d, str)], [d for d in b if isinstance(d, str)])
    sizes = [prod(d for d in s if isinstance(d, int)) for s in (a, b)]
    return names[0] == names[1] and sizes[0] == sizes[1]


RULES: tuple[Rule, ...] = (RemoveView(), RemoveExpand(), ShapeOfInput(), ViewOfView(), PlainReshape())
