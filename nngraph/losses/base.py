"""What every loss is: a value for each sample, weighted, masked and reduced to a number."""

from __future__ import annotations

import math
from typing import Any

from nngraph import config, ops, tree
from nngraph.config import DTypePolicy
from nngraph.errors import unknown_name
from nngraph.ir import standardize_dtype
from nngraph.naming import auto_name, snake_case
from nngraph.ops.masking import get_mask
from nngraph.ops.trace import recorded_under

__all__ = [
    "REDUCTIONS",
    "Loss",
    "apply_mask",
    "count_of",
    "reduce_weighted_values",
    "squeeze_or_expand_to_same_rank",
    "standardize_reduction",
]

REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none")


class Loss:
    """Base of losses: objects `(y_true, y_pred, sample_weight=None)` that return a number to be minimized.

    A subclass defines `call(y_true, y_pred)`, which returns one value for each sample (or each time step, pixel ...).
    The base converts both to its dtype, multiplies the values with the sample weights and with the mask of `y_pred`,
    and reduces them.

    Args:
        name: default is the class name in snake case.
        reduction: "sum_over_batch_size" or "mean" (sum divided by the number of values, weighted or not),
            "mean_with_sample_weight" (sum divided by the sum of weights), "sum", or "none" (None) for the values.
        dtype: dtype of the computation, default `nngraph.config.floatx()`.

    Raises:
        ValueError: the reduction is unknown, or shapes of targets, predictions and weights do not fit.

    >>> import numpy as np
    >>> class Distance(Loss):
    ...     def call(self, y_true, y_pred):
    ...         return ops.max(ops.abs(y_true - y_pred), axis=-1)
    >>> float(Distance()(np.array([[1.0, 2.0]]), np.array([[1.5, 5.0]])))
    3.0
    """

    def __init__(
        self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None
    ) -> None:
        self.name = name or auto_name(snake_case(type(self).__name__))
        self.reduction = standardize_reduction(reduction)
        self._dtype = _compute_dtype(dtype)
        self._dtype_is_default = dtype is None

    @property
    def dtype(self) -> str:
        """The dtype of the computation."""
        return self._dtype

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return one value for each sample; a subclass defines it."""
        raise NotImplementedError(f"Loss {type(self).__name__} must define call(self, y_true, y_pred).")

    def convert_targets(self, y_true: Any) -> Any:
        """Return targets as a tensor of the loss's dtype; losses whose targets are class numbers keep integers."""
        return ops.convert_to_tensor(y_true, dtype=self.dtype)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Return the reduced loss; `sample_weight` has the shape of the values or one that broadcasts to it."""
        with recorded_under(f"loss/{self.name}"):
            mask = get_mask(y_pred)
            y_pred = tree.map_structure(lambda x: ops.convert_to_tensor(x, dtype=self.dtype), y_pred)
            y_true = tree.map_structure(self.convert_targets, y_true)
            values = self.call(y_true, y_pred)
            own_mask = get_mask(values)
            if own_mask is not None:
                mask = own_mask if mask is None else ops.logical_and(mask, own_mask)
            return reduce_weighted_values(values, self.reduction, sample_weight, mask, self.dtype, name=self.name)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, of which `from_config` builds an equal loss."""
        described: dict[str, Any] = {"name": self.name, "reduction": self.reduction}
        return described if self._dtype_is_default else {**described, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Loss:
        """Build the loss that `get_config` described."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def _compute_dtype(dtype: Any) -> str:
    if dtype is None:
        return config.floatx()
    return dtype.compute_dtype if isinstance(dtype, DTypePolicy) else standardize_dtype(dtype)


def standardize_reduction(reduction: str | None) -> str:
    """Return the name of a reduction; None is "none"; raises ValueError for an unknown one."""
    if reduction is None:
        return "none"
    if reduction not in REDUCTIONS:
        raise unknown_name("reduction", reduction, REDUCTIONS)
    return reduction


def squeeze_or_expand_to_same_rank(x1: Any, x2: Any, expand_rank_1: bool = True) -> tuple[Any, Any]:
    """Return two tensors in equal rank where a last axis of size 1 is all that separates them.

    A vector meets a column as a column when `expand_rank_1`; in all other cases the axis of size 1 goes.

    >>> import numpy as np
    >>> [x.shape for x in squeeze_or_expand_to_same_rank(np.zeros((4, 1)), np.zeros(4))]
    [(4, 1), (4, 1)]
    """
    gap = len(x1.shape) - len(x2.shape)
    if gap == 1 and x1.shape[-1] == 1:
        if len(x2.shape) == 1 and expand_rank_1:
            return x1, ops.expand_dims(x2, -1)
        return ops.squeeze(x1, -1), x2
    if gap == -1 and x2.shape[-1] == 1:
        if len(x1.shape) == 1 and expand_rank_1:
            return ops.expand_dims(x1, -1), x2
        return x1, ops.squeeze(x2, -1)
    return x1, x2


def count_of(x: Any, dtype: str) -> Any:
    """Return the number of elements of a tensor: a number where the shape is known, else a scalar of the graph."""
    sizes = ops.shape(x)
    known = math.prod(int(s) for s in sizes if isinstance(s, int))
    unknown = [s for s in sizes if not isinstance(s, int)]
    if not unknown:
        return known
    count = unknown[0]
    for size in unknown[1:]:
        count = count * size
    return ops.cast(count if known == 1 else count * known, dtype)


def apply_mask(sample_weight: Any, mask: Any, dtype: str, reduction: str | None) -> Any:
    """Return sample weights that are zero where the mask is False.

    For the means the weights grow by (number of entries) / (number of entries that count), so that a mean over all
    entries is the mean over those that count.
    """
    if mask is None:
        return sample_weight
    mask = ops.cast(mask, dtype)
    if reduction in ("mean", "sum_over_batch_size"):
        mask = mask * (count_of(mask, dtype) / (ops.sum(mask) + config.epsilon()))
    if sample_weight is None:
        return mask
    mask, sample_weight = squeeze_or_expand_to_same_rank(mask, ops.cast(sample_weight, dtype))
    while len(sample_weight.shape) < len(mask.shape):  # a weight of a sample is the weight of all its time steps
        sample_weight = ops.expand_dims(sample_weight, -1)
    return sample_weight * mask


def reduce_weighted_values(
    values: Any,
    reduction: str | None = "sum_over_batch_size",
    sample_weight: Any = None,
    mask: Any = None,
    dtype: Any = None,
    *,
    name: str = "loss",
) -> Any:
    """Return the values times weights and mask, reduced; see :class:`Loss` for the reductions.

    Raises:
        ValueError: the weights do not broadcast to the values; the message starts with `name`.
    """
    reduction = standardize_reduction(reduction)
    values = ops.convert_to_tensor(values, dtype=dtype)
    dtype = ops.dtype_of(values)
    if sample_weight is not None:
        sample_weight = ops.convert_to_tensor(sample_weight, dtype=dtype)
    weight = apply_mask(sample_weight, mask, dtype, reduction)
    if weight is not None:
        values, weight = squeeze_or_expand_to_same_rank(values, weight)
        _check_weight(values, weight, name)
        values = values * weight
    if reduction == "none" or len(values.shape) == 0:
        return values
    if reduction == "sum":
        return ops.sum(values)
    if reduction == "mean_with_sample_weight" and weight is not None:
        return ops.divide_no_nan(ops.sum(values), ops.sum(weight))
    return ops.mean(values)


def _check_weight(values: Any, weight: Any, name: str) -> None:
    known = [len(weight.shape) <= len(values.shape)]
    for wanted, got in zip(reversed(values.shape), reversed(weight.shape), strict=False):
        known.append(got == 1 or not isinstance(got, int) or not isinstance(wanted, int) or wanted in (got, 1))
    if not all(known):
        raise ValueError(
            f"Loss {name!r}: sample weights of shape {tuple(weight.shape)} do not broadcast to its values of shape "
            f"{tuple(values.shape)}. Give one weight for each sample, shape ({_first(values)},), or one for each value."
        )


def _first(values: Any) -> Any:
    return values.shape[0] if len(values.shape) else 1
