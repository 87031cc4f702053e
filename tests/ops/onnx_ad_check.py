"""Gradients by onnx-ad beside ours, both run by the same runtime."""

from __future__ import annotations

import numpy as np
from opcheck import forward, runner, with_gradients
from samples import SAMPLES

from nngraph.runtime import Session, expand_composites
from nngraph.serde import from_proto, to_proto

__all__ = ["difference"]


def difference(op_id: str, k: int) -> float:
    """Return how far onnx-ad's gradients of a sample are from ours, relative to the largest number.

    Raises:
        onnx_ad.UnsupportedOperator: it does not differentiate this.
    """
    import onnx_ad

    sample = SAMPLES[op_id][k]
    plain, feeds, xs = forward(op_id, sample, sample.inputs)
    graph, all_feeds = with_gradients(plain, xs, feeds, Session(plain, "cpu").run(feeds))
    ours = runner(graph)(all_feeds)
    smooth = [n for n, v in zip(plain.output_names, plain.outputs, strict=True) if v.dtype == "float64"]
    simple = plain.clone()
    expand_composites(simple)
    model = onnx_ad.reverse(to_proto(simple), inputs=[x.name for x in xs], outputs=smooth, layout="onnx")
    seeds = {f"adj_{name}": all_feeds[f"c{j}"][..., None] for j, name in enumerate(smooth)}
    theirs = runner(from_proto(model))({**feeds, **seeds})
    worst = 0.0
    for j, x in enumerate(xs):
        a, b = ours[f"d{j}"], theirs[f"adj_{x.name}"][..., 0]
        worst = max(worst, float(np.abs(a - b).max(initial=0) / (np.abs(a).max(initial=0) + 1e-3)))
    return worst
