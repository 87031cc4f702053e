"""``ProgbarLogger``: the progress bar of ``fit``, ``evaluate`` and ``predict``."""

from __future__ import annotations

from typing import Any

from nngraph.callbacks.base import Callback, Logs
from nngraph.utils.progbar import Progbar

__all__ = ["ProgbarLogger"]


class ProgbarLogger(Callback):
    """Shows progress on standard output, as ``verbose`` asks: 0 nothing, 1 a bar, 2 one line per epoch.

    ``logs`` is read only when something is drawn, about 20 times a second at most.
    """

    def __init__(self) -> None:
        super().__init__()
        self.verbose = 1
        self.epochs = 1
        self.target: int | None = None
        self._in_fit = False
        self._seen = 0
        self._bar: Progbar | None = None

    def set_params(self, params: dict[str, Any]) -> None:
        """Take over verbose, epochs and steps."""
        super().set_params(params)
        verbose = params.get("verbose", 1)
        self.verbose = 1 if verbose == "auto" else int(verbose)
        self.epochs = params.get("epochs", 1)
        self.target = params.get("steps")

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Remember that validation inside ``fit`` has no bar of its own."""
        self._in_fit = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Forget it again."""
        self._in_fit = False

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Write which epoch begins."""
        self._begin()
        if self.verbose and self.epochs > 1:
            print(f"Epoch {epoch + 1}/{self.epochs}")

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Move the bar."""
        self._move(batch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write the results of the epoch."""
        self._finish(logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Begin a bar, unless this is validation inside ``fit``."""
        if not self._in_fit:
            self._begin()

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Move the bar, unless this is validation inside ``fit``."""
        if not self._in_fit:
            self._move(batch, logs)

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Write the results, unless this is validation inside ``fit``."""
        if not self._in_fit:
            self._finish(logs)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Begin a bar."""
        self._begin()

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Move the bar; the outputs are not shown."""
        self._move(batch, None)

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Write that all is done."""
        self._finish(None)

    def _begin(self) -> None:
        self._seen = 0
        self._bar = Progbar(self.target, verbose=self.verbose) if self.verbose else None

    def _move(self, batch: int, logs: Logs | None) -> None:
        if self._bar is None:
            return
        self._seen = batch + 1
        self._bar.update(self._seen, logs, finalize=False)

    def _finish(self, logs: Any) -> None:
        if self._bar is None:
            return
        if self.target is None or self._seen < self.target:
            # Unknown until now, or the data ended early.
            self._bar.target = self._seen
        self._bar.update(self._seen, logs, finalize=True)
        self._bar = None
