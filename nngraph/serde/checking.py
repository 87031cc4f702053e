"""The one door to onnx.checker."""

from __future__ import annotations

import onnx

__all__ = ["check_model"]


def check_model(model: onnx.ModelProto, *, name: str = "the model", full: bool = True) -> None:
    """Let ONNX check a model; with ``full`` also the types and shapes of everything in it.

    Args:
        model: the model; arrays that were taken out of it may be inputs.
        name: what to call it in the error.
        full: infer types and shapes too.

    Raises:
        ValueError: the model is not valid.
    """
    checkable = _checkable(model)
    unshaped = [i.name for i in checkable.graph.input if _lacks_shape(i)]
    if unshaped:
        raise ValueError(f"inputs {unshaped} of {name} have no shape; give it with input_shapes=")
    try:
        onnx.checker.check_model(checkable, full_check=full)
    except Exception as error:  # ValidationError, InferenceError, and protobuf's own
        raise ValueError(f"{name} is not valid ONNX: {error}") from None


def _checkable(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model, or a copy of it without three things that the checker refuses and runtimes take.

    Outputs need not say their shape, onnx cannot infer MeanVarianceNormalization unless its default is written out, and
    it deprecated the first GroupNormalization, which files of opsets 18 to 20 hold.
    """
    nodes = model.graph.node
    opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
    retired = [k for k, n in enumerate(nodes) if n.op_type == "GroupNormalization" and 18 <= opset < 21]
    defaults = [k for k, n in enumerate(nodes) if n.op_type == "MeanVarianceNormalization" and not n.attribute]
    shaped = [o for o in model.graph.output if not _lacks_shape(o)]
    if not defaults and not retired and len(shaped) == len(model.graph.output):
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for k in defaults:
        copy.graph.node[k].attribute.append(onnx.helper.make_attribute("axes", [0, 2, 3]))
    for k in retired:  # the checker lets operators of unknown domains pass
        copy.graph.node[k].domain = "nngraph.retired"
    if retired:
        copy.opset_import.add(domain="nngraph.retired", version=1)
    del copy.graph.output[:]
    copy.graph.output.extend(shaped)
    return copy


def _lacks_shape(value: onnx.ValueInfoProto) -> bool:
    return value.type.HasField("tensor_type") and not value.type.tensor_type.HasField("shape")
