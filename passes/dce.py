"""Dead code elimination: nodes, optional outputs and constants that nothing uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nngraph.ir import Graph, Node
from nngraph.registry import COMPOSITE_DOMAIN
from nngraph.schema import has_schema, schema_of
from passes.base import Pass

__all__ = ["Dce"]


@dataclass(frozen=True)
class Dce(Pass):
    """Removes what does not reach an output: nodes, constants, optional outputs, and unused results of If and Scan.

    Inputs of the graph stay, used or not: they are part of how it is called (see ``passes.prune_inputs``).
    """

    name: ClassVar[str] = "dce"

    def run(self, graph: Graph) -> int:
        """Remove dead code from the graph and its subgraphs; return how many nodes, outputs and constants went."""
        changes = 0
        for node in reversed(graph):
            if not node.is_used:
                graph.erase(node)
                changes += 1
                continue
            if len(node.outputs) > 1:
                node, dropped = _drop_outputs(node)
                changes += dropped
            for sub in node.subgraphs:
                changes += self.run(sub)
        for value in [v for v in graph.constants if not v.uses and not v.is_output]:
            graph.erase_constant(value)
            changes += 1
        return changes


def _drop_outputs(node: Node) -> tuple[Node, int]:
    """Return the node without the outputs that nobody uses and that it need not have, and their number."""
    dead = [not (o.uses or o.is_output) for o in node.outputs]
    if node.op == "If" and not node.domain:
        removable = dead
    elif node.op == "Scan" and not node.domain:
        states = len(node.inputs) - int(node.attributes["num_scan_inputs"])
        removable = [is_dead and k >= states for k, is_dead in enumerate(dead)]
    else:
        removable = _optional_tail(node, dead)
    if not any(removable):
        return node, 0
    keep = [k for k, gone in enumerate(removable) if not gone]
    return _with_outputs(node, keep), len(node.outputs) - len(keep)


def _optional_tail(node: Node, dead: list[bool]) -> list[bool]:
    """Mark the unused outputs at the end that the schema calls optional; a composite needs only its first."""
    if node.op_id == "BatchNormalization" and node.attributes.get("training_mode", 0):
        return [False] * len(dead)  # optional by the schema, but the runtime wants all three
    first = 1
    if node.domain != COMPOSITE_DOMAIN:
        outputs = list(schema_of(node.op, node.domain).outputs) if has_schema(node.op, node.domain) else []
        first = next((k for k, o in enumerate(outputs) if o.option == o.option.Optional), len(node.outputs))
    last = len(dead)
    while last > first and dead[last - 1]:
        last -= 1
    return [k >= last for k in range(len(dead))]


def _with_outputs(node: Node, keep: list[int]) -> Node:
    """Replace a node by one with some of its outputs, under the same names."""
    graph = node.graph
    assert graph is not None
    attributes = dict(node.attributes)
    for sub in node.subgraphs:
        sub.set_outputs([sub.outputs[k] for k in keep], [sub.output_names[k] for k in keep])
    if node.op == "Scan":
        states = len(node.inputs) - int(attributes["num_scan_inputs"])
        for key in ("scan_output_axes", "scan_output_directions"):
            if key in attributes:
                attributes[key] = tuple(attributes[key][k - states] for k in keep if k >= states)
    lean = Node(node.op, node.inputs, attributes, domain=node.domain, origin=node.origin)
    graph.insert_before(node, lean, [node.outputs[k].type for k in keep], [f"{node.name}.{k}" for k in keep])
    for k, new in zip(keep, lean.outputs, strict=True):
        old = node.outputs[k]
        old.replace_uses(new)
        old.name, new.name = new.name, old.name
    lean.name, node.name = node.name, lean.name
    # The subgraphs live on in the new node, so the old one must not release what they use.
    node.attributes = {k: v for k, v in node.attributes.items() if not isinstance(v, Graph)}
    graph.erase(node)
    return lean
