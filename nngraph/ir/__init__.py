"""The intermediate representation: a small typed graph in ONNX's vocabulary."""

from nngraph.ir.graph import Graph, Node, Origin, Value, bytes_of, copy_node
from nngraph.ir.text import fingerprint, node_to_text, to_text
from nngraph.ir.types import (
    DTYPES,
    Dim,
    OpaqueType,
    Shape,
    TensorType,
    broadcast_shapes,
    is_float,
    is_integer,
    numpy_dtype,
    standardize_dtype,
)
from nngraph.ir.verify import VerificationError, verify

__all__ = [
    "DTYPES",
    "Dim",
    "Graph",
    "Node",
    "OpaqueType",
    "Origin",
    "Shape",
    "TensorType",
    "Value",
    "VerificationError",
    "broadcast_shapes",
    "bytes_of",
    "copy_node",
    "fingerprint",
    "is_float",
    "is_integer",
    "node_to_text",
    "numpy_dtype",
    "standardize_dtype",
    "to_text",
    "verify",
]
