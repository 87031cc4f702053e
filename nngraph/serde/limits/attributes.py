"""Whether attributes are of the kind that the operator wants, and their numbers possible."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from math import inf, isfinite, prod
from typing import Any

import onnx
from onnx import defs

from nngraph.proto import dtype_from_onnx
from nngraph.serde.limits.common import CAPS, check_name, check_total, refuse
from nngraph.serde.limits.tensors import bits_of, check_sparse, check_tensor, check_type

__all__ = ["check_attributes", "check_operands"]

_KINDS = onnx.AttributeProto
_CONTENT = {
    _KINDS.FLOAT: "f",
    _KINDS.INT: "i",
    _KINDS.STRING: "s",
    _KINDS.TENSOR: "t",
    _KINDS.GRAPH: "g",
    _KINDS.FLOATS: "floats",
    _KINDS.INTS: "ints",
    _KINDS.STRINGS: "strings",
    _KINDS.TENSORS: "tensors",
    _KINDS.GRAPHS: "graphs",
    _KINDS.SPARSE_TENSOR: "sparse_tensor",
    _KINDS.SPARSE_TENSORS: "sparse_tensors",
    _KINDS.TYPE_PROTO: "tp",
    _KINDS.TYPE_PROTOS: "type_protos",
}
_REPEATED = ("floats", "ints", "strings", "tensors", "graphs", "sparse_tensors", "type_protos")

_SIZE = (1, CAPS.size)
_WINDOW = (1, 1 << 24)
_RANGES: dict[str, tuple[float, float]] = {
    # Attributes of ai.onnx operators, whatever the operator: smallest and largest entry.
    "axes": (-CAPS.rank, CAPS.rank),
    "axis": (-CAPS.rank, CAPS.rank),
    "batch_axis": (-CAPS.rank, CAPS.rank),
    "batch_dims": (0, CAPS.rank),
    "block_size": (0, CAPS.size),
    "blocksize": (1, 1 << 15),
    "depth_multiplier": _SIZE,
    "dilations": _WINDOW,
    "group": _SIZE,
    "height_scale": (1e-9, 1 << 24),
    "hidden_size": _SIZE,
    "k": (0, inf),
    "kernel_shape": _WINDOW,
    "kv_num_heads": _SIZE,
    "max_gram_length": (1, 1 << 16),
    "max_skip_count": (0, 1 << 16),
    "min_gram_length": (1, 1 << 16),
    "num_groups": _SIZE,
    "num_heads": (0, CAPS.size),
    "num_outputs": (1, CAPS.values),
    "num_scan_inputs": (1, CAPS.values),
    "offset_group": _SIZE,
    "output_height": _WINDOW,
    "output_padding": (0, 1 << 24),
    "output_width": _WINDOW,
    "perm": (0, CAPS.rank),
    "pooled_shape": _WINDOW,
    "q_num_heads": _SIZE,
    "sample_size": _SIZE,
    "sampling_ratio": (0, 1 << 16),
    "scales": (1e-9, 1 << 24),
    "scan_input_axes": (-CAPS.rank, CAPS.rank),
    "scan_output_axes": (-CAPS.rank, CAPS.rank),
    "split": (0, inf),
    "strides": _WINDOW,
    "time_axis": (-CAPS.rank, CAPS.rank),
    "width_scale": (1e-9, 1 << 24),
}
_RANGES_OF: dict[tuple[str, str], tuple[float, float]] = {
    ("LRN", "size"): _WINDOW,
    ("LpPool", "p"): (1, 1 << 10),
    ("GlobalLpPool", "p"): (1, 1 << 10),
    ("Pad", "pads"): (-CAPS.size, CAPS.size),
    ("Pad", "paddings"): (-CAPS.size, CAPS.size),
}
_PADS = (0, CAPS.size)
"""Outside of Pad, nothing is cut off."""

_DTYPES = ("to", "dtype", "output_dtype")
_SHAPES = ("shape",)
"""Attributes that say the shape of what comes out, whose elements are float32 unless ``dtype`` says otherwise."""


def check_attributes(node: onnx.NodeProto, opset: int | None, where: str) -> None:
    """Refuse attributes that are of another kind than the schema's, contradict themselves, or hold absurd numbers.

    Args:
        node: the node.
        opset: the version of the node's domain that the model declares.
        where: how to call the node in messages.

    Raises:
        ValueError: they do.
    """
    if len(node.attribute) > CAPS.attributes:
        raise refuse(where, f"has {len(node.attribute)} attributes; {CAPS.attributes} are allowed")
    wanted = _kinds(node.op_type, node.domain, opset)
    standard = node.domain in ("", "ai.onnx")
    seen = set()
    for attribute in node.attribute:
        name = attribute.name
        if name not in wanted:  # those of the schema have good names
            check_name(name, f"an attribute of {where}")
        here = f"{where}: attribute {name!r}"
        if name in seen:
            raise refuse(here, "comes twice")
        seen.add(name)
        _check_kind(attribute, wanted.get(name), here)
        if attribute.ref_attr_name:
            continue
        _check_content(attribute, here)
        if standard:
            _check_numbers(node.op_type, attribute, here)
            if name == "num_outputs" and node.op_type == "Split" and attribute.i < len(node.output):
                raise refuse(here, f"is {attribute.i}, but the node has {len(node.output)} outputs")


@cache
def _kinds(op: str, domain: str, opset: int | None) -> dict[str, int]:
    """Return the kinds of an operator's attributes, by name; nothing for an unknown operator."""
    domain = "" if domain == "ai.onnx" else domain
    if opset is None or not 0 < opset < CAPS.size or not defs.has(op, opset, domain):
        return {}
    attributes = defs.get_schema(op, opset, domain).attributes
    return {name: a.type.value for name, a in attributes.items()}  # type: ignore[attr-defined]


