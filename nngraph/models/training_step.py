"""A compiled model's training step as a file that trains without nngraph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from exporters import Hyperparameter, StepInput, StepState, TrainingExporter, TrainingReport, TrainingStep
from nngraph.data.arrays import to_arrays
from nngraph.data.packing import pack_x_y_sample_weight, unpack_x_y_sample_weight
from nngraph.ir import Dim, Graph, TensorType, Value
from nngraph.models.checks import has_class_numbers
from nngraph.ops.keras_tensor import leaves, map_leaves
from nngraph.ops.trace import Trace
from nngraph.runtime import legalize
from passes import PassManager, pipeline
from passes.recompute import recompute_passes

__all__ = ["export_training_step", "training_step"]


def export_training_step(
    model: Any,
    filepath: str | Path,
    *,
    batch_size: int | None = None,
    example: Any = None,
    inference_path: str | Path | None = None,
    opset_version: int | None = None,
) -> TrainingReport:
    """Write a compiled model's training step and its inference model; see ``Model.export``.

    Raises:
        RuntimeError: the model is not compiled.
        ValueError: nothing is trained, the batch size must be known, or the opset cannot express the step.
    """
    step = training_step(model, batch_size=batch_size, example=example)
    return TrainingExporter(opset_version=opset_version).export(step, filepath, inference_path)


def training_step(model: Any, *, batch_size: int | None = None, example: Any = None) -> TrainingStep:
    """Return a compiled model's training step with its present state, and the inference model that belongs to it.

    Args:
        model: a compiled model.
        batch_size: rows of a batch; ``None`` leaves it open.
        example: a batch ``(x, y)`` or ``(x, y, sample_weight)`` of arrays, of which only dtypes and shapes matter. By
            default the inputs are those that the model declares, and the targets those that its losses expect.

    Raises:
        RuntimeError: the model is not compiled.
        ValueError: nothing is trained, or the step cannot be traced with an open batch size.
    """
    model._require_compiled("its training step can be exported")
    if batch_size is not None and (not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1):
        raise ValueError(f"batch_size must be a whole number of at least 1, or None for any. Received: {batch_size!r}")
    if example is not None:
        model._prepare(tuple(unpack_x_y_sample_weight(example)))
    if not model._is_built():
        raise ValueError(
            f"model {model.name!r} has no weights yet; call it on data first, or show a batch with example=(x, y)"
        )
    if not model.trainable_variables:
        raise ValueError(f"model {model.name!r} has no trainable weights, so there is no training step to export")
    model.optimizer.build(model.trainable_variables)
    inference, variables = _inference(model)
    rows = _rows(model, batch_size)
    batch = _batch_types(model, inference, batch_size, rows, example)
    graph, trace, results = _traced_step(model, batch, open_batch=isinstance(rows, str))
    data = [e for e in leaves(batch) if e is not None]
    inputs = tuple(StepInput(v.name, e.role) for e, v in zip(data, graph.inputs, strict=False))
    state, hyperparameters = _sort_variables(model, graph, trace)
    names = {variable: value.name for variable, value in trace.sources.items()}
    spliced = {constant: names[v] for constant, v in variables.items() if v in trace.assigned}
    # An imported model's inference graph keeps the nodes and names of its file.
    level = 2 if model.exports_optimized else 0
    step_passes = [*pipeline(target="portable"), *recompute_passes(model.recompute)]
    for each, passes in ((graph, step_passes), (inference, pipeline(target="portable", level=level))):
        PassManager(passes).run(each)
        legalize(each)
    for value in list(inference.inputs):
        if value.name in variables:
            inference.make_constant(value, variables[value.name].numpy())
    kept = {v.name for v in inference.constants}
    return TrainingStep(
        graph=graph,
        inputs=inputs,
        hyperparameters=hyperparameters,
        state=state,
        results=results,
        inference=inference,
        weights={constant: name for constant, name in spliced.items() if constant in kept},
        batch_size=rows if isinstance(rows, int) else None,
    )


def _inference(model: Any) -> tuple[Graph, dict[str, Any]]:
    """Return the inference graph, and the variables that are still inputs of it, by name."""
    graph, trace = model._traced(training=False, batch_size=None, finalized=True)
    variables = {value.name: variable for variable, value in trace.sources.items()}
    # Weights that stay inputs during optimisation stay whole: none is folded into another.
    for value in [v for v in graph.inputs if v.name in variables and not v.uses]:
        graph.inputs.remove(value)
    return graph, variables


# -- the batch ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Entry:
    """One array of a batch: what it is called, whether it is x, y or sample_weight, and its type."""

    name: str
    role: str
    type: TensorType


def _rows(model: Any, batch_size: int | None) -> Dim:
    """Return how many rows a batch has: a number, or the name that the model's inputs have for any number."""
    types, _ = model._graph_inputs(batch_size)
    rows: Dim = next((t.shape[0] for t in leaves(types) if t.shape), batch_size or "batch")
    if batch_size is not None and rows != batch_size:
        raise ValueError(
            f"model {model.name!r} takes batches of {rows} rows, not of batch_size={batch_size}; for an "
            "imported model say otherwise with load_onnx(..., input_shapes=...)"
        )
    return rows


