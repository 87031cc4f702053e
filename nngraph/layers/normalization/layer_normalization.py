"""Normalisation of each sample by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nngraph import initializers, ops
from nngraph.layers.arguments import config_of, layer_name
from nngraph.layers.layer import Layer
from nngraph.layers.normalization.parameters import ScaleAndShift, axes_from_front

__all__ = ["LayerNormalization", "RMSNormalization", "UnitNormalization"]


def _axes(layer: Any, axis: Any) -> Any:
    """Return the ``axis`` argument, an integer or a list."""
    many = [axis] if isinstance(axis, int) else list(axis) if isinstance(axis, (list, tuple)) else []
    if not many or not all(isinstance(a, int) for a in many):
        raise ValueError(f"{layer_name(layer)}: axis must be an integer or a list of integers, got {axis!r}")
    return axis if isinstance(axis, int) else many


def _list(axis: Any) -> list[int]:
    return [axis] if isinstance(axis, int) else axis


class LayerNormalization(ScaleAndShift):
    """Give every sample mean 0 and variance 1 along axes, then scale and shift it.

    Ba, Kiros and Hinton, "Layer normalization", 2016.

    Args:
        axis: the axis, or several, over which mean and variance are taken; their sizes must be known.
        epsilon: added to the variance.
        center: whether ``beta`` is added.
        scale: whether it is multiplied by ``gamma``.
        beta_initializer, gamma_initializer: initializers of the weights, which have the sizes of ``axis``.
        beta_regularizer, gamma_regularizer: penalties on the weights.
        beta_constraint, gamma_constraint: projections of the weights after each training step.

    Raises:
        ValueError: the input has no such axis, or its size is not known.

    Example:
        >>> LayerNormalization()(np.array([[1.0, 3.0], [10.0, 30.0]])).round(2).tolist()
        [[-1.0, 1.0], [-1.0, 1.0]]
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        if kwargs.pop("rms_scaling", False):
            raise ValueError("LayerNormalization(rms_scaling=True) is not supported; use the layer RMSNormalization")
        super().__init__(
            epsilon,
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            beta_constraint,
            gamma_constraint,
            **kwargs,
        )
        self.axis = _axes(self, axis)

    def build(self, input_shape: Any) -> None:
        """Create the weights."""
        axes = axes_from_front(_list(self.axis), input_shape)
        self.add_scale_and_shift(tuple(input_shape[a] for a in axes))
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Return the normalised inputs."""
        axes = axes_from_front(_list(self.axis), inputs.shape)
        return ops.layer_normalization(inputs, self.gamma, self.beta, axis=axes, epsilon=self.epsilon)


class RMSNormalization(Layer):
    """Divide every sample by the root of its mean square along axes, then scale it.

    Zhang and Sennrich, "Root mean square layer normalization", 2019.

    Args:
        axis: the axis, or several; their sizes must be known.
        epsilon: added to the mean square.

    Raises:
        ValueError: the input has no such axis, or its size is not known.

    Example:
        >>> print(RMSNormalization()(np.array([[3.0, 4.0]])).round(3))
        [[0.849 1.131]]
    """

    def __init__(self, axis: int | Sequence[int] = -1, epsilon: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = _list(_axes(self, axis))
        self.epsilon = epsilon

    def build(self, input_shape: Any) -> None:
        """Create the scale."""
        axes = axes_from_front(self.axis, input_shape)
        self.scale = self.add_weight(
            name="scale", shape=tuple(input_shape[a] for a in axes), initializer=initializers.get("ones")
        )
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Return the normalised inputs."""
        return ops.rms_normalization(inputs, self.scale, axis=self.axis, epsilon=self.epsilon)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), **config_of(self, "axis", "epsilon")}


class UnitNormalization(Layer):
    """Divide every sample by its Euclidean length along axes.

    Args:
        axis: the axis, or several.

    Example:
        >>> print(UnitNormalization()(np.array([[3.0, 4.0]])).round(3))
        [[0.6 0.8]]
    """

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = _axes(self, axis)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Check that the input has the axes."""
        axes_from_front(_list(self.axis), input_shape)
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Return the inputs with length 1."""
        return ops.normalize(inputs, axis=self.axis, order=2, epsilon=1e-6)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), **config_of(self, "axis")}
