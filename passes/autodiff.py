"""Reverse-mode differentiation: from a graph to the graph of its gradients.

The driver walks the nodes between the outputs and the wanted inputs once, backwards. It does what all rules share:
un-broadcasting, accumulation, missing and zero gradients, and one error for all operators without a rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from nngraph.ir import Graph, Node, OpaqueType, Value, is_float, numpy_dtype
from nngraph.ops import raw
from nngraph.ops.trace import Trace, apply, current_trace
from nngraph.ops.vjp import rule_attributes, rule_of
from nngraph.registry import OpDef, lookup
from passes.traits import BROADCASTING

__all__ = ["append_gradients", "gradients"]


def gradients(graph: Graph, outputs: Sequence[Value | str], wrt: Sequence[Value | str]) -> Graph:
    """Return a graph that computes the gradients of the sum of ``outputs`` with respect to ``wrt``.

    Args:
        graph: the forward graph; it is not changed.
        outputs: values of the graph, or their names.
        wrt: values of the graph, or their names.

    Returns:
        A graph with the same inputs and one output for each of ``wrt``, named ``grad_<name>``.

    Raises:
        ValueError: operators on the way have no gradient rule; all of them are listed with node and layer.

    Example:
        >>> from nngraph.ir import Graph, TensorType
        >>> from nngraph.ops.trace import Trace
        >>> from nngraph.runtime import Session
        >>> g = Graph("square"); x = g.add_input("x", TensorType("float32", (2,)))
        >>> with Trace(g): g.set_outputs([x * x], ["y"])
        >>> Session(gradients(g, ["y"], ["x"]), "cpu").run({"x": np.float32([1, 3])})["grad_x"].tolist()
        [2.0, 6.0]
    """
    copy, mapping = graph.clone_with_map(f"{graph.name}_gradients")

    def resolve(item: Value | str) -> Value:
        return mapping[item] if isinstance(item, Value) else copy.find(item)

    ys, xs = [resolve(y) for y in outputs], [resolve(x) for x in wrt]
    names = [f"grad_{x if isinstance(x, str) else x.name}" for x in wrt]
    with Trace(copy):
        copy.set_outputs(append_gradients(ys, xs), names)
    return copy


def append_gradients(ys: Sequence[Value], xs: Sequence[Value], gs: Sequence[Value | None] | None = None) -> list[Value]:
    """Append to the traced graph the gradients of ``ys`` with respect to ``xs``, and return them.

    Args:
        ys: values of the active trace's graph.
        xs: values of the same graph.
        gs: what arrives from above for each of ``ys``; ones by default.

    Raises:
        ValueError: operators on the way have no gradient rule; all of them are listed with node and layer.
    """
    trace = current_trace()
    if trace is None:
        raise RuntimeError("append_gradients needs an active trace")
    for x in (*ys, *xs):
        if not is_float(x.dtype):
            raise ValueError(f"cannot differentiate: {x.name!r} is {x.dtype}, only floating values have gradients")
    return _Backward(trace, ys, xs).run(gs)


class _Backward:
    def __init__(self, trace: Trace, ys: Sequence[Value], xs: Sequence[Value]) -> None:
        self.trace = trace
        self.ys = ys
        self.xs = xs
        self.active = _depends_on(trace.graph, xs)
        self.parts: dict[Value, list[Value]] = {}

    def run(self, gs: Sequence[Value | None] | None) -> list[Value]:
        nodes = self.path()
        _require_rules(nodes)
        for y, g in zip(self.ys, gs or [None] * len(self.ys), strict=True):
            self.add(y, g if g is not None else _filled(y, 1.0))
        layers, forward = self.trace.layers, self.trace.forward
        for node in nodes:
            self.trace.layers = [node.origin.layer]
            self.trace.forward = node.name
            self.visit(node)
        self.trace.layers, self.trace.forward = layers, forward
        return [self.total(x) if x in self.parts else _filled(x, 0.0) for x in self.xs]

    def path(self) -> list[Node]:
        """The nodes between xs and ys, last first."""
        wanted: set[Value] = set(self.ys)
        found = []
        for node in reversed(self.trace.graph):
            if any(o in wanted for o in node.outputs) and any(o in self.active for o in node.outputs):
                found.append(node)
                wanted.update(v for v in _reads(node) if v in self.active)
        return found

    def visit(self, node: Node) -> None:
        gs = [self.total(o) if o in self.parts else None for o in node.outputs]
        if all(g is None for g in gs):
            return
        entry = lookup(node.op, node.domain)
        assert entry is not None
        rule = rule_of(entry)
        if rule is None:
            return  # stated to pass no gradient on
        if getattr(rule, "takes_node", False):
            for value, gradient in rule(node, gs, self):
                self.add(value, gradient)
            return
        single = len(node.outputs) == 1
        g: Any = gs[0] if single else tuple(gs)
        y: Any = node.outputs[0] if single else node.outputs
        results = rule(g, y, *node.inputs, **rule_attributes(node))
        for value, result in zip(node.inputs, results, strict=False):
            if value is None or result is None or value not in self.active or not is_float(value.dtype):
                continue
            self.add(value, result() if callable(result) else result, _may_be_spread(node, value))

    def wants(self, value: Value) -> bool:
        return value in self.active

    def dependents(self, graph: Graph, values: Sequence[Value]) -> set[Value]:
        return _depends_on(graph, values)

    def gradients(self, ys: Sequence[Value], xs: Sequence[Value], gs: Sequence[Value]) -> list[Value]:
        return append_gradients(ys, xs, gs)

    def add(self, value: Value, gradient: Any, may_be_spread: bool = False) -> None:
        if gradient is None or (value not in self.active and all(value is not y for y in self.ys)):
            return
        fitted = self.fitted(gradient, value)
        self.parts.setdefault(value, []).append(_sum_at_run_time(fitted, value) if may_be_spread else fitted)

    def fitted(self, gradient: Any, value: Value) -> Value:
        if not isinstance(gradient, Value):
            trace = current_trace()
            assert trace is not None
            gradient = trace.constant(np.asarray(gradient, numpy_dtype(value.dtype)))
        return _sum_to(gradient, value)

    def total(self, value: Value) -> Value:
        parts = self.parts[value]
        while len(parts) > 1:
            parts = [*parts[2:], raw.Add(parts[0], parts[1])]
        self.parts[value] = parts
        return parts[0]


def _reads(node: Node) -> Iterator[Value]:
    for value in node.inputs:
        if value is not None:
            yield value
    yield from node.captures()


def _depends_on(graph: Graph, xs: Sequence[Value]) -> set[Value]:
    """The floating values that depend on ``xs``, and the sequences, so that no gradient is lost in them."""
    active = set(xs)
    for node in graph:
        entry = lookup(node.op, node.domain)
        if entry is not None and entry.vjp is None and entry.no_gradient:
            continue
        if any(v in active for v in _reads(node)):
            active.update(o for o in node.outputs if is_float(o.dtype) or isinstance(o.type, OpaqueType))
    return active


def _require_rules(nodes: Sequence[Node]) -> None:
    def has_rule(entry: OpDef | None) -> bool:
        return entry is not None and (rule_of(entry) is not None or bool(entry.no_gradient))

    missing = [n for n in nodes if not has_rule(lookup(n.op, n.domain)) or n.is_opaque]
    if not missing:
        return
    lines = [
        f"  {n.op_id} at node {n.name!r}" + (f" in layer {n.origin.layer!r}" if n.origin.layer else "") + _why(n)
        for n in missing
    ]
    raise ValueError(
        f"{len(missing)} operators on the way to the loss have no gradient:\n" + "\n".join(lines) + "\n"
        "Freeze what lies below them, wrap them with ops.custom_gradient or ops.stop_gradient, "
        "or register a rule with nngraph.ops.vjp."
    )


def _why(node: Node) -> str:
    entry = lookup(node.op, node.domain)
    if entry is not None and entry.refusal:
        return f": {entry.refusal}"
    return ": the rank of its input or result is not known before it runs" if node.is_opaque else ""


def _may_be_spread(node: Node, value: Value) -> bool:
    """Whether the run time decides if an operand is spread: its size is a name, that of the result is not the same."""
    if node.domain or all(isinstance(d, int) for d in value.shape):
        return False
    mine, result = value.shape, node.outputs[0].shape
    if node.op == "MatMul":  # the rows and columns are no matter of spreading
        if any(v is None or v.ndim < 3 for v in node.inputs):
            return False
        mine, result = mine[:-2], result[:-2]
    elif node.op == "Gemm":
        if len(node.inputs) < 3 or value is not node.inputs[2]:
            return False
    elif node.op not in BROADCASTING and node.op != "Expand":
        return False
    pairs = zip(mine[::-1], result[::-1], strict=False)
    return any(isinstance(have, str) and have != made and made != 1 for have, made in pairs)


def _sum_at_run_time(gradient: Value, value: Value) -> Value:
    """Sum a gradient over the axes on which the forward value has size 1 when the graph runs."""
    places = raw.NonZero(raw.Equal(raw.Shape(value), np.array(1, np.int64)))
    axes = raw.Reshape(places, np.array([-1], np.int64))
    result: Value = apply("ReduceSum", gradient, axes, keepdims=1, noop_with_empty_axes=1, types=[value.type])
    return result


def _sum_to(gradient: Value, value: Value) -> Value:
    """Sum a gradient over the axes along which the forward value was broadcast."""
    shape = value.shape
    if gradient.shape == shape:
        return gradient
    extra = gradient.ndim - len(shape)
    if extra < 0:
        return _expand(gradient, value)
    leading = list(range(extra))
    stretched = [
        extra + k
        for k, (want, have) in enumerate(zip(shape, gradient.shape[extra:], strict=True))
        if want == 1 and have != 1
    ]
    if stretched:
        gradient = raw.ReduceSum(gradient, np.array(stretched, np.int64), keepdims=1)
    if leading:
        gradient = raw.ReduceSum(gradient, np.array(leading, np.int64), keepdims=0)
    if any(have == 1 and want != 1 for want, have in zip(shape, gradient.shape, strict=True)):
        return _expand(gradient, value)
    return gradient


def _expand(gradient: Value, value: Value) -> Value:
    target = np.array(value.shape, np.int64) if value.type.is_static else raw.Shape(value)
    result: Value = apply("Expand", gradient, target, types=[value.type])
    return result


def _filled(value: Value, number: float) -> Value:
    dtype = numpy_dtype(value.dtype)
    result: Value
    if value.type.is_static:
        trace = current_trace()
        assert trace is not None
        return trace.constant(np.full(value.shape, number, dtype))
    result = raw.Expand(np.asarray(number, dtype), raw.Shape(value))
    return result
