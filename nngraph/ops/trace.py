"""Tracing: while a trace is active, operations on its values become nodes of its graph.

:func:`apply` is the one door through which every operation passes. On graph values it appends a typed node; on arrays
it computes at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np

from nngraph.ir import Dim, Graph, Node, OpaqueType, Origin, TensorType, Value, copy_node, numpy_dtype
from nngraph.ir.types import dims_compatible
from nngraph.registry import COMPOSITE_DOMAIN, OpDef, op_def
from nngraph.runtime import run_node
from nngraph.schema import infer_types, remembered, signature

if TYPE_CHECKING:
    from nngraph.ops.variable import Variable

__all__ = [
    "Trace",
    "apply",
    "composite",
    "current_trace",
    "inline",
    "is_traced",
    "recorded_under",
    "run_traced",
    "trace_graph",
    "untraced",
]

_ACTIVE: ContextVar[Trace | None] = ContextVar("nngraph_trace", default=None)


class Trace:
    """An open graph into which operations are recorded; used as a context manager.

    Args:
        graph: the graph that grows.
        before: nodes go in front of this node (default: at the end).
        outer: the trace of the graph around this one, when ``graph`` is a subgraph.

    Attributes:
        variables: each variable read so far and its current value in the graph.
        assigned: the variables that got a new value.
        masks: the Keras mask of a value, where it has one.
    """

    def __init__(self, graph: Graph, *, before: Node | None = None, outer: Trace | None = None) -> None:
        self.graph = graph
        self.before = before
        self.outer = outer
        self.variables: dict[Variable, Value] = outer.variables if outer is not None else {}
        self.sources: dict[Variable, Value] = outer.sources if outer is not None else {}
        self.assigned: dict[Variable, None] = outer.assigned if outer is not None else {}
        self.masks: dict[Value, Any] = outer.masks if outer is not None else {}
        self.losses: list[Any] = outer.losses if outer is not None else []
        self.layers: list[str] = list(outer.layers) if outer is not None else []
        self.forward = ""
        self._token: Any = None
        self._constants: dict[Any, Value] = {}

    def __enter__(self) -> Trace:
        self._token = _ACTIVE.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _ACTIVE.reset(self._token)

    @property
    def root(self) -> Trace:
        """The outermost trace: variables become inputs of its graph."""
        return self if self.outer is None else self.outer.root

    def read(self, variable: Variable) -> Value:
        """Return the variable's value at this point of the graph, adding an input for it at first use."""
        if variable not in self.variables:
            root = self.root.graph
            value = root.add_input(variable.path or variable.name, variable.type)
            self.sources[variable] = self.variables[variable] = value
        return self.variables[variable]

    def assign(self, variable: Variable, value: Value) -> None:
        """Make ``value`` the variable's value from here on."""
        if self.outer is not None:
            raise RuntimeError(
                f"variable {variable.path!r} cannot be assigned inside the body of a loop or branch; "
                "return the new value from the body and assign it outside"
            )
        self.read(variable)
        self.variables[variable] = value
        self.assigned[variable] = None

    def constant(self, array: np.ndarray[Any, Any]) -> Value:
        """Return a stored array as a value; equal small arrays are stored once."""
        key = (array.dtype.str, array.shape, array.tobytes()) if array.size <= 64 and array.dtype != object else None
        known = self._constants.get(key) if key is not None else None
        if known is not None and known in self.graph.constants:
            return known
        value = self.graph.add_constant(array)
        if key is not None:
            self._constants[key] = value
        return value

    def origin(self) -> Origin:
        """Where nodes recorded now come from."""
        return Origin(layer=self.layers[-1] if self.layers else "", forward=self.forward)

    @contextlib.contextmanager
    def within(self, layer: str) -> Iterator[None]:
        """Record the nodes of a block under a layer's path."""
        self.layers.append(layer)
        try:
            yield
        finally:
            self.layers.pop()


def current_trace() -> Trace | None:
    """Return the active trace, if any."""
    return _ACTIVE.get()


@contextlib.contextmanager
def untraced() -> Iterator[None]:
    """Compute at once in a block, whatever is being traced around it."""
    token = _ACTIVE.set(None)
    try:
        yield
    finally:
        _ACTIVE.reset(token)


@contextlib.contextmanager
def recorded_under(path: str) -> Iterator[None]:
    """Record the nodes of a block under a path such as ``"optimizer/adam"``; without a trace do nothing."""
    trace = _ACTIVE.get()
    if trace is None:
        yield
        return
    with trace.within(path):
        yield


def _is_variable(x: Any) -> bool:
    return getattr(x, "_is_nngraph_variable", False)


