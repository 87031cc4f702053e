"""Accuracies: how often predictions are right."""

from __future__ import annotations

from typing import Any

from nngraph import config, ops
from nngraph.losses.base import squeeze_or_expand_to_same_rank
from nngraph.losses.checks import shape_text
from nngraph.metrics.reduction import FunctionMetric

__all__ = [
    "Accuracy",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "TopKCategoricalAccuracy",
    "accuracy",
    "binary_accuracy",
    "categorical_accuracy",
    "sparse_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "top_k_categorical_accuracy",
]


def _as_number(right: Any) -> Any:
    return ops.cast(right, config.floatx())


def _check_same(metric: str, y_true: Any, y_pred: Any) -> None:
    pairs = zip(y_true.shape, y_pred.shape, strict=False)
    if len(y_true.shape) != len(y_pred.shape) or any(
        isinstance(a, int) and isinstance(b, int) and a != b and 1 not in (a, b) for a, b in pairs
    ):
        raise ValueError(
            f"Metric {metric!r} needs targets and predictions of the same shape. Received: y_true of shape "
            f"{shape_text(y_true)}, y_pred of shape {shape_text(y_pred)}."
        )


def accuracy(y_true: Any, y_pred: Any) -> Any:
    """Return 1 where predictions equal targets and 0 elsewhere.

    >>> accuracy([1, 2], [1, 3]).tolist()
    [1.0, 0.0]
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(y_true, ops.dtype_of(y_pred))
    y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
    _check_same("accuracy", y_true, y_pred)
    return _as_number(ops.equal(y_true, y_pred))


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Any:
    """Return 1 where "the prediction is above the threshold" equals the target and 0 elsewhere.

    >>> binary_accuracy([[1.0, 0.0]], [[0.7, 0.6]]).tolist()
    [[1.0, 0.0]]
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.convert_to_tensor(y_true)
    y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
    _check_same("binary_accuracy", y_true, y_pred)
    above = ops.cast(ops.greater(y_pred, threshold), config.floatx())
    return _as_number(ops.equal(ops.cast(y_true, config.floatx()), above))


def categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Return 1 where the largest prediction is that of the true class and 0 elsewhere; targets are one-hot.

    >>> categorical_accuracy([[0, 1], [1, 0]], [[0.3, 0.7], [0.4, 0.6]]).tolist()
    [1.0, 0.0]
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.convert_to_tensor(y_true)
    _check_same("categorical_accuracy", y_true, y_pred)
    return _as_number(ops.equal(ops.argmax(y_true, axis=-1), ops.argmax(y_pred, axis=-1)))


def _class_numbers(metric: str, y_true: Any, y_pred: Any) -> Any:
    """Return targets as int32 in the shape of the predictions without the class axis."""
    if len(y_true.shape) == len(y_pred.shape) and len(y_true.shape) > 0 and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, -1)
    if len(y_true.shape) != len(y_pred.shape) - 1:
        raise ValueError(
            f"Metric {metric!r} needs one class number for each prediction. Received: y_true of shape "
            f"{shape_text(y_true)}, y_pred of shape {shape_text(y_pred)}."
        )
    return ops.cast(y_true, "int32")


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Return 1 where the largest prediction is that of the true class and 0 elsewhere; targets are class numbers.

    >>> sparse_categorical_accuracy([1, 0], [[0.3, 0.7], [0.4, 0.6]]).tolist()
    [1.0, 0.0]
    """
    y_pred = ops.convert_to_tensor(y_pred)
    labels = _class_numbers("sparse_categorical_accuracy", ops.convert_to_tensor(y_true), y_pred)
    return _as_number(ops.equal(labels, ops.cast(ops.argmax(y_pred, axis=-1), "int32")))


def _among_top(labels: Any, y_pred: Any, k: int) -> Any:
    """Return 1 where fewer than `k` classes have a larger prediction than the labelled one; ties are in its favour."""
    scores = ops.take_along_axis(y_pred, ops.expand_dims(labels, -1), axis=-1)
    ahead = ops.sum(ops.cast(ops.greater(y_pred, scores), "int32"), axis=-1)
    known = ops.squeeze(ops.isfinite(scores), -1)
    return _as_number(ops.logical_and(ops.less(ahead, k), known))


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """Return 1 where the true class is among the `k` with the largest predictions; targets are one-hot.

    >>> top_k_categorical_accuracy([[0, 0, 1], [1, 0, 0]], [[0.1, 0.7, 0.2], [0.1, 0.7, 0.2]], k=2).tolist()
    [1.0, 0.0]
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.convert_to_tensor(y_true)
    _check_same("top_k_categorical_accuracy", y_true, y_pred)
    return _among_top(ops.cast(ops.argmax(y_true, axis=-1), "int32"), y_pred, k)


