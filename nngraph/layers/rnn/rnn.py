"""A cell carried over the steps of a sequence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nngraph import ops, tree
from nngraph.layers.arguments import layer_name
from nngraph.layers.layer import Layer
from nngraph.layers.rnn.stacked import StackedRNNCells
from nngraph.layers.signature import signature_of
from nngraph.ops.variable import Variable
from nngraph.saving.registry import deserialize_keras_object, serialize_keras_object

__all__ = ["RNN", "OfCell"]


class OfCell:
    """An attribute of a recurrent layer that its cell holds."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, layer: Any, owner: type) -> Any:
        return self if layer is None else getattr(layer.cell, self.name)


class RNN(Layer):
    """Apply a cell to the steps of a sequence, one after the other.

    Input ``(batch, steps, ...)``. Output ``(batch, ...)``, or ``(batch, steps, ...)`` with ``return_sequences``; with
    ``return_state`` followed by the last states.

    Args:
        cell: has ``call(inputs, states) -> (output, new_states)`` and ``state_size``; it may have ``output_size`` and
            ``get_initial_state(batch_size)``. A list of cells is stacked.
        return_sequences: return the outputs of all steps.
        return_state: also return the last states.
        go_backwards: begin with the last step; the outputs come in the order of computation.
        stateful: begin with the last states of the previous batch; the batch size must be known.
        unroll: write the steps out one after the other; their number must be known.
        zero_output_for_mask: the output of a masked step is 0 and not that of the step before.

    What does not depend on the state (the inputs' product with a kernel, for one) is computed for all steps at once;
    the rest is one ``Scan``, so that batch size and number of steps may be unknown.

    Raises:
        ValueError: the cell is none; a batch size or number of steps is needed and unknown.

    Example:
        >>> from nngraph.layers import Layer
        >>> class Sum(Layer):
        ...     state_size = 1
        ...     def call(self, inputs, states):
        ...         total = states[0] + inputs
        ...         return total, [total]
        >>> RNN(Sum())(np.ones((2, 5, 1), "float32")).tolist()
        [[5.0], [5.0]]
    """

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        if isinstance(cell, (list, tuple)):
            cell = StackedRNNCells(list(cell))
        if not hasattr(cell, "call"):
            raise ValueError(f"{layer_name(self)}: cell must be an object with a call method, got {cell!r}")
        if not hasattr(cell, "state_size"):
            raise ValueError(
                f"{layer_name(self)}: the cell {cell!r} has no state_size; set it to the size of its state, or to a "
                "list with the size of each of its states"
            )
        super().__init__(**kwargs)
        self.cell = cell
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        self.zero_output_for_mask = zero_output_for_mask
        self.supports_masking = True
        self.states: Any = None
        self._in_order_of_time = False

    @property
    def state_size(self) -> Any:
        """The size of the cell's state, or of each of its states."""
        return self.cell.state_size

    # -- building --------------------------------------------------------------------------------------------------

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        """Build the cell for one step, and make the variables of a stateful layer."""
        step_shape = (sequences_shape[0], *sequences_shape[2:])
        if isinstance(self.cell, Layer) and not self.cell.built:
            self.cell.path = f"{self.path}/{self.cell.name}"
            self.cell.build(step_shape)
            self.cell._build_shapes = step_shape
            self.cell.built = True
        if self.stateful:
            self._make_states(sequences_shape)
        self.built = True

    def _make_states(self, shape: Any) -> None:
        if shape[0] is None:
            raise ValueError(
                f"stateful=True needs a known batch size, got sequences of shape {tuple(shape)}; "
                "give it as Input(batch_shape=(...))"
            )

        def variable(first: Any) -> Variable:
            known = first if isinstance(first, np.ndarray) else np.zeros(first.shape)
            made = Variable(known.astype(self.compute_dtype), trainable=False, name="rnn_state")
            made.path = f"{self.path}/rnn_state"
            return made

        self.states = tree.map_structure(variable, self.get_initial_state(shape[0]))

    def get_initial_state(self, batch_size: Any) -> Any:
        """Return the states to begin with: the cell's own, or zeros."""
        make = getattr(self.cell, "get_initial_state", None)
        if callable(make):
            state = make(batch_size=batch_size)
        else:
            state = tree.map_structure(
                lambda size: ops.zeros((batch_size, *_as_tuple(size)), dtype=self.compute_dtype), _sizes(self.cell)
            )
        return list(state) if isinstance(state, (list, tuple)) else [state]

    def reset_state(self) -> None:
        """Set the states of a stateful layer to zeros."""
        for state in tree.flatten(self.states) if self.states is not None else []:
            state.assign(np.zeros(state.shape, state.dtype))

    reset_states = reset_state

    # -- computing -------------------------------------------------------------------------------------------------

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool | None = False) -> Any:
        """Return the outputs, and the last states if asked for."""
        first = tree.flatten(sequences)[0]
        if self.unroll and first.shape[1] is not None and not isinstance(first.shape[1], int):
            raise ValueError(
                f"unroll=True needs a known number of steps, got sequences of shape {tuple(first.shape)}; "
                "leave unroll at False, or give Input the number of steps"
            )
        if initial_state is None:
            initial_state = self.states if self.stateful else self.get_initial_state(ops.shape(first)[0])
        state = self._checked_state(initial_state)
        if isinstance(mask, (list, tuple)):
            mask = mask[0]
        self._prepare_dropout(first, state, training)
        try:
            last, outputs, new = self.inner_loop(sequences, state, mask, training)
        finally:
            self._reset_dropout()
        if self.stateful:
            for variable, value in zip(tree.flatten(self.states), tree.flatten(new), strict=True):
                variable.assign(value)
        result = outputs if self.return_sequences else last
        return (result, *new) if self.return_state else result

    def _checked_state(self, state: Any) -> list[Any]:
        given = list(state) if isinstance(state, (list, tuple)) else [state]
        wanted = _sizes(self.cell)
        wanted = wanted if isinstance(wanted, list) else [wanted]
        if len(tree.flatten(given)) != len(_leaf_sizes(wanted)):
            raise ValueError(
                f"initial_state must hold {len(_leaf_sizes(wanted))} tensors, one for each state of the cell; "
                f"got {len(tree.flatten(given))}"
            )
        return tree.map_structure(lambda x: ops.convert_to_tensor(x, dtype=self.compute_dtype), given)

    def inner_loop(self, sequences: Any, initial_state: Any, mask: Any, training: bool | None = False) -> Any:
        """Carry the cell over the steps.

        Args:
            sequences: ``(batch, steps, ...)``.
            initial_state: list of states.
            mask: ``(batch, steps)`` or ``None``.
            training: passed on to the cell.

        Returns:
            The last output, the outputs ``(batch, steps, ...)`` or ``None`` where they are not wanted, the last states.
        """
        inputs = [_swapped(x) for x in tree.flatten(sequences)]
        steps = inputs if mask is None else [*inputs, ops.expand_dims(ops.cast(_swapped(mask), "bool"), -1)]
        state = tree.flatten(initial_state)
        own = getattr(self.cell, "_output_state", None)
        carried = mask is not None and own is None
        if carried:
            shape = (ops.shape(inputs[0])[1], *_as_tuple(_output_size(self.cell)))
            state = [*state, ops.zeros(shape, dtype=self.compute_dtype)]
        # The last output is a state where the cell says so, or is carried as one because steps may be masked; then
        # outputs are collected only for return_sequences.
        from_state = own is not None or carried
        position = -1 if own is None else own

        def step(states: list[Any], slices: list[Any]) -> tuple[list[Any], list[Any]]:
            kept = slices[-1] if mask is not None else None
            old = states[:-1] if carried else states
            x = tree.pack_sequence_as(sequences, slices[: len(inputs)])
            output, new = self._step(x, tree.pack_sequence_as(initial_state, old), training)
            flat = tree.flatten(new)
            result = output
            if kept is not None:
                flat = [_where(kept, n, o) for n, o in zip(flat, old, strict=True)]
                flat = [*flat, _where(kept, output, states[-1])] if carried else flat
                result = _where(kept, output, ops.zeros_like(output)) if self.zero_output_for_mask else flat[position]
            return flat, [result] if self.return_sequences or not from_state else []

        final, ys = ops.scan_steps(step, state, steps, reverse=self.go_backwards, unroll=self.unroll)
        last = final[position] if from_state else ops.take(ys[0], 0 if self.go_backwards else -1, axis=0)
        outputs = None
        if self.return_sequences:
            backwards = self.go_backwards and not self._in_order_of_time
            outputs = _swapped(ops.flip(ys[0], axis=0) if backwards else ys[0])
        return last, outputs, tree.pack_sequence_as(initial_state, final[:-1] if carried else final)

    def _step(self, inputs: Any, states: Any, training: bool | None) -> tuple[Any, Any]:
        call = self.cell if callable(self.cell) else self.cell.call
        accepts = signature_of(type(self.cell).call).accepts("training")
        result = call(inputs, states, training=training) if accepts else call(inputs, states)
        output, new = result
        return output, list(new) if isinstance(new, (list, tuple)) else [new]

    def _prepare_dropout(self, first: Any, state: Any, training: bool | None) -> None:
        """Draw the masks before the loop, in which no random counter can advance."""
        if not training:
            return
        cells = self.cell.cells if isinstance(self.cell, StackedRNNCells) else [self.cell]
        states = state if isinstance(self.cell, StackedRNNCells) else [state]
        inputs = first[:, 0]
        for cell, own in zip(cells, states, strict=True):
            if hasattr(cell, "get_dropout_mask"):
                cell.get_dropout_mask(inputs)
                cell.get_recurrent_dropout_mask(tree.flatten(own)[0])
            size = getattr(cell, "output_size", None)
            if size is not None:
                inputs = ops.zeros((ops.shape(first)[0], *_as_tuple(size)), dtype=self.compute_dtype)

    def _reset_dropout(self) -> None:
        for cell in getattr(self.cell, "cells", [self.cell]):
            if hasattr(cell, "reset_dropout_mask"):
                cell.reset_dropout_mask()
                cell.reset_recurrent_dropout_mask()

    def compute_mask(self, inputs: Any, mask: Any) -> Any:
        """Return the mask of the outputs: the inputs' for sequences, none for a single output and for states."""
        mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        own = mask if self.return_sequences else None
        return [own, *(None for _ in _leaf_sizes(_sizes(self.cell)))] if self.return_state else own

    # -- configuration ---------------------------------------------------------------------------------------------

    def _own_config(self) -> dict[str, Any]:
        names = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll", "zero_output_for_mask")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, the cell described among them."""
        return {**self._own_config(), "cell": serialize_keras_object(self.cell)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        """Make the layer that ``config`` describes."""
        if "cell" not in config:
            return cls(**config)
        return cls(**{**config, "cell": deserialize_keras_object(config["cell"], custom_objects=custom_objects)})


def _as_tuple(size: Any) -> tuple[Any, ...]:
    return tuple(size) if isinstance(size, (list, tuple)) else (size,)


def _sizes(cell: Any) -> Any:
    """The cell's state sizes: a number or a tuple for one state, a list for several."""
    size = cell.state_size
    return list(size) if isinstance(size, (list, tuple)) and not _is_shape(size) else size


def _is_shape(size: Any) -> bool:
    return isinstance(size, tuple) and all(isinstance(d, int) for d in size)


def _leaf_sizes(size: Any) -> list[Any]:
    if isinstance(size, list):
        return [leaf for item in size for leaf in _leaf_sizes(item)]
    return [size]


def _output_size(cell: Any) -> Any:
    size = getattr(cell, "output_size", None)
    return _leaf_sizes(_sizes(cell))[0] if size is None else size


def _swapped(x: Any) -> Any:
    """Exchange the axes of batch and steps."""
    return ops.transpose(x, (1, 0, *range(2, len(x.shape))))


def _where(kept: Any, new: Any, old: Any) -> Any:
    """Choose by rows; ``kept`` is ``(batch, 1)``."""
    rank = len(new.shape)
    if rank != 2:
        kept = ops.reshape(kept, (-1, *(1 for _ in range(rank - 1))))
    return ops.where(kept, new, old)
