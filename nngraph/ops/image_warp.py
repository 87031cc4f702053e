"""Images moved, turned and stretched: each pixel of the result is read somewhere in the source."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngraph.errors import unknown_name
from nngraph.ir import is_float
from nngraph.ops.axes import ints, rank, sizes
from nngraph.ops.core import convert, dtype_of, type_of
from nngraph.ops.dispatch import public
from nngraph.ops.elementwise import add, clip, floor, less, logical_and, mod, multiply, subtract, where
from nngraph.ops.elementwise import round as round_half_even
from nngraph.ops.shapes import expand_dims, reshape, squeeze, transpose
from nngraph.ops.vjp import raw
from nngraph.ops.windows import check_data_format

__all__ = ["affine_transform"]

_FILL_MODES = ("constant", "nearest", "wrap", "mirror", "reflect")


@public(namespace="image")
def affine_transform(
    images: Any,
    transform: Any,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0,
    data_format: str | None = None,
) -> Any:
    """Return images whose pixel (x, y) is the source's at (a0 x + a1 y + a2, b0 x + b1 y + b2).

    Args:
        images: (batch, height, width, channels) or (height, width, channels), or with the channels first; height and
            width must be known.
        transform: (batch, 8) or (8,): a0, a1, a2, b0, b1, b2 and two zeros.
        interpolation: ``"bilinear"`` or ``"nearest"``.
        fill_mode: what lies outside of the source: ``"constant"``, ``"nearest"`` (its edge), ``"wrap"`` (its other
            side), ``"reflect"`` (its mirror image, the edge repeated) or ``"mirror"`` (the edge not repeated).
        fill_value: the constant.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.

    Raises:
        ValueError: an option is none of these, or sizes are not known.

    Example:
        >>> x = np.array([1, 2, 3], "float32").reshape(1, 3, 1)
        >>> affine_transform(x, [1, 0, 1, 0, 1, 0, 0, 0], fill_value=9.0).ravel().tolist()
        [2.0, 3.0, 9.0]
    """
    if interpolation not in ("bilinear", "nearest"):
        raise unknown_name("interpolation", interpolation, ("bilinear", "nearest"))
    if fill_mode not in _FILL_MODES:
        raise unknown_name("fill_mode", fill_mode, _FILL_MODES)
    first = check_data_format(data_format) == "channels_first"
    x = convert(images)
    if rank(x) == 3:
        many = affine_transform(expand_dims(x, 0), transform, interpolation, fill_mode, fill_value, data_format)
        return squeeze(many, 0)
    if rank(x) != 4:
        raise ValueError(
            f"affine_transform takes images (batch, height, width, channels) or one image, got {type_of(x)}"
        )
    dtype = dtype_of(x)
    x = x if is_float(dtype) else convert(x, "float32")
    x = transpose(x, (0, 2, 3, 1)) if first else x
    y = _warped(x, transform, interpolation, fill_mode, fill_value)
    y = transpose(y, (0, 3, 1, 2)) if first else y
    return y if is_float(dtype) else convert(round_half_even(y), dtype)


def _warped(x: Any, transform: Any, interpolation: str, fill_mode: str, fill_value: float) -> Any:
    _, height, width, _ = type_of(x).shape
    if not isinstance(height, int) or not isinstance(width, int):
        raise ValueError(f"affine_transform needs images of known height and width, got {type_of(x)}")
    numbers = convert(transform, dtype_of(x))
    numbers = numbers if rank(numbers) == 2 else expand_dims(numbers, 0)
    a0, a1, a2, b0, b1, b2 = (expand_dims(numbers[:, k], (1, 2)) for k in range(6))
    grid_y, grid_x = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    source_x = add(add(multiply(a0, grid_x), multiply(a1, grid_y)), a2)
    source_y = add(add(multiply(b0, grid_x), multiply(b1, grid_y)), b2)
    read = _Reader(x, height, width, fill_mode, fill_value)
    if interpolation == "nearest":
        return read(round_half_even(source_y), round_half_even(source_x))
    top, left = floor(source_y), floor(source_x)
    down, right = (expand_dims(subtract(s, f), 3) for s, f in ((source_y, top), (source_x, left)))
    upper = _mixed(read(top, left), read(top, add(left, 1)), right)
    lower = _mixed(read(add(top, 1), left), read(add(top, 1), add(left, 1)), right)
    return _mixed(upper, lower, down)


def _mixed(a: Any, b: Any, share: Any) -> Any:
    return add(multiply(a, subtract(1, share)), multiply(b, share))


class _Reader:
    """Reads whole pixels at (batch, height, width) coordinates, also outside of the images."""

    def __init__(self, x: Any, height: int, width: int, fill_mode: str, fill_value: float) -> None:
        self.size = (height, width)
        self.fill_mode, self.fill_value = fill_mode, fill_value
        self.batch, *_, self.channels = sizes(x)
        self.pixels = reshape(x, (self.batch, height * width, self.channels))

    def __call__(self, y: Any, x: Any) -> Any:
        height, width = self.size
        flat = add(multiply(self._inside(y, height), width), self._inside(x, width))
        index = raw.Reshape(convert(flat, "int64"), ints(-1, height * width, 1))
        batch = convert(raw.Shape(self.pixels, start=0, end=1), "int64")
        target = raw.Concat(batch, ints(height * width, 1), axis=0)
        found = raw.GatherND(self.pixels, raw.Expand(index, target), batch_dims=1)
        found = reshape(found, (self.batch, height, width, self.channels))
        if self.fill_mode != "constant":
            return found
        valid = logical_and(self._valid(y, height), self._valid(x, width))
        return where(expand_dims(valid, 3), found, self.fill_value)

    def _valid(self, index: Any, size: int) -> Any:
        return logical_and(less(-1, index), less(index, size))

    def _inside(self, index: Any, size: int) -> Any:
        """Return where in the image an index of a line reads."""
        if self.fill_mode == "wrap":
            return mod(index, size)
        if self.fill_mode == "reflect":
            around = mod(index, 2 * size)
            return where(less(around, size), around, subtract(2 * size - 1, around))
        if self.fill_mode == "mirror" and size > 1:
            around = mod(index, 2 * size - 2)
            return where(less(around, size), around, subtract(2 * size - 2, around))
        return clip(index, 0, size - 1)
