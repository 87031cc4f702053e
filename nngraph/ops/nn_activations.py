"""Activation functions, named as in ``keras.ops``; all keep the shape, and integers become float32 unless said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nngraph.ir import numpy_dtype
from nngraph.ops.axes import axes_of, axis_of, ints, scalar, to_float
from nngraph.ops.core import convert, dtype_of, stop_gradient, type_of
from nngraph.ops.dispatch import public
from nngraph.ops.trace import composite
from nngraph.ops.vjp import raw

__all__ = [
    "capped_relu",
    "celu",
    "elu",
    "gelu",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "swish",
    "tanh_shrink",
    "threshold",
]


def _clip(x: Any, low: float, high: float) -> Any:
    return raw.Clip(x, scalar(low, x), scalar(high, x))


# -- piecewise linear -----------------------------------------------------------------------------------------------


@public
def relu(x: Any) -> Any:
    """Return max(x, 0); integers stay integers.

    Example:
        >>> relu([-1.0, 0.0, 2.0]).tolist()
        [0.0, 0.0, 2.0]
    """
    t = convert(x)
    if dtype_of(t) == "bool":
        t = convert(t, "float32")
    return raw.Relu(t)


@composite("CappedRelu")
def capped_relu(x: Any, *, most: float) -> Any:
    """Return min(max(x, 0), most) of a floating tensor.

    Its gradient is that of x between the bounds and 0 at them, so it follows from the output alone.
    """
    return _clip(x, 0, most)


@public
def relu6(x: Any) -> Any:
    """Return min(max(x, 0), 6).

    Example:
        >>> relu6([-1.0, 2.0, 9.0]).tolist()
        [0.0, 2.0, 6.0]
    """
    return capped_relu(to_float(x), most=6.0)


@public
def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """Return x where positive and ``negative_slope * x`` elsewhere.

    Example:
        >>> leaky_relu([-2.0, 2.0], negative_slope=0.5).tolist()
        [-1.0, 2.0]
    """
    return raw.LeakyRelu(to_float(x), alpha=float(negative_slope))


@public
def hard_sigmoid(x: Any) -> Any:
    """Return relu6(x + 3) / 6.

    Example:
        >>> hard_sigmoid([-3.0, 0.0, 3.0]).tolist()
        [0.0, 0.5, 1.0]
    """
    return raw.HardSigmoid(to_float(x), alpha=1 / 6, beta=0.5)


@public
def hard_silu(x: Any) -> Any:
    """Return x * hard_sigmoid(x), also known as hard swish (Howard et al., "Searching for MobileNetV3", 2019).

    Example:
        >>> hard_silu([-3.0, 0.0, 3.0]).tolist()
        [-0.0, 0.0, 3.0]
    """
    t = to_float(x)
    return raw.Mul(t, raw.HardSigmoid(t, alpha=1 / 6, beta=0.5))


hard_swish = hard_silu


@public
def hard_tanh(x: Any) -> Any:
    """Return x limited to [-1, 1]; integers stay integers.

    Example:
        >>> hard_tanh([-3.0, 0.5, 3.0]).tolist()
        [-1.0, 0.5, 1.0]
    """
    return _clip(convert(x), -1, 1)


@public
def hard_shrink(x: Any, threshold: float = 0.5) -> Any:
    """Return x where its magnitude exceeds ``threshold`` and 0 elsewhere.

    Example:
        >>> hard_shrink([-0.5, 0.25, 2.0]).tolist()
        [0.0, 0.0, 2.0]
    """
    return raw.Shrink(to_float(x), lambd=float(threshold), bias=0.0)


@public
def soft_shrink(x: Any, threshold: float = 0.5) -> Any:
    """Return x moved towards 0 by ``threshold``, and 0 where its magnitude is not larger.

    Example:
        >>> soft_shrink([-2.0, 0.25, 2.0]).tolist()
        [-1.5, 0.0, 1.5]
    """
    return raw.Shrink(to_float(x), lambd=float(threshold), bias=float(threshold))


@public
def threshold(x: Any, threshold: float, default_value: float) -> Any:
    """Return x where it exceeds ``threshold`` and ``default_value`` elsewhere.

    Example:
        >>> threshold([0.5, 2.0], 1.0, -1.0).tolist()
        [-1.0, 2.0]
    """
    t = to_float(x)
    return raw.Where(raw.Greater(t, scalar(threshold, t)), t, scalar(default_value, t))


@public
def sparse_sigmoid(x: Any) -> Any:
    """Return (x + 1) / 2 limited to [0, 1].

    Example:
        >>> sparse_sigmoid([-2.0, 0.0, 2.0]).tolist()
        [0.0, 0.5, 1.0]
    """
    return raw.HardSigmoid(to_float(x), alpha=0.5, beta=0.5)


@public
def sparse_plus(x: Any) -> Any:
    """Return 0 up to -1, x from 1 on, and (x + 1)² / 4 in between.

    Example:
        >>> sparse_plus([-2.0, 0.0, 2.0]).tolist()
        [0.0, 0.25, 2.0]
    """
    t = to_float(x)
    middle = _clip(t, -1, 1)
    raised = raw.Add(middle, 1)
    return raw.Add(raw.Mul(raw.Mul(raised, raised), 0.25), raw.Relu(raw.Sub(t, 1)))


# -- smooth ---------------------------------------------------------------------------------------------------------


@public
def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + exp(-x)).

    Example:
        >>> sigmoid([0.0, 100.0]).tolist()
        [0.5, 1.0]
    """
    return raw.Sigmoid(to_float(x))


