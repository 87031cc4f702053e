"""How croppings and paddings are written: one number, one for each axis, or a pair for each axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngraph.layers.arguments import layer_name

__all__ = ["pairs", "spatial_axes"]


def pairs(layer: Any, argument: str, value: Any, rank: int) -> tuple[tuple[int, int], ...]:
    """Return (before, after) for each spatial axis.

    Raises:
        ValueError: it is written in another way, or a number is negative.
    """
    if rank == 1 and isinstance(value, (tuple, list)) and len(value) == 2 and all(_count(v) for v in value):
        value = (value,)
    many: Any = (value,) * rank if _count(value) else value
    if isinstance(many, (tuple, list, np.ndarray)) and len(many) == rank:
        found = [(v, v) if _count(v) else v for v in many]
        if all(isinstance(v, (tuple, list, np.ndarray)) and len(v) == 2 and all(map(_count, v)) for v in found):
            return tuple((int(a), int(b)) for a, b in found)
    shape = "a pair (before, after)" if rank == 1 else f"{rank} integers, or {rank} pairs (before, after)"
    raise ValueError(f"{layer_name(layer)}: {argument} must be an integer of at least 0 or {shape}, got {value!r}")


def _count(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and int(value) >= 0


def spatial_axes(rank: int, data_format: str) -> range:
    """Return the numbers of the spatial axes.

    Example:
        >>> list(spatial_axes(2, "channels_last")), list(spatial_axes(2, "channels_first"))
        ([1, 2], [2, 3])
    """
    return range(1, rank + 1) if data_format == "channels_last" else range(2, rank + 2)
