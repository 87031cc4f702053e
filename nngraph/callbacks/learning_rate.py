"""Callbacks that change the learning rate."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from nngraph.callbacks.base import Callback, Logs
from nngraph.callbacks.monitor import MonitorCallback

__all__ = ["LearningRateScheduler", "ReduceLROnPlateau"]


class LearningRateScheduler(Callback):
    """Sets the learning rate before each epoch.

    Args:
        schedule: a function ``(epoch, learning_rate) -> learning_rate`` or ``(epoch) -> learning_rate``; epochs count
            from 0.
        verbose: 1 to write what is set.

    Raises:
        ValueError: the optimizer has a schedule of its own, or ``schedule`` returned no number.

    >>> LearningRateScheduler(lambda epoch, rate: rate * 0.5).verbose
    0
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        if not callable(schedule):
            raise TypeError(f"LearningRateScheduler: schedule must be a function. Received: {schedule!r}")
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Ask the schedule and set its answer."""
        old = _learning_rate(self)
        new = self.schedule(epoch, old) if _takes_two(self.schedule) else self.schedule(epoch)
        if isinstance(new, bool) or np.ndim(new) != 0 or np.asarray(new).dtype.kind not in "fiu":
            raise ValueError(
                f"LearningRateScheduler: schedule must return a number. It returned {new!r} for epoch {epoch}."
            )
        self.model.optimizer.learning_rate.assign(float(new))
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {new}.")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Add the learning rate to the results."""
        if logs is not None:
            logs["learning_rate"] = _learning_rate(self)


class ReduceLROnPlateau(MonitorCallback):
    """Multiplies the learning rate by ``factor`` when ``monitor`` has not improved for ``patience`` epochs.

    Args:
        monitor: the name of the result to watch.
        factor: a number below 1.
        patience: the number of epochs without improvement.
        verbose: 1 to write when that happens.
        mode: "min" or "max", whichever is better, or "auto" to tell it by the result.
        min_delta: changes smaller than this are no improvement.
        cooldown: epochs to wait after a reduction before counting again.
        min_lr: the smallest learning rate.

    Raises:
        ValueError: ``factor`` is not below 1, or the optimizer has a schedule of its own.
        TypeError: there is no such argument.

    >>> ReduceLROnPlateau(factor=0.2, patience=5).in_cooldown()
    False
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        **kwargs: Any,
    ) -> None:
        # Old code calls min_delta epsilon.
        min_delta = kwargs.pop("epsilon", min_delta)
        if kwargs:
            raise TypeError(f"ReduceLROnPlateau has no argument {next(iter(kwargs))!r}.")
        super().__init__(monitor, mode, min_delta=min_delta)
        if factor >= 1.0:
            raise ValueError(f"ReduceLROnPlateau: factor must be below 1, else nothing is reduced. Received: {factor}")
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.min_lr = min_lr
        self.cooldown_counter = 0
        self.wait = 0

    def in_cooldown(self) -> bool:
        """Return whether a reduction is so recent that nothing is counted."""
        return self.cooldown_counter > 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Begin anew."""
        self.cooldown_counter = 0
        self.wait = 0
        self.best = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Add the learning rate to the results, compare, and perhaps reduce."""
        rate = _learning_rate(self)
        if logs is not None:
            logs["learning_rate"] = rate
        current = self.get_monitor_value(logs)
        if current is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self._is_improvement(current, self.best):
            self.best = current
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch, rate)

    def _reduce(self, epoch: int, rate: float) -> None:
        # The rate may have gone through float32, so its floor must do so, too.
        if rate <= np.float32(self.min_lr):
            return
        reduced = max(rate * self.factor, self.min_lr)
        self.model.optimizer.learning_rate.assign(reduced)
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {reduced}.")
        self.cooldown_counter = self.cooldown
        self.wait = 0


def _learning_rate(callback: Callback) -> float:
    """Return the learning rate, after making sure that it can be set."""
    rate = callback.model.optimizer.learning_rate
    own = getattr(callback.model.optimizer, "_learning_rate", rate)
    schedule = getattr(callback.model.optimizer, "_schedule", None)
    for candidate in (rate, own):
        if not hasattr(candidate, "assign"):
            kind = type(candidate if schedule is None else schedule).__name__
            raise ValueError(
                f"{type(callback).__name__} sets the learning rate, but that of the optimizer is given by {kind}. "
                "Compile with a number as the learning rate, or leave the callback out."
            )
    return float(rate)


def _takes_two(schedule: Callable[..., float]) -> bool:
    try:
        parameters = inspect.signature(schedule).parameters.values()
    except (TypeError, ValueError):
        return True
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in parameters):
        return True
    return sum(parameter.kind in positional for parameter in parameters) >= 2