@public
def log_sigmoid(x: Any) -> Any:
    """Return log(sigmoid(x)) = -softplus(-x), finite for every finite x.

    Example:
        >>> print(log_sigmoid([-100.0, 0.0]).round(4))
        [-100.       -0.6931]
    """
    return raw.Neg(raw.Softplus(raw.Neg(to_float(x))))


@public
def softplus(x: Any) -> Any:
    """Return log(1 + exp(x)), finite for every finite x.

    Example:
        >>> print(softplus([-1.0, 100.0]).round(3))
        [  0.313 100.   ]
    """
    return raw.Softplus(to_float(x))


@public
def softsign(x: Any) -> Any:
    """Return x / (1 + |x|).

    Example:
        >>> softsign([-1.0, 3.0]).tolist()
        [-0.5, 0.75]
    """
    return raw.Softsign(to_float(x))


@public
def silu(x: Any) -> Any:
    """Return x * sigmoid(x), also known as swish.

    Example:
        >>> print(silu([-1.0, 0.0, 1.0]).round(3))
        [-0.269  0.     0.731]
    """
    t = to_float(x)
    return raw.Mul(t, raw.Sigmoid(t))


swish = silu


@public
def squareplus(x: Any, b: float = 4) -> Any:
    """Return (x + sqrt(x² + b)) / 2.

    Barron, "Squareplus: a softplus-like algebraic rectifier", 2021.

    Example:
        >>> print(squareplus([-1.0, 0.0]).round(3))
        [0.618 1.   ]
    """
    t = to_float(x)
    root = raw.Sqrt(raw.Add(raw.Mul(t, t), scalar(b, t)))
    return raw.Mul(raw.Add(t, root), 0.5)


@public
def elu(x: Any, alpha: float = 1.0) -> Any:
    """Return x where positive and ``alpha * (exp(x) - 1)`` elsewhere.

    Example:
        >>> elu([-100.0, 2.0], alpha=0.5).tolist()
        [-0.5, 2.0]
    """
    return raw.Elu(to_float(x), alpha=float(alpha))


@public
def selu(x: Any) -> Any:
    """Return scale * elu(x, alpha) with the constants that keep mean 0 and variance 1.

    Klambauer et al., "Self-normalizing neural networks", 2017.

    Example:
        >>> print(selu([-100.0, 1.0]).round(3))
        [-1.758  1.051]
    """
    return raw.Selu(to_float(x))


@public
def celu(x: Any, alpha: float = 1.0) -> Any:
    """Return max(x, 0) + min(0, alpha * (exp(x / alpha) - 1)).

    Barron, "Continuously differentiable exponential linear units", 2017.

    Example:
        >>> celu([-100.0, 2.0], alpha=0.5).tolist()
        [-0.5, 2.0]
    """
    t = to_float(x)
    if dtype_of(t) == "float32":  # the only dtype that ONNX defines Celu for
        return raw.Celu(t, alpha=float(alpha))
    below = raw.Sub(raw.Exp(raw.Div(raw.Min(t, 0), float(alpha))), 1)
    return raw.Add(raw.Relu(t), raw.Mul(below, float(alpha)))


@public
def gelu(x: Any, approximate: bool = True) -> Any:
    """Return x Φ(x), where Φ is the distribution function of the standard normal distribution.

    With ``approximate`` Φ(x) is (1 + tanh(sqrt(2/π) (x + 0.044715 x³))) / 2.
    Hendrycks and Gimpel, "Gaussian error linear units", 2016.

    Example:
        >>> print(gelu([-1.0, 0.0, 1.0]).round(3))
        [-0.159  0.     0.841]
    """
    return raw.Gelu(to_float(x), approximate="tanh" if approximate else "none")


