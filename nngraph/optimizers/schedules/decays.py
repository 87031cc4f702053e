"""The learning rate schedules, with Keras's names and formulas.

Each is a function of the step written in operations, so that it becomes part of the training step's graph.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nngraph import ops
from nngraph.optimizers.schedules.schedule import LearningRateSchedule

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
]


def _float(step: Any) -> Any:
    return ops.cast(step, "float32")


def _positive(kind: str, **values: Any) -> None:
    for name, value in values.items():
        if value is not None and value <= 0:
            raise ValueError(f"{kind}: {name} must be greater than 0, got {value!r}")


class _Schedule(LearningRateSchedule):
    """Keeps its constructor's arguments as attributes of the same names."""

    arguments: tuple[str, ...] = ()

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {name: getattr(self, name) for name in self.arguments}


class ExponentialDecay(_Schedule):
    """``initial_learning_rate * decay_rate ** (step / decay_steps)``; with ``staircase`` the exponent is rounded down.

    Example:
        >>> float(ExponentialDecay(0.1, decay_steps=10, decay_rate=0.5)(20))
        0.02500000037252903
    """

    arguments = ("initial_learning_rate", "decay_steps", "decay_rate", "staircase", "name")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        _positive(name, decay_steps=decay_steps)
        self.initial_learning_rate, self.decay_steps, self.decay_rate = initial_learning_rate, decay_steps, decay_rate
        self.staircase, self.name = staircase, name

    def __call__(self, step: Any) -> Any:
        """Return the learning rate at a step."""
        exponent = _float(step) / float(self.decay_steps)
        exponent = ops.floor(exponent) if self.staircase else exponent
        return self.initial_learning_rate * ops.power(np.float32(self.decay_rate), exponent)


class InverseTimeDecay(_Schedule):
    """``initial_learning_rate / (1 + decay_rate * step / decay_steps)``; with ``staircase`` whole periods.

    Example:
        >>> float(InverseTimeDecay(0.5, decay_steps=10, decay_rate=0.5)(20))
        0.25
    """

    arguments = ("initial_learning_rate", "decay_steps", "decay_rate", "staircase", "name")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        _positive(name, decay_steps=decay_steps)
        self.initial_learning_rate, self.decay_steps, self.decay_rate = initial_learning_rate, decay_steps, decay_rate
        self.staircase, self.name = staircase, name

    def __call__(self, step: Any) -> Any:
        """Return the learning rate at a step."""
        periods = _float(step) / float(self.decay_steps)
        periods = ops.floor(periods) if self.staircase else periods
        return self.initial_learning_rate / (1.0 + self.decay_rate * periods)


