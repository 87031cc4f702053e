"""Common subexpressions: equal nodes and equal constants become one."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nngraph.ir import Graph, Node, Value
from passes.base import Pass
from passes.traits import COMMUTATIVE, is_random

__all__ = ["Cse"]

Table = dict[Hashable, tuple[Value, ...]]


@dataclass(frozen=True)
class Cse(Pass):
    """Merges nodes with the same operator, inputs and attributes, and constants with the same contents.

    Operands of commutative operators may stand in any order. Random operators and control flow are never merged. A
    node of a subgraph may be replaced by an equal one of the graph around it.
    """

    name: ClassVar[str] = "cse"

    def run(self, graph: Graph) -> int:
        """Merge equal nodes and constants; return how many were replaced by another."""
        return _merge(graph, {})


def _merge(graph: Graph, outer: Table) -> int:
    table: Table = dict(outer)
    changes = 0
    for value in list(graph.constants):
        known = table.setdefault(_constant_key(value), (value,))[0]
        if known is not value and _can_replace(value, known):
            value.replace_uses(known)
            graph.erase_constant(value)
            changes += 1
    for node in graph:
        subgraphs = node.subgraphs
        for sub in subgraphs:
            changes += _merge(sub, table)
        if subgraphs or is_random(node):
            continue
        known_outputs = table.setdefault(_node_key(node), node.outputs)
        if known_outputs is node.outputs:
            continue
        pairs = list(zip(node.outputs, known_outputs, strict=True))
        if not all(_can_replace(old, new) for old, new in pairs):
            continue
        for old, new in pairs:
            old.replace_uses(new)
        graph.erase(node)
        changes += 1
    return changes


def _can_replace(old: Value, new: Value) -> bool:
    """A subgraph can only return its own values."""
    return old.graph is new.graph or not old.is_output


def _constant_key(value: Value) -> Hashable:
    assert value.data is not None
    return value.dtype, value.shape, _contents(value.data)


def _node_key(node: Node) -> Hashable:
    inputs: Iterable[int] = map(id, node.inputs)
    if node.op_id in COMMUTATIVE:
        inputs = sorted(inputs)
    attributes = [(k, _attribute_key(a)) for k, a in sorted(node.attributes.items())] if node.attributes else ()
    return (node.op_id, len(node.outputs), *inputs, *attributes)


def _attribute_key(attribute: Any) -> Hashable:
    kind = type(attribute)
    if kind is int or kind is str:
        return kind, attribute
    if kind is tuple:
        return tuple(map(_attribute_key, attribute))
    if isinstance(attribute, np.ndarray):
        return attribute.dtype.name, attribute.shape, _contents(attribute)
    # 1, 1.0 and True are equal in Python but not in ONNX; and so are 0.0 and -0.0, while NaN is not equal to itself.
    return kind, struct.pack("d", attribute) if isinstance(attribute, (float, np.floating)) else attribute


def _contents(data: np.ndarray[Any, Any]) -> Hashable:
    if data.dtype == object:
        return tuple(data.reshape(-1).tolist())
    if data.nbytes <= 1024:
        return data.tobytes()
    return hashlib.sha256(np.ascontiguousarray(data).data.cast("B")).digest()
