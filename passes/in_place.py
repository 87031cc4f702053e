"""Which state a step may write over where it lies.

A step reads each variable from one buffer and writes its new value to another (``nngraph.runtime.state``), because a
graph does not say when its nodes run. For most of an optimizer's state one buffer is enough: a running mean is read by
nothing but what computes its next value. That saves memory, and what is written where it was read is in the cache.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from nngraph.ir import Graph, Node, Value
from passes.liveness import VIEWS, bytes_of

__all__ = ["overwritable"]

_WRITERS = frozenset("Add Sub Mul Div".split())  # noqa: SIM905
"""Operators whose kernels may write over an operand of the result's size: each entry is read before it is written."""

_READERS = _WRITERS | frozenset("Concat Max Sqrt".split())  # noqa: SIM905
"""Operators that may stand right before the writer: whatever a runtime fuses of both still goes entry by entry."""

_NEAR = 64
"""So many nodes are searched for the readers of a small tensor; for a large one, all that lie before the writer."""

_LARGE = 1 << 20


def overwritable(graph: Graph, state: Iterable[tuple[str, str | None]]) -> frozenset[str]:
    """Return the names of the inputs whose memory may receive their new values.

    The old value must be read by nothing that could run after the node that writes the new one: every reader comes
    before that node on some path of the graph, or is that node, if it works entry by entry.

    Args:
        graph: a step in the form in which it runs.
        state: the names of input and output of each variable, ``None`` where it is only read.

    Example:
        >>> from nngraph.ir import TensorType
        >>> from nngraph.ops.trace import Trace
        >>> g = Graph("step"); m, w, g_ = (g.add_input(n, TensorType("float32", (2,))) for n in ("m", "w", "g"))
        >>> with Trace(g):
        ...     mean = m + (g_ - m) * 0.1
        ...     g.set_outputs([mean, w - mean, w * 2.0], ["new_m", "new_w", "y"])
        >>> sorted(overwritable(g, [("m", "new_m"), ("w", "new_w")]))  # y may be computed after new_w
        ['m']
    """
    inputs = {v.name: v for v in graph.inputs}
    outputs = dict(zip(graph.output_names, graph.outputs, strict=True))
    taken = Counter(graph.outputs)
    return frozenset(
        name
        for name, out in state
        if out is not None
        and name in inputs
        and taken[outputs[out]] == 1
        and _may_overwrite(graph, inputs[name], outputs[out])
    )


def _may_overwrite(graph: Graph, old: Value, new: Value) -> bool:
    writer = new.producer
    if writer is None or old.type != new.type or not old.type.is_static or old.is_output:
        return False
    views, readers = _readers(old)
    if any(v.is_output for v in views) or any(r.graph is not graph for r in readers):
        return False
    if writer in readers:
        whole = all(v.shape == new.shape for v in writer.inputs if v in views)
        if writer.domain or writer.op not in _WRITERS or not whole:
            return False
        readers.discard(writer)
    before = dict.fromkeys(v.producer for v in writer.inputs if v is not None and v.producer is not None)
    if any(node in readers and node.op not in _READERS for node in map(_behind_views, before)):
        return False
    return _all_before(readers, before, _NEAR if bytes_of(old) < _LARGE else len(graph))


def _readers(value: Value) -> tuple[set[Value], set[Node]]:
    """Return a value with all views of it, and the nodes that read any of them."""
    views, readers, waiting = {value}, set[Node](), [value]
    while waiting:
        for user in waiting.pop().users:
            if user.domain or user.op not in VIEWS:
                readers.add(user)
            elif user.output not in views:
                views.add(user.output)
                waiting.append(user.output)
    return views, readers


def _behind_views(node: Node) -> Node:
    """Return the node that computes what a view shows."""
    while not node.domain and node.op in VIEWS and node.inputs[0] is not None and node.inputs[0].producer is not None:
        node = node.inputs[0].producer
    return node


def _all_before(wanted: set[Node], start: Iterable[Node], limit: int) -> bool:
    """Whether nodes are among those from which others are computed, as far as so many nodes tell."""
    missing, seen, waiting = set(wanted), set(start), list(start)
    for node in waiting:  # it grows
        missing.discard(node)
        if not missing:
            return True
        if len(seen) > limit:
            return False
        for value in node.inputs:
            producer = value.producer if value is not None else None
            if producer is not None and producer not in seen:
                seen.add(producer)
                waiting.append(producer)
                if len(seen) > limit:
                    break  # the vectors of a whole network may be joined here, and each of them asks
    return not missing
