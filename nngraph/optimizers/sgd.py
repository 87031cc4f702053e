"""Plain and accumulated gradient descent."""

from __future__ import annotations

from typing import Any

from nngraph.optimizers.joined import elementwise
from nngraph.optimizers.optimizer import Optimizer

__all__ = ["SGD"]


class SGD(Optimizer):
    """Gradient descent, with momentum if asked for.

    With v ← momentum v - learning_rate g, w ← w + v; with `nesterov` w ← w + momentum v - learning_rate g.

    Args:
        learning_rate and the rest: see :class:`Optimizer`.
        momentum: the share of the velocity that stays, in [0, 1].
        nesterov: look one step ahead. Nesterov, "A method of solving a convex programming problem with convergence rate
            O(1/k²)", 1983.

    >>> import numpy as np
    >>> from nngraph.ops import Variable
    >>> v = Variable(np.float32([1, 2]))
    >>> SGD(0.1).apply([np.float32([0.5, -0.5])], [v]); print(v.numpy().round(4))
    [0.95 2.05]
    """

    options = ("momentum", "nesterov")

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
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
        self.momentum = momentum
        self.nesterov = nesterov
        if not isinstance(momentum, (int, float)) or not 0 <= momentum <= 1:
            raise ValueError(f"SGD: momentum must lie in [0, 1]. Received: momentum={momentum!r}")

    def slot_names(self) -> tuple[str, ...]:
        """Return the velocity's name, if there is momentum."""
        return ("momentum",) if self.momentum else ()

    @elementwise
    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move against the gradient."""
        change = gradient * learning_rate
        if not self.momentum:
            variable.assign(variable.value - change)
            return
        velocity = self.slot("momentum", variable)
        velocity.assign(velocity.value * self.momentum - change)
        ahead = velocity.value * self.momentum - change if self.nesterov else velocity.value
        variable.assign(variable.value + ahead)
