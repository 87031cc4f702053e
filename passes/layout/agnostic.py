"""Operators that can work on transposed tensors: what changes in them when their inputs are transposed.

For a permutation p of rank r the *flipped* form of a node takes ``Transpose(x, p)`` for each input of that rank (the
*tensor inputs*) and gives ``Transpose(y, p)`` for each output y. Axes among its attributes and inputs move too: axis a
of x is axis ``p.index(a)`` of its transpose.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nngraph.ir import Node, Value
from passes.build import Builder
from passes.simplify.reductions import axes_of
from passes.simplify.views import reshape_target
from passes.traits import ELEMENTWISE, REDUCTIONS

__all__ = ["Agnostic", "agnostic"]

Perm = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Agnostic:
    """How one node is flipped.

    Attributes:
        slots: the positions of its tensor inputs.
        moves: whether its outputs are transposed too; those of a reduction that drops its axes are not.
        flip: makes the flipped node from a builder and its inputs, the tensor inputs already transposed.
    """

    slots: tuple[int, ...]
    moves: bool
    flip: Callable[[Builder, list[Any]], Sequence[Value]]


Handler = Callable[[Node, Perm], Agnostic | None]

_HANDLERS: dict[str, Handler] = {}


def agnostic(node: Node, perm: Perm) -> Agnostic | None:
    """Return how a node is flipped by a permutation, or ``None`` when it cannot be."""
    handler = _HANDLERS.get(node.op_id)
    return None if handler is None else handler(node, perm)


def _handles(*ops: str) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        for op in ops:
            _HANDLERS[op] = handler
        return handler

    return register


def _again(node: Node, perm: Perm | None, op: Builder, inputs: list[Any], **changed: Any) -> Sequence[Value]:
    """Make the node once more, with some attributes changed; ``perm`` is what happens to its outputs."""
    types = [o.type if perm is None else o.type.with_shape(o.shape[k] for k in perm) for o in node.outputs]
    attributes = {**node.attributes, **changed}
    made = op.node(node.op, inputs, _outputs=len(types), _domain=node.domain, _types=types, **attributes)
    return made if isinstance(made, tuple) else (made,)


def _numbers(node: Node, slot: int) -> list[int] | None:
    """Return the entries of a constant integer input, or ``None`` when it is absent or not constant."""
    value = node.inputs[slot] if len(node.inputs) > slot else None
    return None if value is None or value.data is None else [int(i) for i in value.data.reshape(-1)]


def _vector(numbers: Sequence[int]) -> Any:
    return np.array(numbers, np.int64)


# -- element by element ---------------------------------------------------------------------------------------------


@_handles(*ELEMENTWISE, "nngraph::StopGradient")
def _elementwise(node: Node, perm: Perm) -> Agnostic | None:
    rank = len(perm)
    if node.output.ndim != rank:
        return None
    slots = tuple(k for k, v in enumerate(node.inputs) if v is not None and v.ndim == rank)
    sides = [k for k, v in enumerate(node.inputs) if v is not None and 0 < v.ndim < rank]
    if not slots or any(_side_shape(node.inputs[k], perm) is None for k in sides):
        return None

    def flip(op: Builder, inputs: list[Any]) -> Sequence[Value]:
        for k in sides:
            inputs[k] = _side(op, inputs[k], perm)
        return _again(node, perm, op, inputs)

    return Agnostic(slots, True, flip)


def _side_shape(value: Value | None, perm: Perm) -> tuple[Any, ...] | None:
    """Return the shape in which an operand of lower rank broadcasts to a transposed tensor as it is."""
    assert value is not None
    full = (1,) * (len(perm) - value.ndim) + value.shape
    moved = tuple(full[k] for k in perm)
    if value.data is None and [k for k in perm if full[k] != 1] != [k for k in range(len(perm)) if full[k] != 1]:
        return None
    if value.data is None and reshape_target(moved) is None:
        return None
    while moved and moved[0] == 1:
        moved = moved[1:]
    return moved


def _side(op: Builder, value: Value, perm: Perm) -> Any:
    if value.data is not None:
        return np.ascontiguousarray(
            value.data.reshape((1,) * (len(perm) - value.ndim) + value.data.shape).transpose(perm)
        )
    shape = _side_shape(value, perm)
    assert shape is not None
    if shape == value.shape:
        return value
    target = reshape_target(shape)
    assert target is not None
    return op.Reshape(value, target[0], **({"allowzero": 1} if target[1] else {}))


# -- one axis --------------------------------------------------------------------------------------------------------


@_handles("Softmax", "LogSoftmax", "Hardmax", "TopK", "ArgMax", "ArgMin", "Concat", "Split", "Gather")
def _one_axis(node: Node, perm: Perm) -> Agnostic | None:
    default = {"Softmax": -1, "LogSoftmax": -1, "Hardmax": -1, "TopK": -1}.get(node.op, 0)
    rank = len(perm)
    axis = int(node.attributes.get("axis", default)) % rank
    slots = tuple(range(len(node.inputs))) if node.op == "Concat" else (0,)
    drops = node.op in ("ArgMax", "ArgMin") and not node.attributes.get("keepdims", 1)
    if any(node.inputs[k] is None or node.inputs[k].ndim != rank for k in slots):  # type: ignore[union-attr]
        return None
    if node.op == "Gather" and node.output.ndim != rank:
        return None
    if drops and not _order_stays(perm, (axis,)):
        return None

    def flip(op: Builder, inputs: list[Any]) -> Sequence[Value]:
        return _again(node, None if drops else perm, op, inputs, axis=perm.index(axis))

    return Agnostic(slots, not drops, flip)


@_handles("CumSum")
def _cumsum(node: Node, perm: Perm) -> Agnostic | None:
    axis = _numbers(node, 1)
    if axis is None or node.output.ndim != len(perm):
        return None
    moved = np.array(perm.index(axis[0] % len(perm)), np.int64)
    return Agnostic((0,), True, lambda op, inputs: _again(node, perm, op, [inputs[0], moved]))


# -- several axes ----------------------------------------------------------------------------------------------------


def _order_stays(perm: Perm, dropped: Sequence[int]) -> bool:
    """Whether the axes that are left stand in the same order in the transposed tensor."""
    left = [k for k in perm if k not in dropped]
    return left == sorted(left)


@_handles(*REDUCTIONS)
def _reduction(node: Node, perm: Perm) -> Agnostic | None:
    x, axes = node.inputs[0], axes_of(node)
    if x is None or axes is None or x.ndim != len(perm):
        return None
    keeps = bool(node.attributes.get("keepdims", 1))
    if not keeps and not _order_stays(perm, axes):
        return None
    moved = _vector(sorted(perm.index(a) for a in axes))

    def flip(op: Builder, inputs: list[Any]) -> Sequence[Value]:
        return _again(node, perm if keeps else None, op, [inputs[0], moved] if len(axes) < len(perm) else inputs)

    return Agnostic((0,), keeps, flip)


@_handles("Pad")
def _pad(node: Node, perm: Perm) -> Agnostic | None:
    rank, pads, axes = len(perm), _numbers(node, 1), _numbers(node, 3)
    if node.output.ndim != rank or pads is None or (axes is None and len(node.inputs) > 3):
        return None
    axes = list(range(rank)) if axes is None else [a % rank for a in axes]
    before, after = [0] * rank, [0] * rank
    for k, axis in enumerate(axes):
        before[axis], after[axis] = pads[k], pads[len(axes) + k]
    moved = _vector([before[k] for k in perm] + [after[k] for k in perm])
    return Agnostic((0,), True, lambda op, inputs: _again(node, perm, op, [inputs[0], moved, *inputs[2:3]]))


@_handles("Slice")
def _slice(node: Node, perm: Perm) -> Agnostic | None:
    rank, axes = len(perm), _numbers(node, 3)
    starts = node.inputs[1]
    if node.output.ndim != rank or (axes is None and len(node.inputs) > 3 and node.inputs[3] is not None):
        return None
    count = starts.shape[0] if starts is not None else None
    if not isinstance(count, int):
        return None
    moved = _vector([perm.index((axes[k] if axes is not None else k) % rank) for k in range(count)])
    return Agnostic((0,), True, lambda op, inputs: _again(node, perm, op, [*inputs[:3], moved, *inputs[4:]]))


@_handles("Expand", "Tile")
def _expand(node: Node, perm: Perm) -> Agnostic | None:
    x, sizes = node.inputs[0], _numbers(node, 1)
    if x is None or sizes is None or not x.ndim == len(sizes) == node.output.ndim == len(perm):
        return None
    moved = _vector([sizes[k] for k in perm])
    return Agnostic((0,), True, lambda op, inputs: _again(node, perm, op, [inputs[0], moved]))


@_handles("Shape")
def _shape(node: Node, perm: Perm) -> Agnostic | None:
    x = node.inputs[0]
    if x is None or x.ndim != len(perm):
        return None
    axes = list(range(x.ndim))[node.attributes.get("start", 0) : node.attributes.get("end")]
    moved = _vector([perm.index(a) for a in axes])
    return Agnostic((0,), False, lambda op, inputs: [op.Gather(op.Shape(inputs[0]), moved)])


@_handles("Size")
def _size(node: Node, perm: Perm) -> Agnostic | None:
    x = node.inputs[0]
    if x is None or x.ndim != len(perm):
        return None
    return Agnostic((0,), False, lambda op, inputs: _again(node, None, op, inputs))
