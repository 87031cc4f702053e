"""Normalisation, named as in ``keras.ops``, and batch normalisation's training step as one operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nngraph import config
from nngraph.ir import numpy_dtype
from nngraph.ir.types import dims_compatible
from nngraph.ops.axes import axes_of, axis_of, ints, to_float
from nngraph.ops.core import convert, dtype_of, type_of
from nngraph.ops.dispatch import public
from nngraph.ops.trace import composite
from nngraph.ops.vjp import raw

__all__ = [
    "batch_normalization",
    "batch_normalization_training",
    "layer_normalization",
    "moments",
    "normalize",
    "rms_normalization",
]


def _along(parameter: Any, axes: Sequence[int], x: Any, name: str) -> Any:
    """Return a parameter with the sizes of some axes of x, shaped to broadcast with x; scalars pass as they are."""
    shape, sizes = type_of(parameter).shape, type_of(x).shape
    if len(shape) in (0, len(sizes)):
        return parameter
    wanted = tuple(sizes[a] for a in axes)
    if len(shape) != len(wanted) or not all(
        d == 1 or dims_compatible(d, n) for d, n in zip(shape, wanted, strict=True)
    ):
        raise ValueError(f"{name} must have the sizes {wanted} of the axes {tuple(axes)} of the input, got {shape}")
    missing = [a for a in range(axes[0], len(sizes)) if a not in axes]
    # Axes before the first broadcast by themselves.
    return raw.Unsqueeze(parameter, ints(*(a - axes[0] for a in missing))) if missing else parameter


# -- moments --------------------------------------------------------------------------------------------------------


@public
def moments(
    x: Any, axes: int | Sequence[int] | None, keepdims: bool = False, synchronized: bool = False
) -> tuple[Any, Any]:
    """Return mean and variance over axes.

    The variance is the mean of squared distances from the mean, computed in float32 at least; a result too large for
    float16 becomes the largest float16.

    Args:
        x: a tensor; integers become float32.
        axes: the axes to average over; ``None`` for all.
        keepdims: keep them with size 1.
        synchronized: has no meaning on one device; must be false.

    Returns:
        Two tensors of the dtype of ``x``.

    Raises:
        ValueError: ``synchronized`` is set.

    Example:
        >>> mean, variance = moments([1.0, 3.0], axes=0)
        >>> float(mean), float(variance)
        (2.0, 1.0)
    """
    if synchronized:
        raise ValueError("moments: synchronized=True needs several replicas; training here runs on one device")
    t = to_float(x)
    dtype = dtype_of(t)
    wide = convert(t, "float32") if dtype in ("float16", "bfloat16") else t
    over = ints(*axes_of(axes, type_of(t).rank, "moments"))
    if over.size == 0:
        return t, raw.Sub(t, t)
    mean = raw.ReduceMean(wide, over, keepdims=1)
    away = raw.Sub(wide, mean)
    variance = raw.ReduceMean(raw.Mul(away, away), over, keepdims=int(keepdims))
    if not keepdims:
        mean = raw.Squeeze(mean, over)
    if dtype == "float16":
        mean, variance = (raw.Clip(t, np.float32(-65504), np.float32(65504)) for t in (mean, variance))
    return convert(mean, dtype), convert(variance, dtype)


# -- normalisations -------------------------------------------------------------------------------------------------


@public
def normalize(x: Any, axis: int | Sequence[int] | None = -1, order: int = 2, epsilon: float | None = None) -> Any:
    """Return x divided by its norm of some order along axes.

    Args:
        x: a tensor; integers become float32.
        axis: one axis, several, or ``None`` for all.
        order: order of the norm, 1 or more.
        epsilon: the least that is divided by; default is ``config.epsilon()``.

    Raises:
        ValueError: ``order`` is not a whole number from 1.

    Example:
        >>> print(normalize([3.0, 4.0]).round(3))
        [0.6 0.8]
    """
    if not isinstance(order, int) or order < 1:
        raise ValueError(f"normalize: order must be an integer of at least 1, got {order!r}")
    t = to_float(x)
    least = np.asarray(config.epsilon() if epsilon is None else epsilon, numpy_dtype(dtype_of(t)))
    over = ints(*axes_of(axis, type_of(t).rank, "normalize"))
    if order == 2:
        # The root of the larger: the gradient at 0 stays finite.
        total = raw.Max(raw.ReduceSum(raw.Mul(t, t), over, keepdims=1), least * least)
        return raw.Div(t, raw.Sqrt(total))
    magnitude = raw.Abs(t)
    if order == 1:
        return raw.Div(t, raw.Max(raw.ReduceSum(magnitude, over, keepdims=1), least))
    power = raw.ReduceSum(raw.Pow(magnitude, np.asarray(order, least.dtype)), over, keepdims=1)
    norm = raw.Pow(raw.Max(power, least**order), np.asarray(1 / order, least.dtype))
    return raw.Div(t, norm)


@public
def layer_normalization(
    x: Any,
    gamma: Any = None,
    beta: Any = None,
    axis: int | Sequence[int] = -1,
    epsilon: float | None = None,
) -> Any:
    """Return x with mean 0 and variance 1 along axes, then scaled and shifted.

    Ba, Kiros and Hinton, "Layer normalization", 2016.

    Args:
        x: a tensor; integers become float32.
        gamma: scale with the sizes of ``axis``, or ``None``.
        beta: shift with the sizes of ``axis``, or ``None``.
        axis: one axis or several.
        epsilon: added to the variance; default is ``config.epsilon()``.

    Raises:
        ValueError: axes or parameters do not fit.

    Example:
        >>> print(layer_normalization([[1.0, 3.0]]).round(3))
        [[-1.  1.]]
    """
    t = to_float(x)
    dtype, rank = dtype_of(t), type_of(t).rank
    axes = sorted(axes_of(axis, rank, "layer_normalization"))
    small = config.epsilon() if epsilon is None else float(epsilon)
    sizes: list[Any] = [type_of(t).shape[a] for a in axes]
    parameters = [None if p is None else _along(convert(p, dtype), axes, t, "gamma and beta") for p in (gamma, beta)]
    fused = axes == list(range(rank - len(axes), rank)) and all(isinstance(s, int) for s in sizes)
    if fused and all(p is None or type_of(p).shape == tuple(sizes) for p in parameters):
        scale = np.ones(sizes, numpy_dtype(dtype)) if parameters[0] is None else parameters[0]
        return raw.LayerNormalization(t, scale, parameters[1], axis=axes[0], epsilon=small)
    wide = convert(t, "float32") if dtype in ("float16", "bfloat16") else t
    away = raw.Sub(wide, raw.ReduceMean(wide, ints(*axes), keepdims=1))
    variance = raw.ReduceMean(raw.Mul(away, away), ints(*axes), keepdims=1)
    y = convert(raw.Div(away, raw.Sqrt(raw.Add(variance, small))), dtype)
    y = y if parameters[0] is None else raw.Mul(y, parameters[0])
    return y if parameters[1] is None else raw.Add(y, parameters[1])


@public
def rms_normalization(x: Any, scale: Any = None, axis: int | Sequence[int] = -1, epsilon: float | None = None) -> Any:
    """Return x divided by the root of its mean square along axes, then scaled.

    Zhang and Sennrich, "Root mean square layer normalization", 2019.

    Args:
        x: a tensor; integers become float32.
        scale: with the sizes of ``axis``, or ``None``.
        axis: one axis or several.
        epsilon: added to the mean square; default is ``config.epsilon()``.

    Raises:
        ValueError: axes or scale do not fit.

    Example:
        >>> print(rms_normalization([[3.0, 4.0]]).round(3))
        [[0.849 1.131]]
    """
    t = to_float(x)
    dtype, rank = dtype_of(t), type_of(t).rank
    axes = sorted(axes_of(axis, rank, "rms_normalization"))
    small = config.epsilon() if epsilon is None else float(epsilon)
    wide = convert(t, "float32") if dtype in ("float16", "bfloat16") else t
    mean = raw.ReduceMean(raw.Mul(wide, wide), ints(*axes), keepdims=1)
    y = convert(raw.Div(wide, raw.Sqrt(raw.Add(mean, small))), dtype)
    return y if scale is None else raw.Mul(y, _along(convert(scale, dtype), axes, t, "scale"))


@public
def batch_normalization(
    x: Any,
    mean: Any,
    variance: Any,
    axis: int,
    offset: Any = None,
    scale: Any = None,
    epsilon: float = 1e-3,
) -> Any:
    """Return ``(x - mean) / sqrt(variance + epsilon) * scale + offset`` with statistics that are given.

    Ioffe and Szegedy, "Batch normalization", 2015.

    Args:
        x: a tensor.
        mean, variance: vectors of the size of ``axis``.
        axis: the axis of the features.
        offset, scale: vectors of the size of ``axis``, or ``None``.
        epsilon: added to the variance.

    Raises:
        ValueError: a vector does not have the size of the axis.

    Example:
        >>> batch_normalization([[1.0], [3.0]], [2.0], [1.0], axis=-1, epsilon=0.0).tolist()
        [[-1.0], [1.0]]
    """
    t = to_float(x)
    dtype, rank = dtype_of(t), type_of(t).rank
    where = axis_of(axis, rank, "batch_normalization")
    size = type_of(t).shape[where]
    given = {"mean": mean, "variance": variance, "offset": offset, "scale": scale}
    vectors = {k: convert(v, dtype) for k, v in given.items() if v is not None}
    for name, vector in vectors.items():
        shape = type_of(vector).shape
        if len(shape) != 1 or (isinstance(size, int) and isinstance(shape[0], int) and shape[0] != size):
            raise ValueError(
                f"batch_normalization: {name} must be a vector of size {size}, the size of axis {axis}; got {shape}"
            )
    # Everything but x and the final two steps has the size of a vector.
    factor = raw.Reciprocal(raw.Sqrt(raw.Add(vectors["variance"], float(epsilon))))
    if "scale" in vectors:
        factor = raw.Mul(factor, vectors["scale"])
    shift = raw.Neg(raw.Mul(vectors["mean"], factor))
    if "offset" in vectors:
        shift = raw.Add(shift, vectors["offset"])
    return raw.Add(raw.Mul(t, _column(factor, where, rank)), _column(shift, where, rank))


def _column(vector: Any, axis: int, rank: int) -> Any:
    """Return a vector as a tensor that broadcasts along one axis."""
    return vector if axis == rank - 1 else raw.Unsqueeze(vector, ints(*range(1, rank - axis)))


@composite("BatchNormTraining")
def batch_norm_training(x: Any, scale: Any, offset: Any, *, epsilon: float = 1e-3) -> tuple[Any, Any, Any, Any]:
    """Normalise (batch, features, ...) by its own statistics: result, mean, variance, 1 / sqrt(variance + ε)."""
    over = [0, *range(2, type_of(x).rank)]
    mean = raw.ReduceMean(x, ints(*over), keepdims=1)
    away = raw.Sub(x, mean)
    variance = raw.ReduceMean(raw.Mul(away, away), ints(*over), keepdims=1)
    inverse = raw.Reciprocal(raw.Sqrt(raw.Add(variance, float(epsilon))))
    rank = type_of(x).rank
    y = raw.Add(raw.Mul(away, raw.Mul(inverse, _column(scale, 1, rank))), _column(offset, 1, rank))
    mean, variance, inverse = (raw.Squeeze(v, ints(*over)) for v in (mean, variance, inverse))
    return y, mean, variance, inverse


def batch_normalization_training(
    x: Any, axis: int, offset: Any = None, scale: Any = None, epsilon: float = 1e-3
) -> tuple[Any, Any, Any]:
    """Normalise a batch by its own mean and variance, as batch normalisation does while training.

    Args:
        x: a floating tensor.
        axis: the axis of the features, whose size must be known.
        offset, scale: vectors of the size of ``axis``, or ``None``.
        epsilon: added to the variance.

    Returns:
        The normalised tensor and the mean and variance of each feature.

    Raises:
        ValueError: the features' size is unknown.

    Example:
        >>> y, mean, variance = batch_normalization_training(np.float32([[1], [3]]), axis=-1, epsilon=0.0)
        >>> y.tolist(), mean.tolist(), variance.tolist()
        ([[-1.0], [1.0]], [2.0], [1.0])
    """
    t = to_float(x)
    dtype, rank = dtype_of(t), type_of(t).rank
    where = axis_of(axis, rank, "batch normalisation")
    size = type_of(t).shape[where]
    if not isinstance(size, int):
        raise ValueError(f"batch normalisation needs a known number of features on axis {axis}, got {type_of(t)}")
    wide = "float32" if dtype in ("float16", "bfloat16") else dtype
    ones, zeros = np.ones(size, numpy_dtype(wide)), np.zeros(size, numpy_dtype(wide))
    gamma = ones if scale is None else convert(scale, wide)
    beta = zeros if offset is None else convert(offset, wide)
    order = [k for k in range(rank) if k != where]
    order.insert(1, where)
    moved = order != list(range(rank))
    t = convert(t, wide)
    t = raw.Transpose(t, perm=order) if moved else t
    y, mean, variance, _ = batch_norm_training(t, gamma, beta, epsilon=float(epsilon), outputs=4)
    y = raw.Transpose(y, perm=[order.index(k) for k in range(rank)]) if moved else y
    return convert(y, dtype), convert(mean, dtype), convert(variance, dtype)
