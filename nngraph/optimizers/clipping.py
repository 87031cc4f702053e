"""Clipping of gradients: by value, by the norm of each, by the norm of all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nngraph import ops
from nngraph.ops import raw

__all__ = ["are_finite", "clip_by_global_norm", "clip_by_norm", "square_sum"]


def square_sum(x: Any) -> Any:
    """Return the sum of squares of all entries, read once.

    >>> import numpy as np
    >>> float(square_sum(np.float32([3, 4])))
    25.0
    """
    return raw.ReduceSumSquare(x, keepdims=0)


def clip_by_norm(gradient: Any, limit: float) -> Any:
    """Return the gradient, shortened to the Euclidean norm `limit` if it is longer.

    >>> import numpy as np
    >>> clip_by_norm(np.float32([3, 4]), 2.5).tolist()
    [1.5, 2.0]
    """
    return gradient * (limit / ops.maximum(ops.sqrt(square_sum(gradient)), limit))


def clip_by_global_norm(gradients: Sequence[Any], limit: float) -> list[Any]:
    """Return gradients, all shortened by one factor if their common norm is above `limit`.

    A norm that is not finite makes all of them NaN, so that somebody notices.

    >>> import numpy as np
    >>> [g.tolist() for g in clip_by_global_norm([np.float32([3.0]), np.float32([4.0])], 2.5)]
    [[1.5], [2.0]]
    """
    squares = [ops.cast(square_sum(g), "float32") for g in gradients]
    norm = ops.sqrt(_total(squares))
    scale = ops.minimum(ops.divide(limit, norm), 1.0)
    # inf - inf is NaN.
    scale = ops.add(scale, ops.subtract(norm, norm))
    return [g * ops.cast(scale, ops.dtype_of(g)) for g in gradients]


def are_finite(gradients: Sequence[Any]) -> Any:
    """Return whether no entry of any gradient is infinite or NaN.

    >>> import numpy as np
    >>> [bool(are_finite([np.float32([1, x])])) for x in (2, np.inf, np.nan)]
    [True, False, False]
    """
    # A sum of magnitudes is finite exactly if its terms are, short of 3e38; one number for each gradient is enough.
    sums = [raw.ReduceL1(ops.cast(g, "float32"), keepdims=0) for g in gradients]
    return ops.isfinite(_total(sums))


def _total(numbers: Sequence[Any]) -> Any:
    total = numbers[0]
    for number in numbers[1:]:
        total = total + number
    return total
