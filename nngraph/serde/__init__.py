"""Graphs to protobuf models and back, and the files that hold them."""

from nngraph.serde.convert import from_proto, to_proto
from nngraph.serde.file import ModelFile, read_model, write_model

__all__ = ["ModelFile", "from_proto", "read_model", "to_proto", "write_model"]
