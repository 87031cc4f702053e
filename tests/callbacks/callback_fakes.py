"""A model that only remembers what callbacks did to it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np


class FakeVariable:
    def __init__(self, value, name="variable"):
        self.value, self.name = np.asarray(value), name

    def assign(self, value):
        self.value = np.asarray(value)

    def __array__(self, dtype=None, copy=None):
        return self.value

    def __float__(self):
        return float(self.value)


class FakeOptimizer:
    use_ema = False

    def __init__(self, rate=0.1):
        self.learning_rate = FakeVariable(rate)
        self.iterations = FakeVariable(7)


class FakeModel:
    """``state`` stands for everything that training changes."""

    def __init__(self, rate=0.1):
        self.optimizer = FakeOptimizer(rate)
        self.stop_training = False
        self.metrics = []
        self.layers = []
        self.saved = []
        self.state = 0
        self._initial_epoch = self._initial_batch = None

    def get_weights(self):
        return self.state

    def set_weights(self, weights):
        self.state = weights

    def save(self, path):
        self.saved.append(Path(path).name)
        Path(path).write_text(json.dumps(self.state))

    def save_weights(self, path):
        self.saved.append("weights:" + Path(path).name)

    def _load_state(self, path):
        self.state = json.loads(Path(path).read_text())


def run(callback, results, key="val_loss", model=None, **others):
    """Train in make-believe: epoch ``i`` leaves state ``i + 1`` and has ``results[i]``; return model and logs."""
    model = model or FakeModel()
    callback.set_model(model)
    callback.set_params({"epochs": len(results), "verbose": 0, "steps": 1})
    callback.on_train_begin()
    logs = []
    for epoch, result in enumerate(results):
        callback.on_epoch_begin(epoch)
        model.state = epoch + 1
        logs.append({"loss": 1.0} if result is None else {key: result, **others})
        callback.on_epoch_end(epoch, logs[-1])
        if model.stop_training:
            break
    callback.on_train_end()
    return model, logs
