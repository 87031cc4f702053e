"""Small conversions between the graph's terms and ONNX protobuf: types, arrays and attributes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from nngraph.ir import Dim, Graph, TensorType, numpy_dtype

__all__ = [
    "DTYPE_ATTRIBUTES",
    "array_to_tensor",
    "attribute_from_proto",
    "attribute_to_proto",
    "dtype_from_onnx",
    "dtype_to_onnx",
    "tensor_to_array",
    "type_from_proto",
    "type_to_proto",
]

_SPECIAL = {
    "float8_e4m3fn": TensorProto.FLOAT8E4M3FN,
    "float8_e4m3fnuz": TensorProto.FLOAT8E4M3FNUZ,
    "float8_e5m2": TensorProto.FLOAT8E5M2,
    "float8_e5m2fnuz": TensorProto.FLOAT8E5M2FNUZ,
    "float8_e8m0fnu": TensorProto.FLOAT8E8M0,
    "float4_e2m1fn": TensorProto.FLOAT4E2M1,
    "float32": TensorProto.FLOAT,
    "float64": TensorProto.DOUBLE,
}

_TO_ONNX: dict[str, int] = {
    **{name.lower(): number for name, number in TensorProto.DataType.items() if name != "UNDEFINED"},
    **_SPECIAL,
}
_FROM_ONNX: dict[int, str] = {}
for _name, _number in _TO_ONNX.items():
    if _name not in ("float", "double"):
        _FROM_ONNX.setdefault(_number, _name)
_FROM_ONNX.update({number: name for name, number in _SPECIAL.items()})

DTYPE_ATTRIBUTES = frozenset({"to", "dtype", "output_dtype", "output_datatype"})
"""Attributes of ai.onnx operators whose number means a dtype; in the graph they are dtype names."""


def dtype_to_onnx(dtype: str) -> int:
    """Return the ``TensorProto.DataType`` number of a dtype name."""
    return _TO_ONNX[dtype]


def dtype_from_onnx(number: int) -> str:
    """Return the dtype name of a ``TensorProto.DataType`` number.

    Raises:
        ValueError: the number means no dtype.
    """
    if number not in _FROM_ONNX:
        raise ValueError(f"ONNX element type {number} is not supported")
    return _FROM_ONNX[number]


def type_to_proto(type: TensorType) -> onnx.TypeProto:
    """Return the protobuf of a tensor type; unknown dimensions stay unset."""
    proto = onnx.TypeProto()
    tensor = proto.tensor_type
    tensor.elem_type = _TO_ONNX[type.dtype]
    shape = tensor.shape
    shape.SetInParent()  # a scalar has a shape without dimensions, not an unknown one
    for dim in type.shape:
        entry = shape.dim.add()
        if isinstance(dim, int):
            entry.dim_value = dim
        elif dim != "?":
            entry.dim_param = dim
    return proto


def type_from_proto(proto: onnx.TypeProto, *, what: str = "value") -> TensorType:
    """Return the tensor type of a protobuf; unknown dimensions become ``"?"``.

    Raises:
        ValueError: it is not a tensor type with known dtype and rank.
    """
    if not proto.HasField("tensor_type"):
        raise ValueError(f"{what} has type {proto.WhichOneof('value')}, only tensors are supported")
    tensor = proto.tensor_type
    if not tensor.HasField("shape"):
        raise ValueError(f"{what} has no known rank")
    dims: list[Dim] = []
    for dim in tensor.shape.dim:
        kind = dim.WhichOneof("value")
        if kind == "dim_value" and dim.dim_value < 0:
            raise ValueError(f"{what} has the negative size {dim.dim_value}")
        dims.append(dim.dim_value if kind == "dim_value" else dim.dim_param or "?")
    return TensorType(dtype_from_onnx(tensor.elem_type), tuple(dims))


def array_to_tensor(array: np.ndarray[Any, Any], name: str = "") -> onnx.TensorProto:
    """Return the protobuf of an array."""
    return numpy_helper.from_array(np.asarray(array), name)


def tensor_to_array(tensor: onnx.TensorProto, base_dir: str = "") -> np.ndarray[Any, Any]:
    """Return the array of a protobuf tensor."""
    array = numpy_helper.to_array(tensor, base_dir)
    wanted = numpy_dtype(dtype_from_onnx(tensor.data_type))
    return array if array.dtype == wanted else array.astype(wanted)


def attribute_to_proto(
    name: str, value: Any, domain: str = "", graph_to_proto: Callable[[Graph], onnx.GraphProto] | None = None
) -> onnx.AttributeProto:
    """Return the protobuf of an attribute: number, text, bytes, array, graph, or a sequence of one of them."""
    proto = onnx.AttributeProto()
    proto.name = name
    kinds = onnx.AttributeProto
    if isinstance(value, str) and domain == "" and name in DTYPE_ATTRIBUTES and value in _TO_ONNX:
        value = _TO_ONNX[value]
    if isinstance(value, Graph):
        if graph_to_proto is None:
            raise ValueError(f"attribute {name!r} is a graph, which cannot be converted here")
        proto.type = kinds.GRAPH
        proto.g.CopyFrom(graph_to_proto(value))
    elif isinstance(value, np.ndarray):
        proto.type = kinds.TENSOR
        proto.t.CopyFrom(array_to_tensor(value))
    elif isinstance(value, (bool, int, np.integer)):
        proto.type = kinds.INT
        proto.i = int(value)
    elif isinstance(value, (float, np.floating)):
        proto.type = kinds.FLOAT
        proto.f = float(value)
    elif isinstance(value, (str, bytes)):
        proto.type = kinds.STRING
        proto.s = value.encode() if isinstance(value, str) else value
    else:
        _sequence_to_proto(proto, name, list(value))
    return proto


def _sequence_to_proto(proto: onnx.AttributeProto, name: str, items: list[Any]) -> None:
    kinds = onnx.AttributeProto
    if all(isinstance(i, (bool, int, np.integer)) for i in items):
        proto.type = kinds.INTS
        proto.ints.extend(int(i) for i in items)
    elif all(isinstance(i, (int, float, np.integer, np.floating)) for i in items):
        proto.type = kinds.FLOATS
        proto.floats.extend(float(i) for i in items)
    elif all(isinstance(i, (str, bytes)) for i in items):
        proto.type = kinds.STRINGS
        proto.strings.extend(i.encode() if isinstance(i, str) else i for i in items)
    elif all(isinstance(i, np.ndarray) for i in items):
        proto.type = kinds.TENSORS
        proto.tensors.extend(array_to_tensor(i) for i in items)
    else:
        raise ValueError(f"attribute {name!r} has a value that ONNX cannot hold: {items!r}")


def attribute_from_proto(
    proto: onnx.AttributeProto, domain: str = "", graph_from_proto: Callable[[onnx.GraphProto], Graph] | None = None
) -> Any:
    """Return the Python value of a protobuf attribute: sequences become tuples, tensors arrays.

    Raises:
        ValueError: the attribute is of a kind that the graph does not hold.
    """
    kinds = onnx.AttributeProto
    if proto.type == kinds.INT:
        if domain == "" and proto.name in DTYPE_ATTRIBUTES and proto.i in _FROM_ONNX:
            return _FROM_ONNX[proto.i]
        return int(proto.i)
    if proto.type == kinds.FLOAT:
        return float(proto.f)
    if proto.type == kinds.STRING:
        return _text(proto.s)
    if proto.type == kinds.TENSOR:
        return tensor_to_array(proto.t)
    if proto.type == kinds.INTS:
        return tuple(int(i) for i in proto.ints)
    if proto.type == kinds.FLOATS:
        return tuple(float(f) for f in proto.floats)
    if proto.type == kinds.STRINGS:
        return tuple(_text(s) for s in proto.strings)
    if proto.type == kinds.TENSORS:
        return tuple(tensor_to_array(t) for t in proto.tensors)
    if proto.type == kinds.GRAPH and graph_from_proto is not None:
        return graph_from_proto(proto.g)
    raise ValueError(f"attribute {proto.name!r} is of the unsupported kind {kinds.AttributeType.Name(proto.type)}")


def _text(raw: bytes) -> str | bytes:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def node_proto(op: str, domain: str, inputs: Sequence[str], outputs: Sequence[str]) -> onnx.NodeProto:
    """Return a bare protobuf node."""
    proto = onnx.NodeProto()
    proto.op_type = op
    proto.domain = domain
    proto.input.extend(inputs)
    proto.output.extend(outputs)
    return proto
