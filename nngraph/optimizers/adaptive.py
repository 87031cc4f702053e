"""Rules that divide by a running size of the gradient: RMSprop, Adagrad and Adadelta."""

from __future__ import annotations

from typing import Any

from nngraph import ops
from nngraph.optimizers.joined import elementwise
from nngraph.optimizers.optimizer import Optimizer

__all__ = ["Adadelta", "Adagrad", "RMSprop"]


class RMSprop(Optimizer):
    """Divides the gradient by the root of its running mean square.

    v ← rho v + (1 - rho) g², w ← w - learning_rate g / sqrt(v + epsilon).
    Hinton, "Neural networks for machine learning", lecture 6e, 2012.

    Args:
        learning_rate and the rest: see :class:`Optimizer`.
        rho: the share of the mean square that stays.
        momentum: the share of the last change that is added to the next.
        epsilon: keeps the divisor away from zero.
        centered: subtract the square of the mean gradient from v, which makes it a variance.

    >>> import numpy as np
    >>> from nngraph.ops import Variable
    >>> v = Variable(np.float32([1, 2]))
    >>> RMSprop(0.1).apply([np.float32([0.5, -0.5])], [v]); print(v.numpy().round(4))
    [0.6838 2.3162]
    """

    options = ("rho", "momentum", "epsilon", "centered")

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
        """Return the name of the mean square, and of what momentum and centring need."""
        momentum = ("momentum",) if self.momentum > 0 else ()
        return ("velocity", *momentum, "average_gradient") if self.centered else ("velocity", *momentum)

    @elementwise
    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move by the gradient over its running size."""
        velocity = self.slot("velocity", variable)
        velocity.assign(velocity.value * self.rho + ops.square(gradient) * (1.0 - self.rho))
        size = velocity.value + self.epsilon
        if self.centered:
            average = self.slot("average_gradient", variable)
            average.assign(average.value * self.rho + gradient * (1.0 - self.rho))
            size = velocity.value - ops.square(average.value) + self.epsilon
        change = gradient * learning_rate / ops.sqrt(size)
        if self.momentum > 0:
            momentum = self.slot("momentum", variable)
            momentum.assign(momentum.value * self.momentum + change)
            change = momentum.value
        variable.assign(variable.value - change)


class Adagrad(Optimizer):
    """Divides the gradient by the root of the sum of all its squares.

    a ← a + g², w ← w - learning_rate g / sqrt(a + epsilon).
    Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and stochastic optimization", 2011.

    Args:
        learning_rate and the rest: see :class:`Optimizer`.
        initial_accumulator_value: where the sum begins.
        epsilon: keeps the divisor away from zero.

    >>> import numpy as np
    >>> from nngraph.ops import Variable
    >>> v = Variable(np.float32([1, 2]))
    >>> Adagrad(0.1).apply([np.float32([0.5, -0.5])], [v]); print(v.numpy().round(4))
    [0.9155 2.0845]
    """

    slots = ("accumulator",)
    options = ("initial_accumulator_value", "epsilon")

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

    def slot_start(self, name: str) -> Any:
        """Return where the sum begins."""
        return self.initial_accumulator_value

    @elementwise
    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move by the gradient over the root of its summed squares."""
        total = self.slot("accumulator", variable)
        total.assign(total.value + ops.square(gradient))
        variable.assign(variable.value - gradient * learning_rate / ops.sqrt(total.value + self.epsilon))


class Adadelta(Optimizer):
    """Scales the gradient to the running size of the changes made so far.

    With s ← rho s + (1 - rho) g², d = g sqrt(c + epsilon) / sqrt(s + epsilon) and c ← rho c + (1 - rho) d²,
    w ← w - learning_rate d. Zeiler, "ADADELTA: An adaptive learning rate method", 2012, where the learning rate is 1.

    Args:
        learning_rate and the rest: see :class:`Optimizer`.
        rho: the share of both means that stays.
        epsilon: where sizes begin.

    >>> import numpy as np
    >>> from nngraph.ops import Variable
    >>> v = Variable(np.float32([1, 2]))
    >>> Adadelta(1.0).apply([np.float32([0.5, -0.5])], [v]); print(v.numpy().round(4))
    [0.9986 2.0014]
    """

    slots = ("accumulated_grad", "accumulated_delta_var")
    options = ("rho", "epsilon")

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

    @elementwise
    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move by the gradient times the ratio of both sizes."""
        squares, changes = self.slot("accumulated_grad", variable), self.slot("accumulated_delta_var", variable)
        squares.assign(squares.value * self.rho + ops.square(gradient) * (1.0 - self.rho))
        # One root of the quotient, not two roots.
        change = gradient * ops.sqrt((changes.value + self.epsilon) / (squares.value + self.epsilon))
        changes.assign(changes.value * self.rho + ops.square(change) * (1.0 - self.rho))
        variable.assign(variable.value - change * learning_rate)
