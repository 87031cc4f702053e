"""F-scores: precision and recall in one number."""

from __future__ import annotations

from typing import Any

from nngraph import ops
from nngraph.config import epsilon
from nngraph.errors import unknown_name
from nngraph.losses.checks import shape_text
from nngraph.metrics.base import Metric

__all__ = ["F1Score", "FBetaScore"]

COUNTS = ("true_positives", "false_positives", "false_negatives", "intermediate_weights")


class FBetaScore(Metric):
    """The weighted harmonic mean (1 + β²) P R / (β² P + R) of precision P and recall R.

    Args:
        average: None for a score for each class; "micro" (of all decisions), "macro" (mean of the classes) or
            "weighted" (mean weighted with the number of true instances).
        beta: how much recall weighs against precision.
        threshold: a prediction above it is positive; None: the largest prediction of a sample is.
        name, dtype: as of :class:`Metric`.

    Raises:
        ValueError: an argument is out of range, or targets and predictions are no matrices.

    >>> metric = FBetaScore(beta=2.0, threshold=0.5)
    >>> print(metric([[1, 1, 1], [1, 0, 0], [1, 1, 0]], [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0.0]]).round(4))
    [0.3846 0.9091 0.8333]
    """

    true_positives: Any
    false_positives: Any
    false_negatives: Any
    intermediate_weights: Any

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        if average not in (None, "micro", "macro", "weighted"):
            raise unknown_name("average", average, ("micro", "macro", "weighted"))
        if not beta > 0:
            raise ValueError(f"beta must be positive. Received: beta={beta}")
        if threshold is not None and not 0 < threshold <= 1:
            raise ValueError(f"threshold must lie in (0, 1]. Received: threshold={threshold}")
        self.average = average
        self.beta = beta
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take a batch of targets of 0 and 1 and predictions, both (samples, classes), into account."""
        y_true = ops.cast(y_true, self.dtype)
        y_pred = ops.cast(y_pred, self.dtype)
        self._build(y_true, y_pred)
        if self.threshold is None:
            best = ops.max(y_pred, axis=-1, keepdims=True)
            # A sample whose scores are all zero decides for nothing.
            positive = ops.logical_and(ops.equal(y_pred, best), ops.greater(ops.abs(y_pred), 1e-9))
        else:
            positive = ops.greater(y_pred, self.threshold)
        positive = ops.cast(positive, self.dtype)
        weight = None if sample_weight is None else ops.expand_dims(ops.cast(sample_weight, self.dtype), 1)
        axis = None if self.average == "micro" else 0

        def weighted_sum(values: Any) -> Any:
            return ops.sum(values if weight is None else values * weight, axis=axis)

        self.true_positives.assign_add(weighted_sum(positive * y_true))
        self.false_positives.assign_add(weighted_sum(positive * (1.0 - y_true)))
        self.false_negatives.assign_add(weighted_sum((1.0 - positive) * y_true))
        self.intermediate_weights.assign_add(weighted_sum(y_true))

    def _build(self, y_true: Any, y_pred: Any) -> None:
        if len(y_true.shape) != 2 or len(y_pred.shape) != 2 or y_true.shape[1] != y_pred.shape[1]:
            raise ValueError(
                f"{type(self).__name__} needs targets and predictions of shape (samples, classes). Received: y_true of "
                f"shape {shape_text(y_true)}, y_pred of shape {shape_text(y_pred)}"
            )
        if self._variables:
            return
        shape = () if self.average == "micro" else (y_pred.shape[1],)
        for name in COUNTS:
            setattr(self, name, self.add_variable(shape, "zeros", name=name))

    def result(self) -> Any:
        """Return the score, or the scores of the classes."""
        if not self._variables:
            return ops.zeros((), dtype=self.dtype)
        tp, fp, fn, weights = (getattr(self, name).value for name in COUNTS)
        precision = ops.divide(tp, tp + fp + epsilon())
        recall = ops.divide(tp, tp + fn + epsilon())
        beta2 = self.beta**2
        score = (1.0 + beta2) * (precision * recall) / (precision * beta2 + recall + epsilon())
        if self.average == "weighted":
            return ops.sum(score * ops.divide(weights, ops.sum(weights) + epsilon()))
        return score if self.average is None else ops.mean(score)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, of which `from_config` builds an equal metric."""
        own = {"average": self.average, "beta": self.beta, "threshold": self.threshold}
        return {**super().get_config(), **own}


class F1Score(FBetaScore):
    """The harmonic mean 2 P R / (P + R) of precision and recall; arguments as of :class:`FBetaScore`.

    >>> print(F1Score(threshold=0.5)([[1, 1], [1, 0]], [[0.2, 0.6], [0.7, 0.1]]).round(4))
    [0.6667 1.    ]
    """

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(average=average, beta=1.0, threshold=threshold, name=name, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, of which `from_config` builds an equal metric."""
        return {k: v for k, v in super().get_config().items() if k != "beta"}
