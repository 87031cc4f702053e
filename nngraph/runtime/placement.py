"""Which nodes the CUDA provider executes, told from the table of its kernels: on any machine, without a session.

A node without a CUDA kernel runs on the CPU between two copies. That is slow, and a step that holds one cannot be
captured as a CUDA graph.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from onnx import defs

from nngraph import config
from nngraph.ir import Graph, Node
from nngraph.runtime.kernel_table import table
from nngraph.schema import RUNTIME_OPSET, lowest_opset

__all__ = ["capture_obstacles", "off_cuda"]


def off_cuda(graph: Graph) -> list[tuple[Node, str]]:
    """Return the nodes of a lowered graph that CUDA does not execute, those of subgraphs included, and why.

    Example:
        >>> from nngraph.ir import TensorType
        >>> g = Graph("g"); x = g.add_input("x", TensorType("uint32", (2,)))
        >>> y = g.append(Node("BitwiseNot", [x], {}), [x.type]).output
        >>> g.set_outputs([y], ["y"]); [(n.op, why) for n, why in off_cuda(g)]
        [('BitwiseNot', 'no kernel for uint32')]
    """
    nodes = list(graph.all_nodes())
    opset = max((lowest_opset(n, RUNTIME_OPSET) for n in nodes), default=RUNTIME_OPSET)
    found = ((node, _refusal(node, opset)) for node in nodes)
    return [(node, why) for node, why in found if why is not None]


def capture_obstacles(graph: Graph) -> list[str]:
    """Return why a graph cannot be captured as a CUDA graph: an empty list where it can.

    Inputs may have open sizes: those of the buffers that the graph is captured with.
    """
    found = [f"{node.op_id} (node {node.name!r}) runs on the CPU: {why}" for node, why in off_cuda(graph)]
    for node in graph:
        if node.subgraphs:
            found.append(f"{node.op_id} (node {node.name!r}) decides at run time what is executed")
        elif node.op_id in _WAITING:
            found.append(f"{node.op_id} (node {node.name!r}) waits for the device to know the size of its result")
    open_sizes = [v.name for v in graph.outputs if not v.type.is_static]
    if open_sizes:
        found.append(f"the sizes of {', '.join(open_sizes)} are not fixed")
    return found


_WAITING = frozenset({"Compress", "NonMaxSuppression", "NonZero", "Unique"})
"""Operators whose result has as many rows as the data say."""


def _refusal(node: Node, opset: int) -> str | None:
    if node.domain != "":
        return None if (node.domain, node.op) in table("cuda") else f"no kernel in domain {node.domain}"
    special = _SPECIAL.get(node.op)
    why = special(node) if special is not None else None
    if why is not None:
        return why
    inputs = tuple(None if v is None else v.dtype for v in node.inputs)
    outputs = tuple(v.dtype for v in node.outputs)
    if _executes(node.op, inputs, outputs, opset):
        return None
    return "no kernel for " + ", ".join(dict.fromkeys(d for d in inputs or outputs if d is not None))


@functools.cache
def _executes(op: str, inputs: tuple[str | None, ...], outputs: tuple[str, ...], opset: int) -> bool:
    schema = defs.get_schema(op, opset, "")
    given = [*_typed(schema.inputs, inputs), *_typed(schema.outputs, outputs)]
    kernels = [k for k in table("cuda").get(("", op), []) if k.serves(schema.since_version)]
    if not kernels:
        # The runtime takes a function apart only where no provider has a kernel for it.
        is_function: bool = schema.has_function or schema.has_context_dependent_function  # type: ignore[attr-defined]
        return is_function and ("", op) not in table("cpu")
    return any(all(dtype in k.dtypes.get(parameter, (dtype,)) for parameter, dtype in given) for k in kernels)


def _typed(formal: Any, dtypes: tuple[str | None, ...]) -> list[tuple[str, str]]:
    """Return the type parameter and the dtype of each value that is there."""
    last = len(formal) - 1
    return [(formal[min(k, last)].type_str, d) for k, d in enumerate(dtypes) if d is not None]


# -- nodes that the provider refuses although it has a kernel ----------------------------------------------------------


def _transposed(node: Node) -> str | None:
    weights = node.inputs[1]
    if config.cuda_nhwc() and (weights is None or weights.data is None):
        return "in NHWC its kernel must be a constant"
    if node.attributes.get("auto_pad", "NOTSET").startswith("SAME"):
        return "how it is padded is left to the runtime"
    pads = node.attributes.get("pads") or ()
    half = len(pads) // 2
    return "its padding is not the same on both sides" if tuple(pads[:half]) != tuple(pads[half:]) else None


def _last_index(node: Node) -> str | None:
    return "select_last_index is set" if node.attributes.get("select_last_index", 0) else None


def _training_mode(node: Node) -> str | None:
    return "it is in training mode, which the provider refuses" if node.attributes.get("training_mode", 0) else None


_ACTIVATIONS = {"RNN": ("tanh",), "GRU": ("sigmoid", "tanh"), "LSTM": ("sigmoid", "tanh", "tanh")}


def _recurrent(node: Node) -> str | None:
    """What cuDNN's recurrent layers cannot do."""
    attributes, usual = node.attributes, _ACTIVATIONS[node.op]
    wanted = [a.lower() for a in attributes.get("activations") or usual]
    if any(a != usual[k % len(usual)] for k, a in enumerate(wanted)):
        return "its activations are not the usual ones"
    if any(name in attributes for name in ("activation_alpha", "activation_beta", "clip")):
        return "its activations have parameters"
    if node.op == "GRU" and not attributes.get("linear_before_reset", 0):
        return "the reset gate comes before the product"
    has_peepholes = len(node.inputs) > 7 and node.inputs[7] is not None
    if node.op == "LSTM" and (attributes.get("input_forget", 0) or has_peepholes):
        return "it has peepholes or coupled gates"
    return None


_SPECIAL: dict[str, Callable[[Node], str | None]] = {
    "ArgMax": _last_index,
    "ArgMin": _last_index,
    "BatchNormalization": _training_mode,
    "ConvTranspose": _transposed,
    "GRU": _recurrent,
    "LSTM": _recurrent,
    "RNN": _recurrent,
}
