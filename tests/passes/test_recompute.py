"""Forward values computed again: the same bits, less memory at once, and no runtime that undoes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

import nngraph as keras
from nngraph import layers
from nngraph.ir import Graph, numpy_dtype
from nngraph.models.steps import describe, trace_step
from nngraph.serde import to_proto
from passes import PassManager, pipeline
from passes.base import check_graph
from passes.liveness import execution_order, live_bytes, peak_bytes
from passes.recompute import Recompute, recompute_passes


def _convolutions() -> Any:
    parts: list[Any] = [keras.Input((12, 12, 4))]
    for _ in range(6):
        parts += [layers.Conv2D(8, 3, padding="same"), layers.BatchNormalization(), layers.ReLU(), layers.Dropout(0.2)]
    return keras.Sequential([*parts, layers.GlobalAveragePooling2D(), layers.Dense(3)])


def _attention() -> Any:
    tokens = keras.Input((12,), dtype="int32")
    x = layers.Embedding(20, 16)(tokens)
    for _ in range(3):
        y = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.MultiHeadAttention(2, 8, dropout=0.1)(y, y)])
        y = layers.Dense(64, activation="gelu")(layers.LayerNormalization()(x))
        x = layers.Add()([x, layers.Dense(16)(y)])
    return keras.Model(tokens, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))


def _recurrent() -> Any:
    tokens = keras.Input((12,), dtype="int32")
    x = layers.Embedding(20, 16)(tokens)
    x = layers.LSTM(16, return_sequences=True)(x)
    for _ in range(4):
        x = layers.Dense(16, activation="tanh")(x)
    return keras.Model(tokens, layers.Dense(3)(layers.GRU(16)(x)))


MODELS = {"convolutions": _convolutions, "attention": _attention, "recurrent": _recurrent}


def _data(model: Any, rows: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    shape = (rows, *model.input_shape[1:])
    x = rng.integers(0, 20, shape).astype("int32") if len(shape) == 2 else rng.random(shape, dtype=np.float32)
    return x, rng.integers(0, 3, rows)


def _compiled(make: Callable[[], Any], recompute: Any) -> Any:
    keras.utils.set_random_seed(1)
    model = make()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss, recompute=recompute)
    return model


def _step_graph(make: Callable[[], Any], target: str = "cpu") -> Graph:
    model = _compiled(make, None)
    x, y = _data(model, 16)
    model._prepare((x, y, None))
    structure, types = describe((x, y, None))
    graph, _, _ = trace_step(model.train_step, structure, types, "step")
    PassManager(pipeline(target)).run(graph)
    return graph


@pytest.mark.parametrize("name", MODELS)
def test_results_are_the_same_bits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNGRAPH_THREADS", "1")
    copies = []
    run = Recompute.run
    monkeypatch.setattr(Recompute, "run", lambda self, graph: copies.append(run(self, graph)) or copies[-1])
    found = []
    for recompute in (None, True):
        model = _compiled(MODELS[name], recompute)
        x, y = _data(model, 48)
        history = model.fit(x, y, batch_size=16, epochs=2, verbose=0)
        found.append([np.array(history.history["loss"]), *(np.array(v) for v in model.get_weights())])
    assert copies[0] > 5
    for plain, again in zip(*found, strict=True):
        assert np.array_equal(plain, again)


@pytest.mark.parametrize("target", ["cpu", "portable"])
@pytest.mark.parametrize(("name", "most"), [("convolutions", 0.75), ("attention", 0.75), ("recurrent", 0.95)])
def test_peak_is_lower_and_the_pass_has_nothing_left_to_do(name: str, most: float, target: str) -> None:
    graph = _step_graph(MODELS[name], target)
    before = peak_bytes(graph)
    assert Recompute().run(graph) > 0
    check_graph(graph)
    assert peak_bytes(graph) < most * before
    assert all(node.is_used for node in graph), "what nobody reads any more would keep its inputs until it runs"
    text = str(graph)
    assert Recompute().run(graph) == 0
    assert str(graph) == text


def test_budget_is_kept_with_fewer_copies() -> None:
    graph = _step_graph(_convolutions)
    peak = peak_bytes(graph)
    least = graph.clone()
    most_copies = Recompute().run(least)
    assert Recompute(budget=peak).run(graph.clone()) == 0
    for pass_ in (Recompute(percent=90), Recompute(budget=int(0.9 * peak))):
        within = graph.clone()
        copies = pass_.run(within)
        assert peak_bytes(within) <= 0.9 * peak
        assert 0 < copies <= most_copies


def test_state_and_random_numbers_are_made_once() -> None:
    graph = _step_graph(_convolutions)
    outputs = list(graph.outputs)
    Recompute().run(graph)
    assert graph.outputs == outputs
    assert all(value.producer is None or "recompute" not in value.producer.origin.by for value in graph.outputs)


def test_copies_wait_for_a_gradient() -> None:
    graph = _step_graph(_attention)
    Recompute().run(graph)
    behind: set[Any] = set()
    waiting = 0
    for node in graph:
        copied = node.origin.by[-1:] == ("recompute",)
        late = node.origin.forward != "" or any(v is not None and v.producer in behind for v in node.inputs)
        if late:
            behind.add(node)
        waiting += copied and late
    copies = sum(node.origin.by[-1:] == ("recompute",) for node in graph)
    # What does not wait is made of weights alone.
    assert waiting > 0.8 * copies


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_execution_order_is_the_order_of_the_runtime(name: str, recompute: bool, tmp_path: Path) -> None:
    graph = _step_graph(MODELS[name])
    if recompute:
        Recompute().run(graph)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL  # it would rename what it fuses
    options.enable_profiling, options.profile_file_prefix = True, str(tmp_path / "profile")
    session = ort.InferenceSession(to_proto(graph).SerializeToString(), options, providers=["CPUExecutionProvider"])
    session.run(None, {v.name: np.ones(v.shape, numpy_dtype(v.dtype)) for v in graph.inputs})
    events = json.loads(Path(session.end_profiling()).read_text())
    runs = [e for e in events if e["name"].endswith("_kernel_time")]
    ran = [e["name"].removesuffix("_kernel_time") for e in sorted(runs, key=lambda e: e["ts"])]
    expected = [node.name for node in execution_order(graph)]
    assert [n for n in ran if n in set(expected)] == expected


def test_live_bytes_count_views_once_and_writing_in_place() -> None:
    from nngraph import ops
    from nngraph.ir import TensorType
    from nngraph.ops.trace import trace_graph

    def chain(x: Any) -> Any:
        wide = ops.sin(x)  # 400 bytes
        seen = ops.reshape(wide, (10, 10))  # a view
        return ops.sum(ops.exp(ops.relu(seen)))  # in place, then 400 more

    graph, _, y = trace_graph(chain, [TensorType("float32", (100,))])
    graph.set_outputs([y])
    assert [node.op for node in graph] == ["Sin", "Reshape", "Relu", "Exp", "ReduceSum"]
    assert live_bytes(graph) == [400, 400, 400, 800, 400]


@pytest.mark.parametrize("wish", [0, -5, 1.5, 0.0, "half", [1]])
def test_other_wishes_are_refused(wish: Any) -> None:
    with pytest.raises(ValueError, match=r"recompute must be True, False, a positive whole number of bytes.*got"):
        _compiled(_convolutions, wish)


def test_wishes_become_passes() -> None:
    assert [str(p) for w in (None, False, True, 1000, 0.25) for p in recompute_passes(w)] == [
        "recompute",
        "recompute{budget=1000}",
        "recompute{percent=25}",
    ]
