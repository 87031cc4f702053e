"""Python's search for cyclic garbage, paused while something large is built."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["collection_paused"]


class _Pause:
    """How many are in need of quiet; the first stops the collector and the last starts it again."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.depth = 0
        self.resumes = False


_PAUSE = _Pause()


@contextmanager
def collection_paused() -> Iterator[None]:
    """Keep Python from searching for garbage meanwhile, and leave its collector as it was.

    A graph is many small objects, of which hardly any becomes garbage while passes work. The collector looks at all of
    them again and again: at 10,000 nodes that was a fifth of the time of passes and serde. It belongs to the whole
    process, so of several threads that pause it the last one to finish resumes it.

    Example:
        >>> import gc
        >>> with collection_paused():
        ...     gc.isenabled()
        False
        >>> gc.isenabled()
        True
    """
    with _PAUSE.lock:
        if not _PAUSE.depth:
            _PAUSE.resumes = gc.isenabled()
            gc.disable()
        _PAUSE.depth += 1
    try:
        yield
    finally:
        with _PAUSE.lock:
            _PAUSE.depth -= 1
            if not _PAUSE.depth and _PAUSE.resumes:
                gc.enable()