def _check_kind(attribute: onnx.AttributeProto, wanted: int | None, where: str) -> None:
    kind = attribute.type
    names = _KINDS.AttributeType
    if kind not in _CONTENT:
        raise refuse(where, f"is of the kind {kind}, which does not exist")
    if wanted is not None and kind != wanted:
        raise refuse(where, f"is of the kind {names.Name(kind)}, and the operator wants {names.Name(wanted)}")
    content = _CONTENT[kind]
    for field, _ in attribute.ListFields():
        if field.name != content and field.name in _CONTENT.values():
            raise refuse(where, f"is of the kind {names.Name(kind)}, but holds {field.name!r}")
    if content in ("t", "g", "tp", "sparse_tensor") and not attribute.HasField(content) and not attribute.ref_attr_name:
        raise refuse(where, f"is of the kind {names.Name(kind)}, but holds nothing")


def _check_content(attribute: onnx.AttributeProto, where: str) -> None:
    content = _CONTENT[attribute.type]
    if content in _REPEATED and len(getattr(attribute, content)) > CAPS.numbers:
        count = len(getattr(attribute, content))
        raise refuse(where, f"has {count} entries; {CAPS.numbers} are allowed")
    if content == "t":
        check_tensor(attribute.t, where)
    elif content == "tensors":
        for k, tensor in enumerate(attribute.tensors):
            check_tensor(tensor, f"{where}, entry {k}")
    elif content == "sparse_tensor":
        check_sparse(attribute.sparse_tensor, where)
    elif content == "sparse_tensors":
        for k, sparse in enumerate(attribute.sparse_tensors):
            check_sparse(sparse, f"{where}, entry {k}")
    elif content == "tp":
        check_type(attribute.tp, where)
    elif content == "type_protos":
        for proto in attribute.type_protos:
            check_type(proto, where)


def _check_numbers(op: str, attribute: onnx.AttributeProto, where: str) -> None:
    name, content = attribute.name, _CONTENT[attribute.type]
    if content not in ("i", "f", "ints", "floats"):
        return
    value = getattr(attribute, content)
    entries = list(value) if content in _REPEATED else [value]
    if content in ("i", "ints") and name in _DTYPES and (name == "to" or entries != [0]):
        try:
            dtype_from_onnx(entries[0])
        except ValueError:
            raise refuse(where, f"is {entries[0]}, which is no element type") from None
    if name in _SHAPES and op.startswith("Random"):
        check_total(prod(max(e, 0) for e in entries) * 4, where)
    low, high = _RANGES_OF.get((op, name)) or (_PADS if name == "pads" else _RANGES.get(name, (-inf, inf)))
    for entry in entries:
        if not low <= entry <= high:  # nor a number that is none
            raise refuse(where, f"is {_short(value)}; {_allowed(low, high)} is possible")
    if name == "kernel_shape" and prod(entries) > CAPS.size:
        raise refuse(where, f"is {_short(value)}, {prod(entries)} elements; {CAPS.size} are possible")
    if name == "perm" and sorted(entries) != list(range(len(entries))):
        raise refuse(where, f"is {_short(value)}, which is no order of axes")


def _short(value: Any) -> str:
    text = str(list(value) if not isinstance(value, (int, float)) else value)
    return text if len(text) <= 60 else text[:57] + "..."


