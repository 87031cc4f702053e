"""The loop around the steps: rows read in the graph, groups of steps, batches made ahead; always the same results."""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest

import nngraph as keras
from nngraph import Input, Sequential, config, layers
from nngraph.callbacks import Callback
from nngraph.data import PyDataset
from nngraph.models import loop
from nngraph.models.steps import CompiledStep, RowsStep

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 3)).astype("float32")
Y = RNG.integers(0, 4, 50)
WEIGHTS = RNG.random(50).astype("float32")


def classifier(**options: object) -> Sequential:
    keras.utils.set_random_seed(7)
    model = Sequential([Input((3,)), layers.Dense(8, activation="relu"), layers.Dropout(0.3), layers.Dense(4)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"], **options)
    return model


class Log(Callback):
    """Every call with a batch number, and the losses as they were then."""

    def __init__(self, stop_at: int | None = None) -> None:
        super().__init__()
        self.calls: list[tuple[str, int]] = []
        self.losses: list[float] = []
        self.stop_at = stop_at

    def on_train_batch_begin(self, batch, logs=None):
        self.calls.append(("begin", batch))

    def on_train_batch_end(self, batch, logs=None):
        self.calls.append(("end", batch))
        self.losses.append(logs["loss"])
        if batch == self.stop_at:
            self.model.stop_training = True

    def on_test_batch_end(self, batch, logs=None):
        self.calls.append(("test", batch))


class Batches(PyDataset):
    def __init__(self, **options):
        super().__init__(**options)
        self.threads: set[str] = set()

    def __len__(self):
        return 5

    def __getitem__(self, index):
        self.threads.add(threading.current_thread().name)
        rows = slice(index * 12, index * 12 + 12)
        return X[rows], Y[rows], WEIGHTS[rows]


def batches():
    while True:
        for k in range(0, 50, 12):
            yield X[k : k + 12], Y[k : k + 12], WEIGHTS[k : k + 12]


def equal_weights(one: Sequential, other: Sequential) -> None:
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("shuffle", [True, False, "batch"])
def test_fit_over_arrays_takes_the_rows_that_the_order_says(shuffle: bool | str) -> None:
    """The oracle: the same batches, made with numpy, one ``train_on_batch`` each."""
    model = classifier()
    model.fit(X, Y, sample_weight=WEIGHTS, batch_size=12, epochs=2, shuffle=shuffle, verbose=0)
    other = classifier()
    other._shuffle_seed = model._shuffle_seed
    for epoch in range(2):
        other._epochs_seen = epoch
        rng, order = other._epoch_rng(), np.arange(50)
        if shuffle is True:
            order = rng.permutation(50)
        if shuffle == "batch":
            order = np.concatenate([k + rng.permutation(min(12, 50 - k)) for k in range(0, 50, 12)])
        for k in range(0, 50, 12):
            rows = order[k : k + 12]
            other.train_on_batch(X[rows], Y[rows], WEIGHTS[rows])
    equal_weights(model, other)


@pytest.mark.parametrize("kind", ["array", "generator", "dataset"])
@pytest.mark.parametrize(("group", "ends"), [(1, [0, 1, 2, 3, 4]), (4, [3, 4]), (5, [4]), (9, [4])])
def test_groups_of_steps_change_nothing_but_the_calls(kind: str, group: int, ends: list[int]) -> None:
    def train(group: int) -> tuple[Sequential, Log, dict]:
        model, log = classifier(steps_per_execution=group), Log()
        options = {"epochs": 2, "verbose": 0, "callbacks": [log], "shuffle": False}
        if kind == "array":
            history = model.fit(X, Y, sample_weight=WEIGHTS, batch_size=12, validation_data=(X, Y), **options)
        elif kind == "generator":
            history = model.fit(batches(), steps_per_epoch=5, validation_data=(X, Y), **options)
        else:
            history = model.fit(Batches(), validation_data=(X, Y), **options)
        return model, log, history.history

    (model, log, history), (single, each, expected) = train(group), train(1)
    equal_weights(model, single)
    assert history == expected
    begins = [0, *(k + 1 for k in ends[:-1])]
    epoch = [call for begin, end in zip(begins, ends, strict=True) for call in (("begin", begin), ("end", end))]
    # Validation has batches of 12 as well, or two of 32 at most.
    tests = [("test", k) for k in (ends if kind == "array" else [0, 1] if group == 1 else [1])]
    assert log.calls == 2 * (epoch + tests)
    assert log.losses == [loss for k, loss in enumerate(each.losses) if k % 5 in ends]


@pytest.mark.parametrize("group", [1, 4])
def test_a_callback_ends_training_after_its_group(group: int) -> None:
    model, log = classifier(steps_per_execution=group), Log(stop_at=3)
    model.fit(X, Y, batch_size=5, epochs=3, verbose=0, callbacks=[log])
    assert log.calls[-1] == ("end", 3)
    assert int(model.optimizer.iterations.numpy()) == 4


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_batches_made_ahead_train_alike(ahead: int) -> None:
    made: list[str] = []

    def source():
        for batch in batches():
            made.append(threading.current_thread().name)
            yield batch

    plain, model = classifier(), classifier()
    expected = plain.fit(batches(), steps_per_epoch=5, epochs=3, verbose=0).history
    with config.override(prefetch=ahead):
        found = model.fit(source(), steps_per_epoch=5, epochs=3, verbose=0).history
        score = model.evaluate(batches(), steps=5, verbose=0)
    assert found == expected
    equal_weights(model, plain)
    assert score == plain.evaluate(X, Y, batch_size=12, sample_weight=WEIGHTS, verbose=0)
    assert len(made) == 15  # each epoch takes what belongs to it
    assert ("nngraph-prefetch" in made) == (ahead > 0)


@pytest.mark.parametrize("ahead", [0, 2])
def test_errors_of_a_source_arrive_and_no_thread_stays(ahead: int) -> None:
    def broken():
        yield X[:12], Y[:12]
        yield X[:12], Y[:12]
        raise OSError("disk gone")

    model, log = classifier(), Log()
    with config.override(prefetch=ahead), pytest.raises(OSError, match="disk gone"):
        model.fit(broken(), steps_per_epoch=9, verbose=0, callbacks=[log])
    assert [call for call in log.calls if call[0] == "end"] == [("end", 0), ("end", 1)]
    with config.override(prefetch=ahead):
        model.fit(batches(), steps_per_epoch=9, verbose=0, callbacks=[Log(stop_at=2)])
    assert not [t for t in threading.enumerate() if t.name.startswith("nngraph")]


def test_arrays_are_let_go() -> None:
    model = classifier()
    x = np.array(X)
    gone = weakref.ref(x)
    model.fit(x, Y, batch_size=12, verbose=0)
    model.evaluate(x, Y, batch_size=12, verbose=0)
    del x
    gc.collect()
    assert gone() is None


def test_other_arrays_serve_the_same_step() -> None:
    model = classifier()
    model.fit(X, Y, batch_size=10, verbose=0)
    steps = len(model._steps)
    model.fit(np.tile(X, (2, 1))[:70], np.tile(Y, 2)[:70], batch_size=10, verbose=0)
    assert len(model._steps) == steps


def test_arrays_that_cannot_be_bound_as_they_lie() -> None:
    """Columns, reversed rows, read-only and unaligned memory train like plain copies."""
    raw = np.zeros(X.nbytes + 1, np.uint8)
    unaligned = np.frombuffer(raw.data, "float32", X.size, 1).reshape(X.shape)
    unaligned[:] = X
    frozen = X.copy()
    frozen.flags.writeable = False
    kinds = {"columns": np.asfortranarray(X), "reversed": X[::-1].copy()[::-1], "frozen": frozen, "odd": unaligned}
    plain = classifier()
    plain.fit(X, Y, batch_size=12, verbose=0, shuffle=False)
    for x in kinds.values():
        model = classifier()
        model.fit(x, Y, batch_size=12, verbose=0, shuffle=False)
        equal_weights(model, plain)


@pytest.mark.parametrize("shuffle", [True, False])
def test_rows_copied_into_buffers_train_like_rows_picked_in_the_graph(
    shuffle: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What other devices do with arrays that are too large for them."""
    seen: list[set[type]] = []
    models = []
    for fit in (True, False):
        monkeypatch.setattr(loop, "fit_on", lambda device, arrays, fit=fit: fit)
        model = classifier()
        model._shuffle_seed = 3
        model.fit(X, Y, sample_weight=WEIGHTS, batch_size=12, epochs=2, shuffle=shuffle, verbose=0)
        seen.append({type(step) for step in model._steps.values()})
        models.append(model)
    assert seen == [{RowsStep}, {CompiledStep}]
    equal_weights(*models)
