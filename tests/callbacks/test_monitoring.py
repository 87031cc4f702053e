"""EarlyStopping, ReduceLROnPlateau, ModelCheckpoint, LearningRateScheduler; expectations measured on Keras 3.15."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from callback_fakes import FakeModel, FakeOptimizer, run

from nngraph.callbacks import EarlyStopping, LearningRateScheduler, ModelCheckpoint, ReduceLROnPlateau
from nngraph.callbacks.monitor import direction_of

SERIES = [1, 0.9, 0.95, 0.94, 0.8, 0.85, 0.86, 0.87, 0.88]


@pytest.mark.parametrize(
    ("options", "epochs", "state"),
    [
        ({}, 3, 3),
        ({"patience": 2}, 4, 4),
        ({"patience": 2, "restore_best_weights": True}, 4, 2),
        ({"patience": 3, "min_delta": 0.15}, 4, 4),
        ({"patience": 3, "min_delta": -0.15}, 4, 4),
        ({"patience": 2, "baseline": 0.5}, 3, 3),
        ({"patience": 2, "baseline": 0.85}, 3, 3),
        ({"patience": 1, "start_from_epoch": 4}, 6, 6),
        ({"patience": 1, "mode": "max"}, 2, 2),
        ({"patience": 20, "restore_best_weights": True}, 9, 5),
    ],
)
def test_early_stopping(options, epochs, state):
    model, logs = run(EarlyStopping(**options), SERIES)
    assert (len(logs), model.state) == (epochs, state)


def test_equal_is_no_improvement():
    for mode in ("min", "max"):
        callback = EarlyStopping(mode=mode, patience=1)
        _, logs = run(callback, [1, 1, 1])
        assert len(logs) == 2
    # By exactly min_delta is not by more than it.
    assert len(run(EarlyStopping(mode="max", min_delta=0.5, patience=1), [1, 1.5, 2])[1]) == 2


def test_early_stopping_says_so(capsys):
    callback = EarlyStopping(patience=2, restore_best_weights=True, verbose=1)
    run(callback, SERIES)
    assert capsys.readouterr().out == (
        "Epoch 4: early stopping\nRestoring model weights from the end of the best epoch: 2.\n"
    )
    assert (callback.stopped_epoch, callback.best_epoch, callback.best) == (3, 1, 0.9)


def test_early_stopping_ends_with_the_best_weights_without_stopping():
    model, _ = run(EarlyStopping(restore_best_weights=True, patience=5), [3, 1, 2])
    assert model.state == 2


def test_early_stopping_with_nan():
    model, logs = run(EarlyStopping(restore_best_weights=True), [1, math.nan, 2])
    assert (len(logs), model.state) == (2, 1)


def test_defaults_are_those_of_keras():
    early, reduce = EarlyStopping(), ReduceLROnPlateau()
    assert (early.monitor, early.patience, early.min_delta, early.restore_best_weights) == ("val_loss", 0, 0, False)
    assert (reduce.monitor, reduce.factor, reduce.patience, reduce.min_delta) == ("val_loss", 0.1, 10, 1e-4)
    assert (reduce.cooldown, reduce.min_lr, reduce.verbose) == (0, 0.0, 0)
    checkpoint = ModelCheckpoint("a.onnx")
    assert (checkpoint.save_freq, checkpoint.save_best_only, checkpoint.save_weights_only) == ("epoch", False, False)


def test_early_stopping_says_nothing_when_it_did_not_stop(capsys):
    run(EarlyStopping(verbose=1, patience=3), [3, 2, 1])
    assert capsys.readouterr().out == ""


def test_reduce_on_plateau_starts_afresh_in_the_next_fit():
    callback = ReduceLROnPlateau(patience=1, cooldown=5)
    run(callback, [1, 2])
    assert callback.in_cooldown()
    model, _ = run(callback, [3, 4])
    assert float(model.optimizer.learning_rate) == pytest.approx(0.01)


def test_early_stopping_starts_afresh_in_the_next_fit():
    callback = EarlyStopping(patience=2)
    run(callback, SERIES)
    assert len(run(callback, [5, 4, 3])[1]) == 3


def test_early_stopping_warns_of_a_missing_result():
    with pytest.warns(
        UserWarning, match="watches 'val_loss', which is not among the results: loss. Give fit validation"
    ):
        _, logs = run(EarlyStopping(), [None])
    assert len(logs) == 1


@pytest.mark.parametrize(
    ("options", "rates"),
    [
        ({"patience": 1}, [0.1, 0.1, 0.01, 0.001, 0.001, 1e-4, 1e-5, 1e-6, 1e-7]),
        ({"patience": 2}, [0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.001, 0.001, 1e-4]),
        ({"patience": 1, "cooldown": 2, "factor": 0.5}, [0.1, 0.1, 0.05, 0.05, 0.05, 0.025, 0.025, 0.0125, 0.0125]),
        ({"patience": 1, "min_lr": 0.02}, [0.1, 0.1] + [0.02] * 7),
        ({"patience": 1, "min_delta": 0.2}, [0.1 * 0.1**i for i in range(9)]),
        ({"patience": 1, "epsilon": 0.2}, [0.1 * 0.1**i for i in range(9)]),
        ({"patience": 1, "mode": "max"}, [0.1 * 0.1**i for i in range(9)]),
    ],
)
def test_reduce_on_plateau(options, rates):
    seen = []

    class Recording(ReduceLROnPlateau):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            seen.append(float(self.model.optimizer.learning_rate))

    _, logs = run(Recording(**options), SERIES)
    np.testing.assert_allclose(seen, rates, rtol=1e-6)
    # The results hold the rate that the epoch was trained with.
    np.testing.assert_allclose([log["learning_rate"] for log in logs], [0.1, *rates[:-1]], rtol=1e-6)


def test_reduce_on_plateau_says_so(capsys):
    run(ReduceLROnPlateau(patience=2, verbose=1), [1, 1, 1])
    assert capsys.readouterr().out == ("\nEpoch 3: ReduceLROnPlateau reducing learning rate to 0.010000000000000002.\n")


def test_reduce_on_plateau_warns_of_a_missing_result():
    with pytest.warns(UserWarning, match="ReduceLROnPlateau watches 'val_loss'"):
        _, logs = run(ReduceLROnPlateau(), [None])
    assert logs[0]["learning_rate"] == 0.1


@pytest.mark.parametrize(
    ("pattern", "options", "saved"),
    [
        ("a.onnx", {}, ["a.onnx"] * 9),
        ("{epoch}.onnx", {}, [f"{epoch}.onnx" for epoch in range(1, 10)]),
        (
            "{epoch:02d}-{val_loss:.2f}.onnx",
            {"save_best_only": True},
            ["01-1.00.onnx", "02-0.90.onnx", "05-0.80.onnx"],
        ),
        (
            "w.weights.npz",
            {"save_best_only": True, "save_weights_only": True, "mode": "max"},
            ["weights:w.weights.npz"],
        ),
        ("a.onnx", {"save_best_only": True, "initial_value_threshold": 0.92}, ["a.onnx"] * 2),
    ],
)
def test_model_checkpoint(tmp_path, capsys, pattern, options, saved):
    model, _ = run(ModelCheckpoint(tmp_path / "new" / pattern, **options), SERIES)
    assert model.saved == saved
    assert capsys.readouterr().out == ""


def test_model_checkpoint_says_so(tmp_path, capsys):
    path = tmp_path / "a.onnx"
    run(ModelCheckpoint(path, save_best_only=True, verbose=1), [1, 2])
    assert capsys.readouterr().out == (
        f"\nEpoch 1: val_loss improved from None to 1.00000, saving model to {path}\n"
        "\nEpoch 2: val_loss did not improve from 1.00000\n"
    )
    run(ModelCheckpoint(path, verbose=1), [1])
    assert capsys.readouterr().out == f"\nEpoch 1: saving model to {path}\n"


def test_model_checkpoint_saves_when_it_cannot_compare(tmp_path):
    with pytest.warns(UserWarning, match="ModelCheckpoint watches 'val_loss'"):
        model, _ = run(ModelCheckpoint(tmp_path / "a.onnx", save_best_only=True), [None])
    assert model.saved == ["a.onnx"]


def test_model_checkpoint_counts_batches_across_epochs(tmp_path):
    callback = ModelCheckpoint(tmp_path / "{epoch}-{batch}.onnx", save_freq=2)
    model = FakeModel()
    callback.set_model(model)
    for epoch in range(2):
        callback.on_epoch_begin(epoch)
        for batch in range(3):
            callback.on_train_batch_end(batch, {"loss": 1.0})
        callback.on_epoch_end(epoch, {})
    assert model.saved == ["1-2.onnx", "2-1.onnx", "2-3.onnx"]


@pytest.mark.parametrize(
    "schedule", [lambda epoch: 0.1 / (epoch + 1), lambda epoch, rate: rate * (0.5 if epoch else 1)]
)
def test_learning_rate_scheduler(schedule, capsys):
    model, logs = run(LearningRateScheduler(schedule, verbose=1), [1, 2])
    assert float(model.optimizer.learning_rate) == 0.05
    assert [log["learning_rate"] for log in logs] == [0.1, 0.05]
    assert capsys.readouterr().out == (
        "\nEpoch 1: LearningRateScheduler setting learning rate to 0.1.\n"
        "\nEpoch 2: LearningRateScheduler setting learning rate to 0.05.\n"
    )


def test_learning_rate_scheduler_takes_any_callable():
    def star(*args):
        return args[1] / args[1] * (args[0] + 1)

    model, _ = run(LearningRateScheduler(star), [1, 1])
    assert float(model.optimizer.learning_rate) == 2.0
    # A function written in C without a signature gets both arguments.
    model, _ = run(LearningRateScheduler(max), [1, 1])
    assert float(model.optimizer.learning_rate) == 1.0


def test_learning_rate_scheduler_does_not_hide_the_schedule_s_own_error():
    def schedule(epoch, rate):
        raise TypeError("mine")

    with pytest.raises(TypeError, match="mine"):
        run(LearningRateScheduler(schedule), [1])


@pytest.mark.parametrize(
    ("monitor", "direction"),
    [
        ("loss", "min"),
        ("val_loss", "min"),
        ("val_accuracy", "max"),
        ("acc", "max"),
        ("out_auc", "max"),
        ("val_mean_absolute_error", "min"),
        ("f1_score", "max"),
        ("various", None),
        ("speed", None),
    ],
)
def test_direction_by_name(monitor, direction):
    assert direction_of(monitor, None) == direction


def test_direction_by_metric():
    up, down = SimpleNamespace(name="speed", _direction="up"), SimpleNamespace(name="accuracy", _direction="down")
    assert direction_of("val_speed", SimpleNamespace(metrics=[up])) == "max"
    assert direction_of("left_speed", SimpleNamespace(metrics=[SimpleNamespace(name="c", metrics=[up])])) == "max"
    assert direction_of("accuracy", SimpleNamespace(metrics=[down])) == "min"
    # A metric that does not say is judged by its name.
    assert direction_of("acc", SimpleNamespace(metrics=[SimpleNamespace(name="acc")])) == "max"


class Scheduled(FakeOptimizer):
    def __init__(self):
        super().__init__()
        self._learning_rate = SimpleNamespace()


def scheduled_model():
    model = FakeModel()
    model.optimizer = Scheduled()
    return model


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: EarlyStopping(mode="low"), "EarlyStopping: mode must be 'auto', 'min' or 'max'. Received: 'low'"),
        (
            lambda: run(EarlyStopping("speed"), [1, 2], "speed"),
            "cannot tell whether 'speed' should become large or small",
        ),
        (lambda: ReduceLROnPlateau(factor=1.0), "factor must be below 1"),
        (lambda: ReduceLROnPlateau(foo=1), "ReduceLROnPlateau has no argument 'foo'"),
        (
            lambda: ModelCheckpoint("a.onnx", save_freq="x"),
            "save_freq must be 'epoch' or a number of batches. Received: 'x'",
        ),
        (lambda: ModelCheckpoint("a.onnx", save_freq=True), "save_freq must be"),
        (lambda: run(ModelCheckpoint("{foo}.onnx"), [1]), "has a field 'foo' of no result; known are epoch, val_loss"),
        (lambda: LearningRateScheduler(0.1), "schedule must be a function"),
        (
            lambda: run(LearningRateScheduler(lambda epoch: "x"), [1]),
            "must return a number. It returned 'x' for epoch 0",
        ),
        (lambda: run(LearningRateScheduler(lambda epoch: None), [1]), "must return a number. It returned None"),
        (
            lambda: run(LearningRateScheduler(lambda epoch: 0.1), [1], model=scheduled_model()),
            "that of the optimizer is given by SimpleNamespace",
        ),
        (lambda: run(ReduceLROnPlateau(), [1], model=scheduled_model()), "Compile with a number as the learning rate"),
    ],
)
def test_errors(call, message):
    with pytest.raises((ValueError, TypeError, KeyError)) as error:
        call()
    assert message in str(error.value)
