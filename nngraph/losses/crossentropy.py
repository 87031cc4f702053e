"""Losses between distributions: cross-entropies, their focal and robust forms, and the divergence."""

from __future__ import annotations

import warnings
from typing import Any

from nngraph import config, ops
from nngraph.losses.checks import aligned, as_labels, check_class_vectors, shape_text, targets_like
from nngraph.losses.wrapper import FunctionLoss
from nngraph.ops.masking import set_mask

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "KLDivergence",
    "SparseCategoricalCrossentropy",
    "binary_crossentropy",
    "categorical_crossentropy",
    "categorical_generalized_cross_entropy",
    "kl_divergence",
    "smoothed_binary",
    "smoothed_categorical",
    "sparse_categorical_crossentropy",
]


def smoothed_binary(y_true: Any, label_smoothing: float) -> Any:
    """Return targets of 0 and 1 moved towards 0.5: `label_smoothing` 0.2 makes 0.1 and 0.9 of them."""
    return y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing if label_smoothing else y_true


def smoothed_categorical(y_true: Any, label_smoothing: float, axis: int = -1) -> Any:
    """Return distributions over classes moved towards the uniform one."""
    if not label_smoothing:
        return y_true
    classes = y_true.shape[axis]
    if not isinstance(classes, int):
        raise ValueError(
            f"label_smoothing needs a known number of classes. Received: y_true of shape {shape_text(y_true)}"
        )
    return y_true * (1.0 - label_smoothing) + label_smoothing / classes


def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """Return the mean over `axis` of -(t log p + (1 - t) log(1 - p)).

    Args:
        y_true: targets t, from 0 to 1.
        y_pred: probabilities p of the same shape, or logits.
        from_logits: whether `y_pred` holds logits.
        label_smoothing: moves targets towards 0.5.
        axis: the axis of the mean.

    Raises:
        ValueError: the shapes differ.

    >>> print(binary_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).round(4))
    [0.6931]
    """
    y_true, y_pred = aligned("binary_crossentropy", y_true, y_pred)
    check_class_vectors("binary_crossentropy", y_true, y_pred, axis)
    y_true = smoothed_binary(y_true, label_smoothing)
    return ops.mean(ops.binary_crossentropy(y_true, y_pred, from_logits=from_logits), axis=axis)


def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """Return -Σ t log p over the classes.

    Args:
        y_true: one-hot targets, or distributions over the classes.
        y_pred: probabilities of the same shape, or logits.
        from_logits: whether `y_pred` holds logits; probabilities are divided by their sum.
        label_smoothing: moves targets towards the uniform distribution.
        axis: the axis of the classes.

    Raises:
        ValueError: the shapes differ; for class numbers the message names the loss that takes them.

    >>> print(categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).round(4))
    [0.6931]
    """
    y_true, y_pred = targets_like(y_true, y_pred)
    check_class_vectors("categorical_crossentropy", y_true, y_pred, axis)
    _warn_of_one_class("categorical_crossentropy", y_pred, axis)
    y_true = smoothed_categorical(y_true, label_smoothing, axis)
    return ops.categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)


def _warn_of_one_class(loss: str, y_pred: Any, axis: int) -> None:
    if y_pred.shape[axis] == 1:
        warnings.warn(
            f"Loss {loss!r} compares classes, but the predictions of shape {shape_text(y_pred)} have only one, so "
            "it is always zero. Use 'binary_crossentropy' with one unit, or give the last layer a unit for each class.",
            SyntaxWarning,
            stacklevel=3,
        )


