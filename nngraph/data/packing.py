"""The convention ``(x, y, sample_weight)`` of a batch."""

from __future__ import annotations

from typing import Any

__all__ = ["pack_x_y_sample_weight", "unpack_batch", "unpack_x_y_sample_weight"]


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """Return the shortest batch that says the same: ``x``, ``(x,)``, ``(x, y)`` or ``(x, y, sample_weight)``.

    >>> pack_x_y_sample_weight(1, 2), pack_x_y_sample_weight([1, 2])
    ((1, 2), ([1, 2],))
    """
    if sample_weight is not None:
        return (x, y, sample_weight)
    if y is not None:
        return (x, y)
    # A bare list could be taken for a batch of several parts.
    return (x,) if isinstance(x, (tuple, list)) else x


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """Return ``(x, y, sample_weight)`` of a batch, with None for what it does not have.

    Raises:
        ValueError: the batch is a tuple or list of more than three parts, or of none.

    >>> unpack_x_y_sample_weight((1, 2))
    (1, 2, None)
    """
    return unpack_batch(data, "The data set")


def unpack_batch(batch: Any, source: str) -> tuple[Any, Any, Any]:
    """Do as ``unpack_x_y_sample_weight`` does, and name ``source`` when the batch is malformed."""
    if not isinstance(batch, (tuple, list)):
        return batch, None, None
    if not 1 <= len(batch) <= 3:
        raise ValueError(
            f"Each batch must be (x,), (x, y) or (x, y, sample_weight). {source} gave a {type(batch).__name__} of "
            f"{len(batch)} items; nest several inputs: ((x1, x2), y)."
        )
    x, y, sample_weight = (*batch, None, None)[:3]
    return x, y, sample_weight