def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False) -> Any:
    """Return 1 where the true class is among the `k` with the largest predictions; targets are class numbers.

    With `from_sorted_ids` the predictions are class numbers themselves, the likeliest first.

    >>> sparse_top_k_categorical_accuracy([2, 0], [[0.1, 0.7, 0.2], [0.1, 0.7, 0.2]], k=2).tolist()
    [1.0, 0.0]
    """
    y_pred = ops.convert_to_tensor(y_pred)
    labels = _class_numbers("sparse_top_k_categorical_accuracy", ops.convert_to_tensor(y_true), y_pred)
    if not from_sorted_ids:
        return _among_top(labels, y_pred, k)
    best = ops.cast(y_pred[..., :k], "int32")
    return _as_number(ops.any(ops.equal(ops.expand_dims(labels, -1), best), axis=-1))


class Accuracy(FunctionMetric):
    """How often predictions equal targets.

    >>> round(float(Accuracy()([1, 2, 3], [1, 2, 4])), 4)
    0.6667
    """

    function = staticmethod(accuracy)

    def __init__(self, name: str | None = "accuracy", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)


class BinaryAccuracy(FunctionMetric):
    """How often predictions are on the right side of `threshold`.

    >>> float(BinaryAccuracy()([1, 1, 0, 0], [0.9, 0.2, 0.3, 0.4]))
    0.75
    """

    function = staticmethod(binary_accuracy)
    options = ("threshold",)

    def __init__(self, name: str | None = "binary_accuracy", dtype: Any = None, threshold: float = 0.5) -> None:
        super().__init__(name=name, dtype=dtype, threshold=threshold)


class CategoricalAccuracy(FunctionMetric):
    """How often the largest prediction is that of the true class, for one-hot targets.

    >>> float(CategoricalAccuracy()([[0, 1], [1, 0]], [[0.3, 0.7], [0.4, 0.6]]))
    0.5
    """

    function = staticmethod(categorical_accuracy)

    def __init__(self, name: str | None = "categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)


class SparseCategoricalAccuracy(FunctionMetric):
    """How often the largest prediction is that of the true class, for class numbers.

    >>> float(SparseCategoricalAccuracy()([1, 0], [[0.3, 0.7], [0.4, 0.6]]))
    0.5
    """

    function = staticmethod(sparse_categorical_accuracy)

    def __init__(self, name: str | None = "sparse_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)


class TopKCategoricalAccuracy(FunctionMetric):
    """How often the true class is among the `k` with the largest predictions, for one-hot targets.

    >>> float(TopKCategoricalAccuracy(k=2)([[0, 0, 1], [1, 0, 0]], [[0.1, 0.7, 0.2], [0.1, 0.7, 0.2]]))
    0.5
    """

    function = staticmethod(top_k_categorical_accuracy)
    options = ("k",)

    def __init__(self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype, k=k)


class SparseTopKCategoricalAccuracy(FunctionMetric):
    """How often the true class is among the `k` with the largest predictions, for class numbers.

    >>> float(SparseTopKCategoricalAccuracy(k=2)([2, 0], [[0.1, 0.7, 0.2], [0.1, 0.7, 0.2]]))
    0.5
    """

    function = staticmethod(sparse_top_k_categorical_accuracy)
    options = ("k", "from_sorted_ids")

    def __init__(
        self,
        k: int = 5,
        name: str | None = "sparse_top_k_categorical_accuracy",
        dtype: Any = None,
        from_sorted_ids: bool = False,
    ) -> None:
        super().__init__(name=name, dtype=dtype, k=k, from_sorted_ids=from_sorted_ids)
