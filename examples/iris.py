"""Iris: a small classifier, saved with its optimizer and trained on after loading.

python examples/iris.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split

import nngraph as keras
from nngraph import layers


def main() -> float:
    """Return the test accuracy."""
    keras.utils.set_random_seed(0)
    x, y = load_iris(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.2, random_state=0, stratify=y)

    scale = layers.Normalization()
    scale.adapt(x_train)
    model = keras.Sequential(
        [keras.Input((4,)), scale, layers.Dense(32, activation="tanh"), layers.Dense(3, activation="softmax")]
    )
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x_train, y_train, epochs=30, batch_size=16, verbose=0)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "iris.onnx"
        model.save(path)
        again = keras.load_model(path)
    again.fit(x_train, y_train, initial_epoch=30, epochs=60, batch_size=16, verbose=0)
    loss, accuracy = again.evaluate(x_test, y_test, verbose=0)
    print(f"test loss {loss:.3f}, accuracy {accuracy:.3f}")
    print("probabilities of the first flower:", np.round(again.predict(x_test[:1], verbose=0)[0], 3))
    return accuracy


if __name__ == "__main__":
    assert main() >= 0.9
