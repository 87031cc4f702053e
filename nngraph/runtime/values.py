"""Arrays as the runtime's values and back, bfloat16 included, for which its Python interface has no arrays."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np

from nngraph.ir import numpy_dtype
from nngraph.proto import dtype_to_onnx
from nngraph.runtime.device import onnxruntime

__all__ = ["to_array", "to_runtime"]


def to_runtime(array: np.ndarray[Any, Any]) -> Any:
    """Return a runtime value on the CPU that shares the memory of a contiguous array."""
    ort = onnxruntime()
    if array.dtype != numpy_dtype("bfloat16"):
        return ort.OrtValue.ortvalue_from_numpy(array)
    return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(array.view(np.uint16), dtype_to_onnx("bfloat16"))


def to_array(value: Any) -> np.ndarray[Any, Any]:
    """Return a runtime value's content as an array."""
    if value.data_type() != "tensor(bfloat16)":
        array: np.ndarray[Any, Any] = value.numpy()
        return array
    shape = value.shape()
    words = (ctypes.c_uint16 * math.prod(shape)).from_address(value.data_ptr())
    return np.array(words, np.uint16).reshape(shape).view(numpy_dtype("bfloat16"))
