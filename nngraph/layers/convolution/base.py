"""What the convolution layers share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nngraph import activations, constraints, initializers, ops, regularizers
from nngraph.layers.arguments import check_dilation, config_of, data_format_of, integer, padding_of, per_axis
from nngraph.layers.input_spec import InputSpec
from nngraph.layers.layer import Layer
from nngraph.layers.reshaping.windows import spatial_axes

__all__ = ["Convolution", "filters_of"]


class Convolution(Layer):
    """Arguments, bias and activation of a convolution over ``rank`` spatial axes.

    Subclasses create their kernels in ``build_kernels(channels)``, say how many channels come out in ``out_channels``
    and compute in ``convolve(inputs)``.
    """

    rank: int
    _paddings: Sequence[str] = ("valid", "same")

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int],
        padding: str,
        data_format: str | None,
        dilation_rate: int | Sequence[int],
        activation: Any,
        use_bias: bool,
        bias_initializer: Any,
        bias_regularizer: Any,
        activity_regularizer: Any,
        bias_constraint: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.kernel_size = per_axis(self, "kernel_size", kernel_size, self.rank)
        self.strides = per_axis(self, "strides", strides, self.rank)
        self.dilation_rate = per_axis(self, "dilation_rate", dilation_rate, self.rank)
        check_dilation(self, self.strides, self.dilation_rate)
        self.padding = padding_of(self, padding, self._paddings)
        self.data_format = data_format_of(self, data_format)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.bias_initializer = initializers.get(bias_initializer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.bias_constraint = constraints.get(bias_constraint)
        self.bias: Any = None
        self.input_spec = InputSpec(ndim=self.rank + 2)

    @property
    def channel_axis(self) -> int:
        """The axis of the channels."""
        return -1 if self.data_format == "channels_last" else 1

    def out_channels(self, channels: int) -> int:
        """Return how many channels come out when ``channels`` come in."""
        raise NotImplementedError

    def build_kernels(self, channels: int) -> None:
        """Create the kernels for inputs of that many channels."""
        raise NotImplementedError

    def convolve(self, inputs: Any) -> Any:
        """Return the convolution, without bias."""
        raise NotImplementedError

    def check_sizes(self, inputs: Any) -> None:
        """Refuse inputs smaller than the kernel.

        Raises:
            ValueError: a spatial size is too small for ``padding="valid"``.
        """
        if self.padding != "valid":
            return
        for place, axis in enumerate(spatial_axes(self.rank, self.data_format)):
            size = inputs.shape[axis]
            reach = (self.kernel_size[place] - 1) * self.dilation_rate[place] + 1
            if isinstance(size, int) and size < reach:
                raise ValueError(
                    f"kernel_size {self.kernel_size} with dilation_rate {self.dilation_rate} reaches over {reach} "
                    f"places of axis {axis}, whose size is {size}; use a smaller kernel, larger inputs, "
                    "or padding='same'"
                )

    def build(self, input_shape: Any) -> None:
        """Create kernels and bias."""
        problem = InputSpec(ndim=self.rank + 2).problem(input_shape)
        if problem:
            raise ValueError(problem)
        channels = input_shape[self.channel_axis]
        if channels is None:
            raise ValueError(
                f"the number of channels, axis {self.channel_axis} of the input in format {self.data_format!r}, must "
                f"be known, got shape {tuple(input_shape)}; give it in Input(shape=...)"
            )
        self.build_kernels(channels)
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.out_channels(channels),),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={self.channel_axis: channels})
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Return the activation of the convolution plus bias."""
        outputs = self.convolve(inputs)
        if self.bias is not None:
            bias = self.bias
            if self.data_format == "channels_first":
                bias = ops.reshape(bias, (1, bias.shape[0], *(1,) * self.rank))
            outputs = ops.add(outputs, bias)
        return self.activation(outputs)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            **config_of(
                self,
                "kernel_size",
                "strides",
                "padding",
                "data_format",
                "dilation_rate",
                "activation",
                "use_bias",
                "bias_initializer",
                "bias_regularizer",
                "activity_regularizer",
                "bias_constraint",
            ),
        }


def filters_of(layer: Layer, filters: Any, groups: Any = 1) -> tuple[int, int]:
    """Return filters and groups.

    Raises:
        ValueError: they are not positive, or the filters cannot be shared among the groups.
    """
    count, shares = integer(layer, "filters", filters), integer(layer, "groups", groups)
    if count % shares:
        raise ValueError(f"{type(layer).__name__}: filters={count} must be a multiple of groups={shares}")
    return count, shares
