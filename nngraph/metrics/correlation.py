"""How well predictions follow targets: R², Pearson's and the concordance correlation."""

from __future__ import annotations

from typing import Any

from nngraph import ops
from nngraph.config import epsilon
from nngraph.errors import unknown_name
from nngraph.losses.base import count_of
from nngraph.losses.checks import aligned, shape_text
from nngraph.metrics.base import Metric
from nngraph.metrics.reduction import FunctionMetric

__all__ = [
    "ConcordanceCorrelation",
    "PearsonCorrelation",
    "R2Score",
    "concordance_correlation",
    "pearson_correlation",
]


def pearson_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Return Pearson's correlation along `axis`: the mean product of both, each centred and divided by its deviation.

    >>> print(pearson_correlation([[1.0, 2.0, 3.0]], [[1.0, 2.0, 4.0]]).round(4))
    [0.982]
    """
    y_true, y_pred = aligned("pearson_correlation", y_true, y_pred)

    def standardized(x: Any) -> Any:
        centred = x - ops.mean(x, axis=axis, keepdims=True)
        return centred / ops.sqrt(ops.mean(ops.square(centred), axis=axis, keepdims=True))

    return ops.mean(standardized(y_true) * standardized(y_pred), axis=axis)


def concordance_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Return 2 cov / (var(t) + var(p) + (mean(t) - mean(p))²) along `axis`: 1 only where predictions equal targets.

    Lin, "A concordance correlation coefficient to evaluate reproducibility", 1989.

    >>> print(concordance_correlation([[1.0, 2.0, 3.0]], [[1.0, 2.0, 4.0]]).round(4))
    [0.8571]
    """
    y_true, y_pred = aligned("concordance_correlation", y_true, y_pred)
    mean_t, mean_p = (ops.mean(x, axis=axis, keepdims=True) for x in (y_true, y_pred))
    off_t, off_p = y_true - mean_t, y_pred - mean_p
    variances = ops.mean(ops.square(off_t), axis=axis) + ops.mean(ops.square(off_p), axis=axis)
    shift = ops.squeeze(ops.square(mean_t - mean_p), axis)
    return 2.0 * ops.mean(off_t * off_p, axis=axis) / (variances + shift + epsilon())


class PearsonCorrelation(FunctionMetric):
    """The mean of :func:`pearson_correlation` along `axis`.

    >>> round(float(PearsonCorrelation()([[1.0, 2.0, 3.0]], [[1.0, 2.0, 4.0]])), 4)
    0.982
    """

    function = staticmethod(pearson_correlation)
    options = ("axis",)

    def __init__(self, name: str | None = "pearson_correlation", dtype: Any = None, axis: int = -1) -> None:
        super().__init__(name=name, dtype=dtype, axis=axis)


class ConcordanceCorrelation(FunctionMetric):
    """The mean of :func:`concordance_correlation` along `axis`.

    >>> round(float(ConcordanceCorrelation()([[1.0, 2.0, 3.0]], [[1.0, 2.0, 4.0]])), 4)
    0.8571
    """

    function = staticmethod(concordance_correlation)
    options = ("axis",)

    def __init__(self, name: str | None = "concordance_correlation", dtype: Any = None, axis: int = -1) -> None:
        super().__init__(name=name, dtype=dtype, axis=axis)


AGGREGATIONS = (None, "uniform_average", "variance_weighted_average")


class R2Score(Metric):
    """The share of the variance of the targets that predictions explain: 1 - residual / total sum of squares.

    Args:
        class_aggregation: how the scores of several outputs become one: "uniform_average", "variance_weighted_average",
            or None for a score for each.
        num_regressors: number of independent variables of the model, for the adjusted score.
        name, dtype: as of :class:`Metric`.

    Raises:
        ValueError: an argument is out of range, or targets and predictions are no matrices.

    >>> round(float(R2Score()([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]])), 4)
    0.5714
    """

    sum: Any
    squared_sum: Any
    residual: Any
    count: Any

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        if class_aggregation not in AGGREGATIONS:
            raise unknown_name("class_aggregation", class_aggregation, [a for a in AGGREGATIONS if a])
        if num_regressors < 0:
            raise ValueError(f"num_regressors must be at least 0. Received: num_regressors={num_regressors}")
        self.class_aggregation = class_aggregation
        self.num_regressors = num_regressors
        self.num_samples = self.add_variable((), "zeros", name="num_samples")
        self._built = False

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take a batch of targets and predictions, both (samples, outputs), into account."""
        y_true = ops.cast(y_true, self.dtype)
        y_pred = ops.cast(y_pred, self.dtype)
        if len(y_true.shape) == 1 and len(y_pred.shape) == 2 and y_pred.shape[1] == 1:
            y_true = ops.expand_dims(y_true, 1)
        self._build(y_true, y_pred)
        if sample_weight is None:
            weight = ops.ones_like(y_true[:, :1])
        else:
            weight = ops.cast(sample_weight, self.dtype)
            weight = ops.expand_dims(weight, 1) if len(weight.shape) == 1 else weight
        weight = ops.broadcast_to(weight, ops.shape(y_true))
        weighted = y_true * weight
        self.sum.assign_add(ops.sum(weighted, axis=0))
        self.squared_sum.assign_add(ops.sum(y_true * weighted, axis=0))
        self.residual.assign_add(ops.sum(ops.square(y_true - y_pred) * weight, axis=0))
        self.count.assign_add(ops.sum(weight, axis=0))
        # Keras counts every output of a sample here, and the adjusted score goes by it.
        self.num_samples.assign_add(ops.cast(count_of(y_true, self.dtype), self.dtype))

    def _build(self, y_true: Any, y_pred: Any) -> None:
        if len(y_true.shape) != 2 or len(y_pred.shape) != 2 or y_true.shape[1] != y_pred.shape[1]:
            raise ValueError(
                f"R2Score needs targets and predictions of shape (samples, outputs). Received: y_true of shape "
                f"{shape_text(y_true)}, y_pred of shape {shape_text(y_pred)}"
            )
        if self._built:
            return
        for name in ("squared_sum", "sum", "residual", "count"):
            setattr(self, name, self.add_variable((y_true.shape[1],), "zeros", name=name))
        self._built = True

    def result(self) -> Any:
        """Return the score, or the scores of the outputs."""
        if not self._built:
            return ops.zeros((), dtype=self.dtype)
        mean = ops.divide(self.sum, self.count)
        total = self.squared_sum - self.sum * mean
        raw_scores = 1.0 - ops.divide(self.residual, total)
        # Constant targets have no variance to explain.
        raw_scores = ops.where(ops.isinf(raw_scores), 0.0, raw_scores)
        if self.class_aggregation == "uniform_average":
            score = ops.mean(raw_scores)
        elif self.class_aggregation == "variance_weighted_average":
            score = ops.sum(raw_scores * total) / ops.sum(total)
        else:
            score = raw_scores
        if self.num_regressors == 0:
            return score
        n = self.num_samples.value
        adjusted = 1.0 - (1.0 - score) * (n - 1.0) / (n - self.num_regressors - 1.0)
        # The correction means nothing with as many regressors as samples.
        return ops.where(ops.greater(n - 1.0, float(self.num_regressors)), adjusted, score)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, of which `from_config` builds an equal metric."""
        own = {"class_aggregation": self.class_aggregation, "num_regressors": self.num_regressors}
        return {**super().get_config(), **own}
