"""The graph: values, nodes and the few ways to change them.

A graph is typed, mutable SSA in ONNX's vocabulary. Values know their producer and all their uses; nodes form a linked
list in execution order, so inserting and erasing while iterating is safe and cheap. Subgraphs (the bodies of If, Loop
and Scan) are attributes whose nodes may use values of the graphs around them directly.

The only mutators are :meth:`Graph.append`, :meth:`Graph.insert_before`, :meth:`Graph.erase`, :meth:`Node.set_input`,
:meth:`Value.replace_uses` and the ``add_*``/``set_outputs`` methods of :class:`Graph`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nngraph.ir.operators import ArrayOperators
from nngraph.ir.types import Dim, OpaqueType, Shape, TensorType, broadcast_shapes, numpy_dtype

__all__ = ["Graph", "Node", "Origin", "Value", "bytes_of"]

_NOMINAL = 32
"""What stands for a size that has only a name."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a node comes from.

    Attributes:
        layer: path of the user's layer, such as ``"sequential/dense_1"``.
        forward: name of the forward node when this node belongs to its gradient.
        by: names of the passes or rules that rewrote it, oldest first.
    """

    layer: str = ""
    forward: str = ""
    by: tuple[str, ...] = ()

    def rewritten(self, by: str) -> Origin:
        """Return the origin with one more rewriter's name."""
        return self if self.by[-1:] == (by,) else Origin(self.layer, self.forward, (*self.by, by))

    def __str__(self) -> str:
        parts = [self.layer] if self.layer else []
        if self.forward:
            parts.append(f"grad of {self.forward}")
        if self.by:
            parts.append("by " + ", ".join(self.by))
        return "; ".join(parts)


class Value(ArrayOperators):
    """One SSA value: a graph input, a constant, or an output of a node."""

    __slots__ = ("data", "graph", "index", "name", "producer", "type", "uses")

    def __init__(self, name: str, type: TensorType, graph: Graph, producer: Node | None = None, index: int = 0) -> None:
        self.name = name
        self.type = type
        self.graph = graph
        self.producer = producer
        self.index = index
        self.data: np.ndarray[Any, Any] | None = None
        self.uses: dict[tuple[Node, int], None] = {}

    @property
    def dtype(self) -> str:
        """The dtype's name."""
        return self.type.dtype

    @property
    def shape(self) -> Shape:
        """The shape; a name stands for a size known at run time."""
        return self.type.shape

    @property
    def ndim(self) -> int:
        """The rank."""
        return len(self.type.shape)

    @property
    def is_constant(self) -> bool:
        """Whether the value is stored in the graph."""
        return self.data is not None

    @property
    def is_output(self) -> bool:
        """Whether the value is an output of its graph."""
        return self in self.graph._output_slots

    @property
    def users(self) -> list[Node]:
        """The nodes that use the value, each once, in order of first use."""
        return list(dict.fromkeys(node for node, _ in self.uses))

    def replace_uses(self, new: Value, *, outputs: bool = True) -> None:
        """Make every user of this value use ``new``; with ``outputs`` also where it is a graph output."""
        if new is self:
            return
        for node, index in list(self.uses):
            node.set_input(index, new)
        if outputs and self.is_output:
            self.graph._replace_output(self, new)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError(f"value {self.name!r} is a scalar and has no length")
        if isinstance(self.shape[0], str):
            raise TypeError(
                f"the length of value {self.name!r} is {self.shape[0]!r}, known only at run time; use ops.shape(x)[0]"
            )
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        raise TypeError(
            f"value {self.name!r} ({self.type}) has no truth value while a graph is traced; "
            "use ops.where or ops.cond instead of `if`"
        )

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError(
            f"value {self.name!r} ({self.type}) is symbolic and holds no numbers; use nngraph.ops instead of numpy"
        )

    def __repr__(self) -> str:
        return f"<Value {self.name}: {self.type}>"


