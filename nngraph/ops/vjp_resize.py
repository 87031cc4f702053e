"""Resize: its gradient, and its form in double precision.

Along each axis every output pixel is a weighted sum of input pixels, so resizing is a product with a matrix of weights
for each axis, and the gradient the product with its transpose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nngraph.errors import unknown_name
from nngraph.ir import numpy_dtype
from nngraph.ops.core import dtype_of, type_of
from nngraph.ops.float64_forms import float64_form
from nngraph.ops.vjp import raw, vjp
from nngraph.ops.windows import are_known

__all__ = ["resize_weights"]

Matrix = np.ndarray[Any, Any]

_ROUNDINGS: dict[str, Callable[[Matrix], Matrix]] = {
    "round_prefer_floor": lambda x: np.ceil(x - np.float32(0.5)),
    "round_prefer_ceil": lambda x: np.floor(x + np.float32(0.5)),
    "floor": np.floor,
    "ceil": np.ceil,
}


def _positions(size: int, count: int, scale: float, how: str) -> Matrix:
    """Return where each output pixel lies on the input axis, computed in single precision as the runtime does."""
    x, s = np.arange(count, dtype=np.float32), np.float32(scale)
    half = (x + np.float32(0.5)) / s - np.float32(0.5)
    if how == "half_pixel" or (how == "pytorch_half_pixel" and count > 1):
        return half
    if how == "pytorch_half_pixel":
        return np.zeros(count, np.float32)
    if how == "asymmetric":
        return x / s
    if how == "align_corners":
        return np.zeros(1, np.float32) if count == 1 else x * np.float32(size - 1) / np.float32(count - 1)
    if how == "half_pixel_symmetric":
        return half + np.float32(size / 2 * (1 - count / (scale * size)))
    if how == "tf_crop_and_resize":
        raise ValueError("Resize with tf_crop_and_resize has no gradient here; crop with a slice, then resize")
    raise unknown_name("coordinate_transformation_mode", how, ("half_pixel", "asymmetric", "align_corners"))


def resize_weights(size: int, count: int, scale: float, attributes: Mapping[str, Any]) -> Matrix:
    """Return the matrix (size, count) by which Resize multiplies an axis of ``size`` to get one of ``count``.

    Raises:
        ValueError: the attributes ask for something that is not supported.

    Example:
        >>> resize_weights(2, 4, 2.0, {"mode": "nearest"}).astype(int).tolist()
        [[1, 1, 0, 0], [0, 0, 1, 1]]
    """
    if attributes.get("antialias"):
        raise ValueError("Resize with antialias has no gradient here; set antialias to 0")
    x = _positions(size, count, scale, attributes.get("coordinate_transformation_mode", "half_pixel"))
    mode = attributes.get("mode", "nearest")
    if mode == "nearest":
        nearest = _ROUNDINGS[attributes.get("nearest_mode", "round_prefer_floor")](x)
        taps, weights = nearest[:, None], np.ones((count, 1))
    elif mode == "linear":
        x = np.clip(x, 0, size - 1)
        low = np.floor(x)
        part = (x - low).astype(np.float64)
        taps, weights = np.stack([low, low + 1], 1), np.stack([1 - part, part], 1)
    elif mode == "cubic":
        taps, weights = _cubic(x, attributes.get("cubic_coeff_a", -0.75))
        if attributes.get("exclude_outside"):
            weights = np.where((taps >= 0) & (taps < size), weights, 0)
            weights = weights / weights.sum(1, keepdims=True)
    else:
        raise unknown_name("mode of Resize", mode, ("nearest", "linear", "cubic"))
    matrix = np.zeros((size, count))
    places = np.clip(taps, 0, size - 1).astype(int)
    np.add.at(matrix, (places, np.arange(count)[:, None].repeat(places.shape[1], 1)), weights)
    return matrix


def _cubic(x: Matrix, a: float) -> tuple[Matrix, Matrix]:
    """The four neighbours of each position and their weights.

    Keys, "Cubic convolution interpolation for digital image processing", 1981.
    """
    low = np.floor(x)
    t = (x - low).astype(np.float64)

    def inner(d: Matrix) -> Matrix:
        return ((a + 2) * d - (a + 3)) * d * d + 1

    def outer(d: Matrix) -> Matrix:
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a

    weights = np.stack([outer(t + 1), inner(t), inner(1 - t), outer(2 - t)], 1)
    return low[:, None] + np.arange(-1, 3), weights


def _matrices(x: Any, y_shape: Any, scales: Any, attributes: Mapping[str, Any]) -> dict[int, Matrix]:
    """Return the weights of each axis that changes."""
    shape: Any = type_of(x).shape
    axes = [a % len(shape) for a in attributes.get("axes") or range(len(shape))]
    given = None if scales is None else np.asarray(scales if isinstance(scales, np.ndarray) else scales.data)
    factors = dict(zip(axes, given.tolist(), strict=True)) if given is not None and given.size else {}
    found = {}
    for axis, (size, count) in enumerate(zip(shape, y_shape, strict=True)):
        if factors.get(axis, 1.0) == 1.0 and (factors or size == count):
            continue
        if not are_known((size, count)):
            raise ValueError(f"Resize of axis {axis} needs known sizes to be differentiated, got {type_of(x)}")
        found[axis] = resize_weights(size, count, factors.get(axis, count / size), attributes)
    return found


def _multiplied(x: Any, matrix: Matrix, axis: int) -> Any:
    """Multiply one axis of x by a matrix (old size, new size)."""
    weights = matrix.astype(numpy_dtype(dtype_of(x)))
    rank = type_of(x).rank
    if axis == rank - 1:
        return raw.MatMul(x, weights)
    if axis == rank - 2:
        return raw.MatMul(np.ascontiguousarray(weights.T), x)
    order = [*range(rank)]
    order[axis], order[-1] = order[-1], order[axis]
    return raw.Transpose(raw.MatMul(raw.Transpose(x, perm=order), weights), perm=order)


def _blocks(matrices: Mapping[int, Matrix], rank: int) -> tuple[int, ...] | None:
    """Return by how much each spatial axis is repeated, if that is all that happens."""
    factors = [1] * (rank - 2)
    for axis, matrix in matrices.items():
        size, count = matrix.shape
        if axis < 2 or count % size or not (matrix == np.repeat(np.eye(size), count // size, 1)).all():
            return None
        factors[axis - 2] = count // size
    return tuple(factors) if rank in (3, 4, 5) else None


@vjp("Resize")
def _(g: Any, y: Any, x: Any, roi: Any = None, scales: Any = None, sizes: Any = None, **attributes: Any) -> Any:
    matrices = _matrices(x, type_of(y).shape, scales, attributes)
    blocks = _blocks(matrices, type_of(x).rank)
    if blocks is not None:
        return (raw.Mul(raw.AveragePool(g, kernel_shape=blocks, strides=blocks), float(np.prod(blocks))),)
    for axis, matrix in matrices.items():
        g = _multiplied(g, matrix.T, axis)
    return (g,)


@float64_form("Resize")
def _(x: Any, roi: Any = None, scales: Any = None, sizes: Any = None, **attributes: Any) -> Any:
    axes = attributes.get("axes") or range(type_of(x).rank)
    wanted = list(type_of(x).shape)
    given = scales if sizes is None else sizes
    numbers = np.asarray(given if isinstance(given, np.ndarray) else given.data)
    for axis, number in zip(axes, numbers.tolist(), strict=True):
        size = wanted[axis]
        if sizes is not None:
            wanted[axis] = int(number)
        elif number != 1:
            wanted[axis] = int(np.floor(np.float32(size) * np.float32(number)))
    for axis, matrix in _matrices(x, wanted, scales if sizes is None else None, attributes).items():
        x = _multiplied(x, matrix, axis)
    return x
