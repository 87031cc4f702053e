"""Transposes as few as possible: each operator that does not care works in the layout that its surroundings want.

Images come as (batch, height, width, channels); the runtime convolves (batch, channels, height, width). A network is at
first a chain Transpose, Conv, Transpose, Add, Relu, Transpose, MaxPool, Transpose … and its gradient looks the same.
Every operator in it that can work in either layout (``passes.layout.axes``) is free to choose; where a producer and
a consumer choose differently, there is a transpose, whose cost is the size of the tensor. The cheapest choice for all
operators together is a minimum cut: operators on the one side work in the first layout, those on the other side in the
second, and the edges that are cut are the transposes that stay.

One such problem is solved for each pair of a permutation and its inverse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nngraph.ir import Graph, bytes_of
from passes.base import Pass
from passes.layout.axes import Axes, Perm, inverse
from passes.layout.choose import choose
from passes.layout.flip import flip_nodes
from passes.layout.forms import Forms
from passes.rewrite import rewrite
from passes.simplify.transposes import RULES as CANCEL
from passes.simplify.transposes import goes_into_matmul, permutation

__all__ = ["Transposes"]

Settled = set[tuple[Graph, Perm]]
"""Choices that moved nothing, and since which nothing changed."""

_ROUNDS = 10
"""One permutation's transposes may make way for another's; a second round nearly always finds nothing."""


@dataclass(frozen=True)
class Transposes(Pass):
    """Moves operators to the layout in which the graph needs the fewest and smallest transposes."""

    name: ClassVar[str] = "transposes"
    tensors_only: ClassVar[bool] = True

    def run(self, graph: Graph) -> int:
        """Flip operators to the other layout and cancel transposes; return how many nodes changed."""
        changes = rewrite(graph, CANCEL)
        settled: Settled = set()
        for _ in range(_ROUNDS):
            flips = _flip_graph(graph, settled)
            if not flips:
                break
            cancelled = rewrite(graph, CANCEL)
            if cancelled:
                settled.clear()
            changes += flips + cancelled
        return changes


def _flip_graph(graph: Graph, settled: Settled) -> int:
    flips = sum(_flip_graph(sub, settled) for sub in graph.subgraphs)
    if flips:
        settled.clear()
    for perm in _permutations(graph):
        if (graph, perm) in settled:
            continue
        forms = Forms(graph, Axes(perm))
        chosen = choose(forms)
        flip_nodes(forms, chosen)
        if chosen:
            settled.clear()
        else:
            settled.add((graph, perm))
        flips += len(chosen)
    return flips


def _permutations(graph: Graph) -> list[Perm]:
    """The permutations of the graph's transposes, one of each pair of inverses, the largest tensors first."""
    found: dict[Perm, int] = {}
    for node in graph:
        if node.op_id == "Transpose" and not goes_into_matmul(node):
            perm = permutation(node)
            perm = min(perm, inverse(perm))
            found[perm] = found.get(perm, 0) + bytes_of(node.output)
    return sorted((p for p in found if len(p) > 2), key=lambda p: (-found[p], p))
