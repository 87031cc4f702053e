"""Patterns: small expressions that are looked for in a graph, written as a function is written.

``def pattern(self, op, x, w, b): return op.Add(op.MatMul(x, w), b)`` is traced once: its parameters become variables
that match any value, and each call on ``op`` an operator that must be there. The rules of matching:

* A variable that occurs twice must be the same value both times; so must an operator call.
* Attributes that the pattern does not state match anything; stated ones compare with ONNX's default filled in.
* Operands of commutative operators may stand in any order.
* A number matches a constant of one element that has this value and does not widen the other operands.
* ``op.either(p, q)`` matches one or the other.
* ``_bind="conv"`` gives the matched node a name: ``match.node("conv")``.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

from nngraph.ir import Node, Value
from nngraph.schema import attribute_default
from passes.build import splat
from passes.traits import COMMUTATIVE

__all__ = ["CONSTANT", "Call", "Either", "Match", "Pattern", "Refusal", "Variable", "makers", "trace_pattern"]

CONSTANT = "constant"
"""What stands for the operator that made a constant."""


def makers(node: Node) -> tuple[str, ...]:
    """Return for each input which operator made it: ``CONSTANT`` for what is stored, nothing for all else."""
    # Asked of every node again and again: a list is quicker than a generator.
    return tuple(
        [
            "" if v is None else CONSTANT if v.data is not None else "" if v.producer is None else v.producer.op_id
            for v in node.inputs
        ]
    )


@dataclass(frozen=True, eq=False, slots=True)
class Variable:
    """Matches any value and gives it a name."""

    name: str


@dataclass(frozen=True, eq=False, slots=True)
class Call:
    """Matches the first output of a node."""

    op: str
    inputs: tuple[Pattern | None, ...]
    attributes: dict[str, Any]
    domain: str = ""
    bind: str = ""
    op_id: str = field(init=False)
    """Domain and operator in one string."""
    demanding: tuple[Pattern, ...] = field(init=False)
    """The inputs that not every value matches."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "op_id", f"{self.domain}::{self.op}" if self.domain else self.op)
        demanding = tuple(p for p in self.inputs if p is not None and not isinstance(p, Variable))
        object.__setattr__(self, "demanding", demanding)

    def takes(self, made_by: Sequence[str]) -> bool:
        """Tell from what made a node's inputs whether the pattern may be found at it; ``may_match`` looks further."""
        return not any(_makers_of(pattern).isdisjoint(made_by) for pattern in self.demanding)

    def may_match(self, node: Node) -> bool:
        """Tell at a glance, without regard to order or variables, whether the pattern may be found at a node."""
        # Nearly all that rewriting does is to ask this in vain: loops are quicker than any() and all().
        if node.op_id != self.op_id:
            return False
        for pattern in self.demanding:  # noqa: SIM110
            if not _is_among(pattern, node.inputs):
                return False
        return True


def _makers_of(pattern: Pattern) -> set[str]:
    """Return the operators of which one makes what an input's pattern matches."""
    if isinstance(pattern, Either):
        return {maker for option in pattern.options for maker in _makers_of(option)}
    return {pattern.op_id if isinstance(pattern, Call) else CONSTANT}


def _is_among(pattern: Pattern | None, values: tuple[Value | None, ...]) -> bool:
    if isinstance(pattern, Call):
        for v in values:  # noqa: SIM110
            if v is not None and v.producer is not None and pattern.may_match(v.producer):
                return True
        return False
    if isinstance(pattern, Either):
        return any(_is_among(option, values) for option in pattern.options)
    if isinstance(pattern, float):
        return any(v is not None and v.data is not None for v in values)
    return True


@dataclass(frozen=True, eq=False, slots=True)
class Either:
    """Matches when one of the options does."""

    options: tuple[Pattern, ...]


