"""Intersection over union of predicted and true classes, from a confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nngraph import ops
from nngraph.metrics.base import Metric
from nngraph.ops import raw

__all__ = ["BinaryIoU", "IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU"]


class _ConfusionMatrix(Metric):
    """Base: counts pairs of true and predicted class."""

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        # Counts are whole numbers unless somebody asks for more, so weights are cut to whole numbers, too.
        super().__init__(name=name, dtype=dtype or "int32")
        self.num_classes = num_classes
        self.ignore_class = ignore_class
        self.sparse_y_true = sparse_y_true
        self.sparse_y_pred = sparse_y_pred
        self.axis = axis
        self.total_cm = self.add_variable((num_classes, num_classes), "zeros", name="total_confusion_matrix")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take a batch into account: class numbers, or scores along `axis` where the arguments say so."""
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        if not self.sparse_y_true:
            y_true = ops.argmax(y_true, axis=self.axis)
        if not self.sparse_y_pred:
            y_pred = ops.argmax(y_pred, axis=self.axis)
        rows = ops.reshape(ops.cast(y_true, "int64"), (-1,))
        columns = ops.reshape(ops.cast(y_pred, "int64"), (-1,))
        if sample_weight is None:
            weight = ops.cast(ops.ones_like(rows), self.dtype)
        else:
            weight = ops.cast(sample_weight, self.dtype)
            while len(weight.shape) < len(y_true.shape):
                weight = ops.expand_dims(weight, -1)
            weight = ops.reshape(ops.broadcast_to(weight, ops.shape(y_true)), (-1,))
        if self.ignore_class is not None:
            weight = weight * ops.cast(ops.not_equal(rows, self.ignore_class), self.dtype)
        # A class that does not exist has no place in the matrix; it counts nowhere.
        last = self.num_classes - 1
        known = [ops.logical_and(ops.greater_equal(x, 0), ops.less_equal(x, last)) for x in (rows, columns)]
        weight = weight * ops.cast(ops.logical_and(*known), self.dtype)
        place = ops.clip(rows, 0, last) * self.num_classes + ops.clip(columns, 0, last)
        empty = np.zeros(self.num_classes * self.num_classes, self.dtype)
        counts = raw.ScatterElements(empty, place, weight, axis=0, reduction="add")
        self.total_cm.assign_add(ops.reshape(counts, (self.num_classes, self.num_classes)))

    def _ious(self, classes: Sequence[int]) -> tuple[Any, Any]:
        """Return the IoU of each class, and whether anybody saw the class."""
        matrix = ops.cast(self.total_cm, "float32")
        chosen = np.asarray(list(classes), np.int64)
        right = ops.take(ops.sum(matrix * np.eye(self.num_classes, dtype="float32"), axis=0), chosen, axis=0)
        rows = ops.take(ops.sum(matrix, axis=0), chosen, axis=0)
        columns = ops.take(ops.sum(matrix, axis=1), chosen, axis=0)
        union = rows + columns - right
        return ops.divide(right, union + 1e-7), ops.greater(union, 0.0)

    def _mean_iou(self, classes: Sequence[int]) -> Any:
        ious, seen = self._ious(classes)
        count = ops.sum(ops.cast(seen, "float32"))
        return ops.divide_no_nan(ops.sum(ops.where(seen, ious, 0.0)), count)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, of which `from_config` builds an equal metric."""
        own = {
            "num_classes": self.num_classes,
            "ignore_class": self.ignore_class,
            "sparse_y_true": self.sparse_y_true,
            "sparse_y_pred": self.sparse_y_pred,
            "axis": self.axis,
        }
        return {**super().get_config(), **own}


class IoU(_ConfusionMatrix):
    """The mean over some classes of |true ∩ predicted| / |true ∪ predicted|; classes that nobody saw do not count.

    Args:
        num_classes: number of classes.
        target_class_ids: the classes to look at.
        name, dtype: as of :class:`Metric`; the default dtype is int32, and weights are cut to whole numbers.
        ignore_class: a true class that does not count.
        sparse_y_true, sparse_y_pred: class numbers (True), or scores for each class along `axis`.
        axis: the axis of the classes.

    Raises:
        ValueError: a target class is no class.

    >>> round(float(IoU(num_classes=2, target_class_ids=[0])([0, 0, 1, 1], [0, 1, 0, 1])), 4)
    0.3333
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis)
        wrong = [c for c in target_class_ids if not 0 <= c < num_classes]
        if wrong:
            raise ValueError(f"target_class_ids must be classes, 0 to {num_classes - 1}. Received: {wrong}")
        self.target_class_ids = list(target_class_ids)

    def result(self) -> Any:
        """Return the mean IoU of the target classes."""
        return self._mean_iou(self.target_class_ids)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, of which `from_config` builds an equal metric."""
        return {**super().get_config(), "target_class_ids": self.target_class_ids}


class BinaryIoU(IoU):
    """The IoU for two classes, where predictions are probabilities of class 1.

    Args:
        target_class_ids: the classes to look at, of 0 and 1.
        threshold: a prediction from it on is class 1; None for predictions that are class numbers.
        name, dtype: as of :class:`IoU`.

    >>> round(float(BinaryIoU(threshold=0.3)([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7])), 4)
    0.3333
    """

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float | None = 0.5,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take a batch of targets of 0 and 1 and predictions into account."""
        y_pred = ops.convert_to_tensor(y_pred)
        if self.threshold is not None:
            y_pred = ops.cast(ops.greater_equal(y_pred, self.threshold), self.dtype)
        super().update_state(y_true, y_pred, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, of which `from_config` builds an equal metric."""
        own = {"target_class_ids": self.target_class_ids, "threshold": self.threshold}
        return {**Metric.get_config(self), **own}


class MeanIoU(_ConfusionMatrix):
    """The mean of :class:`IoU` over all classes; classes that nobody saw do not count.

    >>> round(float(MeanIoU(num_classes=2)([0, 0, 1, 1], [0, 1, 0, 1])), 4)
    0.3333
    """

    def result(self) -> Any:
        """Return the mean IoU of all classes."""
        return self._mean_iou(range(self.num_classes))


class OneHotIoU(IoU):
    """The :class:`IoU` for one-hot targets and predicted scores (or class numbers if `sparse_y_pred`).

    >>> round(float(OneHotIoU(2, [0])([[1, 0], [1, 0]], [[0.7, 0.3], [0.4, 0.6]])), 4)
    0.5
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, of which `from_config` builds an equal metric."""
        return {k: v for k, v in super().get_config().items() if k != "sparse_y_true"}


class OneHotMeanIoU(MeanIoU):
    """The :class:`MeanIoU` for one-hot targets and predicted scores (or class numbers if `sparse_y_pred`).

    >>> round(float(OneHotMeanIoU(2)([[1, 0], [0, 1]], [[0.7, 0.3], [0.4, 0.6]])), 4)
    1.0
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, of which `from_config` builds an equal metric."""
        return {k: v for k, v in super().get_config().items() if k != "sparse_y_true"}
