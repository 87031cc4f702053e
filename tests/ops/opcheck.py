"""How an operator's sample becomes a graph, and how graphs are evaluated in full precision."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from sample import Sample

from nngraph.ir import Graph, Node, TensorType, Value, verify
from nngraph.ops.trace import Trace, infer_composite
from nngraph.registry import COMPOSITE_DOMAIN, lookup
from nngraph.runtime import Session, expand_composites
from nngraph.runtime.kernels import has_kernel
from nngraph.schema import infer_types
from nngraph.serde import to_proto
from passes.autodiff import append_gradients

Runner = Callable[[Mapping[str, Any]], dict[str, np.ndarray]]


def checked(graph: Graph) -> Graph:
    """Verify a graph, types included, and return it."""
    verify(graph, lambda n: infer_composite(n) if n.domain == COMPOSITE_DOMAIN else infer_types(n))
    return graph


def narrowed(array: Any) -> Any:
    """Return real numbers as float32, anything else as it is."""
    return array.astype(np.float32) if array is not None and array.dtype == np.float64 else array


def forward(
    op_id: str, sample: Sample, inputs: Sequence[Any], named: bool = False
) -> tuple[Graph, dict[str, Any], list[Value]]:
    """Return the graph of one call, what to feed, and the values of the inputs differentiated by.

    With ``named``, every size above 1 of an input differentiated by is a name: equal sizes have equal names.
    """
    graph = Graph("sample")
    tensors: list[Any] = []
    feeds: dict[str, Any] = {}
    wanted: dict[int, Value] = {}
    for k, array in enumerate(inputs):
        if array is None:
            tensors.append(None)
        elif k in sample.by or k in sample.fed:
            type = TensorType.of(array)
            if named and k in sample.by:
                type = type.with_shape(f"n{d}" if d > 1 else d for d in array.shape)
            wanted[k] = graph.add_input(f"x{k}", type)
            feeds[f"x{k}"] = array
            tensors.append(wanted[k])
        elif sample.by or sample.fed:
            tensors.append(graph.add_constant(array))
        else:  # nothing would be recorded without an input
            wanted[k] = graph.add_input(f"x{k}", TensorType.of(array))
            feeds[f"x{k}"] = array
            tensors.append(wanted[k])
    with Trace(graph):
        results = sample.run(op_id, tensors)
    graph.set_outputs(list(results), [f"y{k}" for k in range(len(results))])
    return graph, feeds, [wanted[k] for k in sample.by]


def runner(graph: Graph) -> Runner:
    """Return what runs a graph of float64 numbers in full: onnx.reference where the runtime has no such kernel."""
    plain = graph.clone()
    expand_composites(plain)
    if _is_exact(plain):
        return Session(plain, "cpu").run
    return lambda feeds: by_reference(plain, feeds)


class Erf(OpRun):
    """Erf in the precision of its input; onnx.reference rounds to float32."""

    op_domain = ""

    def _run(self, x: Any) -> tuple[Any]:
        return (np.vectorize(math.erf, otypes=[x.dtype])(x),)


def by_reference(graph: Graph, feeds: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Run a graph by onnx.reference."""
    plain = graph.clone()
    expand_composites(plain)
    evaluator = ReferenceEvaluator(to_proto(plain), new_ops=[Erf])
    return dict(zip(graph.output_names, map(np.asarray, evaluator.run(None, dict(feeds))), strict=True))


def _is_exact(plain: Graph) -> bool:
    def exact(node: Node) -> bool:
        entry = lookup(node.op, node.domain)
        dtypes = [None if v is None else v.dtype for v in node.inputs]
        lossless = "float64" not in dtypes or node.subgraphs or has_kernel(node.op, dtypes, node.domain)
        return bool(lossless or (entry is not None and entry.expand is not None))

    return all(exact(n) for n in plain.all_nodes())


def with_gradients(
    graph: Graph,
    xs: Sequence[Value],
    feeds: Mapping[str, Any],
    results: Mapping[str, Any],
    *,
    second: bool = False,
    dtype: str = "float64",
) -> tuple[Graph, dict[str, Any]]:
    """Append to a graph the gradients by ``xs`` of its floating outputs, weighted by new inputs ``c0``, ``c1``, ...

    With ``second`` also ``h…``, the derivative of the gradients along new inputs ``v…``, and ``j…``, that of the
    outputs.

    Args:
        graph: the forward graph.
        xs: its inputs to differentiate by.
        feeds: what it is fed.
        results: what it then gives; only their shapes matter.
        second: whether second derivatives are wanted too.
        dtype: which outputs are differentiated.

    Returns:
        The graph, with outputs ``y…``, ``d…`` (and ``h…``, ``j…``), and everything to feed it.
    """
    graph, mapping = graph.clone_with_map()
    xs = [mapping[x] for x in xs]
    random = np.random.default_rng(7)
    feeds = dict(feeds)

    def feed(name: str, value: Value, like: Any) -> Value:
        feeds[name] = random.normal(size=like.shape)
        return graph.add_input(name, value.type)

    smooth = {y: results[n] for n, y in zip(graph.output_names, graph.outputs, strict=True) if y.dtype == dtype}
    with Trace(graph):
        cs = [feed(f"c{k}", y, array) for k, (y, array) in enumerate(smooth.items())]
        ds = append_gradients(list(smooth), xs, cs)
        names, values = [f"d{k}" for k in range(len(ds))], list(ds)
        if second:
            vs = [feed(f"v{k}", x, feeds[x.name]) for k, x in enumerate(xs)]
            names += [f"h{k}" for k in range(len(xs))] + [f"j{k}" for k in range(len(cs))]
            values += append_gradients(ds, [*xs, *cs], vs)
    graph.set_outputs([*graph.outputs, *values], [*graph.output_names, *names])
    return graph, feeds


def derivative(
    run: Runner, feeds: Mapping[str, Any], along: Mapping[str, Any], step: float = 1e-4
) -> dict[str, np.ndarray]:
    """Return the derivative of every floating output along a direction, by central differences of fourth order."""

    def at(t: float) -> dict[str, np.ndarray]:
        return run({k: v + t * along[k] if k in along else v for k, v in feeds.items()})

    far, near = [at(s * 2 * step) for s in (1, -1)], [at(s * step) for s in (1, -1)]
    return {
        k: (8 * (near[0][k] - near[1][k]) - (far[0][k] - far[1][k])) / (12 * step)
        for k in near[0]
        if near[0][k].dtype == np.float64
    }
