"""Opening ONNX models without copying their weights: large arrays are taken out and mapped from the file.

A model's bytes are mostly weights. :func:`open_model` walks the protobuf of a file just far enough to find the large
``raw_data`` fields, hands everything else to protobuf, and maps the arrays from the file as they lie there; external
data is mapped too. Nothing large is in memory before somebody reads it, and no copy of it is made.
"""

from __future__ import annotations

import mmap
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from nngraph.ir import Dim, numpy_dtype
from nngraph.proto import dtype_from_onnx, tensor_to_array
from nngraph.serde.external import open_external
from nngraph.serde.limits import check_limits, check_tensor, stored_bytes

__all__ = ["Opened", "Source", "give_shapes", "open_model"]

Source = str | os.PathLike[str] | bytes | onnx.ModelProto
"""Where a model comes from: a path, its bytes, or a protobuf in memory."""

LARGE = 1 << 14
"""Arrays of this many bytes or more are taken out of the model."""

_GRAPH, _INITIALIZER, _RAW_DATA, _EXTERNAL_DATA = 7, 5, 9, 13
"""Field numbers of ModelProto.graph, GraphProto.initializer, TensorProto.raw_data and TensorProto.external_data."""

_PACKED = ("float4_e2m1fn", "int4", "uint4", "int2", "uint2", "string")
"""Dtypes whose elements are no whole bytes."""


@dataclass
class Opened:
    """A model and its large arrays, apart.

    Attributes:
        model: the model; each array that was taken out is an input of its graph instead.
        arrays: what was taken out, by initializer name; read-only, mapped from files where they came from files.
        stored: the names of all initializers, in the model's order.
        folder: the folder of external data, ``None`` when the model came without one.
        path: the model's own file, ``None`` when it came from memory.
        name: what to call the model in messages.
    """

    model: onnx.ModelProto
    arrays: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    stored: list[str] = field(default_factory=list)
    folder: Path | None = None
    path: Path | None = None
    name: str = "the model"


def open_model(source: Source, *, folder: str | os.PathLike[str] | None = None) -> Opened:
    """Open a model; large arrays are mapped, not read.

    Args:
        source: a path, the bytes of a file, or a ``ModelProto`` (which is not changed).
        folder: where external data lies; default is the file's own folder.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not an ONNX model, is cut off, or an array does not fit its declared type.
        TypeError: the source is something else.

    Example:
        >>> opened = open_model(onnx.parser.parse_model('<ir_version: 8, opset_import: ["": 20]> g () => () {}'))
        >>> opened.stored, opened.arrays
        ([], {})
    """
    where = None if folder is None else Path(folder)
    if isinstance(source, onnx.ModelProto):
        return _take_out(Opened(source, folder=where), _Mapped(b"", ""))
    if isinstance(source, bytes):
        return _parse(source, where, None, "the model")
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(
            f"a model is a path, the bytes of a file, or an onnx.ModelProto; got {type(source).__name__}: {source!r}"
        )
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {str(path)!r}")
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            raise ValueError(f"{str(path)!r} is empty; it is not an ONNX model")
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return _parse(content, path.parent if where is None else where, path, repr(str(path)))


def give_shapes(opened: Opened, shapes: Mapping[str, Sequence[Dim]]) -> None:
    """Declare shapes of inputs for which the model itself declares none."""
    lacking = [i.name for i in opened.model.graph.input if not i.type.tensor_type.HasField("shape")]
    if not any(name in shapes for name in lacking):
        return
    copy = onnx.ModelProto()
    copy.CopyFrom(opened.model)
    for entry in copy.graph.input:
        if entry.name in lacking and entry.name in shapes:
            entry.type.tensor_type.shape.SetInParent()
            for dim in shapes[entry.name]:
                entry.type.tensor_type.shape.dim.add(**{"dim_value" if isinstance(dim, int) else "dim_param": dim})
    opened.model = copy


class _Mapped:
    """The content from which arrays are mapped, and the key under which a tensor says where its array lies.

    The key is made anew for every file, so that no file can hold it already.
    """

    def __init__(self, content: bytes | mmap.mmap, key: str) -> None:
        self.content = content
        self.key = key


