"""``ModelCheckpoint``: save the model, or its weights, as training goes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from nngraph.callbacks.base import Logs
from nngraph.callbacks.monitor import MonitorCallback

__all__ = ["ModelCheckpoint", "check_save_freq"]


class ModelCheckpoint(MonitorCallback):
    """Saves the model after every epoch, after so many batches, or only when a result has improved.

    Args:
        filepath: where to; it may hold ``{epoch}`` (counted from 1), ``{batch}`` and names of results, such as
            ``"m-{epoch:02d}-{val_loss:.2f}.onnx"``. Missing directories are made.
        monitor: the result that decides which model is best.
        verbose: 1 to write what is done.
        save_best_only: whether to save only when ``monitor`` has improved.
        save_weights_only: whether to call ``model.save_weights`` instead of ``model.save``.
        mode: "min" or "max", whichever is better, or "auto" to tell it by the result.
        save_freq: "epoch", or a number of batches.
        initial_value_threshold: a value that must be beaten before anything is saved.

    Raises:
        ValueError: ``save_freq`` or ``mode`` is unknown, or ``filepath`` has another ending than ".onnx" (".npz" for
            weights).
        KeyError: ``filepath`` names a result that does not exist.

    >>> ModelCheckpoint("best.onnx", save_best_only=True).monitor
    'val_loss'
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode, best=initial_value_threshold)
        self.filepath = os.fspath(filepath)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = check_save_freq("ModelCheckpoint", save_freq)
        ending = ".npz" if save_weights_only else ".onnx"
        if not self.filepath.endswith(ending):
            what = "weights" if save_weights_only else "models"
            raise ValueError(
                f"ModelCheckpoint: {what} are saved as {ending} files; "
                f"got {self.filepath!r}, write {str(Path(self.filepath).with_suffix(ending))!r}."
            )
        self._epoch = 0
        self._batches_since_save = 0
        if self.save_freq != "epoch":
            # Only an object that wants batches defines the hook, so that others cost nothing per step.
            self.on_train_batch_end = self._after_batch  # type: ignore[method-assign]

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Take note of the epoch."""
        self._epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Save, when ``save_freq`` is "epoch"."""
        if self.save_freq == "epoch":
            self._save(epoch, None, logs)

    def _after_batch(self, batch: int, logs: Logs | None = None) -> None:
        self._batches_since_save += 1
        if self._batches_since_save >= int(self.save_freq):
            self._batches_since_save = 0
            self._save(self._epoch, batch, logs)

    def _save(self, epoch: int, batch: int | None, logs: Any) -> None:
        logs = dict(logs or {})
        path = self._path(epoch, batch, logs)
        reason = ""
        if self.save_best_only:
            # A missing result warns, and the model is saved rather than lost.
            current = self.get_monitor_value(logs)
            if current is not None and not self._is_improvement(current, self.best):
                self._say(epoch, f"{self.monitor} did not improve from {_number(self.best)}")
                return
            if current is not None:
                reason = f"{self.monitor} improved from {_number(self.best)} to {_number(current)}, "
                self.best = current
        self._say(epoch, f"{reason}saving model to {path}")
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)

    def _path(self, epoch: int, batch: int | None, logs: dict[str, Any]) -> str:
        fields = {**logs, "epoch": epoch + 1}
        if batch is not None:
            fields["batch"] = batch + 1
        try:
            return self.filepath.format(**fields)
        except (KeyError, IndexError) as error:
            known = ", ".join(sorted(fields))
            raise KeyError(
                f"ModelCheckpoint: {self.filepath!r} has a field {error} of no result; known are {known}."
            ) from None

    def _say(self, epoch: int, text: str) -> None:
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: {text}")


def check_save_freq(who: str, save_freq: Any) -> str | int:
    """Return ``save_freq`` if it is "epoch" or a positive integer; ``who`` is named in the error.

    >>> check_save_freq("ModelCheckpoint", 100)
    100
    """
    is_count = isinstance(save_freq, int) and not isinstance(save_freq, bool) and save_freq > 0
    if save_freq != "epoch" and not is_count:
        raise ValueError(f"{who}: save_freq must be 'epoch' or a number of batches. Received: {save_freq!r}")
    return save_freq


def _number(value: float | None) -> str:
    return "None" if value is None else f"{value:.5f}"
