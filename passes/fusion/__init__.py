"""Several operators that are one operator of ONNX become that one.

What the runtime fuses by itself is left to it: activations into Conv and Gemm, transposes into batched MatMul, and
``x · sigmoid(x)``, for which it has a kernel, while it takes ONNX's Swish apart again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nngraph.ir import Graph
from passes.base import Pass
from passes.fusion.conv import RULES as CONV
from passes.fusion.gelu import RULES as GELU
from passes.fusion.gemm import RULES as GEMM
from passes.fusion.layer_norm import RULES as LAYER_NORM
from passes.fusion.pooling import RULES as POOLING
from passes.fusion.softmax import RULES as SOFTMAX
from passes.fusion.steps import RULES as STEPS
from passes.rewrite import Rule, rewrite

__all__ = ["RULES", "Fuse"]

RULES: tuple[Rule, ...] = (*SOFTMAX, *GELU, *LAYER_NORM, *POOLING, *CONV, *GEMM, *STEPS)
"""All fusions; the larger patterns first."""


@dataclass(frozen=True)
class Fuse(Pass):
    """Replaces groups of operators by the one operator that means the same."""

    name: ClassVar[str] = "fuse"

    def run(self, graph: Graph) -> int:
        """Apply the fusions until none fires; return how often one did."""
        return rewrite(graph, RULES)
