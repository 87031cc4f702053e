"""Gradient rules of TensorScatter, of quantised numbers and of Unique; y is the output, g its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngraph.ops.axes import ints, rank, shaped_like, size_vector, zeros_of
from nngraph.ops.core import dtype_of
from nngraph.ops.vjp import no_gradient, raw, refuse_gradient, vjp
from nngraph.ops.vjp_indexing import gather_gradient

__all__: list[str] = []


def _range(size: Any) -> Any:
    """The numbers below a size, one of a tensor's shape vector."""
    return raw.Range(np.asarray(0, np.int64), size, np.asarray(1, np.int64))


def _size(x: Any, axis: int) -> Any:
    size = x.shape[axis]
    if isinstance(size, int):
        return np.asarray(size, np.int64)
    return raw.Squeeze(raw.Shape(x, start=axis, end=axis + 1), ints(0))


@vjp("TensorScatter")
def _(
    g: Any, y: Any, cache: Any, update: Any, write_indices: Any = None, *, axis: int = -2, mode: str = "linear"
) -> Any:
    """The update's gradient is read where it was written; there the cache's is zero."""
    count = rank(cache)
    place = axis % count

    def of_update() -> Any:
        at = _range(_size(update, place))
        at = raw.Reshape(at, ints(*(-1 if k == place else 1 for k in range(count))))
        if write_indices is not None:
            at = raw.Add(at, raw.Unsqueeze(write_indices, ints(*range(1, count))))
        if mode == "circular":
            at = raw.Mod(at, _size(cache, place))
        return raw.GatherElements(g, raw.Expand(at, size_vector(update)), axis=place)

    return lambda: raw.TensorScatter(g, zeros_of(update), write_indices, axis=axis, mode=mode), of_update


@vjp("DequantizeLinear")
def _(
    g: Any,
    y: Any,
    x: Any,
    scale: Any,
    zero_point: Any = None,
    *,
    axis: int = 1,
    block_size: int = 0,
    output_dtype: Any = None,
) -> Any:
    """y = (x - zero point) scale: the scale's gradient is g (x - zero point), summed over what shares a scale."""

    def of_scale() -> Any:
        ones = raw.Add(zeros_of(scale), np.ones((), scale.dtype))
        plain = raw.DequantizeLinear(x, ones, zero_point, axis=axis, block_size=block_size or None)
        product = raw.Mul(raw.Cast(g, to=dtype_of(scale)), plain)
        if rank(scale) == 0:
            return raw.ReduceSum(product, keepdims=0)
        place = axis % rank(x)
        if rank(scale) == 1 and not block_size:
            if rank(x) == 1 and scale.shape[0] == 1:
                return raw.ReduceSum(product, keepdims=1)
            others = [k for k in range(rank(x)) if k != place]
            return raw.ReduceSum(product, ints(*others), keepdims=0) if others else product
        return _block_sums(product, scale, place, block_size)

    return None, of_scale


def _block_sums(product: Any, scale: Any, place: int, block_size: int) -> Any:
    """Sum over runs along an axis; the last may be shorter."""
    wide = raw.Mul(raw.Shape(scale, start=place, end=place + 1), ints(block_size))
    missing = raw.Sub(wide, raw.Shape(product, start=place, end=place + 1))
    filled = raw.Pad(product, raw.Concat(ints(0), missing, axis=0), None, ints(place))
    before, after = raw.Shape(scale, end=place + 1), raw.Shape(scale, start=place + 1)
    parted = raw.Reshape(filled, raw.Concat(before, ints(block_size), after, axis=0))
    return raw.ReduceSum(parted, ints(place + 1), keepdims=0)


@vjp("Unique")
def _(g: Any, y: Any, x: Any, *, axis: int | None = None, sorted: int = 1) -> Any:
    """Each result is a copy of where it was first."""
    gradient = g[0] if isinstance(g, tuple) else g
    if gradient is None:
        return (None,)
    first = y[1] if isinstance(y, tuple) and len(y) > 1 else raw.Unique(x, axis=axis, sorted=sorted, outputs=2)[1]
    if axis is None:
        total = raw.Reshape(raw.Size(x), ints(1))
        return (shaped_like(gather_gradient(gradient, first, 0, [total]), x),)
    lengths = [ints(d) if isinstance(d, int) else raw.Shape(x, start=k, end=k + 1) for k, d in enumerate(x.shape)]
    return (gather_gradient(gradient, first, axis % rank(x), lengths, like=x),)


no_gradient("its output is quantised", "QuantizeLinear", "QLinearConv", "QLinearMatMul")
no_gradient("its numbers are integers", "ConvInteger", "MatMulInteger", "NonMaxSuppression")
no_gradient("ONNX says that its inputs are settings of a filter bank", "MelWeightMatrix")
no_gradient("its input is a size", "HannWindow", "HammingWindow", "BlackmanWindow")
no_gradient("it counts words", "TfIdfVectorizer")

refuse_gradient(
    "gradients are tensors, and there are none of sequences and optional values; stack or concatenate tensors instead",
    *("SequenceConstruct", "SequenceAt", "SequenceInsert", "SequenceErase", "SequenceMap", "SequenceEmpty"),
    *("SplitToSequence", "ConcatFromSequence", "Optional", "OptionalGetElement"),
)
