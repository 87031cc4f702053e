"""Schedule-free AdamW: averaging in place of a learning rate schedule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nngraph import ops
from nngraph.ops import Variable
from nngraph.optimizers.joined import elementwise
from nngraph.optimizers.optimizer import Optimizer

__all__ = ["ScheduleFreeAdamW"]


class ScheduleFreeAdamW(Optimizer):
    """Trains at a point y = (1 - beta_1) z + beta_1 x between a fast sequence z and the mean x of all z so far.

    With Adam's mean square v̂, z ← z - learning_rate g / (sqrt(v̂) + epsilon), x ← x + (z - x) / t and y as above.
    Defazio et al., "The road less scheduled", 2024.

    Args:
        learning_rate and the rest: see :class:`Optimizer`.
        beta_1: the share of the mean.
        beta_2: the share of the mean squared gradient that stays.
        epsilon: keeps the divisor away from zero.
        warmup_steps: over how many steps the learning rate rises from zero.

    >>> import numpy as np
    >>> from nngraph.ops import Variable
    >>> v = Variable(np.float32([1, 2]))
    >>> ScheduleFreeAdamW(0.1).apply([np.float32([0.5, -0.5])], [v]); print(v.numpy().round(4))
    [0.9 2.1]
    """

    slots = ("momentum", "velocity")
    options = ("beta_1", "beta_2", "epsilon", "warmup_steps")

    def __init__(
        self,
        learning_rate: Any = 0.0025,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        warmup_steps: int = 0,
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
        self.warmup_steps = warmup_steps

    def build(self, variables: Sequence[Variable]) -> None:
        """Create both sequences; the fast one begins where the variables are."""
        if self.built:
            return
        super().build(variables)
        for variable, fast in self._slots["momentum"].items():
            fast.assign(variable.numpy())

    @elementwise
    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move the fast sequence, then the mean, then the variable between them."""
        z, v = self.slot("momentum", variable), self.slot("velocity", variable)
        dtype = variable.dtype
        step = self.step_number(dtype)
        rate = self.shared("warm rate", dtype, lambda: self._warm(learning_rate, step))
        share = self.shared("share", dtype, lambda: 1.0 / step)
        mean = (variable.value - z.value * (1.0 - self.beta_1)) / self.beta_1
        v.assign(v.value + (ops.square(gradient) - v.value) * (1.0 - self.beta_2))
        size = ops.sqrt(v.value / self.bias(self.beta_2, dtype)) + self.epsilon
        z.assign(z.value - gradient * rate / size)
        mean = mean * (1.0 - share) + z.value * share
        variable.assign(z.value * (1.0 - self.beta_1) + mean * self.beta_1)

    def _warm(self, rate: Any, step: Any) -> Any:
        return rate * ops.minimum(step / float(self.warmup_steps), 1.0) if self.warmup_steps > 0 else rate
