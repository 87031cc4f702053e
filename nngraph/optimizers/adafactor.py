"""Adafactor: second moments kept as rows and columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nngraph import ops
from nngraph.ops import Variable
from nngraph.optimizers.optimizer import Optimizer

__all__ = ["Adafactor"]


class Adafactor(Optimizer):
    """Divides by a mean squared gradient that is kept as a row and a column, and scales steps by the variable's size.

    Shazeer and Stern, "Adafactor: Adaptive learning rates with sublinear memory cost", 2018, algorithms 4 and 5.

    Args:
        learning_rate and the rest: see :class:`Optimizer`.
        beta_2_decay: the mean square of step t keeps the share 1 - t^beta_2_decay.
        epsilon_1: added to squared gradients.
        epsilon_2: the least size of a variable that counts.
        clip_threshold: the largest root mean square of a change.
        relative_step: the learning rate is at most 1 / sqrt(t).

    >>> import numpy as np
    >>> from nngraph.ops import Variable
    >>> v = Variable(np.float32([1, 2]))
    >>> Adafactor(0.1).apply([np.float32([0.5, -0.5])], [v]); print(v.numpy().round(4))
    [0.8419 2.1581]
    """

    options = ("beta_2_decay", "epsilon_1", "epsilon_2", "clip_threshold", "relative_step")

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

    def build(self, variables: Sequence[Variable]) -> None:
        """Create rows and columns for matrices, and whole means for vectors and numbers."""
        if self.built:
            return
        super().build(variables)
        self._slots = {"row": {}, "column": {}, "velocity": {}}
        for variable in variables:
            label = variable.path.replace("/", "_")
            shape = variable.shape
            shapes = (
                {"row": shape[:-1], "column": (*shape[:-2], *shape[-1:])} if len(shape) > 1 else {"velocity": shape}
            )
            for name, size in shapes.items():
                self._slots[name][variable] = self.add_variable(size, "zeros", variable.dtype, name=f"{label}_{name}")

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """Move by the gradient over the root of its factored mean square."""
        dtype = variable.dtype
        step = self.step_number(dtype)
        beta = self.shared("beta", dtype, lambda: 1.0 - ops.power(step, self.beta_2_decay))
        fresh = self.shared("fresh", dtype, lambda: 1.0 - beta)
        if self.relative_step:
            falling = self.shared("rate", dtype, lambda: ops.minimum(learning_rate, 1.0 / ops.sqrt(step)))
        else:
            falling = learning_rate
        rate = ops.maximum(_root_mean_square(variable.value), self.epsilon_2) * falling
        square = ops.square(gradient) + self.epsilon_1
        if len(variable.shape) > 1:
            row, column = self.slot("row", variable), self.slot("column", variable)
            row.assign(row.value * beta + ops.mean(square, axis=-1) * fresh)
            column.assign(column.value * beta + ops.mean(square, axis=-2) * fresh)
            share = row.value / ops.mean(row.value, axis=-1, keepdims=True)
            # The root of a product is the product of roots, which are few.
            size = ops.expand_dims(ops.sqrt(share), -1) * ops.expand_dims(ops.sqrt(column.value), -2)
        else:
            velocity = self.slot("velocity", variable)
            velocity.assign(velocity.value * beta + square * fresh)
            size = ops.sqrt(velocity.value)
        change = gradient / size
        shrink = ops.maximum(_root_mean_square(change) / self.clip_threshold, 1.0)
        variable.assign(variable.value - change * (rate / shrink))


def _root_mean_square(x: Any) -> Any:
    return ops.sqrt(ops.mean(ops.square(x)))
