"""Where in the bytes of a model file each tensor's raw data lies, so that any language can read or replace it."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["INITIALIZERS", "INITIAL_STATE", "tensor_spans"]

INITIALIZERS = (7, 5)
"""Protobuf field numbers from a model to the tensors of its graph: ``graph``, ``initializer``."""

INITIAL_STATE = (20, 1, 5)
"""The same for the initial values of training: ``training_info``, ``initialization``, ``initializer``."""

_NAME, _RAW_DATA = 8, 9  # fields of TensorProto


def tensor_spans(data: bytes, path: tuple[int, ...]) -> dict[str, tuple[int, int]]:
    """Return (offset, length) of the raw data of each tensor at a path of protobuf fields, by the tensor's name.

    Args:
        data: a serialized model.
        path: field numbers that lead to the tensors, such as :data:`INITIALIZERS`.

    Raises:
        ValueError: the bytes are no protobuf message.

    Example:
        >>> import numpy as np
        >>> from nngraph.ir import Graph, Node
        >>> from nngraph.serde import to_proto
        >>> g = Graph("g"); w = g.add_constant(np.float32([1, 2]), "w")
        >>> g.set_outputs([g.append(Node("Relu", [w], {}), [w.type]).output], ["y"])
        >>> data = to_proto(g).SerializeToString()
        >>> offset, length = tensor_spans(data, INITIALIZERS)["w"]
        >>> np.frombuffer(data[offset : offset + length], "<f4").tolist()
        [1.0, 2.0]
    """
    spans = [(0, len(data))]
    for field in path:
        spans = [(a, b) for start, stop in spans for number, a, b in _fields(data, start, stop) if number == field]
    found = {}
    for start, stop in spans:
        name, place = "", (stop, 0)  # protobuf leaves out what is empty
        for number, begin, end in _fields(data, start, stop):
            if number == _NAME:
                name = data[begin:end].decode()
            elif number == _RAW_DATA:
                place = (begin, end - begin)
        found[name] = place
    return found


def _fields(data: bytes, position: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """Yield (number, start, stop) of the length-delimited fields of a message; skip the others."""
    while position < stop:
        tag, position = _varint(data, position)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            _, position = _varint(data, position)
        elif kind == 1:
            position += 8
        elif kind == 5:
            position += 4
        elif kind == 2:
            length, position = _varint(data, position)
            yield number, position, position + length
            position += length
        else:
            raise ValueError(f"byte {position} begins no protobuf field")
    if position != stop:
        raise ValueError("a protobuf field ends behind its message")


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(data):
            raise ValueError("the bytes end inside of a protobuf number")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
