"""What "accuracy" and "crossentropy" mean for an output: it depends on the shapes of targets and predictions."""

from __future__ import annotations

from typing import Any

from nngraph.errors import unknown_name
from nngraph.losses import SparseCategoricalCrossentropy, sparse_categorical_crossentropy
from nngraph.metrics.accuracy import BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy
from nngraph.metrics.base import Metric
from nngraph.metrics.from_losses import BinaryCrossentropy, CategoricalCrossentropy
from nngraph.metrics.from_losses import SparseCategoricalCrossentropy as SparseCategoricalCrossentropyMetric

__all__ = ["SHAPE_NAMES", "resolve_metric"]

SHAPE_NAMES = ("accuracy", "acc", "crossentropy", "ce")
"""The names that :func:`resolve_metric` resolves."""

_CLASSES: dict[str, dict[str, type[Metric]]] = {
    "accuracy": {
        "binary": BinaryAccuracy,
        "sparse": SparseCategoricalAccuracy,
        "categorical": CategoricalAccuracy,
    },
    "crossentropy": {
        "binary": BinaryCrossentropy,
        "sparse": SparseCategoricalCrossentropyMetric,
        "categorical": CategoricalCrossentropy,
    },
}


def resolve_metric(name: str, y_true: Any, y_pred: Any, loss: Any = None) -> Metric:
    """Return the metric that "accuracy" ("acc") or "crossentropy" ("ce") means for targets and predictions.

    One unit is binary; targets without the class axis, or with one of size 1, are class numbers; others are one-hot.
    The metric has the name that was asked for.

    Args:
        name: one of :data:`SHAPE_NAMES`.
        y_true, y_pred: tensors, or their shapes.
        loss: the loss of the output: decides where the shape of the targets is not known.

    Raises:
        ValueError: the name is another.

    >>> type(resolve_metric("acc", (None,), (None, 10))).__name__
    'SparseCategoricalAccuracy'
    """
    if name not in SHAPE_NAMES:
        raise unknown_name("metric that depends on shapes", name, SHAPE_NAMES)
    table = _CLASSES["accuracy" if name in ("accuracy", "acc") else "crossentropy"]
    return table[_kind(_shape(y_true), _shape(y_pred), loss)](name=name)


def _shape(x: Any) -> tuple[Any, ...] | None:
    return None if x is None else tuple(x.shape) if hasattr(x, "shape") else tuple(x)


def _kind(y_true: tuple[Any, ...] | None, y_pred: tuple[Any, ...] | None, loss: Any) -> str:
    if y_pred is None or len(y_pred) < 2 or y_pred[-1] == 1:
        return "binary"
    if y_true is None:
        sparse = isinstance(loss, SparseCategoricalCrossentropy) or loss is sparse_categorical_crossentropy
        return "sparse" if sparse else "categorical"
    return "sparse" if len(y_true) < len(y_pred) or y_true[-1] == 1 else "categorical"
