"""Graphs to protobuf models and back, and the files that hold them."""

from nngraph.serde.convert import from_proto, to_proto
from nngraph.serde.file import ModelFile, read_model, write_model
from nngraph.serde.summary import ModelSummary, summarize

__all__ = ["ModelFile", "ModelSummary", "from_proto", "read_model", "summarize", "to_proto", "write_model"]
