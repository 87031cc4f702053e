"""What ONNX itself says of an operator: its schema, its output types, and the oldest opset that expresses it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import onnx
from onnx import defs

from nngraph.ir import Graph, Node, OpaqueType, TensorType, Value
from nngraph.proto import (
    array_to_tensor,
    attribute_to_proto,
    node_proto,
    sequence_of,
    type_from_proto,
    type_to_proto,
    unranked,
)
from nngraph.symbolic import known_types, ranked, refine

__all__ = [
    "OPSET",
    "RUNTIME_OPSET",
    "changed_after",
    "has_attribute",
    "has_schema",
    "infer_types",
    "loop_count",
    "lowest_opset",
    "remembered",
    "schema_of",
    "signature",
]

T = TypeVar("T")

OPSET = 26
"""The one opset of the graph: the newest that onnxruntime 1.31 executes. Exports may ask for an older one."""

RUNTIME_OPSET = 20
"""Files and sessions use this opset unless an operator needs a newer one: runtimes of all ages then recognise them."""


_NEWEST = 1_000
"""Of domains other than ai.onnx the newest version that onnx knows is taken."""


@functools.cache
def schema_of(op: str, domain: str = "") -> defs.OpSchema:
    """Return the schema of an operator at the graph's opset.

    Raises:
        ValueError: there is no such operator.
    """
    try:
        return defs.get_schema(op, OPSET if domain == "" else _NEWEST, domain)
    except Exception:
        where = f"domain {domain!r}" if domain else f"ai.onnx opset {OPSET}"
        raise ValueError(f"operator {op!r} does not exist in {where}") from None


@functools.cache
def has_attribute(op: str, name: str, opset: int) -> bool:
    """Tell whether an ai.onnx operator has an attribute in an opset."""
    return name in defs.get_schema(op, opset, "").attributes


@functools.cache
def has_schema(op: str, domain: str = "") -> bool:
    """Tell whether onnx knows the operator."""
    return bool(defs.has(op, OPSET if domain == "" else _NEWEST, domain))


def infer_types(node: Node) -> list[TensorType]:
    """Return the output types of a node from its inputs, attributes and constants.

    Sizes that cannot be known are ``"?"``. Of an operator without a schema, what is recorded is returned.

    Raises:
        ValueError: the node does not fit the operator's schema.
    """
    if node.op == "If":
        return _merge_branches(node)
    if node.op == "Scan":
        return _scan_types(node)
    if node.op == "Loop":
        return _loop_types(node)
    if node.domain and not has_schema(node.op, node.domain):
        return [OpaqueType.named() if o is None else o.type for o in node.outputs]
    if node.op == "SequenceMap":
        return [sequence_of(v.type) for v in node.attributes["body"].outputs]
    own = known_types(node)
    if own is not None:
        return own
    types = _onnx_infer(node)
    # What follows from sizes needs inputs that have some.
    if any(v is not None and isinstance(v.type, OpaqueType) for v in node.inputs):
        return types
    return refine(node, ranked(node, types))


_SHAPED_LIKE_INPUT = ("GroupNormalization", "MeanVarianceNormalization")
"""Operators for which ONNX has no inference at all."""


_SIZES_FROM_FLOATS = ("Range", "Resize")
"""Operators whose sizes may depend on constants that are no integers."""

_KNOWN: dict[Any, tuple[TensorType, ...]] = {}
"""What was inferred before: layers repeat, and so do the nodes of their gradients."""

_KNOWN_LIMIT = 20_000


def _onnx_infer(node: Node) -> list[TensorType]:
    if node.subgraphs:
        return _onnx_infer_anew(node)
    known = remembered(_KNOWN, signature(node), lambda: tuple(_onnx_infer_anew(node)))
    return list(known)


def remembered(memory: dict[Any, T], key: Any, make: Callable[[], T]) -> T:
    """Return what was made for a key before, or make it; a memory that is full starts anew."""
    known = memory.get(key)
    if known is None:
        if len(memory) >= _KNOWN_LIMIT:
            memory.clear()
        known = memory[key] = make()
    return known


def signature(node: Node) -> Any:
    """Everything on which ONNX's inference of a node depends."""
    inputs = tuple(None if v is None else (v.type, _data_key(node, v)) for v in node.inputs)
    return node.op, node.domain, inputs, _attributes_key(node), len(node.outputs)


def _attributes_key(node: Node) -> Any:
    return tuple((k, _attribute_key(a)) for k, a in sorted(node.attributes.items()))


def _attribute_key(attribute: Any) -> Any:
    if isinstance(attribute, np.ndarray):
        return attribute.dtype.name, attribute.shape, attribute.tobytes()
    if isinstance(attribute, (tuple, list)):
        return tuple(map(_attribute_key, attribute))
    return type(attribute), attribute  # 1, 1.0 and True are equal in Python


def _data_key(node: Node, value: Value) -> bytes | None:
    return value.data.tobytes() if value.data is not None and _may_decide(node, value) else None


