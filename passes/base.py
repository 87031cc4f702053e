"""What a pass is, the manager that runs a list of them, and the report it gives."""

from __future__ import annotations

import importlib
import re
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from nngraph import config
from nngraph.errors import unknown_name
from nngraph.garbage import collection_paused
from nngraph.ir import Graph, Node, TensorType, verify
from nngraph.registry import COMPOSITE_DOMAIN
from passes.observer import Observer, observing

__all__ = ["PASSES", "Instrument", "Pass", "PassManager", "Report", "Step", "check_graph", "infer_node", "parse"]

PASSES: dict[str, str] = {
    "blocks": "passes.layout:Blocks",
    "cse": "passes.cse:Cse",
    "dce": "passes.dce:Dce",
    "fold": "passes.fold:Fold",
    "fuse": "passes.fusion:Fuse",
    "kernels": "passes.kernels:Kernels",
    "loops": "passes.layout:Loops",
    "lower": "passes.lowering:Lower",
    "recompute": "passes.recompute:Recompute",
    "simplify": "passes.simplify:Simplify",
    "transposes": "passes.layout:Transposes",
    "unroll": "passes.unroll:Unroll",
}
"""Name of every pass, and the module and class that define it; a module is imported when its pass is asked for."""


@dataclass(frozen=True)
class Pass(ABC):
    """A change to a graph, in place. Options are the fields of the dataclass.

    Example:
        >>> from passes.fold import Fold
        >>> str(Fold(max_bytes=1024)), str(Fold())
        ('fold{max_bytes=1024}', 'fold')
    """

    name: ClassVar[str] = ""

    tensors_only: ClassVar[bool] = False
    """Whether the pass is left out for graphs that hold sequences, optionals or tensors of unknown rank."""

    @abstractmethod
    def run(self, graph: Graph) -> int:
        """Change the graph and return how many changes were made; 0 means that its text is what it was."""

    def __str__(self) -> str:
        given = [(f.name, getattr(self, f.name)) for f in fields(self) if getattr(self, f.name) != f.default]
        options = ",".join(f"{key}={_option_text(value)}" for key, value in given)
        return f"{self.name}{{{options}}}" if options else self.name


@dataclass(frozen=True, slots=True)
class Step:
    """What one pass did.

    Attributes:
        name: the pass with its options.
        changes: how many changes it made.
        seconds: how long it took, verification not counted.
        before, after: number of nodes, subgraphs included.
        hits: how often each rewrite rule fired.
        near_misses: why rules that nearly fired did not; collected at debug level 4.
    """

    name: str
    changes: int
    seconds: float
    before: int
    after: int
    hits: Counter[str] = field(default_factory=Counter)
    near_misses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """What a run of passes did; its text is a table.

    Attributes:
        graph: the graph that resulted.
        steps: one entry for each pass that ran, in order.
    """

    graph: Graph
    steps: tuple[Step, ...]

    @property
    def changes(self) -> int:
        """The changes of all passes together."""
        return sum(step.changes for step in self.steps)

    @property
    def seconds(self) -> float:
        """The time of all passes together."""
        return sum(step.seconds for step in self.steps)

    @property
    def hits(self) -> Counter[str]:
        """How often each rewrite rule fired, in all passes together."""
        return sum((step.hits for step in self.steps), Counter())

    def __str__(self) -> str:
        rows = [("pass", "changes", "nodes", "ms")]
        rows += [(s.name, str(s.changes), f"{s.before} -> {s.after}", f"{s.seconds * 1e3:.1f}") for s in self.steps]
        if self.steps:
            nodes = f"{self.steps[0].before} -> {self.steps[-1].after}"
            rows.append(("total", str(self.changes), nodes, f"{self.seconds * 1e3:.1f}"))
        widths = [max(len(row[k]) for row in rows) for k in range(4)]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *(row[k].rjust(widths[k]) for k in range(1, 4))]).rstrip()
            for row in rows
        ]
        return "\n".join([f"passes on graph {self.graph.name!r}", *lines])


Instrument = Callable[[Graph, Step, int], None]
"""Called after each pass with the graph, what the pass did, and its number, from 1; number 0 is the graph as given."""