class Node:
    """One operation: an ONNX operator, or a composite operator of domain ``nngraph``.

    Attributes:
        op_id: domain and operator in one string, as ``"MatMul"`` or ``"nngraph::Dropout"``; no node changes its own.
    """

    __slots__ = (
        "_has_subgraphs",
        "_next",
        "_prev",
        "attributes",
        "domain",
        "graph",
        "inputs",
        "name",
        "op",
        "op_id",
        "origin",
        "outputs",
    )

    def __init__(
        self,
        op: str,
        inputs: Sequence[Value | None],
        attributes: Mapping[str, Any],
        *,
        domain: str = "",
        name: str = "",
        origin: Origin = Origin(),
    ) -> None:
        self.op = op
        self.domain = domain
        self.op_id = f"{domain}::{op}" if domain else op
        self.name = name
        self.inputs: tuple[Value | None, ...] = tuple(inputs)
        self.outputs: tuple[Value, ...] = ()
        self.attributes: dict[str, Any] = dict(attributes)
        # Every pass asks every node, and hardly any has one.
        self._has_subgraphs = False
        for attribute in attributes.values():
            if isinstance(attribute, Graph):
                self._has_subgraphs = True
        self.origin = origin
        self.graph: Graph | None = None
        self._prev: Node | None = None
        self._next: Node | None = None

    @property
    def output(self) -> Value:
        """The first output."""
        return self.outputs[0]

    @property
    def subgraphs(self) -> list[Graph]:
        """The graphs among the attributes."""
        return [a for a in self.attributes.values() if isinstance(a, Graph)] if self._has_subgraphs else []

    @property
    def is_opaque(self) -> bool:
        """Whether something that is no tensor of known rank goes in or comes out."""
        # Asked of every node again and again: a loop is quicker than any().
        for value in (*self.inputs, *self.outputs):  # noqa: SIM110
            if value is not None and isinstance(value.type, OpaqueType):
                return True
        return False

    @property
    def is_used(self) -> bool:
        """Whether some output has a user or leaves the graph."""
        for value in self.outputs:  # noqa: SIM110
            if value.uses or value in value.graph._output_slots:
                return True
        return False

    @property
    def next(self) -> Node | None:
        """The node after this one."""
        return self._next

    @property
    def previous(self) -> Node | None:
        """The node before this one."""
        return self._prev

    def set_input(self, index: int, value: Value | None) -> None:
        """Replace one input and keep the uses right."""
        old = self.inputs[index]
        if old is not None:
            old.uses.pop((self, index), None)
        self.inputs = (*self.inputs[:index], value, *self.inputs[index + 1 :])
        if value is not None:
            value.uses[(self, index)] = None

    def captures(self) -> list[Value]:
        """The values of surrounding graphs that the subgraphs use, each once."""
        found: dict[Value, None] = {}
        for sub in self.subgraphs:
            for value in sub.captures():
                found[value] = None
        return list(found)

    def __repr__(self) -> str:
        outs = ", ".join(o.name for o in self.outputs)
        ins = ", ".join("_" if i is None else i.name for i in self.inputs)
        return f"<Node {self.name}: {outs} = {self.op_id}({ins})>"


@dataclass(slots=True)
class _Names:
    """Names handed out in a graph and all its subgraphs."""

    taken: set[str] = field(default_factory=set)
    counters: dict[str, int] = field(default_factory=dict)

    def unique(self, hint: str) -> str:
        name = hint or "v"
        while name in self.taken:
            self.counters[hint] = self.counters.get(hint, 0) + 1
            name = f"{hint}_{self.counters[hint]}"
        self.taken.add(name)
        return name


