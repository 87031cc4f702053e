"""Data that lie where a step runs: the step gathers its own rows, and nothing is copied from the host for it.

All arrays, the order of their rows and the place in that order are state of the step's graph. Where an ordinary step
has a batch as its input, this one has ``Gather(array, Gather(order, place + [0, 1, 2 ...]))``, and moves the place on.
The rows are those that the host would have gathered, so the results are the same bit by bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nngraph import config
from nngraph.data import ArrayAdapter
from nngraph.ir import Graph, TensorType, Value, numpy_dtype
from nngraph.ops import raw
from nngraph.runtime import Cell, resolve_device

__all__ = ["ResidentData", "keep_on_device", "stays_on_device"]

_PLACE = "place"
_ORDER = "order"


def stays_on_device(arrays: Sequence[np.ndarray[Any, Any]]) -> bool:
    """Tell whether ``fit`` keeps these arrays on the device: there is a GPU, and they take no more than is allowed."""
    if resolve_device(config.device()) == "cpu":
        return False
    # The runtime's Python interface has no bfloat16 arrays, and CUDA's Gather counts elements in 32 bits.
    fits = all(a.dtype != numpy_dtype("bfloat16") and a.size < 2**31 for a in arrays)
    return fits and sum(a.nbytes for a in arrays) <= config.device_data_bytes()


def keep_on_device(adapter: Any, former: ResidentData | None) -> ResidentData | None:
    """Return the arrays of ``fit`` as data on the device, or ``None`` where each batch comes from the host.

    Args:
        adapter: the source of batches.
        former: the data of the last ``fit``, whose place these take if they have the same types.
    """
    if not isinstance(adapter, ArrayAdapter) or not stays_on_device(adapter.flat_arrays()):
        return None
    arrays, count = adapter.flat_arrays(), min(adapter.num_samples, adapter.num_batches * adapter.batch_size)
    if former is None or not former.fits(arrays, count):
        return ResidentData(arrays, count)
    former.load(arrays)
    return former


class ResidentData:
    """Arrays of equally many rows, and the order in which an epoch takes them.

    Args:
        arrays: they are copied to the device when the first step is bound.
        count: how many rows an epoch takes.

    Example:
        >>> data = ResidentData([np.arange(6)], 4)
        >>> data.begin(np.array([5, 3, 1, 0]))
        >>> data.fits([np.zeros(6, "int64")], 4), data.fits([np.zeros(5, "int64")], 4)
        (True, False)
    """

    def __init__(self, arrays: Sequence[np.ndarray[Any, Any]], count: int) -> None:
        self._types = [TensorType.of(a) for a in arrays]
        self._count = count
        self._cells = [Cell(a) for a in arrays]
        self._order = Cell(np.zeros(count, np.int64))
        self._place = Cell(np.zeros((), np.int64))

    def fits(self, arrays: Sequence[np.ndarray[Any, Any]], count: int) -> bool:
        """Tell whether other arrays could take the place of these without another compilation."""
        return self._types == [TensorType.of(a) for a in arrays] and self._count == count

    def load(self, arrays: Sequence[np.ndarray[Any, Any]]) -> None:
        """Put other arrays of the same types in the place of these."""
        for cell, array in zip(self._cells, arrays, strict=True):
            cell.write(array)

    def begin(self, order: np.ndarray[Any, Any], place: int = 0) -> None:
        """Say in which order the next steps take the rows, and with which they begin."""
        self._order.write(np.asarray(order, np.int64))
        self._place.write(np.asarray(place, np.int64))

    def add_inputs(self, graph: Graph, rows: int) -> tuple[list[Value], Value]:
        """Record how a step of so many rows gets its batch; return the batch and the place of the next one."""
        arrays = [graph.add_input(name, t) for (name, _, _), t in zip(self.state, self._types, strict=False)]
        order = graph.add_input(_ORDER, TensorType("int64", (self._count,)))
        place = graph.add_input(_PLACE, TensorType("int64", ()))
        chosen = raw.Gather(order, raw.Add(place, np.arange(rows)))
        return [raw.Gather(a, chosen) for a in arrays], raw.Add(place, np.array(rows))

    @property
    def state(self) -> list[tuple[str, str | None, Cell]]:
        """Input name, output name or ``None``, and cell of everything that a step reads, the arrays first."""
        arrays: list[tuple[str, str | None, Cell]] = [(f"all_{k}", None, cell) for k, cell in enumerate(self._cells)]
        return [*arrays, (_ORDER, None, self._order), (_PLACE, f"new_{_PLACE}", self._place)]
