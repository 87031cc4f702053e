"""Saving, loading and exporting models; the native format is .onnx.

A saved model is the inference graph that any runtime executes. Its metadata holds the layers' configuration, and beside
the graph lie the tensors that only training needs. Loading reads data: classes come from the allow-list of
``nngraph.saving`` and from what the caller registers; nothing in a file is executed.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from exporters import OnnxExporter
from nngraph import config
from nngraph.models.configuration import build_from_input_spec, input_spec_config, restore_seeded_state, seeded_state
from nngraph.models.training_step import export_training_step
from nngraph.registry import COMPOSITE_DOMAIN
from nngraph.runtime import legalize
from nngraph.saving import deserialize_keras_object, serialize_keras_object
from nngraph.serde import ModelFile, read_model, write_model
from nngraph.serde.file import atomic_write
from passes import PassManager, pipeline

__all__ = [
    "export_model",
    "load_model",
    "load_state",
    "load_weights",
    "model_from_json",
    "model_to_json",
    "save_model",
    "save_weights",
]

FORMAT = "nngraph.format"
CONFIG = "nngraph.config"
_VERSION = 1


def export_model(
    model: Any,
    filepath: str | Path,
    *,
    format: str = "onnx",
    verbose: bool | None = None,
    opset_version: int | None = None,
    optimize: bool | None = None,
    **kwargs: Any,
) -> None:
    """Write the inference model or the training step as a plain .onnx file; see ``Model.export``."""
    if format not in ("onnx", "onnx_training"):
        raise ValueError(f"export(format={format!r}) is not supported; the format is 'onnx' or 'onnx_training'")
    takes = ["filepath", "format", "verbose", "opset_version"]
    takes += ["batch_size", "example", "inference_path"] if format == "onnx_training" else ["optimize"]
    given = set(kwargs) | ({"optimize"} if optimize is not None else set())
    unknown = sorted(given - set(takes))
    if unknown:
        raise ValueError(f"export(format={format!r}) got unknown arguments {unknown}; it takes {', '.join(takes)}")
    if format == "onnx_training":
        told = export_training_step(model, filepath, opset_version=opset_version, **kwargs)
        if verbose or (verbose is None and config.is_interactive_logging_enabled()):
            print(f"exported {told}")
        return
    graph = model.graph(training=False)
    wanted = model.exports_optimized if optimize is None else optimize
    if wanted or any(n.domain == COMPOSITE_DOMAIN for n in graph.all_nodes()):
        PassManager(pipeline(target="portable", level=2 if wanted else 0)).run(graph)
        legalize(graph)  # what no runtime computes in double precision is written in another form
    report = OnnxExporter(opset_version=opset_version).export(graph, filepath)
    if verbose or (verbose is None and config.is_interactive_logging_enabled()):
        print(f"exported {report}")


# -- whole models ---------------------------------------------------------------------------------------------------


def save_model(
    model: Any, filepath: str | Path, overwrite: bool = True, zipped: bool | None = None, include_optimizer: bool = True
) -> None:
    """Save a model with its layers' configuration, weights and training state as one .onnx file.

    Args:
        model: a built model.
        filepath: a path that ends in ``.onnx``.
        overwrite: replace a file that is there.
        zipped: accepted for Keras programs.
        include_optimizer: keep the optimizer's state, so that training goes on exactly.

    Raises:
        ValueError: another ending, an unbuilt model, or a configuration that cannot be saved.
        FileExistsError: the file is there and ``overwrite`` is false.
    """
    path = _checked_path(filepath, ".onnx", "save", overwrite)
    weights, state = _tensors(model, include_optimizer)
    architecture = serialize_keras_object(model)
    architecture.pop("compile_config", None)  # kept beside it, where loading can leave it out
    description = {
        "model": architecture,
        "inputs": input_spec_config(model),
        "weights": list(weights),
        "compile": model.get_compile_config() if include_optimizer else None,
        "training": seeded_state(model),
        "optimized": _optimized(model),
    }
    graph = model.graph(training=False)
    PassManager(pipeline(target="portable", level=0)).run(graph)
    legalize(graph)
    graph.metadata[FORMAT] = str(_VERSION)
    graph.metadata[CONFIG] = json.dumps(description)
    write_model(graph, path, state={**weights, **state})


def _optimized(model: Any) -> list[int] | None:
    """Return which weights the optimizer was built for; what is trainable may have changed since."""
    if model.optimizer is None or not model.optimizer.built:
        return None
    places = {v: k for k, v in enumerate(model.weights)}
    return [places[v] for v in model.optimizer._trainable_variables if v in places]


def _tensors(model: Any, include_optimizer: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the weights and the rest of the state, by name."""
    weights = {f"weight/{k}/{v.path}": v.numpy() for k, v in enumerate(model.weights)}
    state = {f"seed/{k}": v.numpy() for k, v in enumerate(model._seed_states())}
    optimizer = model.optimizer if include_optimizer else None
    if optimizer is not None and optimizer.built:
        state.update({f"optimizer/{k}/{v.path}": v.numpy() for k, v in enumerate(optimizer.variables)})
    return weights, state


