"""Rounds among processes: everybody computes in turn, one at a time, in an order that changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

__all__ = ["interleave", "turns"]


def turns(names: Sequence[str], number: int) -> list[str]:
    """Return the order of round ``number``: it starts one further each time, and every second round runs backwards.

    So each peer runs after each other peer, and no one is always the first.
    """
    if not names:
        return []
    start = number % len(names)
    order = [*names[start:], *names[:start]]
    return order[::-1] if number % 2 else order


def interleave(
    measures: dict[str, Callable[[], float]],
    rounds: int,
    budget: float,
    least: int = 3,
    settle: float = 0.05,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Call all measures in rounds until there are ``rounds`` of them, or ``budget`` seconds are over.

    Args:
        measures: what to call for each name; it returns seconds.
        rounds: the most rounds.
        budget: seconds after which no round begins, once ``least`` rounds are done.
        least: the fewest rounds.
        settle: pause before each call, in which the threads of the one before stop spinning.
        clock, sleep: replaced in tests.

    Returns:
        The samples by name, and the messages of those that failed, which take no further part.
    """
    samples: dict[str, list[float]] = {name: [] for name in measures}
    failures: dict[str, str] = {}
    start = clock()
    for number in range(rounds):
        if number >= least and clock() - start > budget:
            break
        for name in turns([n for n in measures if n not in failures], number):
            sleep(settle)
            try:
                samples[name].append(measures[name]())
            except Exception as error:
                failures[name] = str(error)
    return {name: values for name, values in samples.items() if name not in failures}, failures