def _batch_types(model: Any, inference: Graph, batch_size: int | None, first: Dim, example: Any) -> Any:
    """Return the batch ``(x, y, sample_weight)`` with an :class:`_Entry` for each array."""
    x_types, x_names = model._graph_inputs(batch_size)
    outputs = list(inference.output_names)
    if example is None:
        x = _named(x_types, x_names, "x")
        return (x, _targets(model, inference, outputs, first), None)

    def kind(array: Any) -> TensorType:
        return TensorType.of(array).with_shape((first, *array.shape[1:]) if array.ndim else ())

    parts = [
        None if part is None else map_leaves(kind, to_arrays(part, what, model._float_dtype()))
        for part, what in zip(unpack_x_y_sample_weight(example), ("x", "y", "sample_weight"), strict=True)
    ]
    return tuple(
        None if types is None else _named(types, names, role)
        for types, names, role in (
            (parts[0], x_names, "x"),
            (parts[1], _numbered("y", parts[1], outputs), "y"),
            (parts[2], _numbered("sample_weight", parts[2], outputs), "sample_weight"),
        )
    )


def _named(types: Any, names: Sequence[str], role: str) -> Any:
    found = list(leaves(types))
    if len(found) != len(names):
        raise ValueError(f"example: {role} holds {len(found)} arrays, but the model has {len(names)}: {list(names)}")
    rest = iter(names)
    return map_leaves(lambda t: _Entry(next(rest), role, t), types)


def _numbered(role: str, types: Any, outputs: Sequence[str]) -> list[str]:
    """Return a name for each array: the role, and for several arrays the output that it belongs to."""
    if isinstance(types, dict):
        return [f"{role}_{key}" for key in types]
    count = len(list(leaves(types)))
    if count == 1:
        return [role]
    return [f"{role}_{name}" for name in (outputs if len(outputs) == count else range(count))]


def _targets(model: Any, inference: Graph, names: Sequence[str], first: Dim) -> Any:
    """Return the targets that the losses expect: class numbers, or what looks like the output."""
    if model._compile_loss is None:
        return None
    # Losses and metrics are given by the names that fit goes by.
    labels = list(names) if len(names) == 1 else model._names_of(list(names))
    entries = {}
    for label, name, output, loss in zip(
        labels, names, inference.outputs, model._compile_loss.objects(labels), strict=True
    ):
        if loss is None:
            continue
        if getattr(loss, "name", "") == "ctc":
            raise ValueError(f"the targets of output {name!r} can be of any length; show a batch with example=(x, y)")
        rest = output.shape[1:-1] if has_class_numbers(loss) else output.shape[1:]
        dtype = "int32" if has_class_numbers(loss) else model._float_dtype()
        entries[label] = _Entry("y" if len(names) == 1 else f"y_{name}", "y", TensorType(dtype, (first, *rest)))
    return next(iter(entries.values()), None) if len(names) == 1 else entries