def _checked_path(filepath: str | Path, suffix: str, what: str, overwrite: bool) -> Path:
    path = Path(filepath)
    if path.suffix != suffix:
        raise ValueError(
            f"{what} writes {suffix} files; got {str(filepath)!r}, write {str(path.with_suffix(suffix))!r}"
        )
    if path.exists() and not overwrite:
        raise FileExistsError(f"{str(path)!r} exists; pass overwrite=True to replace it")
    return path


def load_model(filepath: str | Path, custom_objects: Any = None, compile: bool = True, safe_mode: bool = True) -> Any:
    """Load a model that ``save`` wrote, with its weights and, when compiled, its training state.

    Args:
        filepath: the .onnx file.
        custom_objects: classes and functions by name, beside those registered.
        compile: compile the model as it was when saved.
        safe_mode: accepted for Keras programs; nothing in a file is ever executed.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not a saved model, is cut off, or names a class that nobody registered.
    """
    file = read_model(filepath)
    description = _description(file, filepath)
    architecture = description["model"] if compile else _without_compile(description["model"])
    model = deserialize_keras_object(architecture, custom_objects=custom_objects)
    if not model._is_built() and description.get("inputs") is not None:
        build_from_input_spec(model, description["inputs"])
    settings = description.get("compile")
    if compile and settings is not None:
        model.compile(**{k: deserialize_keras_object(v, custom_objects=custom_objects) for k, v in settings.items()})
    _restore(model, file, description, filepath)
    return model


def _without_compile(x: Any) -> Any:
    """Return a configuration without how the models in it were compiled."""
    if isinstance(x, dict):
        return {k: _without_compile(v) for k, v in x.items() if k != "compile_config"}
    return [_without_compile(v) for v in x] if isinstance(x, list) else x


def load_state(model: Any, filepath: str | Path) -> None:
    """Restore weights, optimizer state and random counters of a saved model into an equal model."""
    file = read_model(filepath)
    _restore(model, file, _description(file, filepath), filepath)


def _description(file: ModelFile, filepath: str | Path) -> dict[str, Any]:
    if CONFIG not in file.metadata:
        raise ValueError(
            f"{str(filepath)!r} is an ONNX model, but not one that nngraph saved with its layers: it was exported, or "
            "comes from elsewhere. Open it with nngraph.load_onnx, which gives a model that trains too"
        )
    if file.metadata.get(FORMAT) != str(_VERSION):
        raise ValueError(
            f"{str(filepath)!r} was saved in format {file.metadata.get(FORMAT)!r}; this version reads format {_VERSION}"
        )
    try:
        found = json.loads(file.metadata[CONFIG])
    except ValueError as error:
        raise ValueError(f"{str(filepath)!r} holds a damaged configuration: {error}") from None
    if not isinstance(found, dict) or "model" not in found:
        raise ValueError(f"{str(filepath)!r} holds a damaged configuration: it does not describe a model")
    return found


