"""On a GPU everything computes what it computes on the CPU.

Each test runs twice: on a GPU, where there is one (``pytest -m cuda``), and on a *pretended* one, for which the CPU
executes the graphs that were lowered for CUDA, on buffers that only device copies reach. So all but the provider is
tested everywhere. Tolerances are those of float32 sums in another order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import nngraph as keras
from benchmarks.workloads import WORKLOADS
from benchmarks.workloads.keras_models import MODELS
from nngraph import config
from nngraph.ir import TensorType
from nngraph.ops.bits import random_bits
from nngraph.ops.trace import trace_graph
from nngraph.runtime import Session, clear_sessions, session
from nngraph.runtime.kernel_table import recorded
from nngraph.runtime.placement import capture_obstacles, off_cuda
from nngraph.transforms import compile_graph
from pretended import pretend_gpu

REAL = pytest.param("real", marks=pytest.mark.cuda)
BOTH = pytest.mark.parametrize("gpu", ["pretended", REAL], indirect=True)
ONLY_REAL = pytest.mark.parametrize("gpu", [REAL], indirect=True)


def on(*names: str, small: tuple[str, ...]) -> Any:
    """Run a test for workloads: the small ones on both kinds of GPU, the others on a real one."""
    pretended = [pytest.param("pretended", name, id=f"pretended-{name}") for name in small]
    real = [pytest.param("real", name, marks=pytest.mark.cuda, id=f"real-{name}") for name in names]
    return pytest.mark.parametrize(("gpu", "name"), [*pretended, *real], indirect=["gpu"])


@pytest.fixture
def gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "pretended":
        pretend_gpu(monkeypatch)
    return str(request.param)


LOOPS = {"lstm", "gru"}
"""Workloads whose step holds a loop, and so is not captured."""

ROWS = {"cnn": 32, "lstm": 8, "gru": 8, "resnet": 16, "transformer": 4, "mobilenet": 8, "unet": 4, "lm": 2}
"""Smaller batches, for the CPU's sake."""


@pytest.fixture(autouse=True)
def _fresh_sessions() -> Iterator[None]:
    clear_sessions()
    yield
    clear_sessions()


def workload(name: str) -> tuple[Any, Any, np.ndarray, np.ndarray]:
    """Return a compiled model, its batch size and two batches of data."""
    work = WORKLOADS[name]
    keras.utils.set_random_seed(0)
    model = MODELS[name](keras, True)
    losses = keras.losses
    loss = losses.BinaryCrossentropy if work.loss == "binary" else losses.SparseCategoricalCrossentropy
    model.compile(keras.optimizers.SGD(0.05), loss(from_logits=True), metrics=["accuracy"])
    batch = ROWS.get(name, work.batch)
    return model, batch, *work.data(2 * batch)


def trained(name: str, device: str, **settings: Any) -> dict[str, Any]:
    """Train for two epochs and return what can be compared."""
    with config.override(device=device, **settings):
        model, batch, x, y = workload(name)
        losses = model.fit(x, y, batch_size=batch, epochs=2, shuffle=True, verbose=0).history["loss"]
        steps = [step.step for step in model._steps.values()]
        return {
            "losses": losses,
            "prediction": model.predict(x[:4], verbose=0),
            "weights": [np.array(w) for w in model.get_weights()],
            "captured": all(step._captures for step in steps),
        }


