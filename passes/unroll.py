"""Loops of a known number of steps, written out.

A step with a loop cannot be captured as a CUDA graph: the provider decides while it runs what is launched next. Written
out, every step's nodes stand in the graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nngraph.ir import Graph, Node, Value
from nngraph.ir.graph import copy_node
from nngraph.ops.axes import ints
from passes.base import Pass
from passes.build import Builder, replace_value

__all__ = ["Unroll"]

_TOGETHER = 32
"""More tensors than this the provider joins by way of a list that it copies from the host at each run."""


@dataclass(frozen=True)
class Unroll(Pass):
    """Writes each ``Scan`` of a known number of steps out.

    Attributes:
        limit: the most steps of a loop that is written out.
    """

    name: ClassVar[str] = "unroll"

    limit: int = 256

    def run(self, graph: Graph) -> int:
        """Replace loops by their steps; return how many."""
        changes = 0
        for node in graph:
            changes += sum(self.run(sub) for sub in node.subgraphs)
            if node.op_id == "Scan":
                changes += _write_out(node, self.limit)
        return changes


def _write_out(node: Node, limit: int) -> int:
    body: Graph = node.attributes["body"]
    scanned = int(node.attributes["num_scan_inputs"])
    states = list(node.inputs[: len(node.inputs) - scanned])
    stacks = list(node.inputs[len(states) :])
    stacked = len(body.outputs) - len(states)
    in_axes, in_turns = _of(node, "scan_input_axes", scanned), _of(node, "scan_input_directions", scanned)
    out_axes, out_turns = _of(node, "scan_output_axes", stacked), _of(node, "scan_output_directions", stacked)
    count = _count(stacks, in_axes)
    if count is None or not 0 < count <= limit or not _fits(body, states, node):
        return 0
    graph, op = node.graph, Builder(node, "unroll")
    assert graph is not None
    constants = {v: op.constant(v.data, v.name) for v in body.constants if v.data is not None}
    rows: list[list[Value]] = [[] for _ in range(stacked)]
    for step in range(count):
        mapping: dict[Value, Value] = dict(constants)
        mapping.update((old, new) for old, new in zip(body.inputs, states, strict=False) if new is not None)
        for inner, stack, axis, turned in zip(body.inputs[len(states) :], stacks, in_axes, in_turns, strict=True):
            place = count - 1 - step if turned else step
            mapping[inner] = op.Gather(stack, np.array(place), axis=axis % (inner.ndim + 1))
        for inner_node in body:
            copy_node(inner_node, graph, mapping, before=node)
        results = [mapping.get(v, v) for v in body.outputs]
        states = list(results[: len(states)])
        for row, value in zip(rows, results[len(states) :], strict=True):
            row.append(value)
    outputs = [v for v in states if v is not None]
    for row, axis, turned in zip(rows, out_axes, out_turns, strict=True):
        outputs.append(_joined(op, row[::-1] if turned else row, axis))
    for old, new in zip(node.outputs, outputs, strict=True):
        replace_value(old, new, op)
    graph.erase(node)
    return 1


def _of(node: Node, name: str, count: int) -> tuple[int, ...]:
    return tuple(node.attributes.get(name) or (0,) * count)


def _count(stacks: Sequence[Value | None], axes: Sequence[int]) -> int | None:
    """Return the number of steps, where it is known."""
    for stack, axis in zip(stacks, axes, strict=True):
        if stack is not None and isinstance(stack.shape[axis], int):
            return int(stack.shape[axis])
    return None


def _fits(body: Graph, states: Sequence[Value | None], node: Node) -> bool:
    """Whether states keep their types from step to step, and agree with what the body says of them."""
    inside, after = body.inputs[: len(states)], body.outputs[: len(states)]
    return all(
        s is not None and s.type == i.type == a.type == o.type
        for s, i, a, o in zip(states, inside, after, node.outputs, strict=False)
    )


def _joined(op: Builder, row: Sequence[Value], axis: int) -> Value:
    """Stack values along a new axis."""
    place = axis % (row[0].ndim + 1)
    parts: list[Any] = [op.Unsqueeze(v, ints(place)) for v in row]
    while len(parts) > 1:
        groups = [parts[k : k + _TOGETHER] for k in range(0, len(parts), _TOGETHER)]
        parts = [op.Concat(*group, axis=place) if len(group) > 1 else group[0] for group in groups]
    value: Value = parts[0]
    return value
