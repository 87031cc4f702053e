"""Graphs to protobuf models and back, and the files that hold them."""

from nngraph.serde.checking import check_model
from nngraph.serde.file import ModelFile, read_model, write_model
from nngraph.serde.from_onnx import check_operators, from_proto
from nngraph.serde.summary import ModelSummary, summarize
from nngraph.serde.to_onnx import to_proto

__all__ = [
    "ModelFile",
    "ModelSummary",
    "check_model",
    "check_operators",
    "from_proto",
    "read_model",
    "summarize",
    "to_proto",
    "write_model",
]
