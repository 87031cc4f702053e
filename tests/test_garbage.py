"""The garbage collector is paused while graphs are compiled, and afterwards it is as it was."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest

from nngraph.garbage import collection_paused
from nngraph.ir import Graph
from nngraph.ops import raw
from nngraph.runtime import Session
from nngraph.serde import from_proto, to_proto
from passes import PassManager
from passes.base import Pass
from passes.rewrite import example


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    assert gc.isenabled()
    yield
    gc.enable()


class Broken(Pass):
    name = "broken"

    def run(self, graph: Graph) -> int:
        assert not gc.isenabled()
        raise RuntimeError("no")


def test_nested_pauses_are_one() -> None:
    with collection_paused():
        with collection_paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    with collection_paused():
        pass
    assert not gc.isenabled()


def test_the_last_thread_resumes() -> None:
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with collection_paused():
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with collection_paused():
        thread.start()
        assert entered.wait(10)
    assert not gc.isenabled()
    leave.set()
    thread.join(10)
    assert gc.isenabled()


def test_errors_resume_it() -> None:
    graph = example(lambda x: raw.Neg(x), "float32[2]").graph()
    with pytest.raises(RuntimeError, match="no"):
        PassManager([Broken()]).run(graph)
    assert gc.isenabled()


def test_passes_serde_and_sessions_pause_it(monkeypatch: pytest.MonkeyPatch) -> None:
    paused: list[None] = []
    monkeypatch.setattr(gc, "disable", lambda: paused.append(None))
    graph = example(lambda x: raw.Neg(x), "float32[3]").graph()
    for count, work in enumerate(
        (
            lambda: PassManager([]).run(graph),
            lambda: to_proto(graph),
            lambda: from_proto(to_proto(graph)),
            lambda: Session(graph, "cpu", share=False),
        )
    ):
        before = len(paused)
        work()
        assert len(paused) > before, count
    assert gc.isenabled()
