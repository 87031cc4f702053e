"""Types of the results of operators that onnx does not know but the runtime does: those of ``com.microsoft``."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import onnx

from nngraph.runtime.device import onnxruntime, session_options

__all__ = ["foreign_types"]

_TENSOR = re.compile(r"tensor\((\w+)\)")


def foreign_types(model: onnx.ModelProto) -> dict[str, onnx.TypeProto]:
    """Return the types of what operators without a schema give, as far as the runtime infers them.

    Args:
        model: a valid model; its large arrays may be inputs.

    Example:
        >>> model = onnx.parser.parse_model(
        ...     '<ir_version: 8, opset_import: ["": 20, "com.microsoft": 1]>'
        ...     'g (float[n, 4] x) => (y) { a = com.microsoft.BiasGelu(x, x) y = Relu(a) }')
        >>> onnx.helper.printable_type(foreign_types(model)["a"])
        'FLOAT, nx4'
    """
    declared = {v.name for v in (*model.graph.value_info, *model.graph.output) if v.type.tensor_type.HasField("shape")}
    wanted = [o for n in model.graph.node if _is_foreign(n) for o in n.output if o and o not in declared]
    if not wanted:
        return {}
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    there = {o.name for o in probe.graph.output}
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted if name not in there)
    options = session_options()
    options.graph_optimization_level = onnxruntime().GraphOptimizationLevel.ORT_DISABLE_ALL
    found: dict[str, onnx.TypeProto] = {}
    with contextlib.suppress(Exception):  # the runtime does not know them either: their types stay unknown
        session = onnxruntime().InferenceSession(probe.SerializeToString(), options, providers=["CPUExecutionProvider"])
        found = {o.name: type for o in session.get_outputs() if (type := _type_of(o)) is not None}
    return {name: found[name] for name in wanted if name in found}


def _is_foreign(node: onnx.NodeProto) -> bool:
    domain = "" if node.domain == "ai.onnx" else node.domain
    return domain != "" and not onnx.defs.has(node.op_type, domain)


def _type_of(output: Any) -> onnx.TypeProto | None:
    matched = _TENSOR.fullmatch(output.type)
    if matched is None or output.shape is None:
        return None
    names = {"float": "FLOAT", "double": "DOUBLE"}
    element = onnx.TensorProto.DataType.Value(names.get(matched[1], matched[1].upper()))
    return onnx.helper.make_tensor_type_proto(element, output.shape)
