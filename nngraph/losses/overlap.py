"""Losses for segmentation: how well the predicted region covers the true one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nngraph import config, ops
from nngraph.losses.checks import aligned
from nngraph.losses.wrapper import FunctionLoss

__all__ = ["Dice", "Tversky", "dice", "tversky"]

Axes = int | Sequence[int] | None


def _axes(axis: Axes) -> Any:
    return axis if axis is None or isinstance(axis, int) else tuple(axis)


def dice(y_true: Any, y_pred: Any, axis: Axes = None) -> Any:
    """Return 1 - 2 Σ y_true y_pred / (Σ y_true + Σ y_pred + ε), the sums over `axis` (all axes by default).

    Dice, "Measures of the amount of ecologic association between species", 1945.

    >>> float(dice([[0.0, 1.0]], [[0.0, 1.0]]).round(4))
    0.0
    """
    y_true, y_pred = aligned("dice", y_true, y_pred)
    axes = _axes(axis)
    common = ops.sum(y_true * y_pred, axis=axes)
    total = ops.sum(y_true, axis=axes) + ops.sum(y_pred, axis=axes)
    return 1.0 - 2.0 * common / (total + config.epsilon())


def tversky(y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Axes = None) -> Any:
    """Return 1 - TP / (TP + alpha FN + beta FP + ε), counted over `axis` (all axes by default).

    TP = Σ y_true y_pred, FN = Σ y_true (1 - y_pred), FP = Σ (1 - y_true) y_pred. With alpha = beta = 0.5 it is the Dice
    loss. Salehi et al., "Tversky loss function for image segmentation", 2017; alpha weights FN, as in Keras.

    >>> float(tversky([[1.0, 1.0]], [[0.0, 1.0]], alpha=1.0).round(4))
    0.5
    """
    y_true, y_pred = aligned("tversky", y_true, y_pred)
    axes = _axes(axis)
    common = ops.sum(y_true * y_pred, axis=axes)
    surplus = ops.sum((1.0 - y_true) * y_pred, axis=axes)
    missing = ops.sum(y_true * (1.0 - y_pred), axis=axes)
    return 1.0 - common / (common + alpha * missing + beta * surplus + config.epsilon())


class Dice(FunctionLoss):
    """The loss :func:`dice` over `axis`; other arguments as of :class:`Loss`.

    >>> round(float(Dice()([[0.0, 1.0]], [[0.0, 1.0]])), 4)
    0.0
    """

    function = staticmethod(dice)
    options = ("axis",)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "dice",
        axis: Axes = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.axis = axis


class Tversky(FunctionLoss):
    """The loss :func:`tversky`: `alpha` weights what is missed, `beta` what is too much; others as of :class:`Loss`.

    >>> round(float(Tversky(alpha=1.0)([[1.0, 1.0]], [[0.0, 1.0]])), 4)
    0.5
    """

    function = staticmethod(tversky)
    options = ("alpha", "beta", "axis")

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "tversky",
        axis: Axes = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.alpha = alpha
        self.beta = beta
        self.axis = axis
