"""Schedule-free AdamW: averaging in place of a learning rate schedule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nngraph import ops
from nngraph.ops import Variable
from nngraph.optimizers.optimizer import Optimizer

__all__ = ["ScheduleFreeAdamW"]


class ScheduleFreeAdamW(Optimizer):
    """Trains at a point between a fast sequence ``z`` and its running mean ``x``: ``y = (1 - beta_1) z + beta_1 x``.

    Args:
        learning_rate, weight_decay and the rest: see :class:`Optimizer`.
        beta_1: the share of the mean.
        beta_2: momentum of the second moment.
        epsilon: added to the root of the second moment.
        warmup_steps: over how many steps the learning rate rises from zero.

    Source: Defazio et al., "The Road Less Scheduled", 2024.
    """

    slots = ("momentum", "velocity")

    def __init__(
        self,
        learning_rate: Any = 0.0025,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        warmup_steps: int = 0,
        weight_decay: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, weight_decay=weight_decay, **kwargs)
        self.beta_1, self.beta_2, self.epsilon, self.warmup_steps = beta_1, beta_2, epsilon, warmup_steps

    def build(self, variables: Sequence[Variable]) -> None:
        """Create the slots; the fast sequence begins where the variables are."""
        if self.built:
            return
        super().build(variables)
        for variable, slot in self._slots["momentum"].items():
            slot.assign(variable.numpy_view())

    def begin_update(self) -> None:
        """Compute once what all variables share."""
        step = self.step_number()
        self._mean_share = 1.0 / step
        self._correction = 1.0 - ops.power(np.float32(self.beta_2), step)
        self._warmth = ops.minimum(step / float(self.warmup_steps), 1.0) if self.warmup_steps > 0 else None

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """Move the fast sequence, then the mean, then the variable between them."""

        def scalar(x: Any) -> Any:
            return ops.cast(x, variable.dtype)

        z, v = self.slot("momentum", variable), self.slot("velocity", variable)
        if self._warmth is not None:
            learning_rate = learning_rate * scalar(self._warmth)
        mean = (variable.value - (1.0 - self.beta_1) * z.value) / self.beta_1
        v.assign(v.value + (ops.square(gradient) - v.value) * (1.0 - self.beta_2))
        size = ops.sqrt(v.value / scalar(self._correction)) + self.epsilon
        z.assign(z.value - learning_rate * gradient / size)
        share = scalar(self._mean_share)
        mean = (1.0 - share) * mean + share * z.value
        variable.assign((1.0 - self.beta_1) * z.value + self.beta_1 * mean)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        names = ("beta_1", "beta_2", "epsilon", "warmup_steps")
        return {**super().get_config(), **{n: getattr(self, n) for n in names}}
