"""One operator on arrays, now: a one-node session for each operator, attributes and dtypes, kept for the next call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx

from nngraph.ir import numpy_dtype, standardize_dtype
from nngraph.proto import attribute_to_proto, dtype_to_onnx, node_proto
from nngraph.runtime.device import onnxruntime, session_options
from nngraph.runtime.kernels import has_kernel, output_dtypes, stand_ins
from nngraph.schema import OPSET, RUNTIME_OPSET, changed_after, schema_of

__all__ = ["run_node"]

_SESSIONS: dict[Any, Any] = {}

_HEAVY = frozenset({"MatMul", "Gemm", "Einsum", "Conv", "ConvTranspose", "LSTM", "GRU", "RNN", "Attention", "Resize"})
"""Operators worth a pool of threads; hundreds of small sessions with one each would slow each other down."""


def run_node(
    op: str,
    inputs: Sequence[np.ndarray[Any, Any] | None],
    attributes: Mapping[str, Any],
    *,
    domain: str = "",
    outputs: int = 1,
) -> list[np.ndarray[Any, Any]]:
    """Run one operator on host arrays.

    Raises:
        ValueError: the operator does not accept these inputs.
    """
    dtypes = tuple(None if a is None else standardize_dtype(a.dtype) for a in inputs)
    if op in ("Cast", "BitCast") and "bfloat16" in (*dtypes, attributes["to"]):
        kind = numpy_dtype(attributes["to"])
        return [a.astype(kind) if op == "Cast" else a.view(kind) for a in inputs if a is not None]
    if domain == "" and ("bfloat16" in dtypes or not has_kernel(op, dtypes)):
        wide = stand_ins(op, dtypes)
        # The runtime's Python interface has no bfloat16 arrays.
        wide = ["float32" if d == "bfloat16" else d for d in wide]
        if wide != list(dtypes):
            return _run_in(wide, op, inputs, attributes, outputs)
    key = (op, domain, dtypes, outputs, _freeze(attributes))
    session = _SESSIONS.get(key)
    if session is None:
        session = _SESSIONS[key] = _compile(op, domain, dtypes, attributes, outputs)
    feeds = {f"i{k}": a for k, a in enumerate(inputs) if a is not None}
    try:
        results: list[np.ndarray[Any, Any]] = session.run(None, feeds)
    except Exception as error:  # the runtime has no exception class of its own for bad shapes
        shapes = ", ".join("absent" if a is None else f"{standardize_dtype(a.dtype)}{list(a.shape)}" for a in inputs)
        reason = str(error).splitlines()[-1].rsplit(" : ", 1)[-1]
        raise ValueError(f"{op} does not accept ({shapes}): {reason}") from None
    return [np.asarray(r) for r in results]


def _run_in(
    wide: Sequence[str | None],
    op: str,
    inputs: Sequence[np.ndarray[Any, Any] | None],
    attributes: Mapping[str, Any],
    outputs: int,
) -> list[np.ndarray[Any, Any]]:
    """Run one operator in other dtypes, as the compiled path does, and give its outputs in the inputs' dtypes."""
    arrays = [a if a is None or d is None else a.astype(numpy_dtype(d)) for a, d in zip(inputs, wide, strict=True)]
    found = run_node(op, arrays, attributes, outputs=outputs)
    own = output_dtypes(op, [None if a is None else standardize_dtype(a.dtype) for a in inputs], outputs)
    return [r if d is None else r.astype(numpy_dtype(d)) for r, d in zip(found, own, strict=True)]


def _freeze(attributes: Mapping[str, Any]) -> Any:
    return tuple(
        (
            k,
            (v.dtype.str, v.shape, v.tobytes())
            if isinstance(v, np.ndarray)
            else tuple(v)
            if isinstance(v, list)
            else v,
        )
        for k, v in sorted(attributes.items())
    )


def _compile(op: str, domain: str, dtypes: tuple[str | None, ...], attributes: Mapping[str, Any], outputs: int) -> Any:
    ort = onnxruntime()
    # The runtime lacks kernels for the newest version of a few operators, which an older opset names as well.
    newest = schema_of(op, domain).since_version if domain == "" else 1
    opsets = [max(RUNTIME_OPSET, newest), OPSET]
    if not changed_after(op, RUNTIME_OPSET):
        opsets.append(RUNTIME_OPSET)
    refusal: Exception | None = None
    for opset in dict.fromkeys(opsets):
        try:
            return _open(ort, op, domain, dtypes, attributes, outputs, opset)
        except Exception as error:
            refusal = refusal or error
    assert refusal is not None
    raise ValueError(_refusal(op, dtypes, refusal)) from None


def _refusal(op: str, dtypes: tuple[str | None, ...], error: Exception) -> str:
    return f"{op} does not accept inputs of dtype {dtypes}: {str(error).splitlines()[-1]}"


def _open(
    ort: Any,
    op: str,
    domain: str,
    dtypes: tuple[str | None, ...],
    attributes: Mapping[str, Any],
    outputs: int,
    opset: int,
) -> Any:
    graph = onnx.GraphProto(name="eager")
    for k, dtype in enumerate(dtypes):
        if dtype is not None:
            graph.input.add(name=f"i{k}").type.tensor_type.elem_type = dtype_to_onnx(dtype)
    names = ["" if d is None else f"i{k}" for k, d in enumerate(dtypes)]
    node = node_proto(op, domain, names, [f"o{k}" for k in range(outputs)])
    node.attribute.extend(attribute_to_proto(k, v, domain) for k, v in attributes.items())
    graph.node.append(node)
    for k in range(outputs):
        graph.output.add(name=f"o{k}")
    model = onnx.ModelProto(ir_version=10)
    model.opset_import.add(domain="", version=opset)
    if domain:
        model.opset_import.add(domain=domain, version=1)
    model.graph.CopyFrom(graph)
    options = session_options(single_thread=op not in _HEAVY)
    options.log_severity_level = 4  # a refusal becomes an exception with the reason; the log need not repeat it
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
