"""Which operators the installed runtime can execute for which dtypes, and what to do about the rest."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from nngraph.ir import Graph, Node, TensorType, Value
from nngraph.registry import COMPOSITE_DOMAIN, OpDef, lookup
from nngraph.runtime.kernel_table import table
from nngraph.schema import OPSET, schema_of

__all__ = [
    "expand_composite",
    "expand_composites",
    "expand_unsafe",
    "has_kernel",
    "is_legal",
    "legalize",
    "output_dtypes",
    "stand_ins",
]


def has_kernel(op: str, dtypes: Sequence[str | None], domain: str = "", device: str = "cpu") -> bool:
    """Tell whether a device's provider executes an operator for these input dtypes at the graph's opset.

    Operators that the runtime inlines as functions count as executable only through what they expand to, so they are
    reported by their own kernels here.
    """
    return _has_kernel(op, tuple(dtypes), domain, device)


@functools.cache
def _has_kernel(op: str, dtypes: tuple[str | None, ...], domain: str, device: str) -> bool:
    entries = table(device).get((domain, op))
    schema = schema_of(op, domain)
    if entries is None:
        inlined = device == "cpu" or (domain, op) not in table("cpu")
        is_function: bool = schema.has_function or schema.has_context_dependent_function  # type: ignore[attr-defined]
        return inlined and is_function
    parameters = [schema.inputs[min(k, len(schema.inputs) - 1)].type_str for k in range(len(dtypes))]
    given = {p: d for p, d in zip(parameters, dtypes, strict=True) if d}
    newest = [k for k in entries if domain != "" or k.last >= OPSET]
    return any(all(d in k.dtypes.get(p, (d,)) for p, d in given.items()) for k in newest)


def expand_composites(graph: Graph) -> int:
    """Replace every composite operator by its portable form, in place; return how many there were.

    Raises:
        ValueError: a composite has no portable form.
    """
    count = 0
    node = graph.first
    while node is not None:
        if node.domain != COMPOSITE_DOMAIN:
            count += sum(expand_composites(sub) for sub in node.subgraphs)
            node = node.next
            continue
        before = node.previous
        expand_composite(node)
        count += 1
        # Look at what came in its place: it may be composite again.
        node = graph.first if before is None else before.next
    return count


def expand_composite(node: Node) -> None:
    """Replace one composite operator by its portable form, in place.

    Raises:
        ValueError: it has no portable form.
    """
    entry = lookup(node.op, node.domain)
    if entry is None or entry.expand_node is None:
        raise ValueError(f"composite operator {node.op_id!r} (node {node.name!r}) has no portable form")
    entry.expand_node(node)


def expand_unsafe(graph: Graph) -> int:
    """Replace each node that a CPU's threads may compute wrongly by a form that is safe; return how many there were."""
    count = 0
    for node in graph:
        count += sum(expand_unsafe(sub) for sub in node.subgraphs)
        safe = _safe_form(node, lookup(node.op, node.domain))
        if safe is not None:
            safe(node)
            count += 1
    return count


def _safe_form(node: Node, entry: OpDef | None) -> Callable[[Node], None] | None:
    return None if entry is None or entry.safe_form is None else entry.safe_form(node)


def legalize(graph: Graph, device: str = "cpu") -> int:
    """Make every node executable, in place; return how many nodes changed.

    A float64 node that the runtime cannot compute in double precision (``Conv``, for one) is written in another form
    where the registry has one for it. A node of any other dtype without a kernel computes in a wider one between casts.
    With ``device="cuda"`` that is tried for the GPU first; what has no kernel there stays for the CPU. On the CPU, what
    its threads may compute wrongly is written in a form that is safe.
    """
    count = 0
    node = graph.first
    while node is not None:
        count += sum(legalize(sub, device) for sub in node.subgraphs)
        before, remedy = node.previous, _remedy(node, device)
        if remedy is None:
            node = node.next
            continue
        remedy(node)
        count += 1
        # Look at what came in its place: it may need the same.
        node = graph.first if before is None else before.next
    return count


def is_legal(graph: Graph, device: str = "cpu") -> bool:
    """Tell whether there is nothing to do for :func:`expand_composites` and :func:`legalize`."""
    return all(n.domain != COMPOSITE_DOMAIN and _remedy(n, device) is None for n in graph.all_nodes())


