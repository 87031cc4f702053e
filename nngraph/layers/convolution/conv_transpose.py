"""Transposed convolution over 1, 2 or 3 spatial axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nngraph import constraints, initializers, ops, regularizers
from nngraph.layers.arguments import config_of, layer_name, per_axis
from nngraph.layers.convolution.base import Convolution, filters_of

__all__ = ["Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"]


class _ConvTranspose(Convolution):
    """Run a convolution backwards with a kernel ``(spatial..., filters, channels)``."""

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        output_padding: int | Sequence[int] | None = None,
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
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
        self.output_padding = None
        if output_padding is not None:
            self.output_padding = per_axis(self, "output_padding", output_padding, self.rank, least=0)
            if any(p >= s for p, s in zip(self.output_padding, self.strides, strict=True)):
                raise ValueError(
                    f"{layer_name(self)}: output_padding={self.output_padding} must be less than strides={self.strides}"
                )
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)

    def out_channels(self, channels: int) -> int:
        """Return the number of filters."""
        return self.filters

    def build_kernels(self, channels: int) -> None:
        """Create the kernel."""
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*self.kernel_size, self.filters, channels),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )

    def convolve(self, inputs: Any) -> Any:
        """Return the transposed convolution."""
        return ops.conv_transpose(
            inputs,
            self.kernel,
            strides=self.strides,
            padding=self.padding,
            output_padding=self.output_padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        names = ("filters", "output_padding", "kernel_initializer", "kernel_regularizer", "kernel_constraint")
        return {**super().get_config(), **config_of(self, *names)}


class Conv1DTranspose(_ConvTranspose):
    """Run a convolution backwards: from the output's shape of a ``Conv1D`` to its input's.

    Sequences ``(batch, steps, channels)``; the kernel is ``(*kernel_size, filters, channels)``.

    Args:
        filters: number of channels of the output.
        kernel_size: size of the window, an integer.
        strides: how much larger the output is, an integer.
        padding: ``"valid"``, or ``"same"`` for an output size of input size * strides.
        output_padding: how much is added to one side of the output, less than ``strides``; default: as much as needed.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.
        dilation_rate: distance between the kernel's taps; more than 1 does not go with strides of more than 1.
        activation: a name, a function or a layer; default none.
        use_bias: whether a bias is added.
        kernel_initializer, kernel_regularizer, kernel_constraint: how the kernel begins, is penalised and projected.
        bias_initializer, bias_regularizer, bias_constraint: the same of the bias.
        activity_regularizer: penalty on the output.

    Raises:
        ValueError: an argument is none of these, or the channels are unknown or change.

    Example:
        >>> Conv1DTranspose(4, 3, strides=2, padding="same")(np.zeros((1, 5, 2))).shape
        (1, 10, 4)
    """

    rank = 1


class Conv2DTranspose(_ConvTranspose):
    """Run a convolution backwards: from the output's shape of a ``Conv2D`` to its input's.

    Images ``(batch, height, width, channels)``; the kernel is ``(*kernel_size, filters, channels)``.

    Args:
        filters: number of channels of the output.
        kernel_size: size of the window, an integer, or 2 of them.
        strides: how much larger the output is, an integer, or 2 of them.
        padding: ``"valid"``, or ``"same"`` for an output size of input size * strides.
        output_padding: how much is added to one side of the output, less than ``strides``; default: as much as needed.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.
        dilation_rate: distance between the kernel's taps; more than 1 does not go with strides of more than 1.
        activation: a name, a function or a layer; default none.
        use_bias: whether a bias is added.
        kernel_initializer, kernel_regularizer, kernel_constraint: how the kernel begins, is penalised and projected.
        bias_initializer, bias_regularizer, bias_constraint: the same of the bias.
        activity_regularizer: penalty on the output.

    Raises:
        ValueError: an argument is none of these, or the channels are unknown or change.

    Example:
        >>> Conv2DTranspose(4, 3, strides=2, padding="same")(np.zeros((1, 5, 5, 2))).shape
        (1, 10, 10, 4)
    """

    rank = 2


class Conv3DTranspose(_ConvTranspose):
    """Run a convolution backwards: from the output's shape of a ``Conv3D`` to its input's.

    Volumes ``(batch, depth, height, width, channels)``; the kernel is ``(*kernel_size, filters, channels)``.

    Args:
        filters: number of channels of the output.
        kernel_size: size of the window, an integer, or 3 of them.
        strides: how much larger the output is, an integer, or 3 of them.
        padding: ``"valid"``, or ``"same"`` for an output size of input size * strides.
        output_padding: how much is added to one side of the output, less than ``strides``; default: as much as needed.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.
        dilation_rate: distance between the kernel's taps; more than 1 does not go with strides of more than 1.
        activation: a name, a function or a layer; default none.
        use_bias: whether a bias is added.
        kernel_initializer, kernel_regularizer, kernel_constraint: how the kernel begins, is penalised and projected.
        bias_initializer, bias_regularizer, bias_constraint: the same of the bias.
        activity_regularizer: penalty on the output.

    Raises:
        ValueError: an argument is none of these, or the channels are unknown or change.

    Example:
        >>> Conv3DTranspose(4, 3, strides=2, padding="same")(np.zeros((1, 5, 5, 5, 2))).shape
        (1, 10, 10, 10, 4)
    """

    rank = 3

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        output_padding: int | Sequence[int] | None = None,
        dilation_rate: int | Sequence[int] = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        # Keras has data_format and output_padding in the other order here than in one and two dimensions.
        super().__init__(
            filters,
            kernel_size,
            strides,
            padding,
            output_padding,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            kernel_initializer,
            bias_initializer,
            kernel_regularizer,
            bias_regularizer,
            activity_regularizer,
            kernel_constraint,
            bias_constraint,
            **kwargs,
        )