def is_traced(*inputs: Any) -> bool:
    """Tell whether an operation on these inputs would be recorded rather than computed."""
    trace = _ACTIVE.get()
    return any(isinstance(x, Value) or (trace is not None and _is_variable(x)) for x in inputs)


def apply(
    op: str,
    *inputs: Any,
    domain: str = "",
    outputs: int = 1,
    types: Sequence[TensorType] | None = None,
    **attributes: Any,
) -> Any:
    """Record one operator, or compute it at once when no input is symbolic.

    Args:
        op: operator name in ai.onnx (or in ``domain``).
        inputs: values, variables, arrays, Python numbers (which take the dtype of the first tensor) or ``None``.
        domain: operator domain.
        outputs: how many outputs to ask for.
        types: output types where the caller knows more than inference (named sizes); they are trusted for names only.
        attributes: ONNX attributes; dtypes as names.

    Returns:
        One value or array, or a tuple when ``outputs`` is not 1.

    Raises:
        ValueError: the operator does not accept these inputs.
    """
    attributes = {k: tuple(v) if isinstance(v, list) else v for k, v in attributes.items() if v is not None}
    while inputs and inputs[-1] is None:
        inputs = inputs[:-1]
    trace = _ACTIVE.get()
    symbolic = any(isinstance(x, Value) or (trace is not None and _is_variable(x)) for x in inputs)
    symbolic = symbolic or any(isinstance(a, Graph) for a in attributes.values())
    if not symbolic:
        return _compute(op, inputs, domain, outputs, attributes)
    if trace is None:
        raise RuntimeError(
            f"{op} was called on a graph value outside of a trace; use nngraph.function to trace a function"
        )
    like = next((x.dtype for x in inputs if isinstance(x, Value) or _is_variable(x)), None)
    like = next((str(x.dtype) for x in inputs if hasattr(x, "dtype")), like)
    values = [_as_value(x, trace, like) for x in inputs]
    node = Node(op, values, attributes, domain=domain, origin=trace.origin())
    inferred = infer_composite(node, outputs) if domain == COMPOSITE_DOMAIN else _infer(node, outputs)
    if types is not None:
        inferred = [_more_precise(a, b) for a, b in zip(inferred, types, strict=True)]
    graph = trace.graph
    final = [t if "?" not in t.shape else t.with_shape(_named(d, graph) for d in t.shape) for t in inferred]
    graph.insert_before(trace.before, node, final)
    return node.outputs[0] if outputs == 1 else node.outputs


def _named(dim: Any, graph: Graph) -> Any:
    return graph.unique_name("dim") if dim == "?" else dim


def _infer(node: Node, outputs: int) -> list[TensorType]:
    node.outputs = (None,) * outputs  # type: ignore[assignment]  # inference only asks how many
    try:
        types = infer_types(node)[:outputs]
    finally:
        node.outputs = ()
    known = [t for t in types if not isinstance(t, OpaqueType)]
    if len(known) < outputs and not any(v is not None and isinstance(v.type, OpaqueType) for v in node.inputs):
        if len(types) < outputs:
            raise ValueError(f"{node.op_id} gives {len(types)} outputs, {outputs} were asked for")
        raise ValueError(f"{node.op_id} gives a result whose rank is not known before it runs: {node}")
    return types


def _more_precise(inferred: TensorType, told: TensorType) -> TensorType:
    if isinstance(told, OpaqueType) or isinstance(inferred, OpaqueType):
        return inferred if isinstance(told, OpaqueType) else told
    if inferred.rank != told.rank or inferred.dtype != told.dtype:
        raise ValueError(f"an operation was said to give {told} but gives {inferred}")
    return inferred.with_shape(b if isinstance(a, str) else a for a, b in zip(inferred.shape, told.shape, strict=True))


def _as_value(x: Any, trace: Trace, like: str | None) -> Value | None:
    if x is None or isinstance(x, Value):
        return x
    if _is_variable(x):
        return trace.read(x)
    if isinstance(x, (np.ndarray, np.generic)):
        return trace.constant(np.asarray(x))
    if isinstance(x, (bool, int, float)):
        return trace.constant(np.asarray(x, numpy_dtype(like) if like else None))
    if hasattr(x, "_nngraph_symbolic"):
        raise TypeError(f"{x!r} is a Keras tensor of a functional model; it cannot be used inside a traced function")
    return trace.constant(np.asarray(x))


