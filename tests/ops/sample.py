"""What a sample of an operator is; see ``samples.py`` for where samples go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nngraph.ops.trace import apply

_RANDOM = np.random.default_rng(20)


@dataclass(frozen=True)
class Sample:
    """One call of an operator and what may be expected of it.

    Attributes:
        inputs: arrays, or ``None`` for an absent input. Real numbers are float64; the sweeps narrow them where needed.
        attributes: the node's attributes.
        outputs: how many outputs to ask for.
        wrt: the inputs to differentiate by; all of dtype float64 if absent.
        fed: inputs that are fed when the graph runs although they are integers (integers are constants otherwise).
        rtol: tolerance of gradients, relative to the sum of magnitudes.
        second: whether second derivatives are checked too.
        named: whether the gradient rule works with sizes that are names.
        reference: whether onnx.reference computes the operator, and rightly.
        single: whether ONNX has the operator for single precision at most; derivatives are then computed in it.
        step: the step of central differences, which is larger in single precision.
        value_rtol: tolerance of values in float32.
        call: builds the call from tensors where ``apply(op, ...)`` is not enough (bodies of loops and branches).
        why: the reason for everything that is switched off.
    """

    inputs: tuple[Any, ...]
    attributes: dict[str, Any] = field(default_factory=dict)
    outputs: int = 1
    wrt: tuple[int, ...] | None = None
    fed: tuple[int, ...] = ()
    rtol: float = 1e-6
    second: bool = True
    named: bool = True
    reference: bool = True
    single: bool = False
    step: float = 1e-4
    value_rtol: float = 1e-5
    call: Callable[..., Any] | None = None
    why: str = ""

    def but(self, **changes: Any) -> Sample:
        """Return the sample with other expectations."""
        return replace(self, **changes)

    @property
    def by(self) -> tuple[int, ...]:
        """The inputs to differentiate by."""
        if self.wrt is not None:
            return self.wrt
        return tuple(k for k, a in enumerate(self.inputs) if a is not None and a.dtype == np.float64)

    def run(self, op_id: str, tensors: list[Any]) -> tuple[Any, ...]:
        """Call the operator on tensors and return its outputs as a tuple."""
        if self.call is not None:
            result = self.call(*tensors)
        else:
            domain, _, op = op_id.rpartition("::")
            result = apply(op, *tensors, domain=domain, outputs=self.outputs, **self.attributes)
        return tuple(result) if isinstance(result, (list, tuple)) else (result,)


def S(*inputs: Any, **attributes: Any) -> Sample:
    """Return a sample of these inputs and attributes: ``S(normal(2, 3), ints(1), keepdims=0)``."""
    return Sample(tuple(None if a is None else np.asarray(a) for a in inputs), attributes)


def restart(name: str) -> None:
    """Draw from a sequence of one's own, so that the numbers of one file do not depend on the samples of another."""
    global _RANDOM
    _RANDOM = np.random.default_rng(list(name.encode()))


def normal(*shape: int) -> np.ndarray:
    """Return normal float64 numbers."""
    return _RANDOM.normal(size=shape)


def between(low: float, high: float, *shape: int) -> np.ndarray:
    """Return float64 numbers of an interval."""
    return _RANDOM.uniform(low, high, size=shape)


def apart(*shape: int, gap: float = 0.25) -> np.ndarray:
    """Return float64 numbers of which no two, and none and 0, are near each other."""
    count = int(np.prod(shape))
    return gap * (_RANDOM.permutation(count) - count // 2 + 0.5).reshape(shape)


def ints(*numbers: int) -> np.ndarray:
    """Return an int64 vector."""
    return np.array(numbers, np.int64)


def below(limit: int, *shape: int) -> np.ndarray:
    """Return int64 numbers from 0 up to a limit."""
    return _RANDOM.integers(0, limit, size=shape)
