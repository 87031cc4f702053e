"""Adafactor: second moments kept as rows and columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngraph import ops
from nngraph.ops import Variable
from nngraph.optimizers.optimizer import Optimizer

__all__ = ["Adafactor"]


class Adafactor(Optimizer):
    """Keeps the second moment of a matrix as a row and a column, and scales steps by the variable's size.

    Source: Shazeer and Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost", 2018.
    """

    slots = ()

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            clipnorm=clipnorm,
            clipvalue=clipvalue,
            global_clipnorm=global_clipnorm,
            use_ema=use_ema,
            ema_momentum=ema_momentum,
            ema_overwrite_frequency=ema_overwrite_frequency,
            loss_scale_factor=loss_scale_factor,
            gradient_accumulation_steps=gradient_accumulation_steps,
            name=name,
            **kwargs,
        )
        self.beta_2_decay = beta_2_decay
        self.epsilon_1 = epsilon_1
        self.epsilon_2 = epsilon_2
        self.clip_threshold = clip_threshold
        self.relative_step = relative_step

    def build(self, variables: Any) -> None:
        """Create rows and columns for matrices, full moments for vectors."""
        if self.built:
            return
        super().build(variables)
        rows, columns, full = {}, {}, {}
        for variable in variables:
            label = variable.path.replace("/", "_")
            shape = variable.shape
            if len(shape) >= 2:
                rows[variable] = self.add_variable(shape[:-1], "zeros", variable.dtype, name=f"{label}_row")
                columns[variable] = self.add_variable(
                    shape[:-2] + shape[-1:], "zeros", variable.dtype, name=f"{label}_column"
                )
            else:
                full[variable] = self.add_variable(shape, "zeros", variable.dtype, name=f"{label}_velocity")
        self._slots = {"row": rows, "column": columns, "velocity": full}

    def begin_update(self) -> None:
        """Compute the decay of the moments once for all variables."""
        self._step = self.step_number()
        self._beta_2 = 1.0 - ops.power(self._step, np.float32(self.beta_2_decay))

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """Move by the gradient over the root of its factored second moment."""
        beta = ops.cast(self._beta_2, variable.dtype)
        if self.relative_step:
            learning_rate = ops.minimum(learning_rate, 1.0 / ops.sqrt(ops.cast(self._step, variable.dtype)))
        rate = ops.maximum(_root_mean_square(variable.value), self.epsilon_2) * learning_rate
        square = ops.square(gradient) + self.epsilon_1
        if variable.ndim >= 2:
            row, column = self.slot("row", variable), self.slot("column", variable)
            row.assign(beta * row.value + (1.0 - beta) * ops.mean(square, axis=-1))
            column.assign(beta * column.value + (1.0 - beta) * ops.mean(square, axis=-2))
            share = ops.expand_dims(row.value / ops.mean(row.value, axis=-1, keepdims=True), -1)
            size = share * ops.expand_dims(column.value, -2)
        else:
            velocity = self.slot("velocity", variable)
            velocity.assign(beta * velocity.value + (1.0 - beta) * square)
            size = velocity.value
        change = gradient / ops.sqrt(size)
        change = change / ops.maximum(_root_mean_square(change) / self.clip_threshold, 1.0)
        variable.assign(variable.value - rate * change)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "beta_2_decay": self.beta_2_decay,
            "epsilon_1": self.epsilon_1,
            "epsilon_2": self.epsilon_2,
            "clip_threshold": self.clip_threshold,
            "relative_step": self.relative_step,
        }


def _root_mean_square(x: Any) -> Any:
    return ops.sqrt(ops.mean(ops.square(x)))
