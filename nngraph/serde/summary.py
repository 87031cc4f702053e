"""What a .onnx file holds, read without building a graph: any model can be looked at, whatever its opset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import onnx

from nngraph.ir import numpy_dtype
from nngraph.proto import dtype_from_onnx
from nngraph.serde.file import parse_model

__all__ = ["ModelSummary", "TensorSummary", "summarize"]


@dataclass(frozen=True)
class TensorSummary:
    """An input or output: name, dtype and shape (a number or name for each axis; ``None`` for an unknown rank)."""

    name: str
    dtype: str
    shape: list[int | str] | None


@dataclass(frozen=True)
class ModelSummary:
    """The facts of one model file.

    Attributes:
        path: the file.
        size: its size in bytes.
        graph: the graph's name.
        producer: the program that wrote it.
        ir_version: the ONNX IR version.
        opsets: domain to version; ``"ai.onnx"`` is the standard one.
        inputs, outputs: what the model takes and gives.
        parameters: number of elements of the stored tensors.
        parameter_bytes: their size in bytes.
        initializers: number of stored tensors.
        nodes: number of nodes, subgraphs included.
        operators: operator to how often it occurs, most frequent first.
        external_data: whether tensors lie in other files.
        metadata: metadata texts, long ones cut.
    """

    path: str
    size: int
    graph: str
    producer: str
    ir_version: int
    opsets: dict[str, int]
    inputs: list[TensorSummary]
    outputs: list[TensorSummary]
    parameters: int
    parameter_bytes: int
    initializers: int
    nodes: int
    operators: dict[str, int]
    external_data: bool
    metadata: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as JSON-ready values."""
        return asdict(self)


def summarize(path: str | Path) -> ModelSummary:
    """Return the facts of a model file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not an ONNX model, is cut off, or asks for what no model may.
    """
    source = Path(path)
    model = parse_model(source)
    graph = model.graph
    stored = {t.name for t in graph.initializer}
    tensors = list(_tensors(graph))
    operators = Counter(_op_id(n) for n in _nodes(graph))
    for function in model.functions:
        operators.update(_op_id(n) for n in function.node)
    producer = " ".join(part for part in (model.producer_name, model.producer_version) if part)
    return ModelSummary(
        path=str(source),
        size=source.stat().st_size,
        graph=graph.name,
        producer=producer,
        ir_version=model.ir_version,
        opsets={o.domain or "ai.onnx": o.version for o in model.opset_import},
        inputs=[_tensor(v) for v in graph.input if v.name not in stored],
        outputs=[_tensor(v) for v in graph.output],
        parameters=sum(prod(t.dims) for t in tensors),
        parameter_bytes=sum(_bytes(t) for t in tensors),
        initializers=len(tensors),
        nodes=sum(operators.values()),
        operators=dict(sorted(operators.items(), key=lambda item: (-item[1], item[0]))),
        external_data=any(t.data_location == onnx.TensorProto.EXTERNAL for t in tensors),
        metadata={m.key: m.value if len(m.value) <= 60 else m.value[:57] + "..." for m in model.metadata_props},
    )


def _op_id(node: onnx.NodeProto) -> str:
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}::{node.op_type}"


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for sub in _subgraphs(node):
            yield from _nodes(sub)


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        if node.op_type == "Constant":
            yield from (a.t for a in node.attribute if a.type == onnx.AttributeProto.TENSOR)
        for sub in _subgraphs(node):
            yield from _tensors(sub)


def _subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def _bytes(tensor: onnx.TensorProto) -> int:
    if tensor.data_type == onnx.TensorProto.STRING:
        return sum(map(len, tensor.string_data))
    return prod(tensor.dims) * numpy_dtype(dtype_from_onnx(tensor.data_type)).itemsize


def _tensor(value: onnx.ValueInfoProto) -> TensorSummary:
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        return TensorSummary(value.name, str(kind or "?").removesuffix("_type"), None)
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return TensorSummary(value.name, dtype_from_onnx(tensor.elem_type), None)
    dims = [d.dim_value if d.WhichOneof("value") == "dim_value" else d.dim_param or "?" for d in tensor.shape.dim]
    return TensorSummary(value.name, dtype_from_onnx(tensor.elem_type), dims)
