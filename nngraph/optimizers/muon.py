"""Muon: momentum made orthogonal, for matrices; AdamW for everything else."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from nngraph import ops
from nngraph.ops import Variable
from nngraph.optimizers.clipping import square_sum
from nngraph.optimizers.optimizer import Optimizer

__all__ = ["Muon"]


class Muon(Optimizer):
    """Makes the momentum of each matrix orthogonal by a Newton-Schulz iteration; other variables go by AdamW.

    Embeddings and the last layer should go by AdamW, too: name the latter in `exclude_layers`.
    Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024; the scaling of steps: Liu et al.,
    "Muon is scalable for LLM training", 2025.

    Args:
        learning_rate and the rest: see :class:`Optimizer`.
        adam_beta_1, adam_beta_2, epsilon, adam_weight_decay: the numbers of AdamW.
        weight_decay: weight decay of matrices.
        exclude_layers: patterns; variables in whose path one is found go by AdamW.
        exclude_embeddings: embeddings go by AdamW.
        muon_a, muon_b, muon_c: coefficients of the iteration x ← a x + b (x xᵀ) x + c (x xᵀ)² x.
        adam_lr_ratio: factor of the learning rate for AdamW.
        momentum: the share of a matrix's momentum that stays.
        ns_steps: number of iterations.
        nesterov: look one step ahead.
        rms_rate: steps of matrices are multiplied with `rms_rate` sqrt(max(rows, columns)), unless it is None.

    >>> import numpy as np
    >>> from nngraph.ops import Variable
    >>> v = Variable(np.eye(2, dtype="float32"))
    >>> Muon(0.1, rms_rate=None).apply([np.float32([[3, 0], [0, 1]])], [v]); print(v.numpy().round(1))
    [[0.9 0. ]
     [0.  0.9]]
    """

    options = (
        "adam_beta_1",
        "adam_beta_2",
        "adam_weight_decay",
        "epsilon",
        "exclude_layers",
        "exclude_embeddings",
        "muon_a",
        "muon_b",
        "muon_c",
        "adam_lr_ratio",
        "momentum",
        "ns_steps",
        "nesterov",
        "rms_rate",
    )

    def __init__(
        self,
        learning_rate: Any = 0.001,
        adam_beta_1: float = 0.9,
        adam_beta_2: float = 0.999,
        adam_weight_decay: float | None = 0.004,
        epsilon: float = 1e-7,
        weight_decay: float | None = 0.004,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        exclude_layers: Sequence[str] | None = None,
        exclude_embeddings: bool = True,
        muon_a: float = 3.4445,
        muon_b: float = -4.775,
        muon_c: float = 2.0315,
        adam_lr_ratio: float = 1,
        momentum: float = 0.95,
        ns_steps: int = 5,
        nesterov: bool = True,
        rms_rate: float | None = 0.2,
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
        self.adam_beta_1 = adam_beta_1
        self.adam_beta_2 = adam_beta_2
        self.adam_weight_decay = adam_weight_decay
        self.epsilon = epsilon
        self.exclude_layers = list(exclude_layers or ())
        self.exclude_embeddings = exclude_embeddings
        self.muon_a = muon_a
        self.muon_b = muon_b
        self.muon_c = muon_c
        self.adam_lr_ratio = adam_lr_ratio
        self.momentum = momentum
        self.ns_steps = ns_steps
        self.nesterov = nesterov
        self.rms_rate = rms_rate

    def build(self, variables: Sequence[Variable]) -> None:
        """Create a momentum for each variable, and a mean square for those that go by AdamW."""
        if self.built:
            return
        super().build(variables)
        self._slots = {"momentum": {}, "velocity": {}}
        for variable in variables:
            self._slots["momentum"][variable] = self.add_variable_from_reference(variable, "momentum")
            if self._goes_by_adam(variable):
                self._slots["velocity"][variable] = self.add_variable_from_reference(variable, "velocity")

    def _goes_by_adam(self, variable: Variable) -> bool:
        if len(variable.shape) != 2 or (self.exclude_embeddings and "embedding" in variable.path.lower()):
            return True
        return any(re.search(pattern, variable.path) for pattern in self.exclude_layers)

    def _decay_of(self, variable: Variable) -> float | None:
        return self.adam_weight_decay if self._goes_by_adam(variable) else self.weight_decay

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """Move a matrix by its orthogonal momentum, anything else by Adam."""
        m = self.slot("momentum", variable)
        if self._goes_by_adam(variable):
            self._adam_step(gradient, variable, learning_rate)
            return
        m.assign(m.value * self.momentum + gradient)
        ahead = gradient + m.value * self.momentum if self.nesterov else m.value
        scale = 1.0 if self.rms_rate is None else self.rms_rate * math.sqrt(max(variable.shape))
        variable.assign(variable.value - self._orthogonal(ahead, variable.shape) * (learning_rate * scale))

    def _adam_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        m, v = self.slot("momentum", variable), self.slot("velocity", variable)
        dtype = variable.dtype

        def corrected_rate() -> Any:
            rate = learning_rate * self.adam_lr_ratio
            return rate * ops.sqrt(self.bias(self.adam_beta_2, dtype)) / self.bias(self.adam_beta_1, dtype)

        m.assign(m.value + (gradient - m.value) * (1.0 - self.adam_beta_1))
        v.assign(v.value + (ops.square(gradient) - v.value) * (1.0 - self.adam_beta_2))
        rate = self.shared("corrected rate", dtype, corrected_rate)
        variable.assign(variable.value - m.value * rate / (ops.sqrt(v.value) + self.epsilon))

    def _orthogonal(self, x: Any, shape: tuple[int, ...]) -> Any:
        """Return about u vᵀ, where x = u s vᵀ is the singular value decomposition."""
        tall = shape[0] > shape[1]  # the smaller of x xᵀ and xᵀ x is cheaper
        x = ops.transpose(x) if tall else x
        x = x / (ops.sqrt(square_sum(x)) + 1e-7)
        for _ in range(self.ns_steps):
            square = ops.matmul(x, ops.transpose(x))
            mixed = square * self.muon_b + ops.matmul(square, square) * self.muon_c
            x = x * self.muon_a + ops.matmul(mixed, x)
        return ops.transpose(x) if tall else x
