"""Layouts that differ in the order of axes, and the operators that can work in either.

For a permutation p, ``Transpose(form 0, p)`` is form 1. An operator is *flipped* by the permutation that leads from its
form to the other: it takes ``Transpose(x, p)`` for each input x of p's rank and gives ``Transpose(y, p)`` for each
output y. Axes among its attributes and inputs move too: axis a of x is axis ``p.index(a)`` of its transpose.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nngraph.ir import Node, Value, bytes_of
from passes.build import Builder
from passes.layout.layouts import Free, Layouts, again
from passes.simplify.reductions import axes_of
from passes.simplify.transposes import goes_into_matmul, permutation
from passes.simplify.views import reshape_target
from passes.traits import ELEMENTWISE, REDUCTIONS

__all__ = ["Axes", "Perm", "flip", "inverse"]

Perm = tuple[int, ...]


def inverse(perm: Perm) -> Perm:
    """Return the permutation that undoes another.

    Example:
        >>> inverse((0, 3, 1, 2))
        (0, 2, 3, 1)
    """
    return tuple(perm.index(k) for k in range(len(perm)))


class Axes(Layouts):
    """Two orders of axes; ``Transpose(form 0, perm)`` is form 1."""

    by = "transposes"

    def __init__(self, perm: Perm) -> None:
        self.perms = (perm, inverse(perm))
        self.is_symmetric = perm == inverse(perm)

    def link(self, node: Node) -> int | None:
        """Return the form of a transpose's input; of a permutation that is its own inverse the first is form 0."""
        if node.op_id != "Transpose" or permutation(node) not in self.perms or goes_into_matmul(node):
            return None
        return self.perms.index(permutation(node))

    def free(self, node: Node, form: int) -> Free | None:
        """Return how a node is flipped."""
        return flip(node, self.perms[form])

    def turn(self, op: Builder, value: Value, form: int) -> Value:
        """Transpose a tensor."""
        turned: Value = op.Transpose(value, perm=self.perms[form])
        return turned

    def turn_constant(self, data: np.ndarray[Any, Any], form: int) -> np.ndarray[Any, Any]:
        """Transpose an array."""
        return np.ascontiguousarray(data.transpose(self.perms[form]))

    def cost(self, value: Value, form: int) -> int | None:
        """Return the tensor's size; where only axes of size 1 move, a transpose is a reshape and costs nothing."""
        order = [k for k in self.perms[form] if value.shape[k] != 1]
        return bytes_of(value) if order != sorted(order) else 0


Handler = Callable[[Node, Perm], Free | None]

_HANDLERS: dict[str, Handler] = {}


def flip(node: Node, perm: Perm) -> Free | None:
    """Return how a node is flipped by a permutation, or ``None`` when it cannot be."""
    handler = _HANDLERS.get(node.op_id)
    return None if handler is None else handler(node, perm)


def _handles(*ops: str) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        for op in ops:
            _HANDLERS[op] = handler
        return handler

    return register


def _numbers(node: Node, slot: int) -> list[int] | None:
    """Return the entries of a constant integer input, or ``None`` when it is absent or not constant."""
    value = node.inputs[slot] if len(node.inputs) > slot else None
    return None if value is None or value.data is None else [int(i) for i in value.data.reshape(-1)]


def _vector(numbers: Sequence[int]) -> Any:
    return np.array(numbers, np.int64)


# -- element by element ---------------------------------------------------------------------------------------------


@_handles(*ELEMENTWISE, "nngraph::StopGradient", "nngraph::CappedRelu")
def _elementwise(node: Node, perm: Perm) -> Free | None:
    rank = len(perm)
    if node.output.ndim != rank:
        return None
    slots = tuple(k for k, v in enumerate(node.inputs) if v is not None and v.ndim == rank)
    sides = [k for k, v in enumerate(node.inputs) if v is not None and 0 < v.ndim < rank]
    if not slots or any(_side_shape(node.inputs[k], perm) is None for k in sides):
        return None

    def make(op: Builder, inputs: list[Any]) -> Sequence[Value]:
        for k in sides:
            inputs[k] = _side(op, inputs[k], perm)
        return again(node, perm, op, inputs)

    return Free(slots, True, make)


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


@_handles("Softmax", "LogSoftmax", "Hardmax", "TopK", "ArgMax", "ArgMin", "Concat", "Split")
def _one_axis(node: Node, perm: Perm) -> Free | None:
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

    def make(op: Builder, inputs: list[Any]) -> Sequence[Value]:
        return again(node, None if drops else perm, op, inputs, axis=perm.index(axis))

    return Free(slots, not drops, make)


@_handles("Gather")
def _gather(node: Node, perm: Perm) -> Free | None:
    """Rows come in another order when the places, which are few numbers, are turned instead of the rows."""
    places = node.inputs[1]
    rest = node.output.ndim - places.ndim if places is not None else 0
    if places is None or node.attributes.get("axis", 0) or not _keeps_last(perm, rest, node.output):
        return _one_axis(node, perm)
    turned = perm[: places.ndim]
    return Free((), True, lambda op, inputs: again(node, perm, op, [inputs[0], op.Transpose(inputs[1], perm=turned)]))


