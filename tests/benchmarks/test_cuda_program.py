"""The comparison on a GPU: what it does without one, whom it compares, and the page of its results."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks import cuda, environments, peers, results
from benchmarks.runner import Runner


def document(precision: str, ours: float, theirs: float, date: str = "2026-01-31T12:00:00+00:00") -> dict[str, Any]:
    samples = {"nngraph": [ours], "torch": [theirs], "torch-compile-graphs": [2 * theirs]}
    return {
        "schema": 1,
        "date": date,
        "quick": False,
        "threads": 4,
        "machine": {"gpu": "G, 1.0, 8 MiB", "precision": precision},
        "peers": {
            "nngraph": {"versions": {"numpy": "2"}},
            "torch": {"missing": "why"},
            "torch-compile-graphs": {"versions": {}},
        },
        "rows": [results.row("training", "mlp", 128, "ms", samples, {})],
    }


def test_without_a_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cuda, "devices", list)
    assert cuda.main(["--quick"]) == 1
    assert "no GPU" in capsys.readouterr().err


def test_devices_without_nvidias_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda.shutil, "which", lambda name: None)
    assert cuda.devices() == []


def test_everybody_computes_on_the_gpu() -> None:
    chosen = peers.select([], training=True, images=True, table=peers.CUDA_PEERS)
    assert [p.name for p in chosen] == list(peers.CUDA_PEERS)
    assert [p.name for p in peers.select([], training=True, images=False, table=peers.CUDA_PEERS)] == [
        p.name for p in chosen if not p.images_only
    ]
    for peer in chosen:
        assert peer.options.get("device") == "cuda" or peer.environ["NNGRAPH_DEVICE"] == "cuda"
        assert (environments.REQUIREMENTS / f"{peer.environment}.txt").exists()


def test_the_runner_starts_peers_of_another_table(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    class Started:
        def __init__(self, peer: peers.Peer, python: Any, threads: int, log: Any, environ: dict[str, str]) -> None:
            seen.update(peer=peer, python=python, environ=environ)

        def hello(self) -> None: ...

        def ask(self, request: str) -> dict[str, Any]:
            return {"versions": {}}

        def stop(self) -> None: ...

    monkeypatch.setattr("benchmarks.runner.Process", Started)
    environ = {"NNGRAPH_CUDA_TF32": "1"}
    runner = Runner(tmp_path, table=peers.CUDA_PEERS, python=tmp_path / "python", environ=environ)
    runner.process(runner.table["nngraph"])
    assert seen["peer"] is peers.CUDA_PEERS["nngraph"]
    assert seen["python"] == tmp_path / "python"
    assert seen["environ"]["NNGRAPH_CUDA_TF32"] == "1"


def test_the_page_has_a_table_for_each_precision() -> None:
    older = document("float32", 9.0, 9.0, "2026-01-30T12:00:00+00:00")
    text = cuda.page([older, document("float32", 1.0, 2.0), document("tf32", 3.0, 2.0)])
    assert text.count("| MLP") == 2
    assert "## Training step, float32, G, 1.0, 8 MiB, 2026-01-31" in text
    assert "0.50" in text and "1.50" in text and "9" not in text.split("|")[-2]
    assert "torch.compile, CUDA graphs" in text and "torch: why" in text
    assert "Written by" in cuda.page([])
