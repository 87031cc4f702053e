"""Lion: steps of one size, by the sign of the momentum."""

from __future__ import annotations

from typing import Any

from nngraph import ops
from nngraph.optimizers.joined import elementwise
from nngraph.optimizers.optimizer import Optimizer

__all__ = ["Lion"]


class Lion(Optimizer):
    """Moves each entry by the learning rate, in the direction of an interpolated momentum.

    w ← w - learning_rate sign(beta_1 m + (1 - beta_1) g), then m ← beta_2 m + (1 - beta_2) g.
    Chen et al., "Symbolic discovery of optimization algorithms", 2023.

    Args:
        learning_rate and the rest: see :class:`Optimizer`.
        beta_1: the share of the momentum in the direction, in (0, 1].
        beta_2: the share of the momentum that stays.

    >>> import numpy as np
    >>> from nngraph.ops import Variable
    >>> v = Variable(np.float32([1, 2]))
    >>> Lion(0.1).apply([np.float32([0.5, -0.5])], [v]); print(v.numpy().round(4))
    [0.9 2.1]
    """

    slots = ("momentum",)
    options = ("beta_1", "beta_2")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
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
        if not 0 < beta_1 <= 1:
            raise ValueError(f"Lion: beta_1 must lie in (0, 1]. Received: beta_1={beta_1!r}")

    @elementwise
    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move by the sign of the interpolated momentum."""
        m = self.slot("momentum", variable)
        direction = ops.sign(m.value * self.beta_1 + gradient * (1.0 - self.beta_1))
        variable.assign(variable.value - learning_rate * direction)
        m.assign(m.value * self.beta_2 + gradient * (1.0 - self.beta_2))
