"""Keras masks: which entries of a sequence count, carried along with the tensor.

On a graph value the mask is kept by the trace, on a Keras tensor as an attribute, on an array beside it for as long as
the array lives.
"""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from nngraph.ir import Value
from nngraph.ops.keras_tensor import KerasTensor
from nngraph.ops.trace import current_trace

__all__ = ["get_mask", "set_mask"]

_ARRAY_MASKS: dict[int, tuple[weakref.ref[Any], Any]] = {}


def get_mask(x: Any) -> Any:
    """Return the mask of a tensor, or ``None``."""
    if isinstance(x, Value):
        trace = current_trace()
        return None if trace is None else trace.masks.get(x)
    if isinstance(x, KerasTensor):
        return x._keras_mask
    entry = _ARRAY_MASKS.get(id(x)) if isinstance(x, np.ndarray) else None
    return entry[1] if entry is not None and entry[0]() is x else None


def set_mask(x: Any, mask: Any) -> None:
    """Attach a mask to a tensor."""
    if mask is None:
        return
    if isinstance(x, Value):
        trace = current_trace()
        if trace is not None:
            trace.masks[x] = mask
    elif isinstance(x, KerasTensor):
        x._keras_mask = mask
    elif isinstance(x, np.ndarray):
        key = id(x)
        _ARRAY_MASKS[key] = (weakref.ref(x, lambda _: _ARRAY_MASKS.pop(key, None)), mask)