class PassManager:
    """Runs passes over a graph, one after the other.

    A pass is left out where it has run before and nothing changed since: passes are idempotent.

    Args:
        passes: the passes, in order.
        rounds: how often to run the whole list at most.
        verify: check the graph before the first pass and after every pass that changed it; default is the setting
            ``NNGRAPH_VERIFY``.
        instruments: called after each pass; default is what ``NNGRAPH_DEBUG`` and ``NNGRAPH_DUMP`` ask for.

    Example:
        >>> from nngraph.ir import Graph, TensorType
        >>> from nngraph.ops.trace import Trace
        >>> from passes.simplify import Simplify
        >>> g = Graph("twice_negated"); x = g.add_input("x", TensorType("float32", (2,)))
        >>> with Trace(g): g.set_outputs([-(-x)], ["y"])
        >>> PassManager([Simplify()]).run(g).changes, len(g)
        (1, 0)
    """

    def __init__(
        self,
        passes: Iterable[Pass],
        *,
        rounds: int = 1,
        verify: bool | None = None,
        instruments: Sequence[Instrument] | None = None,
    ) -> None:
        self.passes = list(passes)
        self.rounds = rounds
        self.verify = verify
        self.instruments = instruments

    @collection_paused()
    def run(self, graph: Graph, *, clone: bool = False) -> Report:
        """Run the passes on the graph, or with ``clone`` on a copy of it, which the report then holds.

        Raises:
            VerificationError: a pass broke the graph; the message names the pass.
        """
        from passes.instruments import finish, instruments_of_settings

        graph = graph.clone() if clone else graph
        instruments = self.instruments if self.instruments is not None else instruments_of_settings()
        verifying = config.verify() if self.verify is None else self.verify
        if verifying:
            check_graph(graph, after="it was given to the passes")
        count = graph.size
        for instrument in instruments:
            instrument(graph, Step("given", 0, 0.0, count, count), 0)
        steps: list[Step] = []
        settled: set[Pass] = set()  # passes that ran and after which nothing changed; they have nothing to do
        for item in self.passes * self.rounds:
            if item in settled:
                continue
            step = _run(item, graph, steps[-1].after if steps else count)
            steps.append(step)
            settled = {item} if step.changes else settled | {item}
            if verifying and step.changes:
                check_graph(graph, after=f"pass {item}")
            for instrument in instruments:
                instrument(graph, step, len(steps))
        report = Report(graph, tuple(steps))
        finish(report)
        return report


def _run(item: Pass, graph: Graph, before: int) -> Step:
    if item.tensors_only and graph.is_opaque:
        return Step(str(item), 0, 0.0, before, before)
    observer = Observer(near_misses=[] if config.debug() >= 4 else None)
    start = time.perf_counter()
    with observing(observer):
        changes = item.run(graph)
    seconds = time.perf_counter() - start
    after = graph.size if changes else before
    return Step(str(item), changes, seconds, before, after, observer.hits, tuple(observer.near_misses or ()))


def infer_node(node: Node) -> Sequence[TensorType]:
    """Return the output types of any node, composite ones included."""
    from nngraph.ops.trace import infer_composite
    from nngraph.schema import infer_types

    if node.domain == COMPOSITE_DOMAIN:
        return infer_composite(node)
    return infer_types(node)


def check_graph(graph: Graph, *, after: str = "") -> None:
    """Check every invariant of the graph, types included.

    Raises:
        VerificationError: names the fault and what ran last.
    """
    verify(graph, infer_node, after=after)


# -- passes as text ---------------------------------------------------------------------------------------------------


def parse(text: str) -> list[Pass]:
    """Return the passes that a text names, options in braces.

    Raises:
        ValueError: a pass or an option is unknown, or a value does not fit.

    Example:
        >>> [str(p) for p in parse("fold{max_bytes=1024}, dce")]
        ['fold{max_bytes=1024}', 'dce']
    """
    return [_parse_one(item) for item in _split(text)]


def _split(text: str) -> Iterator[str]:
    for item in re.split(r",(?![^{]*\})", text):
        if not item.strip():
            raise ValueError(f"passes {text!r}: a name is missing between two commas")
        yield item.strip()


def _parse_one(text: str) -> Pass:
    matched = re.fullmatch(r"([\w-]+)\s*(?:\{(.*)\})?", text)
    if matched is None:
        raise ValueError(f"pass {text!r} is not of the form name or name{{option=value,...}}")
    name, options = matched.group(1), matched.group(2) or ""
    if name not in PASSES:
        raise unknown_name("pass", name, PASSES)
    module, _, cls = PASSES[name].partition(":")
    kind = getattr(importlib.import_module(module), cls)
    defaults = {f.name: f.default for f in fields(kind)}
    values: dict[str, Any] = {}
    for option in filter(None, (o.strip() for o in options.split(","))):
        key, equals, value = (part.strip() for part in option.partition("="))
        key = key.replace("-", "_")
        if key not in defaults:
            raise unknown_name(f"option of pass {name!r}:", key, defaults)
        if not equals:
            raise ValueError(f"option {key!r} of pass {name!r} needs a value: {key}=...")
        values[key] = _option_value(value, defaults[key], f"option {key!r} of pass {name!r}")
    made: Pass = kind(**values)
    return made


def _option_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "+".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _option_value(text: str, default: Any, where: str) -> Any:
    if isinstance(default, bool):
        if text.lower() not in ("true", "false"):
            raise ValueError(f"{where} must be true or false, got {text!r}")
        return text.lower() == "true"
    if isinstance(default, tuple):
        return tuple(filter(None, text.split("+")))
    if isinstance(default, int):
        try:
            return int(text)
        except ValueError:
            raise ValueError(f"{where} must be a whole number, got {text!r}") from None
    return text
