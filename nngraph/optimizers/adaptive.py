"""Rules that divide by a running size of the gradient."""

from __future__ import annotations

from typing import Any

from nngraph import ops
from nngraph.ops import Variable
from nngraph.optimizers.optimizer import Optimizer

__all__ = ["Adadelta", "Adagrad", "RMSprop"]


class RMSprop(Optimizer):
    """Divides by a running root mean square of the gradient.

    Source: Hinton, "Neural Networks for Machine Learning", lecture 6e, 2012.
    """

    slots = ("velocity",)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
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
        self.rho = rho
        self.momentum = momentum
        self.epsilon = epsilon
        self.centered = centered

    def slot_names(self) -> tuple[str, ...]:
        """The velocity, and what momentum and centring need."""
        names: tuple[str, ...] = ("velocity",)
        names += ("momentum",) if self.momentum > 0 else ()
        return (*names, "average_gradient") if self.centered else names

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """Move by the gradient over its running size."""
        velocity = self.slot("velocity", variable)
        velocity.assign(self.rho * velocity.value + (1.0 - self.rho) * ops.square(gradient))
        size = velocity.value + self.epsilon
        if self.centered:
            average = self.slot("average_gradient", variable)
            average.assign(self.rho * average.value + (1.0 - self.rho) * gradient)
            size = velocity.value - ops.square(average.value) + self.epsilon
        change = learning_rate * gradient / ops.sqrt(size)
        if self.momentum > 0:
            momentum = self.slot("momentum", variable)
            momentum.assign(self.momentum * momentum.value + change)
            change = momentum.value
        variable.assign(variable.value - change)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "rho": self.rho,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "centered": self.centered,
        }


class Adagrad(Optimizer):
    """Divides by the root of the sum of all squared gradients.

    Source: Duchi, Hazan and Singer, "Adaptive Subgradient Methods", JMLR 2011.
    """

    slots = ("accumulator",)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
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
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon

    def slot_start(self, name: str) -> float:
        """The accumulator begins above zero."""
        return self.initial_accumulator_value

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """Move by the gradient over the root of its summed squares."""
        total = self.slot("accumulator", variable)
        total.assign(total.value + ops.square(gradient))
        variable.assign(variable.value - learning_rate * gradient / ops.sqrt(total.value + self.epsilon))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "initial_accumulator_value": self.initial_accumulator_value,
            "epsilon": self.epsilon,
        }


class Adadelta(Optimizer):
    """Divides running sizes of changes by those of gradients.

    Source: Zeiler, "ADADELTA: An Adaptive Learning Rate Method", 2012.
    """

    slots = ("accumulated_grad", "accumulated_delta_var")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
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
        self.rho = rho
        self.epsilon = epsilon

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """Move by the gradient times the ratio of running sizes."""
        squares, changes = self.slot("accumulated_grad", variable), self.slot("accumulated_delta_var", variable)
        squares.assign(self.rho * squares.value + (1.0 - self.rho) * ops.square(gradient))
        ratio = ops.sqrt(changes.value + self.epsilon) / ops.sqrt(squares.value + self.epsilon)
        change = -ratio * gradient
        changes.assign(self.rho * changes.value + (1.0 - self.rho) * ops.square(change))
        variable.assign(variable.value + learning_rate * change)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "rho": self.rho, "epsilon": self.epsilon}
