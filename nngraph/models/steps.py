"""Compiled steps: one training or test step of a model as one graph and one session run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nngraph import tree
from nngraph.garbage import collection_paused
from nngraph.ir import Graph, TensorType, Value, numpy_dtype
from nngraph.ops.trace import Trace, apply
from nngraph.runtime import BoundStep, Tables
from nngraph.transforms import compile_graph, state_of
from passes.in_place import overwritable

__all__ = ["CompiledStep", "LazyLogs", "RowsStep", "describe", "signature", "trace_step"]


def signature(data: Any, first: int = 0) -> Any:
    """Return what batches must have in common to share a step, as a key: structure, dtypes, and sizes.

    Args:
        data: arrays and ``None``, nested in lists, tuples and dicts.
        first: the first axis whose size matters.

    >>> signature({"a": np.zeros((2, 3), "float32"), "b": None}, 1)
    (('a', (dtype('float32'), (3,))), ('b', None))
    """
    if isinstance(data, np.ndarray):
        return data.dtype, data.shape[first:]
    if isinstance(data, Mapping):
        return tuple([(key, signature(part, first)) for key, part in data.items()])
    if isinstance(data, (list, tuple)):
        return type(data), *[signature(part, first) for part in data]
    return data


def describe(data: Any) -> tuple[Any, list[TensorType]]:
    """Return the structure of a batch with positions for arrays, and the arrays' types in order."""
    types: list[TensorType] = []

    def note(x: Any) -> int:
        types.append(TensorType.of(np.asarray(x)))
        return len(types) - 1

    return tree.map_structure(note, data, none_is_leaf=False), types


def trace_step(
    fn: Callable[[Any], Any],
    structure: Any,
    types: Sequence[TensorType],
    name: str,
    rows: int | None = None,
) -> tuple[Graph, Trace, dict[str, Value]]:
    """Trace ``fn`` on a batch of these types.

    Args:
        fn, structure, types, name: see :class:`CompiledStep`.
        rows: how many rows of its inputs the graph picks as its batch, by the numbers in an input ``"rows"``.

    Returns:
        The graph, whose outputs are the logs and the assigned variables, the trace, and the logs by name.
    """
    graph = Graph(name)
    with Trace(graph) as trace:
        inputs = [graph.add_input(f"data_{k}", t) for k, t in enumerate(types)]
        if rows is not None:
            numbers = graph.add_input("rows", TensorType("int64", (rows,)))
            inputs = [apply("Gather", v, numbers, axis=0) for v in inputs]
        result = fn(tree.map_structure(lambda k: inputs[k], structure, none_is_leaf=False))
        logs = {
            key: value if isinstance(value, Value) else trace.constant(np.asarray(getattr(value, "value", value)))
            for key, value in (result if isinstance(result, Mapping) else {"loss": result}).items()
        }
    state = {f"new_{trace.sources[v].name}": trace.variables[v] for v in trace.assigned}
    graph.set_outputs([*logs.values(), *state.values()], [*(f"log:{k}" for k in logs), *state])
    return graph, trace, logs


class LazyLogs(Mapping[str, float]):
    """The logs of the last step; a number is read from its buffer only when somebody asks for it."""

    __slots__ = ("_buffers",)

    def __init__(self, buffers: dict[str, np.ndarray[Any, Any]]) -> None:
        self._buffers = buffers

    def __getitem__(self, key: str) -> Any:
        array = self._buffers[key]
        return float(array) if array.ndim == 0 else array.copy()

    def __iter__(self) -> Iterator[str]:
        return iter(self._buffers)

    def __len__(self) -> int:
        return len(self._buffers)

    def copy(self) -> dict[str, Any]:
        """Return the numbers as they are now."""
        return dict(self)

    def __repr__(self) -> str:
        return repr(dict(self))


class CompiledStep:
    """A step for batches of one shape, which lie in buffers.

    Args:
        fn: ``model.train_step`` or ``model.test_step``.
        structure, types: the batch, see :func:`describe`.
        name: the graph's name.
        device: where it runs.
        recompute: see ``Model.compile``.
    """

    @collection_paused()
    def __init__(
        self,
        fn: Callable[[Any], Any],
        structure: Any,
        types: Sequence[TensorType],
        name: str,
        device: str | None = None,
        recompute: Any = None,
    ) -> None:
        names = [f"data_{k}" for k in range(len(types))]
        self._bind(trace_step(fn, structure, types, name), names, device=device, recompute=recompute)
        # An input that no node needs was pruned; its data goes nowhere.
        self.buffers = [
            self.step.data[n] if n in self.step.data else _empty(t) for n, t in zip(names, types, strict=True)
        ]

    def _bind(
        self,
        traced: tuple[Graph, Trace, dict[str, Value]],
        data: Sequence[str],
        *,
        held: Sequence[str] = (),
        device: str | None,
        recompute: Any = None,
    ) -> None:
        graph, trace, logs = traced
        session = compile_graph(graph, device, capture=True, recompute=recompute)
        state = state_of(trace)
        in_place = overwritable(graph, [(name, out) for name, out, _ in state])
        self.step = BoundStep(session, state, data, [f"log:{k}" for k in logs], held, in_place=in_place)
        self.logs = LazyLogs({k: self.step.results[f"log:{k}"] for k in logs})
        self.run = self.step.run

    def fill(self, data: Any) -> None:
        """Copy a batch into the buffers."""
        arrays = [a for a in tree.flatten(data) if a is not None]
        for buffer, array in zip(self.buffers, arrays, strict=True):
            np.copyto(buffer, array)


class RowsStep(CompiledStep):
    """A step whose graph picks the rows of its batch out of whole arrays: row numbers are all that is copied.

    The runtime gathers with all its threads, and straight to where the next node reads.

    Args:
        fn, structure, name, device, recompute: as for :class:`CompiledStep`.
        types: the arrays; the first size of each type is open.
        rows: how many rows make a batch.
    """

    @collection_paused()
    def __init__(
        self,
        fn: Callable[[Any], Any],
        structure: Any,
        types: Sequence[TensorType],
        name: str,
        rows: int,
        device: str | None = None,
        recompute: Any = None,
    ) -> None:
        arrays = [f"data_{k}" for k in range(len(types))]
        traced = trace_step(fn, structure, types, name, rows)
        self._bind(traced, ["rows"], held=arrays, device=device, recompute=recompute)
        self._rows = self.step.data.get("rows", np.empty(rows, np.int64))

    def pick(self, tables: Tables, rows: np.ndarray[Any, Any]) -> None:
        """Say which rows of which arrays are the next batch."""
        tables.serve(self.step)
        self._rows[:] = rows


def _empty(type: TensorType) -> np.ndarray[Any, Any]:
    return np.empty(tuple(int(d) for d in type.shape), numpy_dtype(type.dtype))
