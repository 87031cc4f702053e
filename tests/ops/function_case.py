"""One call of a public function and what it must give; the tables are in ``functions_*.py``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nngraph import ops

_RANDOM = np.random.default_rng(11)


@dataclass(frozen=True)
class Case:
    """A call ``ops.<name>(*args, **kwargs)``; arrays among the arguments are tensors.

    Attributes:
        expect: the function that gives the expected result on the same arguments; numpy's of that name if absent.
        rtol: tolerance of values.
        named: whether the call works when the first size of every tensor is a name; otherwise with numbers.
        traced: whether the call works in a graph at all.
        fixed: positions, among the flat arguments, of arrays that stay arrays in the graph.
        why: the reason for what is switched off.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    expect: Callable[..., Any] | None = None
    rtol: float = 2e-6
    named: bool = True
    traced: bool = True
    fixed: tuple[int, ...] = ()
    why: str = ""
    id: str = field(default="", compare=False)

    def run(self, *args: Any) -> Any:
        """Call our function."""
        return getattr(ops, self.name)(*args, **self.kwargs)

    def expected(self) -> Any:
        """Call the oracle."""
        return (self.expect or getattr(np, self.name))(*self.args, **self.kwargs)


def C(name: str, *args: Any, **kwargs: Any) -> Case:
    """Return a case compared with numpy."""
    return Case(name, args, kwargs)


def of(*shape: int) -> np.ndarray:
    """Return normal float32 numbers."""
    return _RANDOM.normal(size=shape).astype(np.float32)


def positive(*shape: int) -> np.ndarray:
    """Return float32 numbers of [0.5, 2]."""
    return _RANDOM.uniform(0.5, 2, size=shape).astype(np.float32)


def whole(*shape: int, low: int = -9, high: int = 10) -> np.ndarray:
    """Return int32 numbers."""
    return _RANDOM.integers(low, high, size=shape).astype(np.int32)


def truth(*shape: int) -> np.ndarray:
    """Return truth values."""
    return _RANDOM.random(size=shape) < 0.5
