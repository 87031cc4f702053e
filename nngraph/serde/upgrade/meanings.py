"""Rules for operators whose meaning or defaults changed."""

from __future__ import annotations

import numpy as np
import onnx

from nngraph.ir import TensorType
from nngraph.proto import node_proto, type_to_proto
from nngraph.serde.upgrade.rewrite import Rewrite, upgrades

__all__: list[str] = []


@upgrades("Softmax", "LogSoftmax", "Hardmax", before=13)
def _softmax(old: Rewrite) -> None:
    """Opset 13 normalises one axis, by default the last; before, all from ``axis`` on, by default 1, were one."""
    axis = old.take("axis")
    axis = 1 if axis is None else axis
    data = old.needed(0)
    type = old.type(0)
    if type is not None:
        axis = old.axis(axis, type.rank)
        if axis == type.rank - 1 or all(d == 1 for d in type.shape[axis + 1 :]):
            old.set("axis", axis)
            return
    shape = old.before("Shape", [data])
    old.set_input(0, old.before("Flatten", [data], axis=axis))
    old.set("axis", 1)
    result, flat = old.aside(0)
    old.after("Reshape", [flat, shape], result, allowzero=1)


@upgrades("Dropout", before=10)
def _dropout_mask(old: Rewrite) -> None:
    """Opset 10 made the mask bool; before, it had the data's dtype."""
    if old.output(1):
        mask, flags = old.aside(1)
        old.after("CastLike", [flags, old.needed(0)], mask)


@upgrades("BatchNormalization", before=9)
def _batch_norm_per_element(old: Rewrite) -> None:
    """Opset 9 took ``spatial`` away; at 0, each element had statistics of its own, not each channel."""
    spatial = old.take("spatial")
    if spatial in (None, 1):
        return
    if len([o for o in old.node.output if o]) > 1:
        raise old.error("has spatial=0 and gives running statistics, which no newer opset can say")
    epsilon = old.take("epsilon", float)
    x, scale, bias, mean, var = (old.needed(k) for k in range(5))
    offset = old.data(1e-5 if epsilon is None else epsilon, old.dtype(0))
    deviation = old.before("Sqrt", [old.before("Add", [var, offset])])
    normal = old.before("Div", [old.before("Sub", [x, mean]), deviation])
    old.become("Add", [old.before("Mul", [normal, scale]), bias])
    del old.node.output[1:]


@upgrades("BatchNormalization", before=14)
def _batch_norm_training(old: Rewrite) -> None:
    """Opset 14 added ``training_mode``; before, a node trained when it gave more than one output.

    The saved mean and variance, which opset 14 no longer gives, are computed beside it.
    """
    outputs = [*old.node.output, "", "", "", ""][:5]
    if not any(outputs[1:]):
        del old.node.output[1:]
        return
    old.set("training_mode", 1)
    axes = [k for k in range(old.rank(0)) if k != 1] if any(outputs[3:]) else []
    del old.node.output[3:]
    for k, name in enumerate(outputs[1:3], 1):
        if not name:  # the statistics come together
            old.node.output[k] = old.fresh("statistics")
    x = old.needed(0)
    if not any(outputs[3:]):
        return
    where = old.data(axes)
    kept = old.before("ReduceMean", [x, where], keepdims=1)
    distance = old.before("Sub", [x, kept])
    if outputs[3]:
        old.after("ReduceMean", [x, where], outputs[3], keepdims=0)
    if outputs[4]:
        old.after("ReduceMean", [old.after("Mul", [distance, distance]), where], outputs[4], keepdims=0)


@upgrades("GroupNormalization", before=21)
def _group_norm(old: Rewrite) -> None:
    """Opset 21 takes a scale and a bias for each channel instead of each group, and may compute in another dtype."""
    groups = old.take("num_groups")
    if groups is None or groups < 1:
        raise old.error(f"has num_groups={groups}, which must be 1 or more", "repair the file")
    old.set("num_groups", groups)
    data = old.needed(0)
    per_group = old.before("Div", [old.before("Shape", [data], start=1, end=2), old.data([groups])])
    target = old.before("Concat", [old.data([groups]), per_group], axis=0)
    for k in (1, 2):
        column = old.before("Reshape", [old.needed(k), old.data([groups, 1])])
        old.set_input(k, old.before("Reshape", [old.before("Expand", [column, target]), old.data([-1])]))
    if old.dtype(0) == np.float64:
        old.set("stash_type", onnx.TensorProto.DOUBLE)


@upgrades("RoiAlign", before=16)
def _roi_align(old: Rewrite) -> None:
    """Opset 16 moves boxes by half a pixel unless told not to."""
    if not old.has("coordinate_transformation_mode"):
        old.set("coordinate_transformation_mode", "output_half_pixel")


