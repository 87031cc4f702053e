"""``SwapEMAWeights``: evaluate with the averaged weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngraph.callbacks.base import Callback, Logs

__all__ = ["SwapEMAWeights"]


class SwapEMAWeights(Callback):
    """Puts the moving averages of the weights into the model while it is evaluated or predicts.

    The optimizer must keep the averages (``use_ema=True``). Outside evaluation the model holds its own weights again.

    Args:
        swap_on_epoch: whether to swap at the end of each epoch instead, so that callbacks which save the model save the
            averages; the next epoch swaps back.

    Raises:
        ValueError: the optimizer keeps no averages.

    >>> SwapEMAWeights().swap_on_epoch
    False
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        self._averages_in_model = False

    def set_model(self, model: Any) -> None:
        """Take note of the model, which must be compiled with an optimizer that keeps averages."""
        super().set_model(model)
        optimizer = getattr(model, "optimizer", None)
        if optimizer is not None and not getattr(optimizer, "use_ema", False):
            raise ValueError(
                "SwapEMAWeights needs an optimizer that averages the weights: "
                f"nngraph.optimizers.{type(optimizer).__name__}(..., use_ema=True)."
            )

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Swap back what the epoch before has left."""
        if self.swap_on_epoch and self._averages_in_model:
            self._swap()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Swap, where ``swap_on_epoch`` says so."""
        if self.swap_on_epoch and not self._averages_in_model:
            self._swap()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Leave the model's own weights, or the averages where every epoch ended with them."""
        if self._averages_in_model and not self.swap_on_epoch:
            self._swap()

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Swap the averages in."""
        if not self._averages_in_model:
            self._swap()

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Swap the weights back."""
        if self._averages_in_model:
            self._swap()

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Swap the averages in."""
        if not self._averages_in_model:
            self._swap()

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Swap the weights back."""
        if self._averages_in_model:
            self._swap()

    def _swap(self) -> None:
        optimizer = self.model.optimizer
        averages = getattr(optimizer, "_model_variables_moving_average", None)
        if not averages:
            # Nothing has been trained yet, so there is nothing to swap.
            return
        for variable, average in zip(optimizer._trainable_variables, averages, strict=True):
            own = np.array(variable)
            variable.assign(np.array(average))
            average.assign(own)
        self._averages_in_model = not self._averages_in_model
