"""Sequences of different lengths become one array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nngraph.errors import unknown_name

__all__ = ["pad_sequences"]


def pad_sequences(
    sequences: Sequence[Any],
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Return ``sequences`` as one array of shape (number of sequences, maxlen, ...), padded with ``value``.

    Args:
        sequences: lists or arrays; their items are numbers, or arrays of one common shape.
        maxlen: the length of all rows; that of the longest sequence by default.
        dtype: dtype of the result; use ``object`` for strings.
        padding: "pre" or "post", the end at which short sequences are filled.
        truncating: "pre" or "post", the end at which long sequences lose items.

    Raises:
        ValueError: ``sequences`` holds things that are no sequences or items of different shapes.

    >>> pad_sequences([[1], [2, 3], [4, 5, 6]], maxlen=2)
    array([[0, 1],
           [2, 3],
           [5, 6]], dtype=int32)
    """
    for name, side in (("padding", padding), ("truncating", truncating)):
        if side not in ("pre", "post"):
            raise unknown_name(name, side, ("pre", "post"))
    if not hasattr(sequences, "__len__"):
        raise ValueError(f"sequences must be a list of sequences. Received: {sequences!r}")
    for row in sequences:
        if not hasattr(row, "__len__"):
            raise ValueError(f"sequences must be a list of sequences. One of its items is {row!r}.")
    if maxlen is None:
        if len(sequences) == 0:
            raise ValueError("pad_sequences cannot find the longest of no sequences. Give maxlen.")
        maxlen = max(len(row) for row in sequences)
    dtype = np.dtype(dtype)
    if isinstance(value, str) and dtype.kind not in "OUS":
        raise ValueError(f"dtype {dtype} cannot hold the padding value {value!r}. Use dtype=object for strings.")
    item_shape = next((np.asarray(row).shape[1:] for row in sequences if len(row) > 0), ())
    padded = np.full((len(sequences), maxlen, *item_shape), value, dtype=dtype)
    for index, row in enumerate(sequences):
        if len(row) == 0 or maxlen == 0:
            continue
        kept = np.asarray(row[-maxlen:] if truncating == "pre" else row[:maxlen], dtype=dtype)
        if kept.shape[1:] != item_shape:
            raise ValueError(
                f"The items of a sequence must have one shape. Those of sequence {index} have shape {kept.shape[1:]}, "
                f"those of the first have {item_shape}."
            )
        if padding == "pre":
            padded[index, maxlen - len(kept) :] = kept
        else:
            padded[index, : len(kept)] = kept
    return padded
