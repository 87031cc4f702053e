"""The manager, its report, its instruments, and passes as text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import zoo
from nngraph import config
from nngraph.ir import Graph, VerificationError
from nngraph.ops import raw
from passes import PASSES, Pass, PassManager, Report, parse
from passes.dce import Dce
from passes.fold import Fold
from passes.lowering import Lower
from passes.rewrite import example
from passes.simplify import Simplify


@pytest.fixture(autouse=True)
def _settings() -> Iterator[None]:
    yield
    config.reset_setting()


def double_negation() -> Graph:
    return example(lambda x: raw.Neg(raw.Neg(raw.Exp(x))), "float32[2]").graph("twice")


@dataclass(frozen=True)
class Breaks(Pass):
    name: ClassVar[str] = "breaks"

    def run(self, graph: Graph) -> int:
        graph.outputs[0].type = graph.outputs[0].type.with_dtype("int32")
        return 1


def test_the_report_says_what_happened() -> None:
    graph = double_negation()
    report = PassManager([Simplify(), Dce()]).run(graph)
    assert isinstance(report, Report) and report.graph is graph
    first, second = report.steps
    assert (first.name, first.changes, first.before, first.after, dict(first.hits)) == (
        "simplify",
        1,
        3,
        1,
        {"involution": 1},
    )
    assert (second.name, second.changes, second.before, second.after) == ("dce", 0, 1, 1)
    assert report.changes == 1 and report.seconds >= 0 and report.hits["involution"] == 1


def test_the_report_is_a_table() -> None:
    lines = str(PassManager([Simplify(), Dce()]).run(double_negation())).splitlines()
    assert lines[0] == "passes on graph 'twice'"
    assert [line.split()[0] for line in lines[1:]] == ["pass", "simplify", "dce", "total"]
    assert lines[2].split()[1:5] == ["1", "3", "->", "1"]
    assert len({len(line) for line in lines[1:]}) == 1


def test_a_clone_leaves_the_graph_alone() -> None:
    graph = double_negation()
    before = str(graph)
    report = PassManager([Simplify()]).run(graph, clone=True)
    assert str(graph) == before and len(report.graph) == 1


def test_rounds_end_when_nothing_changes() -> None:
    class Counts(Simplify):
        def run(self, graph: Graph) -> int:
            ran.append(self.name)
            return super().run(graph)

    ran: list[str] = []
    report = PassManager([Dce(), Counts(), Dce()], rounds=5).run(double_negation())
    # The first dead-code pass has nothing to do and comes once more after the change; then all are settled.
    assert [(step.name, step.changes) for step in report.steps] == [("dce", 0), ("simplify", 1), ("dce", 0)]
    assert len(ran) == 1


def test_a_broken_graph_is_blamed_on_the_pass_that_broke_it() -> None:
    with pytest.raises(VerificationError, match="after pass breaks"):
        PassManager([Simplify(), Breaks(), Dce()], verify=True).run(double_negation())
    PassManager([Breaks()], verify=False).run(double_negation())


def test_a_graph_broken_before_is_not_blamed_on_a_pass() -> None:
    graph = double_negation()
    Breaks().run(graph)
    with pytest.raises(VerificationError, match="it was given to the passes"):
        PassManager([Simplify()], verify=True).run(graph)


def test_verification_follows_the_setting() -> None:
    config.set_setting("verify", False)
    PassManager([Breaks()]).run(double_negation())
    config.set_setting("verify", True)
    with pytest.raises(VerificationError):
        PassManager([Breaks()]).run(double_negation())


@pytest.mark.parametrize(
    ("level", "seen", "unseen"),
    [
        (0, [], ["simplify"]),
        (1, ["passes on graph 'twice'", "total"], ["involution", "graph twice("]),
        (2, ["involution fired 1x"], ["graph twice("]),
        (3, ["after 0 given\ngraph twice(", "after 1 simplify\ngraph twice("], ["join_factors not at"]),
        (4, ["join_factors not at 'mul_1' (Mul): an inner value is used elsewhere"], []),
    ],
)
def test_debug_levels(level: int, seen: list[str], unseen: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    def fn(x):  # type: ignore[no-untyped-def]
        product = raw.Mul(raw.Neg(raw.Neg(x)), np.float32(3))
        return raw.Mul(product, np.float32(5)), product

    config.set_setting("debug", level)
    PassManager([Simplify()]).run(example(fn, "float32[2]").graph("twice"))
    out, err = capsys.readouterr()
    assert out == ""
    assert all(text in err for text in seen), err
    assert not any(text in err for text in unseen), err


def test_dumps(tmp_path: Path) -> None:
    config.set_setting("dump", tmp_path / "graphs")
    graph = double_negation()
    before = str(graph)
    PassManager([Dce(), Simplify(), Fold(max_bytes=8)]).run(graph)
    first, second = sorted((tmp_path / "graphs").iterdir())
    assert first.name.endswith(".00-given.txt") and second.name.endswith(".02-simplify.txt")
    assert first.name.startswith("twice.")
    assert first.read_text() == before + "\n" and second.read_text() == str(graph) + "\n"


def test_own_instruments_see_every_step() -> None:
    seen = []
    PassManager([Simplify(), Dce()], instruments=[lambda g, step, n: seen.append((n, step.name, len(g)))]).run(
        double_negation()
    )
    assert seen == [(0, "given", 3), (1, "simplify", 1), (2, "dce", 1)]


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("dce", [Dce()]),
        ("fold{max_bytes=1024},dce", [Fold(max_bytes=1024), Dce()]),
        (" fold { max-bytes = 7 } , lower{target=cpu}", [Fold(max_bytes=7), Lower("cpu")]),
        ("lower{}", [Lower()]),
    ],
)
def test_passes_from_text(text: str, passes: list[Pass]) -> None:
    assert parse(text) == passes
    assert parse(",".join(map(str, passes))) == passes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("foldd", "Unknown pass 'foldd'. Did you mean 'fold'?"),
        ("fold{max_byte=1}", "Did you mean 'max_bytes'?"),
        ("fold{max_bytes=many}", "option 'max_bytes' of pass 'fold' must be a whole number, got 'many'"),
        ("fold{max_bytes}", "option 'max_bytes' of pass 'fold' needs a value"),
        ("dce,,cse", "a name is missing between two commas"),
        ("lower{target=gpu}", "Unknown target 'gpu'"),
        ("dce}", "is not of the form"),
    ],
)
def test_bad_texts(text: str, message: str) -> None:
    with pytest.raises(ValueError) as raised:
        parse(text)
    assert message in str(raised.value)


@pytest.mark.parametrize("name", PASSES)
def test_every_pass_knows_its_name(name: str) -> None:
    (item,) = parse(name)
    assert item.name == name and str(item) == name
    assert type(item).run.__doc__ and type(item).__doc__


def test_passes_reach_into_subgraphs() -> None:
    graph = zoo.ZOO["scan"]()
    PassManager([Simplify()]).run(graph)
    body = next(n for n in graph if n.op == "Scan").attributes["body"]
    assert "Neg" not in [n.op for n in body]
