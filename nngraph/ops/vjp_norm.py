"""Gradient rules of normalisations.

All have one kernel: where x̂ = (x - mean) · inverse and y = x̂ scale + bias, with statistics over some axes,

    dx = inverse · (h - mean(h) - x̂ mean(h x̂)),  h = g scale,

which subtracts from h what would move the mean and the variance.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from nngraph.ir import Value
from nngraph.ops.axes import expanded_like, ints, scalar
from nngraph.ops.core import dtype_of, type_of
from nngraph.ops.float64_forms import float64_form
from nngraph.ops.trace import composite
from nngraph.ops.vjp import raw, through_form, vjp
from nngraph.ops.windows import are_known
from nngraph.registry import op_def

__all__ = ["batch_norm_grad", "layer_norm_grad"]


def _column(vector: Any, rank: int) -> Any:
    """Return a vector of the features as a tensor that broadcasts along axis 1."""
    return raw.Unsqueeze(vector, ints(*range(1, rank - 1))) if rank > 2 else vector


def _over_features(x: Any) -> Any:
    """All axes but that of the features."""
    return ints(0, *range(2, type_of(x).rank))


def _sum(x: Any, axes: Any, keepdims: int = 0) -> Any:
    return raw.ReduceSum(x, axes, keepdims=keepdims)


def _mean(x: Any, axes: Any) -> Any:
    return raw.ReduceMean(x, axes, keepdims=1)


def _divided(total: Any, x: Any) -> Any:
    """Divide sums over x by how many elements went into each."""
    sizes: Any = type_of(x).shape
    kept: Any = type_of(total).shape
    if are_known(sizes) and are_known(kept):
        return raw.Mul(total, prod(kept) / prod(sizes))
    count = raw.Div(raw.Size(x), raw.Size(total))
    return raw.Div(total, raw.Cast(count, to=dtype_of(total)))


# -- batch normalisation: features on axis 1 ------------------------------------------------------------------------


@composite("BatchNormGrad")
def batch_norm_grad(g: Any, x: Any, scale: Any, mean: Any, inverse: Any) -> tuple[Any, Any, Any]:
    """Return the gradients of x, scale and bias of a batch normalisation by the batch's own statistics.

    ``mean`` and ``inverse`` = 1 / sqrt(variance + ε) are those of x, one number a feature.
    """
    rank = type_of(x).rank
    axes = _over_features(x)
    away = raw.Sub(x, _column(mean, rank))
    bias_grad = _sum(g, axes)
    scale_grad = raw.Mul(_sum(raw.Mul(g, away), axes), inverse)
    # dx = a g + b (x - mean) + c with three numbers for each feature.
    a = raw.Mul(scale, inverse)
    b = raw.Neg(raw.Mul(raw.Mul(a, inverse), _divided(scale_grad, x)))
    c = raw.Neg(raw.Mul(a, _divided(bias_grad, x)))
    slanted = raw.Add(raw.Mul(away, _column(b, rank)), _column(c, rank))
    return raw.Add(raw.Mul(g, _column(a, rank)), slanted), scale_grad, bias_grad


@vjp("BatchNormTraining", domain="nngraph")
def _(gs: Any, ys: Any, x: Any, scale: Any, offset: Any, *, epsilon: float = 1e-3) -> Any:
    g, g_mean, g_variance, g_inverse = gs
    _, mean, _, inverse = ys
    dx = d_scale = d_offset = None
    if g is not None:
        dx, d_scale, d_offset = batch_norm_grad(g, x, scale, mean, inverse, outputs=3)
    if g_inverse is not None:
        cube = raw.Mul(raw.Mul(inverse, inverse), inverse)
        slope = raw.Mul(raw.Mul(g_inverse, cube), -0.5)
        g_variance = slope if g_variance is None else raw.Add(g_variance, slope)
    return _plus_statistics(dx, x, mean, g_mean, g_variance), d_scale, d_offset


def _plus_statistics(dx: Any, x: Any, mean: Any, g_mean: Any, g_variance: Any) -> Any:
    """Add to a gradient of x what comes through the batch's mean and variance."""
    rank = type_of(x).rank
    if g_mean is not None:
        part = expanded_like(_column(_divided(g_mean, x), rank), x)
        dx = part if dx is None else raw.Add(dx, part)
    if g_variance is not None:
        factor = raw.Mul(_divided(g_variance, x), 2)
        part = raw.Mul(raw.Sub(x, _column(mean, rank)), _column(factor, rank))
        dx = part if dx is None else raw.Add(dx, part)
    return dx


