"""Training: what fit accepts, what it reports, and that a step is what it should be."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import pandas
import pytest

import nngraph as keras
from nngraph import Input, Model, Sequential, layers, ops
from nngraph.callbacks import Callback

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 3)).astype("float32")
W = np.array([[1.0], [-2.0], [0.5]], "float32")
Y = X @ W


def regressor(optimizer: object = "sgd", **kwargs: object) -> Sequential:
    model = Sequential([Input((3,)), layers.Dense(1, kernel_initializer="zeros")])
    model.compile(optimizer, "mse", **kwargs)
    return model


def numpy_sgd(
    x: np.ndarray, y: np.ndarray, size: int, epochs: int, rate: float = 0.01
) -> tuple[np.ndarray, list[float]]:
    w, b, losses = np.zeros((3, 1)), np.zeros(1), []
    for _ in range(epochs):
        total = 0.0
        for i in range(0, len(x), size):
            xb, yb = x[i : i + size], y[i : i + size]
            error = xb @ w + b - yb
            total += float((error**2).sum())
            w = w - rate * 2 * xb.T @ error / len(xb)
            b = b - rate * 2 * error.mean(0)
        losses.append(total / len(x))
    return w, losses


def test_fit_is_gradient_descent() -> None:
    model = regressor()
    history = model.fit(X, Y, batch_size=16, epochs=3, shuffle=False, verbose=0)
    w, losses = numpy_sgd(X.astype("float64"), Y.astype("float64"), 16, 3)
    np.testing.assert_allclose(model.get_weights()[0], w, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(history.history["loss"], losses, rtol=1e-4)


def batches(count: int = 5) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    while True:
        for i in range(count):
            yield X[i * 10 : i * 10 + 10], Y[i * 10 : i * 10 + 10]


class Loader:
    """Iterates over batches as a torch DataLoader does."""

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return (b for b, _ in zip(batches(), range(5), strict=False))

    def __len__(self) -> int:
        return 5


class Rows(keras.utils.PyDataset):
    def __len__(self) -> int:
        return 5

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        return X[i * 10 : i * 10 + 10], Y[i * 10 : i * 10 + 10]


@pytest.mark.parametrize("kind", ["arrays", "float64", "pandas", "generator", "iterable", "PyDataset", "lists"])
def test_every_kind_of_data_trains_alike(kind: str) -> None:
    model = regressor()
    if kind == "generator":
        model.fit(batches(), steps_per_epoch=5, epochs=2, verbose=0)
    elif kind == "iterable":
        model.fit(Loader(), epochs=2, verbose=0)
    elif kind == "PyDataset":
        model.fit(Rows(), epochs=2, shuffle=False, verbose=0)
    else:
        x, y = {
            "arrays": (X, Y),
            "float64": (X.astype("float64"), Y.astype("float64")),
            "pandas": (pandas.DataFrame(X, columns=list("abc")), pandas.DataFrame(Y)),
            "lists": ([X], [Y]),
        }[kind]
        model.fit(x, y, batch_size=10, epochs=2, shuffle=False, verbose=0)
    w, _ = numpy_sgd(X.astype("float64"), Y.astype("float64"), 10, 2)
    np.testing.assert_allclose(model.get_weights()[0], w, rtol=1e-4, atol=1e-6)


def test_validation_by_split_and_by_data() -> None:
    split = regressor().fit(X, Y, validation_split=0.2, epochs=2, shuffle=False, verbose=0).history
    held_out = (X[40:], Y[40:])
    given = regressor().fit(X[:40], Y[:40], validation_data=held_out, epochs=2, shuffle=False, verbose=0).history
    assert list(split) == ["loss", "val_loss"]
    np.testing.assert_allclose(split["val_loss"], given["val_loss"], rtol=1e-6)
    rare = regressor().fit(X, Y, validation_data=(X, Y), validation_freq=2, epochs=4, verbose=0).history
    assert len(rare["val_loss"]) == 2


def test_sample_and_class_weights() -> None:
    labels = (X[:, 0] > 0).astype("int64")
    one = Sequential([Input((3,)), layers.Dense(2, activation="softmax", kernel_initializer="zeros")])
    one.compile("sgd", "sparse_categorical_crossentropy", weighted_metrics=["accuracy"])
    two = Sequential([Input((3,)), layers.Dense(2, activation="softmax", kernel_initializer="zeros")])
    two.compile("sgd", "sparse_categorical_crossentropy", weighted_metrics=["accuracy"])
    weights = np.where(labels == 1, 3.0, 0.5)
    a = one.fit(X, labels, class_weight={0: 0.5, 1: 3.0}, shuffle=False, epochs=2, verbose=0).history
    b = two.fit(X, labels, sample_weight=weights, shuffle=False, epochs=2, verbose=0).history
    np.testing.assert_allclose(a["loss"], b["loss"], rtol=1e-6)
    np.testing.assert_allclose(one.get_weights()[0], two.get_weights()[0], rtol=1e-6)


def test_several_outputs_with_their_own_losses_weights_and_metrics() -> None:
    x = Input((3,))
    model = Model(x, {"size": layers.Dense(1)(x), "kind": layers.Dense(2, activation="softmax")(x)})
    model.compile(
        "adam",
        {"size": "mse", "kind": "sparse_categorical_crossentropy"},
        loss_weights={"size": 2.0, "kind": 0.5},
        metrics={"kind": ["accuracy"]},
    )
    labels = (X[:, 0] > 0).astype("int64")
    history = model.fit(X, {"size": Y, "kind": labels}, epochs=1, verbose=0, shuffle=False).history
    assert set(history) == {"loss", "size_loss", "kind_loss", "kind_accuracy"}
    logs = model.evaluate(X, {"size": Y, "kind": labels}, return_dict=True, verbose=0)
    assert logs["loss"] == pytest.approx(2 * logs["size_loss"] + 0.5 * logs["kind_loss"], rel=1e-5)
    out = model.predict(X, verbose=0)
    assert logs["size_loss"] == pytest.approx(float(np.mean((out["size"] - Y) ** 2)), rel=1e-4)
    assert logs["kind_accuracy"] == pytest.approx(float(np.mean(out["kind"].argmax(1) == labels)))


def test_evaluate_weighs_the_last_smaller_batch_right() -> None:
    model = regressor(metrics=["mae"])
    model.fit(X, Y, verbose=0)
    error = model.predict(X, verbose=0) - Y
    loss, mae = model.evaluate(X, Y, batch_size=16, verbose=0)
    assert loss == pytest.approx(float((error**2).mean()), rel=1e-5)
    assert mae == pytest.approx(float(np.abs(error).mean()), rel=1e-5)


def test_single_batches() -> None:
    model = regressor()
    first = model.train_on_batch(X[:10], Y[:10])
    assert first == pytest.approx(float((Y[:10] ** 2).mean()), rel=1e-5)
    assert set(model.test_on_batch(X, Y, return_dict=True)) == {"loss"}
    np.testing.assert_allclose(model.predict_on_batch(X), model.predict(X, verbose=0), rtol=1e-6)


def test_steps_per_execution_changes_only_how_often_callbacks_are_called() -> None:
    class Count(Callback):
        ends = 0

        def on_train_batch_end(self, batch, logs=None):
            self.ends += 1

    results = []
    for group in (1, 4):
        model, count = regressor(steps_per_execution=group), Count()
        model.fit(X, Y, batch_size=5, epochs=1, shuffle=False, verbose=0, callbacks=[count])
        results.append((model.get_weights()[0], count.ends))
    np.testing.assert_array_equal(results[0][0], results[1][0])
    assert (results[0][1], results[1][1]) == (10, 3)


def test_initial_epoch_counts() -> None:
    seen: list[int] = []
    call = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: seen.append(epoch))
    regressor().fit(X, Y, initial_epoch=2, epochs=5, verbose=0, callbacks=[call])
    assert seen == [2, 3, 4]


def test_frozen_weights_do_not_move_and_statistics_do() -> None:
    model = Sequential([Input((3,)), layers.Dense(4, name="frozen"), layers.BatchNormalization(), layers.Dense(1)])
    model.get_layer("frozen").trainable = False
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.fit(X, Y, epochs=1, verbose=0)
    after = model.get_weights()
    moved = [not np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
    assert moved == [False, False, True, True, True, True, True, True]


def test_thawing_needs_only_another_compile() -> None:
    model = regressor()
    model.layers[0].trainable = False
    with pytest.warns(UserWarning, match="no trainable weights"):
        model.compile("sgd", "mse")
        model.fit(X, Y, epochs=1, verbose=0)
    model.layers[0].trainable = True
    model.compile("sgd", "mse")
    model.fit(X, Y, epochs=1, verbose=0)
    assert np.abs(model.get_weights()[0]).max() > 0


def test_a_training_step_is_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    from nngraph.runtime import BoundStep

    runs = []
    original = BoundStep.run
    monkeypatch.setattr(BoundStep, "run", lambda self: (runs.append(1), original(self))[1])
    inner = (layers.Dense(8), layers.Dropout(0.5), layers.BatchNormalization())
    model = Sequential([Input((3,)), *inner, layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(X, Y, batch_size=10, epochs=2, verbose=0)
    assert len(runs) == 10


def calls_of(model: Sequential, epochs: int) -> int:
    """Return the number of Python and C functions that fit calls."""
    calls = 0

    def count(frame: object, event: str, arg: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        model.fit(X, Y, batch_size=10, epochs=epochs, verbose=0)
    finally:
        sys.setprofile(None)
    return calls


def test_python_work_of_a_step_does_not_grow_with_the_number_of_variables() -> None:
    per_step = []
    for depth in (1, 20):
        model = Sequential([Input((3,)), *(layers.Dense(3) for _ in range(depth)), layers.Dense(1)])
        model.compile("adam", "mse")
        for _ in range(2):  # to trace, then to remember what the trace added
            model.fit(X, Y, batch_size=10, epochs=1, verbose=0)
        per_step.append((calls_of(model, 30) - calls_of(model, 10)) / 100)
    assert per_step[1] - per_step[0] < 1, per_step
    assert per_step[0] < 100, per_step


def test_ones_own_train_step_and_loss() -> None:
    class Doubled(Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(1, kernel_initializer="zeros")

        def call(self, x):
            return self.dense(x)

        def train_step(self, data):
            x, y = data[:2]
            loss = 2.0 * ops.mean(ops.square(self(x) - y))
            self.optimizer.apply(keras.gradients(loss, self.trainable_variables), self.trainable_variables)
            return {"doubled": loss}

    model = Doubled()
    model.compile(keras.optimizers.SGD(0.005))
    history = model.fit(X, Y, batch_size=50, shuffle=False, verbose=0).history
    assert history["doubled"][0] == pytest.approx(2 * float((Y**2).mean()), rel=1e-5)
    reference = regressor(keras.optimizers.SGD(0.01))
    reference.fit(X, Y, batch_size=50, shuffle=False, verbose=0)
    np.testing.assert_allclose(model.get_weights()[0], reference.get_weights()[0], rtol=1e-5)

    class Cubic(Sequential):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return ops.mean(ops.abs(y_pred - y) ** 3)

    cubic = Cubic([Input((3,)), layers.Dense(1, kernel_initializer="zeros")])
    cubic.compile("sgd")
    assert cubic.evaluate(X, Y, verbose=0) == pytest.approx(float((np.abs(Y) ** 3).mean()), rel=1e-5)


def test_weights_can_be_set_between_fits() -> None:
    model = regressor()
    model.fit(X, Y, epochs=2, verbose=0)
    model.set_weights([W, np.zeros(1)])
    assert model.evaluate(X, Y, verbose=0) < 1e-10
    np.testing.assert_allclose(model.predict(X, verbose=0), Y, rtol=1e-5)
    np.testing.assert_allclose(model(X), Y, rtol=1e-5)


def test_two_models_share_a_layer_and_train_in_turn() -> None:
    shared = layers.Dense(3, name="shared")
    x = Input((3,))
    one, two = Model(x, layers.Dense(1)(shared(x))), Model(x, layers.Dense(1)(shared(x)))
    one.compile("sgd", "mse")
    two.compile("sgd", "mse")
    for _ in range(3):
        one.fit(X, Y, epochs=1, verbose=0)
        after_one = shared.get_weights()[0]
        two.fit(X, -Y, epochs=1, verbose=0)
        assert not np.array_equal(after_one, shared.get_weights()[0])
    np.testing.assert_allclose(one.predict(X, verbose=0), one(X), rtol=1e-4, atol=1e-5)


def test_results_have_the_names_that_were_asked_for() -> None:
    model = regressor(metrics=["mae", "MSE", keras.metrics.MeanSquaredError(name="own")], weighted_metrics=["mae"])
    history = model.fit(X, Y, verbose=0).history
    assert list(history) == ["loss", "mae", "MSE", "own", "weighted_mae"]


def test_two_optimizers_in_a_model_without_call() -> None:
    class Rivals(Model):
        def __init__(self) -> None:
            super().__init__()
            self.first = Sequential([Input((3,)), layers.Dense(1)])
            self.second = Sequential([Input((3,)), layers.Dense(1)])
            self.noise = keras.random.SeedGenerator(1)

        def compile(self, first: object, second: object) -> None:
            super().compile()
            self.optimizers = first, second

        def train_step(self, data: object) -> dict[str, object]:
            x, y = data[0], data[1]
            y += 0.01 * keras.random.normal(ops.shape(y), seed=self.noise)
            losses = {}
            for name, part, optimizer in zip("ab", (self.first, self.second), self.optimizers, strict=True):
                losses[name] = ops.mean(ops.square(part(x) - y))
                grads = keras.gradients(losses[name], part.trainable_weights)
                optimizer.apply_gradients(zip(grads, part.trainable_weights, strict=True))
            return losses

    model = Rivals()
    model.compile(keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.1))
    before = model.get_weights()
    model.fit(X, Y, verbose=0)
    changed = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert changed == [False, False, True, True]


def test_initializers_may_use_ops_and_random() -> None:
    layer = layers.Dense(2, kernel_initializer=lambda shape, dtype: 2 * keras.random.normal(shape, dtype=dtype, seed=1))
    Sequential([Input((3,)), layer])
    assert layer.kernel.shape == (3, 2) and layer.kernel.numpy().std() > 0


def test_equality_compares_entries() -> None:
    def hits(y_true: object, y_pred: object) -> object:
        return ops.cast(ops.cast(y_true, "int32") == ops.cast(y_pred * 0 + 1, "int32"), "float32")

    model = regressor(metrics=[hits])
    assert model.evaluate(X, np.ones((50, 1), "float32"), verbose=0)[1] == 1.0


@pytest.mark.parametrize(
    ("loss", "message"),
    [(lambda y, p: None, "returned None"), (lambda y, p: 3.0, "depends on no weight")],
)
def test_losses_that_cannot_be_minimised(loss: object, message: str) -> None:
    model = Sequential([Input((3,)), layers.Dense(1)])
    model.compile("sgd", loss)
    with pytest.raises(ValueError, match=message):
        model.fit(X, Y, verbose=0)


def test_weights_for_no_output_are_refused() -> None:
    with pytest.raises(ValueError, match=r"sample_weight has entries for \['other'\]"):
        regressor().fit(X, Y, sample_weight={"other": np.ones(50)}, verbose=0)


def test_names_of_results_are_in_the_order_of_evaluate() -> None:
    entry = Input((3,))
    model = Model(entry, [layers.Dense(1, name="a")(entry), layers.Dense(1, name="b")(entry)])
    model.compile("sgd", "mse", metrics={"b": ["mae"]})
    results = model.evaluate(X, [Y, Y], verbose=0)
    assert model.metrics_names == ["loss", "a_loss", "b_loss", "b_mae"]
    assert results == list(model.evaluate(X, [Y, Y], verbose=0, return_dict=True).values())


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_steps_of_ones_own_get_as_many_parts_as_there_are(parts: int) -> None:
    seen: list[int] = []

    class Own(Model):
        def train_step(self, data: object) -> dict[str, object]:
            seen.append(len(data) if isinstance(data, tuple) else 1)
            x = data[0] if isinstance(data, tuple) else data
            loss = ops.mean(ops.square(self(x)))
            self.optimizer.apply(keras.gradients(loss, self.trainable_weights), self.trainable_weights)
            return {"loss": loss}

    entry = Input((3,))
    model = Own(entry, layers.Dense(1)(entry))
    model.compile("sgd", "mse")
    model.fit(
        *[X, Y, np.ones(50)][:2] if parts > 1 else [X], sample_weight=np.ones(50) if parts == 3 else None, verbose=0
    )
    assert set(seen) == {parts}
