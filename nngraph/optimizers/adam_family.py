"""Relatives of Adam: Adamax, Nadam and Lamb."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nngraph import ops
from nngraph.ops import Variable
from nngraph.optimizers.clipping import square_sum
from nngraph.optimizers.joined import elementwise
from nngraph.optimizers.optimizer import Optimizer

__all__ = ["Adamax", "Lamb", "Nadam"]


class Adamax(Optimizer):
    """Moves by the mean gradient, divided by the largest recent gradient.

    With m as in :class:`Adam` and u ← max(beta_2 u, |g|), w ← w - learning_rate / (1 - beta_1^t) m / (u + epsilon).
    Kingma and Ba, "Adam: A method for stochastic optimization", 2014, section 7.

    Args:
        learning_rate and the rest: see :class:`Optimizer`.
        beta_1: the share of the mean gradient that stays.
        beta_2: the share of the largest gradient that stays.
        epsilon: keeps the divisor away from zero.

    >>> import numpy as np
    >>> from nngraph.ops import Variable
    >>> v = Variable(np.float32([1, 2]))
    >>> Adamax(0.1).apply([np.float32([0.5, -0.5])], [v]); print(v.numpy().round(4))
    [0.9 2.1]
    """

    slots = ("momentum", "norm")
    options = ("beta_1", "beta_2", "epsilon")

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

    @elementwise
    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move by the mean gradient over the running largest one."""
        m, u = self.slot("momentum", variable), self.slot("norm", variable)
        dtype = variable.dtype
        m.assign(m.value + (gradient - m.value) * (1.0 - self.beta_1))
        u.assign(ops.maximum(u.value * self.beta_2, ops.abs(gradient)))
        rate = self.shared("corrected rate", dtype, lambda: learning_rate / self.bias(self.beta_1, dtype))
        variable.assign(variable.value - m.value * rate / (u.value + self.epsilon))


class Nadam(Optimizer):
    """Adam that looks one step ahead, as Nesterov's momentum does.

    The share of momentum in step t is u_t = beta_1 (1 - 0.96^t / 2), and U_t is the product of all up to t. Then
    m̂ = u_(t+1) m / (1 - U_t u_(t+1)) + (1 - u_t) g / (1 - U_t), v̂ = v / (1 - beta_2^t) and
    w ← w - learning_rate m̂ / (sqrt(v̂) + epsilon). Dozat, "Incorporating Nesterov momentum into Adam", 2016.

    Args:
        learning_rate and the rest: see :class:`Optimizer`.
        beta_1: the share of the mean gradient that stays.
        beta_2: the share of the mean squared gradient that stays.
        epsilon: keeps the divisor away from zero.

    >>> import numpy as np
    >>> from nngraph.ops import Variable
    >>> v = Variable(np.float32([1, 2]))
    >>> Nadam(0.1).apply([np.float32([0.5, -0.5])], [v]); print(v.numpy().round(4))
    [0.8937 2.1063]
    """

    slots = ("momentum", "velocity")
    options = ("beta_1", "beta_2", "epsilon")

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

    def build(self, variables: Sequence[Variable]) -> None:
        """Create both means of each variable, and the product of the momentum's shares."""
        if self.built:
            return
        super().build(variables)
        self._product = self.add_variable((), "ones", "float32", name="u_product")

    def begin_update(self) -> None:
        """Multiply the product with the share of this step."""
        self._product.assign(self._product.value * self._share("float32", 0))

    def _share(self, dtype: str, ahead: int) -> Any:
        """Return the share of momentum of the step in progress, or of one that many steps ahead."""

        def compute() -> Any:
            return self.beta_1 * (1.0 - 0.5 * ops.power(ops.cast(0.96, dtype), self.step_number(dtype) + float(ahead)))

        return self.shared(f"share {ahead}", dtype, compute)

    @elementwise
    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move by the looked-ahead mean gradient over its size."""
        m, v = self.slot("momentum", variable), self.slot("velocity", variable)
        dtype = variable.dtype
        now, ahead = self._share(dtype, 0), self._share(dtype, 1)
        product = self.shared("product", dtype, lambda: self._product.value)
        of_mean = self.shared("of mean", dtype, lambda: learning_rate * ahead / (1.0 - product * ahead))
        of_gradient = self.shared("of gradient", dtype, lambda: learning_rate * (1.0 - now) / (1.0 - product))
        m.assign(m.value + (gradient - m.value) * (1.0 - self.beta_1))
        v.assign(v.value + (ops.square(gradient) - v.value) * (1.0 - self.beta_2))
        size = ops.sqrt(v.value / self.bias(self.beta_2, dtype)) + self.epsilon
        variable.assign(variable.value - (m.value * of_mean + gradient * of_gradient) / size)


class Lamb(Optimizer):
    """Adam whose step for each variable is as long as the variable, times the learning rate.

    With Adam's direction d = m̂ / (sqrt(v̂) + epsilon), w ← w - learning_rate |w| / |d| d; the ratio is 1 if a norm is
    zero. You et al., "Large batch optimization for deep learning: training BERT in 76 minutes", 2019.

    Args:
        learning_rate and the rest: see :class:`Optimizer`.
        beta_1: the share of the mean gradient that stays.
        beta_2: the share of the mean squared gradient that stays.
        epsilon: keeps the divisor away from zero.

    >>> import numpy as np
    >>> from nngraph.ops import Variable
    >>> v = Variable(np.float32([1, 2]))
    >>> Lamb(0.1).apply([np.float32([0.5, -0.5])], [v]); print(v.numpy().round(4))
    [0.8419 2.1581]
    """

    slots = ("momentum", "velocity")
    options = ("beta_1", "beta_2", "epsilon")

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

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """Move by Adam's direction, scaled to the variable's norm."""
        m, v = self.slot("momentum", variable), self.slot("velocity", variable)
        dtype = variable.dtype
        m.assign(m.value + (gradient - m.value) * (1.0 - self.beta_1))
        v.assign(v.value + (ops.square(gradient) - v.value) * (1.0 - self.beta_2))
        size = ops.sqrt(v.value / self.bias(self.beta_2, dtype)) + self.epsilon
        direction = m.value / self.bias(self.beta_1, dtype) / size
        norm, length = ops.sqrt(square_sum(variable.value)), ops.sqrt(square_sum(direction))
        usable = ops.logical_and(ops.greater(norm, 0.0), ops.greater(length, 0.0))
        ratio = ops.where(usable, ops.divide_no_nan(norm, length), 1.0)
        variable.assign(variable.value - direction * (learning_rate * ratio))