def _parse(content: bytes | mmap.mmap, folder: Path | None, path: Path | None, name: str) -> Opened:
    key = secrets.token_hex(16)
    try:
        lean = _without_raw_data(memoryview(content), key)
        model = onnx.ModelProto.FromString(lean)
    except Exception as error:  # protobuf has several kinds of its own
        raise ValueError(f"{name} is not an ONNX model, or is cut off: {error}") from None
    return _take_out(Opened(model, folder=folder, path=path, name=name), _Mapped(content, key))


# -- the walk through protobuf's wire format ------------------------------------------------------------------------
# https://protobuf.dev/programming-guides/encoding: a message is a list of fields, each a tag and a value; a value of
# wire type 2 is a length and as many bytes, which may be a message again.


def _without_raw_data(content: memoryview, key: str) -> bytes:
    """Return a serialized ModelProto in which large ``raw_data`` fields are replaced by where they lie."""
    parts: list[Any] = []
    for tag, start, value, end in _fields(content, 0, len(content)):
        if tag == _GRAPH and end - value >= LARGE:
            graph = _lean_graph(content, value, end, key)
            parts += [_tag(_GRAPH), _varint(len(graph)), graph]
        else:
            parts.append(content[start:end])
    return b"".join(parts)


def _lean_graph(content: memoryview, begin: int, stop: int, key: str) -> bytes:
    parts: list[Any] = []
    for tag, start, value, end in _fields(content, begin, stop):
        if tag == _INITIALIZER and end - value >= LARGE:
            tensor = _lean_tensor(content, value, end, key)
            parts += [_tag(_INITIALIZER), _varint(len(tensor)), tensor]
        else:
            parts.append(content[start:end])
    return b"".join(parts)


def _lean_tensor(content: memoryview, begin: int, stop: int, key: str) -> bytes:
    parts: list[Any] = []
    for tag, start, value, end in _fields(content, begin, stop):
        if tag == _RAW_DATA and end - value >= LARGE:
            entry = onnx.StringStringEntryProto(key=key, value=f"{value}:{end - value}").SerializeToString()
            parts += [_tag(_EXTERNAL_DATA), _varint(len(entry)), entry]
        else:
            parts.append(content[start:end])
    return b"".join(parts)


