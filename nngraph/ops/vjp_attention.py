"""Gradient rules of ONNX's attention operators, and of others that ONNX defines by simpler ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nngraph.ir import Node, Value, is_float
from nngraph.ops.axes import ints, reshaped, sizes
from nngraph.ops.core import type_of
from nngraph.ops.trace import apply, inline
from nngraph.ops.vjp import Reverse, raw, vjp_node, vjp_through

__all__: list[str] = []


@vjp_node("Attention", "CenterCropPad", "DynamicQuantizeLinear")
def _through_body(node: Node, gs: Sequence[Any], reverse: Reverse) -> list[tuple[Value, Any]]:
    """Write down what ONNX says the operator means, and go back through that."""
    from nngraph.serde.body import function_body

    given = [None if v is None else v.data if v.data is not None else v.type for v in node.inputs]
    body = function_body(node.op, given, node.attributes, len(node.outputs))
    fed = [v for v in node.inputs if v is not None and v.data is None]
    copies = [apply("Identity", v) for v in fed]
    outputs = inline(body, copies)
    ways = [(y, g) for y, g in zip(outputs, gs, strict=True) if g is not None]
    wanted = [(v, c) for v, c in zip(fed, copies, strict=True) if is_float(v.dtype) and reverse.wants(v)]
    found = reverse.gradients([y for y, _ in ways], [c for _, c in wanted], [g for _, g in ways])
    return list(zip([v for v, _ in wanted], found, strict=True))


_through_body.way = "function body"  # type: ignore[attr-defined]


@vjp_through("RotaryEmbedding")
def _(
    x: Any,
    cos: Any,
    sin: Any,
    positions: Any = None,
    *,
    interleaved: int = 0,
    num_heads: int = 0,
    rotary_embedding_dim: int = 0,
) -> Any:
    """Rotate pairs of features by an angle that grows with the position.

    Su et al., "RoFormer: enhanced transformer with rotary position embedding", 2021. The pairs are neighbours if
    ``interleaved``, else feature k and k + half.
    """
    flat = type_of(x).rank == 3
    whole = x
    if flat:  # (batch, length, heads * size) to (batch, heads, length, size)
        batch, length, width = sizes(x)
        x = raw.Transpose(reshaped(x, [batch, length, num_heads, width // num_heads]), perm=(0, 2, 1, 3))
    size: Any = type_of(x).shape[-1]
    turned = rotary_embedding_dim or size
    last = ints(-1)
    rest = raw.Slice(x, ints(turned), ints(np.iinfo(np.int64).max), last) if turned < size else None
    part = raw.Slice(x, ints(0), ints(turned), last) if turned < size else x
    if positions is not None:
        cos, sin = (raw.Gather(t, positions, axis=0) for t in (cos, sin))
    cos, sin = (raw.Unsqueeze(raw.Slice(t, ints(0), ints(turned // 2), last), ints(1)) for t in (cos, sin))
    if interleaved:
        first, second = (raw.Slice(part, ints(k), ints(np.iinfo(np.int64).max), last, ints(2)) for k in (0, 1))
    else:
        first, second = raw.Split(part, axis=-1, num_outputs=2, outputs=2)
    real = raw.Sub(raw.Mul(first, cos), raw.Mul(second, sin))
    imaginary = raw.Add(raw.Mul(first, sin), raw.Mul(second, cos))
    if interleaved:
        pairs = raw.Concat(raw.Unsqueeze(real, last), raw.Unsqueeze(imaginary, last), axis=-1)
        y = reshaped(pairs, sizes(part))
    else:
        y = raw.Concat(real, imaginary, axis=-1)
    if rest is not None:
        y = raw.Concat(y, rest, axis=-1)
    return reshaped(raw.Transpose(y, perm=(0, 2, 1, 3)), sizes(whole)) if flat else y
