"""Models as configurations: what connects the layers, in a form that JSON holds."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngraph import config as settings
from nngraph.layers.core.input_layer import InputLayer
from nngraph.layers.layer import Layer
from nngraph.ops.dispatch import PUBLIC
from nngraph.ops.keras_tensor import KerasTensor, OpCall, leaves, map_leaves
from nngraph.saving import deserialize_keras_object, serialize_keras_object

__all__ = ["model_config", "model_from_config"]


def model_config(model: Any) -> dict[str, Any]:
    """Return the configuration of a sequential, functional or subclassed model."""
    from nngraph.models.functional import Functional
    from nngraph.models.model import Model
    from nngraph.models.sequential import Sequential

    if isinstance(model, Sequential):
        shape = model.input_shape if model._functional is not None else None
        layers = [serialize_keras_object(layer) for layer in model._stack]
        return {"name": model.name, "trainable": model.trainable, "layers": layers, "build_input_shape": shape}
    if isinstance(model, Functional):
        return _functional_config(model)
    base = Layer.get_config(model)
    written = any("get_config" in kind.__dict__ for kind in type(model).__mro__[: type(model).__mro__.index(Model)])
    return base if written else model._remembered_arguments(base)


def model_from_config(cls: type, config: dict[str, Any], custom_objects: Any = None) -> Any:
    """Make a model from what :func:`model_config` returned."""
    from nngraph.models.functional import Functional
    from nngraph.models.sequential import Sequential

    if issubclass(cls, Sequential):
        model: Any = cls(name=config.get("name"))
        for entry in config["layers"]:
            model.add(deserialize_keras_object(entry, custom_objects=custom_objects), rebuild=False)
        model._rebuild()
        if not model.built and config.get("build_input_shape"):
            model.build(tuple(config["build_input_shape"]))
        model.trainable = config.get("trainable", True) or False
        return model
    if "calls" in config:
        inputs, outputs, name, trainable = _connected(config, custom_objects)
        if issubclass(cls, Functional):
            model = cls(inputs, outputs, name=name)
        else:
            model = Functional(inputs, outputs, name=name)
        if not trainable:
            model.trainable = False
        return model
    return cls(**config)


# -- functional models ----------------------------------------------------------------------------------------------


def _functional_config(model: Any) -> dict[str, Any]:
    places: dict[int, list[int]] = {}
    operations: list[Any] = []
    calls: list[dict[str, Any]] = []

    def index_of(operation: Any) -> int:
        for k, known in enumerate(operations):
            if known is operation:
                return k
        operations.append(operation)
        return len(operations) - 1

    for k, (tensor, entrance) in enumerate(zip(model.inputs, model._entrances, strict=True)):
        places[id(tensor)] = [k, 0]
        calls.append({"operation": index_of(entrance), "args": [], "kwargs": {}})
    for record in model._connections.records:
        args, kwargs = _encode(list(record.args), places), {k: _encode(v, places) for k, v in record.kwargs.items()}
        for j, tensor in enumerate(record.outputs):
            places[id(tensor)] = [len(calls), j]
        calls.append({"operation": index_of(record.operation), "args": args, "kwargs": kwargs})
    return {
        "name": model.name,
        "trainable": model.trainable,
        "operations": [_operation_config(operation) for operation in operations],
        "calls": calls,
        "inputs": _encode(model._inputs_struct, places),
        "outputs": _encode(model._outputs_struct, places),
    }


def _operation_config(operation: Any) -> dict[str, Any]:
    if isinstance(operation, OpCall):
        return {"op": operation.op_name}
    found: dict[str, Any] = serialize_keras_object(operation)
    return found


def _encode(x: Any, places: dict[int, list[int]]) -> Any:
    """Return an argument in JSON's terms; Keras tensors become the places where they were made."""
    if isinstance(x, KerasTensor):
        return {"tensor": places[id(x)]}
    if x is None or isinstance(x, (bool, int, float, str)):
        return x
    if x is Ellipsis:
        return {"ellipsis": True}
    if isinstance(x, slice):
        return {"slice": [_encode(i, places) for i in (x.start, x.stop, x.step)]}
    if isinstance(x, tuple):
        return {"tuple": [_encode(i, places) for i in x]}
    if isinstance(x, list):
        return [_encode(i, places) for i in x]
    if isinstance(x, dict):
        return {"dict": {str(k): _encode(v, places) for k, v in x.items()}}
    if getattr(x, "_is_nngraph_variable", False):
        raise ValueError(
            f"a functional model that uses the variable {x.path!r} cannot be saved; put it into a layer with add_weight"
        )
    return {"object": serialize_keras_object(x)}


