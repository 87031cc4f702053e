"""Ftrl: follow the regularized leader."""

from __future__ import annotations

from typing import Any

from nngraph import ops
from nngraph.optimizers.joined import elementwise
from nngraph.optimizers.optimizer import Optimizer

__all__ = ["Ftrl"]


class Ftrl(Optimizer):
    """Chooses the weights that all gradients so far call for, with penalties that make many of them exactly zero.

    With n ← n + g², p = -learning_rate_power and the gradient h = g + 2 l2_shrinkage w,
    z ← z + h - (n^p - n_before^p) / learning_rate w and
    w ← (clip(z, -l1, l1) - z) / (n^p / learning_rate + 2 l2 + beta / learning_rate).
    McMahan et al., "Ad click prediction: a view from the trenches", 2013.

    Args:
        learning_rate and the rest: see :class:`Optimizer`.
        learning_rate_power: how the learning rate falls with n; 0 keeps it.
        initial_accumulator_value: where n begins.
        l1_regularization_strength: l1.
        l2_regularization_strength: l2.
        l2_shrinkage_regularization_strength: a penalty on the size of weights that only gradients feel.
        beta: beta.

    Raises:
        ValueError: `learning_rate_power` is positive or `initial_accumulator_value` negative.

    >>> import numpy as np
    >>> from nngraph.ops import Variable
    >>> v = Variable(np.float32([1, 2]))
    >>> Ftrl(0.1).apply([np.float32([0.5, -0.5])], [v]); print(v.numpy().round(4))
    [0.381  1.0155]
    """

    slots = ("accumulator", "linear")
    options = (
        "learning_rate_power",
        "initial_accumulator_value",
        "l1_regularization_strength",
        "l2_regularization_strength",
        "l2_shrinkage_regularization_strength",
        "beta",
    )

    def __init__(
        self,
        learning_rate: Any = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
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
        self.learning_rate_power = learning_rate_power
        self.initial_accumulator_value = initial_accumulator_value
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        self.beta = beta
        if learning_rate_power > 0:
            raise ValueError(f"Ftrl: learning_rate_power must be <= 0. Received: {learning_rate_power!r}")
        if initial_accumulator_value < 0:
            raise ValueError(f"Ftrl: initial_accumulator_value must be >= 0. Received: {initial_accumulator_value!r}")

    def slot_start(self, name: str) -> Any:
        """Return where a slot begins."""
        return self.initial_accumulator_value if name == "accumulator" else "zeros"

    @elementwise
    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Solve for the weights that the gradients call for."""
        total, linear = self.slot("accumulator", variable), self.slot("linear", variable)
        dtype = variable.dtype
        before, after = total.value, total.value + ops.square(gradient)
        strength = self._power(after)
        if self.l2_shrinkage_regularization_strength:
            gradient = gradient + variable.value * (2.0 * self.l2_shrinkage_regularization_strength)
        linear.assign(linear.value + gradient - (strength - self._power(before)) / learning_rate * variable.value)
        fixed = self.shared("fixed", dtype, lambda: 2.0 * self.l2_regularization_strength + self.beta / learning_rate)
        limit = self.l1_regularization_strength
        clipped = ops.clip(linear.value, -limit, limit) - linear.value
        variable.assign(clipped / (strength / learning_rate + fixed))
        total.assign(after)

    def _power(self, x: Any) -> Any:
        return ops.sqrt(x) if self.learning_rate_power == -0.5 else ops.power(x, -self.learning_rate_power)
