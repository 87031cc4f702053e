"""Whether stored tensors hold what they declare."""

from __future__ import annotations

from math import prod

import onnx
from onnx import TensorProto

from nngraph.ir import numpy_dtype
from nngraph.proto import dtype_from_onnx
from nngraph.serde.external import check_location
from nngraph.serde.limits.common import CAPS, are_plain, check_name, check_text, check_total, refuse

__all__ = ["bits_of", "check_dims", "check_sparse", "check_tensor", "check_type", "constant_of", "stored_bytes"]

_FIELDS = ("float_data", "int32_data", "string_data", "int64_data", "double_data", "uint64_data")
_FIELD_OF = {
    "float32": "float_data",
    "complex64": "float_data",
    "float64": "double_data",
    "complex128": "double_data",
    "int64": "int64_data",
    "uint32": "uint64_data",
    "uint64": "uint64_data",
    "string": "string_data",
}
"""All other dtypes lie in ``int32_data``."""

_BITS = {"int4": 4, "uint4": 4, "float4_e2m1fn": 4, "int2": 2, "uint2": 2}
_LARGEST_DENSE = 1 << 31
"""A sparse tensor becomes a dense array; so many bytes may come out of few."""


def bits_of(dtype: str) -> int:
    """Return how many bits an element takes; texts count as pointers."""
    return _BITS.get(dtype) or (64 if dtype == "string" else 8 * numpy_dtype(dtype).itemsize)


def stored_bytes(tensor: onnx.TensorProto) -> int:
    """Return how many bytes a tensor takes as raw or external data."""
    return (prod(tensor.dims) * bits_of(dtype_from_onnx(tensor.data_type)) + 7) // 8


def check_tensor(tensor: onnx.TensorProto, where: str, *, external: bool = False) -> None:
    """Refuse a tensor whose dtype, sizes and data do not fit together.

    Args:
        tensor: the tensor.
        where: how to call it in messages.
        external: whether its data may lie in another file.

    Raises:
        ValueError: they do not.
    """
    dtype = _dtype(tensor.data_type, where)
    check_dims(tensor.dims, where)
    if tensor.HasField("segment"):
        raise refuse(where, "comes in segments", "save it whole")
    count = prod(tensor.dims)
    expected = stored_bytes(tensor)
    filled = [name for name in _FIELDS if len(getattr(tensor, name))]
    if tensor.data_location == TensorProto.EXTERNAL:
        if not external:
            raise refuse(
                where, "keeps its data in another file", "only initializers of the main graph may: store it inside"
            )
        if filled or tensor.raw_data:
            raise refuse(where, "keeps data both in the model and in another file")
        _check_external(tensor, dtype, expected, where)
    elif tensor.HasField("raw_data") and (tensor.raw_data or not filled):
        if filled or dtype == "string":
            raise refuse(where, f"holds raw data beside {filled[0]}" if filled else "holds texts as raw data")
        if len(tensor.raw_data) != expected:
            raise refuse(
                where,
                f"is {dtype}{list(tensor.dims)}, which takes {expected} bytes, but {len(tensor.raw_data)} are stored",
            )
    else:
        _check_typed(tensor, dtype, count, filled, where)


