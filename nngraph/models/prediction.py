"""Prediction: one graph for batches of any size, with the weights as constants while nothing changes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nngraph import tree
from nngraph.ir import Graph, TensorType, Value
from nngraph.ops.trace import Trace
from nngraph.runtime import BoundCall, Cell, Group, Session
from nngraph.transforms import compile_graph, state_of
from passes import freeze

__all__ = ["PredictFunction"]

_FREEZABLE = 1 << 30
"""Weights of more bytes than this are never held a second time as constants."""

_PATIENCE = 2
"""Calls with the same weights before they are frozen once more; it doubles each time they change after that."""


class PredictFunction:
    """A model's prediction for batches of any size.

    Two sessions can answer. The *frozen* one holds the weights as constants: what depends on them alone is computed
    once, and the runtime packs them as its kernels like them. The *reading* one takes the weights where training writes
    them, so it is right whatever changes. The first call freezes. Once a weight has changed, the reading session
    answers until enough calls have come with the same weights: twice as many each time, so that weights which change
    again and again cost few compilations.

    Args:
        fn: ``model.predict_step``.
        structure, types: the inputs, see :func:`nngraph.models.steps.describe`; the first size of each type is open.
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
        self._device = device
        self._graph = Graph(name)
        self._data = [f"data_{k}" for k in range(len(types))]
        inputs = [self._graph.add_input(n, t) for n, t in zip(self._data, types, strict=True)]
        outputs: list[Value] = []
        with Trace(self._graph) as trace:
            result = fn(tree.map_structure(lambda k: inputs[k], structure, none_is_leaf=False))

            def note(x: Any) -> int:
                outputs.append(x if isinstance(x, Value) else trace.constant(np.asarray(x)))
                return len(outputs) - 1

            self._structure = tree.map_structure(note, result)
        self._results = [f"y{k}" for k in range(len(outputs))]
        assigned = {f"new_{trace.sources[v].name}": trace.variables[v] for v in trace.assigned}
        self._graph.set_outputs([*outputs, *assigned.values()], [*self._results, *assigned])
        self._state = state_of(trace)
        self._cells: list[Cell] = [cell for _, _, cell in self._state]
        size = sum(cell.read().nbytes for cell in self._cells)
        self._freezable = not assigned and size <= _FREEZABLE
        self._reading: BoundCall | None = None
        self._frozen: Session | None = None
        self._used: list[tuple[int, str]] = []
        self._clock = self._version = -1
        self._unchanged = self._patience = 0
        self.single = self._structure == 0

    def __call__(self, arrays: Sequence[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
        """Return the flat outputs for flat inputs."""
        if self._clock != Group.clock:
            self._look_for_changes()
        if self._frozen is not None:
            return self._frozen.call({name: arrays[k] for k, name in self._used}, self._results)
        if self._freezable and self._unchanged >= self._patience:
            self._freeze()
            return self(arrays)
        self._unchanged += 1
        if self._reading is None:
            session = compile_graph(self._graph.clone(), self._device)
            self._reading = BoundCall(session, self._state, self._data, self._results)
        return self._reading(arrays)

    def _freeze(self) -> None:
        # The graph shares the cells' arrays until the runtime has taken its copy.
        graph = freeze(self._graph, {name: cell.read() for name, _, cell in self._state})
        self._frozen = compile_graph(graph, self._device, share=False)
        self._used = [(k, name) for k, name in enumerate(self._data) if name in self._frozen.input_types]

    def _look_for_changes(self) -> None:
        """Drop the frozen session when one of its weights has changed; changes elsewhere do not matter."""
        self._clock = Group.clock
        version = max((cell.version for cell in self._cells), default=0)
        if version == self._version:
            return
        if self._frozen is not None:
            self._frozen = None
            self._patience = max(_PATIENCE, 2 * self._patience)
        self._version, self._unchanged = version, 0

    def pack(self, outputs: Sequence[Any]) -> Any:
        """Return flat outputs in the model's structure."""
        return outputs[0] if self.single else tree.map_structure(lambda k: outputs[k], self._structure)
