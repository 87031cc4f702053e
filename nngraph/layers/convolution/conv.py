"""Convolution over 1, 2 or 3 spatial axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nngraph import constraints, initializers, ops, regularizers
from nngraph.layers.arguments import config_of
from nngraph.layers.convolution.base import Convolution, filters_of
from nngraph.layers.low_rank import LowRank

__all__ = ["Conv1D", "Conv2D", "Conv3D"]


class _Conv(LowRank, Convolution):
    """Convolve with a kernel ``(spatial..., channels / groups, filters)``."""

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
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
        self.filters, self.groups = filters_of(self, filters, groups)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self._ask_lora(lora_rank, lora_alpha)

    def out_channels(self, channels: int) -> int:
        """Return the number of filters."""
        return self.filters

    def build_kernels(self, channels: int) -> None:
        """Create the kernel."""
        if channels % self.groups:
            raise ValueError(f"the {channels} channels of the input must be a multiple of groups={self.groups}")
        self._kernel = self.add_weight(
            name="kernel",
            shape=(*self.kernel_size, channels // self.groups, self.filters),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )

    def build(self, input_shape: Any) -> None:
        """Create kernel and bias."""
        super().build(input_shape)
        self._enable_asked_lora()

    def _adapted_variable(self) -> Any:
        return self._kernel

    @property
    def kernel(self) -> Any:
        """The kernel, low-rank weights included."""
        return self._adapted()

    def convolve(self, inputs: Any) -> Any:
        """Return the convolution."""
        self.check_sizes(inputs)
        padding = self.padding
        if padding == "causal":
            before = (self.kernel_size[0] - 1) * self.dilation_rate[0]
            time = (before, 0)
            inputs = ops.pad(inputs, [(0, 0), time, (0, 0)] if self.channel_axis == -1 else [(0, 0), (0, 0), time])
            padding = "valid"
        return ops.conv(
            inputs,
            self.kernel,
            strides=self.strides,
            padding=padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            **config_of(self, "filters", "groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint"),
            **self._lora_config(),
        }


class Conv1D(_Conv):
    """Convolve sequences ``(batch, steps, channels)`` with trained filters.

    The kernel is ``(*kernel_size, channels / groups, filters)``; a bias and an activation follow.

    Args:
        filters: number of channels of the output.
        kernel_size: size of the window, an integer.
        strides: distance between windows, an integer.
        padding: ``"valid"``, ``"same"`` for an output size of input size / strides, rounded up, or ``"causal"`` for
            zeros before the first step only, so that no output sees a later input.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.
        dilation_rate: distance between the kernel's taps; more than 1 does not go with strides of more than 1.
        groups: the channels are split into this many groups that do not mix.
        activation: a name, a function or a layer; default none.
        use_bias: whether a bias is added.
        kernel_initializer, kernel_regularizer, kernel_constraint: how the kernel begins, is penalised and projected.
        bias_initializer, bias_regularizer, bias_constraint: the same of the bias.
        activity_regularizer: penalty on the output.
        lora_rank, lora_alpha: train two matrices of this rank instead of the kernel; see :meth:`enable_lora`.

    Raises:
        ValueError: an argument is none of these, the channels are unknown or change, or the input is too small.

    Example:
        >>> Conv1D(4, 3, padding="same")(np.zeros((1, 5, 2))).shape
        (1, 5, 4)
    """

    rank = 1
    _paddings = ("valid", "same", "causal")


class Conv2D(_Conv):
    """Convolve images ``(batch, height, width, channels)`` with trained filters.

    The kernel is ``(*kernel_size, channels / groups, filters)``; a bias and an activation follow.

    Args:
        filters: number of channels of the output.
        kernel_size: size of the window, an integer, or 2 of them.
        strides: distance between windows, an integer, or 2 of them.
        padding: ``"valid"``, or ``"same"`` for an output size of input size / strides, rounded up.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.
        dilation_rate: distance between the kernel's taps; more than 1 does not go with strides of more than 1.
        groups: the channels are split into this many groups that do not mix.
        activation: a name, a function or a layer; default none.
        use_bias: whether a bias is added.
        kernel_initializer, kernel_regularizer, kernel_constraint: how the kernel begins, is penalised and projected.
        bias_initializer, bias_regularizer, bias_constraint: the same of the bias.
        activity_regularizer: penalty on the output.
        lora_rank, lora_alpha: train two matrices of this rank instead of the kernel; see :meth:`enable_lora`.

    Raises:
        ValueError: an argument is none of these, the channels are unknown or change, or the input is too small.

    Example:
        >>> Conv2D(4, 3, padding="same")(np.zeros((1, 5, 5, 2))).shape
        (1, 5, 5, 4)
    """

    rank = 2


class Conv3D(_Conv):
    """Convolve volumes ``(batch, depth, height, width, channels)`` with trained filters.

    The kernel is ``(*kernel_size, channels / groups, filters)``; a bias and an activation follow.

    Args:
        filters: number of channels of the output.
        kernel_size: size of the window, an integer, or 3 of them.
        strides: distance between windows, an integer, or 3 of them.
        padding: ``"valid"``, or ``"same"`` for an output size of input size / strides, rounded up.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.
        dilation_rate: distance between the kernel's taps; more than 1 does not go with strides of more than 1.
        groups: the channels are split into this many groups that do not mix.
        activation: a name, a function or a layer; default none.
        use_bias: whether a bias is added.
        kernel_initializer, kernel_regularizer, kernel_constraint: how the kernel begins, is penalised and projected.
        bias_initializer, bias_regularizer, bias_constraint: the same of the bias.
        activity_regularizer: penalty on the output.
        lora_rank, lora_alpha: train two matrices of this rank instead of the kernel; see :meth:`enable_lora`.

    Raises:
        ValueError: an argument is none of these, the channels are unknown or change, or the input is too small.

    Example:
        >>> Conv3D(4, 3, padding="same")(np.zeros((1, 5, 5, 5, 2))).shape
        (1, 5, 5, 5, 4)
    """

    rank = 3
