"""The comparison's own logic; no peer is needed, nothing is timed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from benchmarks import checking, cli, environments, peers, picture, processes, report, results, schedule, worker
from benchmarks.workloads import WORKLOADS

ROOT = Path(__file__).resolve().parent.parent.parent


def training_row(workload: str = "mlp", **samples: list[float]) -> dict:
    return results.row("training", workload, 128, "ms", samples, {})


def document(*rows: dict, date: str = "2026-01-31T12:00:00+00:00", quick: bool = False) -> dict:
    names = {name for row in rows for name in row["results"]}
    about = {"processor": "P", "flags": ["avx2"], "cores": 2, "memory_gb": 4.0, "system": "S", "load": 0.0}
    return {
        "schema": 1,
        "date": date,
        "quick": quick,
        "threads": 2,
        "machine": about,
        "peers": {name: {"versions": {"numpy": "2"}} for name in names},
        "rows": list(rows),
    }


# --------------------------------------------------------------------------- order and statistics


def test_each_round_has_everybody_once():
    names = ["a", "b", "c", "d"]
    assert all(sorted(schedule.turns(names, k)) == names for k in range(9))
    assert schedule.turns([], 3) == []


def test_everybody_is_first_and_last_about_equally_often():
    names = ["a", "b", "c"]
    orders = [schedule.turns(names, k) for k in range(6)]
    assert set(Counter(order[0] for order in orders).values()) == {2}
    assert set(Counter(order[-1] for order in orders).values()) == {2}


def test_interleaving_alternates_and_stops_in_time():
    calls: list[str] = []
    now = [0.0]

    def measure(name: str) -> float:
        calls.append(name)
        now[0] += 1.0
        return len(calls)

    measures = {name: lambda name=name: measure(name) for name in "ab"}
    pauses: list[float] = []
    samples, failures = schedule.interleave(
        measures, rounds=50, budget=5.0, least=2, clock=lambda: now[0], sleep=pauses.append
    )
    assert calls == ["a", "b", "a", "b", "a", "b"]  # the second round begins with b and runs backwards
    assert samples == {"a": [1, 3, 5], "b": [2, 4, 6]} and failures == {}
    assert len(pauses) == len(calls)


def test_least_rounds_are_run_even_over_budget():
    samples, _ = schedule.interleave({"a": lambda: 1.0}, 9, 0.0, least=4, clock=iter(range(99)).__next__, sleep=id)
    assert samples == {"a": [1.0] * 4}


def test_a_failing_peer_leaves_and_the_others_go_on():
    count = [0]

    def fails_second() -> float:
        count[0] += 1
        if count[0] == 2:
            raise processes.Failure("out of memory")
        return 1.0

    samples, failures = schedule.interleave({"a": fails_second, "b": lambda: 2.0}, 4, 9.0, sleep=id)
    assert samples == {"b": [2.0] * 4}
    assert failures == {"a": "out of memory"} and count == [2]


@pytest.mark.parametrize(("seconds", "steps"), [(0.1, 3), (1.0, 2), (1e-5, 200), (0.0, 200)])
def test_steps_of_a_round(seconds: float, steps: int):
    assert worker.steps_for(seconds, target=0.3, least=2) == steps


def test_summary_is_numpys():
    samples = [3.21987, 1.5, 2.25, 9.0]
    found = results.summary(samples)
    assert found["median"] == pytest.approx(np.median(samples), rel=1e-3)
    assert found["minimum"] == 1.5 and found["samples"] == [3.22, 1.5, 2.25, 9.0]
    with pytest.raises(ValueError, match="at least one"):
        results.summary([])


def test_ratio_is_to_the_best_peer():
    row = training_row(nngraph=[1.0], torch=[4.0], jax=[2.0])
    assert results.best_peer(row) == "jax" and results.ratio(row) == 0.5
    assert results.best_peer(row, ["torch", "keras-jax"]) == "torch"
    assert results.ratio(training_row(torch=[4.0])) is None
    assert results.best_peer(training_row(nngraph=[4.0])) is None
    assert (
        results.best_peer(results.row("memory", "mlp", 1, "MB", {"nngraph": [4], "nngraph-recompute": [3]}, {})) is None
    )


# --------------------------------------------------------------------------- files


def test_documents_round_trip(tmp_path: Path):
    wanted = document(training_row(nngraph=[1.0, 2.0], torch=[4.0]))
    results.save(wanted, tmp_path / "a.json")
    assert results.load(tmp_path) == [wanted]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: d.pop("machine"), "'machine' must be of type dict"),
        (lambda d: d.update(threads=True), "'threads' must be of type int"),
        (lambda d: d.update(schema=2), "schema 2 is unknown"),
        (lambda d: d["rows"][0].update(kind="speed"), "kind 'speed' is none of"),
        (lambda d: d["peers"].clear(), "is not among the peers"),
        (lambda d: d["rows"][0]["results"]["torch"].update(samples=[]), "samples must be numbers"),
        (lambda d: d["rows"][0]["results"]["torch"].update(median=1.0), "do not follow from the samples"),
    ],
)
def test_invalid_documents(spoil, message: str, tmp_path: Path):
    wrong = document(training_row(torch=[4.0, 5.0, 6.0]))
    spoil(wrong)
    with pytest.raises(ValueError, match=message):
        results.save(wrong, tmp_path / "a.json")
    assert not list(tmp_path.iterdir())


def test_newest_rows_are_whole_and_not_quick():
    old = document(training_row(nngraph=[9.0], torch=[4.0]), training_row("cnn", torch=[5.0]), date="2026-01-01")
    new = document(training_row(nngraph=[1.0]), date="2026-01-02")
    quick = document(training_row(nngraph=[0.1]), date="2026-01-03", quick=True)
    pairs = results.newest_rows([old, new, quick])
    found = {row["workload"]: (row["results"], source["date"]) for row, source in pairs}
    assert set(found["mlp"][0]) == {"nngraph"} and found["mlp"][1] == "2026-01-02"
    assert found["cnn"][1] == "2026-01-01"


def test_kept_results_are_valid():
    for found in results.load(cli.RESULTS):
        assert not found["quick"]


# --------------------------------------------------------------------------- tables and picture


def test_table_shows_medians_minima_and_ratio():
    row = training_row(nngraph=[1.0, 2.0, 3.0], torch=[8.0, 4.0, 6.0])
    row["results"]["jax"] = {"error": "no memory"}
    header, line = report.table([row])
    assert header == ["median (minimum), ms", "nngraph", "torch", "JAX", "best peer", "ratio"]
    assert line == ["MLP 784-128-10, dropout (128)", "**2 (1)**", "6 (4)", "failed", "torch", "0.33"]


@pytest.mark.parametrize(("value", "text"), [(1234.5, "1,234"), (12.34, "12.3"), (0.456, "0.456"), (0.00123, "0.0012")])
def test_numbers(value: float, text: str):
    assert report.number(value) == text


def test_readme_table_takes_the_better_setting():
    row = training_row("cnn", **{"nngraph": [1.0], "torch": [4.0], "torch-nhwc": [3.0], "keras-jax": [9.0]})
    text = report.readme_table([(row, document(row))])
    assert "| CNN, 32×32×3 (128) | **1** | 3 |  |  | 9 |  |  | 0.33 |" in text
    with pytest.raises(ValueError, match="no results of training"):
        report.readme_table([])


def test_replace_between():
    text = "a\n<!--1-->\nold\n<!--2-->\nb"
    once = report.replace_between(text, "<!--1-->", "<!--2-->", "new")
    assert once == "a\n<!--1-->\n\nnew\n\n<!--2-->\nb"
    assert report.replace_between(once, "<!--1-->", "<!--2-->", "new") == once
    with pytest.raises(ValueError, match="each once"):
        report.replace_between("a", "<!--1-->", "<!--2-->", "new")


def test_report_writes_page_picture_and_readme(tmp_path: Path):
    row = training_row(nngraph=[1.0], torch=[4.0])
    failed = results.row("memory", "resnet", 64, "MB", {"nngraph": [100.0]}, {"jax": "no | memory"})
    results.save(document(row, failed), tmp_path / "kept.json")
    readme = tmp_path / "top.md"
    readme.write_text(f"# x\n{report.README_START}\n{report.README_END}\n")
    (tmp_path / "notes.md").write_text("## Bounds\n\nMemory.\n")
    report.write_report(tmp_path, readme)
    page = (tmp_path / "README.md").read_text()
    assert "\n\n## Bounds\n\nMemory.\n\n## Where" in page
    assert "## Training step" in page and "## Peak resident memory" in page and "no | memory" in page
    assert "torch: numpy 2" in page
    assert "| MLP 784-128-10, dropout (128) | **1** | 4 |" in readme.read_text()
    assert "MLP 784-128-10" in (tmp_path / "training.svg").read_text()


def test_picture_is_well_formed_and_bars_are_to_scale():
    from xml.etree import ElementTree

    row = training_row(nngraph=[2.0], torch=[8.0], jax=[4.0])
    root = ElementTree.fromstring(picture.bars([("<a & b>", row)] * 4, "here"))
    svg = "{http://www.w3.org/2000/svg}"
    widths = [float(bar.get("width")) for bar in root.iter(f"{svg}rect")][1:4]
    assert widths == pytest.approx([150 * 2 / 8, 150, 75], abs=0.1)
    texts = [text.text for text in root.iter(f"{svg}text")]
    assert texts.count("<a & b>") == 4 and "ms" in texts


@pytest.mark.parametrize(("highest", "wanted"), [(7.3, [0, 2, 4, 6]), (100.0, [0, 50, 100]), (0.0, [0]), (0.9, None)])
def test_ticks(highest: float, wanted):
    found = picture.ticks(highest)
    assert wanted is None or found == wanted
    assert found[0] == 0 and all(t <= highest + 1e-9 for t in found) and len(found) <= 6


# --------------------------------------------------------------------------- peers, workloads, processes


def test_peers_of_a_row():
    names = [p.name for p in peers.select([], training=True, images=False)]
    with_memory = [p.name for p in peers.select([], training=True, images=False, memory=True)]
    assert set(with_memory) - set(names) == {"nngraph-recompute"}
    assert "torch-nhwc" not in names and "onnxruntime" not in names and names[0] == "nngraph"
    assert [p.name for p in peers.select(["torch", "torch-nhwc"], training=True, images=True)] == [
        "torch",
        "torch-nhwc",
    ]


def test_every_peer_has_requirements():
    assert {p.environment for p in peers.PEERS.values()} == {p.stem for p in environments.REQUIREMENTS.glob("*.txt")}


@pytest.mark.parametrize("name", WORKLOADS)
def test_data_are_the_same_for_everybody(name: str):
    work = WORKLOADS[name]
    x, y = work.data(3)
    again, _ = work.data(3)
    np.testing.assert_array_equal(x, again)
    assert x.shape == (3, *work.shape) and y.shape == (3, *work.target)
    assert x.dtype == ("int32" if work.kind == "tokens" else "float32")
    assert y.max() < work.classes


def test_differences_name_who_is_wrong():
    right = {"logits": [1.0, 2.0], "losses": [1.0, 0.9], "parameters": 10}
    layout = {**right, "logits": [2.0, 1.0]}
    wrong = {"logits": [1.0, 2.1], "losses": [1.1, 0.9], "parameters": 9999}
    inference = {"logits": [1.0, 2.0]}
    answers = {"nngraph": right, "torch": layout, "jax": wrong, "onnxruntime": inference}
    lines = checking.differences(answers, "nngraph")
    assert len(lines) == 3 and all(line.startswith("jax:") for line in lines)


ECHO = """
import os
class Echo:
    def __init__(self, threads, **options):
        print("noise on standard output")
        self.about = {"threads": os.environ["OMP_NUM_THREADS"], **options}
    def versions(self): return self.about
    def close(self): raise ValueError("cannot close")
    def infer(self): os._exit(3)
