"""Forward values computed again for the backward pass instead of kept: less memory for more time.

The forward nodes of a training step are cut into segments. What the backward pass reads of a segment is computed a
second time, from the values that enter the segment, just before it is read. Copies of the same nodes on the same
numbers give the same bits.

Nothing in ONNX says *when* a node runs, and runtimes merge equal nodes. So the copies begin from views of the segment's
inputs that depend on the gradient that arrives there: ``Reshape(x, [0, ..., 0] * int(g[0]))``, in whole numbers, where
zero times anything is zero, and a size of zero stands for the one that is there. No runtime can run the copies earlier
or take them for the originals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import ClassVar

from nngraph.ir import Graph, Node, Value, bytes_of
from nngraph.ir.graph import copy_node
from nngraph.ops.axes import ints
from passes.base import Pass
from passes.build import Builder
from passes.dce import Dce
from passes.liveness import peak_bytes
from passes.traits import is_random

__all__ = ["Recompute", "recompute_passes"]

_SEGMENTS = (2, 3, 4, 5, 6, 8, 11, 15, 20, 28, 40)
"""Numbers of segments that are tried, up to about the square root of the largest graph's forward nodes."""

_SMALL = 1000
"""A value below this fraction of the peak is kept: to drop it saves nothing."""


@dataclass(frozen=True)
class Recompute(Pass):
    """Computes forward values of a training step again instead of keeping them, where that lowers the peak of memory.

    The peak is that of ``passes.liveness``. A graph that was treated once is left as it is.

    Attributes:
        budget: bytes that intermediate tensors may take; as little as possible when 0. Of the plans within the budget
            the one with the fewest copies is taken; where there is none, the one that comes nearest.
        percent: the same as a share of the peak without recomputation, in per cent.
    """

    name: ClassVar[str] = "recompute"
    tensors_only: ClassVar[bool] = True

    budget: int = 0
    percent: int = 0

    def run(self, graph: Graph) -> int:
        """Insert copies of forward nodes; return how many."""
        if any(self.name in node.origin.by for node in graph):
            return 0
        peak = peak_bytes(graph)
        budget = self.budget or peak * self.percent // 100
        if not peak or peak <= budget:
            return 0
        ranked = [(_rank(graph, plan, budget), plan) for plan in _plans(graph)]
        if not ranked:
            return 0
        (reached, _), plan = min(ranked, key=lambda pair: pair[0])
        if reached >= peak:
            return 0
        # What lies before the loss is computed again last. The first segments are let off while the budget allows it.
        while plan.first + 1 < len(plan.cuts):
            more = replace(plan, first=plan.first + 1)
            if _rank(graph, more, budget)[0] > reached:
                break
            plan = more
        return _apply(graph, plan)


@dataclass(frozen=True)
class _Plan:
    """Where the forward nodes are cut, as positions of nodes, and the first segment that is computed again."""

    cuts: tuple[int, ...]
    first: int = 0


def _rank(graph: Graph, plan: _Plan, budget: int) -> tuple[int, int]:
    """Return the peak that a plan reaches, or the budget if that is more, and how many copies it takes."""
    trial = graph.clone()
    copies = _apply(trial, plan)
    return max(peak_bytes(trial), budget), copies


