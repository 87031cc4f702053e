"""Losses as metrics: their mean over all samples."""

from __future__ import annotations

from typing import Any

from nngraph import ops
from nngraph.losses.base import apply_mask
from nngraph.losses.checks import aligned
from nngraph.losses.crossentropy import (
    binary_crossentropy,
    categorical_crossentropy,
    kl_divergence,
    sparse_categorical_crossentropy,
)
from nngraph.losses.margin import categorical_hinge, hinge, squared_hinge
from nngraph.losses.regression import (
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
)
from nngraph.metrics.reduction import FunctionMetric, Mean
from nngraph.ops.masking import get_mask

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "Hinge",
    "KLDivergence",
    "LogCoshError",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "RootMeanSquaredError",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
]


def _cosine(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Return the cosine of the angle between the vectors along `axis`; the loss of that name has the other sign."""
    y_true, y_pred = aligned("cosine_similarity", y_true, y_pred)
    return ops.sum(ops.normalize(y_true, axis=axis) * ops.normalize(y_pred, axis=axis), axis=axis)


class CosineSimilarity(FunctionMetric):
    """The mean cosine of the angle between targets and predictions along `axis`.

    >>> float(CosineSimilarity()([[0.0, 2.0]], [[0.0, 1.0]]))
    1.0
    """

    function = staticmethod(_cosine)
    options = ("axis",)

    def __init__(self, name: str | None = "cosine_similarity", dtype: Any = None, axis: int = -1) -> None:
        super().__init__(name=name, dtype=dtype, axis=axis)


class RootMeanSquaredError(Mean):
    """The square root of the mean squared error.

    >>> float(RootMeanSquaredError()([[0.0, 1.0]], [[2.0, 3.0]]))
    2.0
    """

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Take a batch into account."""
        mask = get_mask(y_pred)
        y_true, y_pred = aligned(self.name, y_true, y_pred)
        if mask is not None:
            sample_weight = apply_mask(sample_weight, mask, self.dtype, "sum")
        super().update_state(ops.square(y_pred - y_true), sample_weight=sample_weight)

    def result(self) -> Any:
        """Return the root of the mean."""
        return ops.sqrt(super().result())


class MeanSquaredError(FunctionMetric):
    """The mean of the loss :func:`nngraph.losses.mean_squared_error` over all samples.

    >>> float(MeanSquaredError()([[0.0, 1.0]], [[1.0, 3.0]]))
    2.5
    """

    function = staticmethod(mean_squared_error)

    def __init__(self, name: str | None = "mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)


class MeanAbsoluteError(FunctionMetric):
    """The mean of the loss :func:`nngraph.losses.mean_absolute_error` over all samples.

    >>> float(MeanAbsoluteError()([[0.0, 1.0]], [[1.0, 3.0]]))
    1.5
    """

    function = staticmethod(mean_absolute_error)

    def __init__(self, name: str | None = "mean_absolute_error", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)


class MeanAbsolutePercentageError(FunctionMetric):
    """The mean of the loss :func:`nngraph.losses.mean_absolute_percentage_error` over all samples.

    >>> float(MeanAbsolutePercentageError()([[2.0, 4.0]], [[1.0, 5.0]]))
    37.5
    """

    function = staticmethod(mean_absolute_percentage_error)

    def __init__(self, name: str | None = "mean_absolute_percentage_error", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)


class MeanSquaredLogarithmicError(FunctionMetric):
    """The mean of the loss :func:`nngraph.losses.mean_squared_logarithmic_error` over all samples.

    >>> float(MeanSquaredLogarithmicError()([[0.0]], [[0.0]]))
    0.0
    """

    function = staticmethod(mean_squared_logarithmic_error)

    def __init__(self, name: str | None = "mean_squared_logarithmic_error", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)


class LogCoshError(FunctionMetric):
    """The mean of the loss :func:`nngraph.losses.log_cosh` over all samples.

    >>> float(LogCoshError()([[0.0]], [[0.0]]))
    0.0
    """

    function = staticmethod(log_cosh)

    def __init__(self, name: str | None = "logcosh", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)


class KLDivergence(FunctionMetric):
    """The mean of the loss :func:`nngraph.losses.kl_divergence` over all samples.

    >>> float(KLDivergence()([[0.0, 1.0]], [[0.0, 1.0]]))
    0.0
    """

    function = staticmethod(kl_divergence)

    def __init__(self, name: str | None = "kl_divergence", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)


class Poisson(FunctionMetric):
    """The mean of the loss :func:`nngraph.losses.poisson` over all samples.

    >>> round(float(Poisson()([[0.0, 1.0]], [[0.0, 1.0]])), 4)
    0.5
    """

    function = staticmethod(poisson)

    def __init__(self, name: str | None = "poisson", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)


class Hinge(FunctionMetric):
    """The mean of the loss :func:`nngraph.losses.hinge` over all samples.

    >>> float(Hinge()([[-1.0, 1.0]], [[0.5, 2.0]]))
    0.75
    """

    function = staticmethod(hinge)

    def __init__(self, name: str | None = "hinge", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)


class SquaredHinge(FunctionMetric):
    """The mean of the loss :func:`nngraph.losses.squared_hinge` over all samples.

    >>> float(SquaredHinge()([[-1.0, 1.0]], [[1.0, 2.0]]))
    2.0
    """

    function = staticmethod(squared_hinge)

    def __init__(self, name: str | None = "squared_hinge", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)


class CategoricalHinge(FunctionMetric):
    """The mean of the loss :func:`nngraph.losses.categorical_hinge` over all samples.

    >>> float(CategoricalHinge()([[0.0, 1.0]], [[0.5, 1.0]]))
    0.5
    """

    function = staticmethod(categorical_hinge)

    def __init__(self, name: str | None = "categorical_hinge", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)


class BinaryCrossentropy(FunctionMetric):
    """The mean of the loss :func:`nngraph.losses.binary_crossentropy` over all samples.

    >>> round(float(BinaryCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
    0.6931
    """

    function = staticmethod(binary_crossentropy)
    options = ("from_logits", "label_smoothing")

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ) -> None:
        super().__init__(name=name, dtype=dtype, from_logits=from_logits, label_smoothing=label_smoothing)


class CategoricalCrossentropy(FunctionMetric):
    """The mean of the loss :func:`nngraph.losses.categorical_crossentropy` over all samples.

    >>> round(float(CategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
    0.6931
    """

    function = staticmethod(categorical_crossentropy)
    options = ("from_logits", "label_smoothing", "axis")

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ) -> None:
        super().__init__(name=name, dtype=dtype, from_logits=from_logits, label_smoothing=label_smoothing, axis=axis)


class SparseCategoricalCrossentropy(FunctionMetric):
    """The mean of the loss :func:`nngraph.losses.sparse_categorical_crossentropy` over all samples.

    >>> round(float(SparseCategoricalCrossentropy()([1], [[0.5, 0.5]])), 4)
    0.6931
    """

    function = staticmethod(sparse_categorical_crossentropy)
    options = ("from_logits", "ignore_class", "axis")

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(name=name, dtype=dtype, from_logits=from_logits, ignore_class=ignore_class, axis=axis)