@vjp("BatchNormalization")
def _(
    g: Any,
    y: Any,
    x: Any,
    scale: Any,
    bias: Any,
    mean: Any,
    variance: Any,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    training_mode: int = 0,
) -> Any:
    rank = type_of(x).rank
    axes = _over_features(x)
    if training_mode:
        gs = g if isinstance(g, tuple) else (g,)
        return _training_grads((*gs, None, None)[:3], x, scale, epsilon, momentum)
    inverse = raw.Reciprocal(raw.Sqrt(raw.Add(variance, epsilon)))
    factor = raw.Mul(scale, inverse)

    def slope() -> Any:
        return _sum(raw.Mul(g, raw.Sub(x, _column(mean, rank))), axes)

    return (
        lambda: raw.Mul(g, _column(factor, rank)),
        lambda: raw.Mul(slope(), inverse),
        lambda: _sum(g, axes),
        lambda: raw.Neg(raw.Mul(_sum(g, axes), factor)),
        lambda: raw.Mul(raw.Mul(slope(), raw.Mul(factor, raw.Mul(inverse, inverse))), -0.5),
    )


def _training_grads(gs: Any, x: Any, scale: Any, epsilon: float, momentum: float) -> Any:
    g, g_mean, g_variance = (h if h is None or k == 0 else raw.Mul(h, 1 - momentum) for k, h in enumerate(gs))
    axes = _over_features(x)
    kept = _mean(x, axes)
    away = raw.Sub(x, kept)
    variance = raw.Squeeze(_mean(raw.Mul(away, away), axes), axes)
    mean, inverse = raw.Squeeze(kept, axes), raw.Reciprocal(raw.Sqrt(raw.Add(variance, epsilon)))
    dx = d_scale = d_bias = None
    if g is not None:
        dx, d_scale, d_bias = batch_norm_grad(g, x, scale, mean, inverse, outputs=3)
    old = (None if h is None else raw.Mul(h, momentum) for h in gs[1:])
    return _plus_statistics(dx, x, mean, g_mean, g_variance), d_scale, d_bias, *old


# -- layer normalisation: statistics over the last axes -------------------------------------------------------------


@composite("LayerNormGrad")
def layer_norm_grad(
    g: Any, x: Any, scale: Any, mean: Any = None, inverse: Any = None, *, axis: int = -1, epsilon: float = 1e-5
) -> tuple[Any, Any]:
    """Return the gradients of x and of scale of a layer normalisation over the axes from ``axis`` on.

    ``mean`` and ``inverse`` = 1 / sqrt(variance + ε) are those of x, where the forward operator kept them.
    """
    rank = type_of(x).rank
    axes = ints(*range(axis % rank, rank))
    away = raw.Sub(x, _mean(x, axes) if mean is None else mean)
    if inverse is None:
        inverse = raw.Reciprocal(raw.Sqrt(raw.Add(_mean(raw.Mul(away, away), axes), epsilon)))
    return _normalized_grads(g, raw.Mul(away, inverse), inverse, scale, axes, centred=True)


@composite("RMSNormGrad")
def rms_norm_grad(g: Any, x: Any, scale: Any, *, axis: int = -1, epsilon: float = 1e-5) -> tuple[Any, Any]:
    """Return the gradients of x and of scale of a root-mean-square normalisation over the axes from ``axis`` on."""
    rank = type_of(x).rank
    axes = ints(*range(axis % rank, rank))
    inverse = raw.Reciprocal(raw.Sqrt(raw.Add(_mean(raw.Mul(x, x), axes), epsilon)))
    return _normalized_grads(g, raw.Mul(x, inverse), inverse, scale, axes, centred=False)


def _normalized_grads(g: Any, unit: Any, inverse: Any, scale: Any, axes: Any, *, centred: bool) -> tuple[Any, Any]:
    """The kernel of this module's docstring; without ``centred`` the mean is not subtracted.

    The product g x̂, which the gradient of the scale needs, serves for mean(h x̂) = mean(g x̂ scale) too.
    """
    rank, inner = type_of(unit).rank, type_of(scale).rank
    h, d_scale = raw.Mul(g, scale), raw.Mul(g, unit)
    rest = raw.Sub(h, _mean(h, axes)) if centred else h
    dx = raw.Mul(raw.Sub(rest, raw.Mul(unit, _mean_product(d_scale, scale, axes))), inverse)
    return dx, _sum(d_scale, ints(*range(rank - inner))) if rank > inner else d_scale


