"""Sums and means over samples, and metrics that are the mean of a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nngraph import ops
from nngraph.losses.base import apply_mask, squeeze_or_expand_to_same_rank
from nngraph.metrics.base import Metric
from nngraph.ops.masking import get_mask
from nngraph.saving.registry import deserialize_keras_object, serialize_keras_object

__all__ = ["FunctionMetric", "Mean", "MeanMetricWrapper", "Sum", "reduce_to_samplewise_values"]


def reduce_to_samplewise_values(
    values: Any, sample_weight: Any, reduce_fn: Callable[..., Any], dtype: str
) -> tuple[Any, Any]:
    """Return one weighted value for each sample, and one weight for each, or None without weights.

    Axes of the values that the weights do not have are reduced before the weights are applied, the others after it.
    As in Keras, a mask of the values counts only together with weights.
    """
    mask = get_mask(values)
    values = ops.cast(values, dtype)
    if sample_weight is not None:
        weight = apply_mask(ops.cast(sample_weight, dtype), mask, dtype, "sum")
        values, weight = squeeze_or_expand_to_same_rank(values, weight)
        rank = len(weight.shape)
        if len(values.shape) > rank:
            values = reduce_fn(values, axis=tuple(range(rank, len(values.shape))))
        weight = ops.broadcast_to(weight, ops.shape(values))
        values = values * weight
        sample_weight = reduce_fn(weight, axis=tuple(range(1, rank))) if rank > 1 else weight
    if len(values.shape) > 1:
        values = reduce_fn(values, axis=tuple(range(1, len(values.shape))))
    return values, sample_weight


class Sum(Metric):
    """The weighted sum of all values.

    >>> metric = Sum()
    >>> metric.update_state([1.0, 3.0]); metric.update_state([1.0, 3.0], sample_weight=[1.0, 0.0])
    >>> float(metric.result())
    5.0
    """

    def __init__(self, name: str | None = "sum", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), "zeros", name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add values, times weights that broadcast to them."""
        values, _ = reduce_to_samplewise_values(values, sample_weight, ops.sum, self.dtype)
        self.total.assign_add(ops.sum(values))

    def result(self) -> Any:
        """Return the sum."""
        return ops.convert_to_tensor(self.total)


class Mean(Metric):
    """The weighted mean of all values: their sum divided by the sum of the weights, or by the number of samples.

    >>> metric = Mean()
    >>> metric.update_state([1.0, 3.0]); metric.update_state([5.0, 3.0], sample_weight=[2.0, 0.0])
    >>> float(metric.result())
    3.5
    """

    def __init__(self, name: str | None = "mean", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), "zeros", name="total")
        self.count = self.add_variable((), "zeros", name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Take values into account; weights have their shape or that of their first axes."""
        values, weight = reduce_to_samplewise_values(values, sample_weight, ops.mean, self.dtype)
        self.total.assign_add(ops.sum(values))
        if weight is not None:
            self.count.assign_add(ops.sum(weight))
        else:
            self.count.assign_add(ops.cast(ops.shape(values)[0] if len(values.shape) else 1, self.dtype))

    def result(self) -> Any:
        """Return the mean, 0 without values."""
        return ops.divide_no_nan(self.total, self.count)


class MeanMetricWrapper(Mean):
    """The weighted mean of `fn(y_true, y_pred, **kwargs)`, which returns one value for each sample.

    A mask of the predictions counts as weights of 0 and 1.

    Args:
        fn: the function.
        name, dtype: as of :class:`Metric`.
        kwargs: passed to `fn` at each call.

    >>> metric = MeanMetricWrapper(lambda y_true, y_pred: abs(y_true - y_pred), name="distance")
    >>> import numpy as np
    >>> float(metric(np.array([1.0, 2.0]), np.array([1.0, 5.0])))
    1.5
    """

    def __init__(self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        super().__init__(name=name, dtype=dtype)
        self._fn = fn
        self._fn_kwargs = kwargs

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Take a batch into account."""
        mask = get_mask(y_pred)
        values = self._fn(y_true, y_pred, **self._fn_kwargs)
        if mask is not None:
            sample_weight = apply_mask(sample_weight, mask, self.dtype, "sum")
        super().update_state(values, sample_weight=sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, the function described by its name."""
        kwargs = {key: serialize_keras_object(value) for key, value in self._fn_kwargs.items()}
        return {**super().get_config(), "fn": serialize_keras_object(self._fn), **kwargs}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        """Build the metric that `get_config` described."""
        return cls(**{k: v if k in ("name", "dtype") else deserialize_keras_object(v) for k, v in config.items()})


class FunctionMetric(MeanMetricWrapper):
    """Base of the means of this package whose function is fixed by the class.

    A subclass sets `function`, and `options` to the names of its own arguments, kept as attributes.
    """

    function: Callable[..., Any]
    options: tuple[str, ...] = ()

    def __init__(self, name: str | None = None, dtype: Any = None, **options: Any) -> None:
        super().__init__(type(self).function, name=name, dtype=dtype, **options)
        for option, value in options.items():
            setattr(self, option, value)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, of which `from_config` builds an equal metric."""
        return {"name": self.name, "dtype": self.dtype, **{option: getattr(self, option) for option in self.options}}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        """Build the metric that `get_config` described."""
        return cls(**config)
