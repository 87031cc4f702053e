"""Areas under curves, and the best of one rate where another is good enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nngraph import ops
from nngraph.config import epsilon
from nngraph.errors import unknown_name
from nngraph.metrics.base import Metric
from nngraph.metrics.thresholds import are_even, check_thresholds, count_at_thresholds

__all__ = [
    "AUC",
    "PrecisionAtRecall",
    "RecallAtPrecision",
    "SensitivityAtSpecificity",
    "SpecificityAtSensitivity",
]

COUNTS = ("true_positives", "false_positives", "true_negatives", "false_negatives")


def _between(count: int) -> list[float]:
    """Return the thresholds inside (0, 1) of `count` evenly spaced ones."""
    return [(k + 1) / (count - 1) for k in range(count - 2)]


class _Curve(Metric):
    """Base of metrics that count at many thresholds."""

    true_positives: Any
    false_positives: Any
    true_negatives: Any
    false_negatives: Any

    def _add_counts(self, shape: tuple[int, ...]) -> None:
        for name in COUNTS:
            setattr(self, name, self.add_variable(shape, "zeros", name=name))

    def _add(self, y_true: Any, y_pred: Any, **options: Any) -> None:
        counts = count_at_thresholds(y_true, y_pred, dtype=self.dtype, **options)
        for name in COUNTS:
            getattr(self, name).assign_add(getattr(counts, name))

    def _rates(self) -> dict[str, Any]:
        """Return what the counts say: sensitivity (recall), specificity and precision at each threshold."""
        tp, fp, tn, fn = (getattr(self, name).value for name in COUNTS)
        return {
            "recall": ops.divide_no_nan(tp, tp + fn),
            "specificity": ops.divide_no_nan(tn, tn + fp),
            "precision": ops.divide_no_nan(tp, tp + fp),
        }


class AUC(_Curve):
    """The area under a curve that a moving threshold draws, approximated at many thresholds.

    Args:
        num_thresholds: number of evenly spaced thresholds from 0 to 1.
        curve: "ROC" (true against false positive rate), "PR" (precision against recall) or "PRGAIN" (the gains of both:
            Flach and Kull, "Precision-recall-gain curves", 2015).
        summation_method: "interpolation" (trapezoids; for PR as in Davis and Goadrich, "The relationship between
            precision-recall and ROC curves", 2006), "minoring" or "majoring" (lower or upper sums).
        name, dtype: as of :class:`Metric`.
        thresholds: the thresholds themselves, numbers in [0, 1]; 0 and 1 are added.
        multi_label: predictions (samples, labels): one curve for each label, and the mean of the areas.
        num_labels: number of labels, if it is needed before the first batch.
        label_weights: weights of the labels: of the areas in that mean or, without `multi_label`, of the predictions.
        from_logits: predictions are logits.

    Raises:
        ValueError: an argument is out of range, or predictions have another number of labels.

    >>> round(float(AUC(num_thresholds=3)([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9])), 4)
    0.75
    """

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Sequence[float] | None = None,
        from_logits: bool = False,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        if curve not in ("ROC", "PR", "PRGAIN"):
            raise unknown_name("curve of AUC", curve, ("ROC", "PR", "PRGAIN"))
        if summation_method not in ("interpolation", "minoring", "majoring"):
            raise unknown_name("summation_method of AUC", summation_method, ("interpolation", "minoring", "majoring"))
        if num_labels is not None and not multi_label:
            raise ValueError(f"num_labels is for multi_label=True only. Received: num_labels={num_labels}")
        self.init_thresholds = None if thresholds is None else sorted(check_thresholds(thresholds, 0.5))
        if self.init_thresholds is None and num_thresholds < 2:
            raise ValueError(f"num_thresholds must be at least 2. Received: num_thresholds={num_thresholds}")
        inner = _between(num_thresholds) if self.init_thresholds is None else self.init_thresholds
        self.num_thresholds = len(inner) + 2
        self._even = are_even([0.0, *inner, 1.0])
        self._thresholds = [0.0 - epsilon(), *inner, 1.0 + epsilon()]
        self.curve = curve
        self.summation_method = summation_method
        self.multi_label = multi_label
        self.num_labels = num_labels
        self.label_weights = None if label_weights is None else list(label_weights)
        self.from_logits = from_logits
        if not multi_label:
            self._add_counts((self.num_thresholds,))
        elif num_labels is not None:
            self._add_counts((self.num_thresholds, num_labels))

    @property
    def thresholds(self) -> list[float]:
        """The thresholds, the first a little below 0 and the last a little above 1."""
        return list(self._thresholds)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take a batch of targets of 0 and 1 and predictions in [0, 1] into account."""
        y_pred = ops.convert_to_tensor(y_pred)
        if self.multi_label:
            self._check_labels(y_pred)
        if self.from_logits:
            y_pred = ops.sigmoid(y_pred)
        self._add(
            y_true,
            y_pred,
            thresholds=self._thresholds,
            sample_weight=sample_weight,
            multi_label=self.multi_label,
            label_weights=None if self.multi_label else self.label_weights,
            even=self._even,
        )

    def _check_labels(self, y_pred: Any) -> None:
        labels = y_pred.shape[-1] if len(y_pred.shape) == 2 else None
        if not isinstance(labels, int) or self.num_labels not in (None, labels):
            raise ValueError(
                f"AUC with multi_label=True needs predictions of shape (samples, {self.num_labels or 'labels'}). "
                f"Received: y_pred of shape {tuple(y_pred.shape)}"
            )
        if not self._variables:
            self.num_labels = labels
            self._add_counts((self.num_thresholds, labels))

    def result(self) -> Any:
        """Return the area."""
        if not self._variables:
            return ops.zeros((), dtype=self.dtype)
        if self.curve == "PR" and self.summation_method == "interpolation":
            return self.interpolate_pr_auc()
        x, y = self._points()
        low, high = y[:-1], y[1:]
        heights = {
            "interpolation": lambda: (low + high) / 2.0,
            "minoring": lambda: ops.minimum(low, high),
            "majoring": lambda: ops.maximum(low, high),
        }[self.summation_method]()
        return self._over_labels(ops.sum((x[:-1] - x[1:]) * heights, axis=0))

    def _over_labels(self, areas: Any) -> Any:
        """Return the weighted mean of the areas of the labels."""
        if not self.multi_label:
            return areas
        if self.label_weights is None:
            return ops.mean(areas)
        weights = ops.cast(self.label_weights, self.dtype)
        return ops.divide_no_nan(ops.sum(areas * weights), ops.sum(weights))

    def _points(self) -> tuple[Any, Any]:
        """Return the coordinates of the curve at each threshold."""
        rates = self._rates()
        if self.curve == "ROC":
            tn, fp = self.true_negatives.value, self.false_positives.value
            return ops.divide_no_nan(fp, fp + tn), rates["recall"]
        if self.curve == "PR":
            return rates["recall"], rates["precision"]
        tp, fp, tn, fn = (getattr(self, name).value for name in COUNTS)
        odds = ops.divide_no_nan(tp + fn, fp + tn)
        recall_gain = ops.maximum(1.0 - odds * ops.divide_no_nan(fn, tp), 0.0)
        # Without a true positive the recall gain is -inf, which counts as 0, and the precision gain 1.
        return ops.where(ops.greater(tp, 0.0), recall_gain, 0.0), 1.0 - odds * ops.divide_no_nan(fp, tp)

    def interpolate_pr_auc(self) -> Any:
        """Return the area under precision against recall, where between two points TP is linear in TP + FP.

        With TP = a + s P, P = TP + FP, the integral of TP / P over TP from point to point is s (ΔTP + a log(P₀ / P₁)).
        """
        tp, fn = self.true_positives.value, self.false_negatives.value
        positive = tp + self.false_positives.value
        more, less = positive[:-1], positive[1:]
        gained = tp[:-1] - tp[1:]
        slope = ops.divide_no_nan(gained, ops.maximum(more - less, 0.0))
        intercept = tp[1:] - slope * less
        ratio = ops.where(
            ops.logical_and(ops.greater(more, 0.0), ops.greater(less, 0.0)),
            ops.divide_no_nan(more, ops.maximum(less, 0.0)),
            1.0,
        )
        pieces = slope * (gained + intercept * ops.log(ratio))
        return self._over_labels(ops.sum(ops.divide_no_nan(pieces, ops.maximum(tp[1:] + fn[1:], 0.0)), axis=0))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, of which `from_config` builds an equal metric."""
        own = {
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            "label_weights": self.label_weights,
            "from_logits": self.from_logits,
        }
        if self.init_thresholds is not None:
            own["thresholds"] = self.init_thresholds
        return {**super().get_config(), **own}


class _BestAt(_Curve):
    """Base of metrics that return the best of one rate over the thresholds where another reaches a value."""

    best: str
    required: str
    argument: str

    def __init__(
        self,
        value: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        if not 0 <= value <= 1:
            raise ValueError(f"{self.argument} must lie in [0, 1]. Received: {self.argument}={value}")
        if num_thresholds < 1:
            raise ValueError(f"num_thresholds must be at least 1. Received: num_thresholds={num_thresholds}")
        self.value = value
        self.num_thresholds = num_thresholds
        self.class_id = class_id
        self.thresholds = [0.5] if num_thresholds == 1 else [0.0, *_between(num_thresholds), 1.0]
        self._add_counts((len(self.thresholds),))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take a batch of targets of 0 and 1 and predictions in [0, 1] into account."""
        self._add(
            y_true,
            y_pred,
            thresholds=self.thresholds,
            sample_weight=sample_weight,
            class_id=self.class_id,
            even=are_even(self.thresholds),
        )

    def result(self) -> Any:
        """Return the best rate, 0 where the other is never good enough."""
        rates = self._rates()
        enough = ops.greater_equal(rates[self.required], self.value)
        return ops.max(ops.where(enough, rates[self.best], 0.0))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, of which `from_config` builds an equal metric."""
        own = {"num_thresholds": self.num_thresholds, "class_id": self.class_id, self.argument: self.value}
        return {**super().get_config(), **own}


class SensitivityAtSpecificity(_BestAt):
    """The best sensitivity TP / (TP + FN) at thresholds where the specificity TN / (TN + FP) is at least `specificity`.

    >>> round(float(SensitivityAtSpecificity(0.5)([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8])), 4)
    0.5
    """

    best, required, argument = "recall", "specificity", "specificity"

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(specificity, num_thresholds, class_id, name, dtype)
        self.specificity = specificity


class SpecificityAtSensitivity(_BestAt):
    """The best specificity TN / (TN + FP) at thresholds where the sensitivity TP / (TP + FN) is at least `sensitivity`.

    >>> round(float(SpecificityAtSensitivity(0.5)([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8])), 4)
    0.6667
    """

    best, required, argument = "specificity", "recall", "sensitivity"

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)
        self.sensitivity = sensitivity


class PrecisionAtRecall(_BestAt):
    """The best precision TP / (TP + FP) at thresholds where the recall TP / (TP + FN) is at least `recall`.

    >>> round(float(PrecisionAtRecall(0.5)([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8])), 4)
    0.5
    """

    best, required, argument = "precision", "recall", "recall"

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(recall, num_thresholds, class_id, name, dtype)
        self.recall = recall


class RecallAtPrecision(_BestAt):
    """The best recall TP / (TP + FN) at thresholds where the precision TP / (TP + FP) is at least `precision`.

    >>> round(float(RecallAtPrecision(0.8)([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9])), 4)
    0.5
    """

    best, required, argument = "recall", "precision", "precision"

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(precision, num_thresholds, class_id, name, dtype)
        self.precision = precision
