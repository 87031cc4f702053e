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
from passes.rewrite import LocalRule, Refusal, Result, Rule, example, rewrite
from passes.simplify.reductions import axes_of
from passes.simplify.transposes import goes_into_matmul, permutation

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


class FewerAxes(LocalRule):
    """``Transpose(x) = Reshape(Transpose(Reshape(x)))`` where axes of size 1 are left out and neighbours stay together.

    The runtime has fast kernels for two axes and for one axis that moves, and sees neither behind axes that only look
    as if they moved: the transpose of a (512, 512, 1, 1) kernel takes five to ten times as long as that of a matrix.
    """

    roots = ("Transpose",)
    examples = (
        example(lambda x: raw.Transpose(x, perm=(2, 3, 1, 0)), "float32[6, 5, 1, 1]"),
        example(lambda x: raw.Transpose(x, perm=(0, 2, 4, 5, 3, 1)), "float32[2, 3, 4, 5, 1, 1]"),
        example(lambda x: raw.Transpose(x, perm=(0, 2, 3, 1)), "float32[2, 3, 4, 5]", refuses="no axis has size 1"),
        example(lambda x: raw.Transpose(x, perm=(2, 0, 1)), "float32[batch, 3, 1]", refuses="sizes are not known"),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        x = node.inputs[0]
        if x is None or goes_into_matmul(node):
            return None
        if not x.type.is_static:
            return Refusal("sizes are not known", x)
        if 1 not in x.shape:
            return Refusal("no axis has size 1", x)
        groups: list[list[int]] = []
        for axis in permutation(node):
            if x.shape[axis] == 1:
                continue
            if groups and all(x.shape[k] == 1 for k in range(groups[-1][-1] + 1, axis)) and axis > groups[-1][-1]:
                groups[-1].append(axis)
            else:
                groups.append([axis])
        if len(groups) < 2:
            return None  # nothing moves
        ordered = sorted(groups)
        flat = op.Reshape(x, _i64(*(prod(int(x.shape[k]) for k in group) for group in ordered)))
        turned = op.Transpose(flat, perm=tuple(ordered.index(group) for group in groups))
        return op.Reshape(turned, _i64(*(int(d) for d in node.output.shape)))


RULES: tuple[Rule, ...] = (SumOfRows(), FewerAxes())
