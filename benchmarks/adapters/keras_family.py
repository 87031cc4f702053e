"""nngraph and Keras on each of its backends: one adapter, because the API is the same.

Training runs inside ``fit`` over arrays, and is timed there: from the beginning of the first batch until the epoch's
loss is a number. So what a call of ``fit`` costs once is left out, and what it costs for each step is in.
"""

from __future__ import annotations

import gc
import importlib
import zlib
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.adapters.base import LEARNING_RATE, Adapter, read_weights
from benchmarks.clock import now
from benchmarks.workloads import Workload
from benchmarks.workloads.keras_models import MODELS

__all__ = ["KerasAdapter"]

_PACKAGES = (
    *("keras", "jax", "jaxlib", "torch", "tensorflow", "tensorflow-cpu"),
    *("onnxruntime", "onnxruntime-gpu", "onnx", "numpy"),
)


class KerasAdapter(Adapter):
    """Options: ``module`` (``"nngraph"`` or ``"keras"``), and arguments of ``compile``."""

    def __init__(self, threads: int, *, module: str = "keras", backend: str = "", **compiling: Any) -> None:
        super().__init__(threads)
        self.backend, self.compiling = backend, compiling
        _set_threads(backend, threads)
        self.keras = importlib.import_module(module)
        self.model: Any = None
        self.clock = _clock(self.keras)

    def versions(self) -> dict[str, str]:
        found = {}
        for name in _PACKAGES:
            try:
                found[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
        if self.keras.__name__ == "nngraph":
            found["nngraph"] = self.keras.__version__
        return found

    def build(self, workload: Workload, dropout: bool, weights: str | None, metrics: tuple[str, ...] = ()) -> None:
        keras = self.keras
        keras.utils.set_random_seed(0)
        self.model = MODELS[workload.name](keras, dropout)
        if weights is not None:
            for name, arrays in read_weights(weights).items():
                self.model.get_layer(name).set_weights(arrays)
        losses = keras.losses
        binary = workload.loss == "binary"
        loss = losses.BinaryCrossentropy if binary else losses.SparseCategoricalCrossentropy
        optimizer = keras.optimizers.Adam(LEARNING_RATE)
        self.model.compile(optimizer, loss(from_logits=True), metrics=list(metrics), **self.compiling)

    def write_reference(self, workload: Workload, folder: str) -> None:
        """Write ``weights.npz``, random but the same at each call, and ``model.onnx`` where the module can."""
        self.build(workload, False, None)
        arrays: dict[str, np.ndarray] = {}
        for layer in self.model.layers:
            old = [np.asarray(a) for a in layer.get_weights()]
            new = [_drawn(a, f"{layer.name}/{k}") for k, a in enumerate(old)]
            layer.set_weights(new)
            arrays.update({f"{layer.name}/{k}": a for k, a in enumerate(new)})
        np.savez(Path(folder) / "weights.npz", **arrays)
        if self.keras.__name__ == "nngraph":
            self.model.export(Path(folder) / "model.onnx", verbose=False)

    def parameters(self) -> int:
        return sum(int(np.prod(v.shape)) for v in self.model.trainable_variables)

    def set_training_data(self, x: np.ndarray, y: np.ndarray, batch: int) -> None:
        self.x, self.y, self.batch = x, y, batch

    def _fit(self, steps: int) -> None:
        rows = steps * self.batch
        x, y = self.x[:rows], self.y[:rows]
        self.model.fit(x, y, batch_size=self.batch, shuffle=False, verbose=0, callbacks=[self.clock])

    def train(self, steps: int) -> float:
        self._fit(steps)
        return self.clock.seconds

    def loss(self) -> float:
        self._fit(1)
        return self.clock.loss

    def set_inference_data(self, x: np.ndarray) -> None:
        self.x = x

    def infer(self) -> np.ndarray:
        return np.asarray(self.model.predict_on_batch(self.x))

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return what the user's ``predict`` returns."""
        return self.model.predict(x, verbose=0)

    def epoch(self, x: np.ndarray, y: np.ndarray, batch: int) -> float:
        """Return the seconds of one call of ``fit`` for one epoch with the progress bar on."""
        start = now()
        self.model.fit(x, y, batch_size=batch, epochs=1, verbose=1)
        return now() - start

    def close(self) -> None:
        self.model = None
        if self.keras.__name__ == "keras":
            self.keras.utils.clear_session()
        if self.backend == "jax":
            importlib.import_module("jax").clear_caches()
        gc.collect()


def _set_threads(backend: str, threads: int) -> None:
    if backend == "torch":
        importlib.import_module("torch").set_num_threads(threads)
    if backend == "tensorflow":
        threading = importlib.import_module("tensorflow").config.threading
        threading.set_intra_op_parallelism_threads(threads)
        threading.set_inter_op_parallelism_threads(threads)


def _clock(keras: Any) -> Any:
    class Clock(keras.callbacks.Callback):  # type: ignore[misc]
        """Seconds from the first batch until the epoch's loss is known."""

        start = seconds = loss = 0.0

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            if batch == 0:
                self.start = now()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.loss = float((logs or {})["loss"])
            self.seconds = now() - self.start

    return Clock()


def _drawn(array: np.ndarray, key: str) -> np.ndarray:
    """Return random numbers for a matrix or kernel; biases and statistics stay as the layer made them."""
    if array.ndim < 2 or np.ptp(array) == 0:
        return array
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    depthwise = array.ndim == 4 and array.shape[-1] == 1
    fan_in = array.shape[0] * array.shape[1] if depthwise else array.size // array.shape[-1]
    scale = 0.05 if key.startswith(("embedding", "positions")) else min(fan_in, 1024) ** -0.5
    return (rng.standard_normal(array.shape) * scale).astype(array.dtype)
