"""Gradients of Col2Im and MaxUnpool, which put numbers at places in an image."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from nngraph.ir import Value, numpy_dtype
from nngraph.ops.axes import ints, reshaped, scalar, shaped_like, sizes
from nngraph.ops.core import dtype_of, shape_vector
from nngraph.ops.float64_forms import float64_form
from nngraph.ops.trace import apply
from nngraph.ops.vjp import raw, vjp
from nngraph.ops.vjp_indexing import gather_gradient
from nngraph.ops.windows import Window

__all__: list[str] = []


# -- Col2Im ---------------------------------------------------------------------------------------------------------


def _numbers(x: Any, what: str) -> tuple[int, ...]:
    data = x.data if isinstance(x, Value) else np.asarray(x)
    if data is None:
        raise ValueError(f"the gradient of Col2Im needs {what} that is a constant")
    return tuple(int(n) for n in data)


def _block_pixels(window: Window, image: tuple[int, ...]) -> tuple[np.ndarray[Any, Any], tuple[int, ...]]:
    """Return the pixel of the padded image for each place in a block and each block, and the padded sizes."""
    assert window.pads is not None
    pads = zip(window.pads[: window.rank], window.pads[window.rank :], strict=True)
    padded = tuple(n + before + after for n, (before, after) in zip(image, pads, strict=True))
    pixels: Any = np.zeros((1, 1), np.int64)
    for size, kernel, stride, dilation, extent in zip(
        padded, window.kernel, window.strides, window.dilations, window.extent, strict=True
    ):
        blocks = (size - extent) // stride + 1
        at = np.arange(kernel)[:, None] * dilation + np.arange(blocks) * stride
        grown = pixels[:, None, :, None] * size + at[None, :, None, :]
        pixels = grown.reshape(pixels.shape[0] * kernel, pixels.shape[1] * blocks)
    return pixels, padded


def _around(window: Window, sign: int) -> np.ndarray[Any, Any]:
    assert window.pads is not None
    return ints(
        0, 0, *(sign * p for p in window.pads[: window.rank]), 0, 0, *(sign * p for p in window.pads[window.rank :])
    )


@vjp("Col2Im")
def _(
    g: Any,
    y: Any,
    x: Any,
    image_shape: Any,
    block_shape: Any,
    *,
    dilations: Any = None,
    pads: Any = None,
    strides: Any = None,
) -> Any:
    """The adjoint reads the blocks out of the image."""
    image = _numbers(image_shape, "an image_shape")
    window = Window(_numbers(block_shape, "a block_shape"), strides, dilations, pads)
    pixels, padded = _block_pixels(window, image)
    wide = raw.Pad(g, _around(window, 1)) if any(window.pads or ()) else g
    batch, channels = sizes(g)[:2]
    blocks = raw.Gather(reshaped(wide, [batch, channels, prod(padded)]), pixels, axis=2)
    return (shaped_like(blocks, x),)


@float64_form("Col2Im")
def _(
    x: Any, image_shape: Any, block_shape: Any, *, dilations: Any = None, pads: Any = None, strides: Any = None
) -> Any:
    image = _numbers(image_shape, "an image_shape")
    window = Window(_numbers(block_shape, "a block_shape"), strides, dilations, pads)
    pixels, padded = _block_pixels(window, image)
    batch, width = sizes(x)[:2]
    channels = width // prod(window.kernel)
    parted = reshaped(x, [batch, channels, *pixels.shape])
    lengths = [raw.Shape(parted, start=0, end=1), raw.Shape(parted, start=1, end=2), ints(prod(padded))]
    summed = gather_gradient(parted, pixels, 2, lengths)
    whole = reshaped(summed, [batch, channels, *padded])
    return raw.Pad(whole, _around(window, -1)) if any(window.pads or ()) else whole


# -- MaxUnpool ------------------------------------------------------------------------------------------------------


def _flat(x: Any) -> Any:
    return raw.Reshape(x, ints(-1))


def _whole_shape(x: Any, output_shape: Any, attributes: dict[str, Any]) -> Any:
    if output_shape is not None:
        return output_shape
    window = Window(attributes["kernel_shape"], attributes.get("strides"), None, attributes.get("pads"))
    assert window.pads is not None
    cut = [a + b for a, b in zip(window.pads[: window.rank], window.pads[window.rank :], strict=True)]
    grown = [(n - 1) * s + k - c for n, s, k, c in zip(sizes(x)[2:], window.strides, window.kernel, cut, strict=True)]
    return shape_vector([*sizes(x)[:2], *grown])


@float64_form("MaxUnpool")
def _(x: Any, indices: Any, output_shape: Any = None, **attributes: Any) -> Any:
    target = _whole_shape(x, output_shape, attributes)
    total = raw.ReduceProd(raw.Cast(target, to="int64"), keepdims=1)
    zeros = apply("ConstantOfShape", total, value=np.zeros(1, numpy_dtype(dtype_of(x))))
    return raw.Reshape(raw.ScatterElements(zeros, _flat(indices), _flat(x), axis=0), target)


@vjp("MaxUnpool")
def _(g: Any, y: Any, x: Any, indices: Any, output_shape: Any = None, **attributes: Any) -> Any:
    """Read the gradient where the numbers went; of several for one place the last has it all."""
    places = _flat(indices)
    picked = raw.GatherElements(_flat(g), places, axis=0)
    kernel = tuple(attributes["kernel_shape"])
    strides = tuple(attributes.get("strides") or (1,) * len(kernel))
    if any(s < k for s, k in zip(strides, kernel, strict=True)):
        count = raw.Squeeze(raw.Shape(places), ints(0))
        numbers = raw.Range(np.asarray(0, np.int64), count, np.asarray(1, np.int64))
        size = raw.Reshape(raw.Size(y), ints(1))
        last = raw.ScatterElements(raw.Expand(np.asarray(-1, np.int64), size), places, numbers, axis=0)
        wins = raw.Equal(raw.GatherElements(last, places, axis=0), numbers)
        picked = raw.Where(wins, picked, scalar(0, picked))
    return (shaped_like(picked, x),)
