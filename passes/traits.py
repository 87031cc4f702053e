"""What ONNX's schemas do not say: which operators commute, work element by element, or are random."""

from __future__ import annotations

from nngraph.ir import Node, Value
from nngraph.registry import lookup

__all__ = ["BROADCASTING", "COMMUTATIVE", "COMPARISONS", "ELEMENTWISE", "REDUCTIONS", "UNARY", "is_random"]

UNARY = frozenset(
    """
    Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot Cast Ceil Celu Cos Cosh Elu Erf Exp Floor Gelu HardSigmoid
    HardSwish Identity IsInf IsNaN LeakyRelu Log Mish Neg Not Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh
    Softplus Softsign Sqrt Swish Tan Tanh ThresholdedRelu
    """.split()  # noqa: SIM905
)
"""Operators of one tensor that treat every element alike."""

COMPARISONS = frozenset("Equal Less LessOrEqual Greater GreaterOrEqual".split())  # noqa: SIM905
"""Operators of two tensors whose result is a truth value."""

BROADCASTING = COMPARISONS | frozenset(
    """
    Add Sub Mul Div Pow Mod Max Min Sum Mean Where And Or Xor BitwiseAnd BitwiseOr BitwiseXor BitShift PRelu Clip
    """.split()  # noqa: SIM905
)
"""Operators that work element by element on tensors brought to one shape."""

ELEMENTWISE = UNARY | BROADCASTING
"""Operators for which the arrangement of the elements does not matter."""

COMMUTATIVE = frozenset("Add Mul And Or Xor Equal BitwiseAnd BitwiseOr BitwiseXor Max Min Sum Mean".split())  # noqa: SIM905
"""Operators whose operands may change places."""

REDUCTIONS = frozenset(
    """
    ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceSumSquare
    """.split()  # noqa: SIM905
)
"""Reductions whose axes are the second input."""


def is_random(node: Node) -> bool:
    """Tell whether two equal nodes may give different results; such nodes are neither merged nor folded."""
    entry = lookup(node.op, node.domain)
    if entry is not None and entry.random:
        return True
    if node.op_id == "Dropout" and len(node.inputs) > 2:
        return not _is_false(node.inputs[2])
    subgraphs = node.subgraphs
    return bool(subgraphs) and any(is_random(inner) for sub in subgraphs for inner in sub)


def _is_false(value: Value | None) -> bool:
    return value is None or (value.data is not None and not value.data.any())