def _allowed(low: float, high: float) -> str:
    return f"{low} or more" if high == inf else f"{low} to {high}"


# -- inputs that are constants --------------------------------------------------------------------------------------


def check_operands(node: onnx.NodeProto, known: Callable[[str], Sequence[float] | None], where: str) -> None:
    """Refuse sizes, counts and scales that a node takes from constants and that are impossible or huge.

    Args:
        node: a node of ai.onnx.
        known: gives the numbers of a constant by its name.
        where: how to call the node in messages.

    Raises:
        ValueError: they are.
    """

    op = node.op_type
    if op not in _SHAPE_INPUTS and op not in _OPERANDS and op != "Range":
        return

    def constant(k: int) -> Sequence[float] | None:
        return known(node.input[k]) if k < len(node.input) else None

    position = _SHAPE_INPUTS.get(op)
    shape = None if position is None else constant(position)
    if shape is not None:
        _check_shape(node, shape, where)
    limits = _OPERANDS.get(op, {})
    for k, (what, low, high) in limits.items():
        for entry in constant(k) or ():
            if not low <= entry <= high:
                raise refuse(where, f"takes {what} {entry} from {node.input[k]!r}; {_allowed(low, high)} is possible")
    if op == "Tile" and (repeats := constant(1)) is not None:
        check_total(int(prod(max(int(r), 0) for r in repeats)), where)
    if op == "Range":
        start, limit, delta = (constant(k) for k in range(3))
        if start and limit and delta:
            _check_range(start[0], limit[0], delta[0], where)


_SHAPE_INPUTS = {
    # The input that says how large the result is.
    "AffineGrid": 1,
    "CenterCropPad": 1,
    "Col2Im": 1,
    "ConstantOfShape": 0,
    "Expand": 1,
    "Reshape": 1,
}
_OPERANDS: dict[str, dict[int, tuple[str, float, float]]] = {
    "BlackmanWindow": {0: ("the length", 0, CAPS.size)},
    "CumSum": {1: ("the axis", -CAPS.rank, CAPS.rank)},
    "DFT": {1: ("the length", 1, CAPS.size), 2: ("the axis", -CAPS.rank, CAPS.rank)},
    "HammingWindow": {0: ("the length", 0, CAPS.size)},
    "HannWindow": {0: ("the length", 0, CAPS.size)},
    "MelWeightMatrix": {0: ("the number of bins", 1, CAPS.size), 1: ("the length", 1, CAPS.size)},
    "OneHot": {1: ("the depth", 1, CAPS.size)},
    "Pad": {1: ("the padding", -CAPS.size, CAPS.size), 3: ("the axis", -CAPS.rank, CAPS.rank)},
    "Resize": {2: ("the scale", 1e-9, 1 << 24), 3: ("the size", 0, CAPS.size)},
    "Split": {1: ("the part", 0, inf)},
    "Squeeze": {1: ("the axis", -CAPS.rank, CAPS.rank)},
    "STFT": {1: ("the step", 1, CAPS.size), 3: ("the length", 1, CAPS.size)},
    "Tile": {1: ("the count", 0, CAPS.size)},
    "TopK": {1: ("k =", 0, inf)},
    "Unsqueeze": {1: ("the axis", -CAPS.rank, CAPS.rank)},
    "Upsample": {1: ("the scale", 1e-9, 1 << 24)},
}


def _check_shape(node: onnx.NodeProto, shape: Sequence[float], where: str) -> None:
    lowest = -1 if node.op_type in ("Reshape", "Expand") else 0  # runtimes read -1 in Expand as 1
    if any(isinstance(d, float) for d in shape):
        raise refuse(where, f"takes the shape {_short(shape)}; sizes are whole numbers")
    if any(d < lowest for d in shape):
        raise refuse(where, f"takes the shape {_short(shape)}; no size may be negative")
    bits = 8
    if node.op_type == "ConstantOfShape":
        fill = next((a.t.data_type for a in node.attribute if a.name == "value"), onnx.TensorProto.FLOAT)
        bits = bits_of(dtype_from_onnx(fill))
    check_total(int(prod(d for d in shape if d > 0 or not lowest)) * bits // 8, where)


def _check_range(start: float, limit: float, delta: float, where: str) -> None:
    if delta == 0 or not all(map(isfinite, (start, limit, delta))):
        raise refuse(where, f"counts from {start} to {limit} in steps of {delta}, which never ends")
    count = (limit - start) / delta
    check_total(max(int(count), 0) * 4 if isfinite(count) else 1 << 100, where)
