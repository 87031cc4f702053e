"""The text form of a graph: deterministic, readable, and stable under diff."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from nngraph.ir.graph import Graph, Node, Value

__all__ = ["fingerprint", "node_to_text", "to_text"]


def to_text(graph: Graph, *, origins: bool = True) -> str:
    """Return the graph as text, one node a line.

    Example:
        >>> from nngraph.ir import Graph, TensorType
        >>> g = Graph("id"); x = g.add_input("x", TensorType("float32", ("batch", 2)))
        >>> g.set_outputs([x]); print(to_text(g))
        graph id(%x: float32[batch, 2]) {
          return x=%x
        }
    """
    return "\n".join(_lines(graph, "", origins))


def _lines(graph: Graph, indent: str, origins: bool) -> Iterator[str]:
    parameters = ", ".join(f"%{v.name}: {v.type}" for v in graph.inputs)
    yield f"{indent}graph {graph.name}({parameters}) {{"
    for value in graph.constants:
        yield f"{indent}  const %{value.name}: {value.type} = {_array_text(value.data)}"
    for node in graph:
        yield indent + "  " + node_to_text(node, origins=origins)
        for key, attribute in node.attributes.items():
            if isinstance(attribute, Graph):
                lines = list(_lines(attribute, indent + "    ", origins))
                yield f"{indent}    {key} = {lines[0].strip()}"
                yield from lines[1:]
    results = ", ".join(f"{name}=%{v.name}" for name, v in zip(graph.output_names, graph.outputs, strict=True))
    yield f"{indent}  return {results}"
    yield f"{indent}}}"


def node_to_text(node: Node, *, origins: bool = True) -> str:
    """Return one node as a line of text, its subgraphs named but not printed."""
    outputs = ", ".join(f"%{v.name}: {v.type}" for v in node.outputs)
    inputs = ", ".join("_" if v is None else f"%{v.name}" for v in node.inputs)
    attributes = "".join(
        f", {k}={'<graph>' if isinstance(v, Graph) else _attribute_text(v)}" for k, v in sorted(node.attributes.items())
    )
    line = f"{outputs} = {node.op_id}({(inputs + attributes).removeprefix(', ')})"
    origin = str(node.origin) if origins else ""
    return f"{line}  # {origin}" if origin else line


def _attribute_text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return _array_text(value)
    if isinstance(value, float):
        return str(np.float32(value))  # what ONNX stores, in as few digits as tell it apart
    return repr(list(value)) if isinstance(value, tuple) else repr(value)


def _array_text(data: np.ndarray[Any, Any] | None) -> str:
    if data is None:
        return "?"
    if data.size <= 8:
        return repr(data.tolist()).replace("\n", " ")
    digest = hashlib.sha256(_array_bytes(data)).hexdigest()[:12]
    return f"<{data.size} elements, sha256 {digest}>"


def _array_bytes(data: np.ndarray[Any, Any]) -> bytes:
    return repr(data.tolist()).encode() if data.dtype == object else np.ascontiguousarray(data).tobytes()


def fingerprint(graph: Graph) -> str:
    """Return a hash of everything that decides what the graph computes and how it is called.

    Names of inner values, origins and metadata do not count; names of inputs and outputs do.
    """
    digest = hashlib.sha256()
    _hash_graph(graph, digest, {})
    return digest.hexdigest()


def _hash_graph(graph: Graph, digest: Any, numbers: dict[Value, int]) -> None:
    def number(value: Value) -> int:
        return numbers.setdefault(value, len(numbers))

    def put(*parts: Any) -> None:
        digest.update(repr(parts).encode())

    for value in graph.inputs:
        put("input", number(value), value.name, str(value.type))
    for value in graph.constants:
        put("const", number(value), str(value.type))
        if value.data is not None:
            digest.update(_array_bytes(value.data))
    for node in graph:
        put(node.op_id, [None if v is None else number(v) for v in node.inputs])
        for key, attribute in sorted(node.attributes.items()):
            if isinstance(attribute, Graph):
                put(key)
                _hash_graph(attribute, digest, numbers)
            elif isinstance(attribute, np.ndarray):
                put(key, attribute.shape, str(attribute.dtype))
                digest.update(_array_bytes(attribute))
            else:
                put(key, attribute)
        put([number(v) for v in node.outputs])
    put("return", graph.output_names, [number(v) for v in graph.outputs])
