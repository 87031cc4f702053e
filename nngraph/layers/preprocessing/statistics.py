"""What ``adapt`` accepts: one array, or the batches of an iterable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from nngraph.layers.arguments import layer_name

__all__ = ["batches_of"]


def batches_of(layer: Any, data: Any, steps: int | None = None) -> Iterator[np.ndarray[Any, Any]]:
    """Yield the arrays to learn from.

    Args:
        layer: the layer that learns, for errors.
        data: an array, a table, nested lists of numbers, or an iterable of batches (an iterator, a ``PyDataset``, a
            data loader); of batches that are tuples or dicts only those of one part are taken.
        steps: stop after that many batches.

    Raises:
        ValueError: there is no data, or a batch has several parts.
    """
    empty = True
    for batch in _pieces(data, steps):
        empty = False
        if isinstance(batch, dict) or (isinstance(batch, tuple) and len(batch) != 1):
            raise ValueError(
                f"{layer_name(layer)}.adapt takes the inputs alone, got a batch that is a {type(batch).__name__} of "
                f"{len(batch)}; pass only what goes into the layer"
            )
        array = np.asarray(batch[0] if isinstance(batch, tuple) else batch)
        if array.size == 0:
            raise ValueError(f"{layer_name(layer)}.adapt got an empty batch of shape {array.shape}")
        yield array
    if empty:
        raise ValueError(f"{layer_name(layer)}.adapt got no data")


def _pieces(data: Any, steps: int | None) -> Iterator[Any]:
    if hasattr(data, "__array__") or (isinstance(data, (list, tuple)) and not any(hasattr(d, "shape") for d in data)):
        yield data
        return
    if hasattr(data, "__getitem__") and hasattr(data, "__len__") and not isinstance(data, (list, tuple)):
        pieces: Iterable[Any] = (data[k] for k in range(len(data)))
    elif isinstance(data, Iterable):
        pieces = data
    else:
        raise ValueError(f"adapt takes an array or an iterable of batches, got {type(data).__name__}")
    for number, piece in enumerate(pieces):
        if number == steps:
            return
        yield piece