@public
def tanh_shrink(x: Any) -> Any:
    """Return x - tanh(x).

    Example:
        >>> print(tanh_shrink([0.0, 1.0]).round(3))
        [0.    0.238]
    """
    t = to_float(x)
    return raw.Sub(t, raw.Tanh(t))


# -- along an axis --------------------------------------------------------------------------------------------------


@public
def glu(x: Any, axis: int = -1) -> Any:
    """Return a * sigmoid(b), where a and b are the halves of x along an axis.

    Dauphin et al., "Language modeling with gated convolutional networks", 2017.

    Raises:
        ValueError: the size along ``axis`` is odd.

    Example:
        >>> glu([1.0, 2.0, 0.0, 100.0]).tolist()
        [0.5, 2.0]
    """
    t = to_float(x)
    size = type_of(t).shape[axis]
    if isinstance(size, int) and size % 2:
        raise ValueError(f"glu splits axis {axis} in two halves; its size {size} is odd, it must be even")
    a, b = raw.Split(t, axis=axis, num_outputs=2, outputs=2)
    return raw.Mul(a, raw.Sigmoid(b))


def _along(function: Any, x: Any, axis: int | Sequence[int] | None) -> Any:
    """Apply a function of (x, axis) along one axis, several axes taken together, or all of them."""
    if isinstance(axis, (int, np.integer)):
        return function(x, int(axis))
    rank = type_of(x).rank
    axes = axes_of(axis, rank, "softmax")
    if len(axes) == 1:
        return function(x, axes[0])
    others = [k for k in range(rank) if k not in axes]
    order = [*others, *axes]
    moved = raw.Transpose(x, perm=order)
    kept = raw.Shape(moved, end=len(others))
    flat = raw.Reshape(moved, raw.Concat(kept, ints(-1), axis=0))
    back = raw.Reshape(function(flat, len(others)), raw.Shape(moved))
    return raw.Transpose(back, perm=[order.index(k) for k in range(rank)])


@public
def softmax(x: Any, axis: int | Sequence[int] | None = -1) -> Any:
    """Return exp(x) divided by its sum along an axis, several axes, or (``None``) all of them.

    Example:
        >>> softmax([[0.0, 0.0], [0.0, 1000.0]]).tolist()
        [[0.5, 0.5], [0.0, 1.0]]
    """
    return _along(lambda t, k: raw.Softmax(t, axis=k), to_float(x), axis)


@public
def log_softmax(x: Any, axis: int | Sequence[int] | None = -1) -> Any:
    """Return the logarithm of :func:`softmax`, finite also where the softmax is 0.

    Example:
        >>> log_softmax([0.0, 1000.0]).tolist()
        [-1000.0, 0.0]
    """
    return _along(lambda t, k: raw.LogSoftmax(t, axis=k), to_float(x), axis)


@public
def sparsemax(x: Any, axis: int = -1) -> Any:
    """Return the point of the probability simplex nearest to x along an axis.

    Martins and Astudillo, "From softmax to sparsemax", 2016: sort z downwards, let k be the last position with
    1 + k z_k > z_1 + ... + z_k, and subtract ((z_1 + ... + z_k) - 1) / k, nothing falling below 0.

    Raises:
        ValueError: the size along ``axis`` is known only at run time.

    Example:
        >>> sparsemax([0.0, 0.5, 1.0]).tolist()
        [0.0, 0.25, 0.75]
    """
    t = to_float(x)
    kind = type_of(t)
    size = kind.shape[axis]
    if not isinstance(size, int):
        raise ValueError(f"sparsemax sorts along axis {axis}, whose size {size!r} must be known; give it a fixed size")
    place = axis_of(axis, kind.rank, "sparsemax")
    axes = ints(place)
    t = raw.Sub(t, stop_gradient(raw.ReduceMax(t, axes, keepdims=1)))
    ordered, _ = raw.TopK(t, ints(size), axis=place, outputs=2)
    sums = raw.CumSum(ordered, np.asarray(place, np.int64))
    along = [size if k == place else 1 for k in range(kind.rank)]
    ranks = np.arange(1, size + 1, dtype=numpy_dtype(kind.dtype)).reshape(along)
    inside = raw.GreaterOrEqual(raw.Add(raw.Mul(ordered, ranks), 1), sums)
    # The support alone comes from the sorted values; the rest is written with x, which has a simple gradient.
    lowest = raw.ReduceMin(raw.Where(inside, ordered, scalar(0, t)), axes, keepdims=1)
    support = raw.Cast(raw.GreaterOrEqual(t, lowest), to=kind.dtype)
    total = raw.ReduceSum(raw.Mul(t, support), axes, keepdims=1)
    shift = raw.Div(raw.Sub(total, 1), raw.ReduceSum(support, axes, keepdims=1))
    return raw.Relu(raw.Sub(t, shift))
