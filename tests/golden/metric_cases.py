"""Metrics on fixed data: computed by Keras once (generate.py) and by nngraph in the tests, from one description."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.loss_cases import DATA as LOSS_DATA
from golden.loss_cases import key, probabilities, unit, wave

__all__ = ["CASES", "DATA", "Batch", "batches", "compute", "key"]

BINARY = (wave(6, 3, shift=0.9) > 0).astype("float32")
SCORES = (0.5 + 0.45 * wave(6, 3, step=2.1)).astype("float32")
LABELS = np.array([2, 0, 1, 3, 2, 1])
CLASSES = probabilities(6, 4)

Batch = tuple[np.ndarray, np.ndarray]
DATA: dict[str, Batch] = {
    **LOSS_DATA,
    "integers": (np.array([1, 2, 3, 4, 0]), np.array([1, 2, 0, 4, 1])),
    "integers_column": (np.array([[1], [2], [3]]), np.array([1, 2, 0])),
    "scores": (BINARY, SCORES),
    "vector": (BINARY[:, 0], SCORES[:, 0]),
    "column_scores": (BINARY[:, :1], SCORES[:, 0]),
    "logits": (BINARY[:, 1], 4 * SCORES[:, 1] - 2),
    "grid": (np.array([0.0, 1, 1, 0, 1, 0]), np.array([0.0, 0.25, 0.5, 0.5, 1.0, 0.75], "float32")),
    "soft": (0.5 + 0.5 * wave(6, shift=0.9), SCORES[:, 2]),
    "one_hot_scores": (np.eye(4, dtype="float32")[LABELS], CLASSES),
    "labels_scores": (LABELS, CLASSES),
    "sequences": (np.array([[2, 0, 1], [3, 3, 0]]), probabilities(2, 3, 4)),
    "sorted_ids": (np.array([2, 0, 1]), np.array([[2, 1, 0], [1, 0, 2], [0, 2, 1]])),
    "pairs": (np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 0, 1, 2, 0])),
    "maps": (np.array([[0, 1, 2], [2, 2, 1]]), np.array([[0, 1, 1], [2, 0, 1]])),
    "map_scores": (np.eye(3, dtype="float32")[[[0, 1, 2], [2, 2, 1]]], probabilities(2, 3, 3)),
    "map_label_scores": (np.array([[0, 1, 2], [2, 2, 1]]), probabilities(2, 3, 3)),
    "vectors": (unit(wave(5, 4)), wave(5, 4, step=2.1)),
}

# (class, arguments, data)
CASES: list[tuple[str, dict[str, Any], str]] = [
    ("MeanSquaredError", {}, "numbers"),
    ("MeanSquaredError", {}, "column"),
    ("RootMeanSquaredError", {}, "numbers"),
    ("RootMeanSquaredError", {}, "column"),
    ("MeanAbsoluteError", {}, "numbers"),
    ("MeanAbsolutePercentageError", {}, "positive"),
    ("MeanSquaredLogarithmicError", {}, "positive"),
    ("CosineSimilarity", {}, "numbers"),
    ("CosineSimilarity", {"axis": 0}, "numbers"),
    ("LogCoshError", {}, "numbers"),
    ("R2Score", {}, "numbers"),
    ("R2Score", {"class_aggregation": "variance_weighted_average"}, "numbers"),
    ("R2Score", {"class_aggregation": None}, "numbers"),
    ("R2Score", {"num_regressors": 1}, "numbers"),
    ("PearsonCorrelation", {}, "vectors"),
    ("PearsonCorrelation", {"axis": 0}, "vectors"),
    ("ConcordanceCorrelation", {}, "vectors"),
    ("ConcordanceCorrelation", {"axis": 0}, "vectors"),
    ("Poisson", {}, "positive"),
    ("KLDivergence", {}, "one_hot"),
    ("Hinge", {}, "signs"),
    ("SquaredHinge", {}, "binary"),
    ("CategoricalHinge", {}, "one_hot"),
    ("BinaryCrossentropy", {}, "binary"),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "binary_logits"),
    ("CategoricalCrossentropy", {}, "one_hot"),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "one_hot_logits"),
    ("CategoricalCrossentropy", {"axis": 1}, "one_hot_axis_1"),
    ("SparseCategoricalCrossentropy", {}, "labels"),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, "labels_logits"),
    ("SparseCategoricalCrossentropy", {"ignore_class": 2}, "labels"),
    ("Accuracy", {}, "integers"),
    ("Accuracy", {}, "integers_column"),
    ("BinaryAccuracy", {}, "scores"),
    ("BinaryAccuracy", {"threshold": 0.7}, "vector"),
    ("BinaryAccuracy", {}, "column_scores"),
    ("CategoricalAccuracy", {}, "one_hot_scores"),
    ("SparseCategoricalAccuracy", {}, "labels_scores"),
    ("SparseCategoricalAccuracy", {}, "labels_column"),
    ("SparseCategoricalAccuracy", {}, "sequences"),
    ("TopKCategoricalAccuracy", {}, "one_hot_scores"),
    ("TopKCategoricalAccuracy", {"k": 2}, "one_hot_scores"),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, "labels_scores"),
    ("SparseTopKCategoricalAccuracy", {"k": 3}, "sequences"),
    ("SparseTopKCategoricalAccuracy", {"k": 2, "from_sorted_ids": True}, "sorted_ids"),
    *((name, {}, "scores") for name in ("TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives")),
    *(
        (name, {"thresholds": [0.2, 0.7]}, "vector")
        for name in ("TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives")
    ),
    ("FalsePositives", {"thresholds": [0.0, 0.25, 0.5, 0.75, 1.0]}, "grid"),
    ("TrueNegatives", {"thresholds": [0.0, 0.25, 0.5, 0.75, 1.0]}, "grid"),
    ("FalseNegatives", {"thresholds": [0.0, 0.3, 0.5, 0.75, 1.0]}, "grid"),
    *(
        (name, arguments, "scores")
        for name in ("Precision", "Recall")
        for arguments in (
            {},
            {"thresholds": 0.3},
            {"thresholds": [0.3, 0.6]},
            {"top_k": 2},
            {"class_id": 1},
            {"class_id": 2, "top_k": 1},
            {"class_id": 0, "thresholds": [0.4]},
            {"top_k": 1, "thresholds": 0.8},
        )
    ),
    ("SensitivityAtSpecificity", {"specificity": 0.5}, "vector"),
    ("SensitivityAtSpecificity", {"specificity": 0.9, "num_thresholds": 1}, "scores"),
    ("SpecificityAtSensitivity", {"sensitivity": 0.6}, "vector"),
    ("SpecificityAtSensitivity", {"sensitivity": 0.6, "class_id": 1}, "scores"),
    ("PrecisionAtRecall", {"recall": 0.7}, "vector"),
    ("PrecisionAtRecall", {"recall": 0.7, "num_thresholds": 5}, "grid"),
    ("RecallAtPrecision", {"precision": 0.6}, "vector"),
    ("RecallAtPrecision", {"precision": 0.99}, "scores"),
    *(
        ("AUC", {"curve": curve, "summation_method": method}, "scores")
        for curve in ("ROC", "PR", "PRGAIN")
        for method in ("interpolation", "minoring", "majoring")
    ),
    ("AUC", {}, "vector"),
    ("AUC", {"num_thresholds": 5}, "grid"),
    ("AUC", {"thresholds": [0.7, 0.2, 0.3]}, "scores"),
    ("AUC", {"thresholds": [0.25, 0.5, 0.75], "curve": "PR"}, "grid"),
    ("AUC", {"from_logits": True}, "logits"),
    ("AUC", {}, "soft"),
    ("AUC", {"multi_label": True}, "scores"),
    ("AUC", {"multi_label": True, "num_labels": 3, "label_weights": [0.2, 0.5, 1.0]}, "scores"),
    ("AUC", {"multi_label": True, "curve": "PR", "num_thresholds": 7}, "scores"),
    ("AUC", {"label_weights": [0.2, 0.5, 1.0]}, "scores"),
    ("IoU", {"num_classes": 3, "target_class_ids": [0, 2]}, "pairs"),
    ("IoU", {"num_classes": 3, "target_class_ids": [0], "ignore_class": 2}, "pairs"),
    ("MeanIoU", {"num_classes": 3}, "pairs"),
    ("MeanIoU", {"num_classes": 4, "dtype": "float32"}, "pairs"),
    ("MeanIoU", {"num_classes": 3, "ignore_class": 255}, "maps"),
    ("MeanIoU", {"num_classes": 3, "sparse_y_pred": False}, "map_label_scores"),
    ("BinaryIoU", {}, "vector"),
    ("BinaryIoU", {"target_class_ids": [1], "threshold": 0.3}, "scores"),
    ("OneHotIoU", {"num_classes": 3, "target_class_ids": [0, 2]}, "map_scores"),
    ("OneHotMeanIoU", {"num_classes": 3}, "map_scores"),
    ("F1Score", {}, "scores"),
    ("F1Score", {"average": "micro", "threshold": 0.5}, "scores"),
    ("FBetaScore", {"beta": 2.0, "threshold": 0.4}, "scores"),
    ("FBetaScore", {"beta": 0.5, "average": "macro"}, "one_hot_scores"),
    ("FBetaScore", {"average": "weighted", "threshold": 0.5}, "scores"),
]


def weight_of(name: str, arguments: dict[str, Any], data: str) -> np.ndarray:
    """One weight for each sample, one of them zero; whole numbers where the metric would cut them."""
    y_true, _ = DATA[data]
    count = 3 if arguments.get("axis") == 0 else y_true.shape[0]
    if name in ("PearsonCorrelation", "ConcordanceCorrelation") and arguments.get("axis") == 0:
        count = 4
    weight = np.array([0.5, 0.0, 2.0, 1.0, 1.5, 0.25], "float32")[:count]
    if data in ("maps", "map_scores", "map_label_scores", "sequences", "one_hot_axis_1"):
        weight = np.broadcast_to(weight[:, None], (2, y_true.shape[2] if data == "one_hot_axis_1" else 3)).copy()
    if name == "BinaryIoU" and data == "scores":
        weight = np.broadcast_to(weight[:, None], (6, 3)).copy()
    return weight


def batches(name: str, arguments: dict[str, Any], data: str) -> list[tuple[Any, Any, Any]]:
    """Two batches, the second in reverse order of the predictions; without weights, then with them."""
    y_true, y_pred = DATA[data]
    other = np.ascontiguousarray(y_pred[::-1])
    weight = weight_of(name, arguments, data)
    return [
        (y_true, y_pred, None),
        (y_true, other, None),
        (y_true, y_pred, weight),
        (y_true, other, weight[::-1].copy()),
    ]


def compute(module: Any, name: str, arguments: dict[str, Any], data: str) -> list[Any]:
    """Return the results after each of two batches, and again after a reset with weights."""
    metric = getattr(module, name)(**arguments)
    results = []
    for k, (y_true, y_pred, weight) in enumerate(batches(name, arguments, data)):
        if k == 2:
            metric.reset_state()
        metric.update_state(y_true, y_pred, sample_weight=weight)
        results.append(np.asarray(metric.result(), "float64").tolist())
    return results