# -- the step -------------------------------------------------------------------------------------------------------


def _traced_step(model: Any, batch: Any, *, open_batch: bool) -> tuple[Graph, Trace, tuple[str, ...]]:
    """Trace one step; where an open batch size is in the way, say so."""
    if not open_batch:
        return _trace(model, batch)
    try:
        return _trace(model, batch)
    except Exception as error:  # layers, losses and metrics of users can raise anything
        _trace(model, _with_rows(batch, 8))  # raises too, and says why, where the batch size is not to blame
        raise ValueError(
            f"the training step of model {model.name!r} needs to know how many rows a batch has: {error}\n"
            "Fix it with export(..., batch_size=32)."
        ) from error


def _with_rows(batch: Any, rows: int) -> Any:
    def fixed(entry: Any) -> Any:
        if entry is None or not entry.type.shape:
            return entry
        return _Entry(entry.name, entry.role, entry.type.with_shape((rows, *entry.type.shape[1:])))

    return map_leaves(fixed, batch)


def _trace(model: Any, batch: Any) -> tuple[Graph, Trace, tuple[str, ...]]:
    """Return the step's graph, the trace with its variables, and the names of its results."""
    graph = Graph(f"{model.name}_training_step")

    def enter(entry: Any) -> Any:
        return None if entry is None else graph.add_input(entry.name, entry.type)

    with Trace(graph) as trace:
        found = model.train_step(pack_x_y_sample_weight(*map_leaves(enter, batch)))
        logs = found if isinstance(found, dict) else {"loss": found}
        results = [
            v if isinstance(v, Value) else trace.constant(np.asarray(getattr(v, "value", v))) for v in logs.values()
        ]
    taken = {v.name for v in graph.inputs}
    names = tuple(f"{name}_result" if name in taken else name for name in logs)
    new = [trace.variables[v] for v in trace.assigned]
    graph.set_outputs([*results, *new], [*names, *(f"new_{trace.sources[v].name}" for v in trace.assigned)])
    return graph, trace, names


# -- the state ------------------------------------------------------------------------------------------------------


def _sort_variables(model: Any, graph: Graph, trace: Trace) -> tuple[tuple[StepState, ...], tuple[Hyperparameter, ...]]:
    """Return what the step changes and what it is told each time; what it only reads becomes part of the graph."""
    kinds = _kinds(model)
    metric_values = _fresh_metrics(model)
    state, hyperparameters = [], []
    for variable, value in trace.sources.items():
        kind = kinds.get(variable, "random" if variable.dtype == "uint32" else "other")
        if variable in trace.assigned:
            array = metric_values[variable] if variable in metric_values else variable.numpy()
            state.append(StepState(value.name, f"new_{value.name}", kind, np.array(array)))
        elif kind == "optimizer" and variable.shape == ():
            hyperparameters.append(Hyperparameter(variable.name, value.name, np.array(variable.numpy())))
        else:
            graph.make_constant(value, variable.numpy())
    order = ("weight", "statistic", "optimizer", "metric", "random", "other")
    return tuple(sorted(state, key=lambda s: order.index(s.kind))), tuple(hyperparameters)


def _kinds(model: Any) -> dict[Any, str]:
    groups = {
        "weight": model.trainable_variables,
        "optimizer": model.optimizer.variables,
        "metric": model.metrics_variables,
        "random": model._seed_states(),
        "statistic": model.non_trainable_variables,
    }
    kinds: dict[Any, str] = {}
    for kind, variables in groups.items():
        for variable in variables:
            kinds.setdefault(variable, kind)
    return kinds


def _fresh_metrics(model: Any) -> dict[Any, Any]:
    """Return what each metric's variables hold at the beginning of an epoch; the metrics stay as they are."""
    variables = model.metrics_variables
    now = [v.numpy() for v in variables]
    for metric in model.metrics:
        metric.reset_state()
    fresh = {v: v.numpy() for v in variables}
    for variable, value in zip(variables, now, strict=True):
        variable.assign(value)
    return fresh
