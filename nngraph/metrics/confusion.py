"""Counts of right and wrong decisions, precision and recall."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from nngraph import ops
from nngraph.metrics.base import Metric
from nngraph.metrics.thresholds import NEVER, are_even, check_thresholds, count_at_thresholds

__all__ = ["FalseNegatives", "FalsePositives", "Precision", "Recall", "TrueNegatives", "TruePositives"]

Thresholds = float | Sequence[float] | None


class _Count(Metric):
    """Base of the four counts; a subclass says which."""

    counted: ClassVar[str]

    def __init__(self, thresholds: Thresholds = None, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.init_thresholds = thresholds
        self.thresholds = check_thresholds(thresholds, 0.5)
        self.accumulator = self.add_variable((len(self.thresholds),), "zeros", name="accumulator")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take a batch of targets of 0 and 1 and predictions in [0, 1] into account."""
        counts = count_at_thresholds(
            y_true,
            y_pred,
            self.thresholds,
            dtype=self.dtype,
            sample_weight=sample_weight,
            even=are_even(self.thresholds),
        )
        self.accumulator.assign_add(getattr(counts, self.counted))

    def result(self) -> Any:
        """Return the count, or the counts for a list of thresholds."""
        return self.accumulator[0] if len(self.thresholds) == 1 else ops.convert_to_tensor(self.accumulator)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, of which `from_config` builds an equal metric."""
        return {**super().get_config(), "thresholds": self.init_thresholds}


class FalsePositives(_Count):
    """The weighted number of targets 0 with a prediction above the threshold (or thresholds).

    >>> float(FalsePositives()([0, 1, 0, 0], [0.0, 0.2, 0.8, 0.9]))
    2.0
    """

    counted = "false_positives"


class FalseNegatives(_Count):
    """The weighted number of targets 1 with a prediction not above the threshold (or thresholds).

    >>> float(FalseNegatives()([0, 1, 1, 1], [0.0, 1.0, 0.2, 0.1]))
    2.0
    """

    counted = "false_negatives"


class TrueNegatives(_Count):
    """The weighted number of targets 0 with a prediction not above the threshold (or thresholds).

    >>> float(TrueNegatives()([0, 1, 0, 0], [1.0, 1.0, 0.2, 0.1]))
    2.0
    """

    counted = "true_negatives"


class TruePositives(_Count):
    """The weighted number of targets 1 with a prediction above the threshold (or thresholds).

    >>> float(TruePositives()([0, 1, 1, 1], [1.0, 0.1, 0.8, 0.9]))
    2.0
    """

    counted = "true_positives"


class _Share(Metric):
    """Base of precision and recall: true positives divided by themselves and the wrong decisions of one kind."""

    wrong: ClassVar[str]

    def __init__(
        self,
        thresholds: Thresholds = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.init_thresholds = thresholds
        self.top_k = top_k
        self.class_id = class_id
        self.thresholds = check_thresholds(thresholds, 0.5 if top_k is None else NEVER)
        self.true_positives = self.add_variable((len(self.thresholds),), "zeros", name="true_positives")
        self._wrong = self.add_variable((len(self.thresholds),), "zeros", name=self.wrong)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take a batch of targets of 0 and 1 and predictions in [0, 1] into account."""
        counts = count_at_thresholds(
            y_true,
            y_pred,
            self.thresholds,
            dtype=self.dtype,
            sample_weight=sample_weight,
            top_k=self.top_k,
            class_id=self.class_id,
            even=are_even(self.thresholds),
        )
        self.true_positives.assign_add(counts.true_positives)
        self._wrong.assign_add(getattr(counts, self.wrong))

    def result(self) -> Any:
        """Return the share, or the shares for a list of thresholds; 0 where nothing was counted."""
        shares = ops.divide_no_nan(self.true_positives, ops.add(self.true_positives, self._wrong))
        return shares[0] if len(self.thresholds) == 1 else shares

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, of which `from_config` builds an equal metric."""
        own = {"thresholds": self.init_thresholds, "top_k": self.top_k, "class_id": self.class_id}
        return {**super().get_config(), **own}


class Precision(_Share):
    """How many of the positive predictions are right: TP / (TP + FP).

    Args:
        thresholds: a prediction above it is positive; a number in [0, 1], or a list of them for a list of results.
            Default 0.5, or with `top_k` none.
        top_k: only the k largest predictions of a sample can be positive.
        class_id: look at one class only.
        name, dtype: as of :class:`Metric`.

    >>> round(float(Precision()([0, 1, 1, 1], [1.0, 0.1, 0.8, 0.9])), 4)
    0.6667
    """

    wrong = "false_positives"

    @property
    def false_positives(self) -> Any:
        """The variable with the number of wrong positive predictions."""
        return self._wrong


class Recall(_Share):
    """How many of the positive targets are found: TP / (TP + FN).

    Args:
        thresholds: a prediction above it is positive; a number in [0, 1], or a list of them for a list of results.
            Default 0.5, or with `top_k` none.
        top_k: only the k largest predictions of a sample can be positive.
        class_id: look at one class only.
        name, dtype: as of :class:`Metric`.

    >>> round(float(Recall()([0, 1, 1, 1], [1.0, 0.1, 0.8, 0.9])), 4)
    0.6667
    """

    wrong = "false_negatives"

    @property
    def false_negatives(self) -> Any:
        """The variable with the number of positive targets that were missed."""
        return self._wrong
