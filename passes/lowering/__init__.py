"""Lowering: composite operators become real ones, in the form that suits a target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nngraph.errors import unknown_name
from nngraph.ir import Graph
from nngraph.registry import COMPOSITE_DOMAIN
from nngraph.runtime import expand_composites, legalize
from passes.base import Pass
from passes.lowering import cpu, cuda
from passes.lowering.table import Form

__all__ = ["FORMS", "Lower", "lower"]

FORMS: dict[str, dict[str, Form]] = {"portable": {}, "cpu": cpu.FORMS, "cuda": cuda.FORMS}
"""Target to composite operator to the form that is better there than the portable one."""


@dataclass(frozen=True)
class Lower(Pass):
    """Replaces composite operators (domain ``nngraph``) by real ones.

    ``portable`` uses each operator's portable form, made of ai.onnx only. ``cpu`` and ``cuda`` use other forms where
    their tables have one that fits; ``cpu`` also rewrites what the runtime has no kernel for.

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
        changes = _apply_forms(graph, FORMS[self.target]) + expand_composites(graph)
        return changes + legalize(graph) if self.target == "cpu" else changes


def _apply_forms(graph: Graph, forms: dict[str, Form]) -> int:
    """Use the target's forms wherever they fit, also inside of what a portable form expands to."""
    changes = 0
    if not forms:
        return 0
    for node in graph:
        if node.domain == COMPOSITE_DOMAIN and node.op in forms:
            changes += forms[node.op](node)
        for sub in node.subgraphs:
            changes += _apply_forms(sub, forms)
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
