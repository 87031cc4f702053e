"""What the CUDA provider executes only in another form."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from nngraph import config
from nngraph.ir import Graph, Node, Value
from nngraph.ops.axes import ints
from nngraph.registry import COMPOSITE_DOMAIN
from nngraph.runtime import expand_composite, legalize
from passes.build import Builder, replace_value
from passes.lowering.arithmetic_bits import arithmetic_bits
from passes.lowering.table import Form

__all__ = ["FORMS", "for_cuda"]

FORMS: dict[str, Form] = {}
"""Nothing yet: which forms of composites are faster there has not been measured."""


def for_cuda(graph: Graph) -> int:
    """Rewrite real operators that the provider refuses or leaves to the CPU, in place; return how many there were."""
    return arithmetic_bits(graph) + _refused(graph) + legalize(graph, "cuda")


def _refused(graph: Graph) -> int:
    changes = 0
    for node in graph:
        changes += sum(_refused(sub) for sub in node.subgraphs)
        form = _REFUSED.get(node.op_id)
        changes += form is not None and form(node)
    return changes


def _conv_transpose(node: Node) -> bool:
    return (config.cuda_nhwc() and _as_convolution(node)) or _even_padding(node)


def _as_convolution(node: Node) -> bool:
    """Write a ConvTranspose as a convolution with the kernel turned round, with zeros between pixels for a stride.

    Where it works in NHWC, the provider has a ConvTranspose for constant kernels only.
    """
    (x, w), attributes = node.inputs[:2], node.attributes
    if x is None or w is None or w.data is not None or not x.type.is_static or not w.type.is_static:
        return False
    if "output_shape" in attributes or attributes.get("auto_pad", "NOTSET") != "NOTSET":
        return False
    rank = w.ndim - 2
    kernel, ones, zeros = tuple(int(d) for d in w.shape[2:]), (1,) * rank, (0,) * rank
    strides, dilations = attributes.get("strides", ones), attributes.get("dilations", ones)
    pads, extra = attributes.get("pads") or zeros * 2, attributes.get("output_padding") or zeros
    reach = [(k - 1) * d for k, d in zip(kernel, dilations, strict=True)]
    before = [r - p for r, p in zip(reach, pads[:rank], strict=True)]
    after = [r - p + e for r, p, e in zip(reach, pads[rank:], extra, strict=True)]
    if min(*before, *after) < 0:
        return False
    group = attributes.get("group", 1)
    op = Builder(node, "lower")
    inputs = [_spread(op, x, strides), _turned(op, w, group), *node.inputs[2:]]
    image = op.node("Conv", inputs, kernel_shape=kernel, dilations=dilations, group=group, pads=(*before, *after))
    assert node.graph is not None
    replace_value(node.output, image, op)
    node.graph.erase(node)
    return True


def _spread(op: Builder, x: Value, strides: Sequence[int]) -> Value:
    """Put zeros between pixels, so that neighbours are a stride apart."""
    if all(s == 1 for s in strides):
        return x
    batch, channels, *sizes = (int(d) for d in x.shape)
    rank = len(sizes)
    cells = [d for size in sizes for d in (size, 1)]
    behind = [d for s in strides for d in (0, s - 1)]
    padded = op.Pad(op.Reshape(x, ints(batch, channels, *cells)), ints(*[0] * (2 + 2 * rank), 0, 0, *behind))
    wide = op.Reshape(padded, ints(batch, channels, *(n * s for n, s in zip(sizes, strides, strict=True))))
    ends = [(n - 1) * s + 1 for n, s in zip(sizes, strides, strict=True)]
    value: Value = op.Slice(wide, ints(*[0] * rank), ints(*ends), ints(*range(2, rank + 2)))
    return value


def _turned(op: Builder, w: Value, group: int) -> Value:
    """Return a kernel turned round, the roles of its channels exchanged within each group."""
    filters, channels, *kernel = (int(d) for d in w.shape)
    rank = len(kernel)
    ends = np.full(rank, np.iinfo(np.int64).min)
    turned = op.Slice(w, ints(*[-1] * rank), ends, ints(*range(2, rank + 2)), ints(*[-1] * rank))
    grouped = op.Reshape(turned, ints(group, filters // group, channels, *kernel))
    exchanged = op.Transpose(grouped, perm=(0, 2, 1, *range(3, rank + 3)))
    value: Value = op.Reshape(exchanged, ints(group * channels, filters // group, *kernel))
    return value


def _even_padding(node: Node) -> bool:
    """Pad both sides of a ConvTranspose by the smaller padding, and cut the rest off the larger side afterwards.

    The provider leaves one with uneven padding to the CPU.
    """
    pads = tuple(node.attributes.get("pads") or ())
    before, after = pads[: len(pads) // 2], pads[len(pads) // 2 :]
    if before == after or "output_shape" in node.attributes:
        return False
    even = tuple(min(b, a) for b, a in zip(before, after, strict=True))
    op = Builder(node, "lower")
    whole = op.node("ConvTranspose", node.inputs, **{**node.attributes, "pads": (*even, *even)})
    starts = [b - e for b, e in zip(before, even, strict=True)]
    ends = [e - a if a > e else np.iinfo(np.int64).max for a, e in zip(after, even, strict=True)]
    part = op.Slice(whole, ints(*starts), ints(*ends), ints(*range(2, node.output.ndim)))
    assert node.graph is not None
    replace_value(node.output, part, op)
    node.graph.erase(node)
    return True


def _batch_norm(node: Node) -> bool:
    """Write BatchNormalization in training mode, which the provider refuses, as its composite's portable form."""
    if not node.attributes.get("training_mode", 0):
        return False
    x, scale, offset, mean, variance = node.inputs
    assert x is not None and mean is not None and node.graph is not None
    op = Builder(node, "lower")
    momentum = node.attributes.get("momentum", 0.9)
    statistics = mean.type
    y, *found = op.node(
        "BatchNormTraining",
        [x, scale, offset],
        _outputs=3,
        _domain=COMPOSITE_DOMAIN,
        _types=[node.outputs[0].type, statistics, statistics],
        epsilon=node.attributes.get("epsilon", 1e-5),
    )
    kept = [
        op.Add(op.Mul(old, momentum), op.Mul(new, 1 - momentum))
        for old, new in zip((mean, variance), found, strict=True)
    ]
    for old, new in zip(node.outputs, [y, *kept], strict=False):
        replace_value(old, new, op)
    node.graph.erase(node)
    expand_composite(y.producer)
    return True


def _celu(node: Node) -> bool:
    """``alpha Elu(x / alpha)``."""
    alpha = node.attributes.get("alpha", 1.0)
    op, x = Builder(node, "lower"), node.inputs[0]
    assert node.graph is not None
    replace_value(node.output, op.Mul(op.Elu(op.Div(x, alpha)), alpha), op)
    node.graph.erase(node)
    return True


_REFUSED: dict[str, Callable[[Node], bool]] = {
    "BatchNormalization": _batch_norm,
    "Celu": _celu,
    "ConvTranspose": _conv_transpose,
}
