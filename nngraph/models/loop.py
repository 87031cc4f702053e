"""The loop around compiled steps: batches become steps that are ready to run, and the callbacks hear of them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from typing import Any, TypeAlias

import numpy as np

from nngraph.data import ArrayAdapter
from nngraph.models.resident import ResidentData
from nngraph.models.steps import CompiledStep, LazyLogs, RowsStep

__all__ = ["run_steps", "steps_on_arrays", "steps_on_batches"]

Steps: TypeAlias = Generator[CompiledStep, None, None]
"""Steps, each with its batch in place, to be run one after the other."""


def run_steps(
    steps: Steps,
    begin: Callable[..., Any],
    end: Callable[..., Any],
    stopped: Callable[[], bool],
    *,
    first: int = 0,
    group: int = 1,
) -> LazyLogs | None:
    """Run the steps of an epoch and return the last one's logs.

    Args:
        steps: what to run; it is closed in any case.
        begin, end: called with a step's number (and its logs) before the first and after the last of each group.
        stopped: asked after each group whether to end the epoch here.
        first: the number of the first step.
        group: how many steps make a group; the last group may be smaller.
    """
    logs: LazyLogs | None = None
    number, left = first, 0
    with closing(steps):
        for number, step in enumerate(steps, first):
            if left == 0:
                begin(number)
                left = group
            step.run()
            logs = step.logs
            left -= 1
            if left == 0:
                end(number, logs)
                if stopped():
                    return logs
    if left:
        end(number, logs)
    return logs


def steps_on_arrays(
    adapter: ArrayAdapter,
    order: np.ndarray[Any, Any],
    find: Callable[[int], CompiledStep],
    first: int,
    resident: ResidentData | None = None,
) -> Steps:
    """Yield steps over arrays in memory; nothing is allocated for a step.

    Args:
        adapter: the arrays.
        order: the row numbers of the epoch, batch after batch.
        find: from a number of rows to the step for such batches; a :class:`RowsStep` reads the arrays by itself.
        first: the number of batches to leave out.
        resident: the arrays on the device, if the steps take their rows from there.
    """
    size, rows = adapter.batch_size, 0
    if resident is not None:
        resident.begin(order, first * size)
    with ExitStack() as held:
        for start in range(first * size, len(order), size):
            chosen = order[start : start + size]
            if len(chosen) != rows:
                rows = len(chosen)
                step = find(rows)
                if isinstance(step, RowsStep):
                    held.enter_context(step.over(adapter.flat_arrays()))
            if isinstance(step, RowsStep):
                step.rows[:] = chosen
            elif resident is None:
                adapter.take_into(step.buffers, chosen)
            yield step


def steps_on_batches(batches: Generator[Any, None, None], find: Callable[[Any], CompiledStep], first: int) -> Steps:
    """Yield steps over batches from a source.

    Args:
        batches: the batches of the epoch; closed when the steps are.
        find: from a batch to the step for batches of its shape.
        first: the number of batches to leave out.
    """
    with closing(batches):
        for number, batch in enumerate(batches):
            if number < first:
                continue
            step = find(batch)
            step.fill(batch)
            yield step
