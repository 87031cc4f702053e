"""Copies of models with new weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nngraph.layers.core.input_layer import Input, InputLayer
from nngraph.layers.layer import Layer
from nngraph.models.functional import Functional
from nngraph.models.sequential import Sequential
from nngraph.ops.keras_tensor import leaves, map_leaves

__all__ = ["clone_model"]


def clone_model(
    model: Any,
    input_tensors: Any = None,
    clone_function: Callable[[Layer], Layer] | None = None,
    call_function: Callable[..., Any] | None = None,
    recursive: bool = False,
) -> Any:
    """Return a model of the same architecture with newly initialized weights.

    Args:
        model: a functional or sequential model; a subclassed one is cloned through its configuration.
        input_tensors: Keras tensors to begin at, instead of new inputs.
        clone_function: makes the copy of each layer; default goes through its configuration.
        call_function: calls a cloned layer, ``f(layer, *args, **kwargs)``.
        recursive: clone the layers of inner models with ``clone_function``, too.
    """

    def copy(layer: Layer) -> Any:
        if recursive and isinstance(layer, (Functional, Sequential)):
            return clone_model(layer, None, clone_function, call_function, True)
        return clone_function(layer) if clone_function is not None else type(layer).from_config(layer.get_config())

    if isinstance(model, Sequential):
        clone = Sequential([copy(layer) for layer in model.layers], name=model.name)
        if input_tensors is not None:
            clone._connect(next(leaves(input_tensors)))
        elif model._functional is not None:
            tensor = model.inputs[0]
            entrance = InputLayer(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name)
            clone._stack.insert(0, entrance)
            clone._rebuild()
        return clone
    if not isinstance(model, Functional):
        if clone_function is not None or input_tensors is not None:
            raise ValueError("clone_function and input_tensors need a functional or sequential model")
        return type(model).from_config(model.get_config())
    copies: dict[int, Any] = {}

    def run(record: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        operation = record.operation
        if isinstance(operation, Layer):
            if id(operation) not in copies:
                copies[id(operation)] = copy(operation)
            operation = copies[id(operation)]
        return call_function(operation, *args, **kwargs) if call_function is not None else operation(*args, **kwargs)

    if input_tensors is None:
        structure = map_leaves(lambda t: Input(batch_shape=t.shape, dtype=t.dtype, name=t.name), model.input)
    else:
        structure = input_tensors
    outputs = model._connections.run(list(leaves(structure)), run)
    return Functional(structure, outputs, name=model.name)
