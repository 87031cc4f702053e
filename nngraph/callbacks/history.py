"""``History``: what ``fit`` returns."""

from __future__ import annotations

from typing import Any

from nngraph.callbacks.base import Callback, Logs

__all__ = ["History"]


class History(Callback):
    """Records the results of each epoch. Every ``fit`` makes one and returns it.

    Attributes:
        history: from the name of a result to the list of its values, one per epoch.
        epoch: the numbers of the epochs, from 0.
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Begin a new list of epochs; results of an earlier ``fit`` with this object stay."""
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Append the results of the epoch."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        if self.model is not None:
            self.model.history = self
