"""In which order the runtime runs a graph's nodes, and how many bytes of intermediate tensors live at each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from nngraph.ir import Graph, Node, Value, bytes_of

__all__ = ["VIEWS", "execution_order", "live_bytes", "peak_bytes"]

VIEWS = frozenset("Identity Reshape Squeeze Unsqueeze Flatten".split())  # noqa: SIM905
"""Operators whose result is their first input, seen in another shape."""

_IN_PLACE = frozenset("Relu Sigmoid Tanh Softplus Elu LeakyRelu HardSigmoid Selu Softmax Clip Cast".split())  # noqa: SIM905
"""Operators that the CPU provider lets write over an input of the same size that nobody reads afterwards (measured)."""


def execution_order(graph: Graph) -> list[Node]:
    """Return the graph's own nodes, without those of subgraphs, in the order in which onnxruntime runs them.

    It searches depth first, from the last node that nothing reads to the first, and from each node to the inputs that
    stand last in the graph first; a node runs when the search leaves it (measured; ``GraphViewer``'s default order).

    Example:
        >>> from nngraph import ops
        >>> from nngraph.ir import TensorType
        >>> from nngraph.ops.trace import trace_graph
        >>> graph, _, ys = trace_graph(lambda x: [ops.exp(ops.sin(x)), ops.cos(x)], [TensorType("float32", (2,))])
        >>> graph.set_outputs(ys); [node.op for node in execution_order(graph)]
        ['Cos', 'Sin', 'Exp']
    """
    place = {node: k for k, node in enumerate(graph)}
    waiting = [(node, False) for node in graph if not any(v.uses for v in node.outputs)]
    order: list[Node] = []
    seen: set[Node] = set()
    while waiting:
        node, done = waiting.pop()
        if done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            waiting.append((node, True))
            makers = {v.producer for v in _read(node) if v.producer in place}
            waiting += [(maker, False) for maker in sorted(makers, key=place.__getitem__) if maker not in seen]
    return order


def live_bytes(graph: Graph) -> list[int]:
    """Return, for each node in :func:`execution_order`, the bytes of intermediate tensors that exist while it runs.

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
    order = execution_order(graph)
    last: dict[Value, Node] = {}
    for node in order:
        for value in _read(node):
            last[value] = node
    outputs = set(graph.outputs)
    buffer: dict[Value, Value] = {}  # a value to the one in whose memory it lies
    readers: Counter[Value] = Counter()  # how many values that are still needed lie there
    live = 0
    found = []
    for node in order:
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
