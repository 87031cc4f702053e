"""Adapters: whatever ``fit``, ``evaluate`` and ``predict`` accept becomes a source of numpy batches.

``make_adapter`` chooses one of

- ``ArrayAdapter``: arrays in memory; it also has a fast path that gathers rows into buffers of the caller;
- ``PyDatasetAdapter``: a ``PyDataset``;
- ``IterableAdapter``: anything that starts anew with each ``iter()``, such as a torch ``DataLoader``;
- ``GeneratorAdapter``: a generator or another iterator, which goes on where it stopped and ends once.

All of them yield ``(x, y, sample_weight)`` with numpy leaves; ``y`` and ``sample_weight`` may be None. Nothing here
draws random numbers by itself: the caller gives each epoch its ``numpy.random.Generator``, so that the order of epoch
``k`` can be had again.
"""

from __future__ import annotations

import itertools
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from nngraph import tree
from nngraph.data.arrays import check_lengths, holds_arrays, to_arrays
from nngraph.data.packing import unpack_batch
from nngraph.data.py_dataset import PyDataset, iterate_in_order
from nngraph.data.weights import check_class_weight, class_weight_to_sample_weights

__all__ = [
    "Adapter",
    "ArrayAdapter",
    "Batch",
    "GeneratorAdapter",
    "IterableAdapter",
    "PyDatasetAdapter",
    "make_adapter",
]

Batch: TypeAlias = tuple[Any, Any, Any]
"""``(x, y, sample_weight)``, each an array, a nest of arrays, or (the last two) None."""

DEFAULT_BATCH_SIZE = 32


class Adapter(ABC):
    """A source of batches, one epoch after another.

    Attributes:
        batch_size: the rows of a full batch, or None when the data decide.
        steps_per_epoch: the limit on batches in an epoch that the user gave, or None.
    """

    batch_size: int | None = None

    def __init__(
        self,
        *,
        steps_per_epoch: int | None = None,
        shuffle: bool | str = False,
        class_weight: Mapping[int, float] | None = None,
        float_dtype: str | None = None,
    ) -> None:
        self.steps_per_epoch = steps_per_epoch
        self.shuffle = shuffle
        self.float_dtype = float_dtype
        self._class_weight = class_weight

    @property
    @abstractmethod
    def num_batches(self) -> int | None:
        """The number of batches in an epoch, or None while it is unknown."""

    @abstractmethod
    def epoch(self, rng: np.random.Generator | None = None) -> Iterator[Batch]:
        """Yield the batches of one epoch; ``rng`` orders them where ``shuffle`` asks for it."""

    @abstractmethod
    def peek(self) -> Batch:
        """Return a batch to learn shapes and dtypes from; no later epoch misses it."""

    def _order(self, count: int, rng: np.random.Generator | None) -> np.ndarray:
        if not self.shuffle:
            return np.arange(count)
        if rng is None:
            raise ValueError("Shuffled data need a numpy.random.Generator for each epoch: adapter.epoch(rng).")
        return rng.permutation(count)

    def _batch(self, batch: Any, source: str) -> Batch:
        """Return what a foreign source yielded as ``(x, y, sample_weight)`` of arrays."""
        x, y, sample_weight = unpack_batch(batch, source)
        x = to_arrays(x, "x", self.float_dtype)
        y = to_arrays(y, "y", self.float_dtype)
        sample_weight = to_arrays(sample_weight, "sample_weight", self.float_dtype, series_as_column=False)
        check_lengths(x=x, y=y, sample_weight=sample_weight)
        return x, y, _weighted(y, sample_weight, self._class_weight)


