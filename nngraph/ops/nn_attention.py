"""Scaled dot-product attention, named as in ``keras.ops``."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np

from nngraph.ops.axes import ints, reshaped
from nngraph.ops.core import convert, dtype_of, promote, shape, shape_vector, type_of
from nngraph.ops.dispatch import public
from nngraph.ops.vjp import raw

__all__ = ["dot_product_attention"]


@public
def dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    scale: float | None = None,
    is_causal: bool = False,
    flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> Any:
    """Return softmax(Q Kᵀ scale + bias) V for every head.

    Vaswani et al., "Attention is all you need", 2017.

    Args:
        query: (batch, target length, heads, size).
        key: (batch, source length, key heads, size); ``heads`` must be a multiple of ``key heads``.
        value: (batch, source length, key heads, size).
        bias: added to the logits, broadcast to (batch, heads, target length, source length).
        mask: true where a target may look at a source, broadcast to the same shape.
        scale: factor of the logits; default is 1 / sqrt(size).
        is_causal: let targets look only at sources that are not later.
        flash_attention: has no effect; the runtime chooses its kernels.
        attn_logits_soft_cap: c for logits replaced by c tanh(logits / c) before bias and mask.

    Returns:
        (batch, target length, heads, size).

    Raises:
        ValueError: ranks or heads do not fit.

    Example:
        >>> q, k = np.zeros((1, 1, 1, 2), "float32"), np.ones((1, 2, 1, 2), "float32")
        >>> v = np.array([1, 2, 3, 4], "float32").reshape(1, 2, 1, 2)
        >>> dot_product_attention(q, k, v).ravel().tolist()
        [2.0, 3.0]
    """
    q, k, v = promote(query, key, value, to_float=True)
    kinds = [type_of(t) for t in (q, k, v)]
    if any(kind.rank != 4 for kind in kinds):
        raise ValueError(
            "dot_product_attention takes query, key and value of shape (batch, length, heads, size), got "
            + ", ".join(str(kind.shape) for kind in kinds)
        )
    size = kinds[0].shape[-1]
    if not isinstance(size, int):
        raise ValueError(f"dot_product_attention needs a known head size, got query of shape {kinds[0].shape}")
    factor = 1 / sqrt(size) if scale is None else float(scale)
    repeats = _repeats(kinds[0].shape[2], kinds[1].shape[2])
    q = raw.Transpose(raw.Mul(q, factor), perm=(0, 2, 1, 3))
    k = _repeated(raw.Transpose(k, perm=(0, 2, 3, 1)), repeats)
    v = _repeated(raw.Transpose(v, perm=(0, 2, 1, 3)), repeats)
    logits = raw.MatMul(q, k)
    if attn_logits_soft_cap is not None:
        cap = float(attn_logits_soft_cap)
        logits = raw.Mul(raw.Tanh(raw.Div(logits, cap)), cap)
    if bias is not None:
        logits = raw.Add(logits, convert(bias, dtype_of(logits)))
    allowed = _allowed(mask, is_causal, logits)
    if allowed is not None:
        # A penalty has the size of the mask, and its gradient costs nothing; choosing has the size of the logits.
        barred = raw.Cast(raw.Not(allowed), to=dtype_of(logits))
        logits = raw.Add(logits, raw.Mul(barred, _lowest(dtype_of(logits))))
    return raw.Transpose(raw.MatMul(raw.Softmax(logits, axis=-1), v), perm=(0, 2, 1, 3))


def _repeats(heads: Any, key_heads: Any) -> int:
    if heads == key_heads:
        return 1
    if not isinstance(heads, int) or not isinstance(key_heads, int) or heads % key_heads:
        raise ValueError(f"dot_product_attention: query has {heads} heads, no multiple of the {key_heads} heads of key")
    return heads // key_heads


def _repeated(x: Any, times: int) -> Any:
    """Repeat every head, so that neighbouring query heads share a key head."""
    if times == 1:
        return x
    batch, heads, *rest = shape(x)
    apart = raw.Unsqueeze(x, ints(2))
    spread = raw.Expand(apart, shape_vector([batch, heads, times, *rest]))
    return reshaped(spread, [batch, heads * times, *rest])


def _allowed(mask: Any, is_causal: bool, logits: Any) -> Any:
    allowed = None if mask is None else convert(mask, "bool")
    if not is_causal:
        return allowed
    target, source = shape(logits)[2:]
    corner = raw.Expand(np.asarray(1, np.int32), shape_vector([target, source]))
    earlier = raw.Cast(raw.Trilu(corner, upper=0), to="bool")
    return earlier if allowed is None else raw.And(allowed, earlier)


def _lowest(dtype: str) -> float:
    """A finite number whose exponential is 0: rows without any source become averages instead of NaN."""
    return -0.7 * float(np.finfo("float16" if dtype == "float16" else "float32").max)
