"""Compiled steps: one training, test or prediction step of a model as one graph and one session run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nngraph import tree
from nngraph.ir import Graph, TensorType, Value, numpy_dtype
from nngraph.models.resident import ResidentData
from nngraph.ops.trace import Trace
from nngraph.runtime import BoundCall, BoundStep
from nngraph.transforms import compile_graph, state_of

__all__ = ["CompiledStep", "LazyLogs", "PredictFunction", "describe", "trace_step"]


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
    resident: ResidentData | None = None,
) -> tuple[Graph, Trace, dict[str, Value]]:
    """Trace ``fn`` on a batch of these types, which with ``resident`` the step takes from there by itself.

    Returns:
        The graph, whose outputs are the logs and the assigned variables, the trace, and the logs by name.
    """
    graph = Graph(name)
    state: dict[str, Value] = {}
    with Trace(graph) as trace:
        if resident is None:
            inputs = [graph.add_input(f"data_{k}", t) for k, t in enumerate(types)]
        else:
            inputs, state["new_place"] = resident.add_inputs(graph, int(types[0].shape[0]))
        result = fn(tree.map_structure(lambda k: inputs[k], structure, none_is_leaf=False))
        logs = {
            key: value if isinstance(value, Value) else trace.constant(np.asarray(getattr(value, "value", value)))
            for key, value in (result if isinstance(result, Mapping) else {"loss": result}).items()
        }
    state |= {f"new_{trace.sources[v].name}": trace.variables[v] for v in trace.assigned}
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
    """A step for batches of one shape.

    Args:
        fn: ``model.train_step`` or ``model.test_step``.
        structure, types: see :func:`describe`.
        name: the graph's name.
        device: where it runs.
        resident: the data, where the step takes its rows from there; its buffers need not be filled then.
    """

    def __init__(
        self,
        fn: Callable[[Any], Any],
        structure: Any,
        types: Sequence[TensorType],
        name: str,
        device: str | None = None,
        resident: ResidentData | None = None,
    ) -> None:
        graph, trace, logs = trace_step(fn, structure, types, name, resident)
        names = [f"data_{k}" for k in range(len(types))]
        state = [*state_of(trace), *(resident.state if resident is not None else ())]
        session = compile_graph(graph, device, capture=True)
        self.step = BoundStep(session, state, names, [f"log:{k}" for k in logs])
        # An input that no node needs was pruned; its data goes nowhere.
        self.buffers = [
            self.step.data[n] if n in self.step.data else _empty(t) for n, t in zip(names, types, strict=True)
        ]
        self.logs = LazyLogs({k: self.step.results[f"log:{k}"] for k in logs})
        self.run = self.step.run

    def fill(self, data: Any) -> None:
        """Copy a batch into the buffers."""
        arrays = [a for a in tree.flatten(data) if a is not None]
        for buffer, array in zip(self.buffers, arrays, strict=True):
            np.copyto(buffer, array)


def _empty(type: TensorType) -> np.ndarray[Any, Any]:
    return np.empty(tuple(int(d) for d in type.shape), numpy_dtype(type.dtype))


class PredictFunction:
    """A model's prediction for batches of any size, weights read where training writes them.

    Args:
        fn: ``model.predict_step``.
        structure, types: the inputs, see :func:`describe`; the first size of each type is left open.
        name: the graph's name.
        device: where it runs.
    """

    def __init__(
        self,
        fn: Callable[[Any], Any],
        structure: Any,
        types: Sequence[TensorType],
        name: str,
        device: str | None = None,
    ) -> None:
        graph = Graph(name)
        inputs = [graph.add_input(f"data_{k}", t) for k, t in enumerate(types)]
        outputs: list[Value] = []
        with Trace(graph) as trace:
            result = fn(tree.map_structure(lambda k: inputs[k], structure, none_is_leaf=False))

            def note(x: Any) -> int:
                outputs.append(x if isinstance(x, Value) else trace.constant(np.asarray(x)))
                return len(outputs) - 1

            self._structure = tree.map_structure(note, result)
        results = [f"y{k}" for k in range(len(outputs))]
        state = {f"new_{trace.sources[v].name}": trace.variables[v] for v in trace.assigned}
        graph.set_outputs([*outputs, *state.values()], [*results, *state])
        session = compile_graph(graph, device)
        self._call = BoundCall(session, state_of(trace), [f"data_{k}" for k in range(len(types))], results)
        self.single = self._structure == 0

    def __call__(self, arrays: Sequence[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
        """Return the flat outputs for flat inputs."""
        return self._call(arrays)

    def pack(self, outputs: Sequence[Any]) -> Any:
        """Return flat outputs in the model's structure."""
        return outputs[0] if self.single else tree.map_structure(lambda k: outputs[k], self._structure)
