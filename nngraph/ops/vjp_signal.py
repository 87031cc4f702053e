"""STFT and AffineGrid, written with simpler operators, through which their gradients go."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngraph.ir import Value, numpy_dtype
from nngraph.ops.axes import ints, reshaped, sizes
from nngraph.ops.core import dtype_of, type_of
from nngraph.ops.vjp import raw, vjp_through

__all__: list[str] = []


def _number(x: Any, what: str) -> int:
    data = x.data if isinstance(x, Value) else np.asarray(x)
    if data is None:
        raise ValueError(f"the gradient of STFT needs a {what} that is a constant")
    return int(data.reshape(()))


def _range(count: Any) -> Any:
    """0, 1, 2, ... below a count that is a number or a scalar of the graph, as int64."""
    if isinstance(count, int):
        return np.arange(count, dtype=np.int64)
    return raw.Range(np.asarray(0, np.int64), raw.Cast(count, to="int64"), np.asarray(1, np.int64))


@vjp_through("STFT")
def _(signal: Any, frame_step: Any, window: Any = None, frame_length: Any = None, *, onesided: int = 1) -> Any:
    """Cut the signal into frames that overlap, and transform each."""
    step = _number(frame_step, "frame_step")
    total: Any = sizes(signal)[1]
    if frame_length is not None:
        length: Any = _number(frame_length, "frame_length")
    else:
        length = type_of(window).shape[0] if window is not None else total
    if not isinstance(length, int):
        raise ValueError(f"the gradient of STFT needs a frame of known length, got a signal of {type_of(signal)}")
    last = total - length
    count = last // step + 1 if isinstance(last, int) else raw.Div(last, np.asarray(step, np.int32)) + 1
    starts = raw.Mul(_range(count), np.int64(step))
    places = raw.Add(raw.Unsqueeze(starts, ints(1)), np.arange(length, dtype=np.int64))
    frames = raw.Gather(signal, places, axis=1)
    if window is not None:
        frames = raw.Mul(frames, raw.Unsqueeze(window, ints(1)))
    return raw.DFT(frames, None, np.asarray(2, np.int64), onesided=onesided)


def _positions(size: Any, align_corners: int, dtype: str) -> Any:
    """The places of pixels on an axis from -1 to 1: of their centres, or from the first centre to the last."""
    numbers = _range(size).astype(numpy_dtype(dtype)) if isinstance(size, int) else raw.Cast(_range(size), to=dtype)
    count = np.asarray(size, numpy_dtype(dtype)) if isinstance(size, int) else raw.Cast(size, to=dtype)
    if align_corners and isinstance(size, int) and size == 1:
        return np.ones(1, numpy_dtype(dtype))  # where the runtime puts a single pixel
    if align_corners:
        return raw.Sub(raw.Div(raw.Mul(numbers, 2), raw.Max(raw.Sub(count, 1), np.ones((), numpy_dtype(dtype)))), 1)
    return raw.Sub(raw.Div(raw.Add(raw.Mul(numbers, 2), 1), count), 1)


@vjp_through("AffineGrid")
def _(theta: Any, size: Any, *, align_corners: int = 0) -> Any:
    """Multiply every pixel's place, with a one behind it, by the matrix."""
    dtype = dtype_of(theta)
    rank = int(type_of(size).shape[0]) - 2
    known = size.data if isinstance(size, Value) else np.asarray(size)
    image: list[Any]
    if known is not None:
        image = [int(n) for n in known[2:]]
    else:
        image = [raw.Gather(size, np.asarray(k + 2, np.int64), axis=0) for k in range(rank)]
    axes = []
    for k, count in enumerate(image):
        along = [1] * rank
        along[k] = -1
        axes.append(raw.Reshape(_positions(count, align_corners, dtype), ints(*along)))
    whole = axes[0]
    for axis in axes[1:]:
        whole = raw.Add(whole, raw.Mul(axis, 0))
    nothing = raw.Mul(whole, 0)
    # The last axis of the image is the first coordinate.
    columns = [*(raw.Add(axis, nothing) for axis in reversed(axes)), raw.Add(nothing, 1)]
    base = raw.Concat(*(raw.Reshape(c, ints(-1, 1)) for c in columns), axis=1)
    grid = raw.MatMul(base, raw.Transpose(theta, perm=(0, 2, 1)))
    return reshaped(grid, [sizes(theta)[0], *image, rank])
