"""``prefetched``: the next batches are made in a thread while the runtime computes."""

from __future__ import annotations

import contextvars
from collections.abc import Generator, Iterator
from queue import SimpleQueue
from threading import Semaphore, Thread
from typing import TypeVar

__all__ = ["prefetched"]

T = TypeVar("T")


def prefetched(items: Iterator[T], ahead: int) -> Generator[T, None, None]:
    """Yield the items of an iterator in order, of which a thread takes up to ``ahead`` before they are asked for.

    An error in the iterator is raised here, in its place. When the consumer ends early, at most ``ahead`` items have
    been taken in vain, the iterator is closed, and the thread has ended when ``close`` returns.

    Args:
        items: the iterator; with a thread it must make new items each time, not fill the same array again.
        ahead: how many items may wait; 0 starts no thread.

    >>> list(prefetched(iter("abc"), 2))
    ['a', 'b', 'c']
    """
    if ahead < 1:
        yield from items
        return
    ready: SimpleQueue[tuple[bool, T | BaseException | None]] = SimpleQueue()  # (is an item, item or error)
    places = Semaphore(ahead)
    closed = False

    def work() -> None:
        try:
            while places.acquire() and not closed:
                try:
                    item = next(items)
                except StopIteration:
                    break
                ready.put((True, item))
            ready.put((False, None))
        except BaseException as error:  # the consumer's thread is to see it, whatever it is
            ready.put((False, error))

    # The settings of the calling thread (numpy's error handling, for one) hold in the iterator's code as well.
    thread = Thread(target=contextvars.copy_context().run, args=(work,), name="nngraph-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            is_item, item = ready.get()
            if not is_item:
                break
            places.release()
            yield item  # type: ignore[misc]
        if item is not None:
            raise item  # type: ignore[misc]
    finally:
        closed = True
        places.release()
        thread.join()
        close = getattr(items, "close", None)
        if close is not None:
            close()
