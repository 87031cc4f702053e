"""What an operator means in simpler ones, as ONNX itself says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import inliner

from nngraph.ir import Graph, Node, TensorType, Value
from nngraph.proto import type_to_proto
from nngraph.schema import OPSET, infer_types, schema_of
from nngraph.serde.from_onnx import from_proto
from nngraph.serde.to_onnx import to_proto

__all__ = ["function_body"]


def function_body(
    op: str,
    inputs: Sequence[TensorType | np.ndarray[Any, Any] | None],
    attributes: Mapping[str, Any],
    outputs: int = 1,
) -> Graph:
    """Return the body that ONNX gives an operator it defines as a function.

    Args:
        op: the operator, in ai.onnx.
        inputs: for each input its type, its value where that is constant, or ``None`` where it is absent.
        attributes: the node's attributes.
        outputs: how many outputs to give.

    Returns:
        A graph with one input for each type among ``inputs``.

    Raises:
        ValueError: ONNX does not define the operator as a function of others.

    Example:
        >>> body = function_body("Mish", [TensorType("float32", (2,))], {})
        >>> [n.op for n in body][-2:]
        ['Tanh', 'Mul']
    """
    graph = Graph(op)
    values: list[Value | None] = []
    while inputs and inputs[-1] is None:
        inputs = inputs[:-1]
    for k, item in enumerate(inputs):
        if item is None:
            values.append(None)
        else:
            values.append(graph.add_input(f"x{k}", item) if isinstance(item, TensorType) else graph.add_constant(item))
    node = Node(op, values, attributes)
    node.outputs = (None,) * outputs  # type: ignore[assignment]  # inference only asks how many
    types = infer_types(node)[:outputs]
    node.outputs = ()
    graph.append(node, types)
    graph.set_outputs(list(node.outputs), [f"y{k}" for k in range(outputs)])
    model = to_proto(graph, OPSET)
    for value in graph.constants:  # the inliner asks for the types of all inputs
        model.graph.value_info.add(name=value.name).type.CopyFrom(type_to_proto(value.type))
    body = from_proto(_inlined(model, op))
    if any(n.op == op and n.domain == "" for n in body.all_nodes()):
        raise ValueError(f"ONNX does not define {op} as a function of other operators")
    return body


def _inlined(model: onnx.ModelProto, op: str) -> onnx.ModelProto:
    """Replace the model's one node by its body."""
    (node,) = model.graph.node
    schema = schema_of(op)
    if "" not in node.input or not schema.has_context_dependent_function:  # type: ignore[attr-defined]
        return inliner.inline_selected_functions(model, [("", op)], inline_schema_functions=True)
    # The inliner fails on inputs that are left out, but takes the same body as a function of the model.
    known = {v.name: v.type for v in (*model.graph.input, *model.graph.value_info)}
    types = [known.get(name, onnx.TypeProto()).SerializeToString() for name in node.input]
    encoded = schema.get_context_dependent_function(node.SerializeToString(), types)  # type: ignore[attr-defined]
    function = onnx.FunctionProto.FromString(encoded)
    del function.opset_import[:]
    function.opset_import.add(domain="", version=OPSET)  # else it would not be inlined
    function.domain = node.domain = "nngraph.body"
    model.functions.append(function)
    model.opset_import.add(domain=node.domain, version=1)
    inlined = inliner.inline_local_functions(model)
    del inlined.functions[:]
    return inlined
