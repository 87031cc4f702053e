"""The command line, run as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import helper
from typer.testing import CliRunner

from nngraph import losses
from nngraph.cli import _compile, app
from nngraph.ir import Graph, Node, TensorType
from nngraph.models import load_onnx
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


def test_check_tries_a_model_in_a_child_process(model_file: Path, tmp_path: Path) -> None:
    done = run("check", model_file)
    assert done.returncode == 0 and "the runtime takes it" in done.stdout
    assert json.loads(run("check", model_file, "--json").stdout) == {"schema": 1, "ok": True}
    content = model_file.read_bytes().replace(b"MatMul", b"MatNul")  # passes the limits, not the checker
    (tmp_path / "bad.onnx").write_bytes(content)
    for path, text in ((tmp_path / "bad.onnx", "MatNul"), (tmp_path / "absent.onnx", "no file")):
        done = run("check", path)
        assert done.returncode == 3 and text in done.stderr and done.stdout == ""
        assert len(done.stderr.strip().splitlines()) == 1


def test_usage_errors_end_with_status_2() -> None:
    assert CliRunner().invoke(app, ["inspect"]).exit_code == 2
    assert CliRunner().invoke(app, ["inspekt"]).exit_code == 2


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one network twice: saved with its layers, and as plain ONNX."""
    import nngraph as keras

    folder = tmp_path_factory.mktemp("network")
    model = keras.Sequential([keras.Input((4,), name="x"), keras.layers.Dense(3, name="head")])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    model.save(folder / "saved.onnx")
    model.export(folder / "plain.onnx", verbose=False)
    return folder


def test_export_step_of_a_saved_model_needs_no_more(network: Path, tmp_path: Path) -> None:
    result = run("export-step", network / "saved.onnx", "-o", tmp_path / "step.onnx", "--json")
    assert result.returncode == 0, result.stderr
    facts = json.loads(result.stdout)
    assert facts["schema"] == 1 and facts["step"]["opset"] == 20 and facts["batch_size"] is None
    assert [r["name"] for r in facts["results"]] == ["loss", "accuracy"]
    assert facts["state"]["weight"] == {"tensors": 2, "bytes": 60}
    session = onnxruntime.InferenceSession(tmp_path / "step.onnx")
    assert "x" in {i.name for i in session.get_inputs()}
    assert facts["inference"]["size"] == (tmp_path / "step.infer.onnx").stat().st_size


def test_export_step_of_any_file(network: Path, tmp_path: Path) -> None:
    plain, common = str(network / "plain.onnx"), ["--loss", "sparse_categorical_crossentropy", "--from-logits"]
    options = ["--metric", "accuracy", "--optimizer", "adamw", "--learning-rate", "0.25", "--batch-size", "8"]
    options += ["--opset", "19", "--inference", str(tmp_path / "other.onnx"), "-o", str(tmp_path / "step.onnx")]
    result = CliRunner().invoke(app, ["export-step", plain, *common, *options])
    assert result.exit_code == 0, result.output
    for text in ("opset 19", "other.onnx", "[8, 4]", "y int32 [8]", "begin with 0.25", "accuracy float32"):
        assert text.replace(" ", "") in "".join(result.stdout.split())
    result = CliRunner().invoke(app, ["export-step", plain, *common, *options, "--trainable", "nothing*"])
    assert result.exit_code in (3, 4) and "nngraph:" in result.output
    options = ["--shape", "x=2,4", "--json", "-o", str(tmp_path / "fixed.onnx")]
    facts = json.loads(CliRunner().invoke(app, ["export-step", plain, *common, *options]).stdout)
    assert facts["batch_size"] == 2 and [i["shape"] for i in facts["inputs"]] == [[2, 4], [2]]


@pytest.mark.parametrize(
    ("file", "options", "status", "text"),
    [
        ("plain.onnx", [], 2, "give --loss"),
        ("plain.onnx", ["--loss", "mze"], 2, "Did you mean 'mse'"),
        ("plain.onnx", ["--loss", "mse", "--from-logits"], 2, "knows no logits"),
        ("saved.onnx", ["--optimizer", "adum"], 2, "Did you mean"),
        ("saved.onnx", ["--metric", "akkuracy"], 2, "Did you mean"),
        ("saved.onnx", ["--trainable", "head*"], 2, "--trainable"),
        ("saved.onnx", ["--shape", "x=any,4"], 2, "--shape"),
        ("plain.onnx", ["--shape", "x=3;4", "--loss", "mse"], 2, "is not INPUT=SIZES"),
        ("plain.onnx", ["--shape", "x=2,4", "--batch-size", "3", "--loss", "mse"], 4, "batches of 2 rows"),
        ("saved.onnx", ["-o", "absent/step.onnx"], 2, "does not exist"),
        ("saved.onnx", ["--opset", "12"], 4, "choose 13 to"),
        ("saved.onnx", ["--batch-size", "0"], 4, "at least 1"),
        ("absent.onnx", [], 3, "no file"),
    ],
)
def test_export_step_says_what_is_wrong(
    network: Path, tmp_path: Path, file: str, options: list[str], status: int, text: str
) -> None:
    result = CliRunner().invoke(app, ["export-step", str(network / file), "-o", str(tmp_path / "s.onnx"), *options])
    assert result.exit_code == status, result.output
    assert text in " ".join(result.output.split()) and not list(tmp_path.iterdir())


def test_export_step_survives_files_that_crash_the_runtime(tmp_path: Path) -> None:
    node = helper.make_node("DepthToSpace", ["x"], ["y"], blocksize=2**32)
    ports = [helper.make_tensor_value_info(name, 1, [1, 4, 2, 2]) for name in "xy"]
    bomb = helper.make_model(helper.make_graph([node], "bomb", ports[:1], ports[1:]))
    (tmp_path / "bomb.onnx").write_bytes(bomb.SerializeToString())
    result = run("export-step", tmp_path / "bomb.onnx", "--loss", "mse", "-o", tmp_path / "step.onnx")
    assert result.returncode == 3 and result.stderr.startswith("nngraph: "), result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("logits", [True, False])
def test_logits_are_said_to_the_loss(network: Path, logits: bool) -> None:
    model = load_onnx(network / "plain.onnx")
    _compile(model, "sparse_categorical_crossentropy", None, None, None, logits)
    loss, y = losses.get(model.loss), np.array([0])
    mistaken = float(np.mean(loss(y, np.float32([[8.0, 0.5, 0.5]]))))
    assert (mistaken < 0.01) == logits  # as probabilities, they are 8/9 and two of 1/18


def test_version_and_help() -> None:
    assert __version__ in CliRunner().invoke(app, ["--version"]).stdout
    for command in ("inspect", "check", "export-step"):
        shown = CliRunner().invoke(app, [command, "--help"]).stdout
        assert "--json" in shown and "Example" in shown