class PiecewiseConstantDecay(_Schedule):
    """``values[k]`` between ``boundaries[k - 1]`` (exclusive) and ``boundaries[k]`` (inclusive).

    Raises:
        ValueError: there is not exactly one value more than boundaries.

    Example:
        >>> [float(PiecewiseConstantDecay([2, 4], [1.0, 0.5, 0.25])(step)) for step in (0, 2, 3, 9)]
        [1.0, 1.0, 0.5, 0.25]
    """

    arguments = ("boundaries", "values", "name")

    def __init__(self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant") -> None:
        if len(boundaries) != len(values) - 1:
            raise ValueError(f"{name}: needs one value more than boundaries, got {len(values)} and {len(boundaries)}")
        self.boundaries, self.values, self.name = list(boundaries), list(values), name

    def __call__(self, step: Any) -> Any:
        """Return the learning rate at a step."""
        step = _float(step)
        rate: Any = np.float32(self.values[-1])
        for boundary, value in zip(reversed(self.boundaries), reversed(self.values[:-1]), strict=True):
            rate = ops.where(ops.less_equal(step, np.float32(boundary)), np.float32(value), rate)
        return rate


class PolynomialDecay(_Schedule):
    """``(initial - end) * (1 - step / decay_steps) ** power + end``, the end rate after ``decay_steps``.

    With ``cycle`` it begins anew there, with a period that is longer by ``decay_steps``.

    Example:
        >>> float(PolynomialDecay(1.0, decay_steps=10, end_learning_rate=0.5)(5))
        0.75
    """

    arguments = ("initial_learning_rate", "decay_steps", "end_learning_rate", "power", "cycle", "name")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        _positive(name, decay_steps=decay_steps)
        self.initial_learning_rate, self.decay_steps, self.name = initial_learning_rate, decay_steps, name
        self.end_learning_rate, self.power, self.cycle = end_learning_rate, power, cycle

    def __call__(self, step: Any) -> Any:
        """Return the learning rate at a step."""
        step, period = _float(step), np.float32(self.decay_steps)
        if self.cycle:
            multiple = ops.where(ops.equal(step, 0.0), np.float32(1.0), ops.ceil(step / period))
            period = period * multiple
        else:
            step = ops.minimum(step, period)
        remaining = 1.0 - step / period
        span = self.initial_learning_rate - self.end_learning_rate
        return span * ops.power(remaining, np.float32(self.power)) + self.end_learning_rate


class CosineDecay(_Schedule):
    """Half a cosine from the initial rate down to ``alpha`` times it, after a linear warm-up if one is asked for.

    The warm-up goes from ``initial_learning_rate`` to ``warmup_target`` in ``warmup_steps``; then the cosine begins.

    Source: Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2016.

    Example:
        >>> [round(float(CosineDecay(0.0, 10, warmup_target=1.0, warmup_steps=4)(step)), 3) for step in (2, 4, 9, 14)]
        [0.5, 1.0, 0.5, 0.0]
    """

    arguments = ("initial_learning_rate", "decay_steps", "alpha", "name", "warmup_target", "warmup_steps")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        _positive(name, decay_steps=decay_steps)
        self.initial_learning_rate, self.decay_steps, self.alpha = initial_learning_rate, decay_steps, alpha
        self.name, self.warmup_target, self.warmup_steps = name, warmup_target, warmup_steps

    def _decay(self, step: Any, initial: float) -> Any:
        done = ops.minimum(step, np.float32(self.decay_steps)) / float(self.decay_steps)
        cosine = 0.5 * (1.0 + ops.cos(np.float32(math.pi) * done))
        return initial * ((1.0 - self.alpha) * cosine + self.alpha)

    def __call__(self, step: Any) -> Any:
        """Return the learning rate at a step."""
        step = _float(step)
        if self.warmup_target is None:
            return self._decay(step, self.initial_learning_rate)
        span = self.warmup_target - self.initial_learning_rate
        warming = self.initial_learning_rate + span * (step / float(max(self.warmup_steps, 1)))
        decayed = self._decay(step - float(self.warmup_steps), self.warmup_target)
        return ops.where(ops.less(step, np.float32(self.warmup_steps)), warming, decayed)


class CosineDecayRestarts(_Schedule):
    """Cosine periods, each ``t_mul`` times as long as the last and beginning at ``m_mul`` times its rate.

    Source: Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2016.

    Example:
        >>> [round(float(CosineDecayRestarts(1.0, 10, m_mul=0.5)(step)), 3) for step in (0, 5, 10, 20)]
        [1.0, 0.5, 0.5, 0.25]
    """

    arguments = ("initial_learning_rate", "first_decay_steps", "t_mul", "m_mul", "alpha", "name")

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: int,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        _positive(name, first_decay_steps=first_decay_steps)
        self.initial_learning_rate, self.first_decay_steps = initial_learning_rate, first_decay_steps
        self.t_mul, self.m_mul, self.alpha, self.name = t_mul, m_mul, alpha, name

    def __call__(self, step: Any) -> Any:
        """Return the learning rate at a step."""
        done = _float(step) / float(self.first_decay_steps)
        if self.t_mul == 1.0:
            restart = ops.floor(done)
            fraction = done - restart
        else:
            t_mul = np.float32(self.t_mul)
            restart = ops.floor(ops.log(1.0 - done * (1.0 - t_mul)) / float(np.log(t_mul)))
            sum_before = (1.0 - ops.power(t_mul, restart)) / (1.0 - t_mul)
            fraction = (done - sum_before) / ops.power(t_mul, restart)
        height = ops.power(np.float32(self.m_mul), restart)
        cosine = 0.5 * height * (1.0 + ops.cos(np.float32(math.pi) * fraction))
        return self.initial_learning_rate * ((1.0 - self.alpha) * cosine + self.alpha)
