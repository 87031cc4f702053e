"""One's own training step: ``train_step`` is traced into one graph, whatever it computes.

The model learns to undo noise, with a penalty on its input gradient (a gradient inside the loss).

    python examples/custom_training.py
"""

from __future__ import annotations

import numpy as np

import nngraph as keras
from nngraph import layers, ops


class Smooth(keras.Model):
    """A regressor whose outputs change slowly with its inputs."""

    def __init__(self, penalty: float) -> None:
        super().__init__()
        self.penalty = penalty
        self.hidden = layers.Dense(32, activation="tanh")
        self.out = layers.Dense(1)
        self.steepness = keras.metrics.Mean(name="steepness")

    def call(self, x):
        return self.out(self.hidden(x))

    def train_step(self, data):
        x, y = data[0], data[1]
        slope = keras.grad(lambda inputs: ops.sum(self(inputs, training=True)))(x)
        steepness = ops.mean(ops.sum(ops.square(slope), axis=-1))
        error = ops.mean(ops.square(self(x, training=True) - y))
        grads = keras.gradients(error + self.penalty * steepness, self.trainable_variables)
        self.optimizer.apply(grads, self.trainable_variables)
        self.steepness.update_state(steepness)
        return {"error": error, "steepness": self.steepness.result()}


def main() -> tuple[float, float]:
    """Return the steepness without and with the penalty."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, (512, 1)).astype("float32")
    y = np.sign(x) + rng.normal(scale=0.3, size=x.shape).astype("float32")
    found = []
    for penalty in (0.0, 0.3):
        keras.utils.set_random_seed(0)
        model = Smooth(penalty)
        model.compile(keras.optimizers.Adam(0.01))
        history = model.fit(x, y, batch_size=64, epochs=40, verbose=0).history
        print(f"penalty {penalty}: error {history['error'][-1]:.3f}, steepness {history['steepness'][-1]:.3f}")
        found.append(history["steepness"][-1])
    return found[0], found[1]


if __name__ == "__main__":
    free, smooth = main()
    assert smooth < free
