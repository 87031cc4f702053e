"""What the CUDA provider executes only in another form."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nngraph.ir import Graph, Node
from nngraph.ops.axes import ints
from nngraph.registry import COMPOSITE_DOMAIN
from nngraph.runtime import expand_composite
from passes.build import Builder, replace_value
from passes.lowering.arithmetic_bits import arithmetic_bits
from passes.lowering.table import Form

__all__ = ["FORMS", "for_cuda"]

FORMS: dict[str, Form] = {}
"""Nothing yet: which forms are faster there has not been measured."""


def for_cuda(graph: Graph) -> int:
    """Rewrite real operators that the provider refuses or leaves to the CPU, in place; return how many there were."""
    return arithmetic_bits(graph) + _refused(graph)


def _refused(graph: Graph) -> int:
    changes = 0
    for node in graph:
        changes += sum(_refused(sub) for sub in node.subgraphs)
        form = _REFUSED.get(node.op_id)
        changes += form is not None and form(node)
    return changes


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


_REFUSED: dict[str, Callable[[Node], bool]] = {"BatchNormalization": _batch_norm, "ConvTranspose": _even_padding}