def _fields(content: memoryview, begin: int, stop: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield number, start, start of the value and end of each field; the number is negative if it is no message."""
    at = begin
    while at < stop:
        start = at
        tag, at = _read_varint(content, at, stop)
        kind = tag & 7
        if kind == 0:
            value, (_, at) = at, _read_varint(content, at, stop)
        elif kind == 1:
            value, at = at, at + 8
        elif kind == 5:
            value, at = at, at + 4
        elif kind == 2:
            length, value = _read_varint(content, at, stop)
            at = value + length
        else:
            raise ValueError(f"byte {start} begins a field of the unknown wire type {kind}")
        if at > stop:
            raise ValueError(f"the field at byte {start} is longer than what holds it")
        yield (tag >> 3 if kind == 2 else -1), start, value, at


def _read_varint(content: memoryview, at: int, stop: int) -> tuple[int, int]:
    result = 0
    for shift in range(0, 70, 7):
        if at >= stop:
            raise ValueError(f"the content ends at byte {at}, inside a number")
        byte = content[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at
    raise ValueError(f"the number before byte {at} is longer than 10 bytes")


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _tag(number: int) -> bytes:
    return _varint(number << 3 | 2)


# -- arrays ---------------------------------------------------------------------------------------------------------


def _take_out(opened: Opened, mapped: _Mapped) -> Opened:
    """Move the large arrays out of a model that has just been opened; the protobuf itself is left as it is."""
    files: dict[str, Any] = {}
    small: list[onnx.TensorProto] = []
    for tensor in opened.model.graph.initializer:
        opened.stored.append(tensor.name)
        array = _array_of(tensor, mapped, opened, files)
        if array is None:
            small.append(tensor)
        else:
            opened.arrays[tensor.name] = array
    if opened.arrays:
        opened.model = _with_inputs(opened.model, small, opened.arrays)
    check_limits(opened.model, stored=opened.stored)
    return opened


def _with_inputs(
    model: onnx.ModelProto, small: list[onnx.TensorProto], arrays: dict[str, np.ndarray[Any, Any]]
) -> onnx.ModelProto:
    lean = onnx.ModelProto()
    for descriptor, content in model.ListFields():
        if descriptor.name == "graph":
            continue
        if descriptor.is_repeated:
            getattr(lean, descriptor.name).extend(content)
        else:
            setattr(lean, descriptor.name, content)
    graph = lean.graph
    graph.name = model.graph.name
    graph.doc_string = model.graph.doc_string
    for part in ("node", "input", "output", "value_info", "quantization_annotation", "sparse_initializer"):
        getattr(graph, part).extend(getattr(model.graph, part))
    graph.initializer.extend(small)
    known = {i.name for i in graph.input}
    types = {t.name: (t.data_type, t.dims) for t in model.graph.initializer if t.name in arrays}
    for name in arrays:
        if name not in known:
            data_type, dims = types[name]
            graph.input.append(onnx.helper.make_tensor_value_info(name, data_type, dims))
    return lean


def _array_of(
    tensor: onnx.TensorProto, mapped: _Mapped, opened: Opened, files: dict[str, Any]
) -> np.ndarray[Any, Any] | None:
    """Return the array of a large or external tensor, ``None`` for one that may stay where it is."""
    place = next((e.value for e in tensor.external_data if mapped.key and e.key == mapped.key), None)
    if place is not None:
        start, length = map(int, place.split(":"))
        return _view(tensor, mapped.content, start, length)
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        check_tensor(tensor, f"tensor {tensor.name!r}", external=True)
        return _external(tensor, opened, files)
    if tensor.ByteSize() < LARGE:
        return None
    check_tensor(tensor, f"tensor {tensor.name!r}")
    array = tensor_to_array(tensor)
    array.flags.writeable = False
    return array


def _external(tensor: onnx.TensorProto, opened: Opened, files: dict[str, Any]) -> np.ndarray[Any, Any]:
    entries = {e.key: e.value for e in tensor.external_data}
    location = entries.get("location", "")
    if opened.folder is None:
        raise ValueError(
            f"tensor {tensor.name!r} lies in the file {location!r} beside the model, but the model came without a "
            "folder; load it by its path"
        )
    if location not in files:
        with open_external(opened.folder, location, model=opened.path) as file:
            empty = os.fstat(file.fileno()).st_size == 0
            files[location] = b"" if empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    content = files[location]
    start = _number(tensor, entries, "offset", 0)
    return _view(tensor, content, start, _number(tensor, entries, "length", stored_bytes(tensor)))


def _number(tensor: onnx.TensorProto, entries: dict[str, str], key: str, default: int) -> int:
    text = entries.get(key, str(default))
    if not text.isdecimal():
        raise ValueError(f"tensor {tensor.name!r}: {key} of its external data must be a number of bytes, got {text!r}")
    return int(text)


def _view(tensor: onnx.TensorProto, content: Any, start: int, length: int) -> np.ndarray[Any, Any]:
    """Return ``length`` bytes of a content as the tensor's array, without a copy where the dtype allows it."""
    if start + length > len(content):
        raise ValueError(
            f"tensor {tensor.name!r} should lie at bytes {start} to {start + length}, but there are {len(content)}"
        )
    dtype = dtype_from_onnx(tensor.data_type)
    shape = tuple(tensor.dims)
    if any(d < 0 for d in shape):
        raise ValueError(f"tensor {tensor.name!r} has the impossible shape {shape}")
    if dtype in _PACKED:
        whole = onnx.TensorProto(
            data_type=tensor.data_type, dims=shape, raw_data=bytes(content[start : start + length])
        )
        return tensor_to_array(whole)
    kind = numpy_dtype(dtype)
    if prod(shape) * kind.itemsize != length:
        raise ValueError(
            f"tensor {tensor.name!r} of type {dtype}{list(shape)} takes {prod(shape) * kind.itemsize} bytes, "
            f"but {length} are stored"
        )
    return np.frombuffer(content, kind, prod(shape), start).reshape(shape) if length else np.zeros(shape, kind)
