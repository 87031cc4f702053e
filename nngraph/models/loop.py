"""The loop around compiled steps: batches become steps that are ready to run, and the callbacks hear of them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from typing import Any, TypeAlias

import numpy as np

from nngraph import config
from nngraph.data import ArrayAdapter
from nngraph.models.steps import CompiledStep, LazyLogs, RowsStep
from nngraph.runtime import Tables, fit_on, resolve_device

__all__ = ["loaded", "run_steps", "steps_on_arrays", "steps_on_batches"]

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


@contextmanager
def loaded(kept: dict[str, Tables], mode: str, source: Any) -> Iterator[Tables | None]:
    """Have the arrays of ``fit`` or ``evaluate`` where its steps read them, for as long as it goes.

    Args:
        kept: the tables of each mode; copies on a device stay here for the next call with arrays of the same types.
        mode: whose they are.
        source: the source of batches.

    Yields:
        The arrays as tables, or ``None`` where batches come from the host: the source holds no arrays,
        or too large ones.
    """
    device = resolve_device(config.device())
    tables = kept.pop(mode, None)  # so that a call from a callback of this one takes others
    arrays = source.flat_arrays() if isinstance(source, ArrayAdapter) else None
    fit = arrays is not None and fit_on(device, arrays)
    if tables is not None and not (fit and tables.device == device):
        tables.clear()
        tables = None
    if arrays is None or not fit:
        yield None
        return
    tables = Tables(device) if tables is None else tables
    tables.load(arrays)
    try:
        yield tables
    finally:
        tables.release()
        kept[mode] = tables


def steps_on_arrays(
    adapter: ArrayAdapter,
    tables: Tables | None,
    order: np.ndarray[Any, Any],
    find: Callable[[int], CompiledStep],
    first: int,
) -> Steps:
    """Yield steps over arrays in memory; nothing is allocated for a step.

    Args:
        adapter: the arrays.
        tables: the same arrays where a :class:`RowsStep` reads them; without it, batches are copied to the steps.
        order: the row numbers of the epoch, batch after batch.
        find: from a number of rows to the step for such batches.
        first: the number of batches to leave out.
    """
    size, rows = adapter.batch_size, 0
    for start in range(first * size, len(order), size):
        chosen = order[start : start + size]
        if len(chosen) != rows:
            rows = len(chosen)
            step = find(rows)
        if tables is not None and isinstance(step, RowsStep):
            step.pick(tables, chosen)
        else:
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
