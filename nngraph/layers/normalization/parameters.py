"""Scale and shift after a normalisation, which several layers have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nngraph import constraints, initializers, regularizers
from nngraph.layers.arguments import config_of
from nngraph.layers.layer import Layer

__all__ = ["ScaleAndShift", "axes_from_front"]


def axes_from_front(axes: Sequence[int], shape: Sequence[Any]) -> list[int]:
    """Return axes counted from the front.

    Raises:
        ValueError: the shape has no such axis.
    """
    rank = len(shape)
    if not all(-rank <= a < rank for a in axes):
        raise ValueError(f"axis {list(axes) if len(axes) > 1 else axes[0]} is none of an input of shape {tuple(shape)}")
    return sorted(a % rank for a in axes)


class ScaleAndShift(Layer):
    """The weights ``gamma`` (if ``scale``) and ``beta`` (if ``center``) and their arguments."""

    def __init__(
        self,
        epsilon: float,
        center: bool,
        scale: bool,
        beta_initializer: Any,
        gamma_initializer: Any,
        beta_regularizer: Any,
        gamma_regularizer: Any,
        beta_constraint: Any,
        gamma_constraint: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.epsilon = epsilon
        self.center = center
        self.scale = scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.gamma: Any = None
        self.beta: Any = None
        self.supports_masking = True

    def add_scale_and_shift(self, shape: tuple[Any, ...]) -> None:
        """Create the weights."""
        if self.scale:
            self.gamma = self.add_weight(
                name="gamma",
                shape=shape,
                initializer=self.gamma_initializer,
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
            )
        if self.center:
            self.beta = self.add_weight(
                name="beta",
                shape=shape,
                initializer=self.beta_initializer,
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
            )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            **config_of(
                self,
                "axis",
                "epsilon",
                "center",
                "scale",
                "beta_initializer",
                "gamma_initializer",
                "beta_regularizer",
                "gamma_regularizer",
                "beta_constraint",
                "gamma_constraint",
            ),
        }
