"""The calls between a functional model's inputs and outputs, in order, and how to run them again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nngraph.ops.keras_tensor import CallRecord, KerasTensor, leaves, map_leaves

__all__ = ["Connections"]


class Connections:
    """The recorded calls that lead from some Keras tensors to others.

    Args:
        inputs: where the way begins.
        outputs: a structure of Keras tensors where it ends.
        name: the model's name, for errors.

    Raises:
        ValueError: an output does not depend on the inputs alone; the missing input is named.
    """

    def __init__(self, inputs: Sequence[KerasTensor], outputs: Any, name: str) -> None:
        self.inputs = list(inputs)
        self.outputs = outputs
        self.records = _ordered(self.inputs, outputs, name)

    def run(
        self, values: Sequence[Any], call: Callable[[CallRecord, tuple[Any, ...], dict[str, Any]], Any] | None = None
    ) -> Any:
        """Run the calls on ``values`` instead of the inputs and return the outputs' structure.

        Args:
            values: one for each input.
            call: how to make one call; by default the recorded operation is called.
        """
        known: dict[int, Any] = {id(t): v for t, v in zip(self.inputs, values, strict=True)}

        def lookup(x: Any) -> Any:
            return known[id(x)] if isinstance(x, KerasTensor) else x

        for record in self.records:
            args, kwargs = map_leaves(lookup, record.args), map_leaves(lookup, record.kwargs)
            result = record.operation(*args, **kwargs) if call is None else call(record, args, kwargs)
            tensors = [x for x in leaves(result) if x is not None]
            for tensor, value in zip(record.outputs, tensors, strict=False):
                known[id(tensor)] = value
        return map_leaves(lookup, self.outputs)


def _ordered(inputs: Sequence[KerasTensor], outputs: Any, name: str) -> list[CallRecord]:
    """Return the records between inputs and outputs, each after what it needs; iterative, for deep models."""
    ready = {id(t) for t in inputs}
    done: dict[int, CallRecord] = {}
    for output in leaves(outputs):
        if not isinstance(output, KerasTensor):
            raise ValueError(
                f"outputs of model {name!r} must be Keras tensors (made by calling layers), got {type(output).__name__}"
            )
        stack: list[tuple[KerasTensor, bool]] = [(output, False)]
        while stack:
            tensor, expanded = stack.pop()
            record = tensor.record
            if id(tensor) in ready or (record is not None and id(record) in done):
                continue
            if record is None or not record.parents:
                raise ValueError(
                    f"model {name!r} cannot be built: its outputs need {tensor!r}, which is not among its inputs; "
                    "add it to inputs=, or connect it to one of them"
                )
            if expanded:
                done[id(record)] = record
                continue
            stack.append((tensor, True))
            stack.extend((parent, False) for parent in reversed(record.parents))
    return list(done.values())
