"""The pipelines: which passes run, and in what order."""

from __future__ import annotations

from passes.base import Pass
from passes.cse import Cse
from passes.dce import Dce
from passes.fold import Fold
from passes.fusion import Fuse
from passes.kernels import Kernels
from passes.layout import Blocks, Loops, Transposes
from passes.lowering import Lower
from passes.simplify import Simplify
from passes.unroll import Unroll

__all__ = ["LEVELS", "pipeline"]

LEVELS = (0, 1, 2, 3)


def pipeline(target: str = "cpu", level: int = 2, *, unroll: int = 0) -> list[Pass]:
    """Return the passes that prepare a graph for a target.

    Args:
        target: ``"portable"``, ``"cpu"`` or ``"cuda"``; see ``passes.lowering``.
        level: 0 only makes the graph executable; 1 also removes what is superfluous; 2, the default, also chooses
            layouts and fuses; 3 does all of it once more, for graphs in which one thing enables another.
        unroll: the most steps of a loop that is written out; 0 leaves loops alone.

    Raises:
        ValueError: the target or the level is unknown.

    Example:
        >>> [p.name for p in pipeline(level=0)]
        ['lower']
    """
    if level not in LEVELS:
        raise ValueError(f"level must be one of {LEVELS}, got {level!r}")
    if level == 0:
        return [Lower(target)]
    clean: list[Pass] = [
        Simplify(),  # before folding: it makes operands constant, and shapes known
        Fold(),  # before merging: what was computed may equal what was stored
        Cse(),
        Dce(),  # last: the others leave dead nodes behind
    ]
    flat = [Unroll(unroll), *clean] if unroll else []
    if level == 1:
        return [Dce(), *clean, Lower(target), *clean, *flat]
    whole: list[Pass] = [
        Dce(),  # first: a traced step computes gradients that nobody asked for, and nothing should look at those
        *clean,
        Transposes(),  # composites are one node still, so their insides do not hide what is around them
        Fuse(),  # for the rules about composites
        Lower(target),
        *clean,
        Transposes(),  # once more: lowered forms bring transposes of their own
        *clean,
        Fuse(),  # after the layouts: a bias reaches its convolution only without the transpose between them
        *clean,
    ]
    if level == 3:
        whole *= 2
    whole += flat  # after all that is cheaper to do once than for every step
    # Last, for the machine at hand: from here on the memory of some tensors is not in the order of their axes.
    # Kernels come after the loops: they turn what leaves those for the gradients of weights.
    return [*whole, Blocks(), Loops(), Kernels(), *clean] if target == "cpu" else whole
