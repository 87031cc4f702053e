"""ReLU and the layers that differ from it for negative inputs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from nngraph import activations, constraints, initializers, ops, regularizers
from nngraph.layers.arguments import config_of, layer_name
from nngraph.layers.input_spec import InputSpec
from nngraph.layers.layer import Layer

__all__ = ["ELU", "LeakyReLU", "PReLU", "ReLU"]


def _not_negative(layer: Layer, argument: str, value: Any) -> Any:
    if value is None or value < 0:
        raise ValueError(f"{layer_name(layer)}: {argument} must be a number of at least 0, got {value!r}")
    return value


class ReLU(Layer):
    """Return x above a threshold, and below it ``negative_slope * (x - threshold)``, at most ``max_value``.

    Args:
        max_value: the largest output; ``None`` for no limit.
        negative_slope: slope below the threshold.
        threshold: where the line begins.

    Raises:
        ValueError: an argument is negative.

    Example:
        >>> ReLU(max_value=6)(np.array([-3.0, 2.0, 9.0])).tolist()
        [0.0, 2.0, 6.0]
    """

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.max_value = None if max_value is None else _not_negative(self, "max_value", max_value)
        self.negative_slope = _not_negative(self, "negative_slope", negative_slope)
        self.threshold = _not_negative(self, "threshold", threshold)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """Return the rectified inputs."""
        return activations.relu(inputs, self.negative_slope, self.max_value, self.threshold)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), **config_of(self, "max_value", "negative_slope", "threshold")}


class LeakyReLU(Layer):
    """Return x, and ``negative_slope * x`` where x is negative.

    Args:
        negative_slope: slope of the negative part.

    Raises:
        ValueError: the slope is negative.

    Example:
        >>> LeakyReLU(negative_slope=0.5)(np.array([-3.0, 2.0])).tolist()
        [-1.5, 2.0]
    """

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        if "alpha" in kwargs:
            negative_slope = kwargs.pop("alpha")
            warnings.warn("LeakyReLU(alpha=...) is an old spelling; write negative_slope= instead", stacklevel=2)
        super().__init__(**kwargs)
        self.negative_slope = _not_negative(self, "negative_slope", negative_slope)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """Return the inputs with a smaller slope where they are negative."""
        return ops.leaky_relu(inputs, negative_slope=self.negative_slope)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), **config_of(self, "negative_slope")}


class ELU(Layer):
    """Return x, and ``alpha * (exp(x) - 1)`` where x is negative.

    Clevert, Unterthiner and Hochreiter, "Fast and accurate deep network learning by exponential linear units", 2015.

    Args:
        alpha: scale of the negative part.

    Example:
        >>> ELU()(np.array([-1.0, 2.0])).round(4).tolist()
        [-0.632..., 2.0]
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = alpha
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """Return the inputs, negative ones bent."""
        return ops.elu(inputs, alpha=self.alpha)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), **config_of(self, "alpha")}


class PReLU(Layer):
    """Return x, and ``alpha * x`` where x is negative, with a trained alpha for each place.

    He et al., "Delving deep into rectifiers", 2015.

    Args:
        alpha_initializer: initializer of the slopes.
        alpha_regularizer: penalty on them.
        alpha_constraint: projection of them after each training step.
        shared_axes: axes (1 is the first after the batch) along which one slope serves all places.

    Raises:
        ValueError: a size that the slopes need is not known.

    Example:
        >>> PReLU(alpha_initializer="ones", shared_axes=[1])(np.array([[-3.0, 2.0]])).tolist()
        [[-3.0, 2.0]]
    """

    def __init__(
        self,
        alpha_initializer: Any = "Zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: int | Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        axes = [shared_axes] if isinstance(shared_axes, int) else shared_axes
        self.shared_axes = None if axes is None else list(axes)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Create the slopes."""
        sizes = list(input_shape[1:])
        for axis in self.shared_axes or ():
            if not 1 <= axis <= len(sizes):
                raise ValueError(
                    f"shared_axes {self.shared_axes} must be among the axes 1 to {len(sizes)} of the input"
                )
            sizes[axis - 1] = 1
        self.alpha = self.add_weight(
            name="alpha",
            shape=tuple(sizes),
            initializer=self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
        )
        own = {k: input_shape[k] for k in range(1, len(input_shape)) if k not in (self.shared_axes or ())}
        self.input_spec = InputSpec(ndim=len(input_shape), axes=own)
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Return the inputs, negative ones scaled by their slopes."""
        return ops.subtract(ops.relu(inputs), ops.multiply(self.alpha, ops.relu(ops.negative(inputs))))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            **config_of(self, "alpha_initializer", "alpha_regularizer", "alpha_constraint", "shared_axes"),
        }
