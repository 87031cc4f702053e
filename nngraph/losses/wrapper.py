"""A loss made of a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nngraph import tree
from nngraph.losses.base import Loss, squeeze_or_expand_to_same_rank
from nngraph.saving.registry import deserialize_keras_object, serialize_keras_object

__all__ = ["FunctionLoss", "LossFunctionWrapper"]


class LossFunctionWrapper(Loss):
    """A loss that calls `fn(y_true, y_pred, **kwargs)`, which returns one value for each sample.

    Args:
        fn: the function.
        reduction, name, dtype: as of :class:`Loss`; the default name is that of the function.
        kwargs: passed to `fn` at each call.

    >>> import numpy as np
    >>> def worst(y_true, y_pred, power=1):
    ...     return abs(y_true - y_pred).max(axis=-1) ** power
    >>> float(LossFunctionWrapper(worst, power=2)(np.array([[1.0, 2.0]]), np.array([[1.5, 5.0]])))
    9.0
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name or getattr(fn, "__name__", None), reduction=reduction, dtype=dtype)
        self.fn = fn
        self._fn_kwargs = kwargs

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return what the function returns, targets and predictions brought to one rank."""
        if not tree.is_nested(y_true) and not tree.is_nested(y_pred):
            y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
        values = self.fn(y_true, y_pred, **self._fn_kwargs)
        if values is None:
            raise ValueError("the loss function returned None; does it lack a return?")
        return values

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, the function described by its name."""
        kwargs = {key: serialize_keras_object(value) for key, value in self._fn_kwargs.items()}
        return {**super().get_config(), "fn": serialize_keras_object(self.fn), **kwargs}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Loss:
        """Build the loss that `get_config` described."""
        plain = ("name", "reduction", "dtype")
        return cls(**{k: v if k in plain else deserialize_keras_object(v) for k, v in config.items()})


class FunctionLoss(Loss):
    """Base of the losses of this package: the function is fixed by the class and aligns the shapes itself.

    A subclass sets `function` and `default_name`, and `options` to the names of its own arguments, kept as attributes.
    """

    function: Callable[..., Any]
    options: tuple[str, ...] = ()

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return one value for each sample."""
        return type(self).function(y_true, y_pred, **{option: getattr(self, option) for option in self.options})

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, of which `from_config` builds an equal loss."""
        return {**super().get_config(), **{option: getattr(self, option) for option in self.options}}