def _connected(config: dict[str, Any], custom_objects: Any) -> tuple[Any, Any, str, bool]:
    operations = [_operation(entry, custom_objects) for entry in config["operations"]]
    results: list[list[Any]] = []

    def decode(x: Any) -> Any:
        if isinstance(x, list):
            return [decode(i) for i in x]
        if not isinstance(x, dict):
            return x
        (kind, value), *_ = x.items()
        if kind == "tensor":
            return results[value[0]][value[1]]
        if kind == "tuple":
            return tuple(decode(i) for i in value)
        if kind == "slice":
            return slice(*(decode(i) for i in value))
        if kind == "dict":
            return {k: decode(v) for k, v in value.items()}
        if kind == "ellipsis":
            return Ellipsis
        if kind == "object":
            return deserialize_keras_object(value, custom_objects=custom_objects)
        raise ValueError(f"a model configuration holds an argument of the unknown kind {kind!r}")

    for call in config["calls"]:
        operation = operations[call["operation"]]
        if isinstance(operation, InputLayer) and not call["args"]:
            results.append([operation.output])
            continue
        args, kwargs = decode(call["args"]), {k: decode(v) for k, v in call["kwargs"].items()}
        outputs = operation(*args, **kwargs)
        results.append([t for t in leaves(outputs) if isinstance(t, KerasTensor)])
    return decode(config["inputs"]), decode(config["outputs"]), config["name"], config.get("trainable", True)


def _operation(entry: dict[str, Any], custom_objects: Any) -> Any:
    if "op" not in entry:
        return deserialize_keras_object(entry, custom_objects=custom_objects)
    if entry["op"] not in PUBLIC:
        raise ValueError(f"a model configuration names the operation {entry['op']!r}, which nngraph.ops does not have")
    return PUBLIC[entry["op"]]


# -- building a model from what it has seen -------------------------------------------------------------------------


def input_spec_config(model: Any) -> Any:
    """Return shapes and dtypes of the inputs that a subclassed model has seen, or ``None``."""
    if model._seen_inputs is None:
        return None
    return map_leaves(
        lambda t: {"shape": list(t.shape), "dtype": t.dtype} if isinstance(t, KerasTensor) else t, model._seen_inputs
    )


def build_from_input_spec(model: Any, spec: Any) -> None:
    """Build a subclassed model from :func:`input_spec_config`'s result."""

    def tensors(x: Any) -> Any:
        if isinstance(x, dict) and set(x) == {"shape", "dtype"}:
            return KerasTensor(tuple(x["shape"]), x["dtype"])
        if isinstance(x, dict):
            return {k: tensors(v) for k, v in x.items()}
        return [tensors(i) for i in x] if isinstance(x, list) else x

    model._build_on(tensors(spec))


def seeded_state(model: Any) -> dict[str, Any]:
    """Return the numbers that decide the order of rows in the epochs to come."""
    return {"shuffle_seed": model._shuffle_seed, "epochs_seen": model._epochs_seen, "floatx": settings.floatx()}


def restore_seeded_state(model: Any, state: dict[str, Any]) -> None:
    """Set the numbers of :func:`seeded_state`."""
    seed = state.get("shuffle_seed")
    model._shuffle_seed = None if seed is None else int(np.int64(seed))
    model._epochs_seen = int(state.get("epochs_seen", 0))
