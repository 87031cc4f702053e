"""Focal losses: cross-entropies in which samples that are easy already count less.

Lin et al., "Focal loss for dense object detection", 2018.
"""

from __future__ import annotations

from typing import Any

from nngraph import config, ops
from nngraph.losses.checks import aligned, check_class_vectors, targets_like
from nngraph.losses.crossentropy import smoothed_binary, smoothed_categorical
from nngraph.losses.wrapper import FunctionLoss

__all__ = [
    "BinaryFocalCrossentropy",
    "CategoricalFocalCrossentropy",
    "binary_focal_crossentropy",
    "categorical_focal_crossentropy",
]


def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """Return the mean over `axis` of (1 - p_t)^gamma times the binary cross-entropy; p_t = t p + (1 - t)(1 - p).

    Args:
        y_true: targets t, from 0 to 1.
        y_pred: probabilities p of the same shape, or logits.
        apply_class_balancing: multiply with `alpha` for targets 1 and with 1 - `alpha` for targets 0.
        alpha: weight of the class 1.
        gamma: how much easy samples are discounted; 0 is the plain cross-entropy.
        from_logits: whether `y_pred` holds logits.
        label_smoothing: moves targets towards 0.5.
        axis: the axis of the mean.

    >>> print(binary_focal_crossentropy([[1.0]], [[0.5]]).round(4))
    [0.1733]
    """
    y_true, y_pred = aligned("binary_focal_crossentropy", y_true, y_pred)
    check_class_vectors("binary_focal_crossentropy", y_true, y_pred, axis)
    y_true = smoothed_binary(y_true, label_smoothing)
    if from_logits:
        y_pred = ops.sigmoid(y_pred)
    right = y_true * y_pred + (1.0 - y_true) * (1.0 - y_pred)
    losses = ops.power(1.0 - right, gamma) * ops.binary_crossentropy(y_true, y_pred)
    if apply_class_balancing:
        losses = losses * (y_true * alpha + (1.0 - y_true) * (1.0 - alpha))
    return ops.mean(losses, axis=axis)


def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: Any = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """Return -Σ alpha (1 - p)^gamma t log p over the classes.

    Args:
        y_true: one-hot targets t.
        y_pred: probabilities p of the same shape, or logits.
        alpha: weight of all classes, or a list with one weight for each.
        gamma: how much easy samples are discounted; 0 is the plain cross-entropy.
        from_logits: whether `y_pred` holds logits; probabilities are divided by their sum.
        label_smoothing: moves targets towards the uniform distribution.
        axis: the axis of the classes.

    >>> print(categorical_focal_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).round(4))
    [0.0433]
    """
    y_true, y_pred = targets_like(y_true, y_pred)
    check_class_vectors("categorical_focal_crossentropy", y_true, y_pred, axis)
    y_true = smoothed_categorical(y_true, label_smoothing, axis)
    if from_logits:
        y_pred = ops.softmax(y_pred, axis=axis)
    p = ops.clip(y_pred / ops.sum(y_pred, axis=axis, keepdims=True), config.epsilon(), 1.0 - config.epsilon())
    losses = ops.power(1.0 - p, gamma) * alpha * (-y_true * ops.log(p))
    return ops.sum(losses, axis=axis)


class BinaryFocalCrossentropy(FunctionLoss):
    """The loss :func:`binary_focal_crossentropy`; other arguments as of :class:`Loss`.

    >>> round(float(BinaryFocalCrossentropy()([[1.0]], [[0.5]])), 4)
    0.1733
    """

    function = staticmethod(binary_focal_crossentropy)
    options = ("apply_class_balancing", "alpha", "gamma", "from_logits", "label_smoothing", "axis")

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.apply_class_balancing = apply_class_balancing
        self.alpha = alpha
        self.gamma = gamma
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


class CategoricalFocalCrossentropy(FunctionLoss):
    """The loss :func:`categorical_focal_crossentropy`, for one-hot targets; other arguments as of :class:`Loss`.

    >>> round(float(CategoricalFocalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
    0.0433
    """

    function = staticmethod(categorical_focal_crossentropy)
    options = ("alpha", "gamma", "from_logits", "label_smoothing", "axis")

    def __init__(
        self,
        alpha: Any = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.alpha = alpha
        self.gamma = gamma
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis
