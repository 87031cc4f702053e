"""Split data in two."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from nngraph import config, tree
from nngraph.data.arrays import check_lengths, holds_arrays

__all__ = ["split_dataset"]


def split_dataset(
    dataset: Any,
    left_size: float | int | None = None,
    right_size: float | int | None = None,
    shuffle: bool = False,
    seed: int | None = None,
    preferred_backend: str | None = None,
) -> tuple[Any, Any]:
    """Split ``dataset`` in two parts of the same form.

    Args:
        dataset: an array; a list, tuple or dict of equally long arrays, split row by row; or anything else that can be
            iterated to its end (a ``PyDataset``, say), which gives two lists of its items.
        left_size: the size of the first part, as a fraction of the whole or as a number of rows.
        right_size: the same for the second part. With only one of the two, the other part gets the rest.
        shuffle: whether to mix the rows first, with ``seed`` (the seed of ``set_random_seed`` by default).
        preferred_backend: accepted for Keras code and ignored.

    Raises:
        TypeError, ValueError: the data cannot be iterated, or the sizes are malformed or too large.

    >>> left, right = split_dataset(np.arange(5), left_size=0.6)
    >>> left, right
    (array([0, 1, 2]), array([3, 4]))
    """
    rows: Any
    if holds_arrays(dataset):
        rows = tree.map_structure(np.asarray, dataset)
        count = check_lengths(dataset=rows)
    elif isinstance(dataset, Iterable) and not isinstance(dataset, (str, bytes, dict)):
        rows = list(dataset)
        count = len(rows)
    else:
        raise TypeError(f"dataset must be arrays or an iterable of samples. Received type {type(dataset).__name__}.")
    left_count, right_count = _sizes(count, left_size, right_size)
    if shuffle:
        order = np.random.default_rng(config.global_seed() if seed is None else seed).permutation(count)
    else:
        order = np.arange(count)
    left, right = order[:left_count], order[left_count : left_count + right_count]
    if holds_arrays(dataset):
        return _rows(rows, left), _rows(rows, right)
    return [rows[index] for index in left], [rows[index] for index in right]


def _rows(arrays: Any, indices: np.ndarray) -> Any:
    return tree.map_structure(lambda array: array[indices], arrays)


def _sizes(count: int, left_size: Any, right_size: Any) -> tuple[int, int]:
    if left_size is None and right_size is None:
        raise ValueError("Give left_size, right_size, or both.")
    left = None if left_size is None else _size("left_size", left_size, count)
    right = None if right_size is None else _size("right_size", right_size, count)
    if left is None:
        left = count - right  # type: ignore[operator]
    if right is None:
        right = count - left
    if left + right > count:
        raise ValueError(f"left_size and right_size add up to {left + right} rows, but there are only {count}.")
    if left == 0 or right == 0:
        raise ValueError(
            f"left_size={left_size} and right_size={right_size} split {count} rows into {left} and {right}; "
            "both parts need at least one."
        )
    return left, right


def _size(name: str, size: Any, count: int) -> int:
    if isinstance(size, (int, np.integer)) and not isinstance(size, bool):
        if not 0 < size < count:
            raise ValueError(f"{name} as a number of rows must be between 0 and {count}. Received: {size}")
        return int(size)
    if isinstance(size, float):
        if not 0 < size < 1:
            raise ValueError(f"{name} as a fraction must be between 0 and 1. Received: {size}")
        return round(size * count)
    raise TypeError(f"{name} must be an integer or a float. Received: {size!r} of type {type(size).__name__}.")
