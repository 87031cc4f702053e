"""``TensorBoard``: write event files that TensorBoard shows."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nngraph.callbacks.base import Callback, Logs
from nngraph.errors import missing_extra

__all__ = ["TensorBoard"]


class TensorBoard(Callback):
    """Writes results, weights and the graph of the model as event files, through the package tensorboardX.

    Install it with ``pip install "nngraph[tensorboard]"``; look at the files with ``tensorboard --logdir logs``.

    Args:
        log_dir: the directory of the event files; training and validation get one below it each.
        histogram_freq: write histograms of the weights every so many epochs; 0 for never.
        write_graph: whether to write the graph of the model.
        write_images: whether to write each weight as an image, too, when histograms are written.
        write_steps_per_second: whether to write the speed of training.
        update_freq: "epoch", or "batch", or a number of batches after which the results so far are written.
        profile_batch: only 0; nngraph has a profiler of its own.
        embeddings_freq: write the weights of Embedding layers for the projector every so many epochs; 0 for never.
        embeddings_metadata: a file with a label per row, or a dict from layer name to such a file.

    Raises:
        ImportError: tensorboardX is not installed.
        ValueError: ``update_freq`` or ``profile_batch`` is not supported.

    >>> TensorBoard("logs", update_freq=100).update_freq
    100
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: Any = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
    ) -> None:
        super().__init__()
        if update_freq not in ("epoch", "batch") and not (isinstance(update_freq, int) and update_freq > 0):
            raise ValueError(
                f"TensorBoard: update_freq must be 'epoch', 'batch' or a number of batches. Received: {update_freq!r}"
            )
        if profile_batch not in (0, False, None):
            raise ValueError(f"TensorBoard: profile_batch is not supported. Received: {profile_batch!r}; leave it 0.")
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq = histogram_freq
        self.write_graph = write_graph
        self.write_images = write_images
        self.write_steps_per_second = write_steps_per_second
        self.update_freq: str | int = 1 if update_freq == "batch" else update_freq
        self.embeddings_freq = embeddings_freq
        self.embeddings_metadata = embeddings_metadata
        self._writers: dict[str, Any] = {}
        self._in_fit = False
        self._train_step = 0
        self._epoch_start = (0.0, 0)
        if self.update_freq != "epoch":
            self.on_train_batch_end = self._after_batch  # type: ignore[method-assign]
        elif write_steps_per_second:
            self.on_train_batch_end = self._count_batch  # type: ignore[method-assign]

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Write the graph."""
        self._in_fit = True
        writer = self._writer("train")
        if self.write_graph:
            _write_graph(writer, self.model)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Start the clock."""
        self._epoch_start = (time.perf_counter(), self._train_step)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write the results, and weights where they are due."""
        results = dict(logs or {})
        if self.write_steps_per_second:
            begun, first = self._epoch_start
            seconds = max(time.perf_counter() - begun, 1e-9)
            self._writer("train").add_scalar("epoch_steps_per_second", (self._train_step - first) / seconds, epoch)
        for name, value in results.items():
            kind = "validation" if name.startswith("val_") else "train"
            self._writer(kind).add_scalar(f"epoch_{name.removeprefix('val_')}", float(value), epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._write_weights(epoch)
        if self.embeddings_freq and epoch % self.embeddings_freq == 0:
            self._write_embeddings(epoch)
        for writer in self._writers.values():
            writer.flush()

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Write the results of the evaluation against the training steps so far."""
        for name, value in (logs or {}).items():
            tag = f"evaluation_{name}_vs_iterations"
            self._writer("validation").add_scalar(tag, float(value), self._iterations())
        if not self._in_fit:
            self._close()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Close the files."""
        self._in_fit = False
        self._close()

    def _close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def _after_batch(self, batch: int, logs: Logs | None = None) -> None:
        self._train_step += 1
        if self._train_step % int(self.update_freq):
            return
        for name, value in (logs or {}).items():
            self._writer("train").add_scalar(f"batch_{name}", float(value), self._train_step)

    def _count_batch(self, batch: int, logs: Logs | None = None) -> None:
        self._train_step += 1

    def _iterations(self) -> int:
        iterations = getattr(getattr(self.model, "optimizer", None), "iterations", None)
        return self._train_step if iterations is None else int(np.asarray(iterations))

    def _writer(self, kind: str) -> Any:
        if kind not in self._writers:
            try:
                from tensorboardX import SummaryWriter
            except ModuleNotFoundError:
                raise missing_extra("tensorboardX", "tensorboard", purpose="The callback TensorBoard") from None
            self._writers[kind] = SummaryWriter(str(Path(self.log_dir) / kind))
        return self._writers[kind]

    def _write_weights(self, epoch: int) -> None:
        writer = self._writer("train")
        for layer, weight in _weights(self.model):
            values = np.array(weight)
            tag = f"{layer.name}/{weight.name}"
            writer.add_histogram(f"{tag}/histogram", values, epoch)
            image = _as_image(values) if self.write_images else None
            if image is not None:
                writer.add_image(f"{tag}/image", image, epoch, dataformats="HWC")

    def _write_embeddings(self, epoch: int) -> None:
        writer = self._writer("train")
        for layer in self.model.layers:
            table = getattr(layer, "embeddings", None)
            if table is None:
                continue
            source = self.embeddings_metadata
            path = source.get(layer.name) if isinstance(source, dict) else source
            labels = None if path is None else Path(path).read_text(encoding="utf-8").splitlines()
            writer.add_embedding(np.array(table), metadata=labels, global_step=epoch, tag=layer.name)


def _weights(model: Any) -> Iterator[tuple[Any, Any]]:
    for layer in model.layers:
        for weight in layer.weights:
            yield layer, weight


def _as_image(values: np.ndarray) -> np.ndarray | None:
    """Return a weight as a grey image of shape (height, width, 1) in 0..1, or None when it has no such shape."""
    squeezed = np.squeeze(values)
    if squeezed.ndim == 1:
        squeezed = squeezed[None, :]
    if squeezed.ndim != 2:
        return None
    low, high = squeezed.min(), squeezed.max()
    return ((squeezed - low) / (high - low if high > low else 1.0))[:, :, None].astype(np.float32)


def _write_graph(writer: Any, model: Any) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = str(Path(directory) / "model.onnx")
        # The export says what it wrote, and tensorboardX the name of every node.
        with contextlib.redirect_stdout(io.StringIO()):
            model.export(path, format="onnx")
            writer.add_onnx_graph(path)