def _plans(graph: Graph) -> list[_Plan]:
    """Cut the forward nodes where little memory lives between them, into segments that keep about equally much."""
    nodes = graph.nodes
    start = _backward(nodes)
    position = {node: k for k, node in enumerate(nodes)}
    kept = [sum(bytes_of(v) for v in n.outputs if _crosses(v, position, start)) for n in nodes[:start]]
    through = _width(nodes[:start], position)
    total = list(accumulate(kept, initial=0))
    plans: dict[_Plan, None] = {}
    for count in _SEGMENTS:
        if count > max(2, start // 4):
            break
        size = total[-1] / count
        cuts = []
        for k in range(1, count):
            # The narrowest place in the half segment around the even cut.
            near = [p for p in range(1, start) if abs(total[p] - k * size) <= size / 4]
            if near:
                cuts.append(min(near, key=lambda p: (through[p], abs(total[p] - k * size))))
        if cuts:
            plans[_Plan(tuple(sorted(set(cuts))))] = None
    return list(plans)


def _backward(nodes: Sequence[Node]) -> int:
    """Return the position of the first node that belongs to a gradient, 0 without one."""
    return next((k for k, node in enumerate(nodes) if node.origin.forward), 0)


def _crosses(value: Value, position: dict[Node, int], start: int) -> bool:
    return any(position.get(user, -1) >= start for user, _ in value.uses)


def _width(nodes: Sequence[Node], position: dict[Node, int]) -> list[int]:
    """Return, for each place between forward nodes, the bytes of the values made before it and read after it."""
    change = [0] * (len(nodes) + 1)
    for k, node in enumerate(nodes):
        for value in node.outputs:
            uses = [p for user, _ in value.uses if (p := position.get(user, -1)) < len(nodes)]
            last = max(uses, default=-1)
            if last > k:
                change[k + 1] += bytes_of(value)
                change[last + 1] -= bytes_of(value)
    return list(accumulate(change))


def _apply(graph: Graph, plan: _Plan) -> int:
    """Insert the copies; return how many there are."""
    nodes = graph.nodes
    start = _backward(nodes)
    position = {node: k for k, node in enumerate(nodes)}
    late = _after_loss(nodes, position, plan.cuts[-1], start)
    small = max(peak_bytes(graph) // _SMALL, 1)
    copies = 0
    for k, end in enumerate(plan.cuts):
        if k < plan.first:
            continue
        begin = plan.cuts[k - 1] if k else 0
        inside = {n for n in nodes[begin:end] if _may_copy(n)}
        dropped = [
            v
            for n in nodes[begin:end]
            for v in n.outputs
            if n in inside and bytes_of(v) > small and _may_drop(v, position, end, start)
        ]
        copies += _copy(graph, inside, dropped, nodes, position, late, small)
    # What only fed values that are now computed again would run all the same, and last: runtimes drop no dead nodes.
    if copies:
        Dce().run(graph)
    return copies


def _after_loss(nodes: Sequence[Node], position: dict[Node, int], cut: int, start: int) -> set[Node]:
    """Return the nodes that depend on what the last segment makes of what enters it: the way to the loss and back."""
    found: set[Node] = set()
    for k in range(cut, len(nodes)):
        makers = [v.producer for v in nodes[k].inputs if v is not None and v.producer is not None]
        if any(m in found or (k < start and position.get(m, cut) < cut) for m in makers):
            found.add(nodes[k])
    return found


def _may_copy(node: Node) -> bool:
    """Whether a copy gives the same numbers again and costs about what its operator costs."""
    return not node.subgraphs and not is_random(node)


def _may_drop(value: Value, position: dict[Node, int], end: int, start: int) -> bool:
    """Whether a value's readers are its own segment and the backward pass; what other segments read is kept."""
    places = [position.get(user, -1) for user, _ in value.uses]
    crosses = any(p >= start for p in places)
    return crosses and not value.is_output and all(0 <= p < end or p >= start for p in places)


def _copy(
    graph: Graph,
    inside: set[Node],
    dropped: Sequence[Value],
    nodes: Sequence[Node],
    position: dict[Node, int],
    late: set[Node],
    small: int,
) -> int:
    """Compute values again in front of their first reader in the backward pass; return the number of copies."""
    start = _backward(nodes)
    reads = {v: [u for u in v.uses if position[u[0]] >= start] for v in dropped}
    first = min((position[user] for uses in reads.values() for user, _ in uses), default=0)
    gradient = _gradient_before(nodes, first, start, late)
    if gradient is None:
        return 0
    needed, entering = _slice(dropped, inside, small)
    later = [v for v in entering if v.producer is not None] or [v for v in entering if not v.is_constant]
    if not later:
        return 0
    anchor = nodes[first]
    op = Builder(anchor, Recompute.name)
    number = op.Cast(op.Slice(op.Reshape(gradient, ints(-1)), ints(0), ints(1)), to="int64")
    same = {rank: op.Mul(number, ints(*[0] * rank)) for rank in sorted({value.type.rank for value in later})}
    mapping: dict[Value, Value] = {}
    for value in later:
        view = op.Reshape(value, same[value.type.rank])
        view.type = value.type
        mapping[value] = view
    for node in sorted(needed, key=position.__getitem__):
        copy = copy_node(node, graph, mapping, before=anchor)
        copy.origin = node.origin.rewritten(Recompute.name)
    for value, uses in reads.items():
        for user, slot in uses:
            user.set_input(slot, mapping[value])
    return len(needed)


def _gradient_before(nodes: Sequence[Node], first: int, start: int, late: set[Node]) -> Value | None:
    """Return the last value before a node of the backward pass that cannot be known before the loss is."""
    for node in reversed(nodes[start:first]):
        if node in late and node.output.dtype in ("float32", "float64", "float16") and bytes_of(node.output):
            return node.output
    return None


def _slice(dropped: Sequence[Value], inside: set[Node], small: int) -> tuple[set[Node], list[Value]]:
    """Return the nodes of a segment that compute some values, and the values at which the computation begins."""
    wanted = set(dropped)
    needed: set[Node] = set()
    entering: dict[Value, None] = {}
    stack = list(dropped)
    while stack:
        value = stack.pop()
        node = value.producer
        assert node is not None
        if node in needed:
            continue
        needed.add(node)
        for v in node.inputs:
            if v is None:
                continue
            if v.producer in inside and (v in wanted or bytes_of(v) > small or v.producer in needed):
                stack.append(v)
            else:
                entering[v] = None
    return needed, list(entering)


def recompute_passes(wish: bool | int | float | None) -> list[Pass]:
    """Return what ``Model.compile(recompute=...)`` asks for.

    Args:
        wish: ``None`` or ``False`` for nothing, ``True`` for as little memory as possible, a whole number of bytes, or
            a share (between 0 and 1) of what intermediate tensors take without recomputation.

    Raises:
        ValueError: it is none of these.

    Example:
        >>> [str(p) for p in recompute_passes(0.5)], recompute_passes(None)
        (['recompute{percent=50}'], [])
    """
    if wish is None or wish is False:
        return []
    if wish is True:
        return [Recompute()]
    if isinstance(wish, int) and wish > 0:
        return [Recompute(budget=wish)]
    if isinstance(wish, float) and 0 < wish < 1:
        return [Recompute(percent=max(1, round(100 * wish)))]
    raise ValueError(
        "recompute must be True, False, a positive whole number of bytes, or a share between 0 and 1 of the memory "
        f"taken without it; got {wish!r}. Use recompute=True for as little memory as possible"
    )
