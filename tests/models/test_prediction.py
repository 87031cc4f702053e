"""Prediction with weights as constants: never stale, whoever changes a weight, and compiled rarely."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import nngraph as keras
from nngraph import Input, Model, Sequential, layers
from nngraph.models import prediction

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3)).astype("float32")
Y = RNG.normal(size=(12, 2)).astype("float32")


def network() -> Sequential:
    model = Sequential([Input((3,)), layers.Dense(4, name="first"), layers.BatchNormalization(), layers.Dense(2)])
    model.compile("sgd", "mse")
    return model


def by_hand(model: Sequential, x: np.ndarray) -> np.ndarray:
    """What the network computes, from the weights that it says it has."""
    kernel, bias, gamma, beta, mean, variance, last, offset = model.get_weights()
    hidden = (x @ kernel + bias - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    return hidden @ last + offset


def agree(model: Sequential) -> None:
    np.testing.assert_allclose(model.predict_on_batch(X), by_hand(model, X), rtol=1e-4, atol=1e-5)


def is_frozen(model: Model) -> bool:
    (predictor,) = model._predictors.values()
    return predictor._frozen is not None


def other_weights(model: Sequential) -> list[np.ndarray]:
    return [w + RNG.random(w.shape).astype(w.dtype) for w in model.get_weights()]


def _assign(model: Sequential, folder: Path) -> None:
    model.get_layer("first").kernel.assign_add(np.full((3, 4), 2.0))


def _load(model: Sequential, folder: Path) -> None:
    donor = network()
    donor.set_weights(other_weights(donor))
    donor.save_weights(folder / "w.weights.npz")
    model.load_weights(folder / "w.weights.npz")


def _shared(model: Sequential, folder: Path) -> None:
    x = Input((3,))
    other = Model(x, model.get_layer("first")(x))
    other.compile("sgd", "mse")
    other.fit(X, RNG.normal(size=(12, 4)), verbose=0)


def _statistics(model: Sequential, folder: Path) -> None:
    x = Input((3,))
    other = Model(x, model.layers[1](model.get_layer("first")(x)))
    for layer in other.layers:
        layer.trainable = False
    other.layers[-1].trainable = True
    other.compile("sgd", "mse")
    other.fit(X, RNG.normal(size=(12, 4)), verbose=0)


CHANGES: dict[str, Callable[[Sequential, Path], object]] = {
    "fit": lambda model, folder: model.fit(X, Y, verbose=0),
    "two fits": lambda model, folder: model.fit(X, Y, epochs=2, batch_size=12, verbose=0),  # both buffers as before
    "train_on_batch": lambda model, folder: model.train_on_batch(X, Y),
    "set_weights": lambda model, folder: model.set_weights(other_weights(model)),
    "assign": _assign,
    "load_weights": _load,
    "a model that shares a layer": _shared,
    "statistics": _statistics,
}


@pytest.mark.parametrize("trained", [False, True], ids=["untrained", "trained"])
@pytest.mark.parametrize("change", CHANGES)
def test_predictions_follow_every_change(change: str, trained: bool, tmp_path: Path) -> None:
    model = network()
    if trained:
        model.fit(X, Y, verbose=0)
    for _ in range(4):
        agree(model)
        assert is_frozen(model)
        before = by_hand(model, X)
        CHANGES[change](model, tmp_path)
        assert np.abs(by_hand(model, X) - before).max() > 1e-4
        for _ in range(30):  # reading, then frozen again
            agree(model)
            if is_frozen(model):
                break


def test_changes_elsewhere_leave_the_constants() -> None:
    model, other = network(), network()
    agree(model)
    (predictor,) = model._predictors.values()
    session = predictor._frozen
    other.fit(X, Y, verbose=0)
    agree(model)
    assert predictor._frozen is session


def test_weights_that_keep_changing_are_compiled_ever_more_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[bool] = []
    original = prediction.compile_graph

    def counted(graph, device, **options):
        compiled.append(options.get("share", True))
        return original(graph, device, **options)

    monkeypatch.setattr(prediction, "compile_graph", counted)
    model = network()
    for _ in range(100):
        for _ in range(10):
            model.predict_on_batch(X)
        model.train_on_batch(X, Y)
    # Frozen at once, then after 2, 4 and 8 calls with the same weights; 16 in a row never come.
    assert compiled == [False, True, False, False, False]


def test_large_weights_are_not_held_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction, "_FREEZABLE", 100)
    model = network()
    agree(model)
    agree(model)
    assert not is_frozen(model)


def test_a_state_that_prediction_writes_goes_on() -> None:
    model = Sequential([Input((4, 3), batch_size=2), layers.SimpleRNN(2, stateful=True)])
    x = RNG.normal(size=(2, 4, 3)).astype("float32")
    found = [model.predict_on_batch(x) for _ in range(4)]
    cell = Sequential([Input((16, 3)), layers.SimpleRNN(2, return_sequences=True)])
    cell.set_weights(model.get_weights()[:3])
    whole = cell.predict(np.tile(x, (1, 4, 1)), verbose=0)
    np.testing.assert_allclose(found, np.moveaxis(whole[:, 3::4], 1, 0), rtol=1e-4, atol=1e-5)


def test_inputs_and_outputs_in_any_structure() -> None:
    a, b = Input((3,), name="a"), Input((2,), name="b")
    model = Model({"a": a, "b": b}, {"sum": layers.Dense(2)(a) + b, "a": a * 1.0})
    x = {"a": X, "b": Y}
    for _ in range(2):
        found = model.predict(x, verbose=0)
        kernel, bias = model.get_weights()
        np.testing.assert_allclose(found["sum"], X @ kernel + bias + Y, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(found["a"], X)


def test_predictions_belong_to_the_caller() -> None:
    model = network()
    first = model.predict_on_batch(X)
    kept = first.copy()
    model.predict_on_batch(X + 1)
    np.testing.assert_array_equal(first, kept)
    first[:] = 0  # and may be written to


def test_callbacks_that_predict_while_training_see_the_present_weights() -> None:
    model = network()
    differences = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            differences.append(np.abs(model.predict_on_batch(X) - by_hand(model, X)).max())

    model.fit(X, Y, batch_size=2, epochs=3, verbose=0, callbacks=[Watch()])
    assert len(differences) == 18 and max(differences) < 1e-4
