"""``PyDataset``: batches made on demand by Python code, in threads when that helps."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

__all__ = ["PyDataset", "Sequence", "iterate_in_order"]


class PyDataset:
    """Base class of data sets that make one batch at a time.

    A subclass defines ``__getitem__(index)``, which returns the batch ``(x,)``, ``(x, y)`` or
    ``(x, y, sample_weight)``, and ``__len__``, the number of batches (or ``num_batches``, where None means "without
    end"). ``on_epoch_begin`` and ``on_epoch_end`` are called around each epoch.

    Args:
        workers: how many batches are prepared at the same time, each in a thread; numpy, file and image code release
            the interpreter lock, so that threads help there. The order of the batches does not depend on it.
        use_multiprocessing: accepted for Keras code; threads do the work in any case.
        max_queue_size: how many batches may wait, ready, for the training step.

    >>> class Squares(PyDataset):
    ...     def __len__(self):
    ...         return 3
    ...     def __getitem__(self, index):
    ...         return index, index**2
    >>> list(Squares())
    [(0, 0), (1, 1), (2, 4)]
    """

    # Class attributes serve subclasses whose __init__ does not call ours.
    workers: int = 1
    use_multiprocessing: bool = False
    max_queue_size: int = 10

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10) -> None:
        for name, value in (("workers", workers), ("max_queue_size", max_queue_size)):
            if not isinstance(value, int) or value < 0:
                raise ValueError(f"{name} must be an integer >= 0. Received: {value!r}")
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    def __getitem__(self, index: int) -> Any:
        """Return batch ``index``."""
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__(self, index), which returns a batch.")

    @property
    def num_batches(self) -> int | None:
        """The number of batches in an epoch; None means "without end"."""
        if not hasattr(self, "__len__"):
            raise NotImplementedError(f"{type(self).__name__} must define __len__(self), the number of batches.")
        return len(self)

    def on_epoch_begin(self) -> None:
        """Called before the first batch of an epoch."""

    def on_epoch_end(self) -> None:
        """Called after the last batch of an epoch."""

    def __iter__(self) -> Iterator[Any]:
        count = self.num_batches
        index = 0
        while count is None or index < count:
            yield self[index]
            index += 1


Sequence = PyDataset


def iterate_in_order(dataset: PyDataset, indices: Iterable[int]) -> Iterator[Any]:
    """Yield ``dataset[i]`` for each index in order, preparing up to ``max_queue_size`` of them ahead in threads."""
    if dataset.workers <= 1:
        for index in indices:
            yield dataset[index]
        return
    remaining = iter(indices)
    ahead = max(dataset.max_queue_size, dataset.workers)
    executor = ThreadPoolExecutor(max_workers=dataset.workers, thread_name_prefix="nngraph-data")
    try:
        pending: deque[Future[Any]] = deque(executor.submit(dataset.__getitem__, i) for i in islice(remaining, ahead))
        while pending:
            batch = pending.popleft().result()
            pending.extend(executor.submit(dataset.__getitem__, i) for i in islice(remaining, 1))
            yield batch
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