@_handles("ScatterND")
def _scatter(node: Node, perm: Perm) -> Free | None:
    """Rows are added in whatever order, as long as the places come in the same."""
    places, rows = node.inputs[1], node.inputs[2]
    if places is None or rows is None or node.attributes.get("reduction", "none") == "none":
        return None
    count = places.ndim - 1
    if not _keeps_last(perm, rows.ndim - count, rows):
        return None
    turned = (*perm[:count], count)

    def make(op: Builder, inputs: list[Any]) -> Sequence[Value]:
        return again(node, None, op, [inputs[0], op.Transpose(inputs[1], perm=turned), inputs[2]])

    return Free((2,), False, make)


def _keeps_last(perm: Perm, count: int, value: Value) -> bool:
    """Whether a permutation of a value's axes leaves the last ones where they are."""
    rank = len(perm)
    return value.ndim == rank and 0 <= count < rank and perm[rank - count :] == tuple(range(rank - count, rank))


@_handles("CumSum")
def _cumsum(node: Node, perm: Perm) -> Free | None:
    axis = _numbers(node, 1)
    if axis is None or node.output.ndim != len(perm):
        return None
    moved = np.array(perm.index(axis[0] % len(perm)), np.int64)
    return Free((0,), True, lambda op, inputs: again(node, perm, op, [inputs[0], moved]))


# -- several axes ----------------------------------------------------------------------------------------------------


def _order_stays(perm: Perm, dropped: Sequence[int]) -> bool:
    """Whether the axes that are left stand in the same order in the transposed tensor."""
    left = [k for k in perm if k not in dropped]
    return left == sorted(left)


@_handles(*REDUCTIONS)
def _reduction(node: Node, perm: Perm) -> Free | None:
    x, axes = node.inputs[0], axes_of(node)
    if x is None or axes is None or x.ndim != len(perm):
        return None
    keeps = bool(node.attributes.get("keepdims", 1))
    if not keeps and not _order_stays(perm, axes):
        return None
    moved = _vector(sorted(perm.index(a) for a in axes))

    def make(op: Builder, inputs: list[Any]) -> Sequence[Value]:
        return again(node, perm if keeps else None, op, [inputs[0], moved] if len(axes) < len(perm) else inputs)

    return Free((0,), keeps, make)


@_handles("Pad")
def _pad(node: Node, perm: Perm) -> Free | None:
    rank, pads, axes = len(perm), _numbers(node, 1), _numbers(node, 3)
    if node.output.ndim != rank or pads is None or (axes is None and len(node.inputs) > 3):
        return None
    axes = list(range(rank)) if axes is None else [a % rank for a in axes]
    before, after = [0] * rank, [0] * rank
    for k, axis in enumerate(axes):
        before[axis], after[axis] = pads[k], pads[len(axes) + k]
    moved = _vector([before[k] for k in perm] + [after[k] for k in perm])
    return Free((0,), True, lambda op, inputs: again(node, perm, op, [inputs[0], moved, *inputs[2:3]]))


@_handles("Slice")
def _slice(node: Node, perm: Perm) -> Free | None:
    rank, axes = len(perm), _numbers(node, 3)
    starts = node.inputs[1]
    if node.output.ndim != rank or (axes is None and len(node.inputs) > 3 and node.inputs[3] is not None):
        return None
    count = starts.shape[0] if starts is not None else None
    if not isinstance(count, int):
        return None
    moved = _vector([perm.index((axes[k] if axes is not None else k) % rank) for k in range(count)])
    return Free((0,), True, lambda op, inputs: again(node, perm, op, [*inputs[:3], moved, *inputs[4:]]))


@_handles("Expand", "Tile")
def _expand(node: Node, perm: Perm) -> Free | None:
    x, sizes = node.inputs[0], _numbers(node, 1)
    if x is None or sizes is None or not x.ndim == len(sizes) == node.output.ndim == len(perm):
        return None
    moved = _vector([sizes[k] for k in perm])
    return Free((0,), True, lambda op, inputs: again(node, perm, op, [inputs[0], moved]))


@_handles("Shape")
def _shape(node: Node, perm: Perm) -> Free | None:
    x = node.inputs[0]
    if x is None or x.ndim != len(perm):
        return None
    axes = list(range(x.ndim))[node.attributes.get("start", 0) : node.attributes.get("end")]
    moved = _vector([perm.index(a) for a in axes])
    return Free((0,), False, lambda op, inputs: [op.Gather(op.Shape(inputs[0]), moved)])


@_handles("Size")
def _size(node: Node, perm: Perm) -> Free | None:
    x = node.inputs[0]
    if x is None or x.ndim != len(perm):
        return None
    return Free((0,), False, lambda op, inputs: again(node, None, op, inputs))
