"""The door to the rules: one node in, the same node or its replacement out."""

from __future__ import annotations

from functools import cache

import onnx

from nngraph.schema import OPSET
from nngraph.serde.upgrade.rewrite import RULES, Known, Rewrite, Rule

__all__ = ["upgrade_node"]


def upgrade_node(node: onnx.NodeProto, opset: int, known: Known) -> list[onnx.NodeProto]:
    """Return what a node of an older opset is in the newest.

    Args:
        node: a node; it is not changed, and the graphs inside it are left to later calls.
        opset: the ai.onnx opset that the model declares.
        known: types and constants of the values before the node.

    Returns:
        The node itself where nothing changes. Otherwise nodes in order: constants and helpers, the node under its own
        name, and what makes its outputs from it. The outputs keep their names.

    Raises:
        ValueError: the node cannot be said in the newest opset, or an attribute is of the wrong kind.
    """
    if node.domain not in ("", "ai.onnx") or opset >= OPSET or not _next_rules(node.op_type, opset):
        return [node]
    rewrite = Rewrite(node, opset, known)
    version = opset
    while rules := _next_rules(rewrite.node.op_type, version):
        for rule in rules:
            rule.edit(rewrite)
        version = rules[0].before
    nodes = rewrite.nodes()
    return [node] if nodes == [node] else nodes


@cache
def _next_rules(op: str, version: int) -> list[Rule]:
    """Return the rules of the next change of an operator after a version."""
    later = [rule for rule in RULES.get(op, ()) if rule.before > version]
    return [rule for rule in later if rule.before == later[0].before]
