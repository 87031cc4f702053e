"""Rules for attributes that became inputs, and for operators that only changed their name."""

from __future__ import annotations

from nngraph.serde.upgrade.rewrite import Rewrite, upgrades

__all__: list[str] = []

_REDUCTIONS = (
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSumSquare",
)


@upgrades("Clip", before=11)
def _clip(old: Rewrite) -> None:
    """Opset 11 made the attributes ``min`` and ``max`` inputs of the data's dtype."""
    for k, name in ((1, "min"), (2, "max")):
        bound = old.take(name, float)
        if bound is not None:
            old.set_input(k, old.data(bound, old.dtype(0)))


@upgrades("Dropout", before=12)
def _dropout(old: Rewrite) -> None:
    """Opset 12 made ``ratio`` an input and added the input ``training_mode``; without it, data passes unchanged."""
    ratio = old.take("ratio", float)
    if ratio is not None:
        old.set_input(1, old.data(ratio, "float32"))


@upgrades("Pad", before=2)
def _paddings(old: Rewrite) -> None:
    """Opset 2 renamed the attribute ``paddings`` to ``pads``."""
    pads = old.take_list("paddings")
    if pads is not None:
        old.set("pads", pads)


@upgrades("Pad", before=11)
def _pad(old: Rewrite) -> None:
    """Opset 11 made ``pads`` and ``value`` inputs."""
    pads, value = old.take_list("pads"), old.take("value", float)
    if pads is None:
        raise old.error("lacks the attribute 'pads'", "repair the file")
    old.set_input(1, old.data(pads))
    if value:
        old.set_input(2, old.data(value, old.dtype(0)))


@upgrades("Slice", before=10)
def _slice(old: Rewrite) -> None:
    """Opset 10 made ``starts``, ``ends`` and ``axes`` inputs and added ``steps``."""
    starts, ends, axes = old.take_list("starts"), old.take_list("ends"), old.take_list("axes")
    if starts is None or ends is None:
        raise old.error("lacks the attribute 'starts' or 'ends'", "repair the file")
    if len(starts) != len(ends) or (axes is not None and len(axes) != len(starts)):
        raise old.error(f"has {len(starts)} starts and {len(ends)} ends for the axes {axes}", "repair the file")
    old.set_input(1, old.data(starts))
    old.set_input(2, old.data(ends))
    if axes is not None:
        old.set_input(3, old.data(axes))


@upgrades("TopK", before=10)
def _top_k(old: Rewrite) -> None:
    """Opset 10 made ``k`` an input."""
    k = old.take("k")
    if k is None:
        raise old.error("lacks the attribute 'k'", "repair the file")
    old.set_input(1, old.data([k]))


@upgrades("Split", before=13)
def _split_sizes(old: Rewrite) -> None:
    """Opset 13 made ``split`` an input."""
    sizes = old.take_list("split")
    if sizes:
        old.set_input(1, old.data(sizes))


@upgrades("Split", before=18)
def _split_count(old: Rewrite) -> None:
    """Opset 18 wants the number of equal parts, which was the number of outputs, as ``num_outputs``."""
    if not old.input(1):
        old.set("num_outputs", len(old.node.output))


@upgrades("Squeeze", "Unsqueeze", "ReduceSum", before=13)
@upgrades(*_REDUCTIONS, before=18)
def _axes(old: Rewrite) -> None:
    """Opset 13 (18 for most reductions) made ``axes`` an input; an empty list meant what an absent one means."""
    axes = old.take_list("axes")
    if axes:
        old.set_input(1, old.data(axes))
    elif old.node.op_type == "Unsqueeze" and not old.input(1):
        raise old.error("lacks the attribute 'axes'", "repair the file")


@upgrades("DFT", before=20)
def _dft(old: Rewrite) -> None:
    """Opset 20 made ``axis`` an input, and the default the last signal axis instead of the first."""
    axis = old.take("axis")
    old.set_input(2, old.data(1 if axis is None else axis))


@upgrades("Scatter", before=11)
def _scatter(old: Rewrite) -> None:
    """Opset 11 renamed Scatter to ScatterElements."""
    old.become("ScatterElements")


@upgrades("GridSample", before=20)
def _grid_sample(old: Rewrite) -> None:
    """Opset 20 samples any number of axes, so that ``bilinear`` and ``bicubic`` became ``linear`` and ``cubic``."""
    mode = old.take("mode", str)
    if mode is not None:
        old.set("mode", {"bilinear": "linear", "bicubic": "cubic"}.get(mode, mode))


@upgrades("Upsample", before=9)
def _upsample_scales(old: Rewrite) -> None:
    """Opset 9 made ``scales`` an input."""
    scales = old.take_list("scales", float)
    if not scales:
        raise old.error("lacks the attribute 'scales'", "repair the file")
    old.set_input(1, old.data(scales, "float32"))


@upgrades("Upsample", before=10)
def _upsample(old: Rewrite) -> None:
    """Opset 10 renamed Upsample to Resize, which also makes things smaller."""
    old.become("Resize")
