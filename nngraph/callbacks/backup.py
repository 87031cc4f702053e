"""``BackupAndRestore``: go on after an interruption as if there had been none."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from nngraph.callbacks.base import Callback, Logs
from nngraph.callbacks.model_checkpoint import check_save_freq

__all__ = ["BackupAndRestore"]

_STATE = "training.json"


class BackupAndRestore(Callback):
    """Saves the whole state of training, and takes it up again when ``fit`` is called anew, in a new process, say.

    Weights, optimizer state, random counters and the position in the data come back, so that the resumed training gives
    the same numbers as an uninterrupted one. A backup is complete or absent, whenever the process dies: the model is
    written to a new file, and then the small file that names it is replaced in one step.

    Args:
        backup_dir: a directory for the backup of this one training; missing directories are made.
        save_freq: "epoch", or a number of batches.
        double_checkpoint: whether to keep the backup before the last one, too, and fall back on it when the last one
            cannot be read.
        delete_checkpoint: whether to delete the backup when training has ended.

    Raises:
        ValueError: ``save_freq`` is unknown, or ``backup_dir`` is empty.

    >>> BackupAndRestore("/tmp/backup", save_freq=100).save_freq
    100
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        super().__init__()
        if not os.fspath(backup_dir):
            raise ValueError("BackupAndRestore: backup_dir is empty. Give a directory for the backup.")
        self.backup_dir = Path(backup_dir)
        self.save_freq = check_save_freq("BackupAndRestore", save_freq)
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self._epoch = 0
        self._batches_since_save = 0
        self._is_due = False
        if self.save_freq != "epoch":
            # Only an object that wants batches defines the hook, so that others cost nothing per step.
            self.on_train_batch_end = self._after_batch  # type: ignore[method-assign]

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Restore the newest backup that can be read, if there is one, and tell ``fit`` where to go on."""
        errors = []
        for backup in self._backups():
            try:
                self.model._load_state(str(self.backup_dir / backup["file"]))
            except (OSError, ValueError) as error:
                errors.append(f"{backup['file']}: {error}")
                continue
            self.model._initial_epoch = backup["epoch"]
            self.model._initial_batch = backup["batch"]
            return
        if errors:
            raise ValueError(
                f"BackupAndRestore cannot restore the backup in {self.backup_dir}: {'; '.join(errors)}. "
                "Delete that directory to begin anew."
            )

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Take note of the epoch."""
        self._epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Back up: the next thing to do is the epoch that follows."""
        if self.save_freq == "epoch" or self._is_due:
            self._is_due = False
            self._save(epoch + 1, 0)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Delete the backup of a training that has come to its end."""
        if not self.delete_checkpoint:
            return
        for backup in self._backups():
            (self.backup_dir / backup["file"]).unlink(missing_ok=True)
        (self.backup_dir / _STATE).unlink(missing_ok=True)
        if self.backup_dir.is_dir() and not any(self.backup_dir.iterdir()):
            self.backup_dir.rmdir()

    def _after_batch(self, batch: int, logs: Logs | None = None) -> None:
        self._batches_since_save += 1
        if self._batches_since_save >= int(self.save_freq):
            self._batches_since_save = 0
            if batch + 1 == (self.params or {}).get("steps"):
                # Nothing of the epoch would be left to train; wait for its results.
                self._is_due = True
            else:
                self._save(self._epoch, batch + 1)

    def _save(self, epoch: int, batch: int) -> None:
        self.backup_dir.mkdir(parents=True, exist_ok=True)
        old = self._backups()
        name = f"epoch{epoch}-batch{batch}.onnx"
        self.model.save(str(self.backup_dir / name))
        kept = [backup for backup in old if backup["file"] != name][: 1 if self.double_checkpoint else 0]
        self._write_state([{"file": name, "epoch": epoch, "batch": batch}, *kept])
        named = {name, *(backup["file"] for backup in kept)}
        for backup in old:
            if backup["file"] not in named:
                (self.backup_dir / backup["file"]).unlink(missing_ok=True)

    def _write_state(self, backups: list[dict[str, Any]]) -> None:
        temporary = self.backup_dir / (_STATE + ".tmp")
        with temporary.open("w", encoding="utf-8") as file:
            json.dump({"backups": backups}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.backup_dir / _STATE)

    def _backups(self) -> list[dict[str, Any]]:
        """Return the backups that the small file names, the newest first."""
        path = self.backup_dir / _STATE
        if not path.exists():
            return []
        try:
            backups = json.loads(path.read_text(encoding="utf-8"))["backups"]
            return [
                {"file": Path(backup["file"]).name, "epoch": int(backup["epoch"]), "batch": int(backup["batch"])}
                for backup in backups
            ]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path} is not a backup written by BackupAndRestore ({error!r}). Delete it to begin anew."
            ) from None