def _may_decide(node: Node, value: Value) -> bool:
    """Whether the contents of a constant may decide about sizes."""
    small = value.data is not None and (value.data.size <= 64 or node.op == "Split")  # Split has a size for each output
    return small and (value.dtype.startswith(("int", "uint")) or node.op in _SIZES_FROM_FLOATS)


def _onnx_infer_anew(node: Node) -> list[TensorType]:
    schema = schema_of(node.op, node.domain)
    _check_form(node, schema)
    if node.op in _SHAPED_LIKE_INPUT and node.inputs[0] is not None:
        return [node.inputs[0].type]
    names = ["" if v is None else f"i{k}" for k, v in enumerate(node.inputs)]
    wanted = max(len(node.outputs), schema.min_output)
    outputs = [f"o{k}" for k in range(wanted)]
    proto = node_proto(node.op, node.domain, names, outputs)
    proto.attribute.extend(attribute_to_proto(k, v, node.domain) for k, v in node.attributes.items())
    types = {n: type_to_proto(v.type) for n, v in zip(names, node.inputs, strict=True) if v is not None}
    data = {
        n: array_to_tensor(v.data, n)
        for n, v in zip(names, node.inputs, strict=True)
        if v is not None and v.data is not None and _may_decide(node, v)
    }
    opsets = [onnx.helper.make_opsetid("", OPSET)]
    if node.domain:
        opsets.append(onnx.helper.make_opsetid(node.domain, schema.since_version))
    try:
        found = onnx.shape_inference.infer_node_outputs(schema, proto, types, data, opset_imports=opsets)
    except Exception as error:  # onnx raises several kinds, all meaning that the node is illegal
        if any(v is not None and isinstance(v.type, OpaqueType) for v in node.inputs):
            return [OpaqueType.named()] * wanted
        given = ", ".join("absent" if v is None else str(v.type) for v in node.inputs)
        raise ValueError(f"{node.op_id} does not accept ({given}): {_last_line(error)}") from None
    return [
        type_from_proto(_possible(found[o]), what=f"output {k} of {node.op_id}") if o in found else OpaqueType.named()
        for k, o in enumerate(outputs)
    ]


def _possible(type: onnx.TypeProto) -> onnx.TypeProto:
    """Return the type without negative sizes, which inference finds in branches that are never taken."""
    for dim in type.tensor_type.shape.dim if type.HasField("tensor_type") else ():
        if dim.dim_value < 0:
            dim.ClearField("dim_value")
    return type


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _check_form(node: Node, schema: defs.OpSchema) -> None:
    unknown = set(node.attributes) - set(schema.attributes)
    if unknown:
        raise ValueError(f"{node.op_id} has no attribute {sorted(unknown)}; it has {sorted(schema.attributes)}")
    missing = [k for k, a in schema.attributes.items() if a.required and k not in node.attributes]
    if missing:
        raise ValueError(f"{node.op_id} needs the attribute {missing}")
    if not schema.min_input <= len(node.inputs) <= schema.max_input:
        raise ValueError(f"{node.op_id} takes {schema.min_input} to {schema.max_input} inputs, got {len(node.inputs)}")


# -- control flow: the subgraphs are typed already -----------------------------------------------------------------


def _join(a: TensorType, b: TensorType) -> TensorType:
    if isinstance(a, OpaqueType) or isinstance(b, OpaqueType):
        return a if a == b else OpaqueType.named()
    if a.dtype != b.dtype:
        raise ValueError(f"the branches of If return {a} and {b}; they must have the same dtype")
    if a.rank != b.rank:
        return unranked(a.dtype)
    return a.with_shape(x if x == y else "?" for x, y in zip(a.shape, b.shape, strict=True))


def _merge_branches(node: Node) -> list[TensorType]:
    then, other = node.attributes["then_branch"], node.attributes["else_branch"]
    if len(then.outputs) != len(other.outputs):
        raise ValueError(f"the branches of If return {len(then.outputs)} and {len(other.outputs)} values")
    return [_join(a.type, b.type) for a, b in zip(then.outputs, other.outputs, strict=True)]


def _scan_types(node: Node) -> list[TensorType]:
    body: Graph = node.attributes["body"]
    scanned = int(node.attributes["num_scan_inputs"])
    states = len(node.inputs) - scanned
    axes = node.attributes.get("scan_output_axes") or (0,) * (len(body.outputs) - states)
    first = node.inputs[states] if scanned else None
    in_axis = (node.attributes.get("scan_input_axes") or (0,))[0]
    length = first.shape[in_axis] if first is not None else "?"
    types = [v.type for v in body.outputs[:states]]
    for value, axis in zip(body.outputs[states:], axes, strict=True):
        shape = list(value.shape)
        shape.insert(axis if axis >= 0 else len(shape) + 1 + axis, length)
        types.append(value.type.with_shape(shape))
    return types


def _loop_types(node: Node) -> list[TensorType]:
    body: Graph = node.attributes["body"]
    carried = len(node.inputs) - 2
    count = loop_count(node)
    types = [v.type for v in body.outputs[1 : 1 + carried]]
    for value in body.outputs[1 + carried :]:
        types.append(value.type.with_shape(("?" if count is None else count, *value.shape)))
    return types


