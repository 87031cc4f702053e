"""Nodes of older ai.onnx opsets, said in the words of the newest.

ONNX's own converter copies the whole model, lacks adapters for many operators and reads memory that is not its own when
a file lies about its attributes. Here an operator has a rule for each opset that changed its meaning or its form
(:data:`RULES`), a rule edits one node, and what no rule mentions means the same in every opset since.
"""

from nngraph.serde.upgrade import ancient, forms, meanings
from nngraph.serde.upgrade.driver import upgrade_node
from nngraph.serde.upgrade.rewrite import RULES, Known, Rewrite, Rule

__all__ = ["RULES", "Known", "Rewrite", "Rule", "upgrade_node"]

assert ancient and forms and meanings  # importing them fills RULES