@upgrades("Resize", before=11)
def _resize(old: Rewrite) -> None:
    """Opset 11 moved the sampled points; before, element ``i`` came from ``i / scale``, and nearest rounded it down
    where an axis grows and up where it shrinks.

    An axis grows or shrinks, so that a resize of those that grow and one of those that shrink do both.
    """
    mode = old.take("mode", str)
    mode = {None: "nearest", "bilinear": "linear"}.get(mode, mode)
    if mode not in ("nearest", "linear"):
        raise old.error(f"has mode={mode!r}, which must be 'nearest' or 'linear'", "repair the file")
    data, scales = old.needed(0), old.needed(1)
    known = old.constant(1)
    shrinks = known is None or bool((known < 1).any())
    asymmetric = {"mode": mode, "coordinate_transformation_mode": "asymmetric"}
    if mode == "nearest" and shrinks and (known is None or (known > 1).any()):
        one = old.data(1, "float32")
        data = old.before("Resize", [data, "", old.before("Max", [scales, one])], nearest_mode="floor", **asymmetric)
        scales = old.before("Min", [scales, one])
    old.become("Resize", [data, "", scales])
    for key, value in asymmetric.items():
        old.set(key, value)
    if mode == "nearest":
        old.set("nearest_mode", "ceil" if shrinks else "floor")


@upgrades("Resize", before=13)
def _resize_inputs(old: Rewrite) -> None:
    """Opset 13 leaves out what is not used, where 11 had empty tensors, and dropped ``tf_half_pixel_for_nn``."""
    how = old.take("coordinate_transformation_mode", str)
    nearest = old.take("nearest_mode", str)
    if how == "tf_half_pixel_for_nn":
        if nearest != "floor":
            raise old.error("has coordinate_transformation_mode='tf_half_pixel_for_nn' without nearest_mode='floor'")
        how, nearest = "half_pixel", "round_prefer_ceil"  # floor(x + 0.5 - 0.5 + 0.5)
    if how is not None:
        old.set("coordinate_transformation_mode", how)
    if nearest is not None:
        old.set("nearest_mode", nearest)
    if how != "tf_crop_and_resize" and old.input(1):
        old.set_input(1, "")
    if old.input(3):
        old.set_input(2, "")


@upgrades("Scan", before=9)
def _scan(old: Rewrite) -> None:
    """Opset 9 took the batch axis, which came first everywhere, away, and with it the lengths of the sequences.

    The batch becomes a scan of its own around the old one.
    """
    if old.has("scan_input_axes"):  # the inner scan of this rule, which opset 8 could not say
        return
    if old.input(0):
        raise old.error("has sequence_lens, which no newer opset can say", "use sequences of one length")
    scanned = old.take("num_scan_inputs")
    body, directions = old.take_graph("body"), old.take_list("directions")
    operands = list(old.node.input[1:])
    if scanned is None or not 0 < scanned <= len(operands) or len(body.input) != len(operands):
        raise old.error(
            f"has num_scan_inputs={scanned}, {len(operands)} operands and a body with {len(body.input)} inputs",
            "repair the file",
        )
    inner = node_proto("Scan", "", [old.fresh(f"{v.name}_item") for v in body.input], [])
    inner.output.extend(old.fresh(f"{v.name}_item") for v in body.output)
    inner.name = f"{old.node.name}_sequence"
    outer = onnx.GraphProto(name=f"{body.name}_batch")
    for k, name in enumerate(inner.input):
        outer.input.add(name=name).CopyFrom(_item_of(old, k + 1, name, body.input[k]))
    outer.output.extend(onnx.ValueInfoProto(name=name) for name in inner.output)
    for k, entry in enumerate(outer.output):
        _item_type(entry, body.output[k], scan=k >= len(operands) - scanned)
    inner.attribute.add(name="body", type=onnx.AttributeProto.GRAPH).g.CopyFrom(body)
    inner.attribute.add(name="num_scan_inputs", type=onnx.AttributeProto.INT, i=scanned)
    inner.attribute.add(name="scan_input_axes", type=onnx.AttributeProto.INTS, ints=[0] * scanned)
    if directions is not None:
        inner.attribute.add(name="scan_input_directions", type=onnx.AttributeProto.INTS, ints=directions)
    outer.node.append(inner)
    old.become("Scan", operands)
    old.set("body", outer)
    old.set("num_scan_inputs", len(operands))
    old.set("scan_input_axes", [0] * len(operands))


def _item_of(old: Rewrite, k: int, name: str, inner: onnx.ValueInfoProto) -> onnx.ValueInfoProto:
    """Return the declaration of one item of a batch."""
    entry = onnx.ValueInfoProto(name=name)
    type = old.type(k)
    if type is None:
        entry.type.tensor_type.elem_type = inner.type.tensor_type.elem_type
    elif not type.rank:
        raise old.error(f"has an operand {k} without a batch axis", "repair the file")
    else:
        entry.type.CopyFrom(type_to_proto(TensorType(type.dtype, type.shape[1:])))
    return entry


def _item_type(entry: onnx.ValueInfoProto, inner: onnx.ValueInfoProto, *, scan: bool) -> None:
    """Declare an output of the batch's body: a state is what the old body gives, a scanned value has one axis more."""
    source = inner.type.tensor_type
    entry.type.tensor_type.elem_type = source.elem_type
    if source.HasField("shape"):
        shape = entry.type.tensor_type.shape
        shape.SetInParent()
        if scan:
            shape.dim.add()
        shape.dim.extend(source.shape.dim)