def same(found: dict[str, Any], wanted: dict[str, Any], rtol: float, atol: float) -> None:
    np.testing.assert_allclose(found["losses"], wanted["losses"], rtol=rtol)
    np.testing.assert_allclose(found["prediction"], wanted["prediction"], rtol=rtol, atol=atol)
    for a, b in zip(found["weights"], wanted["weights"], strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


@on(*WORKLOADS, small=("mlp", "cnn", "lstm"))
def test_training_as_on_the_cpu(gpu: str, name: str) -> None:
    found = trained(name, "cuda")
    same(found, trained(name, "cpu"), rtol=2e-3, atol=2e-4)
    assert found["captured"] == (name not in LOOPS)


@on("mlp", "cnn", "resnet", "transformer", "lstm", small=("mlp",))
def test_ways_to_run_a_step_agree(gpu: str, name: str) -> None:
    """CUDA graphs on and off, data on the device or from the host: the same kernels on the same numbers."""
    wanted = trained(name, "cuda", cuda_graphs=False, device_data_gib=0)
    for settings in ({"cuda_graphs": True}, {"device_data_gib": 0}, {"cuda_graphs": False}):
        same(trained(name, "cuda", **settings), wanted, rtol=1e-4, atol=1e-5)  # atomic sums have no fixed order


@on("lstm", "gru", small=())
def test_loops_written_out_are_captured(gpu: str, name: str) -> None:
    found = trained(name, "cuda", cuda_unroll=128)
    assert found["captured"]
    same(found, trained(name, "cuda"), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("settings", [{"cuda_tf32": True}, {"cuda_nhwc": True}, {"cuda_conv_search": "heuristic"}])
@on("cnn", "unet", small=())
def test_options_of_the_provider(gpu: str, name: str, settings: dict[str, Any]) -> None:
    same(trained(name, "cuda", **settings), trained(name, "cuda"), rtol=3e-2, atol=1e-2)


@pytest.mark.parametrize("shape", [(5,), (1024,), (3, 1500), (128, 128), (64, 32, 32, 8)])
@BOTH
def test_random_bits_are_those_of_the_cpu(gpu: str, shape: tuple[int, ...]) -> None:
    def fn(state: Any) -> Any:
        return random_bits(state, np.array(shape))

    for state in ([0, 0], [7, 3], [2**32 - 1, 2**32 - 1]):
        results = []
        for device in ("cpu", "cuda"):
            graph, _, y = trace_graph(fn, [TensorType("uint32", (2,))])
            graph.set_outputs([y], ["y"])
            results.append(compile_graph(graph, device).run({"x0": np.array(state, np.uint32)})["y"])
        np.testing.assert_array_equal(*results)


@BOTH
def test_dropout_masks_are_those_of_the_cpu(gpu: str) -> None:
    masks = []
    for device in ("cpu", "cuda"):
        with config.override(device=device):
            keras.utils.set_random_seed(3)
            model = keras.Sequential([keras.Input((100, 50)), keras.layers.Dropout(0.4)])
            call = keras.function(lambda x, m=model: m(x, training=True))
            masks.append([np.asarray(call(np.ones((8, 100, 50), np.float32))) for _ in range(3)])
    np.testing.assert_array_equal(*masks)


@BOTH
def test_weights_set_and_single_batches_between_epochs(gpu: str) -> None:
    """What the host writes to the device's buffers is what captured graphs read."""
    results = []
    for device in ("cpu", "cuda"):
        with config.override(device=device):
            model, batch, x, y = workload("mlp")
            model.fit(x, y, batch_size=batch, verbose=0)
            model.set_weights([w * 0.5 for w in model.get_weights()])
            losses = [float(np.asarray(model.train_on_batch(x[:batch], y[:batch])).ravel()[0]) for _ in range(5)]
            model.optimizer.learning_rate = 0.01
            losses += model.fit(x[::-1].copy(), y[::-1].copy(), batch_size=batch, epochs=2, verbose=0).history["loss"]
            losses.append(model.evaluate(x, y, verbose=0)[0])
            results.append({"losses": losses, "prediction": model.predict(x[:3], verbose=0), "weights": []})
    same(results[1], results[0], rtol=1e-3, atol=1e-4)


@BOTH
def test_saved_on_one_device_and_continued_on_the_other(gpu: str, tmp_path: Any) -> None:
    losses = []
    for first, second in (("cuda", "cuda"), ("cuda", "cpu"), ("cpu", "cuda")):
        path = tmp_path / f"{first}-{second}.onnx"
        with config.override(device=first):
            model, batch, x, y = workload("cnn")
            model.fit(x, y, batch_size=batch, shuffle=False, verbose=0)
            model.save(path)
        with config.override(device=second):
            again = keras.load_model(path)
            losses.append(again.fit(x, y, batch_size=batch, shuffle=False, epochs=2, verbose=0).history["loss"])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-3)
    np.testing.assert_allclose(losses[2], losses[0], rtol=1e-3)


@BOTH
def test_rows_beyond_a_full_batch(gpu: str) -> None:
    with config.override(device="cuda"):
        model, batch, x, y = workload("mlp")
        x, y = x[: batch + 7], y[: batch + 7]
        losses = model.fit(x, y, batch_size=batch, epochs=3, verbose=0).history["loss"]
        assert model.predict(x, batch_size=50, verbose=0).shape == (len(x), 10)
    with config.override(device="cpu"):
        model, *_ = workload("mlp")
        wanted = model.fit(x, y, batch_size=batch, epochs=3, verbose=0).history["loss"]
    np.testing.assert_allclose(losses, wanted, rtol=1e-3)


@on(*WORKLOADS, small=())
def test_the_recorded_table_tells_where_nodes_run(gpu: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runtime's own account of a step's graph, next to what is told without a device."""
    graphs: list[Any] = []
    options: list[Any] = []
    make, compiled = session.session_options, session._compile

    def recording() -> Any:
        options.append(make())
        options[-1].add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        return options[-1]

    def noting(graph: Any, *rest: Any) -> Any:
        graphs.append((graph, compiled(graph, *rest)))
        return graphs[-1][1]

    monkeypatch.setattr(session, "session_options", recording)
    monkeypatch.setattr(session, "_compile", noting)
    with config.override(device="cuda"):
        model, batch, x, y = workload(name)
        model.train_on_batch(x[:batch], y[:batch])
    graph, made = graphs[-1]
    if not hasattr(made, "get_provider_graph_assignment_info"):
        pytest.skip("this runtime does not tell where nodes run")
    placed = made.get_provider_graph_assignment_info()
    on_cpu = {node.op_type for part in placed if part.ep_name.startswith("CPU") for node in part.get_nodes()}
    assert on_cpu == {node.op for node, _ in off_cuda(graph)} == set()
    assert bool(capture_obstacles(graph)) == (name in LOOPS)


@ONLY_REAL
def test_kernels_of_the_table_run(gpu: str) -> None:
    """A sample of rows: an elementwise operator of each dtype that the table grants."""
    kinds = {d for k in recorded()["cuda"]["", "Add"] for d in k.dtypes["T"]} - {"bfloat16"}
    for dtype in sorted(kinds):
        graph, _, y = trace_graph(lambda x: x + x, [TensorType(dtype, (3,))])
        graph.set_outputs([y], ["y"])
        numbers = np.array([1, 2, 3], dtype)
        np.testing.assert_array_equal(Session(graph, "cuda").run({"x0": numbers})["y"], numbers + numbers)
