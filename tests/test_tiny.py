"""The whole way in a few seconds: trace, differentiate, optimise, train, save, export, run elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import nngraph as keras
import passes
from nngraph import layers, ops
from nngraph.ir import verify
from nngraph.runtime import Session
from nngraph.schema import infer_types


def test_the_whole_way(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 5)).astype("float32")
    y = np.sin(x.sum(1, keepdims=True))
    model = keras.Sequential(
        [keras.Input((5,), name="x"), layers.Dense(16, activation="tanh"), layers.Dense(1, name="y")]
    )

    graph = model.graph()
    verify(graph, infer_types)
    kernel = next(v.name for v in graph.constants if v.name.endswith("/kernel"))
    gradient = passes.gradients(graph, ["y"], [kernel])
    report = passes.PassManager(passes.pipeline(target="cpu")).run(gradient)
    assert report.changes > 0
    found = Session(gradient, "cpu").run({"x": x})[f"grad_{kernel}"]
    w1, b1, w2, _ = model.get_weights()
    hidden = np.tanh(x @ w1 + b1)
    np.testing.assert_allclose(found, x.T @ ((1 - hidden**2) * w2[:, 0]), rtol=1e-4, atol=1e-5)

    model.compile(keras.optimizers.Adam(0.02), "mse")
    losses = model.fit(x, y, epochs=30, batch_size=16, verbose=0).history["loss"]
    assert losses[-1] < 0.2 * losses[0]

    model.save(tmp_path / "model.onnx")
    again = keras.load_model(tmp_path / "model.onnx")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    model.export(tmp_path / "plain.onnx", verbose=False)
    onnx.checker.check_model(str(tmp_path / "plain.onnx"), full_check=True)
    session = onnxruntime.InferenceSession(str(tmp_path / "plain.onnx"))
    np.testing.assert_allclose(session.run(None, {"x": x})[0], model(x), rtol=1e-5, atol=1e-5)

    curvature = keras.grad(lambda t: ops.sum(keras.grad(lambda s: ops.sum(ops.sin(s)))(t)))
    np.testing.assert_allclose(curvature(x), -np.sin(x), rtol=1e-5, atol=1e-6)


@pytest.mark.cuda
def test_the_same_on_a_gpu() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(256, 20)).astype("float32"), rng.integers(0, 3, 256)
    results = []
    for device in ("cpu", "cuda"):
        with keras.config.override(device=device):
            keras.utils.set_random_seed(0)
            model = keras.Sequential(
                [keras.Input((20,)), layers.Dense(32, activation="relu"), layers.Dropout(0.3), layers.Dense(3)]
            )
            model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
            losses = model.fit(x, y, batch_size=32, epochs=3, verbose=0).history["loss"]
            results.append((losses, model.predict(x, verbose=0), model.get_weights()))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-3)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-2, atol=1e-3)
