"""Adam and AdamW."""

from __future__ import annotations

from typing import Any

from nngraph import ops
from nngraph.optimizers.joined import elementwise
from nngraph.optimizers.optimizer import Optimizer

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer):
    """Moves by the mean gradient, divided by the root of the mean squared gradient.

    With m ← m + (1 - beta_1) (g - m), v ← v + (1 - beta_2) (g² - v) and the step number t,
    w ← w - learning_rate sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon).
    Kingma and Ba, "Adam: A method for stochastic optimization", 2014, the form before section 2.1.

    Args:
        learning_rate and the rest: see :class:`Optimizer`.
        beta_1: the share of the mean gradient that stays.
        beta_2: the share of the mean squared gradient that stays.
        epsilon: keeps the divisor away from zero.
        amsgrad: divide by the largest v so far. Reddi et al., "On the convergence of Adam and beyond", 2018.

    >>> import numpy as np
    >>> from nngraph.ops import Variable
    >>> v = Variable(np.float32([1, 2]))
    >>> Adam(0.1).apply([np.float32([0.5, -0.5])], [v]); print(v.numpy().round(4))
    [0.9 2.1]
    """

    slots = ("momentum", "velocity")
    options = ("beta_1", "beta_2", "epsilon", "amsgrad")

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
        """Return the names of both means, and of the largest second one for `amsgrad`."""
        return (*self.slots, "velocity_hat") if self.amsgrad else self.slots

    @elementwise
    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move by the corrected mean gradient over its size."""
        m, v = self.slot("momentum", variable), self.slot("velocity", variable)
        dtype = variable.dtype

        def corrected_rate() -> Any:
            return learning_rate * ops.sqrt(self.bias(self.beta_2, dtype)) / self.bias(self.beta_1, dtype)

        m.assign(m.value + (gradient - m.value) * (1.0 - self.beta_1))
        v.assign(v.value + (ops.square(gradient) - v.value) * (1.0 - self.beta_2))
        size = v.value
        if self.amsgrad:
            largest = self.slot("velocity_hat", variable)
            largest.assign(ops.maximum(largest.value, size))
            size = largest.value
        rate = self.shared("corrected rate", dtype, corrected_rate)
        variable.assign(variable.value - m.value * rate / (ops.sqrt(size) + self.epsilon))


class AdamW(Adam):
    """Adam with weight decay apart from the gradient.

    Loshchilov and Hutter, "Decoupled weight decay regularization", 2017.

    Args:
        weight_decay: each step takes this share of a variable, times the learning rate, off it.
        learning_rate and the rest: see :class:`Adam`.

    Raises:
        ValueError: `weight_decay` is None.

    >>> import numpy as np
    >>> from nngraph.ops import Variable
    >>> v = Variable(np.float32([1, 2]))
    >>> AdamW(0.1, weight_decay=0.5).apply([np.float32([0.5, -0.5])], [v]); print(v.numpy().round(4))
    [0.85 2.  ]
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float | None = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
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
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            amsgrad=amsgrad,
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
        if self.weight_decay is None:
            raise ValueError("AdamW: weight_decay must be a number. Received: weight_decay=None. Use Adam for none.")