"""


@pytest.fixture
def echo(tmp_path: Path, monkeypatch):
    """A process with an adapter that needs no framework."""
    (tmp_path / "echo_adapter.py").write_text(ECHO)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    peer = peers.Peer("echo", "Echo", "none", "echo_adapter:Echo", {"size": 3})
    made = processes.Process(peer, Path(sys.executable), 1, tmp_path / "log")
    yield made
    made.stop()


def test_a_process_answers_fails_and_dies(echo: processes.Process):
    assert echo.hello()["import_seconds"] > 0
    versions = echo.ask("versions")["versions"]
    assert versions["threads"] == "1" and versions["size"] == 3
    with pytest.raises(processes.Failure, match="ValueError: cannot close"):
        echo.ask("close")
    assert echo.ask("round") == {"seconds": 0.0}  # it lives on
    assert "noise on standard output" in echo.log.read_text()
    echo.process.kill()
    with pytest.raises(processes.Failure, match="ended"):
        echo.ask("versions")


def test_a_silent_process_is_given_up(echo: processes.Process):
    with pytest.raises(processes.Failure, match="no answer within 0 s"):
        echo.ask("versions", timeout=0.0)
    assert echo.process.returncode is not None


def test_listing_and_unknown_names(capsys):
    assert cli.main(["--list", "--envs", "/nowhere"]) == 0
    shown = capsys.readouterr().out
    assert "mobilenet" in shown and "keras-tensorflow" in shown and "not installed" in shown
    with pytest.raises(SystemExit):
        cli.main(["--workload", "nonsense"])


def test_help_needs_only_the_standard_library():
    code = "import sys, benchmarks.cli; print(json.dumps([m for m in ('torch', 'jax', 'nngraph') if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", f"import json; {code}"], cwd=ROOT, capture_output=True, text=True)
    assert json.loads(done.stdout) == []
