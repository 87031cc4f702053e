"""Fifty steps in Node.js and in a browser are fifty steps of `fit`, and the page does what it promises."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

pytestmark = pytest.mark.web

TRAINERS = Path(__file__).resolve().parent.parent.parent / "examples" / "trainers"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The example's files, and what `fit` makes of the same rows: loss and predictions."""
    import nngraph as keras

    keras.config.disable_interactive_logging()
    spec = importlib.util.spec_from_file_location("make_step", TRAINERS / "make_step.py")
    assert spec is not None and spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    folder = tmp_path_factory.mktemp("trainers")
    model = example.main(str(folder / "build"))
    records = np.fromfile(folder / "build" / "digits.bin", np.uint8).reshape(-1, 65)
    x, y = records[:, :64].reshape(-1, 8, 8, 1).astype("float32") / 16, records[:, 64]
    history = model.fit(x[:1600], y[:1600], batch_size=32, shuffle=False, verbose=0).history
    return SimpleNamespace(
        folder=folder, loss=history["loss"][0], x=x[1600:], predicted=model.predict(x[1600:], verbose=0)
    )


def check(trained: Path, fitted: Any) -> None:
    """The trained file is plain ONNX and predicts what the model that `fit` trained predicts."""
    onnx.checker.check_model(onnx.load(trained), full_check=True)
    (predicted,) = onnxruntime.InferenceSession(trained).run(None, {"image": fitted.x})
    np.testing.assert_allclose(predicted, fitted.predicted, atol=1e-4)


def run(*command: object, timeout: float) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("runtime", ["onnxruntime-web", "onnxruntime-node"])
def test_node(runtime: str, fitted: Any) -> None:
    if not (TRAINERS / "node_modules" / runtime).is_dir():
        pytest.skip(f"needs `npm install --no-save --ignore-scripts {runtime}` in examples/trainers")
    step, data, out = (fitted.folder / "build" / name for name in ("step.onnx", "digits.bin", f"{runtime}.onnx"))
    options = ["--epochs", 1, "--rows", 1600, "--in-order", "--runtime", runtime, "--out", out]
    told = json.loads(run("node", TRAINERS / "train.mjs", step, data, *options, timeout=120))
    assert told["loss"] == pytest.approx(fitted.loss, rel=1e-5)
    check(out, fitted)


def test_node_refuses_files_that_do_not_belong_together(fitted: Any, tmp_path: Path) -> None:
    for name in ("step.onnx", "step.infer.onnx", "digits.bin"):
        shutil.copy(fitted.folder / "build" / name, tmp_path)
    train = functools.partial(subprocess.run, capture_output=True, text=True, timeout=120, check=False, cwd=TRAINERS)
    short = ["--epochs", "1", "--rows", "32", "--out", str(tmp_path / "out.onnx")]
    with (tmp_path / "step.infer.onnx").open("ab") as file:
        file.write(b"\0")
    done = train(["node", "train.mjs", str(tmp_path / "step.onnx"), str(tmp_path / "digits.bin"), *short])
    assert done.returncode != 0 and "not the inference model" in done.stderr
    done = train(["node", "train.mjs", str(tmp_path / "step.infer.onnx"), str(tmp_path / "digits.bin"), *short])
    assert done.returncode != 0 and "no training step" in done.stderr
    assert not (tmp_path / "out.onnx").exists()


@pytest.fixture
def address(fitted: Any) -> Iterator[str]:
    """The page, served with the files of this test in place of those that a person made."""
    site = fitted.folder / "site"
    shutil.copytree(TRAINERS, site, ignore=shutil.ignore_patterns("node_modules", "build"))
    (site / "node_modules").symlink_to(TRAINERS / "node_modules")
    (site / "build").symlink_to(fitted.folder / "build")
    server = subprocess.Popen(["node", site / "serve.mjs", "0"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.communicate()


def test_page_in_chromium(fitted: Any, address: str, tmp_path: Path) -> None:
    browser = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if browser is None:
        pytest.skip(f"needs Chromium: none of {', '.join(NAMES)} is installed, and CHROMIUM is not set")
    if not (TRAINERS / "node_modules" / "playwright-core").is_dir():
        pytest.skip("needs playwright-core: `npm ci --ignore-scripts` in examples/trainers")
    told = json.loads(run("node", Path(__file__).with_name("drive.mjs"), browser, address, tmp_path, timeout=240))
    assert told["problems"] == []  # no script error, nothing fetched from elsewhere
    assert told["loss"] == pytest.approx(fitted.loss, rel=1e-5)
    check(tmp_path / "digits.onnx", fitted)
    right = sum(digit == answer for digit, answer in told["answers"].items())
    assert right >= len(told["answers"]) - 1, told["answers"]
    assert float(told["unseen"].split()[0]) >= 93
    assert told["curve"].startswith("Loss curve: 600 batches")
    assert "1601 examples" in told["count"] and "1 of them yours" in told["count"]
    assert told["again"] == "–"
