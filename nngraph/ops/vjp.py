"""How a gradient rule is written and registered.

A rule is a function ``rule(g, y, *inputs, **attributes)`` that returns the gradient of each input, in order; ``None``
or a missing tail means no gradient. ``g`` is the gradient of the output and ``y`` the output itself; for an operator
with several outputs both are tuples, and a ``g`` that does not exist is ``None``. Attributes come as the node has them,
with ONNX's defaults filled in. A gradient that is expensive and not always needed may be a function of no arguments.

Rules never speak of broadcasting (a gradient may have the broadcast shape), of accumulation, or of zero gradients: the
driver in ``passes.gradients`` does all three.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from nngraph.ir import Graph, Node, Value, is_float
from nngraph.ops.trace import apply
from nngraph.registry import COMPOSITE_DOMAIN, OpDef, op_def
from nngraph.schema import attribute_default, schema_of

__all__ = [
    "Reverse",
    "no_gradient",
    "raw",
    "refuse_gradient",
    "rule_attributes",
    "rule_of",
    "through_form",
    "vjp",
    "vjp_node",
    "vjp_through",
    "way_of",
]

Rule = Callable[..., Any]


def vjp(*names: str, domain: str = "") -> Callable[[Rule], Rule]:
    """Register the gradient rule of one or more operators.

    Example:
        >>> @vjp("MatMul")                                   # doctest: +SKIP
        ... def _(g, y, a, b):
        ...     return raw.MatMul(g, transposed(b)), raw.MatMul(transposed(a), g)
    """

    def register(rule: Rule) -> Rule:
        for name in names:
            op_def(name, domain).vjp = rule
        return rule

    return register


class Reverse(Protocol):
    """What the driver lends to a rule that differentiates subgraphs."""

    def wants(self, value: Value) -> bool:
        """Tell whether a gradient for the value is of use."""

    def dependents(self, graph: Graph, values: Sequence[Value]) -> set[Value]:
        """Return the floating values of a graph that depend on some values, those included."""

    def gradients(self, ys: Sequence[Value], xs: Sequence[Value], gs: Sequence[Value]) -> list[Value]:
        """Append gradients to the active trace: of ``ys``, at which ``gs`` arrive, with respect to ``xs``."""

    def fitted(self, gradient: Any, value: Value) -> Value:
        """Return a gradient in the shape of its value, summed over the axes along which the value was broadcast."""


def vjp_node(*names: str, domain: str = "") -> Callable[[Rule], Rule]:
    """Register a rule that sees the node itself: ``rule(node, gs, reverse) -> [(value, gradient), ...]``.

    It is for operators with subgraphs. ``gs`` has one entry an output, ``None`` where no gradient arrives. The values
    are inputs of the node or what its subgraphs capture. ``reverse`` is the driver; see :class:`Reverse`.
    """

    def register(rule: Rule) -> Rule:
        rule.takes_node = True  # type: ignore[attr-defined]
        for name in names:
            op_def(name, domain).vjp = rule
        return rule

    return register


def vjp_through(*names: str, domain: str = "") -> Callable[[Rule], Rule]:
    """Register another form of operators, a function of inputs and attributes, through which they are differentiated.

    Example:
        >>> @vjp_through("LpNormalization")                  # doctest: +SKIP
        ... def _(x, *, axis=-1, p=2):
        ...     return raw.Div(x, norm(x, axis, p))
    """

    def register(form: Rule) -> Rule:
        def rule(node: Node, gs: Sequence[Any], reverse: Reverse) -> list[tuple[Value, Any]]:
            return _back_through(form, node, gs, reverse)

        vjp_node(*names, domain=domain)(rule)
        rule.way = "simpler operators"  # type: ignore[attr-defined]
        return form

    return register


def through_form(node: Node, gs: Sequence[Any], reverse: Reverse) -> list[tuple[Value, Any]]:
    """The gradient of an operator through its own ``expand``: a composite's portable form, or a float64 form."""
    form = op_def(node.op, node.domain).expand
    assert form is not None
    return _back_through(form, node, gs, reverse)


through_form.takes_node = True  # type: ignore[attr-defined]
through_form.way = "simpler operators"  # type: ignore[attr-defined]


def _back_through(form: Rule, node: Node, gs: Sequence[Any], reverse: Reverse) -> list[tuple[Value, Any]]:
    # The copies keep two inputs apart when one of them is computed from the other.
    copies = [v if v is None or v.is_constant or not is_float(v.dtype) else apply("Identity", v) for v in node.inputs]
    result = form(*copies, **node.attributes)
    results = list(result) if isinstance(result, (tuple, list)) else [result]
    ways = [(y, g) for y, g in zip(results, gs, strict=False) if g is not None and isinstance(y, Value)]
    pairs = zip(node.inputs, copies, strict=True)
    wanted = [(v, c) for v, c in pairs if v is not None and c is not None and reverse.wants(v)]
    found = reverse.gradients([y for y, _ in ways], [c for _, c in wanted], [g for _, g in ways])
    return list(zip([v for v, _ in wanted], found, strict=True))


def rule_of(entry: OpDef) -> Rule | None:
    """Return an operator's gradient rule; a composite without one is differentiated through its portable form.

    Example:
        >>> rule_of(OpDef("Unheard")) is None
        True
    """
    if entry.vjp is None and not entry.no_gradient and entry.domain == COMPOSITE_DOMAIN and entry.expand is not None:
        return through_form
    return entry.vjp


def no_gradient(reason: str, *names: str, domain: str = "") -> None:
    """State that operators pass no gradient on, and why."""
    for name in names:
        op_def(name, domain).no_gradient = reason


def refuse_gradient(reason: str, *names: str, domain: str = "") -> None:
    """State that operators have derivatives, but none here; differentiating them raises an error with the reason."""
    for name in names:
        op_def(name, domain).refusal = reason


def way_of(entry: OpDef) -> str:
    """Return how an operator is differentiated: ``"rule"``, ``"simpler operators"`` or ``"function body"``.

    Example:
        >>> from nngraph import ops
        >>> way_of(op_def("MatMul")), way_of(op_def("GridSample")), way_of(op_def("Floor"))
        ('rule', 'simpler operators', '')
    """
    rule = rule_of(entry)
    return "" if rule is None else getattr(rule, "way", "rule")


def rule_attributes(node: Node) -> dict[str, Any]:
    """Return a node's attributes with ONNX's defaults filled in."""
    attributes = dict(node.attributes)
    if node.domain == "":
        for name in schema_of(node.op).attributes:
            if name not in attributes:
                default = attribute_default(node.op, name)
                if default is not None:
                    attributes[name] = default
    return attributes


class _Raw:
    """Every ai.onnx operator as a function: ``raw.Transpose(x, perm=(1, 0))``; see :func:`nngraph.ops.trace.apply`."""

    def __getattr__(self, op: str) -> Callable[..., Any]:
        if op.startswith("__"):
            raise AttributeError(op)
        schema_of(op)

        def call(*inputs: Any, **attributes: Any) -> Any:
            return apply(op, *inputs, **attributes)

        call.__name__ = op
        setattr(self, op, call)
        return call


raw = _Raw()
