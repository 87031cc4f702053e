"""Changes of how a graph is called: sizes bound, inputs made constant or dropped. Each returns a new graph."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from nngraph.errors import unknown_name
from nngraph.ir import Graph, Node, TensorType, Value
from nngraph.ir.types import dims_compatible
from passes.base import infer_node

__all__ = ["freeze", "prune_inputs", "specialize"]


def specialize(graph: Graph, sizes: Mapping[str, int], *, clone: bool = True) -> Graph:
    """Return the graph for particular sizes of its named dimensions; every type is inferred anew.

    Args:
        graph: the graph.
        sizes: dimension name to size; names that are left out stay.
        clone: work on a copy.

    Raises:
        ValueError: a name is no dimension of the graph's inputs, a size is negative, or the sizes do not fit together.

    Example:
        >>> from nngraph.ops.trace import trace_graph
        >>> graph, _, y = trace_graph(lambda x: x + 1, [TensorType("float32", ("batch", 3))])
        >>> graph.set_outputs([y]); str(specialize(graph, {"batch": 32}).outputs[0].type)
        'float32[32, 3]'
    """
    names = {d for v in graph.inputs for d in v.shape if isinstance(d, str)}
    for name, size in sizes.items():
        if name not in names:
            raise unknown_name("dimension", name, names)
        if size < 0:
            raise ValueError(f"dimension {name!r} must be a size of 0 or more, got {size}")
    graph = graph.clone() if clone else graph
    affected = {n for n in graph.all_nodes() if not all(v is None or v.type.is_static for v in (*n.inputs, *n.outputs))}
    graph.bind_dims(sizes)
    _infer_again(graph, affected)
    return graph


def _infer_again(graph: Graph, affected: set[Node] | None = None) -> None:
    """Infer the output types of some nodes, by default of those not fully known, and keep what is more precise."""
    for node in graph:
        for sub in node.subgraphs:
            _infer_again(sub, affected)
        if node not in affected if affected is not None else all(o.type.is_static for o in node.outputs):
            continue
        for value, type in zip(node.outputs, infer_node(node), strict=False):
            _sharpen(node, value, type)


def _sharpen(node: Node, value: Value, type: TensorType) -> None:
    same = type.dtype == value.dtype and type.rank == value.ndim
    if not same or not all(map(dims_compatible, value.shape, type.shape)):
        raise ValueError(f"node {node.name!r} ({node.op_id}) gives {type} where {value.type} was recorded")
    value.type = value.type.with_shape(
        new if isinstance(old, str) and isinstance(new, int) else old
        for old, new in zip(value.shape, type.shape, strict=True)
    )


def freeze(graph: Graph, values: Mapping[str, Any], *, clone: bool = True) -> Graph:
    """Return the graph with inputs turned into constants, such as trained weights for inference.

    Args:
        graph: the graph.
        values: input name to array; the dtype must be the input's, and named sizes may have any value.
        clone: work on a copy; the arrays themselves are never copied.

    Raises:
        ValueError: a name is no input of the graph, or an array does not have the input's type.

    Example:
        >>> from nngraph.ops.trace import trace_graph
        >>> graph, _, y = trace_graph(lambda x, w: x + w, [TensorType("float32", (2,))] * 2, ["x", "w"])
        >>> graph.set_outputs([y]); [v.name for v in freeze(graph, {"w": np.float32([1, 2])}).inputs]
        ['x']
    """
    graph = graph.clone() if clone else graph
    inputs = {v.name: v for v in graph.inputs}
    for name, data in values.items():
        if name not in inputs:
            raise unknown_name("input", name, inputs)
        array = np.asarray(data)
        value, given = inputs[name], TensorType.of(array)
        fits = given.dtype == value.dtype and given.rank == value.ndim
        if not fits or any(isinstance(d, int) and d != n for d, n in zip(value.shape, given.shape, strict=True)):
            raise ValueError(f"input {name!r} of graph {graph.name!r} must be {value.type}, got {given}")
        graph.make_constant(value, array)
    _infer_again(graph)
    return graph


def prune_inputs(graph: Graph, *, keep: Collection[str] = (), clone: bool = True) -> Graph:
    """Return the graph without the inputs that nothing uses, except those named in ``keep``.

    Example:
        >>> from nngraph.ops.trace import trace_graph
        >>> graph, _, y = trace_graph(lambda x, unused: x * 2, [TensorType("float32", ())] * 2, ["x", "unused"])
        >>> graph.set_outputs([y]); [v.name for v in prune_inputs(graph).inputs]
        ['x']
    """
    graph = graph.clone() if clone else graph
    graph.inputs = [v for v in graph.inputs if v.uses or v.is_output or v.name in keep]
    return graph
