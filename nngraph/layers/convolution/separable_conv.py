"""Separable convolution: each channel by itself, then a mix of channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nngraph import constraints, initializers, ops, regularizers
from nngraph.layers.arguments import config_of, integer
from nngraph.layers.convolution.base import Convolution, filters_of

__all__ = ["SeparableConv1D", "SeparableConv2D"]


class _SeparableConv(Convolution):
    """Convolve depthwise, then with a kernel of size 1."""

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
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
        self.filters, _ = filters_of(self, filters)
        self.depth_multiplier = integer(self, "depth_multiplier", depth_multiplier)
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.pointwise_initializer = initializers.get(pointwise_initializer)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)
        self.pointwise_regularizer = regularizers.get(pointwise_regularizer)
        self.depthwise_constraint = constraints.get(depthwise_constraint)
        self.pointwise_constraint = constraints.get(pointwise_constraint)

    def out_channels(self, channels: int) -> int:
        """Return the number of filters."""
        return self.filters

    def build_kernels(self, channels: int) -> None:
        """Create the two kernels."""
        self.depthwise_kernel = self.add_weight(
            name="depthwise_kernel",
            shape=(*self.kernel_size, channels, self.depth_multiplier),
            initializer=self.depthwise_initializer,
            regularizer=self.depthwise_regularizer,
            constraint=self.depthwise_constraint,
        )
        self.pointwise_kernel = self.add_weight(
            name="pointwise_kernel",
            shape=(*(1,) * self.rank, channels * self.depth_multiplier, self.filters),
            initializer=self.pointwise_initializer,
            regularizer=self.pointwise_regularizer,
            constraint=self.pointwise_constraint,
        )

    def convolve(self, inputs: Any) -> Any:
        """Return the separable convolution."""
        self.check_sizes(inputs)
        return ops.separable_conv(
            inputs,
            self.depthwise_kernel,
            self.pointwise_kernel,
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            **config_of(
                self,
                "filters",
                "depth_multiplier",
                "depthwise_initializer",
                "pointwise_initializer",
                "depthwise_regularizer",
                "pointwise_regularizer",
                "depthwise_constraint",
                "pointwise_constraint",
            ),
        }


class SeparableConv1D(_SeparableConv):
    """Convolve each channel of sequences ``(batch, steps, channels)`` by itself, then mix the channels.

    Chollet, "Xception: deep learning with depthwise separable convolutions", 2017.

    Args:
        filters: number of channels of the output.
        kernel_size: size of the window, an integer.
        strides: distance between windows, an integer.
        padding: ``"valid"``, or ``"same"`` for an output size of input size / strides, rounded up.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.
        dilation_rate: distance between the kernel's taps; more than 1 does not go with strides of more than 1.
        depth_multiplier: how many filters each channel has before the mix.
        activation: a name, a function or a layer; default none.
        use_bias: whether a bias is added.
        depthwise_initializer, depthwise_regularizer, depthwise_constraint: of the kernel that sees one channel.
        pointwise_initializer, pointwise_regularizer, pointwise_constraint: of the kernel that mixes channels.
        bias_initializer, bias_regularizer, bias_constraint: the same of the bias.
        activity_regularizer: penalty on the output.

    Raises:
        ValueError: an argument is none of these, the channels are unknown or change, or the input is too small.

    Example:
        >>> SeparableConv1D(4, 3)(np.zeros((1, 5, 2))).shape
        (1, 3, 4)
    """

    rank = 1


class SeparableConv2D(_SeparableConv):
    """Convolve each channel of images ``(batch, height, width, channels)`` by itself, then mix the channels.

    Chollet, "Xception: deep learning with depthwise separable convolutions", 2017.

    Args:
        filters: number of channels of the output.
        kernel_size: size of the window, an integer, or 2 of them.
        strides: distance between windows, an integer, or 2 of them.
        padding: ``"valid"``, or ``"same"`` for an output size of input size / strides, rounded up.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.
        dilation_rate: distance between the kernel's taps; more than 1 does not go with strides of more than 1.
        depth_multiplier: how many filters each channel has before the mix.
        activation: a name, a function or a layer; default none.
        use_bias: whether a bias is added.
        depthwise_initializer, depthwise_regularizer, depthwise_constraint: of the kernel that sees one channel.
        pointwise_initializer, pointwise_regularizer, pointwise_constraint: of the kernel that mixes channels.
        bias_initializer, bias_regularizer, bias_constraint: the same of the bias.
        activity_regularizer: penalty on the output.

    Raises:
        ValueError: an argument is none of these, the channels are unknown or change, or the input is too small.

    Example:
        >>> SeparableConv2D(4, 3)(np.zeros((1, 5, 5, 2))).shape
        (1, 3, 3, 4)
    """

    rank = 2