def _mean_product(x: Any, scale: Any, axes: Any) -> Any:
    """Return mean(x scale); with one axis a matrix product, which stores no products of single numbers."""
    width = type_of(x).shape[-1]
    if len(axes) != 1 or not isinstance(width, int) or type_of(scale).shape != (width,):
        return _mean(raw.Mul(x, scale), axes)
    return raw.MatMul(x, raw.Unsqueeze(raw.Mul(scale, 1 / width), ints(1)))


@vjp("LayerNormalization")
def _(
    g: Any, y: Any, x: Any, scale: Any, bias: Any = None, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1
) -> Any:
    first, *statistics = g if isinstance(g, tuple) else (g,)
    dx = d_scale = None
    if first is not None:
        kept = _kept_statistics(y, x, axis)
        dx, d_scale = layer_norm_grad(first, x, scale, *kept, axis=axis, epsilon=epsilon, outputs=2)
    for part in _through_statistics(statistics, x, axis, epsilon):
        dx = part if dx is None else raw.Add(dx, part)
    return dx, d_scale, first


def _kept_statistics(y: Any, x: Any, axis: int) -> Sequence[Any]:
    """Let the forward operator give mean and inverse deviation too, which are of single precision like x."""
    node = (y[0] if isinstance(y, tuple) else y).producer if isinstance(x, Value) else None
    if node is None or dtype_of(x) != "float32":
        return ()
    start = axis % x.ndim
    kind = x.type.with_shape((*x.shape[:start], *[1] * (x.ndim - start)))
    for name in ("mean", "inverse")[len(node.outputs) - 1 :]:
        node.graph.add_node_output(node, kind, f"{node.name}_{name}")
    return node.outputs[1:]


def _through_statistics(gs: Any, x: Any, axis: int, epsilon: float) -> list[Any]:
    """The gradients of x that come through the outputs Mean and InvStdDev, which are of single precision."""
    g_mean, g_inverse = (None if g is None else raw.Cast(g, to=dtype_of(x)) for g in (*gs, None, None)[:2])
    rank = type_of(x).rank
    axes = ints(*range(axis % rank, rank))
    found = []
    if g_mean is not None:
        found.append(expanded_like(_divided(g_mean, x), x))
    if g_inverse is not None:  # d/dx (v + ε)^(-1/2) = -(v + ε)^(-3/2) (x - mean) / n
        away = raw.Sub(x, _mean(x, axes))
        inverse = raw.Reciprocal(raw.Sqrt(raw.Add(_mean(raw.Mul(away, away), axes), epsilon)))
        cube = raw.Mul(raw.Mul(inverse, inverse), inverse)
        found.append(raw.Neg(raw.Mul(away, _divided(raw.Mul(g_inverse, cube), x))))
    return found


@vjp("RMSNormalization")
def _(g: Any, y: Any, x: Any, scale: Any, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1) -> Any:
    return rms_norm_grad(g, x, scale, axis=axis, epsilon=epsilon, outputs=2)


@vjp("InstanceNormalization")
def _(g: Any, y: Any, x: Any, scale: Any, bias: Any, *, epsilon: float = 1e-5) -> Any:
    rank = type_of(x).rank
    axes = ints(*range(2, rank))
    away = raw.Sub(x, _mean(x, axes))
    inverse = raw.Reciprocal(raw.Sqrt(raw.Add(_mean(raw.Mul(away, away), axes), epsilon)))
    dx, d_scale = _normalized_grads(g, raw.Mul(away, inverse), inverse, _column(scale, rank), axes, centred=True)
    # The column has lost the batch axis; what is left to sum are the batch and the pixels.
    return dx, lambda: _features(d_scale, rank), lambda: _sum(g, _over_features(x))


def _features(d_scale: Any, rank: int) -> Any:
    return _sum(d_scale, ints(*range(1, rank - 1))) if type_of(d_scale).rank < rank else _sum(d_scale, ints(0))


# -- those whose float64 form says it all ---------------------------------------------------------------------------


@float64_form("LpNormalization")
def _(x: Any, *, axis: int = -1, p: int = 2) -> Any:
    along = ints(axis)
    norm = _sum(raw.Abs(x), along, 1) if p == 1 else raw.Sqrt(_sum(raw.Mul(x, x), along, 1))
    # A vector of zeros stays one.
    empty = raw.Equal(norm, scalar(0, norm))
    return raw.Div(x, raw.Where(empty, scalar(1, norm), norm))


for _name in ("GroupNormalization", "LRN", "LpNormalization", "MeanVarianceNormalization"):
    op_def(_name).vjp = through_form