def _restore(model: Any, file: ModelFile, description: dict[str, Any], filepath: str | Path) -> None:
    _assign_all(model.weights, _named(file, "weight/"), f"weights of {str(filepath)!r}")
    seeds = _named(file, "seed/")
    if seeds:
        _assign_all(model._seed_states(), seeds, f"random counters of {str(filepath)!r}")
    slots = _named(file, "optimizer/")
    if slots and model.optimizer is not None:
        if not model.optimizer.built:
            weights, places = model.weights, description.get("optimized")
            model.optimizer.build(model.trainable_variables if places is None else [weights[k] for k in places])
        _assign_all(list(model.optimizer.variables), slots, f"optimizer state of {str(filepath)!r}")
    restore_seeded_state(model, description.get("training", {}))


def _named(file: ModelFile, prefix: str) -> list[np.ndarray[Any, Any]]:
    found = [(int(name.split("/")[1]), array) for name, array in file.state.items() if name.startswith(prefix)]
    return [array for _, array in sorted(found, key=lambda item: item[0])]


def _assign_all(variables: list[Any], arrays: list[np.ndarray[Any, Any]], what: str) -> None:
    """Assign all or nothing."""
    if len(variables) != len(arrays):
        raise ValueError(
            f"the {what} are {len(arrays)} arrays, but the model has {len(variables)}; the architectures differ"
        )
    for variable, array in zip(variables, arrays, strict=True):
        if variable.shape != array.shape:
            raise ValueError(
                f"the {what} hold shape {array.shape} for {variable.path!r}, which has shape {variable.shape}"
            )
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def pickled(model: Any) -> bytes:
    """Return a model as the bytes of a saved file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        save_model(model, path)
        return path.read_bytes()


def unpickled(data: bytes) -> Any:
    """Return the model that :func:`pickled` saved; its custom classes must be registered."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(data)
        return load_model(path)


# -- weights alone --------------------------------------------------------------------------------------------------


def save_weights(model: Any, filepath: str | Path, overwrite: bool = True) -> None:
    """Save the weights as an .npz file, in order and under their paths."""
    path = _checked_path(filepath, ".npz", "save_weights", overwrite)
    if not model.weights:
        raise ValueError(f"model {model.name!r} has no weights yet; build it or call it on data first")
    arrays: dict[str, Any] = {f"{k}/{v.path}": v.numpy() for k, v in enumerate(model.weights)}
    with atomic_write(path) as file:
        np.savez(file, **arrays)


def load_weights(model: Any, filepath: str | Path, skip_mismatch: bool = False, **kwargs: Any) -> None:
    """Load weights from an .npz file of :func:`save_weights`, or from a saved .onnx model.

    Args:
        model: a built model.
        filepath: the file.
        skip_mismatch: leave weights alone whose shape differs, instead of raising.
    """
    if kwargs:
        raise ValueError(f"load_weights got unknown arguments {sorted(kwargs)}")
    path = Path(filepath)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {str(path)!r}")
    if path.suffix == ".onnx":
        arrays = _named(read_model(path), "weight/")
    else:
        try:
            with np.load(path, allow_pickle=False) as file:
                entries = sorted(file.files, key=lambda name: int(name.split("/")[0]))
                arrays = [file[name] for name in entries]
        except Exception:
            raise ValueError(f"{str(path)!r} is not an .npz file of weights, or is cut off") from None
    if skip_mismatch and len(arrays) == len(model.weights):
        pairs = [(v, a) for v, a in zip(model.weights, arrays, strict=True) if v.shape == a.shape]
        _assign_all([v for v, _ in pairs], [a for _, a in pairs], f"weights of {str(path)!r}")
        return
    _assign_all(model.weights, arrays, f"weights of {str(path)!r}")


# -- architectures --------------------------------------------------------------------------------------------------


def model_to_json(model: Any, **kwargs: Any) -> str:
    """Return the architecture as JSON; keyword arguments go to ``json.dumps``."""
    return json.dumps(serialize_keras_object(model), **kwargs)


def model_from_json(json_string: str, custom_objects: Any = None) -> Any:
    """Make a model with new weights from :func:`model_to_json`'s result.

    Raises:
        ValueError: the text is not JSON, or names a class that nobody registered.
    """
    try:
        found = json.loads(json_string)
    except ValueError as error:
        raise ValueError(f"model_from_json needs the text that to_json returned; this is not JSON: {error}") from None
    return deserialize_keras_object(found, custom_objects=custom_objects)
