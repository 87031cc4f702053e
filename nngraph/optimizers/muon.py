"""Muon: momentum made orthogonal, for matrices; Adam for everything else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from nngraph import ops
from nngraph.ops import Variable
from nngraph.optimizers.optimizer import Optimizer

__all__ = ["Muon"]


class Muon(Optimizer):
    """Makes the momentum of each matrix orthogonal by a Newton-Schulz iteration; other variables go by AdamW.

    Args:
        learning_rate: see :class:`Optimizer`.
        adam_beta_1, adam_beta_2, epsilon, adam_weight_decay: Adam's numbers for variables that are no matrices.
        weight_decay: weight decay of matrices.
        exclude_layers: patterns of variable paths that go by Adam, too.
        exclude_embeddings: whether embeddings go by Adam.
        muon_a, muon_b, muon_c: coefficients of the iteration ``x <- a x + b (x xT) x + c (x xT)^2 x``.
        adam_lr_ratio: factor of the learning rate for Adam's variables.
        momentum, nesterov: momentum of matrices.
        ns_steps: number of iterations.
        rms_rate: steps of matrices are scaled by ``rms_rate * sqrt(max(rows, columns))``; ``None`` leaves them.

    Source: Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024; the scaling: Liu et al.,
    "Muon is Scalable for LLM Training", 2025.
    """

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
        self.adam_beta_1, self.adam_beta_2, self.epsilon = adam_beta_1, adam_beta_2, epsilon
        self.adam_weight_decay, self.adam_lr_ratio = adam_weight_decay, adam_lr_ratio
        self.exclude_layers, self.exclude_embeddings = list(exclude_layers or ()), exclude_embeddings
        self.muon_a, self.muon_b, self.muon_c = muon_a, muon_b, muon_c
        self.momentum, self.ns_steps, self.nesterov, self.rms_rate = momentum, ns_steps, nesterov, rms_rate

    def build(self, variables: Sequence[Variable]) -> None:
        """Create a momentum for each variable and a velocity for those that go by Adam."""
        if self.built:
            return
        super().build(variables)
        momenta: dict[Variable, Variable] = {}
        velocities: dict[Variable, Variable] = {}
        for variable in variables:
            momenta[variable] = self.add_variable_from_reference(variable, "momentum")
            if self._goes_by_adam(variable):
                velocities[variable] = self.add_variable_from_reference(variable, "velocity")
        self._slots = {"momentum": momenta, "velocity": velocities}

    def _goes_by_adam(self, variable: Variable) -> bool:
        if variable.ndim != 2 or (self.exclude_embeddings and "embedding" in variable.path.lower()):
            return True
        return any(re.search(pattern, variable.path) for pattern in self.exclude_layers)

    def decay_of(self, variable: Variable) -> float | None:
        """Matrices and Adam's variables have weight decays of their own."""
        return self.adam_weight_decay if self._goes_by_adam(variable) else self.weight_decay

    def begin_update(self) -> None:
        """Compute Adam's bias correction once for all variables."""
        step = self.step_number()
        self._correction = ops.sqrt(1.0 - ops.power(np.float32(self.adam_beta_2), step)) / (
            1.0 - ops.power(np.float32(self.adam_beta_1), step)
        )

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """Move a matrix by its orthogonal momentum, anything else by Adam."""
        m = self.slot("momentum", variable)
        if self._goes_by_adam(variable):
            v = self.slot("velocity", variable)
            alpha = learning_rate * self.adam_lr_ratio * ops.cast(self._correction, variable.dtype)
            m.assign(m.value + (gradient - m.value) * (1.0 - self.adam_beta_1))
            v.assign(v.value + (ops.square(gradient) - v.value) * (1.0 - self.adam_beta_2))
            variable.assign(variable.value - m.value * alpha / (ops.sqrt(v.value) + self.epsilon))
            return
        m.assign(m.value * self.momentum + gradient)
        ahead = gradient + m.value * self.momentum if self.nesterov else m.value
        scale = 1.0 if self.rms_rate is None else self.rms_rate * float(np.sqrt(max(variable.shape)))
        variable.assign(variable.value - learning_rate * scale * self._orthogonal(ahead, variable.shape))

    def _orthogonal(self, x: Any, shape: tuple[int, ...]) -> Any:
        """Return roughly ``u vT`` of the singular value decomposition ``x = u s vT``."""
        tall = shape[0] > shape[1]
        x = ops.transpose(x) if tall else x
        x = x / (ops.sqrt(ops.sum(ops.square(x))) + 1e-7)
        for _ in range(self.ns_steps):
            square = ops.matmul(x, ops.transpose(x))
            x = self.muon_a * x + ops.matmul(self.muon_b * square + self.muon_c * ops.matmul(square, square), x)
        return ops.transpose(x) if tall else x

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        names = ("adam_beta_1", "adam_beta_2", "adam_weight_decay", "epsilon", "exclude_layers", "exclude_embeddings")
        more = ("muon_a", "muon_b", "muon_c", "adam_lr_ratio", "momentum", "ns_steps", "nesterov", "rms_rate")
        return {**super().get_config(), **{n: getattr(self, n) for n in (*names, *more)}}
