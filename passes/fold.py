"""Constant folding: what depends on constants only is computed now, by the runtime itself and in one run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nngraph.ir import Graph, Node, OpaqueType, Value, copy_node, numpy_dtype
from nngraph.registry import COMPOSITE_DOMAIN
from nngraph.symbolic import sizes_of
from passes.base import Pass, infer_node
from passes.build import take_names
from passes.traits import is_random

__all__ = ["Fold"]


@dataclass(frozen=True)
class Fold(Pass):
    """Computes nodes whose inputs are all constants, and integer vectors that follow from known sizes.

    The maximal constant part of the graph is one graph of its own, run once with the runtime's optimisations off.
    Random nodes, control flow and texts are left alone, and so is what would store more than ``max_bytes``.

    Attributes:
        max_bytes: the largest constant that may be made; one that is no larger than what it was made from is allowed.
    """

    name: ClassVar[str] = "fold"

    max_bytes: int = 1 << 20

    def run(self, graph: Graph) -> int:
        """Replace constant values by stored arrays, and branches by the one that is taken; return how many."""
        changes = _fold_sizes(graph) + self._fold_nodes(graph)
        while taken := _take_branches(graph):
            changes += taken + _fold_sizes(graph) + self._fold_nodes(graph)
        if changes:
            _retype(graph)
        return changes

    def _fold_nodes(self, graph: Graph) -> int:
        known: dict[Value, int] = {}  # constant value -> bytes of the stored arrays that it is made from
        for item in _graphs(graph):
            known.update((v, v.data.nbytes) for v in item.constants if v.data is not None)
        nodes: list[Node] = []
        for node in graph.all_nodes():
            if self._is_foldable(node, known):
                nodes.append(node)
                known.update((o, sum(known[v] for v in node.inputs if v is not None)) for o in node.outputs)
        if not nodes:
            return 0
        inside = set(nodes)
        results = [o for n in nodes for o in n.outputs if o.is_output or any(user not in inside for user, _ in o.uses)]
        for value, array in zip(results, _compute(nodes, results), strict=True):
            _store(value, array)
        for node in reversed(nodes):
            if node.graph is not None and not node.is_used:
                node.graph.erase(node)
        return len(results)

    def _is_foldable(self, node: Node, known: dict[Value, int]) -> bool:
        for value in node.inputs:  # what nearly always decides
            if value is not None and value not in known:
                return False
        if node.domain not in ("", COMPOSITE_DOMAIN) or node.subgraphs or not node.inputs or is_random(node):
            return False
        if any(v is not None and _is_exotic(v) for v in (*node.inputs, *node.outputs)):
            return False
        if not node.is_used:
            return False
        made_from = sum(known[v] for v in node.inputs if v is not None)
        return all(_bytes(o) <= max(self.max_bytes, made_from) for o in node.outputs)


def _graphs(graph: Graph) -> Iterator[Graph]:
    yield graph
    for sub in graph.subgraphs:
        yield from _graphs(sub)


def _is_exotic(value: Value) -> bool:
    """Texts, sequences and the dtypes that numpy has not: the runtime computes little with them."""
    return value.dtype in ("string", "opaque") or value.dtype.startswith(
        ("complex", "float8", "float4", "int2", "uint2", "int4", "uint4")
    )


def _bytes(value: Value) -> float:
    size = value.type.size
    return float("inf") if size is None else size * numpy_dtype(value.dtype).itemsize


def _compute(nodes: list[Node], results: list[Value]) -> list[np.ndarray[Any, Any]]:
    """Run the nodes once and return the results."""
    from nngraph.runtime import Session

    part = Graph("constants")
    mapping: dict[Value, Value] = {}
    for node in nodes:
        for value in node.inputs:
            if value is not None and value.data is not None and value not in mapping:
                mapping[value] = part.add_constant(value.data)
        copy_node(node, part, mapping)
    names = [f"y{k}" for k in range(len(results))]
    part.set_outputs([_readable(mapping[v], part) for v in results], names)
    found = Session(part, "cpu", optimize=False, share=False).run({})
    return [found[n].astype(numpy_dtype(v.dtype), copy=False) for n, v in zip(names, results, strict=True)]


def _readable(value: Value, part: Graph) -> Value:
    """Return the value as something that the runtime can hand over as a numpy array."""
    if value.dtype != "bfloat16":
        return value
    return part.append(Node("Cast", [value], {"to": "float32"}), [value.type.with_dtype("float32")]).output


def _store(value: Value, array: np.ndarray[Any, Any]) -> None:
    """Put a constant in the place of a value, under its name."""
    constant = value.graph.add_constant(np.ascontiguousarray(array).reshape(array.shape), value.name)
    take_names(constant, value)
    value.replace_uses(constant)


def _take_branches(graph: Graph) -> int:
    """Replace each If whose condition is known by the nodes of the branch that it takes."""
    taken = 0
    for node in list(graph.all_nodes()):
        condition = node.inputs[0] if node.op == "If" and not node.domain else None
        if condition is None or condition.data is None or condition.data.size != 1 or node.graph is None:
            continue
        branch = node.attributes["then_branch" if condition.data.item() else "else_branch"]
        mapping: dict[Value, Value] = {}
        for value in branch.constants:
            mapping[value] = node.graph.add_constant(value.data, value.name)
        for inner in branch:
            copy_node(inner, node.graph, mapping, before=node)
        for old, value in zip(node.outputs, branch.outputs, strict=True):
            take_names(mapping[value], old)
            old.replace_uses(mapping[value])
        node.graph.erase(node)
        taken += 1
    if taken:
        _retype(graph)
    return taken


def _retype(graph: Graph) -> None:
    """Infer anew what was not known while two branches gave different types, or a target shape was computed."""
    for node in graph.all_nodes():
        if not any(isinstance(o.type, OpaqueType) for o in node.outputs):
            continue
        for value, type in zip(node.outputs, infer_node(node), strict=False):
            if isinstance(value.type, OpaqueType) and not isinstance(type, OpaqueType):
                value.type = type.with_shape(graph.unique_name("dim") if d == "?" else d for d in type.shape)


def _fold_sizes(graph: Graph) -> int:
    """Replace integer vectors and scalars that consist of known sizes; inference has followed them already."""
    changes = 0
    for node in graph.all_nodes():
        if node.op_id not in _SIZE_OPS or len(node.outputs) != 1:
            continue
        value = node.output
        if not (value.uses or value.is_output):
            continue
        if node.op == "Size":
            size = node.inputs[0].type.size if node.inputs[0] is not None else None
            sizes: Any = None if size is None else (size,)
        elif value.dtype in ("int32", "int64") and value.ndim <= 1:
            sizes = sizes_of(value)
        else:
            continue
        if sizes is None or not all(isinstance(d, int) for d in sizes):
            continue
        _store(value, np.array(sizes, numpy_dtype(value.dtype)).reshape(() if value.ndim == 0 else (-1,)))
        assert node.graph is not None
        node.graph.erase(node)
        changes += 1
    return changes


_SIZE_OPS = frozenset(
    "Shape Size Cast Squeeze Unsqueeze Reshape Concat Gather Slice Mul Add Sub".split()  # noqa: SIM905
)
"""Operators through which sizes are followed; what else is constant goes the ordinary way."""
