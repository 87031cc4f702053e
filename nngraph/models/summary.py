"""The table that ``model.summary()`` prints."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from nngraph.ir import Graph, Value
from nngraph.layers.layer import Layer
from nngraph.ops.keras_tensor import KerasTensor, leaves
from nngraph.ops.variable import Variable

__all__ = ["print_node_summary", "print_summary"]


def print_summary(
    model: Any,
    *,
    line_length: int | None = None,
    print_fn: Callable[[str], Any] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: tuple[str, str] | None = None,
) -> None:
    """Print a model's layers, their output shapes and parameters, and the totals."""
    connections = _connections(model)
    linear = all(len(parents) <= 1 for parents in connections.values())
    columns = ["Layer (type)", "Output Shape", "Param #"]
    columns += [] if linear else ["Connected to"]
    columns += ["Trainable"] if show_trainable else []
    rows = []
    for layer, depth in _rows(model, expand_nested, layer_range):
        row = [
            "  " * depth + f"{layer.name} ({type(layer).__name__})",
            _output_shape(layer, model),
            f"{layer.count_params():,}" if layer.built else "0 (unbuilt)",
        ]
        if not linear:
            row.append(", ".join(connections.get(layer, [])))
        if show_trainable:
            row.append("Y" if layer.trainable_weights or (layer.trainable and not layer.weights) else "N")
        rows.append(row)
    _print_table(model, columns, rows, line_length, print_fn)


def print_node_summary(
    model: Any,
    graph: Graph,
    weights: Mapping[Value, Variable],
    *,
    line_length: int | None = None,
    print_fn: Callable[[str], Any] | None = None,
    show_trainable: bool = False,
) -> None:
    """Print the nodes of an imported model that have weights, the outputs, and the totals."""
    columns = ["Node (operator)", "Output Shape", "Param #", *(["Trainable"] if show_trainable else [])]
    seen: set[Variable] = set()
    rows = []
    for node in graph:
        own = [weights[v] for v in node.inputs if v is not None and v in weights and weights[v] not in seen]
        if not own and not any(o.is_output for o in node.outputs):
            continue
        seen.update(own)
        shape = tuple(d if isinstance(d, int) else None for d in node.output.shape)
        row = [f"{node.name} ({node.op_id})", str(shape), f"{sum(v.type.size or 0 for v in own):,}"]
        if show_trainable:
            row.append("Y" if any(v.trainable for v in own) else "N")
        rows.append(row)
    others = len(graph) - len(rows)
    if others:
        text = f"... {others} {'node' if others == 1 else 'nodes'} without weights"
        rows.append([text, "", "0", *([""] if show_trainable else [])])
    _print_table(model, columns, rows, line_length, print_fn)


def _print_table(
    model: Any,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    line_length: int | None,
    print_fn: Callable[[str], Any] | None,
) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(show_lines=False, pad_edge=True)
    for column in columns:
        table.add_column(column, justify="right" if column == "Param #" else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    text = io.StringIO()
    console = Console(file=text, width=line_length or 100, no_color=True, highlight=False)
    console.print(f'Model: "{escape(model.name)}"')
    console.print(table)
    for line in _totals(model):
        console.print(f" {line}")
    (print_fn or print)(text.getvalue().rstrip("\n"))


def _rows(model: Any, expand: bool, layer_range: tuple[str, str] | None) -> Iterator[tuple[Layer, int]]:
    layers = model.layers
    if layer_range is not None:
        names = [layer.name for layer in layers]
        missing = [n for n in layer_range if n not in names]
        if missing or len(layer_range) != 2:
            raise ValueError(
                f"layer_range takes the names of two layers; the model has {names}, got {list(layer_range)}"
            )
        layers = layers[names.index(layer_range[0]) : names.index(layer_range[1]) + 1]
    for layer in layers:
        yield layer, 0
        if expand and hasattr(layer, "layers"):
            yield from ((inner, depth + 1) for inner, depth in _rows(layer, True, None))


def _output_shape(layer: Layer, model: Any) -> str:
    records = [r for r in _records(model) if r.operation is layer]
    shapes = [t.shape for r in records[:1] for t in leaves(r.structure) if isinstance(t, KerasTensor)]
    if not shapes and hasattr(layer, "batch_shape"):
        shapes = [layer.batch_shape]
    return str(shapes[0]) if len(shapes) == 1 else str(shapes) if shapes else "?"


def _records(model: Any) -> list[Any]:
    inner = getattr(model, "_functional", None) or model
    connections = getattr(inner, "_connections", None)
    return connections.records if connections is not None else []


def _connections(model: Any) -> dict[Layer, list[str]]:
    found: dict[Layer, list[str]] = {}
    for record in _records(model):
        parents = [t.record.operation.name for t in record.parents if t.record is not None]
        found.setdefault(record.operation, []).extend(parents)
    return found


def _totals(model: Any) -> Iterator[str]:
    def line(what: str, variables: list[Any]) -> str:
        count = sum(v.type.size or 0 for v in variables)
        size = sum(v.numpy_view().nbytes for v in variables)
        return f"{what}: {count:,} ({_human(size)})"

    trainable = model.trainable_weights
    yield line("Total params", model.weights)
    yield line("Trainable params", trainable)
    yield line("Non-trainable params", model.non_trainable_weights)
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and getattr(optimizer, "built", False):
        yield line("Optimizer params", list(optimizer.variables))


def _human(size: int) -> str:
    number = float(size)
    for unit in ("B", "KB", "MB", "GB"):
        if number < 1024 or unit == "GB":
            return f"{number:.2f} {unit}"
        number /= 1024
    raise AssertionError("unreachable")
