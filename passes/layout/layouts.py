"""Pairs of layouts between which operators may choose, and how an operator looks on the other side.

A pair has two *forms*, 0 and 1. Some operators only turn a tensor from one form to the other (*links*), some must
have one form, and some can work in either (they are *free*).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nngraph.ir import Node, Value
from passes.build import Builder

__all__ = ["Free", "Layouts", "again"]


@dataclass(slots=True)
class Free:
    """How one node is brought to the other form.

    Attributes:
        slots: the positions of its inputs that change their form with it.
        moves: whether its outputs change their form too; those of a reduction that drops its axes do not.
        flip: makes the node in the other form from a builder and the inputs, those in ``slots`` already turned.
        gain: how much cheaper form 1 is than form 0 for this node, in bytes.
        keeps: whether only its first output changes its form, and the others are the same in both.
    """

    slots: tuple[int, ...]
    moves: bool
    flip: Callable[[Builder, list[Any]], Sequence[Value]]
    gain: int = 0
    keeps: bool = False

    def moved(self, node: Node) -> list[Value]:
        """Return the outputs that change their form."""
        if not self.moves:
            return []
        return [node.output] if self.keeps else list(node.outputs)


class Layouts(ABC):
    """A pair of layouts."""

    by: ClassVar[str] = ""
    """Who is recorded in the origins of moved nodes."""

    is_symmetric = False
    """Whether a link leads from either form to the other, as a transpose does that is its own inverse."""

    @abstractmethod
    def link(self, node: Node) -> int | None:
        """Return the form of the node's input if it only turns a tensor to the other form, else ``None``."""

    @abstractmethod
    def free(self, node: Node, form: int) -> Free | None:
        """Return how a node that works in ``form`` is brought to the other one, or ``None`` when it cannot be."""

    @abstractmethod
    def turn(self, op: Builder, value: Value, form: int) -> Value:
        """Make a node that turns a tensor from ``form`` to the other form."""

    @abstractmethod
    def turn_constant(self, data: np.ndarray[Any, Any], form: int) -> np.ndarray[Any, Any]:
        """Return a stored array in the other form."""

    @abstractmethod
    def cost(self, value: Value, form: int) -> int | None:
        """Return what it costs to turn a tensor, in bytes, or ``None`` when it cannot be turned."""

    def seeds(self, node: Node) -> Iterable[tuple[Value, int]]:
        """Return tensors next to a node whose form is known from the node; by default the inputs of links."""
        form, x = self.link(node), node.inputs[0] if node.inputs else None
        return [(x, form)] if form is not None and x is not None else []


def again(node: Node, perm: Sequence[int] | None, op: Builder, inputs: list[Any], **changed: Any) -> Sequence[Value]:
    """Make the node once more, with some attributes changed; ``perm`` is what happens to its outputs' axes."""
    types = [o.type if perm is None else o.type.with_shape([o.shape[k] for k in perm]) for o in node.outputs]
    attributes = {**node.attributes, **changed}
    made = op.node(node.op, inputs, _outputs=len(types), _domain=node.domain, _types=types, **attributes)
    return made if isinstance(made, tuple) else (made,)
