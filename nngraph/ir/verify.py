"""The verifier: every rule that a graph keeps, checked between passes.

A value has a dtype and a rank; nodes come after what they use; uses and inputs agree in both directions; names are
unique; recorded types do not contradict what inference finds anew. A fault is reported with its neighbourhood.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nngraph.ir.graph import Graph, Node, Value
from nngraph.ir.text import node_to_text
from nngraph.ir.types import DTYPES, OpaqueType, TensorType, dims_compatible

__all__ = ["Infer", "VerificationError", "verify"]

Infer = Callable[[Node], Sequence[TensorType]]
"""Returns the output types of a node from its inputs and attributes, and raises ValueError for an illegal node."""


class VerificationError(ValueError):
    """A graph breaks one of the rules of :mod:`nngraph.ir.verify`."""


def verify(graph: Graph, infer: Infer | None = None, *, after: str = "") -> None:
    """Check every invariant of the graph and its subgraphs.

    Args:
        graph: the graph to check.
        infer: type inference for one node; without it types are only checked for form.
        after: what ran last, for the error message.

    Raises:
        VerificationError: names the node, shows the nodes around it and says what ran last.
    """
    _Verifier(infer, after).graph(graph, set(), {})


class _Verifier:
    def __init__(self, infer: Infer | None, after: str) -> None:
        self.infer = infer
        self.after = after

    def fail(self, graph: Graph, message: str, node: Node | None = None) -> None:
        where = f" after {self.after}" if self.after else ""
        text = f"graph {graph.name!r} is invalid{where}: {message}"
        if node is not None:
            nodes = graph.nodes
            at = nodes.index(node) if node in nodes else 0
            lines = [("-> " if n is node else "   ") + node_to_text(n) for n in nodes[max(0, at - 5) : at + 6]]
            text += "\n" + "\n".join(lines)
        raise VerificationError(text)

    def graph(self, graph: Graph, visible: set[Value], names: dict[str, Value]) -> None:
        visible = set(visible)

        def define(value: Value, node: Node | None) -> None:
            if value.graph is not graph:
                self.fail(graph, f"value {value.name!r} is recorded in graph {value.graph.name!r}", node)
            if names.setdefault(value.name, value) is not value:
                self.fail(graph, f"two values are named {value.name!r}", node)
            if value.dtype not in DTYPES and not isinstance(value.type, OpaqueType):
                self.fail(graph, f"value {value.name!r} has the unknown dtype {value.dtype!r}", node)
            if any(not isinstance(d, (int, str)) or (isinstance(d, int) and d < 0) for d in value.shape):
                self.fail(graph, f"value {value.name!r} has the bad shape {value.shape}", node)
            visible.add(value)

        for value in graph.inputs:
            define(value, None)
            if value.data is not None:
                self.fail(graph, f"input {value.name!r} also holds constant data")
        for value in graph.constants:
            define(value, None)
            if value.data is None:
                self.fail(graph, f"constant {value.name!r} holds no data")
            elif TensorType.of(value.data) != value.type:
                self.fail(
                    graph, f"constant {value.name!r} is {TensorType.of(value.data)} but is recorded as {value.type}"
                )

        node_names: set[str] = set()
        for node in graph:
            self.node(graph, node, visible, names, node_names)
            for i, value in enumerate(node.outputs):
                if value.producer is not node or value.index != i:
                    self.fail(graph, f"output {value.name!r} does not know its producer", node)
                define(value, node)
        for value in (*graph.inputs, *graph.constants, *(o for n in graph for o in n.outputs)):
            self.uses(graph, value)
        if len(graph.outputs) != len(graph.output_names):
            self.fail(graph, f"{len(graph.outputs)} outputs but {len(graph.output_names)} output names")
        if len(set(graph.output_names)) != len(graph.output_names):
            self.fail(graph, f"output names repeat: {graph.output_names}")
        for value in graph.outputs:
            if value.graph is not graph or value not in visible:
                self.fail(graph, f"output {value.name!r} is not a value of this graph")

    def node(
        self, graph: Graph, node: Node, visible: set[Value], names: dict[str, Value], node_names: set[str]
    ) -> None:
        if node.graph is not graph:
            self.fail(graph, f"node {node.name!r} is linked here but recorded elsewhere", node)
        if node.name in node_names:
            self.fail(graph, f"two nodes are named {node.name!r}", node)
        node_names.add(node.name)
        for i, value in enumerate(node.inputs):
            if value is None:
                continue
            if value not in visible:
                self.fail(
                    graph, f"node {node.name!r} uses {value.name!r} before it is defined, or from another graph", node
                )
            if (node, i) not in value.uses:
                self.fail(graph, f"node {node.name!r} uses {value.name!r}, which does not know it", node)
        for sub in node.subgraphs:
            if sub.parent is not graph:
                self.fail(graph, f"subgraph {sub.name!r} of node {node.name!r} has another parent", node)
            self.graph(sub, visible, names)
        if self.infer is not None:
            self.types(graph, node)

    def types(self, graph: Graph, node: Node) -> None:
        assert self.infer is not None
        try:
            inferred = self.infer(node)
        except ValueError as error:
            self.fail(graph, f"node {node.name!r} ({node.op_id}) is illegal: {error}", node)
            return
        if len(inferred) < len(node.outputs):
            self.fail(
                graph, f"node {node.name!r} has {len(node.outputs)} outputs, {node.op_id} gives {len(inferred)}", node
            )
        for value, type in zip(node.outputs, inferred, strict=False):
            if not _agree(value.type, type):
                self.fail(
                    graph, f"value {value.name!r} is recorded as {value.type}, but {node.op_id} gives {type}", node
                )

    def uses(self, graph: Graph, value: Value) -> None:
        for user, i in value.uses:
            if i >= len(user.inputs) or user.inputs[i] is not value:
                self.fail(graph, f"value {value.name!r} lists {user.name!r} as a user, which does not use it", user)
            if user.graph is None:
                self.fail(graph, f"value {value.name!r} is used by the erased node {user.name!r}")


def _agree(recorded: TensorType, inferred: TensorType) -> bool:
    if isinstance(recorded, OpaqueType) or isinstance(inferred, OpaqueType):
        return True  # one of them knows less than the other
    same = recorded.dtype == inferred.dtype and recorded.rank == inferred.rank
    return same and all(map(dims_compatible, recorded.shape, inferred.shape))