def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Any:
    """Return -log p of the class with the given number.

    Args:
        y_true: class numbers, in the shape of `y_pred` without the class axis, or with a last axis of size 1.
        y_pred: probabilities or logits.
        from_logits: whether `y_pred` holds logits; probabilities are divided by their sum.
        ignore_class: a class number that does not count: its loss is zero, and a mean leaves it out.
        axis: the axis of the classes.

    Raises:
        ValueError: the shapes do not fit; for one-hot targets the message names the loss that takes them.

    >>> print(sparse_categorical_crossentropy([1, 2], [[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]).round(4))
    [0.6931 0.6931]
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = as_labels("sparse_categorical_crossentropy", ops.convert_to_tensor(y_true), y_pred, axis)
    y_true = ops.cast(y_true, "int32")
    if ignore_class is None:
        return ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)
    counts = ops.not_equal(y_true, ignore_class)
    known = ops.where(counts, y_true, 0)
    losses = ops.sparse_categorical_crossentropy(known, y_pred, from_logits=from_logits, axis=axis)
    losses = ops.where(counts, losses, 0.0)
    set_mask(losses, counts)
    return losses


def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float) -> Any:
    """Return (1 - p^q) / q for the probability p of the true class: between cross-entropy (q → 0) and error (q = 1).

    Zhang and Sabuncu, "Generalized cross entropy loss for training deep neural networks with noisy labels", 2018.

    Args:
        y_true: class numbers.
        y_pred: probabilities, classes along the last axis.
        q: robustness against wrong labels, in (0, 1).

    >>> print(categorical_generalized_cross_entropy([1], [[0.36, 0.64]], q=0.5).round(4))
    [0.4]
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = as_labels("categorical_generalized_cross_entropy", ops.convert_to_tensor(y_true), y_pred)
    one_hot = ops.one_hot(ops.cast(y_true, "int32"), y_pred.shape[-1], dtype=ops.dtype_of(y_pred))
    p = ops.sum(y_pred * one_hot, axis=-1)
    return (1.0 - ops.power(p, q)) / q


def kl_divergence(y_true: Any, y_pred: Any) -> Any:
    """Return Σ t log(t / p) over the last axis, both limited to [ε, 1].

    >>> print(kl_divergence([[0.0, 1.0]], [[0.5, 0.5]]).round(4))
    [0.6931]
    """
    y_true, y_pred = aligned("kl_divergence", y_true, y_pred)
    y_true = ops.clip(y_true, config.epsilon(), 1.0)
    y_pred = ops.clip(y_pred, config.epsilon(), 1.0)
    return ops.sum(y_true * ops.log(y_true / y_pred), axis=-1)


class BinaryCrossentropy(FunctionLoss):
    """The loss :func:`binary_crossentropy`; other arguments as of :class:`Loss`.

    >>> round(float(BinaryCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
    0.6931
    """

    function = staticmethod(binary_crossentropy)
    options = ("from_logits", "label_smoothing", "axis")

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


class CategoricalCrossentropy(FunctionLoss):
    """The loss :func:`categorical_crossentropy`, for one-hot targets; other arguments as of :class:`Loss`.

    >>> round(float(CategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
    0.6931
    """

    function = staticmethod(categorical_crossentropy)
    options = ("from_logits", "label_smoothing", "axis")

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


class _LabelLoss(FunctionLoss):
    """A loss whose targets are class numbers, which stay whole numbers."""

    def convert_targets(self, y_true: Any) -> Any:
        """Return class numbers as a tensor of int32."""
        return ops.cast(y_true, "int32")


class SparseCategoricalCrossentropy(_LabelLoss):
    """The loss :func:`sparse_categorical_crossentropy`, for class numbers; other arguments as of :class:`Loss`.

    >>> round(float(SparseCategoricalCrossentropy()([1], [[0.5, 0.5]])), 4)
    0.6931
    """

    function = staticmethod(sparse_categorical_crossentropy)
    options = ("from_logits", "ignore_class", "axis")

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.from_logits = from_logits
        self.ignore_class = ignore_class
        self.axis = axis


class CategoricalGeneralizedCrossEntropy(_LabelLoss):
    """The loss :func:`categorical_generalized_cross_entropy`, for class numbers; other arguments as of :class:`Loss`.

    Raises:
        ValueError: q is not between 0 and 1.

    >>> round(float(CategoricalGeneralizedCrossEntropy()([1], [[0.36, 0.64]])), 4)
    0.4
    """

    function = staticmethod(categorical_generalized_cross_entropy)
    options = ("q",)

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_generalized_cross_entropy",
        dtype: Any = None,
    ) -> None:
        if not 0 < q < 1:
            raise ValueError(f"q must be between 0 and 1, both excluded. Received: q={q}")
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.q = q


class KLDivergence(FunctionLoss):
    """The loss :func:`kl_divergence`; arguments as of :class:`Loss`.

    >>> round(float(KLDivergence()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
    0.6931
    """

    function = staticmethod(kl_divergence)

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "kl_divergence", dtype: Any = None
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
