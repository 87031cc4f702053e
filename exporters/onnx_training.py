"""A training step as one plain .onnx file, and beside it the inference model that takes the trained weights.

The step file's graph computes forward, loss, gradients, update and metrics from a batch and the state, with operators
of ai.onnx only. One JSON document among its metadata pairs state inputs with outputs and says at which bytes of the
file the initial values lie; the same document says at which bytes of the inference file each trained weight belongs.
So a trainer needs nothing but an ONNX runtime and the ability to copy bytes (docs/training-anywhere.md).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from exporters.onnx_model import ExportReport, report_of
from exporters.spans import INITIAL_STATE, INITIALIZERS, tensor_spans
from nngraph.ir import Graph, TensorType
from nngraph.proto import array_to_tensor
from nngraph.serde import to_proto
from nngraph.serde.file import atomic_write

__all__ = [
    "METADATA_KEY",
    "SCHEMA_VERSION",
    "Hyperparameter",
    "StepInput",
    "StepState",
    "TrainingExporter",
    "TrainingReport",
    "TrainingStep",
]

METADATA_KEY = "nngraph.training"
SCHEMA_VERSION = 1
_LARGEST = 2**31 - 2**20


@dataclass(frozen=True)
class StepInput:
    """A data input of a step: its name, and whether it is ``"x"``, ``"y"`` or ``"sample_weight"``."""

    name: str
    role: str


@dataclass(frozen=True)
class Hyperparameter:
    """A number that each step is given: its short name, the graph input, and the value to begin with."""

    name: str
    input: str
    value: np.ndarray[Any, Any]


@dataclass(frozen=True)
class StepState:
    """A tensor that a step takes and gives back changed.

    Attributes:
        input: name of the graph input.
        output: name of the graph output with the new value.
        kind: ``"weight"``, ``"statistic"``, ``"optimizer"``, ``"metric"``, ``"random"`` or ``"other"``.
        value: the value to begin with.
    """

    input: str
    output: str
    kind: str
    value: np.ndarray[Any, Any]


@dataclass(frozen=True)
class TrainingStep:
    """A step and the inference model that belongs to it, ready to be written.

    Attributes:
        graph: the step; its inputs and outputs are those named below.
        inputs, hyperparameters, state: what goes in.
        results: names of the outputs that are no state: the loss and the metrics.
        inference: the inference model, weights as constants.
        weights: name of a constant of ``inference`` to the input name of the state that it is.
        batch_size: the number of rows of a batch, ``None`` when any number will do.
    """

    graph: Graph
    inputs: tuple[StepInput, ...]
    hyperparameters: tuple[Hyperparameter, ...]
    state: tuple[StepState, ...]
    results: tuple[str, ...]
    inference: Graph
    weights: dict[str, str]
    batch_size: int | None = None


@dataclass(frozen=True)
class TrainingReport:
    """What :class:`TrainingExporter` wrote: both files, and the description that stands in the step's."""

    step: ExportReport
    inference: ExportReport
    description: dict[str, Any]

    def __str__(self) -> str:
        return f"training step {self.step}\ninference model {self.inference}"


