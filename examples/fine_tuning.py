"""Fine-tuning an .onnx file: a network that knows five digits learns the other five.

A small network is trained on the digits 0 to 4 and exported, as if somebody else had published it. Then the file alone
is loaded: its convolutions become a frozen backbone, a new head is trained on all ten digits, and the result goes out
as .onnx again.

pip install "nngraph[cpu]" scikit-learn
python examples/fine_tuning.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import nngraph as keras
from nngraph import layers


def publish(path: Path, x: np.ndarray, y: np.ndarray) -> None:
    """Train a network on the digits 0 to 4 and export it."""
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            layers.Conv2D(32, 3, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(name="features"),
            layers.Dense(5, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x[y < 5], y[y < 5], epochs=5, batch_size=32, verbose=2)
    model.export(path)


def main(folder: str | None = None) -> float:
    """Fine-tune the published file and return the accuracy on ten digits."""
    keras.utils.set_random_seed(0)
    digits = load_digits()
    x = (digits.images / 16.0).astype("float32")[..., np.newaxis]
    x_train, x_test, y_train, y_test = train_test_split(x, digits.target, test_size=0.2, random_state=0)
    with tempfile.TemporaryDirectory() as own:
        place = Path(folder or own)
        publish(place / "five.onnx", x_train, y_train)

        # From here on only the file is known. The features are what goes into its last matrix product.
        whole = keras.load_onnx(place / "five.onnx")
        whole.summary()
        last = [n for n in whole.graph() if n.op in ("MatMul", "Gemm")][-1]
        backbone = keras.load_onnx(place / "five.onnx", trainable=False, outputs=last.inputs[0].name)
        before = [w.numpy() for w in backbone.weights]

        image = keras.Input((8, 8, 1), name="image")
        hidden = layers.Dense(64, activation="relu")(backbone(image))
        model = keras.Model(image, layers.Dense(10, activation="softmax")(hidden))
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(x_train, y_train, epochs=12, batch_size=32, verbose=2)
        _, accuracy = model.evaluate(x_test, y_test, verbose=0)
        print(f"test accuracy on ten digits {accuracy:.4f}")
        assert all((a == w.numpy()).all() for a, w in zip(before, backbone.weights, strict=True))
        print(f"the {len(before)} arrays of the backbone are bit for bit what they were")

        model.export(place / "ten.onnx")
        session = onnxruntime.InferenceSession(place / "ten.onnx")
        (probabilities,) = session.run(None, {"image": x_test})
        assert np.abs(probabilities - model.predict(x_test, verbose=0)).max() < 1e-5
    return accuracy


if __name__ == "__main__":
    assert main() >= 0.95
