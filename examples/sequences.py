"""Sequences of any length: an LSTM adds numbers, self-attention finds the odd one out.

Both models keep a symbolic batch and a symbolic time axis when they are exported.

    python examples/sequences.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnxruntime

import nngraph as keras
from nngraph import layers, ops


def adding_problem(rng: np.random.Generator, count: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return sequences of (number, mark) pairs, two of them marked, and the sum of the marked numbers."""
    x = np.zeros((count, length, 2), np.float32)
    x[..., 0] = rng.uniform(size=(count, length))
    for row in x:
        row[rng.choice(length, 2, replace=False), 1] = 1.0
    return x, (x[..., 0] * x[..., 1]).sum(1, keepdims=True)


def odd_one_out(rng: np.random.Generator, count: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return sequences of one repeated symbol of 8 with a single other symbol, and that other symbol."""
    common = rng.integers(0, 8, count)
    odd = (common + rng.integers(1, 8, count)) % 8
    x = np.repeat(common[:, None], length, 1)
    x[np.arange(count), rng.integers(0, length, count)] = odd
    return x.astype(np.int32), odd


def check_export(model: keras.Model, name: str, x: np.ndarray, longer: np.ndarray) -> None:
    """Run the exported model on two batch sizes and two lengths in plain onnxruntime."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.onnx"
        model.export(path)
        session = onnxruntime.InferenceSession(str(path))
    for data in (x[:5], longer[:3]):
        (result,) = session.run(None, {session.get_inputs()[0].name: data})
        difference = float(np.abs(result - model.predict(data, verbose=0)).max())
        assert difference < 1e-5, difference
    print(f"{name}: input shape {session.get_inputs()[0].shape}, the same in plain onnxruntime")


def lstm() -> float:
    """Return the mean squared error on new sequences (guessing the mean gives 0.167)."""
    rng = np.random.default_rng(0)
    x, y = adding_problem(rng, 4000, 20)
    model = keras.Sequential([keras.Input((None, 2)), layers.LSTM(32), layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.01), "mse")
    model.fit(x, y, epochs=12, batch_size=100, verbose=2)
    check_export(model, "lstm", x, adding_problem(rng, 3, 31)[0])
    return float(model.evaluate(*adding_problem(rng, 500, 20), verbose=0))


def attention() -> float:
    """Return the accuracy on new sequences."""
    rng = np.random.default_rng(1)
    x, y = odd_one_out(rng, 4000, 12)
    tokens = keras.Input((None,), dtype="int32")
    h = layers.Embedding(8, 32)(tokens)
    h = layers.LayerNormalization()(h + layers.MultiHeadAttention(4, 8)(h, h))
    h = layers.LayerNormalization()(h + layers.Dense(32)(layers.Dense(64, activation="gelu")(h)))
    scores = layers.Dense(8)(ops.max(h, axis=1))
    model = keras.Model(tokens, scores)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.003), loss, metrics=["accuracy"])
    model.fit(x, y, epochs=8, batch_size=100, verbose=2)
    check_export(model, "attention", x, odd_one_out(rng, 3, 17)[0])
    return float(model.evaluate(*odd_one_out(rng, 500, 12), verbose=0)[1])


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    error = lstm()
    print(f"LSTM: mean squared error {error:.4f}")
    assert error < 0.02
    accuracy = attention()
    print(f"attention: accuracy {accuracy:.3f}")
    assert accuracy > 0.95
