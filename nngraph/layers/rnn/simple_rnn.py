"""The plain recurrent layer and its cell."""

from __future__ import annotations

from typing import Any

from nngraph import ops
from nngraph.layers.input_spec import InputSpec
from nngraph.layers.rnn.cell import RecurrentCell
from nngraph.layers.rnn.rnn import RNN, OfCell

__all__ = ["SimpleRNN", "SimpleRNNCell"]


class SimpleRNNCell(RecurrentCell):
    """One step of a plain recurrence, ``h' = activation(x W + b + h U)``.

    Input ``(batch, features)`` and one state ``(batch, units)``; output ``(batch, units)``, which is the new state.

    Args:
        units: size of the state.
        activation: of the output; a name, a function or a layer.
        use_bias: whether biases are added.
        kernel_initializer, recurrent_initializer, bias_initializer: initializers of the weights.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties on the weights.
        kernel_constraint, recurrent_constraint, bias_constraint: projections of the weights after each training step.
        dropout: fraction of the inputs to drop while training, the same for all steps.
        recurrent_dropout: fraction of the previous state to drop while training, the same for all steps.
        seed: an integer, a :class:`nngraph.random.SeedGenerator`, or ``None``.

    Example:
        >>> output, states = SimpleRNNCell(4)(np.ones((2, 3), "float32"), [np.zeros((2, 4), "float32")])
        >>> output.shape, len(states)
        ((2, 4), 1)
    """

    gates = 1

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
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

    def call(self, sequence: Any, states: Any, training: bool | None = False) -> tuple[Any, list[Any]]:
        """Return the output of one step and the new state, which is the output."""
        previous = states[0] if isinstance(states, (list, tuple)) else states
        inputs, previous = self._dropped(sequence, previous, training)
        z = ops.matmul(inputs, self.kernel)
        if self.bias is not None:
            z = z + self.bias
        output = self.activation(z + ops.matmul(previous, self.recurrent_kernel))
        return output, [output]


class SimpleRNN(RNN):
    """Plain recurrence: the new state is an activation of a sum of products with input and state.

    Input ``(batch, steps, features)``. Output ``(batch, units)``, or ``(batch, steps, units)`` with
    ``return_sequences``; with ``return_state`` followed by the last state. See :class:`SimpleRNNCell` for the formula.

    Args:
        units: size of the output.
        activation: of the output; a name, a function or a layer.
        use_bias: whether biases are added.
        kernel_initializer, recurrent_initializer, bias_initializer: initializers of the weights.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties on the weights.
        activity_regularizer: penalty on the output.
        kernel_constraint, recurrent_constraint, bias_constraint: projections of the weights after each training step.
        dropout: fraction of the inputs to drop while training, the same for all steps.
        recurrent_dropout: fraction of the previous state to drop while training, the same for all steps.
        seed: an integer, a :class:`nngraph.random.SeedGenerator`, or ``None``.
        return_sequences, return_state, go_backwards, stateful, unroll: see :class:`nngraph.layers.RNN`.

    Raises:
        ValueError: an argument is out of its range, or the input is no sequence of vectors.

    Example:
        >>> SimpleRNN(4, return_sequences=True)(np.ones((2, 5, 3), "float32")).shape
        (2, 5, 4)
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        cell = SimpleRNNCell(
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
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
            name="simple_rnn_cell",
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
    use_bias = OfCell()
    kernel_initializer = OfCell()
    recurrent_initializer = OfCell()
    bias_initializer = OfCell()
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
