"""Writes what the trainers in this folder need: a training step, its inference model, and the digits to train on.

pip install "nngraph[cpu]" scikit-learn
python make_step.py          # writes build/step.onnx, build/step.infer.onnx and build/digits.bin
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

import nngraph as keras
from nngraph import layers


def make_model() -> keras.Model:
    """Return a small convolutional network with everything that makes training special: dropout and statistics."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.BatchNormalization(momentum=0.9),
            layers.MaxPooling2D(),
            layers.Dropout(0.2),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dropout(0.3),
            layers.Dense(10, activation="softmax", name="digit"),
        ],
        name="digits",
    )
    model.compile(keras.optimizers.Adam(0.001), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def write_digits(path: Path) -> None:
    """Write 1797 records of 64 pixels from 0 to 16 and the label, a byte each."""
    digits = load_digits()
    records = np.concatenate([digits.images.reshape(-1, 64), digits.target[:, np.newaxis]], axis=1)
    order = np.random.default_rng(0).permutation(len(records))
    records[order].astype(np.uint8).tofile(path)


def main(folder: str = str(Path(__file__).parent / "build")) -> keras.Model:
    """Write the three files to a folder and return the untrained model."""
    target = Path(folder)
    target.mkdir(exist_ok=True)
    model = make_model()
    model.export(target / "step.onnx", format="onnx_training")
    write_digits(target / "digits.bin")
    return model


if __name__ == "__main__":
    main(*sys.argv[1:])
