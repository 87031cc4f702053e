"""The walk over a model: how much there is of everything, and whether names mean one thing each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import onnx

from nngraph.serde.limits.attributes import check_attributes, check_operands
from nngraph.serde.limits.common import CAPS, are_plain, check_name, check_text, listed, refuse
from nngraph.serde.limits.tensors import check_sparse, check_tensor, check_type, constant_of

__all__ = ["check_limits"]

_FUNCTION = tuple[str, str, str]
"""Domain, name and overload."""


def check_limits(model: onnx.ModelProto, *, stored: Sequence[str] = ()) -> None:
    """Refuse a model that is contradictory, endless, or asks for absurd amounts of anything.

    Args:
        model: a parsed model.
        stored: names of all initializers, where large ones were taken out of ``model`` and are inputs of it instead.

    Raises:
        ValueError: the first thing found, by name, with what is allowed and what to do.

    Example:
        >>> text = '<ir_version: 8, opset_import: ["": 20]> g (float[1,4,1,1] x) => (float[1,1,2,2] y)'
        >>> check_limits(onnx.parser.parse_model(text + "{ y = DepthToSpace<blocksize = 2>(x) }"))
        >>> bad = onnx.parser.parse_model(text + "{ y = DepthToSpace<blocksize = 0>(x) }")
        >>> check_limits(bad)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: node 'y' (DepthToSpace): attribute 'blocksize' is 0; 1 to 32768 is possible; ...
    """
    if len(model.functions) > CAPS.nodes:
        raise refuse("the model", f"has {len(model.functions)} functions; {CAPS.nodes} are allowed")
    for text in (model.producer_name, model.producer_version, model.domain, model.doc_string):
        check_text(text, "a text of the model")
    _check_texts(model.metadata_props, "the model")
    opsets = _opsets(model.opset_import, "the model")
    if not model.HasField("graph"):
        raise refuse("the model", "has no graph")
    if duplicates := _twice(stored):
        raise refuse("the graph", f"stores {listed(duplicates)} more than once")
    walk = _Walk(opsets)
    walk.graph(model.graph, None, "the graph")
    for training in model.training_info:
        for graph in (training.algorithm, training.initialization):
            walk.stored(graph, _Scope(None), "the training graph")
    _check_functions(model, opsets)


class _Scope:
    """The names that a graph defines, the constants among them, and those of the graphs around it."""

    def __init__(self, outer: _Scope | None) -> None:
        self.outer = outer
        self.depth: int = 0 if outer is None else outer.depth + 1
        self.names: set[str] = set()
        self.constants: dict[str, Sequence[float]] = {}

    def defines(self, name: str) -> bool:
        """Tell whether a name is defined here or around."""
        return name in self.names or (self.outer is not None and self.outer.defines(name))

    def constant(self, name: str) -> Sequence[float] | None:
        """Return the numbers of a small constant."""
        if name in self.names or self.outer is None:
            return self.constants.get(name)
        return self.outer.constant(name)


class _Walk:
    """Counts nodes and tensors over all graphs of a model."""

    def __init__(self, opsets: dict[str, int]) -> None:
        self.opsets = opsets
        self.nodes = 0
        self.tensors = 0

    def graph(self, graph: onnx.GraphProto, outer: _Scope | None, where: str) -> None:
        """Check a graph and those inside its nodes."""
        scope = _Scope(outer)
        if scope.depth > CAPS.depth:
            raise refuse(where, f"lies {scope.depth} graphs deep; {CAPS.depth} are allowed")
        check_name(graph.name, where, empty=True)
        check_text(graph.doc_string, f"the text of {where}")
        for entry in (*graph.input, *graph.output, *graph.value_info):
            check_name(entry.name, f"a value of {where}")
            check_type(entry.type, f"value {entry.name!r} of {where}")
        for what, entries in (("input", graph.input), ("output", graph.output)):
            if twice := _twice(entry.name for entry in entries):
                raise refuse(where, f"has the {what} {listed(twice)} more than once")
        scope.names.update(entry.name for entry in graph.input)
        self.stored(graph, scope, where)
        self.body(graph.node, scope, where)
        for entry in graph.output:
            if not scope.defines(entry.name):
                raise refuse(where, f"has the output {entry.name!r}, which nothing computes")

    def stored(self, graph: onnx.GraphProto, scope: _Scope, where: str) -> None:
        """Check the stored tensors of a graph."""
        self.tensors += len(graph.initializer) + len(graph.sparse_initializer)
        if self.tensors > CAPS.tensors:
            raise refuse(where, f"stores {self.tensors} tensors; {CAPS.tensors} are allowed")
        declared = {entry.name: entry.type for entry in graph.input}
        for tensor in graph.initializer:
            check_name(tensor.name, f"a tensor of {where}")
            here = f"tensor {tensor.name!r}"
            check_tensor(tensor, here, external=scope.outer is None)
            _check_declared(tensor, declared.get(tensor.name), here)
            if (numbers := constant_of(tensor)) is not None:
                scope.constants[tensor.name] = numbers
        for sparse in graph.sparse_initializer:
            check_name(sparse.values.name, f"a sparse tensor of {where}")
            check_sparse(sparse, f"sparse tensor {sparse.values.name!r}")
        names = [t.name for t in graph.initializer] + [s.values.name for s in graph.sparse_initializer]
        if twice := _twice(names):
            raise refuse(where, f"stores {listed(twice)} more than once")
        scope.names.update(names)

    def body(self, nodes: Sequence[onnx.NodeProto], scope: _Scope, where: str) -> None:
        """Check nodes in order; the scope gets the names that they define."""
        self.nodes += len(nodes)
        if self.nodes > CAPS.nodes:
            raise refuse(where, f"has {self.nodes} nodes; {CAPS.nodes} are allowed")
        for node in nodes:
            here = _called(node)
            inputs, outputs = _check_form(node, here)
            for name in inputs:
                if name and not scope.defines(name):
                    raise _undefined(name, here, nodes)
            domain = "" if node.domain == "ai.onnx" else node.domain
            attributes = node.attribute
            if attributes:
                check_attributes(node, self.opsets.get(domain), here)
            if not domain:
                check_operands(node, scope.constant, here)
            for attribute in attributes:
                for graph in _graphs(attribute):
                    self.graph(graph, scope, f"the graph {attribute.name!r} of {here}")
            for name in outputs:
                if name in scope.names:
                    raise refuse(here, f"defines {name!r}, which is defined already: each value has one definition")
                if name:
                    scope.names.add(name)
            if node.op_type == "Constant" and not domain:
                _note_constant(node, scope)


def _check_form(node: onnx.NodeProto, where: str) -> tuple[list[str], list[str]]:
    """Check what every node has; return the names of its inputs and outputs."""
    inputs, outputs = list(node.input), list(node.output)
    if max(len(inputs), len(outputs)) > CAPS.values:
        given = f"has {len(inputs)} inputs and {len(outputs)} outputs"
        raise refuse(where, f"{given}; {CAPS.values} are allowed")
    if not (node.op_type and are_plain((node.name, node.op_type, node.domain, *inputs, *outputs))):
        check_name(node.name, where, empty=True)
        check_name(node.op_type, f"the operator of {where}")
        check_name(node.domain, f"the domain of {where}", empty=True)
        for what, names in (("an input", inputs), ("an output", outputs)):
            for name in names:
                check_name(name, f"{what} of {where}", empty=True)
    if node.metadata_props:
        _check_texts(node.metadata_props, where)
    return inputs, outputs


def _graphs(attribute: onnx.AttributeProto) -> list[onnx.GraphProto]:
    """Return the graphs of an attribute that passed :func:`check_attributes`."""
    if attribute.type == onnx.AttributeProto.GRAPH:
        return [attribute.g]
    return list(attribute.graphs) if attribute.type == onnx.AttributeProto.GRAPHS else []


def _called(node: onnx.NodeProto) -> str:
    name = node.name or next((o for o in node.output if o), "")
    op = node.op_type[:60]
    return f"node {name[:60]!r} ({op if isinstance(op, str) and op.isprintable() else repr(op)})"


def _undefined(name: str, where: str, nodes: Sequence[onnx.NodeProto]) -> ValueError:
    later = next((n for n in nodes if name in n.output), None)
    if later is None:
        return refuse(where, f"takes {name[:60]!r}, which nothing defines")
    return refuse(
        where, f"takes {name[:60]!r}, which {_called(later)} computes later: the nodes form a cycle or are out of order"
    )


def _note_constant(node: onnx.NodeProto, scope: _Scope) -> None:
    for attribute in node.attribute:
        numbers: Sequence[float] | None = None
        if attribute.name == "value" and attribute.HasField("t"):
            numbers = constant_of(attribute.t)
        elif attribute.name in ("value_int", "value_float"):
            numbers = [attribute.i if attribute.name == "value_int" else attribute.f]
        elif attribute.name in ("value_ints", "value_floats"):
            numbers = [*attribute.ints, *attribute.floats][: 2 * CAPS.rank]
        if numbers is not None and node.output:
            scope.constants[node.output[0]] = numbers


def _check_declared(tensor: onnx.TensorProto, type: onnx.TypeProto | None, where: str) -> None:
    if type is None or type.WhichOneof("value") != "tensor_type":
        return
    declared = type.tensor_type
    if declared.elem_type and declared.elem_type != tensor.data_type:
        raise refuse(where, f"has the element type {tensor.data_type}, but is declared as {declared.elem_type}")
    if declared.HasField("shape"):
        sizes = [d.dim_value if d.HasField("dim_value") else None for d in declared.shape.dim]
        fits = len(sizes) == len(tensor.dims) and all(a in (None, b) for a, b in zip(sizes, tensor.dims, strict=False))
        if not fits:
            raise refuse(where, f"has the shape {list(tensor.dims)}, but is declared as {sizes}")


def _check_texts(entries: Sequence[onnx.StringStringEntryProto], where: str) -> None:
    if len(entries) > CAPS.texts:
        raise refuse(where, f"has {len(entries)} metadata entries; {CAPS.texts} are allowed")
    for entry in entries:
        check_name(entry.key, f"a metadata key of {where}", empty=True)
        check_text(entry.value, f"metadata {entry.key!r} of {where}")


def _opsets(entries: Iterable[onnx.OperatorSetIdProto], where: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for entry in entries:
        check_name(entry.domain, f"a domain of {where}", empty=True)
        domain = "" if entry.domain == "ai.onnx" else entry.domain
        if not 0 < entry.version < CAPS.size:
            raise refuse(where, f"uses version {entry.version} of the operators {entry.domain or 'ai.onnx'!r}")
        if found.setdefault(domain, entry.version) != entry.version:
            raise refuse(where, f"uses two versions of the operators {entry.domain or 'ai.onnx'!r}")
    return found


def _twice(names: Iterable[str]) -> list[str]:
    seen: set[str] = set()
    return sorted({n for n in names if n in seen or seen.add(n)})  # type: ignore[func-returns-value]


# -- functions ------------------------------------------------------------------------------------------------------


def _check_functions(model: onnx.ModelProto, opsets: dict[str, int]) -> None:
    """Check each function by itself, and that inlining them ends and stays small."""
    if not model.functions:
        return
    functions: dict[_FUNCTION, onnx.FunctionProto] = {}
    for function in model.functions:
        key = (function.domain, function.name, function.overload)
        here = f"function {function.name[:60]!r} of domain {function.domain[:60]!r}"
        for part in key:
            check_name(part, here, empty=True)
        if key in functions:
            raise refuse(here, "is defined twice")
        functions[key] = function
        for name in (*function.input, *function.output):
            check_name(name, f"a value of {here}")
        parameters = [*function.attribute, *(a.name for a in function.attribute_proto)]
        if twice := _twice(function.input) or _twice(parameters):
            raise refuse(here, f"has the parameter {listed(twice)} more than once")
        scope = _Scope(None)
        scope.names.update(function.input)
        _Walk(opsets | _opsets(function.opset_import, here)).body(function.node, scope, here)
        for name in function.output:
            if not scope.defines(name):
                raise refuse(here, f"has the output {name!r}, which nothing computes")
    sizes: dict[_FUNCTION, int] = {}
    for key in functions:
        _inlined(key, functions, sizes, [])
    total = sum(sizes.get((n.domain, n.op_type, n.overload), 1) for n in _all_nodes(model.graph.node))
    if total > CAPS.nodes:
        raise refuse("the model", f"has {total} nodes once its functions are inlined; {CAPS.nodes} are allowed")


def _inlined(
    key: _FUNCTION, functions: dict[_FUNCTION, onnx.FunctionProto], sizes: dict[_FUNCTION, int], path: list[_FUNCTION]
) -> int:
    """Return how many nodes a function becomes."""
    if key in path:
        raise refuse(f"function {key[1][:60]!r}", f"calls itself, through {listed(k[1] for k in path)}")
    if len(path) > CAPS.depth * 8:
        raise refuse(f"function {key[1][:60]!r}", f"lies {len(path)} calls deep; {CAPS.depth * 8} are allowed")
    if key not in sizes:
        total = 0
        for node in _all_nodes(functions[key].node):
            inner = (node.domain, node.op_type, node.overload)
            total += _inlined(inner, functions, sizes, [*path, key]) if inner in functions else 1
        sizes[key] = total
    return sizes[key]


def _all_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterable[onnx.NodeProto]:
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in _graphs(attribute):
                yield from _all_nodes(graph.node)
