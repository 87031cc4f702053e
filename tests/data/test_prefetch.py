"""Batches made ahead in a thread: the same items, the same errors, nothing left behind."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from nngraph.data import prefetched


def threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "nngraph-prefetch"]


@pytest.mark.parametrize("ahead", [0, 1, 3, 100])
def test_the_same_items_in_the_same_order(ahead: int) -> None:
    items = [None, 0, "a", ValueError("an item like any other"), *range(20)]
    assert list(prefetched(iter(items), ahead)) == items
    assert list(prefetched(iter(()), ahead)) == []
    assert not threads()


@pytest.mark.parametrize("ahead", [0, 2])
def test_an_error_comes_in_its_place(ahead: int) -> None:
    def broken():
        yield 1
        yield 2
        raise KeyError("lost file")

    seen = []
    with pytest.raises(KeyError, match="lost file") as caught:
        for item in prefetched(broken(), ahead):
            seen.append(item)
    assert seen == [1, 2]
    assert "broken" in [entry.name for entry in caught.traceback]
    assert not threads()


@pytest.mark.parametrize("ahead", [0, 1, 4])
def test_an_abandoned_source_is_closed_and_hardly_read_further(ahead: int) -> None:
    taken, closed = [], []

    def source():
        try:
            for k in range(1000):
                taken.append(k)
                yield k
        finally:
            closed.append(True)

    items = prefetched(source(), ahead)
    assert [next(items), next(items)] == [0, 1]
    items.close()
    assert closed == [True] and len(taken) <= 2 + ahead
    assert not threads()


def test_items_are_made_in_another_thread_and_no_more_than_asked_for() -> None:
    made, enough = [], threading.Event()

    def source():
        for k in range(10):
            made.append(threading.current_thread())
            if k == 3:  # one was asked for, two wait, one more is begun only when there is room
                enough.set()
            yield k

    items = prefetched(source(), 2)
    assert next(items) == 0
    assert next(items) == 1
    assert enough.wait(10)
    assert {t.name for t in made} == {"nngraph-prefetch"} and len(made) == 4
    assert list(items) == list(range(2, 10))


def test_numpys_settings_go_along() -> None:
    def source():
        yield np.float32(1) / np.float32(0)

    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        next(prefetched(source(), 1))