class ArrayAdapter(Adapter):
    """Arrays in memory.

    ``epoch`` serves everybody. A trainer that binds fixed buffers uses the fast path instead, in which nothing is
    allocated per step: ``epoch_indices`` once an epoch, then ``take_into`` per step.

    >>> adapter = ArrayAdapter(np.arange(5), np.arange(5) * 10, batch_size=2, shuffle=True)
    >>> indices = adapter.epoch_indices(np.random.default_rng(0))
    >>> buffers = adapter.make_buffers()
    >>> adapter.take_into(buffers, indices[0:2])
    >>> bool(np.all(buffers[1] == buffers[0] * 10))
    True
    """

    batch_size: int

    def __init__(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        batch_size: int | None = None,
        steps_per_epoch: int | None = None,
        shuffle: bool | str = False,
        class_weight: Mapping[int, float] | None = None,
        float_dtype: str | None = None,
    ) -> None:
        super().__init__(
            steps_per_epoch=steps_per_epoch, shuffle=shuffle, class_weight=class_weight, float_dtype=float_dtype
        )
        self.x = to_arrays(x, "x", float_dtype)
        self.y = to_arrays(y, "y", float_dtype)
        sample_weight = to_arrays(sample_weight, "sample_weight", float_dtype, series_as_column=False)
        self.num_samples = check_lengths(x=self.x, y=self.y, sample_weight=sample_weight)
        self.sample_weight = _weighted(self.y, sample_weight, class_weight)
        self.batch_size = DEFAULT_BATCH_SIZE if batch_size is None else batch_size
        available = -(-self.num_samples // self.batch_size)
        if steps_per_epoch is not None and steps_per_epoch > available:
            warnings.warn(
                f"steps_per_epoch={steps_per_epoch}, but {self.num_samples} rows make only {available} batches of "
                f"{self.batch_size}; each epoch ends after {available} steps.",
                stacklevel=2,
            )
        self._num_batches = available if steps_per_epoch is None else min(steps_per_epoch, available)
        self._flat: list[np.ndarray] | None = None

    @property
    def num_batches(self) -> int:
        """The number of batches in an epoch; the last one may be smaller than ``batch_size``."""
        return self._num_batches

    def epoch(self, rng: np.random.Generator | None = None) -> Iterator[Batch]:
        """Yield the batches of one epoch: views when nothing is shuffled, else gathered copies."""
        size = self.batch_size
        if not self.shuffle:
            for start in range(0, self._num_batches * size, size):
                yield self._rows(slice(start, start + size))
            return
        indices = self.epoch_indices(rng)
        for start in range(0, len(indices), size):
            yield self._rows(indices[start : start + size])

    def peek(self) -> Batch:
        """Return the first rows, in their own order."""
        return self._rows(slice(0, self.batch_size))

    def epoch_indices(self, rng: np.random.Generator | None = None) -> np.ndarray:
        """Return the row numbers of one epoch in order; batch ``i`` is ``[i * batch_size:][:batch_size]`` of them."""
        if self.shuffle == "batch":
            indices = self._order_within_batches(rng)
        else:
            indices = self._order(self.num_samples, rng)
        return indices[: self._num_batches * self.batch_size]

    def flat_arrays(self) -> list[np.ndarray]:
        """Return the leaves of ``(x, y, sample_weight)``, contiguous, in ``tree.flatten`` order, without None."""
        if self._flat is None:
            leaves = tree.flatten((self.x, self.y, self.sample_weight))
            self._flat = [np.ascontiguousarray(leaf) for leaf in leaves if leaf is not None]
        return self._flat

    def make_buffers(self) -> list[np.ndarray]:
        """Return empty buffers for one full batch, one for each of ``flat_arrays``."""
        return [np.empty((self.batch_size, *array.shape[1:]), array.dtype) for array in self.flat_arrays()]

    def take_into(self, buffers: Sequence[np.ndarray], indices: np.ndarray) -> None:
        """Gather the rows ``indices`` of each of ``flat_arrays`` into the first rows of the buffer for it.

        The buffers have the dtypes of the arrays; ``indices`` must be in range (they are clipped, not checked).
        """
        count = len(indices)
        for array, buffer in zip(self.flat_arrays(), buffers, strict=True):
            # With mode="clip" numpy writes straight into `out`; the default mode gathers into a copy first.
            array.take(indices, axis=0, out=buffer if len(buffer) == count else buffer[:count], mode="clip")

    def pack(self, leaves: Sequence[Any]) -> Batch:
        """Return ``leaves``, which correspond to ``flat_arrays``, as ``(x, y, sample_weight)``."""
        remaining = iter(leaves)
        return tree.map_structure(lambda _: next(remaining), (self.x, self.y, self.sample_weight), none_is_leaf=False)

    def cast(self, dtypes: Sequence[str | np.dtype[Any] | None]) -> None:
        """Convert each of ``flat_arrays`` to its dtype, once; None leaves an array as it is."""
        flat = self.flat_arrays()
        cast = [
            array if dtype is None else array.astype(dtype, copy=False)
            for array, dtype in zip(flat, dtypes, strict=True)
        ]
        self.x, self.y, self.sample_weight = self.pack(cast)
        self._flat = cast

    def _rows(self, index: Any) -> Batch:
        return tree.map_structure(lambda array: array[index], (self.x, self.y, self.sample_weight), none_is_leaf=False)

    def _order_within_batches(self, rng: np.random.Generator | None) -> np.ndarray:
        """Shuffle inside each run of ``batch_size`` rows, so that a batch reads one stretch of the file."""
        starts = range(0, self.num_samples, self.batch_size)
        return np.concatenate(
            [start + self._order(min(self.batch_size, self.num_samples - start), rng) for start in starts]
        )


class PyDatasetAdapter(Adapter):
    """A ``PyDataset``; ``shuffle`` permutes its batches."""

    def __init__(self, dataset: PyDataset, **options: Any) -> None:
        super().__init__(**options)
        self._dataset = dataset
        if dataset.num_batches == 0:
            raise ValueError(f"{type(dataset).__name__} is empty: its length is 0. Give at least one batch.")
        if dataset.num_batches is None and self.steps_per_epoch is None:
            raise ValueError(f"{type(dataset).__name__} has no end (num_batches is None): give steps_per_epoch.")

    @property
    def num_batches(self) -> int | None:
        """The length of the data set, or fewer where ``steps_per_epoch`` says so."""
        count = self._dataset.num_batches
        if count is None or self.steps_per_epoch is None:
            return self.steps_per_epoch if count is None else count
        return min(count, self.steps_per_epoch)

    def epoch(self, rng: np.random.Generator | None = None) -> Iterator[Batch]:
        """Yield the batches of one epoch, between the data set's ``on_epoch_begin`` and ``on_epoch_end``."""
        self._dataset.on_epoch_begin()
        count = self._dataset.num_batches
        indices: Iterable[int] = itertools.count() if count is None else self._order(count, rng).tolist()
        batches = iterate_in_order(self._dataset, itertools.islice(indices, self.steps_per_epoch))
        for batch in batches:
            yield self._batch(batch, type(self._dataset).__name__)
        self._dataset.on_epoch_end()
        if count is not None and self.steps_per_epoch is not None and count < self.steps_per_epoch:
            _warn_out_of_data(count, self.steps_per_epoch)

    def peek(self) -> Batch:
        """Return batch 0."""
        return self._batch(self._dataset[0], type(self._dataset).__name__)


class IterableAdapter(Adapter):
    """Anything that yields batches and starts anew with each ``iter()``; its own length, if any, is used."""

    def __init__(self, iterable: Iterable[Any], **options: Any) -> None:
        super().__init__(**options)
        self._iterable = iterable
        self._source = type(iterable).__name__
        self._peeked: Iterator[Any] | None = None
        self._counted: int | None = None

    @property
    def num_batches(self) -> int | None:
        """The length, where it is known or an epoch has been seen, limited by ``steps_per_epoch``."""
        count = self._counted
        if count is None:
            try:
                count = len(self._iterable)  # type: ignore[arg-type]
            except TypeError:
                return self.steps_per_epoch
        return count if self.steps_per_epoch is None else min(count, self.steps_per_epoch)

    def epoch(self, rng: np.random.Generator | None = None) -> Iterator[Batch]:
        """Yield the batches of one pass; shuffling is the iterable's own business."""
        iterator = iter(self._iterable) if self._peeked is None else self._peeked
        self._peeked = None
        count = 0
        for batch in itertools.islice(iterator, self.steps_per_epoch):
            count += 1
            yield self._batch(batch, self._source)
        if count == 0:
            raise ValueError(f"{self._source} is empty: it gave no batch.")
        if self.steps_per_epoch is not None and count < self.steps_per_epoch:
            _warn_out_of_data(count, self.steps_per_epoch)
        self._counted = count

    def peek(self) -> Batch:
        """Return the first batch of the next pass."""
        iterator = iter(self._iterable) if self._peeked is None else self._peeked
        first, self._peeked = _put_back(iterator, self._source)
        return self._batch(first, self._source)


class GeneratorAdapter(Adapter):
    """A generator or another iterator: each epoch goes on where the last one stopped.

    Without ``steps_per_epoch`` an epoch takes all that is left. When the data end early, a warning says so and
    ``exhausted`` becomes true: the trainer stops.
    """

    def __init__(self, iterator: Iterator[Any], **options: Any) -> None:
        super().__init__(**options)
        self._iterator = iterator
        self._source = "The generator"
        self._started = False
        self.exhausted = False

    @property
    def num_batches(self) -> int | None:
        """``steps_per_epoch``; a generator does not know its length."""
        return self.steps_per_epoch

    def epoch(self, rng: np.random.Generator | None = None) -> Iterator[Batch]:
        """Yield the next ``steps_per_epoch`` batches, or all that are left; their order is the generator's."""
        count = 0
        for batch in itertools.islice(self._iterator, self.steps_per_epoch):
            self._started = True
            count += 1
            yield self._batch(batch, self._source)
        if not self._started:
            raise ValueError(f"{self._source} is empty: it gave no batch.")
        self.exhausted = self.steps_per_epoch is None or count < self.steps_per_epoch
        if count < (1 if self.steps_per_epoch is None else self.steps_per_epoch):
            _warn_out_of_data(count, self.steps_per_epoch)

    def peek(self) -> Batch:
        """Return the next batch and put it back."""
        first, self._iterator = _put_back(self._iterator, self._source)
        return self._batch(first, self._source)


def make_adapter(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int | None = None,
    steps_per_epoch: int | None = None,
    shuffle: bool | str = False,
    class_weight: Mapping[int, float] | None = None,
    float_dtype: str | None = None,
) -> Adapter:
    """Return the adapter for the data that a user gave.

    Args:
        x: arrays (numpy, pandas, ``__array__``), a list, tuple or dict of them, a ``PyDataset``, a generator, or
            anything that iterates over batches.
        y, sample_weight: arrays that go with ``x``; only where ``x`` is arrays, too.
        batch_size: rows in a batch of arrays, 32 by default; other sources make their own batches.
        steps_per_epoch: the most batches in an epoch; None means all.
        shuffle: whether to reorder the rows of arrays or the batches of a ``PyDataset``; "batch" reorders rows only
            within each batch.
        class_weight: from class label to weight; multiplied with ``sample_weight`` where both are given.
        float_dtype: what float data are cast to; ``config.floatx()`` by default.

    Raises:
        TypeError, ValueError: the data cannot be used; the message names the argument and the remedy.

    >>> adapter = make_adapter(np.ones((10, 3)), np.ones(10), batch_size=4)
    >>> [len(x) for x, y, sample_weight in adapter.epoch()]
    [4, 4, 2]
    """
    _check_options(batch_size, steps_per_epoch, shuffle)
    options: dict[str, Any] = {
        "steps_per_epoch": steps_per_epoch,
        "shuffle": shuffle,
        "class_weight": None if class_weight is None else check_class_weight(class_weight),
        "float_dtype": float_dtype,
    }
    if x is None:
        raise ValueError("x is None. Give the input data.")
    if isinstance(x, PyDataset):
        _refuse_beside(x, "a PyDataset", y, sample_weight)
        return PyDatasetAdapter(x, **options)
    if holds_arrays(x) or tree.is_nested(x):
        return ArrayAdapter(x, y, sample_weight, batch_size=batch_size, **options)
    if isinstance(x, Iterator):
        _refuse_beside(x, "a generator", y, sample_weight)
        return GeneratorAdapter(x, **options)
    if isinstance(x, Iterable) and not isinstance(x, (str, bytes)):
        _refuse_beside(x, f"a {type(x).__name__}", y, sample_weight)
        return IterableAdapter(x, **options)
    raise TypeError(
        f"x must be an array, a nest of arrays, a PyDataset, a generator or an iterable of batches. "
        f"Received: {x!r} of type {type(x).__name__}."
    )


def _check_options(batch_size: Any, steps_per_epoch: Any, shuffle: Any) -> None:
    for name, value in (("batch_size", batch_size), ("steps_per_epoch", steps_per_epoch)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1):
            raise ValueError(f"{name} must be an integer >= 1 or None. Received: {value!r}")
    if shuffle not in (True, False, "batch"):
        raise ValueError(f"shuffle must be True, False or 'batch'. Received: {shuffle!r}")


def _refuse_beside(x: Any, what: str, y: Any, sample_weight: Any) -> None:
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            raise ValueError(f"x is {what}, which yields (x, y, sample_weight) itself: do not pass {name} beside it.")


def _put_back(iterator: Iterator[Any], source: str) -> tuple[Any, Iterator[Any]]:
    """Return the next item, and an iterator that will give it again."""
    try:
        first = next(iterator)
    except StopIteration:
        raise ValueError(f"{source} is empty: it gave no batch.") from None
    return first, itertools.chain([first], iterator)


def _weighted(y: Any, sample_weight: Any, class_weight: Mapping[int, float] | None) -> Any:
    if class_weight is None:
        return sample_weight
    if y is None:
        raise ValueError("class_weight needs the labels y, and there are none.")
    weights = class_weight_to_sample_weights(y, class_weight)
    if sample_weight is None:
        return weights
    if not isinstance(sample_weight, np.ndarray):
        raise ValueError("With class_weight, sample_weight must be a single array.")
    return weights.reshape(weights.shape + (1,) * (sample_weight.ndim - weights.ndim)) * sample_weight


def _warn_out_of_data(count: int, steps: int | None) -> None:
    wanted = "another epoch" if steps is None else f"{steps} steps in each epoch"
    warnings.warn(
        f"The data ran out after {count} batches of this epoch, but {wanted} were asked for; training stops here. "
        "Let the generator yield at least steps_per_epoch * epochs batches.",
        stacklevel=3,
    )
