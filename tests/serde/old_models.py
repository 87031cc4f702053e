"""Old models in a few words, and the walk that upgrades them node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from nngraph.ir import TensorType
from nngraph.proto import type_from_proto
from nngraph.schema import OPSET
from nngraph.serde.upgrade import upgrade_node

__all__ = ["Scope", "old_model", "run", "upgraded"]


class Scope:
    """Types, constants and names of one graph, as a reader knows them."""

    def __init__(self, types: dict[str, TensorType], constants: dict[str, np.ndarray], count: list[int]) -> None:
        self.types = types
        self.constants = constants
        self.count = count

    def type_of(self, name: str) -> TensorType | None:
        return self.types.get(name)

    def constant(self, name: str) -> np.ndarray | None:
        return self.constants.get(name)

    def fresh(self, hint: str) -> str:
        self.count[0] += 1
        return f"{hint}__{self.count[0]}"


def old_model(
    op: str,
    opset: int,
    inputs: Sequence[np.ndarray | None],
    attributes: Mapping[str, Any] | None = None,
    *,
    outputs: int = 1,
    constants: Sequence[int] = (),
    dynamic: bool = False,
) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """Return a model of one node and what to feed it; inputs named in ``constants`` become initializers."""
    names = ["" if a is None else f"i{k}" for k, a in enumerate(inputs)]
    feeds = {f"i{k}": a for k, a in enumerate(inputs) if a is not None and k not in constants}
    node = helper.make_node(op, names, [f"o{k}" for k in range(outputs)], name="the_node", **(attributes or {}))
    graph = helper.make_graph(
        [node],
        "old",
        [
            helper.make_tensor_value_info(
                n,
                helper.np_dtype_to_tensor_dtype(a.dtype),
                [f"{n}_{k}" for k in range(a.ndim)] if dynamic else a.shape,
            )
            for n, a in feeds.items()
        ],
        [onnx.ValueInfoProto(name=o) for o in node.output],
        [numpy_helper.from_array(inputs[k], f"i{k}") for k in constants],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return model, feeds


def upgraded(model: onnx.ModelProto, opset: int | None = None) -> onnx.ModelProto:
    """Return the model with every node upgraded."""
    opset = model.opset_import[0].version if opset is None else opset
    new = onnx.ModelProto()
    new.CopyFrom(model)
    inferred = onnx.shape_inference.infer_shapes(model) if opset >= 7 else model
    _upgrade_graph(new.graph, inferred.graph, opset, Scope({}, {}, [0]))
    new.opset_import[0].version = OPSET
    new.ir_version = max(model.ir_version, 10)
    return new


def _upgrade_graph(graph: onnx.GraphProto, inferred: onnx.GraphProto, opset: int, outer: Scope) -> None:
    scope = Scope(dict(outer.types), dict(outer.constants), outer.count)
    for entry in (*inferred.input, *inferred.value_info, *inferred.output):
        tensor = entry.type.tensor_type
        if tensor.elem_type != TensorProto.UNDEFINED and tensor.HasField("shape"):
            scope.types[entry.name] = type_from_proto(entry.type)
    for tensor in graph.initializer:
        array = numpy_helper.to_array(tensor)
        scope.constants[tensor.name] = array
        scope.types[tensor.name] = TensorType(array.dtype.name, array.shape)
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        new = upgrade_node(node, opset, scope)
        for found in new:
            for attribute in found.attribute:
                if attribute.type == onnx.AttributeProto.GRAPH:
                    _upgrade_graph(attribute.g, attribute.g, opset, scope)
        nodes += new
    del graph.node[:]
    graph.node.extend(nodes)


def run(model: onnx.ModelProto, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Return what the runtime computes, without optimisations."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options).run(None, dict(feeds))
