"""FTRL: follow the regularized leader."""

from __future__ import annotations

from typing import Any

from nngraph import ops
from nngraph.ops import Variable
from nngraph.optimizers.optimizer import Optimizer

__all__ = ["Ftrl"]


class Ftrl(Optimizer):
    """Follows the regularized leader; ``l1`` makes weights exactly zero.

    Source: McMahan et al., "Ad Click Prediction: a View from the Trenches", 2013.
    """

    slots = ("accumulator", "linear")

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
            raise ValueError(f"Ftrl: learning_rate_power must be 0 or less, got {learning_rate_power!r}")
        if initial_accumulator_value < 0:
            raise ValueError(f"Ftrl: initial_accumulator_value must be at least 0, got {initial_accumulator_value!r}")

    def slot_start(self, name: str) -> float:
        """The accumulator begins above zero."""
        return self.initial_accumulator_value if name == "accumulator" else 0.0

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """Solve for the weights that the summed gradients call for."""
        total, linear = self.slot("accumulator", variable), self.slot("linear", variable)
        power = -self.learning_rate_power
        shrunk = gradient + 2.0 * self.l2_shrinkage_regularization_strength * variable.value
        new_total = total.value + ops.square(gradient)
        sigma = (ops.power(new_total, power) - ops.power(total.value, power)) / learning_rate
        linear.assign(linear.value + shrunk - sigma * variable.value)
        l2 = self.l2_regularization_strength + self.beta / (2.0 * learning_rate)
        quadratic = ops.power(new_total, power) / learning_rate + 2.0 * l2
        limit = self.l1_regularization_strength
        variable.assign((ops.clip(linear.value, -limit, limit) - linear.value) / quadratic)
        total.assign(new_total)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "learning_rate_power": self.learning_rate_power,
            "initial_accumulator_value": self.initial_accumulator_value,
            "l1_regularization_strength": self.l1_regularization_strength,
            "l2_regularization_strength": self.l2_regularization_strength,
            "l2_shrinkage_regularization_strength": self.l2_shrinkage_regularization_strength,
            "beta": self.beta,
        }
