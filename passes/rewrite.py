"""The rewrite engine: rules, and the driver that applies them until none fires any more.

A rule is a class. Its docstring is its equation and its conditions, ``examples`` are graphs in which it fires and, for
every reason it gives for refusing, one in which it refuses; tests run them all. Two kinds:

* :class:`PatternRule`: a pattern of several operators, an optional ``check`` and a ``rewrite``.
* :class:`LocalRule`: one function that looks at one node and its surroundings.

Values inside a matched pattern may not be used elsewhere (the rule would compute them twice), unless the rule says
``shared = True``, or names their nodes in ``shared_nodes``.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from nngraph.ir import Graph, Node, TensorType, Value, standardize_dtype
from nngraph.ops.trace import trace_graph
from passes.build import Builder, replace_value
from passes.observer import current_observer
from passes.pattern import CONSTANT, Attempt, Call, Match, Refusal, makers, trace_pattern

__all__ = ["CONSTANT", "Example", "LocalRule", "PatternRule", "Refusal", "Rule", "example", "explain", "rewrite"]

Result = Value | tuple[Value, ...] | Refusal | None
"""What a rule gives: the new value (or one for each output), why it refuses, or ``None`` when it has no say here."""


# -- examples ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Example:
    """A graph for a rule: one in which it fires, or refuses for the reason given."""

    fn: Callable[..., Any]
    types: tuple[TensorType, ...]
    refuses: str = ""

    def graph(self, name: str = "example") -> Graph:
        """Trace the example; its inputs are ``x0``, ``x1`` …, its outputs ``y0``, ``y1`` …"""
        graph, _, result = trace_graph(self.fn, self.types, name=name)
        results = list(result) if isinstance(result, (tuple, list)) else [result]
        graph.set_outputs(results, [f"y{k}" for k in range(len(results))])
        return graph


def example(fn: Callable[..., Any], *types: str, refuses: str = "") -> Example:
    """Make an example from a function of graph values and their types as text.

    Example:
        >>> from nngraph.ops import raw
        >>> print(example(lambda x: raw.Neg(x), "float32[batch, 2]").graph().outputs[0].type)
        float32[batch, 2]
    """
    return Example(fn, tuple(map(_type_of_text, types)), refuses)


def _type_of_text(text: str) -> TensorType:
    dtype, _, rest = text.partition("[")
    dims = [d.strip() for d in rest.removesuffix("]").split(",") if d.strip()]
    return TensorType(standardize_dtype(dtype), tuple(int(d) if d.isdigit() else d for d in dims))


# -- rules ------------------------------------------------------------------------------------------------------------


class Rule(ABC):
    """What both kinds of rule have: a name, the operators at which it may fire, and examples."""

    name: ClassVar[str] = ""
    roots: ClassVar[tuple[str, ...]] = ()
    operands: ClassVar[tuple[str, ...]] = ()
    """Operators, or ``CONSTANT``, one of which must have made an input of the node; empty: whatever did.

    A rule is not even asked where none of them did. Where they matter, say them: most of rewriting is to ask in vain.
    """

    examples: ClassVar[Sequence[Example]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()

    def takes(self, op_id: str, made_by: Sequence[str]) -> bool:
        """Tell from a node's operator, and from what made its inputs, whether the rule may have a say there."""
        return op_id in self.roots and not (self.operands and set(self.operands).isdisjoint(made_by))

    @abstractmethod
    def apply(self, node: Node, op: Builder) -> Result:
        """Try the rule at a node; new nodes are made with ``op`` only once it is sure to fire."""

    @abstractmethod
    def explain(self, node: Node) -> str | None:
        """Say why the rule does not fire at a node where it nearly does; ``None`` when it is nowhere near."""


class LocalRule(Rule):
    """A rule that is one function of a node."""

    def explain(self, node: Node) -> str | None:
        """Return the rule's own reason."""
        builder = Builder(node, self.name)
        result = self.apply(node, builder)
        builder.undo()
        return str(result) if isinstance(result, Refusal) else None