class Graph:
    """A list of nodes with named inputs, constants and outputs."""

    def __init__(self, name: str = "graph", parent: Graph | None = None) -> None:
        self.name = name
        self.parent = parent
        self.inputs: list[Value] = []
        self.outputs: list[Value] = []
        self.output_names: list[str] = []
        self.constants: dict[Value, None] = {}
        self.metadata: dict[str, str] = {}
        self.domains: dict[str, int] = {}  # opset versions of operator domains other than ai.onnx
        self._output_slots: dict[Value, list[int]] = {}  # where in `outputs` a value stands
        self._names: _Names = parent._names if parent is not None else _Names()
        self._first: Node | None = None
        self._last: Node | None = None
        self._count = 0
        self._nesting = 0  # how many of the nodes have subgraphs

    # -- reading ---------------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Node]:
        node = self._first
        while node is not None:
            following = node._next
            yield node
            if node.graph is self:
                node = node._next  # one inserted meanwhile is visited
                continue
            node = following  # a node that was erased keeps its old neighbour
            while node is not None and node.graph is not self:
                node = node._next

    def __reversed__(self) -> Iterator[Node]:
        node = self._last
        while node is not None:
            before = node._prev
            yield node
            node = node._prev if node.graph is self else before
            while node is not None and node.graph is not self:
                node = node._prev

    def __len__(self) -> int:
        return self._count

    @property
    def first(self) -> Node | None:
        """The first node."""
        return self._first

    @property
    def nodes(self) -> list[Node]:
        """A list of the nodes as they are now."""
        return list(self)

    @property
    def subgraphs(self) -> list[Graph]:
        """The graphs among the attributes of the nodes."""
        return [sub for node in self for sub in node.subgraphs] if self._nesting else []

    @property
    def size(self) -> int:
        """How many nodes there are, those of subgraphs, and of their subgraphs, included."""
        return self._count + sum(sub.size for sub in self.subgraphs)

    @property
    def is_opaque(self) -> bool:
        """Whether some value, of a subgraph perhaps, is no tensor of known rank; only imported models have such."""
        if any(isinstance(v.type, OpaqueType) for v in self.inputs) or any(sub.is_opaque for sub in self.subgraphs):
            return True
        for node in self:
            for value in node.outputs:
                if isinstance(value.type, OpaqueType):
                    return True
        return False

    def all_nodes(self) -> Iterator[Node]:
        """The nodes of the graph and, recursively, of the subgraphs."""
        for node in self:
            yield node
            if node._has_subgraphs:
                for sub in node.subgraphs:
                    yield from sub.all_nodes()

    def values(self) -> Iterator[Value]:
        """Inputs, constants and node outputs, subgraphs left out."""
        yield from self.inputs
        yield from self.constants
        for node in self:
            yield from node.outputs

    def find(self, name: str) -> Value:
        """Return the value with this name.

        Raises:
            KeyError: there is none.
        """
        for name_, value in zip(self.output_names, self.outputs, strict=True):
            if name_ == name:
                return value
        for value in self.values():
            if value.name == name:
                return value
        raise KeyError(f"graph {self.name!r} has no value named {name!r}")

    def captures(self) -> list[Value]:
        """The values used inside this graph that belong to graphs around it."""
        inside = self._own_graphs()
        found: dict[Value, None] = {}
        for node in self.all_nodes():
            for value in node.inputs:
                if value is not None and value.graph not in inside:
                    found[value] = None
        return list(found)

    def _own_graphs(self) -> set[Graph]:
        return {self}.union(*(sub._own_graphs() for sub in self.subgraphs))

    # -- building --------------------------------------------------------------------------------------------------

    def unique_name(self, hint: str) -> str:
        """Reserve and return a name that no other value or node has."""
        return self._names.unique(hint)

    def add_input(self, name: str, type: TensorType) -> Value:
        """Append a graph input."""
        value = Value(self.unique_name(name), type, self)
        self.inputs.append(value)
        return value

    def add_constant(self, data: np.ndarray[Any, Any], name: str = "const") -> Value:
        """Store an array in the graph and return its value; the array must not be changed afterwards."""
        value = Value(self.unique_name(name), TensorType.of(data), self)
        value.data = data
        self.constants[value] = None
        return value

    def make_constant(self, value: Value, data: np.ndarray[Any, Any]) -> None:
        """Turn a graph input into a constant that holds ``data``."""
        self.inputs[:] = [v for v in self.inputs if v is not value]
        value.data = data
        value.type = TensorType.of(data)
        self.constants[value] = None

    def append(self, node: Node, types: Sequence[TensorType], names: Sequence[str] | None = None) -> Node:
        """Add a node at the end with outputs of the given types."""
        return self._link(node, types, names, None)

    def insert_before(
        self, anchor: Node | None, node: Node, types: Sequence[TensorType], names: Sequence[str] | None = None
    ) -> Node:
        """Add a node before ``anchor``; ``None`` means at the end."""
        return self._link(node, types, names, anchor)

    def _link(self, node: Node, types: Sequence[TensorType], names: Sequence[str] | None, anchor: Node | None) -> Node:
        if node.graph is not None:
            raise ValueError(f"node {node.name!r} is already in graph {node.graph.name!r}")
        name = node.name = self.unique_name(node.name or node.op.lower())
        if names is None:
            names = [name] if len(types) == 1 else [f"{name}.{i}" for i in range(len(types))]
        # A node and its only output may share a name: they live in different name spaces of ONNX.
        node.outputs = tuple(
            [
                Value(hint if hint == name else self.unique_name(hint), type, self, node, i)
                for i, (hint, type) in enumerate(zip(names, types, strict=True))
            ]
        )
        for i, value in enumerate(node.inputs):
            if value is not None:
                value.uses[(node, i)] = None
        self._place(node, anchor)
        return node

    def add_node_output(self, node: Node, type: TensorType, name: str) -> Value:
        """Give a node of this graph one more output, after those that it has."""
        value = Value(self.unique_name(name), type, self, node, len(node.outputs))
        node.outputs = (*node.outputs, value)
        return value

    def _place(self, node: Node, anchor: Node | None) -> None:
        node.graph = self
        before = self._last if anchor is None else anchor._prev
        node._prev, node._next = before, anchor
        if before is None:
            self._first = node
        else:
            before._next = node
        if anchor is None:
            self._last = node
        else:
            anchor._prev = node
        self._count += 1
        self._nesting += node._has_subgraphs

    def move_before(self, anchor: Node | None, node: Node) -> None:
        """Move a node of this graph to another place in the order."""
        if anchor is node:
            return
        self._unlink(node)
        self._place(node, anchor)

    def _unlink(self, node: Node) -> None:
        if node._prev is None:
            self._first = node._next
        else:
            node._prev._next = node._next
        if node._next is None:
            self._last = node._prev
        else:
            node._next._prev = node._prev
        self._count -= 1
        self._nesting -= node._has_subgraphs

    def erase(self, node: Node) -> None:
        """Remove a node.

        Raises:
            ValueError: one of its outputs is still used.
        """
        for output in node.outputs:
            if output.uses or output.is_output:
                raise ValueError(
                    f"cannot erase node {node.name!r} ({node.op_id}): its output {output.name!r} is still used"
                )
        for sub in node.subgraphs:
            sub.release()
        for i, value in enumerate(node.inputs):
            if value is not None:
                value.uses.pop((node, i), None)
        self._unlink(node)
        node.graph = None

    def release(self) -> None:
        """Drop every use that this graph's nodes make of values, before the graph is thrown away."""
        for node in self:
            for sub in node.subgraphs:
                sub.release()
            for i, value in enumerate(node.inputs):
                if value is not None:
                    value.uses.pop((node, i), None)

    def erase_constant(self, value: Value) -> None:
        """Remove a stored array that nothing uses."""
        if value.uses or value.is_output:
            raise ValueError(f"cannot erase constant {value.name!r}: it is still used")
        del self.constants[value]

    def set_outputs(self, values: Iterable[Value], names: Sequence[str] | None = None) -> None:
        """Set the graph's outputs and the names by which the outside knows them (default: the values' names)."""
        values = list(values)
        for value in values:
            if value.graph is not self:
                raise ValueError(
                    f"graph {self.name!r} cannot return {value.name!r}, a value of graph {value.graph.name!r}; "
                    "pass it through an Identity node first"
                )
        self.outputs = values
        self.output_names = list(names) if names is not None else [v.name for v in values]
        if len(self.output_names) != len(self.outputs):
            raise ValueError(f"{len(self.outputs)} outputs need as many names, got {len(self.output_names)}")
        self._output_slots = {}
        for slot, value in enumerate(values):
            self._output_slots.setdefault(value, []).append(slot)

    def _replace_output(self, old: Value, new: Value) -> None:
        # Not by set_outputs: a training step returns every weight, and each of them may be replaced.
        if new.graph is not self:
            raise ValueError(f"graph {self.name!r} cannot return {new.name!r}, a value of graph {new.graph.name!r}")
        slots = self._output_slots.pop(old)
        for slot in slots:
            self.outputs[slot] = new
        self._output_slots.setdefault(new, []).extend(slots)

    # -- copying ---------------------------------------------------------------------------------------------------

    def clone(self, name: str | None = None) -> Graph:
        """Return a deep copy that shares only the constants' arrays."""
        copy, _ = self.clone_with_map(name)
        return copy

    def clone_with_map(self, name: str | None = None) -> tuple[Graph, dict[Value, Value]]:
        """Return a deep copy and the map from each value to its copy."""
        copy = Graph(name or self.name)
        mapping: dict[Value, Value] = {}
        copy._names = _Names(set(self._names.taken), dict(self._names.counters))
        _copy_into(self, copy, mapping, rename=lambda name: name)
        return copy, mapping

    def bind_dims(self, sizes: Mapping[str, Dim]) -> None:
        """Replace named dimensions by sizes or by other names in the types of all values, subgraphs included."""

        def bind(dim: Dim) -> Dim:
            if not isinstance(dim, str) or dim in sizes:
                return sizes[dim] if isinstance(dim, str) else dim
            # A size that may be either of several, see broadcast_shapes.
            return broadcast_shapes([(sizes.get(part, part),) for part in dim.split("|")])[0]

        def visit(graph: Graph) -> None:
            for value in graph.values():
                if any(isinstance(d, str) for d in value.shape):
                    value.type = value.type.with_shape(bind(d) for d in value.shape)
            for sub in graph.subgraphs:
                visit(sub)

        visit(self)

    def __str__(self) -> str:
        from nngraph.ir.text import to_text

        return to_text(self)

    def __repr__(self) -> str:
        return f"<Graph {self.name}: {len(self.inputs)} inputs, {len(self)} nodes, {len(self.outputs)} outputs>"


