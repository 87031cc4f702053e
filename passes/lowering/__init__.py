"""Lowering: composite operators become real ones, in the form that suits a target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from nngraph.errors import unknown_name
from nngraph.ir import Graph
from nngraph.registry import COMPOSITE_DOMAIN
from nngraph.runtime import expand_composite, expand_unsafe, legalize
from passes.base import Pass
from passes.lowering import cpu, cuda
from passes.lowering.table import Form

__all__ = ["FORMS", "Lower", "lower"]

FORMS: dict[str, dict[str, Form]] = {"portable": {}, "cpu": cpu.FORMS, "cuda": cuda.FORMS}
"""Target to composite operator to the form that is better there than the portable one."""

_FINISH: dict[str, Callable[[Graph], int]] = {
    "portable": expand_unsafe,
    "cpu": legalize,
    "cuda": cuda.for_cuda,
}
"""What a target does about real operators that its provider has no kernels for."""


@dataclass(frozen=True)
class Lower(Pass):
    """Replaces composite operators (domain ``nngraph``) by real ones.

    ``portable`` uses each operator's portable form, made of ai.onnx only. ``cpu`` and ``cuda`` use other forms where
    their tables have one that fits, and rewrite what their provider has no kernel for as far as they can.

    Attributes:
        target: ``"portable"``, ``"cpu"`` or ``"cuda"``.
    """

    name: ClassVar[str] = "lower"

    target: str = "portable"

    def __post_init__(self) -> None:
        if self.target not in FORMS:
            raise unknown_name("target", self.target, FORMS)

    def run(self, graph: Graph) -> int:
        """Replace every composite operator; return how many nodes were replaced."""
        return _replace(graph, FORMS[self.target]) + _FINISH[self.target](graph)


def _replace(graph: Graph, forms: dict[str, Form]) -> int:
    """Replace each composite by the target's form, or by the portable one where that does not fit."""
    changes = 0
    node = graph.first
    while node is not None:
        if node.domain != COMPOSITE_DOMAIN:
            changes += sum(_replace(sub, forms) for sub in node.subgraphs)
            node = node.next
            continue
        before = node.previous
        if node.op not in forms or not forms[node.op](node):
            expand_composite(node)
        changes += 1
        # Look at what came in its place: it may be composite again.
        node = graph.first if before is None else before.next
    return changes


def lower(graph: Graph, target: str = "portable") -> Graph:
    """Lower a graph in place for a target (``portable``, ``cpu`` or ``cuda``) and return it.

    Raises:
        ValueError: the target is unknown, or a composite operator has no portable form.

    Example:
        >>> from nngraph.ir import TensorType
        >>> from nngraph.ops.core import stop_gradient
        >>> from nngraph.ops.trace import trace_graph
        >>> graph, _, y = trace_graph(lambda x: stop_gradient(x) * 2, [TensorType("float32", (2,))])
        >>> graph.set_outputs([y]); [n.op_id for n in lower(graph)]
        ['Identity', 'Mul']
    """
    Lower(target).run(graph)
    return graph
