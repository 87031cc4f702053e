"""Resize: its gradient, and its form in double precision.

Along each axis every output pixel is a weighted sum of input pixels, so resizing is a product with a matrix of weights
for each axis, and the gradient the product with its transpose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from nngraph.errors import unknown_name
from nngraph.ir import Value, numpy_dtype
from nngraph.ops.axes import ints
from nngraph.ops.core import dtype_of, type_of
from nngraph.ops.float64_forms import float64_form
from nngraph.ops.trace import apply
from nngraph.ops.vjp import raw, vjp
from nngraph.ops.windows import are_known
from nngraph.symbolic import sizes_of

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
        offset = np.float32(size) / 2 * (1 - np.float32(count) / (s * np.float32(size)))
        return offset + (x + np.float32(0.5)) / s - np.float32(0.5)
    raise unknown_name("coordinate_transformation_mode", how, ("half_pixel", "asymmetric", "align_corners"))


def resize_weights(size: int, count: int, scale: float, attributes: Mapping[str, Any]) -> Matrix:
    """Return the matrix (size, count) by which Resize multiplies an axis of ``size`` to get one of ``count``.

    Raises:
        ValueError: the attributes ask for something that is not supported.

    Example:
        >>> resize_weights(2, 4, 2.0, {"mode": "nearest"}).astype(int).tolist()
        [[1, 1, 0, 0], [0, 0, 1, 1]]
    """
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


# -- which axis is multiplied by what -------------------------------------------------------------------------------


def _known(x: Any) -> Any:
    """Return a constant as an array, anything else as it is."""
    return x.data if isinstance(x, Value) and x.data is not None else x


def _entry(vector: Any, k: int) -> Any:
    return vector[k : k + 1] if isinstance(vector, np.ndarray) else raw.Slice(vector, ints(k), ints(k + 1))


def _given(vector: Any) -> Any:
    """An optional input, or ``None`` where it is absent or empty."""
    vector = _known(vector)
    return None if vector is None or vector.shape == (0,) else vector


def _matrices(x: Any, roi: Any, scales: Any, sizes: Any, attributes: Mapping[str, Any]) -> dict[int, Any]:
    """Return the weights (old size, new size) of each axis that changes: arrays, or tensors of the graph."""
    shape: Any = type_of(x).shape
    axes = [a % len(shape) for a in attributes.get("axes") or range(len(shape))]
    roi, scales, sizes = (_given(v) for v in (roi, scales, sizes))
    found = {}
    for k, axis in enumerate(axes):
        ends = None if roi is None else (_entry(roi, k), _entry(roi, k + len(axes)))
        if attributes.get("coordinate_transformation_mode") != "tf_crop_and_resize":
            ends = None
        if sizes is None:
            factor, count = _entry(scales, k), None
        else:
            if ends is None and isinstance(sizes, Value) and (sizes_of(sizes) or ("?",) * len(axes))[k] == shape[axis]:
                continue
            factor, count = _fixed_ratio(shape, axes, k, sizes, attributes)
        matrix = _axis_matrix(x, axis, factor, count, ends, attributes)
        if matrix is not None:
            found[axis] = matrix
    return found


def _fixed_ratio(
    shape: Any, axes: Sequence[int], k: int, sizes: Any, attributes: Mapping[str, Any]
) -> tuple[Matrix | None, Any]:
    """Return the scale that all axes share, if they must, and the size of an axis."""
    policy = attributes.get("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        return None, _entry(sizes, k)
    have = [shape[a] for a in axes]
    if not are_known(have) or not isinstance(sizes, np.ndarray):
        raise ValueError(f"the gradient of Resize with keep_aspect_ratio_policy={policy!r} needs known sizes")
    ratios = [np.float32(n) / np.float32(size) for n, size in zip(sizes.tolist(), have, strict=True)]
    ratio = min(ratios) if policy == "not_larger" else max(ratios)
    return np.array([ratio], np.float32), ints(int(np.floor(ratio * np.float32(have[k]) + np.float32(0.5))))


def _axis_matrix(x: Any, axis: int, factor: Any, count: Any, ends: Any, attributes: Mapping[str, Any]) -> Any:
    """Return the weights of one axis, ``None`` where nothing changes.

    Args:
        x: what is resized.
        axis: the axis.
        factor: the scale as a vector of length 1, or ``None``.
        count: the new size as a vector of length 1, or ``None`` where the scale gives it.
        ends: where a crop starts and ends, or ``None``.
        attributes: those of the node.
    """
    size: Any = type_of(x).shape[axis]
    number = float(factor[0]) if isinstance(factor, np.ndarray) else None
    wanted = int(count[0]) if isinstance(count, np.ndarray) else None
    if isinstance(size, int) and count is None and number is not None:
        wanted = int(np.floor(np.float32(size) * np.float32(number)))
    if ends is None and (number == 1 if number is not None else wanted == size):
        return None
    # These the runtime rounds in ways of its own.
    fixed = factor is not None and count is not None
    symmetric = attributes.get("coordinate_transformation_mode") == "half_pixel_symmetric" and not fixed
    by_runtime = ends is not None or attributes.get("antialias") or symmetric
    if isinstance(size, int) and wanted is not None and not by_runtime:
        return resize_weights(size, wanted, wanted / size if number is None else number, attributes)
    return _kernel_matrix(x, axis, factor, count, ends, attributes)


def _kernel_matrix(x: Any, axis: int, factor: Any, count: Any, ends: Any, attributes: Mapping[str, Any]) -> Any:
    """Resize an identity matrix: its rows become the weights, whatever they depend on."""
    if factor is not None and count is not None:
        raise ValueError(
            "Resize has no gradient with keep_aspect_ratio_policy and antialias or a crop at once; give scales instead"
        )
    size: Any = type_of(x).shape[axis]
    if isinstance(size, int):
        unit: Any = np.eye(size, dtype=np.float32)
    else:
        length = raw.Shape(x, start=axis, end=axis + 1)
        unit = raw.EyeLike(raw.ConstantOfShape(raw.Concat(length, length, axis=0)), dtype="float32")
    kept = {
        k: v
        for k, v in attributes.items()
        if v is not None and k not in ("axes", "keep_aspect_ratio_policy", "extrapolation_value")
    }
    arrays = ends is not None and all(isinstance(e, np.ndarray) for e in ends)
    roi = None if ends is None else np.concatenate(ends) if arrays else raw.Concat(*ends, axis=0)
    by_scale = factor is not None
    resized = raw.Resize(
        raw.Unsqueeze(unit, ints(0, 1)),
        roi,
        factor if by_scale else None,
        None if by_scale else count,
        axes=(3,),
        **kept,
    )
    return raw.Squeeze(resized, ints(0, 1))


def _multiplied(x: Any, matrix: Any, axis: int, back: bool = False) -> Any:
    """Multiply one axis of x by a matrix (old size, new size), or ``back`` by its transpose."""
    if isinstance(matrix, np.ndarray):
        weights: Any = np.ascontiguousarray((matrix.T if back else matrix).astype(numpy_dtype(dtype_of(x))))
    else:
        weights = raw.Cast(raw.Transpose(matrix, perm=(1, 0)) if back else matrix, to=dtype_of(x))
    rank = type_of(x).rank
    if axis == rank - 1:
        return raw.MatMul(x, weights)
    if axis == rank - 2:
        turned = np.ascontiguousarray(weights.T) if isinstance(weights, np.ndarray) else raw.Transpose(weights)
        return raw.MatMul(turned, x)
    order = [*range(rank)]
    order[axis], order[-1] = order[-1], order[axis]
    return raw.Transpose(raw.MatMul(raw.Transpose(x, perm=order), weights), perm=order)


def _blocks(matrices: Mapping[int, Any], rank: int) -> tuple[int, ...] | None:
    """Return by how much each spatial axis is repeated, if that is all that happens."""
    factors = [1] * (rank - 2)
    for axis, matrix in matrices.items():
        if not isinstance(matrix, np.ndarray):
            return None
        size, count = matrix.shape
        if axis < 2 or count % size or not (matrix == np.repeat(np.eye(size), count // size, 1)).all():
            return None
        factors[axis - 2] = count // size
    return tuple(factors) if rank in (3, 4, 5) else None


@vjp("Resize")
def _(g: Any, y: Any, x: Any, roi: Any = None, scales: Any = None, sizes: Any = None, **attributes: Any) -> Any:
    matrices = _matrices(x, roi, scales, sizes, attributes)
    blocks = _blocks(matrices, type_of(x).rank)
    if blocks is not None:
        return (raw.Mul(raw.AveragePool(g, kernel_shape=blocks, strides=blocks), float(np.prod(blocks))),)
    for axis, matrix in matrices.items():
        g = _multiplied(g, matrix, axis, back=True)
    return (apply("Identity", g, types=[type_of(x)]) if matrices and g.shape != x.shape else g,)


@float64_form("Resize")
def _(x: Any, roi: Any = None, scales: Any = None, sizes: Any = None, **attributes: Any) -> Any:
    matrices = _matrices(x, roi, scales, sizes, attributes)
    beyond = attributes.get("extrapolation_value", 0.0)
    if not beyond or attributes.get("coordinate_transformation_mode") != "tf_crop_and_resize":
        for axis, matrix in matrices.items():
            x = _multiplied(x, matrix, axis)
        return x
    inside = raw.Add(raw.Mul(x, 0), 1)  # weights sum to 1 inside of the image and to 0 outside
    for axis, matrix in matrices.items():
        x, inside = _multiplied(x, matrix, axis), _multiplied(inside, matrix, axis)
    return raw.Add(x, raw.Mul(raw.Sub(1, inside), beyond))
