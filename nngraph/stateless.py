"""A scope in which variables have other values, and after which they have their own again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nngraph.ops.trace import Trace, current_trace
from nngraph.ops.variable import Variable

__all__ = ["StatelessScope"]


class StatelessScope:
    """A `with` block in which variables take given values; what is assigned to them ends with the block.

    While a graph is traced this holds for every variable; on arrays it holds for the variables of the mapping.

    Args:
        state_mapping: pairs (variable, value).

    Raises:
        ValueError: a key is no variable, or a value has another shape.

    >>> import numpy as np
    >>> v = Variable(np.zeros(2, "float32"))
    >>> with StatelessScope([(v, np.ones(2, "float32"))]) as scope:
    ...     _ = v.assign_add(v)
    >>> scope.get_current_value(v).tolist(), v.numpy().tolist()
    ([2.0, 2.0], [0.0, 0.0])
    """

    def __init__(self, state_mapping: Iterable[tuple[Variable, Any]] | None = None) -> None:
        self._given = list(state_mapping or ())
        for variable, _ in self._given:
            if not isinstance(variable, Variable):
                raise ValueError(f"StatelessScope maps variables to values. Received as a key: {variable!r}")
        self._found: dict[Variable, Any] = {}
        self._trace: Trace | None = None
        self._before: Any = None

    def __enter__(self) -> StatelessScope:
        self._trace = current_trace()
        if self._trace is None:
            self._before = [(v, v.numpy()) for v, _ in self._given]
        else:
            self._before = (dict(self._trace.variables), dict(self._trace.assigned))
        for variable, value in self._given:
            variable.assign(value)
        return self

    def __exit__(self, *_: object) -> None:
        trace = self._trace
        if trace is None:
            self._found = {v: v.numpy() for v, _ in self._given}
            for variable, value in self._before:
                variable.assign(value)
            return
        self._found = dict(trace.variables)
        variables, assigned = self._before
        # A variable that was first read inside keeps its input, as an unchanged one.
        trace.variables.update({v: variables.get(v, trace.sources[v]) for v in self._found})
        trace.assigned.clear()
        trace.assigned.update(assigned)

    def get_current_value(self, variable: Variable) -> Any:
        """Return the value that the variable had at the end of the block, or its own if the block did not touch it."""
        if variable in self._found:
            return self._found[variable]
        return variable.value
