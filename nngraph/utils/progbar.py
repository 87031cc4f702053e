"""A progress bar that costs next to nothing between two drawings."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any

from nngraph import config

__all__ = ["Progbar"]

_BOLD, _GREEN, _WHITE, _RESET = "\x1b[1m", "\x1b[32m", "\x1b[37m", "\x1b[0m"

_logger = logging.getLogger("nngraph")

Values = Mapping[str, Any] | Iterable[tuple[str, Any]]


class Progbar:
    """Shows how far a loop has come, and some values, on standard output.

    On a terminal or in a notebook a bar is redrawn in place, at most once per ``interval``; elsewhere, such as in a log
    file, one line is written when the loop ends. With interactive logging disabled that line goes to the ``nngraph``
    logger. The values are read and formatted only when something is written.

    Args:
        target: the number of steps, or None while it is unknown.
        width: the length of the bar in characters.
        verbose: 0 for nothing, 1 for a bar, 2 for one line at the end.
        interval: the least time between two drawings, in seconds.
        stateful_metrics: accepted for Keras code; every value is shown as it is given,
        stateless_metrics: except those named here, which are averaged over the steps.
        unit_name: what a step is called.

    >>> bar = Progbar(3, verbose=2)
    >>> for step in range(1, 4):
    ...     bar.update(step, [("loss", 1 / step)])  # doctest: +ELLIPSIS
    3/3 - 0s - ...s/step - loss: 0.3333
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
        stateless_metrics: Iterable[str] | None = None,
        unit_name: str = "step",
    ) -> None:
        self.target = target
        self.width = width
        self.verbose = verbose
        self.interval = interval
        self.unit_name = unit_name
        self.stateless_metrics = frozenset(stateless_metrics or ())
        self._dynamic = verbose == 1 and _draws_in_place()
        self._seen_so_far = 0
        self._start = time.perf_counter()
        self._first_step_end: float | None = None
        self._first_step = 0
        self._next_draw = 0.0
        self._drawn_length = 0
        self._sums: dict[str, float] = {}

    def update(self, current: int, values: Values | None = None, finalize: bool | None = None) -> None:
        """Say that ``current`` steps are done.

        Args:
            current: the number of steps done so far.
            values: names and values to show, a mapping or pairs.
            finalize: whether this is the end; by default, whether ``current`` has reached the target.
        """
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        if self.stateless_metrics and values is not None:
            values = self._averaged(current, values)
        self._seen_so_far = current
        now = time.perf_counter()
        if self._first_step_end is None:
            # The first step builds and compiles; leave it out of the time per step as soon as there is another.
            self._first_step_end, self._first_step = now, current
        if self.verbose == 0 or not (finalize or (self._dynamic and now >= self._next_draw)):
            return
        self._next_draw = now + self.interval
        shown = "".join(_format(name, value) for name, value in _pairs(values))
        if self._dynamic and config.is_interactive_logging_enabled():
            self._draw(self._bar(current, now, finalize) + shown, finalize)
        elif finalize:
            self._write_line(self._summary(current, now) + shown)

    def add(self, n: int, values: Values | None = None) -> None:
        """Say that ``n`` more steps are done."""
        self.update(self._seen_so_far + n, values)

    def _averaged(self, current: int, values: Values) -> dict[str, Any]:
        shown = dict(_pairs(values))
        steps = max(current - self._seen_so_far, 0)
        for name in self.stateless_metrics & shown.keys():
            self._sums[name] = self._sums.get(name, 0.0) + float(shown[name]) * steps
            shown[name] = self._sums[name] / max(current, 1)
        return shown

    def _seconds_per_step(self, current: int, now: float) -> float:
        if self._first_step_end is not None and current > self._first_step:
            return (now - self._first_step_end) / (current - self._first_step)
        return (now - self._start) / max(current, 1)

    def _summary(self, current: int, now: float) -> str:
        rate = _format_rate(self._seconds_per_step(current, now), self.unit_name)
        return f"{current}/{self.target or current} - {now - self._start:.0f}s - {rate}"

    def _bar(self, current: int, now: float, finalize: bool) -> str:
        per_step = self._seconds_per_step(current, now)
        elapsed = now - self._start
        if self.target is None:
            head = f"{current:>7}/Unknown"
            bar, left = "", elapsed
        else:
            head = f"{current:>{len(str(self.target))}}/{self.target}"
            full = min(int(self.width * current / self.target), self.width) if self.target else self.width
            mark = _bar_mark()
            bar = f"{_GREEN}{mark * full}{_RESET}{_WHITE}{mark * (self.width - full)}{_RESET} "
            left = elapsed if finalize else per_step * (self.target - current)
        return (
            f"{_BOLD}{head}{_RESET} {bar}{_BOLD}{_format_duration(left)}{_RESET} "
            f"{_format_rate(per_step, self.unit_name)}"
        )

    def _draw(self, line: str, finalize: bool) -> None:
        # Blanks cover what is left of a longer line before.
        padding = " " * max(self._drawn_length - len(line), 0)
        self._drawn_length = len(line)
        sys.stdout.write(f"\r{line}{padding}" + ("\n" if finalize else ""))
        sys.stdout.flush()

    def _write_line(self, line: str) -> None:
        if not config.is_interactive_logging_enabled():
            _logger.info(line)
            return
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def _draws_in_place() -> bool:
    is_terminal = hasattr(sys.stdout, "isatty") and sys.stdout.isatty()
    return is_terminal or "ipykernel" in sys.modules or "PYCHARM_HOSTED" in os.environ


def _bar_mark() -> str:
    try:
        "━".encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return "="
    return "━"


def _pairs(values: Values | None) -> Iterable[tuple[str, Any]]:
    if values is None:
        return ()
    return values.items() if isinstance(values, Mapping) else values


def _format(name: str, value: Any) -> str:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return f" - {name}: {value}"
    return f" - {name}: {number:.4f}" if abs(number) > 1e-3 else f" - {name}: {number:.4e}"


def _format_rate(seconds: float, unit: str) -> str:
    if seconds >= 1 or seconds == 0:
        return f"{seconds:.0f}s/{unit}"
    if seconds >= 1e-3:
        return f"{seconds * 1e3:.0f}ms/{unit}"
    return f"{seconds * 1e6:.0f}us/{unit}"


def _format_duration(seconds: float) -> str:
    if seconds >= 3600:
        return f"{int(seconds) // 3600}:{int(seconds) % 3600 // 60:02d}:{int(seconds) % 60:02d}"
    if seconds >= 60:
        return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
    return f"{int(seconds)}s"