class PatternRule(Rule):
    """A rule that looks for a pattern.

    Subclasses define ``pattern(op, x, ...)`` and ``rewrite(op, match)``, and ``check(match)`` where the pattern alone
    does not decide.
    """

    shared: ClassVar[bool] = False
    """Whether inner values may have uses outside of the pattern."""

    shared_nodes: ClassVar[tuple[str, ...]] = ()
    """Names of bound nodes that may have uses outside of the pattern."""

    _traced: ClassVar[tuple[Call, ...]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "pattern" in cls.__dict__:
            cls._traced = trace_pattern(cls.__dict__["pattern"].__func__)
            cls.roots = tuple(dict.fromkeys(call.op_id for call in cls._traced))

    @staticmethod
    @abstractmethod
    def pattern(op: Any, *variables: Any) -> Any:
        """Return the pattern; the parameters after ``op`` are its variables."""

    def check(self, match: Match) -> Refusal | None:
        """Return why the rule does not apply to a match, or ``None`` when it does."""
        return None

    @abstractmethod
    def rewrite(self, op: Builder, match: Match) -> Value:
        """Build what replaces the root's output."""

    def takes(self, op_id: str, made_by: Sequence[str]) -> bool:
        """Tell from a node's operator, and from what made its inputs, whether the pattern may be found there."""
        return any(call.op_id == op_id and call.takes(made_by) for call in self._traced)

    def apply(self, node: Node, op: Builder) -> Result:
        """Look for the pattern at a node, check it, and build the replacement."""
        refusal: Refusal | None = None
        for call in self._traced:
            if not call.may_match(node):
                continue
            for match in Attempt(node).matches(call):
                refusal = self._refusal(match)
                if refusal is None:
                    return self.rewrite(op, match)
        return refusal

    def _refusal(self, match: Match) -> Refusal | None:
        refusal = self.check(match)
        if refusal is not None or self.shared:
            return refusal
        used = match.outside_use(self.shared_nodes)
        return None if used is None else Refusal("an inner value is used elsewhere", used)

    def explain(self, node: Node) -> str | None:
        """Return the check's reason, or where the best partial match of at least two nodes ended."""
        attempt = Attempt(node)
        for match in (m for call in self._traced for m in attempt.matches(call)):
            return str(self._refusal(match))
        return attempt.why if attempt.best >= 2 else None


# -- the driver -------------------------------------------------------------------------------------------------------


def rewrite(graph: Graph, rules: Sequence[Rule]) -> int:
    """Apply the rules to the graph and its subgraphs until none fires; return how often one did.

    Raises:
        RuntimeError: the rules undo each other's work; the message names those that fired last.
    """
    driver = _Driver(graph, rules)
    while driver.sweep():
        pass
    observer = current_observer()
    observer.hits.update(driver.hits)
    if observer.near_misses is not None:
        observer.near_misses.extend(explain(graph, rules))
    return driver.hits.total()


def explain(graph: Graph, rules: Sequence[Rule]) -> Iterator[str]:
    """Yield one line for each rule that nearly fires at a node, with the reason why it does not."""
    for node in graph.all_nodes():
        for rule in rules:
            why = rule.explain(node) if node.op_id in rule.roots else None
            if why is not None:
                yield f"{rule.name} not at {node.name!r} ({node.op_id}): {why}"


class _Driver:
    """A worklist: nodes are looked at in order, and again when something next to them changed."""

    def __init__(self, graph: Graph, rules: Sequence[Rule]) -> None:
        self.graph = graph
        self.rules: dict[str, list[Rule]] = {}
        for rule in rules:
            for root in rule.roots:
                self.rules.setdefault(root, []).append(rule)
        self.candidates: dict[tuple[str, tuple[str, ...]], list[Rule]] = {}
        self.spare: Builder | None = None  # one that has built nothing yet
        self.hits: Counter[str] = Counter()
        self.fired = 0
        self.opaque = graph.is_opaque
        self.last: deque[str] = deque(maxlen=100)
        self.queue: deque[Node] = deque()
        self.queued: set[Node] = set()
        self.aliases: list[tuple[str, str]] = []
        self.budget = 1000 + 10 * graph.size

    def sweep(self) -> bool:
        """Look at every node, and at what changed meanwhile; return whether a rule fired."""
        before = self.fired
        self.queue.extend([node for node in self.graph.all_nodes() if node.op_id in self.rules])
        self.queued.update(self.queue)
        while self.queue:
            node = self.queue.popleft()
            self.queued.discard(node)
            if node.graph is not None and node.is_used:
                self.visit(node)
        self.unify_names()
        return self.fired > before

    def enqueue(self, node: Node | None) -> None:
        if node is not None and node not in self.queued and node.op_id in self.rules:
            self.queue.append(node)
            self.queued.add(node)

    def visit(self, node: Node) -> None:
        if self.opaque and node.is_opaque:
            return  # rules reason about dtypes and shapes
        key = node.op_id, makers(node)
        candidates = self.candidates.get(key)
        if candidates is None:
            candidates = self.candidates[key] = [r for r in self.rules[node.op_id] if r.takes(*key)]
        if not candidates:
            return
        builder = self.builder_at(node)
        for rule in candidates:
            builder.by = rule.name
            result = rule.apply(node, builder)
            if result is None or isinstance(result, Refusal):
                continue
            self.spare = None
            self.replace(node, result if isinstance(result, tuple) else (result,), builder)
            self.count(rule)
            return

    def builder_at(self, node: Node) -> Builder:
        builder = self.spare
        if builder is None:
            builder = self.spare = Builder(node, "")
        else:
            builder.move(node)
        return builder

    def replace(self, node: Node, results: tuple[Value, ...], builder: Builder) -> None:
        for old, new in zip(node.outputs, results, strict=True):
            users = old.users
            value = replace_value(old, new, builder)
            self.enqueue(value.producer)
            for user in users:
                self.enqueue(user)
        for made in builder.created:
            self.enqueue(made)
            self.opaque = self.opaque or made.is_opaque
        self.aliases += builder.aliases
        self.erase_dead(node)

    def unify_names(self) -> None:
        """Use one name for sizes that turned out to be equal, preferably one of the graph's inputs."""
        outside = {d for v in self.graph.inputs for d in v.shape}
        renamed: dict[str, str] = {}

        def resolve(name: str) -> str:
            while name in renamed:
                name = renamed[name]
            return name

        for a, b in self.aliases:
            a, b = resolve(a), resolve(b)
            if a != b and not (a in outside and b in outside):
                kept, gone = (b, a) if b in outside else (a, b)
                renamed[gone] = kept
        if renamed:
            self.graph.bind_dims({name: resolve(name) for name in renamed})
        self.aliases.clear()

    def erase_dead(self, node: Node) -> None:
        """Erase a node that nothing uses any more, and then what only it used: other passes need not come for it."""
        stack = [node]
        while stack:
            dead = stack.pop()
            if dead.graph is None or dead.is_used:
                continue
            inputs = [v for v in dead.inputs if v is not None]
            dead.graph.erase(dead)
            for value in inputs:
                if value.producer is not None:
                    stack.append(value.producer)
                if len(value.uses) == 1:  # a pattern that wants the value for itself may match now
                    self.enqueue(value.users[0])
                elif value in value.graph.constants and not value.uses and not value.is_output:
                    value.graph.erase_constant(value)

    def count(self, rule: Rule) -> None:
        self.hits[rule.name] += 1
        self.fired += 1
        self.last.append(rule.name)
        if self.fired > self.budget:
            names = ", ".join(f"{name} ({n}x)" for name, n in Counter(self.last).most_common())
            raise RuntimeError(
                f"rewriting graph {self.graph.name!r} does not settle: {self.fired} replacements. "
                f"The last {len(self.last)} were by {names}; these rules undo each other's work."
            )
