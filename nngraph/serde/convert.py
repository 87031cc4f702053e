"""Graph to ModelProto and back: the one place that speaks whole protobuf models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import inliner, version_converter

from nngraph.ir import Graph, Node, TensorType, Value
from nngraph.proto import (
    array_to_tensor,
    attribute_from_proto,
    attribute_to_proto,
    node_proto,
    tensor_to_array,
    type_from_proto,
    type_to_proto,
)
from nngraph.registry import COMPOSITE_DOMAIN
from nngraph.schema import OPSET, RUNTIME_OPSET, has_schema, infer_types, lowest_opset

__all__ = ["from_proto", "to_proto"]

_IR_VERSIONS = ((20, 9), (21, 10), (23, 11), (25, 12))
"""(first opset, IR version that came with it); readers refuse a file whose IR version is newer than theirs."""


def to_proto(graph: Graph, opset_version: int | None = None) -> onnx.ModelProto:
    """Return the ONNX model of a graph.

    Args:
        graph: a graph without composite operators (lower it first).
        opset_version: the ai.onnx opset to declare; default is 20, or the oldest newer one that expresses the graph.

    Raises:
        ValueError: composite operators are left, or a node cannot be expressed in the wanted opset (all are named).

    Example:
        >>> from nngraph.ir import Graph, Node, TensorType
        >>> g = Graph("g"); x = g.add_input("x", TensorType("float32", ("batch",)))
        >>> y = g.append(Node("Relu", [x], {}), [x.type]).output
        >>> g.set_outputs([y], ["y"]); to_proto(g).opset_import[0].version
        20
    """
    opset = _choose_opset(graph, opset_version)
    model = onnx.ModelProto()
    model.ir_version = max(v for first, v in _IR_VERSIONS if first <= max(opset, 20))
    model.producer_name = "nngraph"
    model.opset_import.add(domain="", version=opset)
    for domain in sorted({n.domain for n in graph.all_nodes()} - {""}):
        model.opset_import.add(domain=domain, version=1)
    for key, text in sorted(graph.metadata.items()):
        model.metadata_props.add(key=key, value=text)
    model.graph.CopyFrom(_graph_to_proto(graph))
    return model


def _choose_opset(graph: Graph, wanted: int | None) -> int:
    composites = sorted({n.op_id for n in graph.all_nodes() if n.domain == COMPOSITE_DOMAIN})
    if composites:
        raise ValueError(
            f"graph {graph.name!r} holds composite operators {composites}; lower it first with passes.lower"
        )
    floor = RUNTIME_OPSET if wanted is None else wanted
    if wanted is not None and not 13 <= wanted <= OPSET:
        raise ValueError(f"opset_version={wanted} is not supported; choose 13 to {OPSET}")
    needs = {n: lowest_opset(n, min(floor, RUNTIME_OPSET)) for n in graph.all_nodes()}
    needed = max(needs.values(), default=floor)
    if wanted is not None and needed > wanted:
        blockers = sorted({f"{n.op_id} (needs {v})" for n, v in needs.items() if v > wanted})
        raise ValueError(
            f"opset_version={wanted} cannot express {', '.join(blockers)}; use opset_version={needed} or later"
        )
    return max(floor, needed)


def _graph_to_proto(graph: Graph, outer: Mapping[Value, str] | None = None) -> onnx.GraphProto:
    proto = onnx.GraphProto()
    proto.name = graph.name
    # The body of a loop or branch knows values of the graphs around it by the names they have there.
    names = {**(outer or {}), **_serial_names(graph)}

    def body_to_proto(body: Graph) -> onnx.GraphProto:
        return _graph_to_proto(body, names)

    def name_of(value: Value | None) -> str:
        return "" if value is None else names.get(value, value.name)

    for value in graph.inputs:
        proto.input.add(name=value.name).type.CopyFrom(type_to_proto(value.type))
    for value in graph.constants:
        assert value.data is not None
        proto.initializer.append(array_to_tensor(value.data, name_of(value)))
    for node in graph:
        outputs = [name_of(o) for o in node.outputs]
        entry = node_proto(node.op, node.domain, [name_of(v) for v in node.inputs], outputs)
        entry.name = node.name
        for key, attribute in sorted(node.attributes.items()):
            entry.attribute.append(attribute_to_proto(key, attribute, node.domain, body_to_proto))
        if node.origin.layer:
            entry.metadata_props.add(key="nngraph.layer", value=node.origin.layer)
        proto.node.append(entry)
    for name, value in zip(graph.output_names, graph.outputs, strict=True):
        if name_of(value) != name:
            proto.node.append(node_proto("Identity", "", [name_of(value)], [name]))
        proto.output.add(name=name).type.CopyFrom(type_to_proto(value.type))
    return proto


def _serial_names(graph: Graph) -> dict[Value, str]:
    """Give node outputs that leave the graph the name by which the outside knows them, where they can take it."""
    names: dict[Value, str] = {}
    inner = {v.name for v in graph.values()} | {v.name for n in graph for s in n.subgraphs for v in _deep(s)}
    wanted = set(graph.output_names)
    for name, value in zip(graph.output_names, graph.outputs, strict=True):
        if value.producer is not None and value not in names and (name == value.name or name not in inner):
            names[value] = name
    # An inner value that would clash with an output's name steps aside.
    for value in graph.values():
        if value.name in wanted and value not in names and value.producer is not None:
            names[value] = graph.unique_name(value.name + "_inner")
    return names


def _deep(graph: Graph) -> list[Value]:
    return [*graph.values(), *(v for n in graph for s in n.subgraphs for v in _deep(s))]


def from_proto(model: onnx.ModelProto, *, base_dir: str = "") -> Graph:
    """Return the graph of an ONNX model, brought to the one opset, with functions inlined and every type inferred.

    Args:
        model: the model; it is not changed.
        base_dir: folder of external data files.

    Raises:
        ValueError: the model is not valid ONNX, or holds something that the graph cannot (the node is named).
    """
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise ValueError(f"the model is not valid ONNX: {error}") from None
    if model.functions:
        model = inliner.inline_local_functions(model)
    version = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), OPSET)
    if version > OPSET:
        raise ValueError(f"the model uses ai.onnx opset {version}; the newest supported is {OPSET}")
    if version < OPSET and _needs_conversion(model, version):
        try:
            model = version_converter.convert_version(model, OPSET)
        except Exception as error:
            raise ValueError(f"onnx cannot upgrade the model from opset {version} to {OPSET}: {error}") from None
    graph = _Reader(base_dir).graph(model.graph, None, {})
    for entry in model.metadata_props:
        graph.metadata[entry.key] = entry.value
    return graph


def _needs_conversion(model: onnx.ModelProto, version: int) -> bool:
    """Whether some operator means something else at the graph's opset than at the model's."""

    def changed(proto: onnx.GraphProto) -> bool:
        for node in proto.node:
            if node.domain in ("", "ai.onnx") and not _same_meaning(node, version):
                return True
            if any(changed(a.g) for a in node.attribute if a.type == onnx.AttributeProto.GRAPH):
                return True
        return False

    return changed(model.graph)


def _same_meaning(node: onnx.NodeProto, version: int) -> bool:
    if not has_schema(node.op_type):
        return False
    old = onnx.defs.get_schema(node.op_type, version, "")
    new = onnx.defs.get_schema(node.op_type, OPSET, "")
    if old.since_version == new.since_version:
        return True
    # From opset 18 on, later versions only added dtypes and attributes, these operators excepted.
    changed_since = {"GroupNormalization": 21, "Resize": 19, "AveragePool": 19, "Attention": 24, "Pad": 19}
    return version >= max(18, changed_since.get(node.op_type, 18))


class _Reader:
    def __init__(self, base_dir: str) -> None:
        self.base_dir = base_dir

    def graph(self, proto: onnx.GraphProto, parent: Graph | None, outer: dict[str, Value]) -> Graph:
        graph = Graph(proto.name or "graph", parent)
        scope = dict(outer)
        stored = {t.name for t in proto.initializer}
        for entry in proto.input:
            if entry.name not in stored:
                type = type_from_proto(entry.type, what=f"input {entry.name!r}")
                scope[entry.name] = graph.add_input(entry.name, self.named(type, graph))
        for tensor in proto.initializer:
            scope[tensor.name] = graph.add_constant(tensor_to_array(tensor, self.base_dir), tensor.name)
        for entry in proto.node:
            self.node(entry, graph, scope)
        outputs = []
        for entry in proto.output:
            value = scope[entry.name]
            if value.graph is not graph:
                value = graph.append(Node("Identity", [value], {}), [value.type]).output
            outputs.append(value)
        graph.set_outputs(outputs, [o.name for o in proto.output])
        return graph

    def named(self, type: TensorType, graph: Graph) -> TensorType:
        return type.with_shape(graph.unique_name("dim") if d == "?" else d for d in type.shape)

    def node(self, proto: onnx.NodeProto, graph: Graph, scope: dict[str, Value]) -> None:
        domain = "" if proto.domain == "ai.onnx" else proto.domain
        attributes: dict[str, Any] = {
            a.name: attribute_from_proto(a, domain, lambda g: self.graph(g, graph, scope)) for a in proto.attribute
        }
        if proto.op_type == "Constant" and domain == "":
            scope[proto.output[0]] = graph.add_constant(_constant(attributes), proto.output[0])
            return
        missing = [n for n in proto.input if n and n not in scope]
        if missing:
            raise ValueError(f"node {proto.name!r} ({proto.op_type}) uses {missing}, which nothing defines")
        inputs = [scope[n] if n else None for n in proto.input]
        while inputs and inputs[-1] is None:
            inputs.pop()
        node = Node(proto.op_type, inputs, attributes, domain=domain, name=proto.name or proto.output[0])
        if not has_schema(proto.op_type, domain):
            raise ValueError(f"node {node.name!r}: operator {node.op_id!r} is not known to onnx {onnx.__version__}")
        node.outputs = tuple(Value(n, TensorType("float32", ()), graph) for n in proto.output)
        try:
            types = infer_types(node)
        except ValueError as error:
            raise ValueError(f"node {node.name!r}: {error}") from None
        node.outputs = ()
        types = [self.named(t, graph) for t in types[: len(proto.output)]]
        names = [n or f"{node.name}.{k}" for k, n in enumerate(proto.output)][: len(types)]
        outputs = graph.append(node, types, names).outputs
        for name, output in zip(proto.output, outputs, strict=False):
            if name:
                scope[name] = output


def _constant(attributes: dict[str, Any]) -> np.ndarray[Any, Any]:
    (key, value), *_ = attributes.items()
    if key == "value":
        return np.asarray(value)
    dtype = {"value_float": "float32", "value_floats": "float32", "value_int": "int64", "value_ints": "int64"}.get(key)
    if dtype is None:
        return np.asarray(value, dtype=object)
    return np.asarray(value, dtype=dtype)
