"""Handwritten digits: a convolutional network is trained on real images, exported, and run by plain onnxruntime.

pip install "nngraph[cpu]" scikit-learn
python examples/digits.py
"""

from __future__ import annotations

import time

import numpy as np
import onnxruntime
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import nngraph as keras
from nngraph import layers


def main(path: str = "digits.onnx") -> float:
    """Train, export to ``path``, and return the test accuracy."""
    keras.utils.set_random_seed(0)
    digits = load_digits()
    x = (digits.images / 16.0).astype("float32")[..., np.newaxis]  # 1797 images of 8 x 8 pixels
    x_train, x_test, y_train, y_test = train_test_split(x, digits.target, test_size=0.2, random_state=0)

    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Dropout(0.25),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax", name="digit"),
        ]
    )
    model.summary()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    begin = time.perf_counter()
    model.fit(x_train, y_train, epochs=15, batch_size=64, verbose=2)
    print(f"trained in {time.perf_counter() - begin:.1f} s")
    _, accuracy = model.evaluate(x_test, y_test, verbose=0)
    print(f"test accuracy {accuracy:.4f}")

    model.export(path)
    session = onnxruntime.InferenceSession(path)
    (probabilities,) = session.run(None, {"image": x_test})
    difference = float(np.abs(probabilities - model.predict(x_test, verbose=0)).max())
    print(f"plain onnxruntime says the same within {difference:.1e}")
    assert difference < 1e-5
    return accuracy


if __name__ == "__main__":
    assert main() >= 0.98
