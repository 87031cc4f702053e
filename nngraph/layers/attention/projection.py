"""Projections to and from attention heads: one matrix product each."""

from __future__ import annotations

import math
from typing import Any

from nngraph import ops
from nngraph.layers.core.einsum_dense import EinsumDense

__all__ = ["FromHeads", "ToHeads"]


def _rows(kernel: Any, bias: Any, split: int) -> tuple[Any, Any, tuple[int, ...]]:
    """Return kernel and bias as matrix and vector, and the shape behind the kernel's first ``split`` axes."""
    shape = tuple(kernel.shape)
    matrix = ops.reshape(kernel, (math.prod(shape[:split]), math.prod(shape[split:])))
    return matrix, None if bias is None else ops.reshape(bias, (math.prod(shape[split:]),)), shape[split:]


class ToHeads(EinsumDense):
    """``"...d,dnh->...nh"``: features to heads of a size."""

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Return ``(..., heads, size)``."""
        matrix, bias, heads = _rows(self.kernel, self.bias, 1)
        x = ops.matmul(inputs, matrix)
        x = x if bias is None else ops.add(x, bias)
        return ops.reshape(x, (*ops.shape(inputs)[:-1], *heads))


class FromHeads(EinsumDense):
    """``"...nh,nhd->...d"``: heads to features."""

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Return ``(..., features)``."""
        matrix, bias, features = _rows(self.kernel, self.bias, 2)
        leading = ops.shape(inputs)[:-2]
        x = ops.matmul(ops.reshape(inputs, (*leading, matrix.shape[0])), matrix)
        x = x if bias is None else ops.add(x, bias)
        return x if len(features) == 1 else ops.reshape(x, (*leading, *features))
