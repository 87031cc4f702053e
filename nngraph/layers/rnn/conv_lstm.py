"""Long short-term memories whose products are convolutions."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngraph import activations, ops
from nngraph.layers.arguments import (
    check_dilation,
    config_of,
    data_format_of,
    integer,
    padding_of,
    per_axis,
)
from nngraph.layers.input_spec import InputSpec
from nngraph.layers.rnn.cell import RecurrentCell
from nngraph.layers.rnn.rnn import RNN, OfCell

__all__ = ["ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"]


class ConvLSTMCell(RecurrentCell):
    """One step: the formula of :class:`nngraph.layers.LSTMCell` with convolutions in the place of products."""

    gates = 4
    states = 2
    _arguments = ("recurrent_activation", "unit_forget_bias")

    def __init__(
        self,
        rank: int,
        filters: int,
        kernel_size: Any,
        strides: Any,
        padding: str,
        data_format: str | None,
        dilation_rate: Any,
        recurrent_activation: Any,
        unit_forget_bias: bool,
        **kwargs: Any,
    ) -> None:
        super().__init__(integer(self, "filters", filters), **kwargs)
        self.rank = rank
        self.filters = self.units
        self.kernel_size = per_axis(self, "kernel_size", kernel_size, rank)
        self.strides = per_axis(self, "strides", strides, rank)
        self.padding = padding_of(self, padding)
        self.data_format = data_format_of(self, data_format)
        self.dilation_rate = per_axis(self, "dilation_rate", dilation_rate, rank)
        check_dilation(self, self.strides, self.dilation_rate)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias
        self.output_size: Any = self.filters

    @property
    def _channels(self) -> int:
        return -1 if self.data_format == "channels_last" else 1

    def build(self, input_shape: Any) -> None:
        """Create the weights, and find the shape of the states."""
        channels = input_shape[self._channels]
        spatial = input_shape[1:-1] if self._channels == -1 else input_shape[2:]
        if any(size is None for size in spatial):
            raise ValueError(f"the spatial sizes must be known, got steps of shape {tuple(input_shape)}")
        for name, source in (("kernel", channels), ("recurrent_kernel", self.filters)):
            kind = name.removesuffix("_kernel")
            weight = self.add_weight(
                name=name,
                shape=(*self.kernel_size, source, self.gates * self.filters),
                initializer=getattr(self, f"{kind}_initializer"),
                regularizer=getattr(self, f"{kind}_regularizer"),
                constraint=getattr(self, f"{kind}_constraint"),
            )
            setattr(self, name, weight)
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.gates * self.filters,),
                initializer=self._first_bias(),
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        reduced = tuple(map(self._reduced, spatial, self.kernel_size, self.strides, self.dilation_rate))
        self.output_size = (*reduced, self.filters) if self._channels == -1 else (self.filters, *reduced)
        self.state_size = [self.output_size, self.output_size]
        self.built = True

    def _reduced(self, size: int, window: int, stride: int, dilation: int) -> int:
        return -(-size // stride) if self.padding == "same" else (size - dilation * (window - 1) - 1) // stride + 1

    def _first_bias(self) -> Any:
        if not self.unit_forget_bias:
            return self.bias_initializer

        def ones_at_the_forget_gate(shape: Any, dtype: Any = None) -> Any:
            parts = [self.bias_initializer((self.filters,), dtype=dtype), np.ones(self.filters)]
            parts.append(self.bias_initializer((2 * self.filters,), dtype=dtype))
            return np.concatenate(parts).astype(parts[0].dtype)

        return ones_at_the_forget_gate

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Return states of zeros for a batch; the cell must be built."""
        return [ops.zeros((batch_size, *self.output_size), dtype=self.compute_dtype) for _ in range(2)]

    def call(self, inputs: Any, states: Any, training: bool | None = False) -> tuple[Any, list[Any]]:
        """Return the output of one step and the new states, of which the first is the output."""
        hidden, carried = states
        inputs, hidden = self._dropped(inputs, hidden, training)
        z = ops.conv(inputs, self.kernel, self.strides, self.padding, self.data_format, self.dilation_rate)
        if self.bias is not None:
            around = [1] * (self.rank + 1)
            around.insert(self.rank + 1 if self._channels == -1 else 1, self.gates * self.filters)
            z = z + ops.reshape(self.bias, tuple(around))
        z = z + ops.conv(hidden, self.recurrent_kernel, 1, "same", self.data_format)
        write, forget, candidate, read = ops.split(z, 4, axis=self._channels)
        kept = self.recurrent_activation(forget) * carried
        carried = kept + self.recurrent_activation(write) * self.activation(candidate)
        output = self.recurrent_activation(read) * self.activation(carried)
        return output, [output, carried]


