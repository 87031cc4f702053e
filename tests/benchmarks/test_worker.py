"""What a worker does with its adapter; the framework is a counter."""

from __future__ import annotations

import io
import json
import runpy
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.adapters.base import Adapter
from benchmarks.worker import Worker, serve
from benchmarks.workloads import Workload

ROOT = Path(__file__).resolve().parent.parent.parent


class Counter(Adapter):
    """Every step takes 0.05 s of its own clock."""

    def __init__(self) -> None:
        super().__init__(1)
        self.calls: list[Any] = []

    def versions(self) -> dict[str, str]:
        return {"counter": "1"}

    def build(self, workload: Workload, dropout: bool, weights: str | None) -> None:
        self.calls.append(("build", workload.name, dropout))

    def parameters(self) -> int:
        return 7

    def set_training_data(self, x: np.ndarray, y: np.ndarray, batch: int) -> None:
        self.rows, self.batch = x, batch
        assert len(x) == len(y)

    def train(self, steps: int) -> float:
        assert steps * self.batch <= len(self.rows)
        self.calls.append(("train", steps))
        return 0.05 * steps

    def loss(self) -> float:
        return 0.5

    def set_inference_data(self, x: np.ndarray) -> None:
        self.calls.append(("data", len(x)))

    def infer(self) -> np.ndarray:
        return np.arange(4.0).reshape(2, 2)

    def close(self) -> None:
        self.calls.append("close")


def test_training_is_warmed_up_and_timed_per_step():
    adapter = Counter()
    worker = Worker(adapter)
    answer = worker.prepare_training("mlp", "weights", target=0.2, least=2)
    assert answer["parameters"] == 7 and answer["count"] == 4
    assert adapter.calls == [("build", "mlp", True), ("train", 1), ("train", 2), ("train", 4)]
    assert len(adapter.rows) == 4 * 128
    np.testing.assert_array_equal(adapter.rows[:128], adapter.rows[256:384])  # two batches, again and again
    assert worker.round() == {"seconds": 0.05}
    assert adapter.calls[4:] == [("train", 1), ("train", 4)], "the first step of a turn does not count"


def test_slow_steps_are_not_run_more_often_than_needed():
    adapter = Counter()
    assert Worker(adapter).prepare_training("mlp", "weights", target=0.1, least=2)["count"] == 2
    assert adapter.calls[1:] == [("train", 1), ("train", 2)] and len(adapter.rows) == 2 * 128


def test_inference_builds_once_for_all_batches():
    adapter = Counter()
    worker = Worker(adapter)
    for batch in (1, 32):
        worker.prepare_inference("cnn", "weights", target=0.0, batch=batch)
    assert adapter.calls == [("build", "cnn", True), ("data", 1), ("data", 32)]
    worker.close()
    worker.prepare_inference("cnn", "weights", target=0.0, batch=1)
    assert adapter.calls[-3:] == ["close", ("build", "cnn", True), ("data", 1)]


def test_check_runs_without_dropout():
    adapter = Counter()
    answer = Worker(adapter).check("mlp", "weights", batch=4, steps=2, train=True)
    assert ("build", "mlp", False) in adapter.calls
    assert answer == {"logits": [0.0, 1.0, 2.0, 3.0], "parameters": 7, "losses": [0.5, 0.5]}


def test_serving_answers_every_line():
    requests = io.StringIO('{"request": "versions"}\n{"request": "nothing"}\n{"request": "round"}\n')
    answers = io.StringIO()
    serve(Worker(Counter()), requests, answers)
    first, second, third = map(json.loads, answers.getvalue().splitlines())
    assert first["versions"]["counter"] == "1" and "nothing" in second["error"] and third == {"seconds": 0.0}


def test_peak_memory_grows_with_what_is_touched():
    code = (
        "import numpy as np; from benchmarks.worker import peak_memory; before = peak_memory(); "
        "block = np.ones(50_000_000, 'uint8'); print(peak_memory() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert 45_000_000 < int(done.stdout) < 100_000_000


@pytest.mark.parametrize(("clock", "name"), [("cpu", "process_time"), ("wall", "perf_counter"), (None, "perf_counter")])
def test_clock(clock: str | None, name: str, monkeypatch):
    if clock is None:
        monkeypatch.delenv("NNGRAPH_BENCHMARK_CLOCK", raising=False)
    else:
        monkeypatch.setenv("NNGRAPH_BENCHMARK_CLOCK", clock)
    found = runpy.run_path(str(ROOT / "benchmarks" / "clock.py"))
    assert found["now"] is getattr(time, name)