def _compute(op: str, inputs: Sequence[Any], domain: str, outputs: int, attributes: dict[str, Any]) -> Any:
    like = next((x.dtype for x in inputs if hasattr(x, "dtype")), None)
    like = numpy_dtype(like) if isinstance(like, str) else like
    arrays: list[Any] = []
    for x in inputs:
        if _is_variable(x):
            arrays.append(x.numpy_view())
        elif isinstance(x, (bool, int, float)) and not isinstance(x, np.generic):
            arrays.append(np.asarray(x, like))
        else:
            arrays.append(None if x is None else np.asarray(x))
    entry = op_def(op, domain)
    double = any(a is not None and a.dtype == np.float64 for a in arrays)
    beyond = entry.beyond_runtime is not None and entry.beyond_runtime(attributes)
    if domain == COMPOSITE_DOMAIN or (entry.expand is not None and (double or beyond)):
        if entry.expand is None:
            raise ValueError(f"composite operator {op!r} has no portable form")
        result = entry.expand(*arrays, **attributes)
        if not isinstance(result, (tuple, list)):
            return result
        return result[0] if outputs == 1 else tuple(result[:outputs])
    found = run_node(op, arrays, attributes, domain=domain, outputs=outputs)
    return found[0] if outputs == 1 else tuple(found)


# -- functions as graphs --------------------------------------------------------------------------------------------


def trace_graph(
    fn: Callable[..., Any], types: Sequence[TensorType], names: Sequence[str] | None = None, name: str = "graph"
) -> tuple[Graph, Trace, Any]:
    """Trace ``fn`` on symbolic inputs of these types.

    Returns:
        The graph (its outputs not set yet), the trace with the variables it met, and what ``fn`` returned.
    """
    graph = Graph(name)
    trace = Trace(graph)
    inputs = [graph.add_input(names[k] if names else f"x{k}", t) for k, t in enumerate(types)]
    with trace:
        result = fn(*inputs)
    return graph, trace, result


def inline(
    graph: Graph,
    inputs: Sequence[Any],
    constants: Mapping[Value, Any] | None = None,
    instead: Callable[[Node, Sequence[Value | None]], Sequence[Any] | None] | None = None,
) -> list[Value]:
    """Copy a graph's nodes into the active trace, its inputs replaced by ``inputs``; return the outputs there.

    Args:
        graph: the graph; its inputs' sizes may be other ones here, types are then inferred anew.
        inputs: values, variables or arrays.
        constants: values, variables or arrays that stand in the place of some of its constants.
        instead: called with each node and its inputs here; may return what stands in the place of its outputs.

    Raises:
        ValueError: an input does not fit, or a node does not accept the sizes that follow.
    """
    trace = _ACTIVE.get()
    if trace is None:
        raise RuntimeError("inline needs an active trace")
    mapping: dict[Value, Value] = {}
    sizes: dict[str, Dim] = {}
    for old, new in zip(graph.inputs, inputs, strict=True):
        value = _as_value(new, trace, old.dtype)
        assert value is not None
        _bind_sizes(old, value, sizes)
        mapping[old] = value
    for old in graph.constants:
        given = constants.get(old) if constants else None
        mapping[old] = trace.constant(old.data) if given is None else _as_value(given, trace, None)  # type: ignore[arg-type, assignment]
    same = all(old.type == mapping[old].type for old in graph.inputs)
    for node in graph:
        replaced = instead(node, [None if v is None else mapping.get(v, v) for v in node.inputs]) if instead else None
        if replaced is not None:
            mapping.update((o, r) for o, r in zip(node.outputs, replaced, strict=False) if r is not None)
            continue
        copy = copy_node(node, trace.graph, mapping, before=trace.before)
        if not copy.origin.layer:
            copy.origin = trace.origin()
        if not same:
            _type_anew(copy, sizes)
    return [mapping[v] for v in graph.outputs]


def _bind_sizes(old: Value, new: Value, sizes: dict[str, Dim]) -> None:
    fits = old.dtype == new.dtype and old.ndim == new.ndim
    for want, got in zip(old.shape, new.shape, strict=True) if fits else ():
        bound = sizes.setdefault(want, got) if isinstance(want, str) else want
        fits = fits and dims_compatible(bound, got)
    if not fits:
        raise ValueError(f"input {old.name!r} must be {old.type}, got {new.type}")


def _type_anew(node: Node, sizes: Mapping[str, Dim]) -> None:
    """Infer the types of a copied node whose inputs have other sizes than the original's."""
    for sub in node.subgraphs:
        sub.bind_dims(sizes)
        for inner in sub:
            _type_anew(inner, sizes)
    if node.graph is None or all(isinstance(o.type, OpaqueType) for o in node.outputs):
        return
    for value, type in zip(node.outputs, infer_types(node), strict=False):
        if not isinstance(type, OpaqueType):
            graph = node.graph
            value.type = type.with_shape(_named(d, graph) for d in type.shape)


