"""What a rule works with: the node it edits, what is known around it, and the table in which it stands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import onnx

from nngraph.ir import TensorType, numpy_dtype
from nngraph.proto import attribute_to_proto, node_proto

__all__ = ["RULES", "Known", "Rewrite", "Rule", "upgrades"]


class Known(Protocol):
    """What the reader knows of the values before a node."""

    def type_of(self, name: str) -> TensorType | None:
        """Return the type of a value, ``None`` where there is none."""

    def constant(self, name: str) -> np.ndarray[Any, Any] | None:
        """Return the contents of a value that is constant, else ``None``."""

    def fresh(self, hint: str) -> str:
        """Return a value name that nothing has."""


@dataclass(frozen=True)
class Rule:
    """How nodes of one operator are brought to the opset that changed it.

    Attributes:
        op: the operator.
        before: the opset with the change; nodes of older ones are edited.
        edit: edits one node.
    """

    op: str
    before: int
    edit: Callable[[Rewrite], None]


RULES: dict[str, list[Rule]] = {}
"""Operator to its rules, oldest change first."""


def upgrades(*ops: str, before: int) -> Callable[[Callable[[Rewrite], None]], Callable[[Rewrite], None]]:
    """Enter a function as the rule of operators for nodes of opsets older than ``before``."""

    def enter(edit: Callable[[Rewrite], None]) -> Callable[[Rewrite], None]:
        for op in ops:
            rules = RULES.setdefault(op, [])
            rules.append(Rule(op, before, edit))
            rules.sort(key=lambda rule: rule.before)
        return edit

    return enter


_KINDS = onnx.AttributeProto
_FIELDS: dict[type, tuple[Any, str]] = {
    int: (_KINDS.INT, "a number"),
    float: (_KINDS.FLOAT, "a float"),
    str: (_KINDS.STRING, "a text"),
}


class Rewrite:
    """One node on its way to a newer opset.

    The main node is edited in place; nodes that must come before or after it are added with :meth:`before` and
    :meth:`after`, in the form of the newest opset.

    Attributes:
        node: the main node, a copy of the file's.
        opset: the opset that the file declares.
    """

    def __init__(self, node: onnx.NodeProto, opset: int, known: Known) -> None:
        self.node = onnx.NodeProto()
        self.node.CopyFrom(node)
        self.opset = opset
        self._known = known
        self._op = node.op_type
        self._before: list[onnx.NodeProto] = []
        self._after: list[onnx.NodeProto] = []

    def nodes(self) -> list[onnx.NodeProto]:
        """Return all nodes in order."""
        return [*self._before, self.node, *self._after]

    def error(self, what: str, remedy: str = "export the model again with a newer opset") -> ValueError:
        """Return the error that names the node, what is wrong, and what to do."""
        name = self.node.name or next(iter(self.node.output), "")
        return ValueError(f"node {name!r} ({self._op}, opset {self.opset}) {what}; {remedy}")

    # -- attributes ---------------------------------------------------------------------------------------------------

    def has(self, name: str) -> bool:
        """Tell whether the node has an attribute."""
        return any(a.name == name for a in self.node.attribute)

    def take(self, name: str, kind: type = int) -> Any:
        """Remove an attribute and return its value, ``None`` where it is absent; ``kind`` is int, float or str."""
        found = self._take(name)
        if found is None:
            return None
        wanted, what = _FIELDS[kind]
        if found.type != wanted:
            raise self._wrong(found, what)
        if kind is str:
            return found.s.decode("utf-8", "replace")
        return int(found.i) if kind is int else float(found.f)

    def take_list(self, name: str, kind: type = int) -> list[Any] | None:
        """Remove an attribute that is a list of numbers and return it; ``None`` where it is absent."""
        found = self._take(name)
        if found is None:
            return None
        if found.type != (_KINDS.INTS if kind is int else _KINDS.FLOATS):
            raise self._wrong(found, "a list of numbers")
        return [int(i) for i in found.ints] if kind is int else [float(f) for f in found.floats]

    def take_graph(self, name: str) -> onnx.GraphProto:
        """Remove an attribute that is a graph and return it."""
        found = self._take(name)
        if found is None or found.type != _KINDS.GRAPH:
            raise self.error(f"needs the attribute {name!r}, a graph")
        return found.g

    def drop(self, *names: str) -> None:
        """Remove attributes, whatever they hold."""
        for name in names:
            self._take(name)

    def set(self, name: str, value: Any) -> None:
        """Give the node an attribute; a ``GraphProto`` becomes a subgraph."""
        self._take(name)
        if isinstance(value, onnx.GraphProto):
            entry = self.node.attribute.add(name=name, type=_KINDS.GRAPH)
            entry.g.CopyFrom(value)
        else:
            self.node.attribute.append(attribute_to_proto(name, value))

    def _take(self, name: str) -> onnx.AttributeProto | None:
        for k, found in enumerate(self.node.attribute):
            if found.name == name:
                if found.ref_attr_name:
                    raise self.error(f"takes the attribute {name!r} from a function", "inline the functions first")
                taken = onnx.AttributeProto()
                taken.CopyFrom(found)
                del self.node.attribute[k]
                return taken
        return None

    def _wrong(self, found: onnx.AttributeProto, what: str) -> ValueError:
        kinds = {number: name for name, number in _KINDS.AttributeType.items()}
        kind = kinds.get(found.type, str(found.type))
        return self.error(f"has the attribute {found.name!r} of kind {kind}, which must be {what}", "repair the file")

    # -- values -------------------------------------------------------------------------------------------------------

    def input(self, k: int) -> str:
        """Return the name of an input, ``""`` where it is absent."""
        return self.node.input[k] if k < len(self.node.input) else ""

    def needed(self, k: int) -> str:
        """Return the name of an input that must be there."""
        name = self.input(k)
        if not name:
            raise self.error(f"lacks its input {k}", "repair the file")
        return name

    def output(self, k: int) -> str:
        """Return the name of an output, ``""`` where it is absent."""
        return self.node.output[k] if k < len(self.node.output) else ""

    def type(self, k: int) -> TensorType | None:
        """Return the type of an input where it is known."""
        name = self.input(k)
        return self._known.type_of(name) if name else None

    def rank(self, k: int) -> int:
        """Return the rank of an input that must have one."""
        type = self.type(k)
        if type is None:
            raise self.error(f"needs an input {k} of known rank", "run onnx.shape_inference over the model first")
        return type.rank

    def dtype(self, k: int) -> np.dtype[Any]:
        """Return the dtype of an input that must have one."""
        type = self.type(k)
        if type is None:
            raise self.error(f"needs an input {k} of known dtype", "run onnx.shape_inference over the model first")
        return numpy_dtype(type.dtype)

    def constant(self, k: int) -> np.ndarray[Any, Any] | None:
        """Return the contents of an input that is constant."""
        name = self.input(k)
        return self._known.constant(name) if name else None

    def axis(self, value: int, rank: int) -> int:
        """Return an axis counted from the front."""
        if not -rank <= value < rank:
            raise self.error(f"has axis {value}, which must be {-rank} to {rank - 1}", "repair the file")
        return value + rank if value < 0 else value

    def set_input(self, k: int, name: str) -> None:
        """Let an input be another value; inputs before it that are missing become absent."""
        while len(self.node.input) <= k:
            self.node.input.append("")
        self.node.input[k] = name
        while self.node.input and not self.node.input[-1]:
            self.node.input.pop()

    # -- more nodes ---------------------------------------------------------------------------------------------------

    def data(self, value: Any, dtype: Any = "int64") -> str:
        """Add a constant before the main node and return its name."""
        return self.before("Constant", (), value=np.asarray(value, dtype))

    def before(self, op: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add a node with one output before the main node and return the output's name."""
        return self._add(self._before, op, inputs, None, attributes)

    def after(self, op: str, inputs: Sequence[str], output: str | None = None, **attributes: Any) -> str:
        """Add a node with one output behind the main node; ``output`` is the name it gives, by default a new one."""
        return self._add(self._after, op, inputs, output, attributes)

    def aside(self, k: int) -> tuple[str, str]:
        """Give an output of the main node a new name; return the old and the new one."""
        old = self.node.output[k]
        new = self.fresh(old)
        self.node.output[k] = new
        return old, new

    def fresh(self, hint: str) -> str:
        """Return a value name that nothing has."""
        return self._known.fresh(hint)

    def become(self, op: str, inputs: Sequence[str] | None = None) -> None:
        """Make the main node one of another operator, without attributes if its inputs are given anew."""
        self.node.op_type = op
        if inputs is not None:
            del self.node.attribute[:]
            del self.node.input[:]
            self.node.input.extend(inputs)

    def _add(
        self,
        place: list[onnx.NodeProto],
        op: str,
        inputs: Sequence[str],
        output: str | None,
        attributes: dict[str, Any],
    ) -> str:
        base = next((o for o in self.node.output if o), self._op)
        name = self.fresh(f"{base}_{op.lower()}") if output is None else output
        node = node_proto(op, "", inputs, [name])
        node.name = name
        node.metadata_props.extend(self.node.metadata_props)
        node.attribute.extend(attribute_to_proto(k, v) for k, v in attributes.items())
        place.append(node)
        return name
