"""Depthwise convolution: every channel has filters of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nngraph import constraints, initializers, ops, regularizers
from nngraph.layers.arguments import config_of, integer
from nngraph.layers.convolution.base import Convolution

__all__ = ["DepthwiseConv1D", "DepthwiseConv2D"]


class _DepthwiseConv(Convolution):
    """Convolve each channel with a kernel ``(spatial..., channels, depth_multiplier)``."""

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            bias_initializer,
            bias_regularizer,
            activity_regularizer,
            bias_constraint,
            **kwargs,
        )
        self.depth_multiplier = integer(self, "depth_multiplier", depth_multiplier)
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)
        self.depthwise_constraint = constraints.get(depthwise_constraint)

    def out_channels(self, channels: int) -> int:
        """Return the number of channels times the multiplier."""
        return channels * self.depth_multiplier

    def build_kernels(self, channels: int) -> None:
        """Create the kernel."""
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*self.kernel_size, channels, self.depth_multiplier),
            initializer=self.depthwise_initializer,
            regularizer=self.depthwise_regularizer,
            constraint=self.depthwise_constraint,
        )

    def convolve(self, inputs: Any) -> Any:
        """Return the depthwise convolution."""
        self.check_sizes(inputs)
        return ops.depthwise_conv(
            inputs,
            self.kernel,
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        names = ("depth_multiplier", "depthwise_initializer", "depthwise_regularizer", "depthwise_constraint")
        return {**super().get_config(), **config_of(self, *names)}


class DepthwiseConv1D(_DepthwiseConv):
    """Convolve each channel of sequences ``(batch, steps, channels)`` by itself.

    The kernel is ``(*kernel_size, channels, depth_multiplier)``; channel c gives ``depth_multiplier`` output channels.

    Args:
        kernel_size: size of the window, an integer.
        strides: distance between windows, an integer.
        padding: ``"valid"``, or ``"same"`` for an output size of input size / strides, rounded up.
        depth_multiplier: how many filters each channel has.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.
        dilation_rate: distance between the kernel's taps; more than 1 does not go with strides of more than 1.
        activation: a name, a function or a layer; default none.
        use_bias: whether a bias is added.
        depthwise_initializer, depthwise_regularizer, depthwise_constraint: how the kernel begins, is penalised and
            projected.
        bias_initializer, bias_regularizer, bias_constraint: the same of the bias.
        activity_regularizer: penalty on the output.

    Raises:
        ValueError: an argument is none of these, the channels are unknown or change, or the input is too small.

    Example:
        >>> DepthwiseConv1D(3, depth_multiplier=2)(np.zeros((1, 5, 2))).shape
        (1, 3, 4)
    """

    rank = 1


class DepthwiseConv2D(_DepthwiseConv):
    """Convolve each channel of images ``(batch, height, width, channels)`` by itself.

    The kernel is ``(*kernel_size, channels, depth_multiplier)``; channel c gives ``depth_multiplier`` output channels.

    Args:
        kernel_size: size of the window, an integer, or 2 of them.
        strides: distance between windows, an integer, or 2 of them.
        padding: ``"valid"``, or ``"same"`` for an output size of input size / strides, rounded up.
        depth_multiplier: how many filters each channel has.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.
        dilation_rate: distance between the kernel's taps; more than 1 does not go with strides of more than 1.
        activation: a name, a function or a layer; default none.
        use_bias: whether a bias is added.
        depthwise_initializer, depthwise_regularizer, depthwise_constraint: how the kernel begins, is penalised and
            projected.
        bias_initializer, bias_regularizer, bias_constraint: the same of the bias.
        activity_regularizer: penalty on the output.

    Raises:
        ValueError: an argument is none of these, the channels are unknown or change, or the input is too small.

    Example:
        >>> DepthwiseConv2D(3, depth_multiplier=2)(np.zeros((1, 5, 5, 2))).shape
        (1, 3, 3, 4)
    """

    rank = 2
