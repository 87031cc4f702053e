"""Long short-term memory: the layer and its cell."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngraph import activations, ops
from nngraph.layers.input_spec import InputSpec
from nngraph.layers.rnn.cell import RecurrentCell
from nngraph.layers.rnn.rnn import RNN, OfCell

__all__ = ["LSTM", "LSTMCell"]


class LSTMCell(RecurrentCell):
    """One step of a long short-term memory.

    With gates ``i, f, o`` and candidate ``g`` of ``x W + h U + b``, in the order i, f, g, o along its last axis::

        c' = s(f) * c + s(i) * activation(g)      h' = s(o) * activation(c')      s = recurrent_activation

    Input ``(batch, features)`` and two states ``(batch, units)``: output and carried state.
    Hochreiter and Schmidhuber, "Long short-term memory", 1997.

    Args:
        units: size of the state.
        activation: of the candidate and of the carried state; a name, a function or a layer.
        recurrent_activation: of the gates.
        use_bias: whether biases are added.
        kernel_initializer, recurrent_initializer, bias_initializer: initializers of the weights.
        unit_forget_bias: begin with ones as the bias of the forget gate.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties on the weights.
        kernel_constraint, recurrent_constraint, bias_constraint: projections of the weights after each training step.
        dropout: fraction of the inputs to drop while training, the same for all steps.
        recurrent_dropout: fraction of the previous state to drop while training, the same for all steps.
        seed: an integer, a :class:`nngraph.random.SeedGenerator`, or ``None``.

    Example:
        >>> zeros = np.zeros((2, 4), "float32")
        >>> output, states = LSTMCell(4)(np.ones((2, 3), "float32"), [zeros, zeros])
        >>> output.shape, len(states)
        ((2, 4), 2)
    """

    gates = 4
    states = 2
    _arguments = ("recurrent_activation", "unit_forget_bias")

    def __init__(
        self,
        units: int,
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
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            seed=seed,
            **kwargs,
        )
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias

    def _first_bias(self) -> Any:
        if not self.unit_forget_bias:
            return self.bias_initializer

        def ones_at_the_forget_gate(shape: Any, dtype: Any = None) -> Any:
            parts = [self.bias_initializer((self.units,), dtype=dtype), np.ones(self.units)]
            parts.append(self.bias_initializer((2 * self.units,), dtype=dtype))
            return np.concatenate(parts).astype(parts[0].dtype)

        return ones_at_the_forget_gate

    def call(self, inputs: Any, states: Any, training: bool | None = False) -> tuple[Any, list[Any]]:
        """Return the output of one step and the new states, of which the first is the output."""
        hidden, carried = states
        inputs, hidden = self._dropped(inputs, hidden, training)
        z = ops.matmul(inputs, self.kernel)
        if self.bias is not None:
            z = z + self.bias
        z = z + ops.matmul(hidden, self.recurrent_kernel)
        write, forget, candidate, read = ops.split(z, 4, axis=1)
        kept = self.recurrent_activation(forget) * carried
        carried = kept + self.recurrent_activation(write) * self.activation(candidate)
        output = self.recurrent_activation(read) * self.activation(carried)
        return output, [output, carried]


class LSTM(RNN):
    """Long short-term memory.

    Input ``(batch, steps, features)``. Output ``(batch, units)``, or ``(batch, steps, units)`` with
    ``return_sequences``; with ``return_state`` followed by the last states. See :class:`LSTMCell` for the formula.

    Args:
        units: size of the output.
        activation: of the candidate and of the carried state; a name, a function or a layer.
        recurrent_activation: of the gates.
        use_bias: whether biases are added.
        kernel_initializer, recurrent_initializer, bias_initializer: initializers of the weights.
        unit_forget_bias: begin with ones as the bias of the forget gate.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties on the weights.
        activity_regularizer: penalty on the output.
        kernel_constraint, recurrent_constraint, bias_constraint: projections of the weights after each training step.
        dropout: fraction of the inputs to drop while training, the same for all steps.
        recurrent_dropout: fraction of the previous state to drop while training, the same for all steps.
        seed: an integer, a :class:`nngraph.random.SeedGenerator`, or ``None``.
        return_sequences, return_state, go_backwards, stateful, unroll: see :class:`nngraph.layers.RNN`.
        use_cudnn: accepted and ignored.

    Raises:
        ValueError: an argument is out of its range, or the input is no sequence of vectors.

    Example:
        >>> LSTM(4, return_sequences=True)(np.ones((2, 5, 3), "float32")).shape
        (2, 5, 4)
    """

    def __init__(
        self,
        units: int,
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
        unroll: bool = False,
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ) -> None:
        cell = LSTMCell(
            units,
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
            name="lstm_cell",
        )
        super().__init__(
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        self.input_spec = InputSpec(ndim=3)

    units = OfCell()
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
        return {**{k: v for k, v in own.items() if k not in ("name", "trainable", "dtype")}, **self._own_config()}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Make the layer that ``config`` describes."""
        return cls(**config)
