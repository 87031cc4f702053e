"""Training on data that lie on the device gives the numbers of training on batches from the host, bit by bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nngraph as keras
from nngraph import config
from nngraph.data import ArrayAdapter
from nngraph.models import resident
from nngraph.runtime import BoundStep, device
from nngraph.runtime.state import OnDevice


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
    trained.fit(*data(48), batch_size=16, epochs=1, verbose=0)
    assert len(trained._steps) == 1, "a step on data that are gone is gone too"


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


@pytest.mark.parametrize(
    "scenario",
    [
        epochs_with_a_rest,
        other_data_of_the_same_shape,
        data_of_another_shape,
        weights_sample_weights_validation_and_single_batches,
        an_epoch_that_is_resumed,
    ],
)
def test_the_same_numbers(scenario: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for on_device in (False, True):
        monkeypatch.setattr(resident, "stays_on_device", lambda arrays, there=on_device: there)
        trained = model()
        results.append(keras.tree.flatten([scenario(trained), trained.get_weights()]))
        assert any(key[3] is not None for key in trained._steps) == on_device
    for found, wanted in zip(*results, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_what_is_kept_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = [np.zeros((256, 4), np.float32)]
    assert not resident.stays_on_device(arrays), "the CPU reads arrays where they are"
    monkeypatch.setattr(resident, "resolve_device", lambda wish: "cuda")
    assert resident.stays_on_device(arrays)
    with config.override(device_data_gib=arrays[0].nbytes / 2**30):
        assert resident.stays_on_device(arrays)
        assert not resident.stays_on_device([*arrays, np.zeros(1, np.float32)])
    long = np.broadcast_to(np.zeros(1, np.uint8), (2**31,))
    assert resident.stays_on_device([long[:-1]]) and not resident.stays_on_device([long])
    assert resident.keep_on_device(iter(()), None) is None
    assert resident.keep_on_device(ArrayAdapter(arrays[0]), None) is not None


def test_steps_on_buffers_of_the_device() -> None:
    """What a GPU does, on a device that the host can see."""
    from nngraph.models.steps import CompiledStep

    def trained(staged: bool) -> tuple[list[Any], list[np.ndarray]]:
        with pytest.MonkeyPatch.context() as patch:
            init = BoundStep.__init__
            patch.setattr(BoundStep, "__init__", lambda self, *args: init(self, *args, staged=staged))
            made = model()
            losses = [made.train_on_batch(*data(16, seed=k)) for k in range(4)]
            step = next(iter(made._steps.values()))
            assert isinstance(step, CompiledStep)
            assert all(isinstance(r, OnDevice) == staged for r in step.step.results.values())
        return losses, made.get_weights()

    for found, wanted in zip(keras.tree.flatten(trained(True)), keras.tree.flatten(trained(False)), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_options_of_the_provider() -> None:
    assert device.provider_options("cpu") == [("CPUExecutionProvider", {})]
    (name, options), cpu = device.provider_options("cuda")
    assert (name, cpu[0]) == ("CUDAExecutionProvider", "CPUExecutionProvider")
    assert options["use_tf32"] == options["prefer_nhwc"] == options["enable_cuda_graph"] == "0"
    assert options["cudnn_conv_algo_search"] == "EXHAUSTIVE" and "gpu_mem_limit" not in options
    with config.override(cuda_tf32=True, cuda_nhwc=1, cuda_conv_search="heuristic", cuda_memory_gib=2):
        options = device.provider_options("cuda", capture=True)[0][1]
    assert options["use_tf32"] == options["prefer_nhwc"] == options["enable_cuda_graph"] == "1"
    assert options["cudnn_conv_algo_search"] == "HEURISTIC" and options["gpu_mem_limit"] == str(2 * 2**30)
