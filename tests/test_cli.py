"""The command line, run as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from nngraph.cli import app
from nngraph.ir import Graph, Node, TensorType
from nngraph.serde import write_model
from nngraph.version import __version__


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    graph = Graph("tiny")
    x = graph.add_input("pixels", TensorType("float32", ("batch", 2)))
    w = graph.add_constant(np.ones((2, 3), np.float32), "w")
    y = graph.append(Node("MatMul", [x, w], {}), [TensorType("float32", ("batch", 3))]).output
    graph.set_outputs([y], ["scores"])
    write_model(graph, tmp_path / "tiny.onnx")
    return tmp_path / "tiny.onnx"


def run(*args: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nngraph", *map(str, args)], capture_output=True, text=True, check=False
    )


def test_inspect_prints_what_is_in_the_file(model_file: Path) -> None:
    result = CliRunner().invoke(app, ["inspect", str(model_file)])
    assert result.exit_code == 0
    for text in ("pixels", "[batch, 2]", "scores", "MatMul", "ai.onnx 20", "6 in 1 tensors", "float32"):
        assert text in result.stdout


def test_inspect_as_json_is_one_object_with_a_schema_number(model_file: Path) -> None:
    result = run("inspect", model_file, "--json")
    assert result.returncode == 0, result.stderr
    facts = json.loads(result.stdout)
    assert facts["schema"] == 1
    assert facts["parameters"] == 6
    assert facts["operators"] == {"MatMul": 1}
    assert facts["inputs"] == [{"name": "pixels", "dtype": "float32", "shape": ["batch", 2]}]


def test_bad_files_end_with_one_line_and_status_3(tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"no model")
    for path, text in ((bad, "not an ONNX model"), (tmp_path / "absent.onnx", "no file")):
        result = run("inspect", path)
        assert result.returncode == 3
        assert text in result.stderr and result.stdout == ""
        assert len(result.stderr.strip().splitlines()) == 1


def test_usage_errors_end_with_status_2() -> None:
    assert CliRunner().invoke(app, ["inspect"]).exit_code == 2
    assert CliRunner().invoke(app, ["inspekt"]).exit_code == 2


def test_version_and_help() -> None:
    assert __version__ in CliRunner().invoke(app, ["--version"]).stdout
    shown = CliRunner().invoke(app, ["inspect", "--help"]).stdout
    assert "--json" in shown and "Example" in shown
