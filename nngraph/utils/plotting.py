"""Pictures of models."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nngraph.utils.diagram import Box, Diagram

__all__ = ["model_to_dot", "plot_model"]


def model_to_dot(
    model: Any,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    subgraph: bool = False,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    **kwargs: Any,
) -> Diagram:
    """Return the layers of a model and how they are connected, as a diagram.

    Args:
        model: a built model.
        show_shapes: whether to show the shapes of inputs and outputs.
        show_dtype: whether to show the dtypes.
        show_layer_names: whether to show the names beside the types.
        rankdir: "TB" from top to bottom, "LR" from left to right; for Graphviz.
        expand_nested: whether to show the layers of models inside the model.
        dpi: dots per inch; for Graphviz.
        subgraph: accepted for Keras code and ignored.
        show_layer_activations: whether to show the activations.
        show_trainable: whether to show which layers are trained.
        splines: how arrows bend; for Graphviz.

    Returns:
        A diagram with ``to_string()``, Graphviz text, and ``to_svg()``.

    Raises:
        TypeError: there is no such argument.
        ValueError: the model is not built, so that its layers are not known.
    """
    # Old code shows names by this argument.
    show_layer_names = kwargs.pop("show_names", show_layer_names)
    if kwargs:
        raise TypeError(f"There is no argument {next(iter(kwargs))!r}.")
    if not getattr(model, "built", False) or not getattr(model, "layers", None):
        raise ValueError(
            f"Model {model.name!r} is not built, so its layers are not known. "
            "Give it an Input, call build(), or fit it."
        )
    diagram = Diagram(options={"rankdir": rankdir, "dpi": str(dpi), "splines": splines})
    shown = {
        "shapes": show_shapes,
        "dtype": show_dtype,
        "names": show_layer_names,
        "activations": show_layer_activations,
        "trainable": show_trainable,
    }
    _add_model(diagram, model, "", expand_nested, shown)
    return diagram


def plot_model(
    model: Any,
    to_file: str | os.PathLike[str] = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    **kwargs: Any,
) -> None:
    """Write a picture of a model to a file.

    Args:
        to_file: the file; its suffix says the format. ".svg" and ".dot" need nothing else; others, such as ".png" and
            ".pdf", need the program ``dot`` of Graphviz.

    The other arguments are those of ``model_to_dot``.

    Raises:
        RuntimeError: Graphviz is needed and not installed, or it failed.
        ValueError: the model is not built.
    """
    diagram = model_to_dot(
        model,
        show_shapes=show_shapes,
        show_dtype=show_dtype,
        show_layer_names=show_layer_names,
        rankdir=rankdir,
        expand_nested=expand_nested,
        dpi=dpi,
        show_layer_activations=show_layer_activations,
        show_trainable=show_trainable,
        splines=splines,
        **kwargs,
    )
    path = Path(to_file)
    kind = path.suffix.lstrip(".").lower() or "png"
    if kind in ("dot", "gv"):
        path.write_text(diagram.to_string(), encoding="utf-8")
    elif kind == "svg":
        path.write_text(diagram.to_svg(), encoding="utf-8")
    else:
        _run_graphviz(diagram, path, kind)


def _run_graphviz(diagram: Diagram, path: Path, kind: str) -> None:
    program = shutil.which("dot")
    if program is None:
        raise RuntimeError(
            f"A picture as .{kind} needs Graphviz (https://graphviz.org), whose program 'dot' is not installed. "
            f"Or write an SVG, which needs nothing: to_file={path.with_suffix('.svg').name!r}"
        )
    done = subprocess.run([program, f"-T{kind}"], input=diagram.to_string().encode(), capture_output=True)
    if done.returncode != 0:
        raise RuntimeError(f"Graphviz could not write {path}: {done.stderr.decode(errors='replace').strip()}")
    path.write_bytes(done.stdout)


@dataclass(frozen=True)
class _Step:
    """One call in a model: of what, after what, and with which shapes."""

    operation: Any
    parents: list[Any]
    shapes: dict[str, str]


def _add_model(diagram: Diagram, model: Any, prefix: str, expand_nested: bool, shown: dict[str, bool]) -> None:
    """Add the boxes and arrows of a model; those of a model inside it go into a frame and get ``prefix``."""
    ends: dict[int, tuple[str, str]] = {}
    for step in _steps(model):
        if id(step.operation) not in ends:
            ends[id(step.operation)] = _add_operation(diagram, step, prefix, expand_nested, shown)
        for parent in step.parents:
            arrow = (ends[id(parent)][1], ends[id(step.operation)][0])
            # A shared layer may follow the same layer more than once.
            if arrow not in diagram.arrows:
                diagram.arrows.append(arrow)


def _add_operation(
    diagram: Diagram, step: _Step, prefix: str, expand_nested: bool, shown: dict[str, bool]
) -> tuple[str, str]:
    """Add a layer, or the layers inside it, and return the keys at which arrows enter and leave."""
    operation = step.operation
    key = f"{prefix}{operation.name}"
    if expand_nested and getattr(operation, "layers", None):
        first = len(diagram.boxes)
        diagram.groups[key] = operation.name
        _add_model(diagram, operation, f"{key}/", expand_nested, shown)
        inner = diagram.boxes[first:]
        for box in inner:
            box.group = box.group or key
        return inner[0].key, inner[-1].key
    diagram.boxes.append(Box(key, _describe(step, shown)))
    return key, key


def _describe(step: _Step, shown: dict[str, bool]) -> list[str]:
    operation = step.operation
    kind = type(operation).__name__
    lines = [f"{operation.name} ({kind})" if shown["names"] else kind]
    activation = getattr(operation, "activation", None)
    if shown["activations"] and activation is not None:
        lines.append(f"activation: {getattr(activation, '__name__', type(activation).__name__)}")
    if shown["dtype"]:
        lines.append(f"dtype: {getattr(operation, 'dtype', '?')}")
    if shown["shapes"]:
        lines += [f"{side}: {shape}" for side, shape in step.shapes.items()]
    if shown["trainable"] and getattr(operation, "weights", None):
        lines.append("trainable" if operation.trainable_weights else "not trainable")
    return lines


def _steps(model: Any) -> list[_Step]:
    """Return the calls of a model in the order in which they run."""
    functional = getattr(model, "_functional", None) or model
    connections = getattr(functional, "_connections", None)
    if connections is None:
        # A subclassed model runs whatever its code says; show its layers alone.
        return [_Step(layer, [], {}) for layer in model.layers]
    entrances = zip(functional.layers, connections.inputs, strict=False)
    steps = [_Step(layer, [], {"output": _shapes([tensor])}) for layer, tensor in entrances]
    for record in connections.records:
        parents = [tensor.record.operation for tensor in record.parents if tensor.record is not None]
        shapes = {"input": _shapes(record.parents), "output": _shapes(record.outputs)}
        steps.append(_Step(record.operation, parents, shapes))
    return steps


def _shapes(tensors: Iterable[Any]) -> str:
    return ", ".join(str(tuple(tensor.shape)) for tensor in tensors)
