"""What every metric is: variables that batches update, and a result made of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from nngraph import config, initializers
from nngraph.config import DTypePolicy
from nngraph.ir import numpy_dtype, standardize_dtype
from nngraph.naming import auto_name, snake_case
from nngraph.ops import Variable
from nngraph.ops.trace import recorded_under
from nngraph.stateless import StatelessScope

__all__ = ["Metric"]


class Metric:
    """Base of metrics: a value over all batches since the last reset.

    A subclass makes its variables with `add_variable`, changes them in `update_state(y_true, y_pred,
    sample_weight=None)` and computes the value in `result()`. Both are written with `nngraph.ops`, so that they become
    part of the training step's graph. A metric that is an attribute of another belongs to it.

    Args:
        dtype: dtype of the variables, default `nngraph.config.floatx()`.
        name: default is the class name in snake case, numbered.

    >>> from nngraph import ops
    >>> class Largest(Metric):
    ...     def __init__(self, **kwargs):
    ...         super().__init__(**kwargs)
    ...         self.largest = self.add_variable((), "zeros", name="largest")
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.largest.assign(ops.maximum(self.largest, ops.max(y_pred)))
    ...     def result(self):
    ...         return self.largest
    >>> metric = Largest()
    >>> metric.update_state(None, np.float32([1, 5, 2])); float(metric.result())
    5.0
    >>> metric.reset_state(); float(metric.result())
    0.0
    """

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        self.name = name or auto_name(snake_case(type(self).__name__))
        self._dtype = _compute_dtype(dtype)
        self._variables: dict[Variable, np.ndarray[Any, Any]] = {}

    @property
    def dtype(self) -> str:
        """The dtype of the variables."""
        return self._dtype

    @property
    def variables(self) -> list[Variable]:
        """The variables of this metric, then those of the metrics that it has as attributes."""
        return [*self._variables, *(v for metric in self._inner_metrics() for v in metric.variables)]

    def _inner_metrics(self) -> Iterator[Metric]:
        for value in vars(self).values():
            items = value if isinstance(value, (list, tuple)) else [value]
            yield from (item for item in items if isinstance(item, Metric))

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any = None,
        dtype: Any = None,
        aggregation: str = "sum",
        name: str | None = None,
    ) -> Variable:
        """Create a variable to which `reset_state` gives its first value again; zeros without an initializer.

        Raises:
            RuntimeError: the subclass did not call `super().__init__()`.
        """
        if "_variables" not in vars(self):
            raise RuntimeError(f"{type(self).__name__}.__init__ must call super().__init__() before it adds variables.")
        kind = numpy_dtype(standardize_dtype(dtype or self.dtype))
        if isinstance(initializer, (str, dict, type)):
            initializer = initializers.get(initializer)
        start = np.zeros(tuple(shape), kind) if initializer is None else initializer
        if callable(start):
            start = start(tuple(shape), dtype=standardize_dtype(kind))
        value = np.broadcast_to(np.asarray(start, kind), tuple(shape))
        variable = Variable(value, trainable=False, aggregation=aggregation, name=name)
        variable.path = f"{self.name}/{variable.name}"
        self._variables[variable] = variable.numpy()
        return variable

    def add_weight(
        self, shape: Sequence[int] = (), initializer: Any = None, dtype: Any = None, name: str | None = None
    ) -> Variable:
        """Do what `add_variable` does."""
        return self.add_variable(shape, initializer, dtype=dtype, name=name)

    def reset_state(self) -> None:
        """Give all variables their first values."""
        for variable, start in self._variables.items():
            variable.assign(start)
        for metric in self._inner_metrics():
            metric.reset_state()

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Take one batch into account; a subclass defines it."""
        raise NotImplementedError(f"Metric {type(self).__name__} must define update_state(self, y_true, y_pred, ...).")

    def result(self) -> Any:
        """Return the value over all batches since the last reset; a subclass defines it."""
        raise NotImplementedError(f"Metric {type(self).__name__} must define result(self).")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Take one batch into account and return the result so far."""
        with recorded_under(f"metrics/{self.name}"):
            self.update_state(*args, **kwargs)
            return self.result()

    def stateless_update_state(self, metric_variables: Sequence[Any], *args: Any, **kwargs: Any) -> list[Any]:
        """Return the values of the variables after a batch, had they been `metric_variables` before it."""
        with StatelessScope(self._paired(metric_variables)) as scope:
            self.update_state(*args, **kwargs)
        return [scope.get_current_value(v) for v in self.variables]

    def stateless_result(self, metric_variables: Sequence[Any]) -> Any:
        """Return the result for these values of the variables."""
        with StatelessScope(self._paired(metric_variables)):
            result = self.result()
            return result.value if isinstance(result, Variable) else result

    def stateless_reset_state(self) -> list[np.ndarray[Any, Any]]:
        """Return the first values of the variables."""
        inner = [value for metric in self._inner_metrics() for value in metric.stateless_reset_state()]
        return [*(start.copy() for start in self._variables.values()), *inner]

    def _paired(self, values: Sequence[Any]) -> list[tuple[Variable, Any]]:
        if len(values) != len(self.variables):
            raise ValueError(
                f"Metric {self.name!r} has {len(self.variables)} variables. Received: {len(values)} values."
            )
        return list(zip(self.variables, values, strict=True))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, of which `from_config` builds an equal metric."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        """Build the metric that `get_config` described."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def _compute_dtype(dtype: Any) -> str:
    if dtype is None:
        return config.floatx()
    return dtype.compute_dtype if isinstance(dtype, DTypePolicy) else standardize_dtype(dtype)
