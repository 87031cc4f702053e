"""A networkx view of a graph, for analysis: cuts, dominators, paths, isomorphism. It is built on demand."""

from __future__ import annotations

import networkx as nx

from nngraph.ir.graph import Graph, Value

__all__ = ["same_structure", "to_networkx"]


def to_networkx(graph: Graph, *, constants: bool = True) -> nx.MultiDiGraph:
    """Return a directed multigraph whose vertices are nodes, inputs, constants and outputs.

    Vertices carry ``kind`` (``input``, ``constant``, ``node`` or ``output``), ``label`` and, for nodes, ``node``;
    edges carry ``value``, ``slot`` (the input's position) and ``bytes`` when the size is known.
    """
    view = nx.MultiDiGraph(name=graph.name)

    def vertex(value: Value) -> object:
        return value.producer if value.producer is not None and value.graph is graph else value

    for i, value in enumerate(graph.inputs):
        view.add_node(value, kind="input", label=f"input {i}: {value.type}")
    for value in graph.constants if constants else ():
        view.add_node(value, kind="constant", label=f"constant {value.type}")
    for node in graph:
        attributes = sorted((k, "graph" if isinstance(a, Graph) else repr(a)) for k, a in node.attributes.items())
        view.add_node(node, kind="node", label=f"{node.op_id}{attributes}", node=node)
        used = [(slot, value) for slot, value in enumerate(node.inputs) if value is not None]
        used += [(len(node.inputs) + k, value) for k, value in enumerate(node.captures()) if value.graph is graph]
        for slot, value in used:
            if value.is_constant and not constants:
                continue
            view.add_edge(vertex(value), node, slot=slot, value=value, out=value.index, bytes=_bytes(value))
    for i, value in enumerate(graph.outputs):
        out = ("output", i)
        view.add_node(out, kind="output", label=f"output {i}")
        view.add_edge(vertex(value), out, slot=0, value=value, out=value.index, bytes=_bytes(value))
    return view


def _bytes(value: Value) -> int | None:
    from nngraph.ir.types import numpy_dtype

    size = value.type.size
    return None if size is None else size * numpy_dtype(value.dtype).itemsize


def same_structure(a: Graph, b: Graph) -> bool:
    """Tell whether two graphs are equal up to names and order of independent nodes; constants compare by type."""
    return bool(
        nx.is_isomorphic(
            to_networkx(a),
            to_networkx(b),
            node_match=lambda m, n: m["label"] == n["label"],
            edge_match=lambda m, n: (
                sorted((e["slot"], e["out"]) for e in m.values()) == sorted((e["slot"], e["out"]) for e in n.values())
            ),
        )
    )
