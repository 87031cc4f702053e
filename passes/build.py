"""How passes make new nodes: typed, named, with an origin, and in front of the node they replace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from nngraph.ir import Node, TensorType, Value, broadcast_shapes, numpy_dtype
from passes.base import infer_node
from passes.traits import BROADCASTING, COMPARISONS, UNARY

__all__ = ["Builder", "beside", "output_types", "replace_value", "splat", "take_names"]

_KEEPS_DTYPE = UNARY - {"Cast", "IsInf", "IsNaN"}
_SIMPLE = BROADCASTING - COMPARISONS - {"Where", "Clip", "PRelu", "Pow", "BitShift"}


def output_types(node: Node, outputs: int = 1) -> list[TensorType]:
    """Return the types of a node that is not in a graph yet; sizes that cannot be known are ``"?"``.

    The commonest operators are answered here, which is much quicker than to ask onnx.

    Raises:
        ValueError: the node does not fit the operator's schema.
    """
    if not node.domain and outputs == 1 and all(v is not None for v in node.inputs):
        values = [v for v in node.inputs if v is not None]
        if node.op in _KEEPS_DTYPE:
            return [values[0].type]
        if node.op == "Cast":
            return [values[0].type.with_dtype(node.attributes["to"])]
        if node.op in _SIMPLE and all(v.dtype == values[0].dtype for v in values):
            return [TensorType(values[0].dtype, broadcast_shapes([v.shape for v in values]))]
        if node.op == "Transpose":
            perm = node.attributes["perm"]
            return [values[0].type.with_shape([values[0].shape[k] for k in perm])]
        target = values[1].data if node.op == "Reshape" else None
        sizes = () if target is None else tuple(target.tolist())
        if sizes and min(sizes) > 0 and prod(sizes) == values[0].type.size:
            return [TensorType(values[0].dtype, sizes)]
    node.outputs = (None,) * outputs  # type: ignore[assignment]  # inference only asks how many
    try:
        types = list(infer_node(node))[:outputs]
    finally:
        node.outputs = ()
    return types


class Builder:
    """Makes nodes in front of an anchor: ``op.Gemm(x, w, b, transA=1)`` inserts a node and returns its output.

    Inputs are values, ``None``, numpy arrays, or Python numbers, which take the dtype of the first value. ``_outputs``
    asks for more outputs than one (the result is then a tuple), ``_domain`` gives another operator domain, ``_types``
    the output types where inference cannot know them.

    Args:
        anchor: the node before which new ones stand, and from which they inherit their origin.
        by: name of the rule or pass, recorded in the origins.

    Attributes:
        created: the nodes made so far.
        fresh: names given to sizes that inference could not find.
        aliases: pairs of names that turned out to mean the same size.
    """

    def __init__(self, anchor: Node, by: str) -> None:
        self.move(anchor)
        self.by = by
        self.created: list[Node] = []
        self.fresh: set[str] = set()
        self.aliases: list[tuple[str, str]] = []

    def move(self, anchor: Node) -> None:
        """Go on in front of another node."""
        assert anchor.graph is not None
        self.anchor, self.graph = anchor, anchor.graph

    def __getattr__(self, op: str) -> Callable[..., Any]:
        if op.startswith("_"):
            raise AttributeError(op)

        def call(*inputs: Any, **attributes: Any) -> Any:
            return self.node(op, inputs, **attributes)

        return call

    def node(
        self,
        op: str,
        inputs: Sequence[Any],
        *,
        _outputs: int = 1,
        _domain: str = "",
        _types: Sequence[TensorType] | None = None,
        **attributes: Any,
    ) -> Any:
        """Insert a node; return its output, or a tuple of them when ``_outputs`` is not 1."""
        values = [v if v is None or isinstance(v, Value) else self._constant(v, inputs) for v in inputs]
        while values and values[-1] is None:
            values.pop()
        node = Node(op, values, attributes, domain=_domain, origin=self.anchor.origin.rewritten(self.by))
        types = output_types(node, _outputs) if _types is None else _types
        final = [t.with_shape(self._named(d) for d in t.shape) if "?" in t.shape else t for t in types]
        self.graph.insert_before(self.anchor, node, final)
        self.created.append(node)
        return node.outputs[0] if _outputs == 1 else node.outputs

    def constant(self, data: np.ndarray[Any, Any], name: str = "const") -> Value:
        """Store an array in the graph."""
        return self.graph.add_constant(data, name)

    def _constant(self, x: Any, inputs: Sequence[Any]) -> Value:
        """Store an array, or a number in the dtype of the first value among the inputs."""
        if isinstance(x, (bool, int, float)):
            like = next((v.dtype for v in inputs if isinstance(v, Value)), None)
            x = np.asarray(x, numpy_dtype(like) if like else None)
        return self.constant(np.asarray(x))

    def _named(self, dim: Any) -> Any:
        if dim != "?":
            return dim
        name = self.graph.unique_name("dim")
        self.fresh.add(name)
        return name

    def undo(self) -> None:
        """Remove the nodes made so far: the rule thought better of it."""
        for node in reversed(self.created):
            self.graph.erase(node)
        self.created.clear()


def beside(value: Value, by: str) -> Builder:
    """Return a builder whose nodes stand where a value is known: outside of a loop that reads it from there."""
    assert value.graph is not None
    anchor = value.graph.first if value.producer is None else value.producer.next
    assert anchor is not None
    return Builder(anchor, by)


def replace_value(old: Value, new: Value, builder: Builder) -> Value:
    """Make everybody use ``new`` instead of ``old``; return the value that now stands for it.

    A value made by the builder takes the old one's name and the sizes that the old type knew better. A graph cannot
    return a value of another graph, so where ``old`` is such a result an Identity node stands between.
    """
    if new.dtype != old.dtype or new.ndim != old.ndim:
        raise RuntimeError(f"{builder.by} replaces {old.name!r}, {old.type}, by a value of type {new.type}")
    if old.is_output and new.graph is not old.graph:
        new = builder.node("Identity", [new])
    if new.producer is not None and new.producer in builder.created:
        new.type = new.type.with_shape(
            was if now in builder.fresh or isinstance(was, int) else now
            for now, was in zip(new.shape, old.shape, strict=True)
        )
        take_names(new, old)
    builder.aliases += [
        (now, was)
        for now, was in zip(new.shape, old.shape, strict=True)
        if isinstance(now, str) and isinstance(was, str) and now != was
    ]
    old.replace_uses(new)
    return new


def take_names(new: Value, old: Value) -> None:
    """Give a new value, and its node if it has one output, the names of the value that it replaces."""
    old.name, new.name = new.name, old.name
    a, b = new.producer, old.producer
    if a is not None and b is not None and len(a.outputs) == len(b.outputs) == 1:
        a.name, b.name = b.name, a.name


def splat(value: Value | None) -> float | None:
    """Return the one number of which a constant consists, or ``None``: it is no constant, empty, or has several."""
    data = None if value is None else value.data
    if value is None or data is None or data.size == 0 or value.dtype in ("string", "complex64", "complex128"):
        return None
    if data.size > 1 and not (data == data.flat[0]).all():
        return None
    return float(data.item(0))
