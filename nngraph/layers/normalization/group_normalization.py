"""Normalisation of groups of channels."""

from __future__ import annotations

from typing import Any

from nngraph import ops
from nngraph.layers.arguments import config_of, layer_name
from nngraph.layers.input_spec import InputSpec
from nngraph.layers.normalization.parameters import ScaleAndShift, axes_from_front

__all__ = ["GroupNormalization"]


class GroupNormalization(ScaleAndShift):
    """Give every group of channels of every sample mean 0 and variance 1, then scale and shift each channel.

    Wu and He, "Group normalization", 2018. One group is layer normalisation over all but the batch; as many groups as
    channels are instance normalisation.

    Args:
        groups: number of groups, of which the channels are a multiple; -1 for as many as channels.
        axis: the axis of the channels.
        epsilon: added to the variance.
        center: whether ``beta`` is added.
        scale: whether it is multiplied by ``gamma``.
        beta_initializer, gamma_initializer: initializers of the weights.
        beta_regularizer, gamma_regularizer: penalties on the weights.
        beta_constraint, gamma_constraint: projections of the weights after each training step.

    Raises:
        ValueError: the channels are unknown, change, or are no multiple of ``groups``.

    Example:
        >>> GroupNormalization(groups=2)(np.array([[1.0, 3.0, 10.0, 30.0]])).round(2).tolist()
        [[-1.0, 1.0, -1.0, 1.0]]
    """

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
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
        if not isinstance(groups, int) or (groups < 1 and groups != -1):
            raise ValueError(f"{layer_name(self)}: groups must be a positive integer or -1, got {groups!r}")
        self.groups = groups
        self.axis = axis

    def build(self, input_shape: Any) -> None:
        """Create the weights."""
        (axis,) = axes_from_front([self.axis], input_shape)
        channels = input_shape[axis]
        if channels is None:
            raise ValueError(f"the number of channels, axis {self.axis}, must be known, got shape {tuple(input_shape)}")
        if self.groups == -1:
            self.groups = channels
        if channels % self.groups:
            raise ValueError(f"the {channels} channels on axis {self.axis} must be a multiple of groups={self.groups}")
        self.add_scale_and_shift((channels,))
        self.input_spec = InputSpec(ndim=len(input_shape), axes={axis: channels})
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Return the normalised inputs."""
        rank = len(inputs.shape)
        axis = self.axis % rank
        sizes = list(ops.shape(inputs))
        channels = sizes[axis]
        split = [*sizes[:axis], self.groups, channels // self.groups, *sizes[axis + 1 :]]
        grouped = ops.reshape(inputs, split)
        over = tuple(k for k in range(1, rank + 1) if k != axis)
        mean, variance = ops.moments(grouped, over, keepdims=True)
        normal = ops.divide(ops.subtract(grouped, mean), ops.sqrt(ops.add(variance, self.epsilon)))
        outputs = ops.reshape(normal, sizes)
        column = [1] * axis + [channels] + [1] * (rank - axis - 1)
        if self.gamma is not None:
            outputs = ops.multiply(outputs, ops.reshape(self.gamma, column))
        if self.beta is not None:
            outputs = ops.add(outputs, ops.reshape(self.beta, column))
        return outputs

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), **config_of(self, "groups")}