def _remedy(node: Node, device: str) -> Callable[[Node], None] | None:
    """Return what makes a node executable, or ``None`` where that needs nothing."""
    if node.domain != "" or node.subgraphs:
        return None
    entry = lookup(node.op)
    safe = _safe_form(node, entry) if device == "cpu" else None
    if safe is not None:
        return safe
    if entry is not None and entry.expand_node is not None and _is_beyond(entry, node.attributes):
        return entry.expand_node
    dtypes = [None if v is None else v.dtype for v in node.inputs]
    if _WIDER.keys().isdisjoint(dtypes):
        return None
    if device != "cpu":
        if has_kernel(node.op, dtypes, device=device):
            return None
        wide = stand_ins(node.op, dtypes, device)
        if "float64" not in dtypes and has_kernel(node.op, wide, device=device):
            return partial(_compute_in, wide)
        if has_kernel(node.op, dtypes):
            return None
    if entry is not None and entry.expand_node is not None and "float64" in dtypes:
        return entry.expand_node
    wide = stand_ins(node.op, dtypes)
    if has_kernel(node.op, dtypes) or wide == dtypes:
        return None
    return partial(_compute_in, wide)


def _is_beyond(entry: OpDef, attributes: Mapping[str, Any]) -> bool:
    return entry.beyond_runtime is not None and entry.beyond_runtime(attributes)


_WIDER = {
    "float64": ("float32",),
    "float16": ("float32",),
    "bfloat16": ("float32",),
    "bool": ("int32", "uint8"),
    "int8": ("int32", "int64"),
    "int16": ("int32", "int64"),
    "uint8": ("int32", "uint32", "int64"),
    "uint16": ("int32", "uint32", "int64"),
    "uint32": ("int64", "uint64"),
    "uint64": ("int64",),
}
"""What stands in for a dtype that an operator has no kernel for, best first."""


def stand_ins(op: str, dtypes: Sequence[str | None], device: str = "cpu") -> list[str | None]:
    """Return the dtypes of inputs in which the runtime can compute a node that it has no kernel for.

    Dtypes that some kernel takes at their place are kept.
    """
    return list(_stand_ins(op, tuple(dtypes), device))


@functools.cache
def _stand_ins(op: str, dtypes: tuple[str | None, ...], device: str) -> tuple[str | None, ...]:
    parameters = _input_parameters(op, len(dtypes))
    taken: dict[str, set[str]] = {}
    for kernel in table(device).get(("", op), []):
        if kernel.last >= OPSET:
            for parameter, kinds in kernel.dtypes.items():
                taken.setdefault(parameter, set()).update(kinds)

    def replaced(dtype: str | None, parameter: str, k: int) -> str | None:
        if dtype not in _WIDER or dtype in taken.get(parameter, {dtype}):
            return dtype
        options = _WIDER[dtype]
        return options[min(k, len(options) - 1)]

    choices = [tuple(replaced(d, p, k) for d, p in zip(dtypes, parameters, strict=True)) for k in range(3)]
    return next((c for c in choices if has_kernel(op, c, device=device)), choices[0])


def _input_parameters(op: str, count: int) -> list[str]:
    """The type parameters of a node's inputs."""
    inputs = schema_of(op).inputs
    return [inputs[min(k, len(inputs) - 1)].type_str for k in range(count)]


def output_dtypes(op: str, inputs: Sequence[str | None], outputs: int) -> list[str | None]:
    """Return for each output of an ai.onnx node the dtype that it shares with an input, or ``None``."""
    given = dict(zip(_input_parameters(op, len(inputs)), inputs, strict=True))
    parameters = schema_of(op).outputs
    return [given.get(parameters[min(k, len(parameters) - 1)].type_str) for k in range(outputs)]


def _compute_in(wide: Sequence[str | None], node: Node) -> None:
    """Let a node compute in other dtypes, between casts."""
    graph = node.graph
    assert graph is not None

    def cast(value: Value, dtype: str) -> Value:
        kind = value.type.with_dtype(dtype)
        return graph.insert_before(node, Node("Cast", [value], {"to": dtype}, origin=node.origin), [kind]).output

    inputs = [
        v if v is None or d is None or v.dtype == d else cast(v, d) for v, d in zip(node.inputs, wide, strict=True)
    ]
    results = output_dtypes(node.op, wide, len(node.outputs))
    types: list[TensorType] = [o.type.with_dtype(d or o.dtype) for o, d in zip(node.outputs, results, strict=True)]
    wide_node = Node(node.op, inputs, node.attributes, domain=node.domain, origin=node.origin.rewritten("legalize"))
    graph.insert_before(node, wide_node, types)
    for old, new in zip(node.outputs, wide_node.outputs, strict=True):
        old.replace_uses(new if new.dtype == old.dtype else cast(new, old.dtype))
    graph.erase(node)
