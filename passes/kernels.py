"""Plain operators in the form whose kernel is fastest on the CPU provider.

What is here was measured (``python -m benchmarks.kernels``); on other providers the plain form is as good.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from nngraph.ir import Graph, Node, numpy_dtype
from nngraph.ops import raw
from passes.base import Pass
from passes.build import Builder
from passes.recurrent import RULES as RECURRENT
from passes.rewrite import LocalRule, Refusal, Result, Rule, example, rewrite
from passes.simplify.reductions import axes_of

__all__ = ["RULES", "Kernels"]


@dataclass(frozen=True)
class Kernels(Pass):
    """Replaces operators by others that mean the same and are faster on the CPU provider."""

    name: ClassVar[str] = "kernels"
    tensors_only: ClassVar[bool] = True

    def run(self, graph: Graph) -> int:
        """Apply the rules until none fires; return how often one did."""
        return rewrite(graph, RULES)


def _i64(*numbers: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(numbers, np.int64)


class SumOfRows(LocalRule):
    """``ReduceSum(x) = MatMul(1, x)`` over all axes but the last, the gradient of a bias.

    The runtime sums rows one number at a time and multiplies matrices at full speed: two times faster from 100 rows.
    """

    roots = ("ReduceSum",)
    examples = (
        example(lambda x: raw.ReduceSum(x, _i64(0), keepdims=0), "float32[64, 10]"),
        example(lambda x: raw.ReduceSum(x, _i64(0, 1), keepdims=0), "float32[16, 32, 10]"),
        example(lambda x: raw.ReduceSum(x, _i64(0), keepdims=0), "float32[batch, 10]", refuses="sizes are not known"),
        example(lambda x: raw.ReduceSum(x, _i64(0), keepdims=0), "float32[8, 10]", refuses="there are few rows"),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        x = node.inputs[0]
        if x is None or x.dtype != "float32" or x.ndim < 2 or node.attributes.get("keepdims", 1):
            return None
        if axes_of(node) != tuple(range(x.ndim - 1)):
            return None
        if not x.type.is_static:
            return Refusal("sizes are not known", x)
        rows = prod(int(d) for d in x.shape[:-1])
        if rows < _FEW_ROWS:
            return Refusal("there are few rows", x)
        flat = x if x.ndim == 2 else op.Reshape(x, _i64(rows, int(x.shape[-1])))
        return op.MatMul(np.ones(rows, numpy_dtype(x.dtype)), flat)


_FEW_ROWS = 64

RULES: tuple[Rule, ...] = (SumOfRows(), *RECURRENT)
