"""Which state a step may write over where it lies.

A step reads each variable from one buffer and writes its new value to another (``nngraph.runtime.state``), because a
graph does not say when its nodes run. For most of an optimizer's state one buffer is enough: a running mean is read by
nothing but what computes its next value. That saves memory, and what is written where it was read is in the cache.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from nngraph.ir import Graph, Node, Value
from passes.liveness import VIEWS

__all__ = ["overwritable"]

Question = tuple[set[Node], Node]
"""Some nodes, and one: is it computed from all of them?"""

_WRITERS = frozenset("Add Sub Mul Div".split())  # noqa: SIM905
"""Operators whose kernels may write over an operand of the result's size: each entry is read before it is written."""

_READERS = _WRITERS | frozenset("Concat Max Sqrt".split())  # noqa: SIM905
"""Operators that may stand right before the writer: whatever a runtime fuses of both still goes entry by entry."""


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
    questions: dict[str, Question] = {}
    for name, out in state:
        if out is not None and name in inputs and taken[outputs[out]] == 1:
            question = _question(graph, inputs[name], outputs[out])
            if question is not None:
                questions[name] = question
    answers = _are_before(graph, list(questions.values()))
    return frozenset(name for name, answer in zip(questions, answers, strict=True) if answer)


def _question(graph: Graph, old: Value, new: Value) -> Question | None:
    """Return the nodes that must come before the one that writes the new value, or ``None`` if that is in vain."""
    writer = new.producer
    if writer is None or old.type != new.type or not old.type.is_static or old.is_output:
        return None
    views, readers = _readers(old)
    if any(v.is_output for v in views) or any(r.graph is not graph for r in readers):
        return None
    if writer in readers:
        whole = all(v.shape == new.shape for v in writer.inputs if v in views)
        if writer.domain or writer.op not in _WRITERS or not whole:
            return None
        readers.discard(writer)
    before = dict.fromkeys(v.producer for v in writer.inputs if v is not None and v.producer is not None)
    if any(node in readers and node.op not in _READERS for node in map(_behind_views, before)):
        return None
    return readers, writer


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


def _are_before(graph: Graph, questions: Sequence[Question]) -> list[bool]:
    """Tell for each question whether the last node is computed from all the others.

    One walk answers them all: from the end backwards, each node learns of its users which last nodes they lead to.
    """
    leads_to = dict[Node, int]()  # bit k for question k
    for k, (_, last) in enumerate(questions):
        leads_to[last] = leads_to.get(last, 0) | 1 << k
    for node in reversed(graph):
        found = leads_to.get(node, 0)
        for output in node.outputs:
            for user, _ in output.uses:
                found |= leads_to.get(user, 0)
        if found:
            leads_to[node] = found
    return [all(leads_to.get(node, 0) >> k & 1 for node in nodes) for k, (nodes, _) in enumerate(questions)]
