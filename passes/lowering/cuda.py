"""Forms that the CUDA provider runs better than the portable ones, or at all."""

from __future__ import annotations

from typing import Any

from nngraph.ir import Node
from nngraph.ops.axes import ints
from nngraph.ops.windows import Window
from passes.build import Builder, replace_value
from passes.lowering.table import Form

__all__ = ["FORMS"]


def conv_input_grad(node: Node) -> bool:
    """Compute the gradient of an image whose padding differs from side to side by one that is padded evenly.

    The provider leaves a ConvTranspose with uneven padding to the CPU. Here both sides lose what the smaller padding
    says, and the larger side loses the rest afterwards.
    """
    g, w, spatial = node.inputs[0], node.inputs[1], node.attributes.get("spatial")
    if g is None or w is None or spatial is None or not g.type.is_static or not w.type.is_static:
        return False
    attributes = dict(node.attributes)
    common: dict[str, Any] = {k: attributes[k] for k in ("strides", "dilations", "group") if k in attributes}
    kernel = tuple(int(d) for d in w.shape[2:])
    pads, placing = attributes.get("pads"), attributes.get("auto_pad", "NOTSET")
    window = Window(kernel, common["strides"], common["dilations"], pads, placing, sizes=spatial)
    if window.pads is None:
        return False
    rank = window.rank
    before, reach = window.pads[:rank], window.reach(spatial, tuple(int(d) for d in g.shape[2:]))
    if tuple(before) == tuple(max(r, 0) for r in reach):
        return False
    even = [min(b, max(r, 0)) for b, r in zip(before, reach, strict=True)]
    # What the last window does not reach is output padding as before; a side that keeps more is cut afterwards.
    short = tuple(max(-r, 0) for r in reach)
    if any(short):
        common["output_padding"] = short
    op = Builder(node, "lower")
    whole = op.ConvTranspose(g, w, kernel_shape=kernel, pads=(*even, *even), **common)
    starts = [b - e for b, e in zip(before, even, strict=True)]
    ends = [s + n for s, n in zip(starts, spatial, strict=True)]
    assert node.graph is not None
    replace_value(node.output, op.Slice(whole, ints(*starts), ints(*ends), ints(*range(2, rank + 2))), op)
    node.graph.erase(node)
    return True


FORMS: dict[str, Form] = {"ConvInputGrad": conv_input_grad}
