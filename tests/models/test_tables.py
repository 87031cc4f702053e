"""Training on arrays that lie on a device gives the numbers of training on batches from the host, bit by bit.

The device is a pretended one.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import nngraph as keras
from nngraph import config
from nngraph.ir import numpy_dtype
from nngraph.models.steps import CompiledStep, RowsStep
from nngraph.runtime import BoundStep, clear_sessions, fit_on
from nngraph.runtime.state import OnDevice
from pretended import pretend_gpu


@pytest.fixture(autouse=True)
def _pretended(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    pretend_gpu(monkeypatch)
    clear_sessions()
    with config.override(device="cuda"):
        yield
    clear_sessions()


def model() -> Any:
    keras.utils.set_random_seed(5)
    layers = keras.layers
    made = keras.Sequential(
        [keras.Input((6,)), layers.Dense(8, activation="relu"), layers.Dropout(0.3), layers.Dense(3)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    made.compile("adam", loss, metrics=["accuracy"])
    return made


def data(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.random((rows, 6), dtype=np.float32), rng.integers(0, 3, rows)


def epochs_with_a_rest(trained: Any) -> Any:
    return trained.fit(*data(70), batch_size=16, epochs=3, verbose=0).history


def other_data_of_the_same_shape(trained: Any) -> Any:
    first = trained.fit(*data(64), batch_size=16, epochs=1, verbose=0).history
    steps = dict(trained._steps)
    second = trained.fit(*data(64, seed=1), batch_size=16, epochs=2, verbose=0).history
    assert trained._steps == steps, "nothing is compiled anew"
    return first, second


def data_of_another_shape(trained: Any) -> Any:
    trained.fit(*data(64), batch_size=16, epochs=1, verbose=0)
    steps = dict(trained._steps)
    trained.fit(*data(48, seed=1), batch_size=16, epochs=1, verbose=0)
    assert trained._steps == steps, "nothing is compiled anew"
    trained.fit(*data(64, seed=2), batch_size=16, epochs=1, verbose=0)


def weights_sample_weights_validation_and_single_batches(trained: Any) -> Any:
    x, y = data(50)
    trained.fit(x, y, sample_weight=np.linspace(0, 1, 50), batch_size=16, validation_split=0.2, verbose=0)
    trained.set_weights([w * 0.5 for w in trained.get_weights()])
    trained.train_on_batch(x[:16], y[:16])
    history = trained.fit(x, y, class_weight={0: 2.0}, batch_size=16, steps_per_epoch=2, epochs=2, verbose=0).history
    return history, trained.evaluate(x, y, verbose=0)


def an_epoch_that_is_resumed(trained: Any) -> Any:
    resume = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: setattr(trained, "_initial_batch", 2))
    trained.fit(*data(64), batch_size=16, callbacks=[resume], verbose=0)


class Inside(keras.callbacks.Callback):
    """Trains and evaluates the model on other data in the middle of training and evaluating it."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if batch == 1:
            self.model.fit(*data(50, seed=4), batch_size=16, verbose=0)
            self.model.evaluate(*data(50, seed=5), batch_size=16, verbose=0, callbacks=[self])

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        if batch == 1:
            self.model.evaluate(*data(16, seed=6), batch_size=16, verbose=0)
            self.model.fit(*data(40, seed=7), batch_size=16, verbose=0)


def calls_inside_of_a_call(trained: Any) -> Any:
    return trained.fit(*data(50), batch_size=16, epochs=2, callbacks=[Inside()], verbose=0).history


@pytest.mark.parametrize(
    "scenario",
    [
        epochs_with_a_rest,
        other_data_of_the_same_shape,
        data_of_another_shape,
        weights_sample_weights_validation_and_single_batches,
        an_epoch_that_is_resumed,
        calls_inside_of_a_call,
    ],
)
def test_the_same_numbers(scenario: Any) -> None:
    results = []
    for gib in (0, 1):
        with config.override(device_data_gib=gib):
            trained = model()
            results.append(keras.tree.flatten([scenario(trained), trained.get_weights()]))
            assert any(isinstance(step, RowsStep) for step in trained._steps.values()) == bool(gib)
    for found, wanted in zip(*results, strict=True):
        np.testing.assert_array_equal(found, wanted)