def _check_typed(tensor: onnx.TensorProto, dtype: str, count: int, filled: list[str], where: str) -> None:
    field = _FIELD_OF.get(dtype, "int32_data")
    if any(name != field for name in filled):
        raise refuse(where, f"is {dtype}, whose data is {field}, but it holds {', '.join(filled)}")
    per = 8 // _BITS[dtype] if dtype in _BITS else 1
    expected = -(-count // per) * (2 if dtype.startswith("complex") else 1)
    stored = len(getattr(tensor, field))
    if stored != expected:
        raise refuse(where, f"is {dtype}{list(tensor.dims)}, which takes {expected} entries, but {stored} are stored")


def _check_external(tensor: onnx.TensorProto, dtype: str, expected: int, where: str) -> None:
    entries = [(e.key, e.value) for e in tensor.external_data]
    keys = [key for key, _ in entries]
    if len(keys) != len(set(keys)) or len(keys) > 16:
        raise refuse(where, f"describes its external data with the entries {keys[:16]}; each may come once")
    if dtype == "string":
        raise refuse(where, "keeps texts in another file")
    for text in (part for entry in entries for part in entry):
        check_text(text, f"external data of {where}")
    found = dict(entries)
    check_location(found.get("location", ""))
    for key in ("offset", "length"):
        text = found.get(key, "0")
        if not (text.isascii() and text.isdecimal() and len(text) < 20):
            raise refuse(where, f"has {key}={text[:40]!r} for its external data, which must be a number of bytes")
    if "length" in found and int(found["length"]) != expected:
        raise refuse(
            where, f"is {dtype}{list(tensor.dims)}, which takes {expected} bytes, but its length is {found['length']}"
        )


def check_type(proto: onnx.TypeProto, where: str, depth: int = 0) -> None:
    """Refuse a type with impossible sizes, too many dimensions, or an element type that does not exist.

    Raises:
        ValueError: it has.
    """
    kind = proto.WhichOneof("value")
    if depth > CAPS.depth:
        raise refuse(where, f"has a type nested more than {CAPS.depth} deep")
    if kind in ("sequence_type", "optional_type"):
        check_type(getattr(proto, kind).elem_type, where, depth + 1)
    elif kind == "map_type":
        check_type(proto.map_type.value_type, where, depth + 1)
    elif kind in ("tensor_type", "sparse_tensor_type"):
        tensor = getattr(proto, kind)
        dtype = _dtype(tensor.elem_type, where) if tensor.elem_type else "bool"
        if tensor.HasField("shape"):
            sizes = [d.dim_value for d in tensor.shape.dim if d.HasField("dim_value")]
            if len(tensor.shape.dim) > CAPS.rank:
                raise refuse(where, f"has {len(tensor.shape.dim)} dimensions; {CAPS.rank} are allowed")
            check_dims(sizes, where)
            check_total(prod(sizes) * bits_of(dtype) // 8, where)
            names = [dim.dim_param for dim in tensor.shape.dim]
            if not are_plain(names):
                for name in names:
                    check_name(name, f"a size of {where}", empty=True)


def check_dims(dims: object, where: str) -> None:
    """Refuse sizes that are negative or too many.

    Raises:
        ValueError: they are.
    """
    sizes = list(dims)  # type: ignore[call-overload]
    if len(sizes) > CAPS.rank:
        raise refuse(where, f"has {len(sizes)} dimensions; {CAPS.rank} are allowed")
    if any(d < 0 for d in sizes):
        raise refuse(where, f"has the shape {sizes}; no size may be negative")


def _dtype(number: int, where: str) -> str:
    try:
        return dtype_from_onnx(number)
    except ValueError:
        raise refuse(where, f"has the element type {number}, which does not exist") from None


def check_sparse(sparse: onnx.SparseTensorProto, where: str) -> None:
    """Refuse a sparse tensor whose places lie outside of it, or that is huge when it is dense.

    Raises:
        ValueError: it is.
    """
    check_tensor(sparse.values, f"{where}, values")
    check_tensor(sparse.indices, f"{where}, indices")
    check_dims(sparse.dims, where)
    dtype = dtype_from_onnx(sparse.values.data_type)
    dense = prod(sparse.dims) * bits_of(dtype) // 8
    if dense > _LARGEST_DENSE:
        raise refuse(where, f"takes {dense} bytes when it is dense; {_LARGEST_DENSE} are allowed")
    if sparse.indices.data_type != TensorProto.INT64:
        raise refuse(where, "has places that are not int64")
    count, rank, shape = prod(sparse.values.dims), len(sparse.dims), tuple(sparse.indices.dims)
    if len(sparse.values.dims) != 1 or shape not in ((count,), (count, rank)):
        raise refuse(where, f"has {count} values, and places of the shape {list(shape)}")
    places = onnx.numpy_helper.to_array(sparse.indices)
    limits = [prod(sparse.dims)] if places.ndim == 1 else list(sparse.dims)
    if places.size and bool(((places < 0) | (places >= limits)).any()):
        raise refuse(where, f"has places outside of its shape {list(sparse.dims)}")


def constant_of(tensor: onnx.TensorProto) -> list[int] | list[float] | None:
    """Return the numbers of a small stored tensor that passed :func:`check_tensor`; ``None`` for all others."""
    numeric = dtype_from_onnx(tensor.data_type) in ("int32", "int64", "float32", "float64", "uint8", "int8")
    if not numeric or prod(tensor.dims) > CAPS.rank * 2 or tensor.data_location == TensorProto.EXTERNAL:
        return None
    found: list[int] | list[float] = onnx.numpy_helper.to_array(tensor).reshape(-1).tolist()
    return found
