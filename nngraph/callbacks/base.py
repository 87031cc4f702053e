"""``Callback``: the hooks that training, evaluation and prediction call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["Callback", "Logs"]

Logs = Mapping[str, Any]


class Callback:
    """Base class of what wants to act while a model trains.

    Override the hooks you need. ``logs`` maps names of metrics to their current values; at batch hooks the values are
    computed when they are read, so a hook that reads nothing costs nothing. To stop training, a hook sets
    ``self.model.stop_training = True``.

    Attributes:
        params: what ``fit`` was asked for: "verbose", "epochs" and "steps".
        model: the model that is being trained.

    >>> class Count(Callback):
    ...     batches = 0
    ...     def on_train_batch_end(self, batch, logs=None):
    ...         self.batches += 1
    """

    def __init__(self) -> None:
        self.validation_data: Any = None

    # Class attributes serve subclasses whose __init__ does not call ours.
    params: dict[str, Any] | None = None
    _model: Any = None

    @property
    def model(self) -> Any:
        """The model that is being trained."""
        return self._model

    def set_params(self, params: dict[str, Any]) -> None:
        """Take note of what ``fit`` was asked for."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Take note of the model."""
        self._model = model

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Older name of ``on_train_batch_begin``."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Older name of ``on_train_batch_end``."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Called before an epoch; ``epoch`` counts from 0."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Called after an epoch and its validation; ``logs`` has the results, those of validation as ``val_...``."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before a training step."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after a training step."""
        self.on_batch_end(batch, logs=logs)

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before a step of ``evaluate`` or of validation."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after a step of ``evaluate`` or of validation."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before a step of ``predict``."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after a step of ``predict``; ``logs["outputs"]`` has what it returned."""

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Called when ``fit`` begins."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Called when ``fit`` ends."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Called when ``evaluate`` or validation begins."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Called when ``evaluate`` or validation ends."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Called when ``predict`` begins."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Called when ``predict`` ends."""
