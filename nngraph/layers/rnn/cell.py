"""What the recurrent cells share: weights, dropout masks that last for a whole sequence, configuration."""

from __future__ import annotations

from typing import Any, ClassVar

from nngraph import activations, constraints, initializers, ops, random, regularizers
from nngraph.layers.arguments import config_of, fraction, integer, seed_of
from nngraph.layers.layer import Layer
from nngraph.layers.regularization.noise import generator_of

__all__ = ["DropoutRNNCell", "RecurrentCell"]


class DropoutRNNCell:
    """Dropout for recurrent cells: one mask for all steps of a sequence.

    A cell with ``dropout``, ``recurrent_dropout`` and ``seed_generator`` gets its masks from
    :meth:`get_dropout_mask` and :meth:`get_recurrent_dropout_mask`. They stay the same until they are reset, which
    :class:`nngraph.layers.RNN` does after every sequence.
    """

    dropout: float
    recurrent_dropout: float
    seed_generator: Any
    _dropout_mask: Any = None
    _recurrent_dropout_mask: Any = None

    def get_dropout_mask(self, step_input: Any) -> Any:
        """Return the mask of the step's input, ``None`` without dropout."""
        if self._dropout_mask is None and self.dropout > 0:
            self._dropout_mask = self._mask(step_input, self.dropout)
        return self._dropout_mask

    def get_recurrent_dropout_mask(self, step_input: Any) -> Any:
        """Return the mask of the previous state, ``None`` without recurrent dropout."""
        if self._recurrent_dropout_mask is None and self.recurrent_dropout > 0:
            self._recurrent_dropout_mask = self._mask(step_input, self.recurrent_dropout)
        return self._recurrent_dropout_mask

    def _mask(self, like: Any, rate: float) -> Any:
        return random.dropout(ops.ones_like(like), rate, seed=self.seed_generator)

    def reset_dropout_mask(self) -> None:
        """Forget the mask of the input."""
        self._dropout_mask = None

    def reset_recurrent_dropout_mask(self) -> None:
        """Forget the mask of the state."""
        self._recurrent_dropout_mask = None


class RecurrentCell(DropoutRNNCell, Layer):
    """The base of the cells with a kernel, a recurrent kernel and a bias.

    Subclasses say how many gates they have, how many states, and compute one step in :meth:`call`.
    """

    gates: ClassVar[int]
    states: ClassVar[int] = 1
    _arguments: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        units: int,
        activation: Any,
        use_bias: bool,
        kernel_initializer: Any,
        recurrent_initializer: Any,
        bias_initializer: Any,
        kernel_regularizer: Any,
        recurrent_regularizer: Any,
        bias_regularizer: Any,
        kernel_constraint: Any,
        recurrent_constraint: Any,
        bias_constraint: Any,
        dropout: float,
        recurrent_dropout: float,
        seed: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = integer(self, "units", units)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = regularizers.get(recurrent_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.recurrent_constraint = constraints.get(recurrent_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.dropout = fraction(self, "dropout", dropout)
        self.recurrent_dropout = fraction(self, "recurrent_dropout", recurrent_dropout)
        self.seed = seed
        self.seed_generator = generator_of(seed)
        self.bias: Any = None
        self.output_size = self.units
        self.state_size: Any = self.units if self.states == 1 else [self.units] * self.states

    _output_state = 0
    """Which state the output is; ``RNN`` need not collect outputs then."""

    def build(self, input_shape: Any) -> None:
        """Create the weights."""
        self.kernel = self.add_weight(
            name="kernel",
            shape=(input_shape[-1], self.gates * self.units),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel",
            shape=(self.units, self.gates * self.units),
            initializer=self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=self._bias_shape(),
                initializer=self._first_bias(),
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.built = True

    def _bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    def _first_bias(self) -> Any:
        return self.bias_initializer

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Return states of zeros for a batch."""
        return [ops.zeros((batch_size, self.units), dtype=self.compute_dtype) for _ in range(self.states)]

    def _dropped(self, inputs: Any, state: Any, training: bool | None) -> tuple[Any, Any]:
        """Return the step's input and the previous state with their dropout masks applied."""
        if training and self.dropout > 0:
            inputs = inputs * self.get_dropout_mask(inputs)
        if training and self.recurrent_dropout > 0:
            state = state * self.get_recurrent_dropout_mask(state)
        return inputs, state

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            **config_of(
                self,
                "units",
                "activation",
                "use_bias",
                "kernel_initializer",
                "recurrent_initializer",
                "bias_initializer",
                "kernel_regularizer",
                "recurrent_regularizer",
                "bias_regularizer",
                "kernel_constraint",
                "recurrent_constraint",
                "bias_constraint",
                "dropout",
                "recurrent_dropout",
                *self._arguments,
            ),
            "seed": seed_of(self, self.seed),
        }
