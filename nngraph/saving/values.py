"""Values that JSON lacks, wrapped as ``{"class_name": "__kind__", "config": {...}}``.

Tuples, dicts with keys that are no strings, numpy arrays, slices, the ellipsis and bytes come back as they were; numpy
scalars become Python numbers, and dtypes become their names.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import numpy as np

from nngraph.ir.types import numpy_dtype, standardize_dtype

__all__ = ["decode_values", "encode_value", "is_wrapped"]


_SCALAR_TYPES = (bool, int, float, str, np.generic)


def encode_value(value: Any, encode_object: Callable[[Any], Any]) -> Any:
    """Return ``value`` as JSON-like data; ``encode_object`` turns what is no plain value into data."""
    if value is None or isinstance(value, (bool, int, float, str)):
        # A numpy float is a float, too, but not for every JSON encoder.
        return value.item() if isinstance(value, np.generic) else value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list):
        return [encode_value(item, encode_object) for item in value]
    if isinstance(value, tuple):
        return _wrap("tuple", items=[encode_value(item, encode_object) for item in value])
    if isinstance(value, dict):
        return _encode_dict(value, encode_object)
    if isinstance(value, np.ndarray):
        return _wrap("numpy", value=value.tolist(), dtype=standardize_dtype(value.dtype), shape=list(value.shape))
    if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, _SCALAR_TYPES)):
        return standardize_dtype(value)
    if isinstance(value, slice):
        parts = (encode_value(part, encode_object) for part in (value.start, value.stop, value.step))
        return _wrap("slice", **dict(zip(("start", "stop", "step"), parts, strict=True)))
    if value is Ellipsis:
        return _wrap("ellipsis")
    if isinstance(value, bytes):
        return _wrap("bytes", value=base64.b64encode(value).decode("ascii"))
    return encode_object(value)


def decode_values(data: Any, decode_object: Callable[[Any], Any] | None = None) -> Any:
    """Return ``data`` with what ``encode_value`` wrapped put back, at any depth.

    Descriptions of objects are passed to ``decode_object``; without it they stay as they are, because the class around
    them knows how to build them.
    """

    def decode(item: Any) -> Any:
        if isinstance(item, list):
            return [decode(child) for child in item]
        if isinstance(item, tuple):
            return tuple(decode(child) for child in item)
        if not isinstance(item, dict):
            return item
        if is_wrapped(item):
            return _UNWRAP[item["class_name"]](item.get("config") or {}, decode)
        if "class_name" in item and "config" in item:
            return item if decode_object is None else decode_object(item)
        return {key: decode(child) for key, child in item.items()}

    return decode(data)


def is_wrapped(data: Any) -> bool:
    """Return whether ``data`` is one of the wrappers of this module."""
    return isinstance(data, dict) and data.get("class_name") in _UNWRAP


def _wrap(kind: str, **config: Any) -> dict[str, Any]:
    return {"class_name": f"__{kind}__", "config": config}


def _encode_dict(value: dict[Any, Any], encode_object: Callable[[Any], Any]) -> dict[str, Any]:
    if all(isinstance(key, str) for key in value):
        return {key: encode_value(item, encode_object) for key, item in value.items()}
    # JSON would turn the keys into strings.
    pairs = [[encode_value(key, encode_object), encode_value(item, encode_object)] for key, item in value.items()]
    return _wrap("dict", items=pairs)


def _numpy(config: dict[str, Any], decode: Callable[[Any], Any]) -> np.ndarray:
    array = np.array(config["value"], numpy_dtype(config["dtype"]))
    # An array without elements says nothing of its shape; files of Keras have no shape.
    return array.reshape(config.get("shape", array.shape))


_UNWRAP: dict[str, Callable[[dict[str, Any], Callable[[Any], Any]], Any]] = {
    "__tuple__": lambda config, decode: tuple(decode(item) for item in config["items"]),
    "__dict__": lambda config, decode: {decode(key): decode(item) for key, item in config["items"]},
    "__numpy__": _numpy,
    "__slice__": lambda config, decode: slice(*(decode(config[part]) for part in ("start", "stop", "step"))),
    "__ellipsis__": lambda config, decode: Ellipsis,
    "__bytes__": lambda config, decode: base64.b64decode(config["value"]),
}
