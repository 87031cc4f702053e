"""How many bytes of intermediate tensors live at each node, when nodes run in the order of the graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from nngraph.ir import Graph, Node, OpaqueType, Value, numpy_dtype

__all__ = ["VIEWS", "bytes_of", "live_bytes", "peak_bytes"]

VIEWS = frozenset("Identity Reshape Squeeze Unsqueeze Flatten".split())  # noqa: SIM905
"""Operators whose result is their first input, seen in another shape."""

_IN_PLACE = frozenset("Relu Sigmoid Tanh Softplus Elu LeakyRelu HardSigmoid Selu Softmax Clip Cast".split())  # noqa: SIM905
"""Operators that the CPU provider lets write over an input of the same size that nobody reads afterwards (measured)."""

_NOMINAL = 32
"""What stands for a size that has only a name."""


def bytes_of(value: Value) -> int:
    """Return the bytes of a tensor; named sizes count as 32, a text as one byte, and what is no tensor as nothing."""
    if isinstance(value.type, OpaqueType):
        return 0
    size = 1 if value.dtype == "string" else numpy_dtype(value.dtype).itemsize
    for dim in value.shape:
        size *= dim if isinstance(dim, int) else _NOMINAL
    return size


def live_bytes(graph: Graph) -> list[int]:
    """Return, for each node, the bytes of intermediate tensors that exist while it runs.

    Inputs, constants and outputs of the graph are not counted, they exist anyway; neither is what a kernel needs
    besides its inputs and outputs. Views cost nothing, and some operators work in place, as the CPU provider's do.

    Example:
        >>> from nngraph import ops
        >>> from nngraph.ir import TensorType
        >>> from nngraph.ops.trace import trace_graph
        >>> graph, _, y = trace_graph(lambda x: ops.sum(ops.relu(ops.sin(x))), [TensorType("float32", (100,))])
        >>> graph.set_outputs([y]); live_bytes(graph)
        [400, 400, 400]
    """
    last: dict[Value, Node] = {}
    for node in graph:
        for value in _read(node):
            last[value] = node
    outputs = set(graph.outputs)
    buffer: dict[Value, Value] = {}  # a value to the one in whose memory it lies
    readers: Counter[Value] = Counter()  # how many values that are still needed lie there
    live = 0
    found = []
    for node in graph:
        for value in node.outputs:
            place = None if value in outputs else _shared(node, value, buffer, readers, last)
            if place is None:
                place = value
                live += 0 if value in outputs else bytes_of(value)
            buffer[value] = place
            readers[place] += 1
        found.append(live)
        dead = [v for v in _read(node) if last[v] is node]
        for value in (*dead, *(v for v in node.outputs if v not in last)):
            place = buffer.get(value)
            if place is None or value in outputs:
                continue
            readers[place] -= 1
            if not readers[place]:
                live -= 0 if place in outputs else bytes_of(place)
    return found


def peak_bytes(graph: Graph) -> int:
    """Return the largest of :func:`live_bytes`."""
    return max(live_bytes(graph), default=0)


def _read(node: Node) -> Iterator[Value]:
    """The values that a node or a graph inside it uses, each once."""
    captured = node.captures() if node.attributes else ()
    yield from dict.fromkeys(v for v in (*node.inputs, *captured) if v is not None)


def _shared(
    node: Node, value: Value, buffer: dict[Value, Value], readers: Counter[Value], last: dict[Value, Node]
) -> Value | None:
    """Return the buffer of its first input in which the runtime puts a node's result, if it does."""
    source = node.inputs[0] if node.inputs else None
    if node.domain or source is None or source not in buffer:
        return None
    if node.op in VIEWS:
        return buffer[source]
    alone = readers[buffer[source]] == 1 and last[source] is node
    return buffer[source] if node.op in _IN_PLACE and alone and bytes_of(source) == bytes_of(value) else None