def _copy_into(source: Graph, target: Graph, mapping: dict[Value, Value], rename: Callable[[str], str]) -> None:
    """Copy inputs, constants, nodes and outputs of ``source`` to the empty graph ``target``."""
    for value in source.inputs:
        mapping[value] = _copy_value(value, target, rename)
        target.inputs.append(mapping[value])
    for value in source.constants:
        mapping[value] = _copy_value(value, target, rename)
        target.constants[mapping[value]] = None
    for node in source:
        copy_node(node, target, mapping, rename=rename)
    target.set_outputs([mapping[v] for v in source.outputs], source.output_names)
    target.metadata.update(source.metadata)
    target.domains.update(source.domains)


def _copy_value(value: Value, graph: Graph, rename: Callable[[str], str]) -> Value:
    copy = Value(rename(value.name), value.type, graph)
    copy.data = value.data
    return copy


def copy_node(
    node: Node,
    target: Graph,
    mapping: dict[Value, Value],
    *,
    before: Node | None = None,
    rename: Callable[[str], str] | None = None,
) -> Node:
    """Copy a node into ``target``, its inputs taken through ``mapping``, and record its outputs there.

    ``rename`` gives the copy's names; by default each is made unique in the target.
    """
    rename = rename or target.unique_name
    attributes: dict[str, Any] = {}
    for key, attribute in node.attributes.items():
        if isinstance(attribute, Graph):
            sub = Graph(attribute.name, parent=target)
            _copy_into(attribute, sub, mapping, rename)
            attribute = sub
        attributes[key] = attribute
    inputs = [None if v is None else mapping.get(v, v) for v in node.inputs]
    copy = Node(node.op, inputs, attributes, domain=node.domain, name=rename(node.name), origin=node.origin)
    copy.outputs = tuple(
        Value(copy.name if o.name == node.name else rename(o.name), o.type, target, copy, o.index) for o in node.outputs
    )
    for i, value in enumerate(copy.inputs):
        if value is not None:
            value.uses[(copy, i)] = None
    target._place(copy, before)
    mapping.update(zip(node.outputs, copy.outputs, strict=True))
    return copy


def bytes_of(value: Value) -> int:
    """Return the bytes of a tensor; named sizes count as 32, a text as one byte, and what is no tensor as nothing."""
    if isinstance(value.type, OpaqueType):
        return 0
    size = 1 if value.dtype == "string" else numpy_dtype(value.dtype).itemsize
    for dim in value.shape:
        size *= dim if isinstance(dim, int) else _NOMINAL
    return size
