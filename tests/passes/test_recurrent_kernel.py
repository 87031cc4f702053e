"""Recurrent layers on the CPU provider: its operators where they fit, with the results of the portable form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nngraph as keras
import zoo
from passes.base import PassManager
from passes.pipelines import pipeline


def graphs(layer: Any, masked: bool = False) -> tuple[Any, Any]:
    """The portable graph of a layer's predictions, and the one for the CPU provider."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((5, 3))
    sequence = keras.layers.Masking()(inputs) if masked else inputs
    model = keras.Model(inputs, layer(sequence))
    for weight in model.weights:  # biases of zeros would hide how they are ordered
        weight.assign(np.random.default_rng(0).normal(size=weight.shape).astype("float32"))
    both = [model.graph() for _ in range(2)]
    for graph, target in zip(both, ("portable", "cpu"), strict=True):
        PassManager(pipeline(target)).run(graph)
    return both[0], both[1]


KERNELS = ("LSTM", "GRU")
FITS: list[dict[str, Any]] = [
    {},
    {"return_sequences": True},
    {"return_state": True},
    {"go_backwards": True, "return_sequences": True, "return_state": True},
    {"use_bias": False},
    {"dropout": 0.5, "recurrent_dropout": 0.5},
]


@pytest.mark.parametrize("layer", ["LSTM", "GRU"])
@pytest.mark.parametrize("arguments", FITS, ids=lambda a: "+".join(a) or "plain")
def test_predictions_use_the_kernel(arguments: dict[str, Any], layer: str) -> None:
    portable, fast = graphs(getattr(keras.layers, layer)(4, **arguments))
    assert [n.op for n in fast.all_nodes() if n.op in (*KERNELS, "Scan")] == [layer]
    for name, result in zoo.run(portable).items():
        np.testing.assert_allclose(zoo.run(fast)[name], result, rtol=1e-5, atol=1e-6)


OTHERS: list[Any] = [
    lambda: keras.layers.LSTM(4, activation="relu"),
    lambda: keras.layers.LSTM(4, recurrent_activation="hard_sigmoid"),
    lambda: keras.layers.LSTM(4, dtype="float64"),
    lambda: keras.layers.GRU(4, activation="relu"),
    lambda: keras.layers.GRU(4, reset_after=False),
    lambda: keras.layers.GRU(4, dtype="float64"),
]


@pytest.mark.parametrize("make", OTHERS)
def test_other_cells_stay_loops(make: Any) -> None:
    _, fast = graphs(make())
    ops = [n.op for n in fast.all_nodes()]
    assert "Scan" in ops and not set(ops) & set(KERNELS)


@pytest.mark.parametrize("layer", KERNELS)
def test_masked_steps_stay_a_loop(layer: str) -> None:
    _, fast = graphs(getattr(keras.layers, layer)(4), masked=True)
    assert not {n.op for n in fast.all_nodes()} & set(KERNELS)


@pytest.mark.parametrize("layer", KERNELS)
def test_what_gradients_need_stays_a_loop(layer: str) -> None:
    """A training step's forward loop gives the gates of all steps, which the kernel does not."""
    model = keras.Sequential([keras.Input((5, 3)), getattr(keras.layers, layer)(4)])
    before = model.predict(np.ones((2, 5, 3), "float32"), verbose=0)
    model.compile("sgd", "mse")
    losses = [model.train_on_batch(np.ones((2, 5, 3), "float32"), np.ones((2, 4), "float32")) for _ in range(5)]
    assert float(losses[-1]) < float(losses[0])
    assert not np.allclose(model.predict(np.ones((2, 5, 3), "float32"), verbose=0), before)
