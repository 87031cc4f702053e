"""Graph to ModelProto: what every exporter and session writes."""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from nngraph.garbage import collection_paused
from nngraph.ir import Graph, Value
from nngraph.proto import array_to_tensor, attribute_to_proto, node_proto, type_to_proto
from nngraph.registry import COMPOSITE_DOMAIN
from nngraph.schema import OPSET, RUNTIME_OPSET, has_attribute, lowest_opset

__all__ = ["to_proto"]

_IR_VERSIONS = ((20, 9), (21, 10), (23, 11), (25, 12))
"""(first opset, IR version that came with it); readers refuse a file whose IR version is newer than theirs."""


@collection_paused()
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
        model.opset_import.add(domain=domain, version=graph.domains.get(domain, 1))
    for key, text in sorted(graph.metadata.items()):
        model.metadata_props.add(key=key, value=text)
    _write_graph(model.graph, graph, opset)
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


def _write_graph(proto: onnx.GraphProto, graph: Graph, opset: int, outer: Mapping[Value, str] | None = None) -> None:
    """Write a graph into an empty protobuf."""
    proto.name = graph.name
    # The body of a loop or branch knows values of the graphs around it by the names they have there.
    names = {**(outer or {}), **_serial_names(graph)}

    def body_to_proto(body: Graph) -> onnx.GraphProto:
        written = onnx.GraphProto()
        _write_graph(written, body, opset, names)
        return written

    def name_of(value: Value | None) -> str:
        return "" if value is None else names.get(value, value.name)

    for value in graph.inputs:
        proto.input.add(name=value.name).type.CopyFrom(type_to_proto(value.type))
    for value in graph.constants:
        assert value.data is not None
        proto.initializer.append(array_to_tensor(value.data, name_of(value)))
    for node in graph:
        outputs = [name_of(o) for o in node.outputs]
        inputs = [name_of(v) for v in node.inputs]
        entry = proto.node.add(op_type=node.op, domain=node.domain, name=node.name, input=inputs, output=outputs)
        for key, attribute in sorted(node.attributes.items()):
            if not node.domain and not has_attribute(node.op, key, opset):
                continue  # it has the default; the opset would be newer otherwise
            entry.attribute.append(attribute_to_proto(key, attribute, node.domain, body_to_proto))
        if node.origin.layer:
            entry.metadata_props.add(key="nngraph.layer", value=node.origin.layer)
    for name, value in zip(graph.output_names, graph.outputs, strict=True):
        if name_of(value) != name:
            proto.node.append(node_proto("Identity", "", [name_of(value)], [name]))
        proto.output.add(name=name).type.CopyFrom(type_to_proto(value.type))


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