def run_traced(fn: Callable[..., Any], *arrays: Any) -> tuple[np.ndarray[Any, Any], ...]:
    """Trace ``fn`` on the types of some arrays and run it once: eager execution of what only a graph can express."""
    from nngraph.runtime import Session

    data = [np.asarray(a) for a in arrays]
    with _suspended():
        graph, trace, result = trace_graph(fn, [TensorType.of(a) for a in data])
        results = list(result) if isinstance(result, (tuple, list)) else [result]
        with trace:
            outputs = [_as_value(r, trace, None) for r in results]
        graph.set_outputs([v for v in outputs if v is not None], [f"y{k}" for k in range(len(outputs))])
    feeds = {f"x{k}": a for k, a in enumerate(data)}
    feeds.update({v.name: var.numpy_view() for var, v in trace.sources.items()})
    return tuple(Session(graph, "cpu").run(feeds).values())


@contextlib.contextmanager
def _suspended() -> Iterator[None]:
    token = _ACTIVE.set(None)
    try:
        yield
    finally:
        _ACTIVE.reset(token)


# -- composite operators --------------------------------------------------------------------------------------------


def infer_composite(node: Node, outputs: int | None = None) -> list[TensorType]:
    """Return the output types of a composite by tracing its portable form."""
    stored = [v.data for v in node.inputs if v is not None and v.data is not None]
    if any(data.size > _SMALL or data.dtype == object for data in stored) or node.subgraphs:
        return _infer_composite_anew(node, outputs)
    contents = tuple(data.tobytes() for data in stored)
    key = op_def(node.op, node.domain).expand, outputs, contents, signature(node)
    known = remembered(_COMPOSITES, key, lambda: tuple(_infer_composite_anew(node, outputs)))
    return list(known)


_COMPOSITES: dict[Any, tuple[TensorType, ...]] = {}

_SMALL = 64
"""Constants of at most so many elements are part of what is remembered; with larger ones nothing is."""


def _infer_composite_anew(node: Node, outputs: int | None) -> list[TensorType]:
    entry = op_def(node.op, node.domain)
    if entry.expand is None:
        raise ValueError(f"operator {node.op_id!r} is not defined")
    graph = Graph("scratch")
    values = [None if v is None else _stand_in(v, graph) for v in node.inputs]
    with _suspended(), Trace(graph):
        result = entry.expand(*values, **node.attributes)
    results = list(result) if isinstance(result, (tuple, list)) else [result]
    if outputs is not None and len(results) < outputs:
        raise ValueError(f"{node.op_id} gives {len(results)} outputs, {outputs} were asked for")
    return [TensorType.of(r) if isinstance(r, np.ndarray) else r.type for r in results[:outputs]]


def _stand_in(value: Value, graph: Graph) -> Value:
    return (
        graph.add_constant(value.data, value.name)
        if value.data is not None
        else graph.add_input(value.name, value.type)
    )


def composite(name: str, *, random: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as the portable form of a composite operator, and return a function that records it.

    The decorated function takes tensors, then keyword attributes, and is written with ordinary operations.

    Example:
        >>> @composite("Twice")
        ... def twice(x):
        ...     return apply("Add", x, x)
        >>> twice(np.float32([1, 2])).tolist()
        [2.0, 4.0]
    """

    def register(fn: Callable[..., Any]) -> Callable[..., Any]:
        entry = op_def(name, COMPOSITE_DOMAIN)
        entry.random = random
        set_expansion(entry, fn)

        def record(*inputs: Any, outputs: int = 1, **attributes: Any) -> Any:
            return apply(name, *inputs, domain=COMPOSITE_DOMAIN, outputs=outputs, **attributes)

        record.__name__, record.__doc__, record.__wrapped__ = fn.__name__, fn.__doc__, fn  # type: ignore[attr-defined]
        record.__module__ = fn.__module__
        return record

    return register


def set_expansion(entry: OpDef, fn: Callable[..., Any]) -> None:
    """Make ``fn`` the expansion of an operator."""

    def expand_node(node: Node) -> None:
        graph = node.graph
        assert graph is not None
        trace = Trace(graph, before=node)
        if node.origin.layer:
            trace.layers.append(node.origin.layer)
        trace.forward = node.origin.forward
        with trace:
            result = fn(*node.inputs, **node.attributes)
            results = list(result) if isinstance(result, (tuple, list)) else [result]
            for old, new in zip(node.outputs, results, strict=False):
                value = _as_value(new, trace, old.dtype)
                assert value is not None
                if any(isinstance(d, str) for d in value.shape) and value.producer is not None:
                    value.type = _more_precise(value.type, old.type)
                old.replace_uses(value)
        graph.erase(node)

    entry.expand, entry.expand_node = fn, expand_node
