"""Several recurrent cells as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nngraph import ops
from nngraph.layers.layer import Layer
from nngraph.layers.signature import signature_of
from nngraph.saving.registry import deserialize_keras_object, serialize_keras_object

__all__ = ["StackedRNNCells"]


class StackedRNNCells(Layer):
    """A cell made of cells: each step passes through all of them.

    Args:
        cells: recurrent cells, the first one next to the input.

    Raises:
        ValueError: one of them has no ``call`` or no ``state_size``.

    Example:
        >>> from nngraph.layers import RNN, GRUCell, LSTMCell
        >>> RNN(StackedRNNCells([LSTMCell(3), GRUCell(4)]))(np.ones((2, 5, 1), "float32")).shape
        (2, 4)
    """

    def __init__(self, cells: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for cell in cells:
            for needed in ("call", "state_size"):
                if not hasattr(cell, needed):
                    raise ValueError(f"StackedRNNCells: every cell needs {needed}; {cell!r} has none")
        self.cells = list(cells)

    @property
    def state_size(self) -> list[Any]:
        """The state sizes of all cells."""
        return [c.state_size for c in self.cells]

    @property
    def output_size(self) -> Any:
        """The size of the last cell's output."""
        last = self.cells[-1]
        if getattr(last, "output_size", None) is not None:
            return last.output_size
        return last.state_size[0] if isinstance(last.state_size, (list, tuple)) else last.state_size

    @property
    def _output_state(self) -> int | None:
        own = getattr(self.cells[-1], "_output_state", None)
        if own is None:
            return None
        before = [_count(c.state_size) for c in self.cells[:-1]]
        return sum(before) + int(own)

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Return the initial states of all cells."""
        states = []
        for cell in self.cells:
            if callable(getattr(cell, "get_initial_state", None)):
                states.append(cell.get_initial_state(batch_size=batch_size))
            else:
                sizes = cell.state_size if isinstance(cell.state_size, (list, tuple)) else [cell.state_size]
                states.append([ops.zeros((batch_size, s), dtype=self.compute_dtype) for s in sizes])
        return states

    def build(self, input_shape: Any) -> None:
        """Build every cell on the output of the one before."""
        for cell in self.cells:
            if isinstance(cell, Layer) and not cell.built:
                cell.path = f"{self.path}/{cell.name}"
                cell.build(input_shape)
                cell._build_shapes = input_shape
                cell.built = True
            size = getattr(cell, "output_size", None)
            if size is None:
                size = cell.state_size[0] if isinstance(cell.state_size, (list, tuple)) else cell.state_size
            input_shape = (input_shape[0], *(size if isinstance(size, (list, tuple)) else (size,)))
        self.built = True

    def call(self, inputs: Any, states: Any, training: bool | None = False, **kwargs: Any) -> tuple[Any, list[Any]]:
        """Return the last cell's output and the new states of all cells."""
        new_states = []
        for cell, own in zip(self.cells, states, strict=True):
            given = list(own) if isinstance(own, (list, tuple)) else [own]
            call = cell if callable(cell) else cell.call
            accepts = signature_of(type(cell).call).accepts("training")
            inputs, new = call(inputs, given, training=training) if accepts else call(inputs, given)
            new_states.append(list(new) if isinstance(new, (list, tuple)) else [new])
        return inputs, new_states

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, the cells described among them."""
        return {**super().get_config(), "cells": [serialize_keras_object(c) for c in self.cells]}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        """Make the cell that ``config`` describes."""
        cells = [deserialize_keras_object(c, custom_objects=custom_objects) for c in config["cells"]]
        return cls(**{**config, "cells": cells})


def _count(size: Any) -> int:
    return sum(_count(s) for s in size) if isinstance(size, list) else 1
