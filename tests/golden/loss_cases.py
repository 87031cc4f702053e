"""Losses on fixed data: computed by Keras once (generate.py) and by nngraph in the tests, from the same description."""

from __future__ import annotations

from typing import Any

import numpy as np

REDUCTIONS = ("sum_over_batch_size", "sum", "mean_with_sample_weight", "none")


def wave(*shape: int, step: float = 1.7, shift: float = 0.3) -> np.ndarray:
    """Numbers between -1 and 1 that look arbitrary and are the same everywhere."""
    return np.sin(np.arange(np.prod(shape)) * step + shift).reshape(shape).astype("float32")


def probabilities(*shape: int, **kwargs: float) -> np.ndarray:
    scores = np.exp(2 * wave(*shape, **kwargs))
    return (scores / scores.sum(-1, keepdims=True)).astype("float32")


def unit(x: np.ndarray) -> np.ndarray:
    return (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype("float32")


LABELS = np.array([2, 0, 1, 3, 2])
ONE_HOT = np.eye(4, dtype="float32")[LABELS]
DATA: dict[str, tuple[np.ndarray, np.ndarray]] = {
    "numbers": (wave(5, 3), 2 * wave(5, 3, step=2.1)),
    "positive": (1 + wave(5, 3), 1.1 + wave(5, 3, step=2.1)),
    "binary": ((wave(5, 3) > 0).astype("float32"), 0.5 + 0.49 * wave(5, 3, step=2.1)),
    "binary_logits": ((wave(5, 3) > 0).astype("float32"), 4 * wave(5, 3, step=2.1)),
    "signs": (np.sign(wave(5, 3)), wave(5, 3, step=2.1)),
    "one_hot": (ONE_HOT, probabilities(5, 4)),
    "one_hot_logits": (ONE_HOT, 3 * wave(5, 4)),
    "one_hot_axis_1": (np.moveaxis(np.eye(4, dtype="float32")[[[2, 0], [1, 3]]], -1, 1), 1 + wave(2, 4, 2)),
    "labels": (LABELS, probabilities(5, 4)),
    "labels_column": (LABELS[:, None], probabilities(5, 4)),
    "labels_logits": (LABELS, 3 * wave(5, 4)),
    "sequence_labels": (np.array([[2, 0, 1], [3, 3, 0]]), probabilities(2, 3, 4)),
    "embeddings": (np.array([0, 1, 0, 1, 2]), unit(wave(5, 4))),
    "column": (wave(5), wave(5, 1, step=2.1)),
    "images": ((wave(2, 3, 3, 2) > 0).astype("float32"), 0.5 + 0.49 * wave(2, 3, 3, 2, step=2.1)),
}

# (class, arguments, data)
CASES: list[tuple[str, dict[str, Any], str]] = [
    ("MeanSquaredError", {}, "numbers"),
    ("MeanSquaredError", {}, "column"),
    ("MeanSquaredError", {}, "images"),
    ("MeanAbsoluteError", {}, "numbers"),
    ("MeanAbsolutePercentageError", {}, "positive"),
    ("MeanSquaredLogarithmicError", {}, "positive"),
    ("MeanSquaredLogarithmicError", {}, "numbers"),
    ("CosineSimilarity", {}, "numbers"),
    ("CosineSimilarity", {"axis": 0}, "numbers"),
    ("Huber", {}, "numbers"),
    ("Huber", {"delta": 0.4}, "numbers"),
    ("LogCosh", {}, "numbers"),
    ("Poisson", {}, "positive"),
    ("KLDivergence", {}, "one_hot"),
    ("KLDivergence", {}, "positive"),
    ("Hinge", {}, "signs"),
    ("Hinge", {}, "binary"),
    ("SquaredHinge", {}, "signs"),
    ("SquaredHinge", {}, "binary"),
    ("CategoricalHinge", {}, "one_hot"),
    ("BinaryCrossentropy", {}, "binary"),
    ("BinaryCrossentropy", {"label_smoothing": 0.2}, "binary"),
    ("BinaryCrossentropy", {"axis": 0}, "binary"),
    ("BinaryCrossentropy", {"from_logits": True}, "binary_logits"),
    ("BinaryCrossentropy", {}, "images"),
    ("BinaryFocalCrossentropy", {}, "binary"),
    ("BinaryFocalCrossentropy", {"apply_class_balancing": True, "alpha": 0.3, "gamma": 1.5}, "binary"),
    ("BinaryFocalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "binary_logits"),
    ("CategoricalCrossentropy", {}, "one_hot"),
    ("CategoricalCrossentropy", {"label_smoothing": 0.2}, "one_hot"),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "one_hot_logits"),
    ("CategoricalCrossentropy", {"axis": 1}, "one_hot_axis_1"),
    ("CategoricalFocalCrossentropy", {}, "one_hot"),
    ("CategoricalFocalCrossentropy", {"from_logits": True, "alpha": 0.4, "gamma": 1.0}, "one_hot_logits"),
    ("CategoricalFocalCrossentropy", {"alpha": [0.1, 0.2, 0.3, 0.4], "label_smoothing": 0.1}, "one_hot"),
    ("CategoricalGeneralizedCrossEntropy", {}, "labels"),
    ("CategoricalGeneralizedCrossEntropy", {"q": 0.3}, "labels"),
    ("SparseCategoricalCrossentropy", {}, "labels"),
    ("SparseCategoricalCrossentropy", {}, "labels_column"),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, "labels_logits"),
    ("SparseCategoricalCrossentropy", {"ignore_class": 2}, "labels"),
    ("SparseCategoricalCrossentropy", {"ignore_class": 0, "from_logits": True}, "labels_logits"),
    ("SparseCategoricalCrossentropy", {}, "sequence_labels"),
    ("SparseCategoricalCrossentropy", {"ignore_class": 3}, "sequence_labels"),
    ("Dice", {}, "binary"),
    ("Dice", {"axis": [1, 2, 3]}, "images"),
    ("Dice", {"axis": -1}, "binary"),
    ("Tversky", {}, "binary"),
    ("Tversky", {"alpha": 0.3, "beta": 0.8, "axis": [1, 2]}, "images"),
    ("Circle", {}, "embeddings"),
    ("Circle", {"gamma": 10.0, "margin": 0.25, "remove_diagonal": False}, "embeddings"),
]


def key(name: str, kwargs: dict[str, Any], data: str) -> str:
    return f"{name}({', '.join(f'{k}={v}' for k, v in kwargs.items())}) on {data}"


def weights_for(values: np.ndarray) -> list[np.ndarray | None]:
    """No weights; one for each entry of the first axis, one of them zero; and one for each value."""
    if values.ndim == 0:
        return [None, np.array(0.5, "float32")]
    vector = np.array([0.5, 0.0, 2.0, 1.0, 1.5], "float32")[: values.shape[0]]
    rows = vector.reshape(vector.shape + (1,) * (values.ndim - 1))
    return [None, rows] if values.ndim == 1 else [None, rows, 1 + wave(*values.shape)]


def compute(module: Any, name: str, kwargs: dict[str, Any], data: str) -> list[Any]:
    """Return the loss for each reduction and weight, computed by `module`: the losses of Keras or ours."""
    y_true, y_pred = DATA[data]
    values = np.asarray(getattr(module, name)(reduction="none", **kwargs)(y_true, y_pred))
    results = [values.tolist()]
    for reduction in REDUCTIONS:
        loss = getattr(module, name)(reduction=reduction, **kwargs)
        for weight in weights_for(values):
            results.append(np.asarray(loss(y_true, y_pred, sample_weight=weight), "float64").tolist())
    return results
