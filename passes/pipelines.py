"""The pipelines: which passes run, and in what order."""

from __future__ import annotations

from passes.base import Pass
from passes.cse import Cse
from passes.dce import Dce
from passes.fold import Fold
from passes.lowering import Lower
from passes.simplify import Simplify

__all__ = ["pipeline"]


def pipeline(target: str = "cpu", level: int = 2) -> list[Pass]:
    """Return the passes that prepare a graph for a target.

    Args:
        target: ``"portable"``, ``"cpu"`` or ``"cuda"``.
        level: 0 only makes the graph executable; 1 also removes what is superfluous; 2 also moves layouts and fuses; 3
            repeats level 2 until nothing changes.
    """
    if level == 0:
        return [Lower(target)]
    return [Dce(), Simplify(), Fold(), Cse(), Lower(target), Simplify(), Fold(), Cse(), Dce()]
