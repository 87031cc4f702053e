"""Adam and its variants."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngraph import ops
from nngraph.ops import Variable
from nngraph.optimizers.optimizer import Optimizer

__all__ = ["Adam", "AdamW", "Adamax", "Lamb", "Nadam"]


class Adam(Optimizer):
    """First and second moments of the gradient, corrected for their beginning at zero.

    Source: Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2014; ``amsgrad``: Reddi et al., 2018.
    """

    slots = ("momentum", "velocity")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
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
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.amsgrad = amsgrad

    def slot_names(self) -> tuple[str, ...]:
        """The moments, and the largest second moment for ``amsgrad``."""
        return (*self.slots, "velocity_hat") if self.amsgrad else self.slots

    def begin_update(self) -> None:
        """Compute the bias correction once for all variables."""
        step = self.step_number()
        self._correction = ops.sqrt(1.0 - ops.power(np.float32(self.beta_2), step)) / (
            1.0 - ops.power(np.float32(self.beta_1), step)
        )

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """Move by the corrected first moment over the root of the second."""
        m, v = self.slot("momentum", variable), self.slot("velocity", variable)
        alpha = learning_rate * ops.cast(self._correction, variable.dtype)
        m.assign(m.value + (gradient - m.value) * (1.0 - self.beta_1))
        v.assign(v.value + (ops.square(gradient) - v.value) * (1.0 - self.beta_2))
        size = v.value
        if self.amsgrad:
            largest = self.slot("velocity_hat", variable)
            largest.assign(ops.maximum(largest.value, size))
            size = largest.value
        variable.assign(variable.value - m.value * alpha / (ops.sqrt(size) + self.epsilon))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "amsgrad": self.amsgrad,
        }


class AdamW(Adam):
    """Adam with weight decay apart from the gradient.

    Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2017.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float | None = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **kwargs)
        if self.weight_decay is None:
            raise ValueError("AdamW needs a weight_decay; use Adam for none")


class Adamax(Optimizer):
    """Adam with the largest gradient in place of the second moment.

    Source: Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2014, section 7.
    """

    slots = ("momentum", "norm")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
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
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def begin_update(self) -> None:
        """Compute the bias correction once for all variables."""
        self._correction = 1.0 - ops.power(np.float32(self.beta_1), self.step_number())

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """Move by the first moment over the running largest gradient."""
        m, u = self.slot("momentum", variable), self.slot("norm", variable)
        m.assign(m.value + (gradient - m.value) * (1.0 - self.beta_1))
        u.assign(ops.maximum(self.beta_2 * u.value, ops.abs(gradient)))
        rate = learning_rate / ops.cast(self._correction, variable.dtype)
        variable.assign(variable.value - rate * m.value / (u.value + self.epsilon))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}


class Nadam(Optimizer):
    """Adam with Nesterov momentum.

    Source: Dozat, "Incorporating Nesterov Momentum into Adam", 2016.
    """

    slots = ("momentum", "velocity")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
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
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def build(self, variables: Any) -> None:
        """Create the moments and the running product of the momentum schedule."""
        if not self.built:
            self._product = self.add_variable((), 1.0, "float32", name="u_product")
        super().build(variables)

    def extra_state(self) -> list[Variable]:
        """The running product belongs to no single variable."""
        return [self._product]

    def begin_update(self) -> None:
        """Advance the momentum schedule once for all variables."""
        step = self.step_number()
        decay = np.float32(0.96)
        self._u = self.beta_1 * (1.0 - 0.5 * ops.power(decay, step))
        self._u_next = self.beta_1 * (1.0 - 0.5 * ops.power(decay, step + 1.0))
        self._product.assign(self._product.value * self._u)
        self._correction = 1.0 - ops.power(np.float32(self.beta_2), step)

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """Move by the looked-ahead first moment over the root of the second."""
        m, v = self.slot("momentum", variable), self.slot("velocity", variable)

        def scalar(x: Any) -> Any:
            return ops.cast(x, variable.dtype)

        u, u_next, product = scalar(self._u), scalar(self._u_next), scalar(self._product.value)
        m.assign(m.value + (gradient - m.value) * (1.0 - self.beta_1))
        v.assign(v.value + (ops.square(gradient) - v.value) * (1.0 - self.beta_2))
        ahead = m.value * (u_next / (1.0 - product * u_next)) + gradient * ((1.0 - u) / (1.0 - product))
        size = v.value / scalar(self._correction)
        variable.assign(variable.value - ahead * learning_rate / (ops.sqrt(size) + self.epsilon))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}


class Lamb(Optimizer):
    """Adam with a step as long as the variable's norm allows.

    Source: You et al., "Large Batch Optimization for Deep Learning", 2019.
    """

    slots = ("momentum", "velocity")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
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
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def begin_update(self) -> None:
        """Compute the bias corrections once for all variables."""
        step = self.step_number()
        self._first = 1.0 - ops.power(np.float32(self.beta_1), step)
        self._second = 1.0 - ops.power(np.float32(self.beta_2), step)

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """Move by Adam's direction, scaled to the variable's norm."""
        m, v = self.slot("momentum", variable), self.slot("velocity", variable)
        m.assign(m.value + (gradient - m.value) * (1.0 - self.beta_1))
        v.assign(v.value + (ops.square(gradient) - v.value) * (1.0 - self.beta_2))
        first, second = ops.cast(self._first, variable.dtype), ops.cast(self._second, variable.dtype)
        direction = (m.value / first) / (ops.sqrt(v.value / second) + self.epsilon)
        norm = ops.sqrt(ops.sum(ops.square(variable.value)))
        length = ops.sqrt(ops.sum(ops.square(direction)))
        usable = ops.logical_and(ops.greater(norm, 0.0), ops.greater(length, 0.0))
        ratio = ops.where(usable, ops.divide_no_nan(norm, length), ops.ones_like(norm))
        variable.assign(variable.value - ratio * learning_rate * direction)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
