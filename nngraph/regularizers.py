"""Penalties on weights or outputs, which training adds to the loss."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from nngraph import ops
from nngraph.errors import unknown_name
from nngraph.saving.lookup import Lookup

__all__ = [
    "L1",
    "L1L2",
    "L2",
    "OrthogonalRegularizer",
    "Regularizer",
    "deserialize",
    "get",
    "l1",
    "l1_l2",
    "l2",
    "orthogonal_regularizer",
    "serialize",
]


class Regularizer:
    """Base of regularizers: callables `(x)` that return a scalar penalty.

    A subclass defines `__call__` and `get_config`. The base itself is no penalty.

    >>> class Mean(Regularizer):
    ...     def __call__(self, x):
    ...         return ops.mean(x)
    ...     def get_config(self):
    ...         return {}
    >>> float(Mean()([1.0, 3.0]))
    2.0
    """

    def __call__(self, x: Any) -> Any:
        """Return the penalty for the tensor `x`."""
        return 0.0

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, of which `from_config` builds an equal regularizer."""
        raise NotImplementedError(f"Regularizer {type(self).__name__} must define get_config() to be saved.")

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Regularizer:
        """Build the regularizer that `get_config` described."""
        return cls(**config)


class L1(Regularizer):
    """The penalty `l1 * sum(abs(x))`.

    >>> float(L1(0.5)([1.0, -3.0]))
    2.0
    """

    def __init__(self, l1: float | None = 0.01) -> None:
        self.l1 = 0.01 if l1 is None else _factor("l1", l1)

    def __call__(self, x: Any) -> Any:
        """Return the penalty for the tensor `x`."""
        return self.l1 * ops.sum(ops.abs(x))

    def get_config(self) -> dict[str, Any]:
        """Return `{"l1": ...}`."""
        return {"l1": self.l1}


class L2(Regularizer):
    """The penalty `l2 * sum(x²)`.

    >>> float(L2(0.5)([1.0, -3.0]))
    5.0
    """

    def __init__(self, l2: float | None = 0.01) -> None:
        self.l2 = 0.01 if l2 is None else _factor("l2", l2)

    def __call__(self, x: Any) -> Any:
        """Return the penalty for the tensor `x`."""
        return self.l2 * ops.sum(ops.square(x))

    def get_config(self) -> dict[str, Any]:
        """Return `{"l2": ...}`."""
        return {"l2": self.l2}


class L1L2(Regularizer):
    """The penalty `l1 * sum(abs(x)) + l2 * sum(x²)`.

    >>> float(L1L2(l1=0.5, l2=0.5)([1.0, -3.0]))
    7.0
    """

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0) -> None:
        self.l1 = 0.0 if l1 is None else _factor("l1", l1)
        self.l2 = 0.0 if l2 is None else _factor("l2", l2)

    def __call__(self, x: Any) -> Any:
        """Return the penalty for the tensor `x`."""
        penalty: Any = 0.0
        if self.l1:
            penalty = self.l1 * ops.sum(ops.abs(x))
        if self.l2:
            penalty = penalty + self.l2 * ops.sum(ops.square(x))
        return penalty

    def get_config(self) -> dict[str, Any]:
        """Return `{"l1": ..., "l2": ...}`."""
        return {"l1": self.l1, "l2": self.l2}


class OrthogonalRegularizer(Regularizer):
    """The penalty `factor` times the mean of |cos| over all pairs of rows, or of columns, of a matrix.

    It is zero when they are orthogonal to each other. `mode` is "rows" or "columns".

    >>> float(OrthogonalRegularizer(factor=0.5)([[1.0, 0.0], [3.0, 4.0]]))
    0.3...
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor = _factor("factor", factor)
        if mode not in ("rows", "columns"):
            raise unknown_name("mode of OrthogonalRegularizer", mode, ("rows", "columns"))
        self.mode = mode

    def __call__(self, x: Any) -> Any:
        """Return the penalty; raises ValueError when `x` is not a matrix."""
        x = ops.convert_to_tensor(x)
        if len(x.shape) != 2:
            raise ValueError(f"OrthogonalRegularizer is for matrices only. Received: inputs of shape {tuple(x.shape)}")
        vectors = x if self.mode == "rows" else ops.transpose(x)
        unit = vectors / ops.sqrt(ops.sum(ops.square(vectors), axis=1, keepdims=True))
        count = vectors.shape[0]
        if count < 2:
            return 0.0 * ops.sum(unit)
        cosines = ops.abs(ops.matmul(unit, ops.transpose(unit)))
        others = 1.0 - ops.eye(count, dtype=x.dtype)
        return self.factor * ops.sum(cosines * others) / (count * (count - 1))

    def get_config(self) -> dict[str, Any]:
        """Return `{"factor": ..., "mode": ...}`."""
        return {"factor": self.factor, "mode": self.mode}


l1 = L1
l1_l2 = L1L2
l2 = L2
orthogonal_regularizer = OrthogonalRegularizer

_LOOKUP = Lookup(
    "regularizer",
    "nngraph.regularizers",
    {
        "L1": L1,
        "L1L2": L1L2,
        "L2": L2,
        "OrthogonalRegularizer": OrthogonalRegularizer,
        "l1": L1,
        "l1_l2": L1L2,
        "l1l2": L1L2,
        "l2": L2,
        "orthogonal_regularizer": OrthogonalRegularizer,
    },
)


def get(identifier: Any) -> Any:
    """Return the regularizer for a name, a configuration, a class or a function; None stays None.

    Raises ValueError for an unknown name, naming the nearest, and for anything else.

    >>> get("l2").get_config()
    {'l2': 0.01}
    """
    return _LOOKUP.get(identifier)


def serialize(regularizer: Any) -> Any:
    """Return the configuration of a regularizer as plain data."""
    return _LOOKUP.serialize(regularizer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return the regularizer that `serialize` described.

    >>> deserialize(serialize(L1(0.5))).get_config()
    {'l1': 0.5}
    """
    return _LOOKUP.deserialize(config, custom_objects)


def _factor(argument: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, str) or not 0 <= number < math.inf:
        raise ValueError(f"The argument {argument} must be a finite number >= 0. Received: {argument}={value!r}")
    return number
