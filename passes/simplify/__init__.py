"""Algebra that holds for any graph: neutral elements, inverses, views of views, constants that meet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nngraph.ir import Graph
from passes.base import Pass
from passes.rewrite import Rule, rewrite
from passes.simplify.arithmetic import RULES as ARITHMETIC
from passes.simplify.broadcasts import RULES as BROADCASTS
from passes.simplify.copies import RULES as COPIES
from passes.simplify.pieces import RULES as PIECES
from passes.simplify.reductions import RULES as REDUCTIONS
from passes.simplify.transposes import RULES as TRANSPOSES
from passes.simplify.views import RULES as VIEWS

__all__ = ["RULES", "Simplify"]

RULES: tuple[Rule, ...] = (
    # What only hands its input on goes first, so that the others see through it.
    *COPIES,
    *VIEWS,
    *PIECES,
    *TRANSPOSES,
    *BROADCASTS,
    *ARITHMETIC,
    *REDUCTIONS,
)
"""All simplifications. Every one leaves fewer or cheaper nodes, so that no two can undo each other's work."""


@dataclass(frozen=True)
class Simplify(Pass):
    """Replaces expressions by cheaper ones that are equal (floats: equal up to rounding)."""

    name: ClassVar[str] = "simplify"

    def run(self, graph: Graph) -> int:
        """Apply the rules until none fires; return how often one did."""
        return rewrite(graph, RULES)
