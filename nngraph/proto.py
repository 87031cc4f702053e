"""Small conversions between the graph's terms and ONNX protobuf: types, arrays and attributes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from nngraph.ir import Dim, Graph, OpaqueType, TensorType, numpy_dtype

__all__ = [
    "DTYPE_ATTRIBUTES",
    "array_to_tensor",
    "attribute_from_proto",
    "attribute_to_proto",
    "dense_array",
    "dtype_from_onnx",
    "dtype_to_onnx",
    "sequence_of",
    "tensor_to_array",
    "type_from_proto",
    "type_to_proto",
    "unranked",
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
    """Return the protobuf of a type; unknown dimensions stay unset."""
    if isinstance(type, OpaqueType):
        return onnx.TypeProto.FromString(type.encoded)
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
    """Return the type of a protobuf; unknown dimensions become ``"?"``, what is no tensor of known rank is opaque.

    Raises:
        ValueError: it has an unknown element type or a negative size.
    """
    tensor = proto.tensor_type
    if not proto.HasField("tensor_type") or not tensor.HasField("shape") or not tensor.elem_type:
        return _opaque(proto)
    dims: list[Dim] = []
    for dim in tensor.shape.dim:
        kind = dim.WhichOneof("value")
        if kind == "dim_value" and dim.dim_value < 0:
            raise ValueError(f"{what} has the negative size {dim.dim_value}")
        dims.append(dim.dim_value if kind == "dim_value" else dim.dim_param or "?")
    return TensorType(dtype_from_onnx(tensor.elem_type), tuple(dims))


def unranked(dtype: str) -> OpaqueType:
    """Return the type of tensors of this dtype and any rank.

    Example:
        >>> str(unranked("float32"))
        'tensor(float)'
    """
    proto = onnx.TypeProto()
    proto.tensor_type.elem_type = _TO_ONNX[dtype]
    return _opaque(proto)


def sequence_of(type: TensorType) -> OpaqueType:
    """Return the type of sequences of tensors of this type.

    Example:
        >>> str(sequence_of(TensorType("float32", (2,))))
        'seq(tensor(float))'
    """
    proto = onnx.TypeProto()
    proto.sequence_type.elem_type.CopyFrom(type_to_proto(type))
    return _opaque(proto)


def _opaque(proto: onnx.TypeProto) -> OpaqueType:
    if proto.WhichOneof("value") is None or (proto.HasField("tensor_type") and not proto.tensor_type.elem_type):
        return OpaqueType.named()
    return OpaqueType.named(_type_text(proto), proto.SerializeToString(deterministic=True))


def _type_text(proto: onnx.TypeProto) -> str:
    """Return a type as the runtime writes it, such as ``seq(tensor(float))``."""
    kind = proto.WhichOneof("value")
    if kind == "sequence_type":
        return f"seq({_type_text(proto.sequence_type.elem_type)})"
    if kind == "optional_type":
        return f"optional({_type_text(proto.optional_type.elem_type)})"
    if kind == "map_type":
        key = TensorProto.DataType.Name(proto.map_type.key_type).lower()
        return f"map({key}, {_type_text(proto.map_type.value_type)})"
    if kind in ("tensor_type", "sparse_tensor_type"):
        return f"{kind.removesuffix('_type')}({TensorProto.DataType.Name(getattr(proto, kind).elem_type).lower()})"
    return "unknown"


def array_to_tensor(array: np.ndarray[Any, Any], name: str = "") -> onnx.TensorProto:
    """Return the protobuf of an array."""
    return numpy_helper.from_array(np.asarray(array), name)


def tensor_to_array(tensor: onnx.TensorProto, base_dir: str = "") -> np.ndarray[Any, Any]:
    """Return the array of a protobuf tensor."""
    array = numpy_helper.to_array(tensor, base_dir)
    wanted = numpy_dtype(dtype_from_onnx(tensor.data_type))
    return array if array.dtype == wanted else array.astype(wanted)


def dense_array(sparse: onnx.SparseTensorProto) -> np.ndarray[Any, Any]:
    """Return a sparse tensor as an ordinary array.

    Raises:
        ValueError: an index lies outside of the tensor.
    """
    values, indices = tensor_to_array(sparse.values), tensor_to_array(sparse.indices)
    array = np.zeros(tuple(sparse.dims), values.dtype)
    flat = indices if indices.ndim == 1 else np.ravel_multi_index(tuple(indices.T), array.shape)
    if flat.size and not (flat.min() >= 0 and flat.max() < array.size):
        raise ValueError(f"sparse tensor {sparse.values.name!r} has an index outside of its shape {array.shape}")
    array.reshape(-1)[flat] = values
    return array


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
    elif isinstance(value, OpaqueType):
        proto.type = kinds.TYPE_PROTO
        proto.tp.CopyFrom(type_to_proto(value))
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
    kinds, kind = onnx.AttributeProto, proto.type
    if kind == kinds.INT:
        if domain == "" and proto.name in DTYPE_ATTRIBUTES and proto.i in _FROM_ONNX:
            return _FROM_ONNX[proto.i]
        return int(proto.i)
    if kind == kinds.FLOAT:
        return float(proto.f)
    if kind == kinds.STRING:
        return _text(proto.s)
    if kind == kinds.TENSOR:
        return tensor_to_array(proto.t)
    if kind == kinds.INTS:
        return tuple(proto.ints)
    if kind == kinds.FLOATS:
        return tuple(proto.floats)
    if kind == kinds.STRINGS:
        return tuple(_text(s) for s in proto.strings)
    if kind == kinds.TENSORS:
        return tuple(tensor_to_array(t) for t in proto.tensors)
    if kind == kinds.GRAPH and graph_from_proto is not None:
        return graph_from_proto(proto.g)
    if kind == kinds.TYPE_PROTO:
        return OpaqueType.named(_type_text(proto.tp), proto.tp.SerializeToString(deterministic=True))
    if kind == kinds.SPARSE_TENSOR:
        return dense_array(proto.sparse_tensor)
    raise ValueError(f"attribute {proto.name!r} is of the unsupported kind {kinds.AttributeType.Name(kind)}")


def _text(raw: bytes) -> str | bytes:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def node_proto(op: str, domain: str, inputs: Sequence[str], outputs: Sequence[str]) -> onnx.NodeProto:
    """Return a bare protobuf node."""
    return onnx.NodeProto(op_type=op, domain=domain, input=inputs, output=outputs)