@dataclass(frozen=True)
class TrainingExporter:
    """Writes a training step and its inference model as two plain .onnx files.

    Attributes:
        opset_version: the ai.onnx opset; default 20, or the oldest newer one that expresses the graph.
        check: prove both models with ``onnx.checker`` (full check) before anything is written.
    """

    opset_version: int | None = None
    check: bool = True
    suffix: str = ".onnx"

    def export(self, step: TrainingStep, path: str | Path, inference_path: str | Path | None = None) -> TrainingReport:
        """Write both files; each appears whole or not at all.

        Args:
            step: what to write.
            path: the step's file.
            inference_path: the inference model's; by default ``NAME.infer.onnx`` beside ``NAME.onnx``.

        Raises:
            ValueError: the opset cannot express a graph, a graph holds operators of another domain than ai.onnx, a
                tensor has a dtype without fixed-size bytes, a model is not valid ONNX, or too large for one file.
            FileNotFoundError: a folder does not exist.
        """
        target = Path(path)
        inference_target = target.with_suffix(".infer.onnx") if inference_path is None else Path(inference_path)
        if inference_target == target:
            raise ValueError(f"the step and the inference model cannot both be written to {str(target)!r}")
        inference = self._proto(step.inference)
        inference_bytes = inference.SerializeToString()
        model = self._proto(step.graph)
        self._add_initial_state(model, step)
        body = model.SerializeToString()
        about = {
            "format": METADATA_KEY,
            "version": SCHEMA_VERSION,
            "model": step.inference.name,
            "batch_size": step.batch_size,
            **_described(step),
            **_initial(step, tensor_spans(body, INITIAL_STATE)),
            "inference": {
                "file": inference_target.name,
                "size": len(inference_bytes),
                "sha256": hashlib.sha256(inference_bytes).hexdigest(),
                "inputs": [_port(v.name, v.type) for v in step.inference.inputs],
                "outputs": [
                    _port(n, v.type) for n, v in zip(step.inference.output_names, step.inference.outputs, strict=True)
                ],
                "tensors": _places(step, tensor_spans(inference_bytes, INITIALIZERS)),
            },
        }
        # Concatenated messages merge: what is appended moves no byte of what stands before it.
        appended = onnx.ModelProto()
        appended.metadata_props.add(key=METADATA_KEY, value=json.dumps(about))
        whole = body + appended.SerializeToString()
        if len(whole) > _LARGEST:
            raise ValueError(
                f"the step takes {len(whole) / 2**30:.1f} GiB with its initial values; one .onnx file holds less than "
                "2 GiB"
            )
        for file_path, data in ((inference_target, inference_bytes), (target, whole)):
            with atomic_write(file_path) as file:
                file.write(data)
        return TrainingReport(report_of(model, target), report_of(inference, inference_target), about)

    def _proto(self, graph: Graph) -> onnx.ModelProto:
        foreign = sorted({n.op_id for n in graph.all_nodes() if n.domain})
        if foreign:
            raise ValueError(f"graph {graph.name!r} holds operators outside of ai.onnx: {foreign}")
        model = to_proto(graph, self.opset_version)
        if model.ByteSize() > _LARGEST:
            raise ValueError(
                f"graph {graph.name!r} takes {model.ByteSize() / 2**30:.1f} GiB; one .onnx file holds less than 2 GiB"
            )
        if self.check:
            onnx.checker.check_model(model, full_check=True)
        return model

    @staticmethod
    def _add_initial_state(model: onnx.ModelProto, step: TrainingStep) -> None:
        """Store the initial values where ONNX has a place for them and runtimes do not look."""
        holder = model.training_info.add().initialization
        holder.name = "initial_state"
        for entry in step.state:
            tensor = array_to_tensor(entry.value, entry.input)
            if len(tensor.raw_data) != entry.value.nbytes:
                raise ValueError(f"state {entry.input!r} has dtype {entry.value.dtype}, which has no fixed-size bytes")
            holder.initializer.append(tensor)


def _port(name: str, type: TensorType) -> dict[str, Any]:
    return {"name": name, "dtype": type.dtype, "shape": list(type.shape)}


def _described(step: TrainingStep) -> dict[str, Any]:
    types = {v.name: v.type for v in step.graph.inputs}
    results = dict(zip(step.graph.output_names, step.graph.outputs, strict=True))
    return {
        "inputs": [{**_port(i.name, types[i.name]), "role": i.role} for i in step.inputs],
        "hyperparameters": [
            {**_port(h.name, types[h.input]), "input": h.input, "value": h.value.item()} for h in step.hyperparameters
        ],
        "results": [_port(name, results[name].type) for name in step.results],
    }


def _initial(step: TrainingStep, spans: dict[str, tuple[int, int]]) -> dict[str, Any]:
    """Return the state's description, and the size and hash of all initial values, one behind the other."""
    digest = hashlib.sha256()
    entries = []
    for entry in step.state:
        offset, length = spans[entry.input]
        digest.update(np.ascontiguousarray(entry.value).tobytes())
        port = _port(entry.input, TensorType.of(entry.value))
        del port["name"]
        names = {"input": entry.input, "output": entry.output, "kind": entry.kind}
        entries.append({**names, **port, "offset": offset, "length": length})
    return {"state": entries, "initial": {"size": sum(e["length"] for e in entries), "sha256": digest.hexdigest()}}


def _places(step: TrainingStep, spans: dict[str, tuple[int, int]]) -> list[dict[str, Any]]:
    """Return where in the inference file each trained tensor belongs."""
    values = {entry.input: entry.value for entry in step.state}
    places = []
    for name, state in step.weights.items():
        offset, length = spans[name]
        if length != values[state].nbytes:
            raise ValueError(
                f"tensor {name!r} of the inference model is not stored as the {values[state].nbytes} bytes"
            )
        port = _port(name, TensorType.of(values[state]))
        places.append({**port, "state": state, "offset": offset, "length": length})
    return places
