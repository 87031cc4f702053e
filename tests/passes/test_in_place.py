"""What a step writes over must be read by nothing that can run later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nngraph as keras
from nngraph import layers, ops
from nngraph.ir import Graph, TensorType, Value
from nngraph.ops import raw
from nngraph.ops.trace import Trace
from passes.in_place import overwritable

F = np.float32


def found(make: Callable[..., dict[str, Value]], shape: tuple[Any, ...] = (4,)) -> set[str]:
    """Return which of the variables m and w a step may overwrite; g is the gradient."""
    graph = Graph("step")
    m, w, g = (graph.add_input(n, TensorType("float32", shape)) for n in ("m", "w", "g"))
    with Trace(graph):
        outputs = make(m, w, g)
    graph.set_outputs(list(outputs.values()), list(outputs))
    return set(overwritable(graph, [(n, f"new_{n}" if f"new_{n}" in outputs else None) for n in ("m", "w")]))


def far(x: Value, steps: int) -> Value:
    for _ in range(steps):
        x = ops.sin(x)
    return x


STEPS: dict[str, tuple[Callable[..., dict[str, Value]], set[str]]] = {
    "a running mean": (lambda m, w, g: {"new_m": m + (g - m) * F(0.1)}, {"m"}),
    "the writer reads it in another place": (lambda m, w, g: {"new_m": g - m}, {"m"}),
    "its next value is used afterwards": (
        lambda m, w, g: (lambda n: {"new_m": n, "new_w": w - n / (ops.sqrt(n) + F(1))})(m * F(0.9) + g),
        {"m", "w"},
    ),
    "read by something that may run later": (lambda m, w, g: {"new_m": m + g, "y": ops.exp(m)}, set()),
    "read before, on the way to the writer": (lambda m, w, g: {"new_w": w - far(ops.exp(w) * g, 3)}, {"w"}),
    "joined with others and split": (
        lambda m, w, g: (lambda parts: {"new_m": parts[0], "new_w": parts[1]})(
            ops.split(ops.concatenate([m, w]) * F(2) + ops.concatenate([g, g]), 2)
        ),
        {"m", "w"},
    ),
    "seen in another shape, and read there": (
        lambda m, w, g: {"new_m": m + g, "y": ops.sum(raw.Reshape(m, np.array([2, 2])))},
        set(),
    ),
    "seen in another shape by the writer": (
        lambda m, w, g: {"new_m": m + raw.Reshape(raw.Reshape(m, np.array([2, 2])), np.array([4]))},
        {"m"},
    ),
    "spread over the writer's result": (
        lambda m, w, g: {"new_m": raw.Add(m, raw.Slice(m, np.array([0]), np.array([1]), np.array([0])))},
        set(),
    ),
    "written by what is not element by element": (lambda m, w, g: {"new_m": raw.CumSum(m, np.array(0))}, set()),
    "read by a product right before the writer": (
        lambda m, w, g: {
            "new_m": m * F(0.5)
            + raw.Squeeze(raw.MatMul(raw.Reshape(m, np.array([1, 4])), np.eye(4, dtype=F)), np.array([0]))
        },
        set(),
    ),
    "given out as it was": (lambda m, w, g: {"new_m": m + g, "y": m}, set()),
    "the same new value for two": (lambda m, w, g: (lambda n: {"new_m": n, "new_w": n})(m + w), set()),
    "unchanged": (lambda m, w, g: {"new_m": w}, set()),
    "read in a branch": (
        lambda m, w, g: {"new_m": m + ops.cond(ops.sum(g) > F(0), lambda: ops.exp(m), lambda: g)},
        set(),
    ),
}


@pytest.mark.parametrize("case", STEPS)
def test_what_may_be_overwritten(case: str) -> None:
    make, expected = STEPS[case]
    assert found(make) == expected


def test_shapes_must_be_known_and_equal() -> None:
    assert found(lambda m, w, g: {"new_m": m + g}, ("batch",)) == set()
    assert found(lambda m, w, g: {"new_m": m + raw.Expand(g, np.array([3, 4]))}) == set()


def test_however_far_the_reader_is() -> None:
    def step(m: Value, w: Value, g: Value) -> dict[str, Value]:
        return {"new_w": w - far(ops.exp(w) * g, 100), "y": far(ops.exp(m), 100)}

    assert found(step) == {"w"}


def network(kind: str) -> Any:
    if kind == "sequence":
        parts = [layers.Embedding(50, 8), layers.LSTM(6), layers.Dense(3)]
        return keras.Sequential([keras.Input((7,), dtype="int32"), *parts])
    parts = [layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU(), layers.Dropout(0.5)]
    return keras.Sequential([keras.Input((8, 8, 3)), *parts, layers.Flatten(), layers.Dense(5), layers.Dense(3)])


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop", "muon", "lamb", "adafactor", "lion"])
@pytest.mark.parametrize("kind", ["sequence", "images"])
def test_training_gives_the_same_with_and_without(kind: str, optimizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 50, (20, 7)) if kind == "sequence" else rng.random((20, 8, 8, 3), dtype=F)
    y = rng.integers(0, 3, (20,))
    results, counts = [], []
    for off in (False, True):
        if off:
            monkeypatch.setattr("nngraph.models.steps.overwritable", lambda graph, state: frozenset())
        keras.utils.set_random_seed(1)
        model = network(kind)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer, loss, metrics=["accuracy"])
        # A smaller last batch is a second step on the same state, and validation a third.
        history = model.fit(x, y, batch_size=8, epochs=2, validation_split=0.2, verbose=0).history
        results.append([*model.get_weights(), *(v.numpy() for v in model.optimizer.variables), *history.values()])
        counts.append(sum(len(s.step._in_place) for s in model._steps.values()))
    assert counts[0] > 2 and counts[1] == 0
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)
