"""Losses with a margin: an answer that is right by enough costs nothing."""

from __future__ import annotations

from typing import Any

from nngraph import ops
from nngraph.losses.checks import aligned
from nngraph.losses.wrapper import FunctionLoss

__all__ = ["CategoricalHinge", "Hinge", "SquaredHinge", "categorical_hinge", "hinge", "squared_hinge"]


def _signs(y_true: Any) -> Any:
    """Return targets of -1 and 1; if all of them are 0 or 1 they are binary labels, and 0 means -1."""
    is_label = ops.logical_or(ops.equal(y_true, 0), ops.equal(y_true, 1))
    return ops.where(ops.all(is_label), 2.0 * y_true - 1.0, y_true)


def hinge(y_true: Any, y_pred: Any) -> Any:
    """Return the mean of max(1 - y_true y_pred, 0) over the last axis; targets are -1 and 1, or 0 and 1.

    >>> hinge([[-1.0, 1.0]], [[0.5, 2.0]]).tolist()
    [0.75]
    """
    y_true, y_pred = aligned("hinge", y_true, y_pred)
    return ops.mean(ops.maximum(1.0 - _signs(y_true) * y_pred, 0.0), axis=-1)


def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    """Return the mean of max(1 - y_true y_pred, 0)² over the last axis; targets are -1 and 1, or 0 and 1.

    >>> squared_hinge([[-1.0, 1.0]], [[1.0, 2.0]]).tolist()
    [2.0]
    """
    y_true, y_pred = aligned("squared_hinge", y_true, y_pred)
    return ops.mean(ops.square(ops.maximum(1.0 - _signs(y_true) * y_pred, 0.0)), axis=-1)


def categorical_hinge(y_true: Any, y_pred: Any) -> Any:
    """Return max(1 + (best wrong score) - (score of the true class), 0) along the last axis; targets are one-hot.

    >>> categorical_hinge([[0.0, 1.0]], [[0.5, 1.0]]).tolist()
    [0.5]
    """
    y_true, y_pred = aligned("categorical_hinge", y_true, y_pred)
    right = ops.sum(y_true * y_pred, axis=-1)
    wrong = ops.max((1.0 - y_true) * y_pred, axis=-1)
    return ops.maximum(wrong - right + 1.0, 0.0)


class Hinge(FunctionLoss):
    """The loss :func:`hinge`; arguments as of :class:`Loss`.

    >>> float(Hinge()([[-1.0, 1.0]], [[0.5, 2.0]]))
    0.75
    """

    function = staticmethod(hinge)

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "hinge", dtype: Any = None
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)


class SquaredHinge(FunctionLoss):
    """The loss :func:`squared_hinge`; arguments as of :class:`Loss`.

    >>> float(SquaredHinge()([[-1.0, 1.0]], [[1.0, 2.0]]))
    2.0
    """

    function = staticmethod(squared_hinge)

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "squared_hinge", dtype: Any = None
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)


class CategoricalHinge(FunctionLoss):
    """The loss :func:`categorical_hinge`; arguments as of :class:`Loss`.

    >>> float(CategoricalHinge()([[0.0, 1.0]], [[0.5, 1.0]]))
    0.5
    """

    function = staticmethod(categorical_hinge)

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "categorical_hinge", dtype: Any = None
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
