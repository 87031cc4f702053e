"""The short callbacks: LambdaCallback, TerminateOnNaN, CSVLogger, RemoteMonitor."""

from __future__ import annotations

import csv
import json
import math
import os
import urllib.error
import urllib.parse
import urllib.request
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from nngraph.callbacks.base import Callback, Logs
from nngraph.errors import unknown_name

__all__ = ["CSVLogger", "LambdaCallback", "RemoteMonitor", "TerminateOnNaN"]

_HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))


class LambdaCallback(Callback):
    """Calls the functions it is given at the hooks of their names.

    Args:
        on_epoch_begin, on_epoch_end: functions ``(epoch, logs)``.
        on_train_begin, on_train_end: functions ``(logs)``.
        on_train_batch_begin, on_train_batch_end: functions ``(batch, logs)``.
        **kwargs: functions for any other hook of ``Callback``.

    Raises:
        ValueError: there is no such hook.
        TypeError: what is given is no function.

    >>> callback = LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs))
    >>> callback.on_epoch_end(0, {"loss": 1.0})
    0 {'loss': 1.0}
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        hooks = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **kwargs,
        }
        for name, function in hooks.items():
            if name not in _HOOKS:
                raise unknown_name("hook", name, _HOOKS)
            if function is None:
                continue
            if not callable(function):
                raise TypeError(f"LambdaCallback: {name} must be a function. Received: {function!r}")
            setattr(self, name, function)


class TerminateOnNaN(Callback):
    """Stops training when the loss is no longer a finite number.

    It reads the loss after each batch, which makes every step wait for its result.

    Args:
        raise_error: whether to raise RuntimeError instead of stopping quietly.
    """

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__()
        self.raise_error = raise_error

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Look at the loss."""
        loss = None if logs is None else logs.get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(f"The loss became {float(loss)} at batch {batch}; training is stopped.")
        print(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True


class CSVLogger(Callback):
    """Writes the results of each epoch as a line of a CSV file, under a header.

    A result that is missing in an epoch is written as NA; one that first appears later (validation in some epochs only)
    gets a column of its own then.

    Args:
        filename: the file; missing directories are made.
        separator: what stands between the columns.
        append: whether to go on with a file that exists, instead of replacing it.
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename = os.fspath(filename)
        self.separator = separator
        self.append = append
        self.keys: list[str] = []

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Begin the file, or read the header of the one that is to be continued."""
        path = Path(self.filename)
        if self.append and path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                self.keys = next(csv.reader(file, delimiter=self.separator), [])[1:]
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("", encoding="utf-8")
        self.keys = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write the line."""
        logs = logs or {}
        new = sorted(set(logs) - set(self.keys))
        if new:
            self._add_columns(new)
        with open(self.filename, "a", newline="", encoding="utf-8") as file:
            self._writer(file).writerow({"epoch": epoch, **{name: _cell(value) for name, value in logs.items()}})

    def _add_columns(self, names: list[str]) -> None:
        path = Path(self.filename)
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, delimiter=self.separator))
        self.keys += names
        temporary = path.with_name(path.name + ".tmp")
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = self._writer(file)
            writer.writeheader()
            writer.writerows(rows)
        os.replace(temporary, path)

    def _writer(self, file: TextIO) -> csv.DictWriter[str]:
        return csv.DictWriter(file, ["epoch", *self.keys], restval="NA", delimiter=self.separator, lineterminator="\n")


class RemoteMonitor(Callback):
    """Sends the results of each epoch to a server by HTTP POST.

    Args:
        root: the address of the server.
        path: the path that receives the results.
        field: the form field that holds them as JSON text.
        headers: further HTTP headers.
        send_as_json: whether the body is the JSON text itself, instead of a form.
    """

    def __init__(
        self,
        root: str = "http://localhost:9000",
        path: str = "/publish/epoch/end/",
        field: str = "data",
        headers: Mapping[str, str] | None = None,
        send_as_json: bool = False,
    ) -> None:
        super().__init__()
        self.root = root
        self.path = path
        self.field = field
        self.headers = dict(headers or {})
        self.send_as_json = send_as_json

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Send; a server that cannot be reached is a warning."""
        text = json.dumps({"epoch": epoch, **{name: _plain(value) for name, value in (logs or {}).items()}})
        if self.send_as_json:
            body, kind = text.encode(), "application/json"
        else:
            body, kind = urllib.parse.urlencode({self.field: text}).encode(), "application/x-www-form-urlencoded"
        request = urllib.request.Request(
            self.root + self.path, data=body, headers={"Content-Type": kind, **self.headers}, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=10):
                pass
        except (urllib.error.URLError, TimeoutError, OSError) as error:
            warnings.warn(f"RemoteMonitor could not reach {self.root + self.path}: {error}.", stacklevel=2)


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def _cell(value: Any) -> Any:
    value = _plain(value)
    return f'"[{", ".join(map(str, value))}]"' if isinstance(value, list) else value
