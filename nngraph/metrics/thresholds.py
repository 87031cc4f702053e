"""Counting true and false positives and negatives at one or many thresholds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nngraph import ops
from nngraph.losses.base import squeeze_or_expand_to_same_rank
from nngraph.losses.checks import shape_text
from nngraph.ops import raw

__all__ = ["NEVER", "Counts", "are_even", "check_thresholds", "count_at_thresholds", "only_top_k"]

# Below every prediction: the score of a class that is not among the best k, and the threshold below all others.
NEVER = -1e10


@dataclass(frozen=True)
class Counts:
    """Weighted counts for each threshold, with a column for each label where labels are counted apart."""

    true_positives: Any
    false_positives: Any
    true_negatives: Any
    false_negatives: Any


def check_thresholds(thresholds: float | Sequence[float] | None, default: float) -> list[float]:
    """Return thresholds as a list.

    Raises:
        ValueError: one does not lie in [0, 1].
    """
    if thresholds is None:
        return [default]
    found = [float(t) for t in (thresholds if isinstance(thresholds, Iterable) else [thresholds])]
    bad = [t for t in found if not (0 <= t <= 1 or t == NEVER)]
    if bad:
        raise ValueError(f"Thresholds must lie in [0, 1]. Received: {bad}")
    return found


def are_even(thresholds: Sequence[float]) -> bool:
    """Return whether sorted thresholds lie at equal distances from 0 to 1, a little more at both ends allowed.

    >>> are_even([-1e-7, 0.5, 1.0000001]), are_even([0.0, 0.3, 1.0])
    (True, False)
    """
    count = len(thresholds)
    return count > 2 and np.allclose(thresholds, np.linspace(0.0, 1.0, count), rtol=0, atol=1.1e-7)


def only_top_k(y_pred: Any, k: int) -> Any:
    """Return predictions in which all but the `k` largest of the last axis are :data:`NEVER`."""
    _, best = ops.top_k(y_pred, k=k)
    classes = y_pred.shape[-1]
    chosen = ops.sum(ops.one_hot(ops.cast(best, "int32"), classes, dtype="int32"), axis=-2)
    return ops.where(ops.greater(chosen, 0), y_pred, NEVER)


def count_at_thresholds(
    y_true: Any,
    y_pred: Any,
    thresholds: Sequence[float],
    *,
    dtype: str,
    sample_weight: Any = None,
    top_k: int | None = None,
    class_id: int | None = None,
    multi_label: bool = False,
    label_weights: Any = None,
    even: bool = False,
) -> Counts:
    """Count predictions above and below each threshold against targets.

    Args:
        y_true: targets; all but 0 is positive.
        y_pred: predictions in [0, 1], the same shape.
        thresholds: numbers in rising order if `even`.
        dtype: dtype of the counts.
        sample_weight: weights that broadcast to the predictions, from the first axis on.
        top_k: only the k largest predictions of the last axis can be positive.
        class_id: look at one entry of the last axis only.
        multi_label: count each entry of the last axis apart.
        label_weights: weights of the entries of the last axis.
        even: the thresholds are evenly spaced, so that each prediction belongs to a computable interval: the cost does
            not grow with their number.

    Returns:
        Counts of shape (thresholds,), or (thresholds, labels) if `multi_label`.

    Raises:
        ValueError: the shapes differ, or `class_id` is no class.
    """
    y_true, y_pred = ops.cast(y_true, dtype), ops.cast(y_pred, dtype)
    y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
    if top_k is not None:
        y_pred = only_top_k(y_pred, top_k)
    if class_id is not None:
        _check_class(class_id, y_pred)
        y_true, y_pred = y_true[..., class_id], y_pred[..., class_id]
    _check_shapes(y_true, y_pred)
    weight = _weights(y_pred, sample_weight, label_weights, dtype)
    labels = y_pred.shape[-1] if multi_label else 1
    flat = [ops.reshape(x, (-1, labels)) for x in (y_true, y_pred)]
    weight = None if weight is None else ops.reshape(ops.broadcast_to(weight, ops.shape(y_pred)), (-1, labels))
    counts = (_even if even else _any)(flat[0], flat[1], weight, thresholds)
    return counts if multi_label else Counts(*(ops.squeeze(c, 1) for c in vars(counts).values()))


def _check_class(class_id: int, y_pred: Any) -> None:
    classes = y_pred.shape[-1] if len(y_pred.shape) > 1 else 1
    if isinstance(classes, int) and not 0 <= class_id < classes:
        raise ValueError(
            f"class_id must be a class of the predictions, 0 to {classes - 1}. Received: class_id={class_id}"
        )


def _check_shapes(y_true: Any, y_pred: Any) -> None:
    pairs = zip(y_true.shape, y_pred.shape, strict=False)
    if len(y_true.shape) != len(y_pred.shape) or any(
        isinstance(a, int) and isinstance(b, int) and a != b for a, b in pairs
    ):
        raise ValueError(
            f"Targets and predictions must have the same shape. Received: y_true of shape {shape_text(y_true)}, "
            f"y_pred of shape {shape_text(y_pred)}. Convert class numbers with to_categorical(y)."
        )


def _weights(y_pred: Any, sample_weight: Any, label_weights: Any, dtype: str) -> Any:
    weight = None
    if sample_weight is not None:
        weight = ops.cast(sample_weight, dtype)
        while len(weight.shape) < len(y_pred.shape):
            weight = ops.expand_dims(weight, -1)
    if label_weights is not None:
        own = ops.cast(label_weights, dtype)
        weight = own if weight is None else weight * own
    return weight


def _amounts(y_true: Any, weight: Any, dtype: str) -> tuple[Any, Any]:
    """Return what each prediction adds to the positive and to the negative counts."""
    positive = ops.cast(ops.cast(y_true, "bool"), dtype)
    negative = 1.0 - positive
    return (positive, negative) if weight is None else (positive * weight, negative * weight)


def _any(y_true: Any, y_pred: Any, weight: Any, thresholds: Sequence[float]) -> Counts:
    """Compare every prediction with every threshold."""
    dtype = ops.dtype_of(y_pred)
    limits = ops.reshape(ops.cast(np.asarray(thresholds), dtype), (-1, 1, 1))
    above = ops.cast(ops.greater(y_pred, limits), dtype)  # (thresholds, samples, labels)
    positive, negative = _amounts(y_true, weight, dtype)
    below = 1.0 - above
    pairs = ((above, positive), (above, negative), (below, negative), (below, positive))
    return Counts(*(ops.sum(a * b, axis=1) for a, b in pairs))


def _even(y_true: Any, y_pred: Any, weight: Any, thresholds: Sequence[float]) -> Counts:
    """Sum the weights in the intervals between thresholds, then add up from either side."""
    dtype, count = ops.dtype_of(y_pred), len(thresholds)
    positive, negative = _amounts(y_true, weight, dtype)
    # p lies in interval b when it is above b thresholds; p = 0 is above the first if that is below 0.
    scaled = ops.ceil(ops.minimum(y_pred, 1.0) * (count - 1))
    # NaN is not greater than 0; as an index it would be anything.
    interval = ops.cast(ops.where(ops.greater(y_pred, 0.0), scaled, 0.0), "int64")
    if thresholds[0] < 0:
        interval = ops.maximum(interval, 1)
    empty = np.zeros((count, y_pred.shape[1]), dtype)
    axis = np.asarray(0, np.int64)
    found = []
    for amounts in (positive, negative):
        summed = raw.ScatterElements(empty, interval, amounts, axis=0, reduction="add")
        above = raw.CumSum(summed, axis, reverse=1, exclusive=1)
        found.append((above, raw.CumSum(summed, axis)))
    (tp, fn), (fp, tn) = found
    return Counts(tp, fp, tn, fn)
