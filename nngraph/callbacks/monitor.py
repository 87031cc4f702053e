"""What callbacks that watch one result share: which way is better, and by how much."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator
from typing import Any

from nngraph.callbacks.base import Callback

__all__ = ["MonitorCallback", "direction_of"]

# Words in metric names, for metrics that do not say themselves which way is better.
_UP = frozenset(
    [
        "acc",
        "accuracy",
        "auc",
        "precision",
        "recall",
        "f1",
        "fbeta",
        "iou",
        "miou",
        "r2",
        "sensitivity",
        "specificity",
        "dice",
    ]
)
_DOWN = frozenset(
    ["loss", "error", "mse", "mae", "mape", "msle", "rmse", "crossentropy", "hinge", "divergence", "poisson", "logcosh"]
)


def direction_of(monitor: str, model: Any) -> str | None:
    """Return "min" or "max", whichever is better for the result called ``monitor``; None when nobody knows.

    A metric of the model that has an attribute ``_direction`` ("up" or "down") decides; else its name does.

    >>> direction_of("val_loss", None), direction_of("val_accuracy", None), direction_of("speed", None)
    ('min', 'max', None)
    """
    name = monitor.removeprefix("val_")
    if name == "loss":
        return "min"
    for metric in _all_metrics(model):
        # With several outputs the result is called after the output and the metric.
        if name == metric.name or name.endswith(f"_{metric.name}"):
            direction = getattr(metric, "_direction", None)
            if direction is not None:
                return "max" if direction == "up" else "min"
    words = set(re.split(r"\W|_", name.lower()))
    if words & _DOWN:
        return "min"
    return "max" if words & _UP else None


def _all_metrics(model: Any) -> Iterator[Any]:
    for metric in getattr(model, "metrics", None) or ():
        yield metric
        # The metrics given to compile() may stand inside one container.
        nested = getattr(metric, "metrics", None)
        if isinstance(nested, (list, tuple)):
            yield from nested


class MonitorCallback(Callback):
    """Base of callbacks that wait for one result to improve.

    Args:
        monitor: the name of the result, such as "val_loss".
        mode: "min" or "max", whichever is better, or "auto" to tell it by the result.
        best: the value to beat, or None.
        min_delta: changes smaller than this do not count.

    Raises:
        ValueError: ``mode`` is unknown.
    """

    def __init__(
        self, monitor: str = "val_loss", mode: str = "auto", best: float | None = None, min_delta: float = 0.0
    ) -> None:
        super().__init__()
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"{type(self).__name__}: mode must be 'auto', 'min' or 'max'. Received: {mode!r}")
        self.monitor = monitor
        self.mode = mode
        self.best = best
        self.min_delta = abs(min_delta)
        self._direction: str | None = None if mode == "auto" else mode

    def get_monitor_value(self, logs: Any) -> Any:
        """Return the watched result, or None with a warning when ``logs`` does not have it."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            available = ", ".join(logs or {})
            warnings.warn(
                f"{type(self).__name__} watches {self.monitor!r}, which is not among the results: {available}."
                + (" Give fit validation data." if self.monitor.startswith("val_") else ""),
                stacklevel=3,
            )
        return value

    def _is_improvement(self, value: float, reference: float | None) -> bool:
        """Return whether ``value`` is better than ``reference`` by more than ``min_delta``; None is beaten by all."""
        if reference is None:
            return not math.isnan(value)
        if self._better_is() == "max":
            return bool(value - self.min_delta > reference)
        return bool(value + self.min_delta < reference)

    def _better_is(self) -> str:
        if self._direction is None:
            self._direction = direction_of(self.monitor, self.model)
        if self._direction is None:
            raise ValueError(
                f"{type(self).__name__} cannot tell whether {self.monitor!r} should become large or small. "
                "Pass mode='max' or mode='min'."
            )
        return self._direction
