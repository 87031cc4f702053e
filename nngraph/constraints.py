"""Projections that keep weights in a set: applied to a variable after every step of the optimizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nngraph import config, ops
from nngraph.saving.lookup import Lookup

__all__ = [
    "Constraint",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "UnitNorm",
    "deserialize",
    "get",
    "max_norm",
    "min_max_norm",
    "non_neg",
    "serialize",
    "unit_norm",
]


class Constraint:
    """Base of constraints: callables `(w)` that return the tensor to which the weight `w` is set.

    A subclass defines `__call__` and, when its constructor takes arguments, `get_config`.
    The base itself changes nothing.

    >>> import numpy as np
    >>> class AtMostOne(Constraint):
    ...     def __call__(self, w):
    ...         return ops.minimum(w, 1.0)
    >>> AtMostOne()(np.array([0.5, 2.0]))
    array([0.5, 1. ])
    """

    def __call__(self, w: Any) -> Any:
        """Return the projection of the weight `w`."""
        return w

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, of which `from_config` builds an equal constraint."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Constraint:
        """Build the constraint that `get_config` described."""
        return cls(**config)


class MaxNorm(Constraint):
    """Shrink the vectors along `axis` whose Euclidean norm is above `max_value` to that norm.

    `axis=0` is right for the kernel of a Dense layer, `axis=[0, 1, 2]` for that of a Conv2D: one norm for each output.

    >>> import numpy as np
    >>> MaxNorm(2.5)(np.array([[3.0], [4.0]])).round(3)
    array([[1.5],
           [2. ]])
    """

    def __init__(self, max_value: float = 2, axis: int | Sequence[int] = 0) -> None:
        self.max_value = max_value
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        """Return the projection of the weight `w`."""
        norms = _norms(w, self.axis)
        return w * (ops.clip(norms, 0, self.max_value) / (config.epsilon() + norms))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"max_value": self.max_value, "axis": self.axis}


class NonNeg(Constraint):
    """Set negative weights to zero.

    >>> import numpy as np
    >>> NonNeg()(np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    def __call__(self, w: Any) -> Any:
        """Return the projection of the weight `w`."""
        return ops.maximum(w, 0)


class UnitNorm(Constraint):
    """Scale the vectors along `axis` to Euclidean norm 1.

    >>> import numpy as np
    >>> UnitNorm()(np.array([[3.0], [4.0]])).round(3)
    array([[0.6],
           [0.8]])
    """

    def __init__(self, axis: int | Sequence[int] = 0) -> None:
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        """Return the projection of the weight `w`."""
        return w / (config.epsilon() + _norms(w, self.axis))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"axis": self.axis}


class MinMaxNorm(Constraint):
    """Move the norms of the vectors along `axis` into the range from `min_value` to `max_value`.

    A norm n becomes `rate * clip(n, min_value, max_value) + (1 - rate) * n`: a rate below 1 goes only part of the way.

    >>> import numpy as np
    >>> MinMaxNorm(min_value=1.0, max_value=2.5, rate=0.5)(np.array([[3.0], [4.0]])).round(3)
    array([[2.25],
           [3.  ]])
    """

    def __init__(
        self,
        min_value: float = 0.0,
        max_value: float = 1.0,
        rate: float = 1.0,
        axis: int | Sequence[int] = 0,
    ) -> None:
        self.min_value = min_value
        self.max_value = max_value
        self.rate = rate
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        """Return the projection of the weight `w`."""
        norms = _norms(w, self.axis)
        wanted = self.rate * ops.clip(norms, self.min_value, self.max_value) + (1 - self.rate) * norms
        return w * (wanted / (config.epsilon() + norms))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"min_value": self.min_value, "max_value": self.max_value, "rate": self.rate, "axis": self.axis}


max_norm = MaxNorm
min_max_norm = MinMaxNorm
non_neg = NonNeg
unit_norm = UnitNorm

_LOOKUP = Lookup(
    "constraint",
    "nngraph.constraints",
    {
        "MaxNorm": MaxNorm,
        "MinMaxNorm": MinMaxNorm,
        "NonNeg": NonNeg,
        "UnitNorm": UnitNorm,
        "max_norm": MaxNorm,
        "min_max_norm": MinMaxNorm,
        "non_neg": NonNeg,
        "unit_norm": UnitNorm,
    },
)


def get(identifier: Any) -> Any:
    """Return the constraint for a name, a configuration, a class or a function; None stays None.

    Raises ValueError for an unknown name, naming the nearest, and for anything else.

    >>> get("max_norm").get_config()
    {'max_value': 2, 'axis': 0}
    """
    return _LOOKUP.get(identifier)


def serialize(constraint: Any) -> Any:
    """Return the configuration of a constraint as plain data."""
    return _LOOKUP.serialize(constraint)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return the constraint that `serialize` described.

    >>> deserialize(serialize(UnitNorm(axis=1))).axis
    1
    """
    return _LOOKUP.deserialize(config, custom_objects)


def _norms(w: Any, axis: int | Sequence[int]) -> Any:
    """Return the Euclidean norms along `axis`, which is kept with size 1."""
    axes = axis if isinstance(axis, int) else tuple(axis)
    return ops.sqrt(ops.sum(ops.square(w), axis=axes, keepdims=True))