class ConvLSTM(RNN):
    """The base of ConvLSTM1D, ConvLSTM2D and ConvLSTM3D.

    Shi et al., "Convolutional LSTM network", 2015.
    """

    rank: int

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: Any = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        **kwargs: Any,
    ) -> None:
        cell = ConvLSTMCell(
            self.rank,
            filters,
            kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            activation=activation,
            recurrent_activation=recurrent_activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            unit_forget_bias=unit_forget_bias,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            seed=seed,
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
            name="conv_lstm_cell",
        )
        super().__init__(
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        self.input_spec = InputSpec(ndim=self.rank + 3)

    filters = OfCell()
    kernel_size = OfCell()
    strides = OfCell()
    padding = OfCell()
    data_format = OfCell()
    dilation_rate = OfCell()
    activation = OfCell()
    recurrent_activation = OfCell()
    use_bias = OfCell()
    kernel_initializer = OfCell()
    recurrent_initializer = OfCell()
    bias_initializer = OfCell()
    unit_forget_bias = OfCell()
    kernel_regularizer = OfCell()
    recurrent_regularizer = OfCell()
    bias_regularizer = OfCell()
    kernel_constraint = OfCell()
    recurrent_constraint = OfCell()
    bias_constraint = OfCell()
    dropout = OfCell()
    recurrent_dropout = OfCell()
    seed = OfCell()

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = self.cell.get_config()
        spatial = config_of(self, "filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate")
        kept = {k: v for k, v in own.items() if k not in ("name", "trainable", "dtype", "units")}
        base = {k: v for k, v in self._own_config().items() if k not in ("unroll", "zero_output_for_mask")}
        return {**kept, **spatial, **base}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Make the layer that ``config`` describes."""
        return cls(**config)


class ConvLSTM1D(ConvLSTM):
    """Long short-term memory with convolutions, for sequences of rows.

    Input ``(batch, steps, width, channels)``; output without the steps, or with them for
    ``return_sequences``, and ``filters`` channels.

    Args:
        filters: channels of output and states.
        kernel_size, strides, padding, data_format, dilation_rate: of the convolution of the input; that of the state
            keeps its size.
        activation, recurrent_activation, unit_forget_bias: see :class:`nngraph.layers.LSTM`.
        dropout, recurrent_dropout, seed: see :class:`nngraph.layers.LSTM`.
        return_sequences, return_state, go_backwards, stateful: see :class:`nngraph.layers.RNN`.

    The remaining arguments are initializers, penalties and constraints of the weights, as for every layer.

    Raises:
        ValueError: an argument is out of its range, or a spatial size is unknown.

    Example:
        >>> ConvLSTM1D(6, 3)(np.ones((1, 4, 5, 2), "float32")).shape
        (1, 3, 6)
    """

    rank = 1


class ConvLSTM2D(ConvLSTM):
    """Long short-term memory with convolutions, for sequences of images.

    Input ``(batch, steps, height, width, channels)``; output without the steps, or with them for
    ``return_sequences``, and ``filters`` channels.

    Args:
        filters: channels of output and states.
        kernel_size, strides, padding, data_format, dilation_rate: of the convolution of the input; that of the state
            keeps its size.
        activation, recurrent_activation, unit_forget_bias: see :class:`nngraph.layers.LSTM`.
        dropout, recurrent_dropout, seed: see :class:`nngraph.layers.LSTM`.
        return_sequences, return_state, go_backwards, stateful: see :class:`nngraph.layers.RNN`.

    The remaining arguments are initializers, penalties and constraints of the weights, as for every layer.

    Raises:
        ValueError: an argument is out of its range, or a spatial size is unknown.

    Example:
        >>> ConvLSTM2D(6, 3)(np.ones((1, 4, 5, 5, 2), "float32")).shape
        (1, 3, 3, 6)
    """

    rank = 2


class ConvLSTM3D(ConvLSTM):
    """Long short-term memory with convolutions, for sequences of volumes.

    Input ``(batch, steps, depth, height, width, channels)``; output without the steps, or with them for
    ``return_sequences``, and ``filters`` channels.

    Args:
        filters: channels of output and states.
        kernel_size, strides, padding, data_format, dilation_rate: of the convolution of the input; that of the state
            keeps its size.
        activation, recurrent_activation, unit_forget_bias: see :class:`nngraph.layers.LSTM`.
        dropout, recurrent_dropout, seed: see :class:`nngraph.layers.LSTM`.
        return_sequences, return_state, go_backwards, stateful: see :class:`nngraph.layers.RNN`.

    The remaining arguments are initializers, penalties and constraints of the weights, as for every layer.

    Raises:
        ValueError: an argument is out of its range, or a spatial size is unknown.

    Example:
        >>> ConvLSTM3D(6, 3)(np.ones((1, 4, 5, 5, 5, 2), "float32")).shape
        (1, 3, 3, 3, 6)
    """

    rank = 3
