"""The gated recurrent unit: the layer and its cell."""

from __future__ import annotations

from typing import Any

from nngraph import activations, ops
from nngraph.layers.input_spec import InputSpec
from nngraph.layers.rnn.cell import RecurrentCell
from nngraph.layers.rnn.rnn import RNN, OfCell

__all__ = ["GRU", "GRUCell"]


class GRUCell(RecurrentCell):
    """One step of a gated recurrent unit.

    With update gate ``z`` and reset gate ``r``, each ``s(x W + h U + b)`` with its third of the weights::

        g = activation(x W + r * (h U + b))   or, with reset_after=False, activation(x W + (r * h) U + b)
        h' = z * h + (1 - z) * g

    Input ``(batch, features)`` and one state ``(batch, units)``; output ``(batch, units)``, which is the new state.
    Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014.

    Args:
        units: size of the state.
        activation: of the candidate; a name, a function or a layer.
        recurrent_activation: of the gates.
        use_bias: whether biases are added.
        kernel_initializer, recurrent_initializer, bias_initializer: initializers of the weights.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties on the weights.
        kernel_constraint, recurrent_constraint, bias_constraint: projections of the weights after each training step.
        dropout: fraction of the inputs to drop while training, the same for all steps.
        recurrent_dropout: fraction of the previous state to drop while training, the same for all steps.
        reset_after: apply the reset gate after the product with the recurrent kernel, not before.
        seed: an integer, a :class:`nngraph.random.SeedGenerator`, or ``None``.

    Example:
        >>> output, states = GRUCell(4)(np.ones((2, 3), "float32"), [np.zeros((2, 4), "float32")])
        >>> output.shape, len(states)
        ((2, 4), 1)
    """

    gates = 3
    _arguments = ("recurrent_activation", "reset_after")

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
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
        reset_after: bool = True,
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
        self.reset_after = reset_after

    def _bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def call(self, inputs: Any, states: Any, training: bool | None = False) -> tuple[Any, list[Any]]:
        """Return the output of one step and the new state, which is the output."""
        previous = states[0] if isinstance(states, (list, tuple)) else states
        inputs, hidden = self._dropped(inputs, previous, training)
        x = ops.matmul(inputs, self.kernel)
        if self.bias is not None:
            x = x + (self.bias[0] if self.reset_after else self.bias)
        x_update, x_reset, x_candidate = ops.split(x, 3, axis=-1)
        if self.reset_after:
            inner = ops.matmul(hidden, self.recurrent_kernel)
            if self.bias is not None:
                inner = inner + self.bias[1]
            h_update, h_reset, h_candidate = ops.split(inner, 3, axis=-1)
        else:
            gates = ops.matmul(hidden, self.recurrent_kernel[:, : 2 * self.units])
            h_update, h_reset = ops.split(gates, 2, axis=-1)
        update = self.recurrent_activation(x_update + h_update)
        reset = self.recurrent_activation(x_reset + h_reset)
        if self.reset_after:
            recurrent = reset * h_candidate
        else:
            recurrent = ops.matmul(reset * hidden, self.recurrent_kernel[:, 2 * self.units :])
        candidate = self.activation(x_candidate + recurrent)
        output = candidate + update * (previous - candidate)
        return output, [output]


class GRU(RNN):
    """Gated recurrent unit.

    Input ``(batch, steps, features)``. Output ``(batch, units)``, or ``(batch, steps, units)`` with
    ``return_sequences``; with ``return_state`` followed by the last state. See :class:`GRUCell` for the formula.

    Args:
        units: size of the output.
        activation: of the candidate; a name, a function or a layer.
        recurrent_activation: of the gates.
        use_bias: whether biases are added.
        kernel_initializer, recurrent_initializer, bias_initializer: initializers of the weights.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties on the weights.
        activity_regularizer: penalty on the output.
        kernel_constraint, recurrent_constraint, bias_constraint: projections of the weights after each training step.
        dropout: fraction of the inputs to drop while training, the same for all steps.
        recurrent_dropout: fraction of the previous state to drop while training, the same for all steps.
        seed: an integer, a :class:`nngraph.random.SeedGenerator`, or ``None``.
        return_sequences, return_state, go_backwards, stateful, unroll: see :class:`nngraph.layers.RNN`.
        reset_after: apply the reset gate after the product with the recurrent kernel, not before.
        use_cudnn: accepted and ignored.

    Raises:
        ValueError: an argument is out of its range, or the input is no sequence of vectors.

    Example:
        >>> GRU(4, return_sequences=True)(np.ones((2, 5, 3), "float32")).shape
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
        reset_after: bool = True,
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ) -> None:
        cell = GRUCell(
            units,
            activation=activation,
            recurrent_activation=recurrent_activation,
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
            reset_after=reset_after,
            seed=seed,
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
            name="gru_cell",
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
    kernel_regularizer = OfCell()
    recurrent_regularizer = OfCell()
    bias_regularizer = OfCell()
    kernel_constraint = OfCell()
    recurrent_constraint = OfCell()
    bias_constraint = OfCell()
    dropout = OfCell()
    recurrent_dropout = OfCell()
    reset_after = OfCell()
    seed = OfCell()

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = self.cell.get_config()
        return {**{k: v for k, v in own.items() if k not in ("name", "trainable", "dtype")}, **self._own_config()}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Make the layer that ``config`` describes."""
        return cls(**config)