def loop_count(node: Node) -> int | None:
    """Return how many times a Loop runs, where that is known: a constant limit, and a body that never stops it."""
    body: Graph = node.attributes["body"]
    limit, goes_on = node.inputs[0], body.outputs[0]
    while goes_on.producer is not None and goes_on.producer.op == "Identity" and goes_on.producer.inputs[0] is not None:
        goes_on = goes_on.producer.inputs[0]
    first = node.inputs[1] if len(node.inputs) > 1 else None
    starts = first is None or (first.data is not None and bool(first.data.reshape(())))
    always = goes_on.data is not None and bool(goes_on.data.reshape(()))
    if limit is None or limit.data is None or not starts or not always:
        return None
    return max(int(limit.data.reshape(())), 0)


# -- older opsets ---------------------------------------------------------------------------------------------------


@functools.cache
def _history() -> dict[tuple[str, str], tuple[int, ...]]:
    versions: dict[tuple[str, str], set[int]] = {}
    for s in defs.get_all_schemas_with_history():
        versions.setdefault((s.name, s.domain), set()).add(s.since_version)
    return {key: tuple(sorted(v for v in found if v <= OPSET)) for key, found in versions.items()}


def lowest_opset(node: Node, floor: int = 13) -> int:
    """Return the oldest ai.onnx opset, at least ``floor``, that expresses this node as it stands.

    A version of an operator expresses the node when it has its attributes, takes its dtypes and as many inputs, and
    the versions in between changed nothing else that the node relies on.
    """
    if node.domain != "":
        return floor
    if node.subgraphs:
        return _lowest_opset_anew(node, floor)
    dtypes = tuple(tuple(None if v is None else v.dtype for v in values) for values in (node.inputs, node.outputs))
    key = node.op, floor, dtypes, _attributes_key(node)
    return remembered(_LOWEST, key, lambda: _lowest_opset_anew(node, floor))


_LOWEST: dict[Any, int] = {}


def _lowest_opset_anew(node: Node, floor: int) -> int:
    best = OPSET
    for version in reversed(_history().get((node.op, ""), ())):
        if not _expresses(node, version):
            break
        best = version
        if version <= floor:
            break
    return max(best, floor)


_MEANING_CHANGED = {
    # The same signature means something else before these versions.
    "Softmax": 13,
    "LogSoftmax": 13,
    "Hardmax": 13,
    "GroupNormalization": 21,
    "ScatterElements": 16,
    "ScatterND": 16,
    "AveragePool": 19,
    "Resize": 19,
    "Clip": 11,
    "Pad": 11,
    "TopK": 11,
    "BatchNormalization": 15,
    "LRN": 13,
    "Attention": 24,
}


def changed_after(op: str, opset: int) -> bool:
    """Tell whether an operator with the same signature means something else in newer opsets than this one."""
    return opset < _MEANING_CHANGED.get(op, 0)


def _expresses(node: Node, version: int) -> bool:
    if changed_after(node.op, version):
        return False
    schema = defs.get_schema(node.op, version, "")
    new = schema_of(node.op)
    if schema.deprecated or not schema.min_input <= len(node.inputs) <= schema.max_input:
        return False
    if len(node.outputs) > schema.max_output:
        return False
    for name, value in node.attributes.items():
        if name not in schema.attributes:
            default = new.attributes[name].default_value
            if default.name == "" or attribute_to_proto(name, value) != default:
                return False
    if any(a.required and k not in node.attributes for k, a in schema.attributes.items()):
        return False
    allowed = {c.type_param_str: c.allowed_type_strs for c in schema.type_constraints}

    def fits(values: Sequence[Value | None], parameters: Sequence[Any]) -> bool:
        for k, value in enumerate(values):
            if value is None:
                continue
            parameter = parameters[min(k, len(parameters) - 1)]
            if parameter.name != _parameter_name(new, values is node.outputs, k):
                return False
            types = allowed.get(parameter.type_str, [parameter.type_str])
            if f"tensor({_onnx_name(value.dtype)})" not in types:
                return False
        return True

    return fits(node.inputs, schema.inputs) and fits(node.outputs, schema.outputs)


def _parameter_name(schema: defs.OpSchema, output: bool, k: int) -> str:
    parameters = schema.outputs if output else schema.inputs
    return str(parameters[min(k, len(parameters) - 1)].name)


def _onnx_name(dtype: str) -> str:
    return {"float32": "float", "float64": "double"}.get(dtype, dtype.replace("_", ""))


def attribute_default(op: str, name: str, domain: str = "") -> Any:
    """Return the default of an attribute as a Python value, or ``None`` when there is none."""
    attribute = schema_of(op, domain).attributes.get(name)
    if attribute is None or attribute.default_value.name == "":
        return None
    value = onnx.helper.get_attribute_value(attribute.default_value)
    if isinstance(value, bytes):
        return value.decode()
    return np.asarray(value).tolist() if isinstance(value, list) else value
