"""Sliding windows over a series."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngraph import config
from nngraph.data.arrays import as_array
from nngraph.data.py_dataset import PyDataset

__all__ = ["timeseries_dataset_from_array"]


class _Windows(PyDataset):
    def __init__(
        self,
        data: np.ndarray,
        targets: np.ndarray | None,
        starts: np.ndarray,
        steps: np.ndarray,
        batch_size: int | None,
    ) -> None:
        super().__init__()
        self._data, self._targets, self._starts, self._steps = data, targets, starts, steps
        self._batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self._starts) // (self._batch_size or 1))

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        if self._batch_size is None:
            starts = self._starts[index]
        else:
            starts = self._starts[index * self._batch_size :][: self._batch_size]
        windows = self._data[np.add.outer(starts, self._steps)]
        return (windows,) if self._targets is None else (windows, self._targets[starts])


def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
    format: str = "tf",
) -> PyDataset:
    """Return a ``PyDataset`` of windows ``data[i], data[i + r], data[i + 2 r] ...`` and the targets ``targets[i]``.

    Args:
        data: an array; its first axis is time.
        targets: an array whose row ``i`` belongs to the window that starts at ``i``; None for windows alone.
        sequence_length: the time steps in a window.
        sequence_stride: the distance between the starts of consecutive windows.
        sampling_rate: the distance ``r`` between the steps inside a window.
        batch_size: windows in a batch; None gives single windows without a batch axis.
        shuffle: whether to mix the windows, with ``seed`` (the seed of ``set_random_seed`` by default).
        start_index, end_index: use only this part of ``data`` and ``targets``.
        format: accepted for Keras code and ignored.

    Raises:
        ValueError: a number is out of range, or there is not a single window.

    >>> dataset = timeseries_dataset_from_array(np.arange(6), np.arange(6) * 10, sequence_length=3, batch_size=2)
    >>> dataset[0]
    (array([[0, 1, 2],
           [1, 2, 3]]), array([ 0, 10]))
    """
    for name, value in (
        ("sequence_length", sequence_length),
        ("sequence_stride", sequence_stride),
        ("sampling_rate", sampling_rate),
        ("batch_size", 1 if batch_size is None else batch_size),
    ):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{name} must be an integer >= 1. Received: {value!r}")
    rows = np.asarray(data) if hasattr(data, "__array__") else as_array(np.asarray(data), "data")
    length = len(rows)
    start = _index("start_index", start_index, 0, length)
    end = _index("end_index", end_index, length, length)
    if start >= end:
        raise ValueError(f"start_index ({start}) must be smaller than end_index ({end}).")
    wanted = None if targets is None else np.asarray(targets)[start:end]
    count = end - start - (sequence_length - 1) * sampling_rate
    if wanted is not None:
        count = min(count, len(wanted))
    if count < 1:
        raise ValueError(
            f"There is no window of {sequence_length} steps at a sampling rate of {sampling_rate} in {end - start} rows"
            f"{'' if wanted is None else f' with {len(wanted)} targets'}."
        )
    starts = np.arange(0, count, sequence_stride)
    if shuffle:
        starts = np.random.default_rng(config.global_seed() if seed is None else seed).permutation(starts)
    return _Windows(rows[start:end], wanted, starts, np.arange(sequence_length) * sampling_rate, batch_size)


def _index(name: str, value: int | None, default: int, length: int) -> int:
    if value is None:
        return default
    if not 0 <= value <= length:
        raise ValueError(f"{name} must be from 0 to {length}, the length of the data. Received: {value}")
    return int(value)