def places(trained: Any, mode: str) -> list[int]:
    return [value.data_ptr() for value in trained._tables[mode].values]


def graphs(trained: Any, mode: str) -> set[Any]:
    """Return the options under which each binding runs: they hold the number of its CUDA graph."""
    steps = [step.step for key, step in trained._steps.items() if key[0] == mode]
    return {options for step in steps for _, options in step._bindings.values()}


def test_copies_stay_for_arrays_of_the_same_types() -> None:
    trained = model()
    trained.fit(*data(70), batch_size=16, epochs=3, validation_data=data(40), verbose=0)
    where = {mode: places(trained, mode) for mode in ("train", "test")}
    captured = {mode: graphs(trained, mode) for mode in ("train", "test")}
    assert set(where["train"]).isdisjoint(where["test"])
    assert all(captured.values()) and None not in captured["train"] | captured["test"]
    trained.fit(*data(70, seed=1), batch_size=16, epochs=3, validation_data=data(40, seed=2), verbose=0)
    for mode in ("train", "test"):
        assert places(trained, mode) == where[mode]
        assert graphs(trained, mode) >= captured[mode], "nothing is captured anew"
    trained.fit(*data(60), batch_size=16, verbose=0)
    assert graphs(trained, "train").isdisjoint(captured["train"]), "these would read memory that is gone"
    assert graphs(trained, "test") >= captured["test"]


@pytest.mark.parametrize("last", ["larger", "too large", "a generator", "compiled", "elsewhere", "gone"])
def test_copies_go(last: str) -> None:
    trained = model()
    trained.fit(*data(70), batch_size=16, verbose=0)
    gc.collect()
    gone = [weakref.ref(value) for value in trained._tables["train"].values]
    x, y = data(90)
    if last == "larger":
        trained.fit(x, y, batch_size=16, verbose=0)
    elif last == "too large":
        with config.override(device_data_gib=0):
            trained.fit(x, y, batch_size=16, verbose=0)
    elif last == "a generator":
        trained.fit(iter([(x, y)]), verbose=0)
    elif last == "compiled":
        trained.compile("sgd", "sparse_categorical_crossentropy")
    elif last == "elsewhere":
        with config.override(device="cpu"):
            trained.fit(x, y, batch_size=16, verbose=0)
    else:
        trained = None
        gc.collect()
    assert [value() for value in gone] == [None, None]


def test_what_is_copied_to_a_device() -> None:
    arrays = [np.zeros((256, 4), np.float32)]
    assert fit_on("cuda", arrays)
    with config.override(device_data_gib=arrays[0].nbytes / 2**30):
        assert fit_on("cuda", arrays)
        more = [*arrays, np.zeros(1, np.float32)]
        assert not fit_on("cuda", more)
        assert fit_on("cpu", more), "the CPU reads arrays where they are"
    long = np.broadcast_to(np.zeros(1, np.uint8), (2**31,))
    assert fit_on("cuda", [long[:-1]]) and not fit_on("cuda", [long])
    half = np.zeros(4, numpy_dtype("bfloat16"))
    assert not fit_on("cuda", [half]) and fit_on("cpu", [half])


def test_steps_on_buffers_of_the_device() -> None:
    """What a GPU does, on a device that the host can see."""

    def trained(staged: bool) -> tuple[list[Any], list[np.ndarray]]:
        with pytest.MonkeyPatch.context() as patch:
            init = BoundStep.__init__
            patch.setattr(BoundStep, "__init__", lambda self, *a, **k: init(self, *a, **k, staged=staged))
            made = model()
            losses = [made.train_on_batch(*data(16, seed=k)) for k in range(4)]
            step = next(iter(made._steps.values()))
            assert isinstance(step, CompiledStep)
            assert all(isinstance(r, OnDevice) == staged for r in step.step.results.values())
        return losses, made.get_weights()

    for found, wanted in zip(keras.tree.flatten(trained(True)), keras.tree.flatten(trained(False)), strict=True):
        np.testing.assert_array_equal(found, wanted)