Pattern = Variable | Call | Either | float


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a rule does not apply although its pattern is there."""

    reason: str
    value: Value | None = None

    def __str__(self) -> str:
        return f"{self.reason} ({self.value.name!r}: {self.value.type})" if self.value is not None else self.reason


@dataclass(frozen=True)
class Match:
    """What a pattern found: ``match.x`` is the value of the variable ``x``, ``match.node("conv")`` a bound node."""

    root: Node
    values: dict[str, Value] = field(default_factory=dict)
    calls: dict[Call, Node] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Value:
        if name.startswith("_") or name not in self.values:
            raise AttributeError(name)
        return self.values[name]

    def node(self, bind: str) -> Node:
        """Return the node that was matched by the call with this name."""
        return next(node for call, node in self.calls.items() if call.bind == bind)

    @property
    def nodes(self) -> list[Node]:
        """All matched nodes, the root first."""
        return list(self.calls.values())

    def refuse(self, reason: str, value: Value | None = None) -> Refusal:
        """Return a refusal, for ``check`` to return."""
        return Refusal(reason, value)

    def outside_use(self, allowed: Sequence[str] = ()) -> Value | None:
        """Return an inner value that something outside of the match uses; nodes bound by ``allowed`` may be."""
        matched = set(self.calls.values())
        for call, node in self.calls.items():
            if node is self.root or call.bind in allowed:
                continue
            for value in node.outputs:
                if value.is_output or any(user not in matched for user, _ in value.uses):
                    return value
        return None


class _Tracer:
    """Records the calls of a pattern function."""

    def __getattr__(self, op: str) -> Callable[..., Call]:
        if op.startswith("_"):
            raise AttributeError(op)

        def call(*inputs: Any, _bind: str = "", _domain: str = "", **attributes: Any) -> Call:
            return Call(op, inputs, attributes, _domain, _bind)

        return call

    def either(self, *options: Any) -> Either:
        """Match one of the options."""
        return Either(options)


def trace_pattern(fn: Callable[..., Any]) -> tuple[Call, ...]:
    """Trace a pattern function ``fn(op, x, y, ...)``; return its root, or the roots when it gives alternatives."""
    names = list(inspect.signature(fn).parameters)[1:]
    root = fn(_Tracer(), *(Variable(n) for n in names))
    roots = root.options if isinstance(root, Either) else (root,)
    calls = tuple(r for r in roots if isinstance(r, Call))
    if len(calls) != len(roots):
        raise TypeError(f"a pattern must return an operator call, got {root!r}")
    return calls


@dataclass(slots=True)
class Attempt:
    """One try to match; keeps the best partial match for explanations."""

    root: Node
    best: int = -1
    why: str = ""

    def miss(self, match: Match, why: str) -> None:
        """Note a mismatch; the one after the most matched nodes is kept."""
        if len(match.calls) > self.best:
            self.best, self.why = len(match.calls), why

    def matches(self, pattern: Call) -> Iterator[Match]:
        """Yield every way in which the pattern is found at the root."""
        return self._call(pattern, self.root.outputs[0], Match(self.root))

    def _value(self, pattern: Pattern | None, value: Value | None, match: Match) -> Iterator[Match]:
        if pattern is None or value is None:
            if pattern is None and value is None:
                yield match
            else:
                self.miss(match, "an input is there that should not be" if pattern is None else "an input is absent")
        elif isinstance(pattern, Variable):
            known = match.values.get(pattern.name)
            if known is None:
                yield Match(match.root, {**match.values, pattern.name: value}, match.calls)
            elif known is value:
                yield match
            else:
                self.miss(match, f"{value.name!r} should be {known.name!r}")
        elif isinstance(pattern, Call):
            yield from self._call(pattern, value, match)
        elif isinstance(pattern, Either):
            for option in pattern.options:
                yield from self._value(option, value, match)
        elif _is_number(value, pattern):
            yield match
        else:
            self.miss(match, f"{value.name!r} is not the number {pattern}")

    def _call(self, pattern: Call, value: Value, match: Match) -> Iterator[Match]:
        node = value.producer
        known = match.calls.get(pattern)
        if known is not None:
            if known is node:
                yield match
            return
        if node is None or node.op_id != pattern.op_id or value.index != 0:
            found = "a constant" if value.is_constant else "an input" if node is None else node.op_id
            self.miss(match, f"{value.name!r} is {found}, not {pattern.op_id}")
            return
        if len(node.inputs) != len(pattern.inputs):
            self.miss(match, f"{node.op_id} {node.name!r} has {len(node.inputs)} inputs, not {len(pattern.inputs)}")
            return
        for key, wanted in pattern.attributes.items():
            given = node.attributes.get(key)
            given = attribute_default(node.op, key, node.domain) if given is None else given
            if (tuple(given) if isinstance(given, list) else given) != wanted:
                self.miss(match, f"{node.op_id} {node.name!r} has {key}={given}, not {wanted}")
                return
        start = Match(match.root, match.values, {**match.calls, pattern: node})
        orders: Any = [node.inputs]
        if pattern.op in COMMUTATIVE and not pattern.domain and len(node.inputs) > 1:
            orders = dict.fromkeys(permutations(node.inputs))
        for order in orders:
            if _widens(pattern, order):
                self.miss(start, f"a number in {node.op_id} {node.name!r} widens the other operands")
                continue
            yield from self._inputs(pattern.inputs, order, start)

    def _inputs(
        self, patterns: tuple[Pattern | None, ...], values: tuple[Value | None, ...], match: Match
    ) -> Iterator[Match]:
        if not patterns:
            yield match
            return
        for first in self._value(patterns[0], values[0], match):
            yield from self._inputs(patterns[1:], values[1:], first)


def _is_number(value: Value, number: float) -> bool:
    if value.data is None or value.data.size != 1:
        return False
    tolerance = {"float16": 2e-3, "bfloat16": 1e-2}.get(value.dtype, 1e-5)
    found = splat(value)
    return found is not None and math.isclose(found, number, rel_tol=tolerance)


def _widens(pattern: Call, order: tuple[Value | None, ...]) -> bool:
    """Whether a number of the pattern stands for a constant of higher rank than the other operands."""
    pairs = list(zip(pattern.inputs, order, strict=True))
    ranks = [v.ndim for p, v in pairs if isinstance(p, float | int) and v is not None]
    others = [v.ndim for p, v in pairs if not isinstance(p, float | int) and v is not None]
    return bool(ranks) and max(ranks) > max(others, default=0)
