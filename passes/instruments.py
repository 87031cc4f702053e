"""What can be seen of a run of passes: summary, rule hits, texts, near misses, and dumps to a folder.

========  =====================================================
level     printed to standard error (``NNGRAPH_DEBUG``)
========  =====================================================
1         the table of the passes
2         and how often each rewrite rule fired
3         and the text of the graph after each pass that changed it
4         and why rules that nearly fired did not
========  =====================================================

``NNGRAPH_DUMP`` names a folder that receives the text of the graph before the first pass and after each change.
"""

from __future__ import annotations

import itertools
import re
import sys
from pathlib import Path

from nngraph import config
from nngraph.ir import Graph
from passes.base import Instrument, Report, Step

__all__ = ["Dump", "finish", "instruments_of_settings", "print_hits", "print_near_misses", "print_text"]

_RUNS = itertools.count(1)


def _print(text: str) -> None:
    print(text, file=sys.stderr)


def print_hits(graph: Graph, step: Step, number: int) -> None:
    """Print which rules fired in a pass."""
    for rule, times in sorted(step.hits.items()):
        _print(f"[{graph.name}] {number} {step.name}: {rule} fired {times}x")


def print_text(graph: Graph, step: Step, number: int) -> None:
    """Print the graph after a pass that changed it, and as it was given."""
    if step.changes or number == 0:
        _print(f"[{graph.name}] after {number} {step.name}\n{graph}")


def print_near_misses(graph: Graph, step: Step, number: int) -> None:
    """Print why rules that nearly fired did not."""
    for line in step.near_misses:
        _print(f"[{graph.name}] {number} {step.name}: {line}")


class Dump:
    """Writes the text of the graph to a folder: as it was given, and after each pass that changed it.

    Args:
        folder: where to write; it is made when it does not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run = next(_RUNS)

    def __call__(self, graph: Graph, step: Step, number: int) -> None:
        """Write one file, named after the graph, the run, the step and the pass."""
        if not step.changes and number > 0:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        stem = re.sub(r"[^\w.-]+", "_", f"{graph.name}.{self.run}.{number:02d}-{step.name}").strip("_")
        (self.folder / f"{stem}.txt").write_text(f"{graph}\n", encoding="utf-8")


def instruments_of_settings() -> list[Instrument]:
    """Return the instruments that the settings ask for."""
    level, folder = config.debug(), config.dump()
    instruments: list[Instrument] = []
    if level >= 2:
        instruments.append(print_hits)
    if level >= 3:
        instruments.append(print_text)
    if level >= 4:
        instruments.append(print_near_misses)
    if folder is not None:
        instruments.append(Dump(folder))
    return instruments


def finish(report: Report) -> None:
    """Print the table of a run when the debug level asks for it."""
    if config.debug() >= 1:
        _print(str(report))
