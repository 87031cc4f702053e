"""Who watches while a pass runs: counts of rule hits and, when wanted, explanations of near misses."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field

__all__ = ["Observer", "current_observer", "observing"]


@dataclass(slots=True)
class Observer:
    """Collects what rules report.

    Attributes:
        hits: how often each rule fired.
        near_misses: one line for each rule that almost fired, or ``None`` when nobody wants to know.
    """

    hits: Counter[str] = field(default_factory=Counter)
    near_misses: list[str] | None = None


_CURRENT: ContextVar[Observer | None] = ContextVar("nngraph_pass_observer", default=None)


def current_observer() -> Observer:
    """Return the observer of the running pass; outside of a manager one that nobody reads."""
    return _CURRENT.get() or Observer()


@contextlib.contextmanager
def observing(observer: Observer) -> Iterator[Observer]:
    """Let rules report to ``observer`` inside a ``with`` block."""
    token = _CURRENT.set(observer)
    try:
        yield observer
    finally:
        _CURRENT.reset(token)
