"""Saving and loading: the file runs anywhere, the model comes back, and training goes on bit by bit."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import nngraph as keras
from nngraph import Input, Model, Sequential, layers, ops

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 8, 8, 2)).astype("float32")
Y = RNG.integers(0, 3, 64)


def convolutional() -> Sequential:
    return Sequential(
        [
            Input((8, 8, 2), name="image"),
            layers.Conv2D(4, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Dropout(0.3),
            layers.Flatten(),
            layers.Dense(3, activation="softmax", name="scores"),
        ]
    )


def functional() -> Model:
    a, b = Input((4,), name="a"), Input((4,), name="b")
    shared = layers.Dense(5, name="shared")
    total = ops.concatenate([shared(a), ops.tanh(shared(b))[:, 1:3]], axis=-1)
    return Model([a, b], [layers.Dense(2, name="first")(total), total * 2.0])


@keras.utils.register_keras_serializable()
class Tower(Model):
    def __init__(self, units: int = 3) -> None:
        super().__init__()
        self.units = units
        self.hidden = layers.Dense(units, activation="relu")
        self.out = layers.Dense(1)

    def call(self, x):
        return self.out(self.hidden(x))


def test_a_saved_model_comes_back_with_its_layers(tmp_path: Path) -> None:
    model = convolutional()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(X, Y, epochs=1, verbose=0)
    model.save(tmp_path / "m.onnx")
    again = keras.load_model(tmp_path / "m.onnx")
    assert [type(layer) for layer in again.layers] == [type(layer) for layer in model.layers]
    for a, b in zip(again.variables, model.variables, strict=False):
        assert a.path == b.path or a.shape == b.shape
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    assert again.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)
    for a, b in zip(again.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_the_saved_file_is_an_inference_model_for_any_runtime(tmp_path: Path) -> None:
    model = convolutional()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(X, Y, epochs=1, verbose=0)
    model.save(tmp_path / "m.onnx")
    onnx.checker.check_model(str(tmp_path / "m.onnx"), full_check=True)
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    np.testing.assert_allclose(session.run(None, {"image": X})[0], model.predict(X, verbose=0), rtol=1e-4, atol=1e-6)


def test_functional_and_subclassed_models_come_back(tmp_path: Path) -> None:
    data = RNG.normal(size=(6, 4)).astype("float32")
    model = functional()
    model.save(tmp_path / "f.onnx")
    again = keras.load_model(tmp_path / "f.onnx")
    for a, b in zip(again.predict([data, -data], verbose=0), model.predict([data, -data], verbose=0), strict=True):
        np.testing.assert_array_equal(a, b)
    tower = Tower(units=5)
    tower(data)
    tower.save(tmp_path / "t.onnx")
    again = keras.load_model(tmp_path / "t.onnx")
    assert isinstance(again, Tower) and again.units == 5
    np.testing.assert_array_equal(again.predict(data, verbose=0), tower.predict(data, verbose=0))


def test_nested_models_come_back(tmp_path: Path) -> None:
    inner = Sequential([Input((4,)), layers.Dense(3)], name="inner")
    x = Input((4,))
    model = Model(x, layers.Dense(1)(inner(x)))
    model.save(tmp_path / "n.onnx")
    again = keras.load_model(tmp_path / "n.onnx")
    data = RNG.normal(size=(6, 4)).astype("float32")
    np.testing.assert_array_equal(again.predict(data, verbose=0), model.predict(data, verbose=0))
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]


def test_json_holds_the_architecture() -> None:
    for model in (functional(), convolutional()):
        again = keras.models.model_from_json(model.to_json())
        assert [w.shape for w in again.weights] == [w.shape for w in model.weights]
        again.set_weights(model.get_weights())
        data = [X[:5, 0, 0, :1].repeat(4, 1)] * 2 if len(model.inputs) == 2 else X[:5]
        a, b = again.predict(data, verbose=0), model.predict(data, verbose=0)
        np.testing.assert_array_equal(a[0], b[0])


def test_weights_alone(tmp_path: Path) -> None:
    model, other = convolutional(), convolutional()
    model.save_weights(tmp_path / "w.npz")
    other.load_weights(tmp_path / "w.npz")
    np.testing.assert_array_equal(other.predict(X, verbose=0), model.predict(X, verbose=0))
    narrow = Sequential([Input((8, 8, 2)), layers.Flatten(), layers.Dense(2)])
    before = narrow.get_weights()
    with pytest.raises(ValueError, match="architectures differ"):
        narrow.load_weights(tmp_path / "w.npz")
    for a, b in zip(before, narrow.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_exports_are_plain_and_dynamic(tmp_path: Path) -> None:
    model = convolutional()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(X, Y, epochs=1, verbose=0)
    model.export(tmp_path / "m.onnx", verbose=False)
    proto = onnx.load(str(tmp_path / "m.onnx"))
    onnx.checker.check_model(proto, full_check=True)
    assert {o.domain for o in proto.opset_import} == {""} and not proto.training_info
    assert {n.domain for n in proto.graph.node} <= {"", "ai.onnx"}
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    assert session.get_inputs()[0].shape == ["batch", 8, 8, 2]
    for size in (1, 7):
        np.testing.assert_allclose(
            session.run(None, {"image": X[:size]})[0], model.predict(X[:size], verbose=0), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("opset", [15, 18, 20, 21])
def test_older_opsets_can_be_asked_for(tmp_path: Path, opset: int) -> None:
    model = Sequential([Input((4,)), layers.Dense(3, activation="relu"), layers.Dense(2, activation="softmax")])
    model.export(tmp_path / "m.onnx", opset_version=opset, verbose=False)
    proto = onnx.load(str(tmp_path / "m.onnx"))
    assert proto.opset_import[0].version == opset
    data = RNG.normal(size=(3, 4)).astype("float32")
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    np.testing.assert_allclose(
        session.run(None, {session.get_inputs()[0].name: data})[0], model.predict(data, verbose=0), rtol=1e-5, atol=1e-6
    )


# -- exactness ------------------------------------------------------------------------------------------------------

PROGRAM = textwrap.dedent(
    """
    import sys
    import numpy as np
    import nngraph as keras
    from nngraph import layers

    mode, folder = sys.argv[1], sys.argv[2]
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 6)).astype("float32"), rng.integers(0, 3, 60)

    def make():
        keras.utils.set_random_seed(7)
        model = keras.Sequential([
            keras.Input((6,)), layers.Dense(16, activation="relu"), layers.Dropout(0.4),
            layers.BatchNormalization(), layers.Dense(3, activation="softmax")])
        model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def fit(model, first, last, *callbacks):
        model.fit(x, y, batch_size=16, initial_epoch=first, epochs=last, verbose=0, callbacks=list(callbacks))

    class Crash(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    backup = lambda: keras.callbacks.BackupAndRestore(folder + "/backup")
    if mode == "whole":
        model = make(); fit(model, 0, 4)
    elif mode == "save-first":
        model = make(); fit(model, 0, 2); model.save(folder + "/half.onnx"); sys.exit()
    elif mode == "save-second":
        keras.utils.set_random_seed(99)
        model = keras.load_model(folder + "/half.onnx"); fit(model, 2, 4)
    elif mode == "backup-first":
        try:
            model = make(); fit(model, 0, 4, backup(), Crash())
        except KeyboardInterrupt:
            sys.exit()
        sys.exit("did not crash")
    elif mode == "backup-second":
        model = make(); fit(model, 0, 4, backup())
    np.savez(folder + f"/{mode}.npz", *[v.numpy() for v in model.weights + list(model.optimizer.variables)])
    """
)


def run_program(mode: str, folder: Path) -> None:
    script = folder / "program.py"
    script.write_text(PROGRAM)
    done = subprocess.run([sys.executable, str(script), mode, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def arrays(folder: Path, mode: str) -> list[np.ndarray]:
    with np.load(folder / f"{mode}.npz") as file:
        return [file[name] for name in file.files]


def test_an_interrupted_training_ends_like_an_uninterrupted_one(tmp_path: Path) -> None:
    for mode in ("whole", "save-first", "save-second", "backup-first", "backup-second"):
        run_program(mode, tmp_path)
    whole = arrays(tmp_path, "whole")
    for mode in ("save-second", "backup-second"):
        for expected, got in zip(whole, arrays(tmp_path, mode), strict=True):
            np.testing.assert_array_equal(got, expected, err_msg=mode)


def test_the_same_seed_gives_the_same_weights() -> None:
    results = []
    for seed in (3, 3, 4):
        keras.utils.set_random_seed(seed)
        model = Sequential([Input((16,)), layers.Dense(32, activation="relu"), layers.Dropout(0.5), layers.Dense(3)])
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.fit(X.reshape(64, -1)[:, :16], Y, batch_size=16, epochs=50, verbose=0)  # 200 steps
        results.append(model.get_weights())
    for a, b in zip(results[0], results[1], strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(results[0][0], results[2][0])


def test_loading_without_compiling_needs_no_custom_loss(tmp_path: Path) -> None:
    def own_loss(y_true: object, y_pred: object) -> object:
        return keras.ops.mean(keras.ops.abs(y_true - y_pred))

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", own_loss)
    keras.saving.save_model(model, tmp_path / "m.onnx")
    assert not keras.saving.load_model(tmp_path / "m.onnx", compile=False).compiled
    assert keras.saving.load_model(tmp_path / "m.onnx", {"own_loss": own_loss}).loss is own_loss


def test_models_can_be_copied_and_pickled() -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    x = np.ones((4, 3), "float32")
    model.fit(x, x[:, :1], verbose=0)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(other.predict(x, verbose=0), model.predict(x, verbose=0))
        assert int(other.optimizer.iterations) == 1
        other.fit(x, x[:, :1], verbose=0)
        assert not np.array_equal(other.get_weights()[0], model.get_weights()[0])


def test_layers_unfrozen_after_training_can_be_saved(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dense(1)])
    model.layers[0].trainable = False
    model.compile("adam", "mse")
    x = np.ones((4, 3), "float32")
    model.fit(x, x[:, :1], verbose=0)
    model.layers[0].trainable = True
    model.save(tmp_path / "m.onnx")
    slots = [v.numpy() for v in model.optimizer.variables]
    loaded = keras.models.load_model(tmp_path / "m.onnx")
    for a, b in zip(slots, loaded.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a, b.numpy())


def test_double_precision_models_run_in_any_runtime(tmp_path: Path) -> None:
    layers = [keras.layers.Conv1D(2, 2, activation="gelu", dtype="float64"), keras.layers.Flatten(dtype="float64")]
    model = keras.Sequential([keras.Input((5, 2), dtype="float64"), *layers])
    x = np.random.default_rng(0).normal(size=(4, 5, 2))
    for write in (lambda p: model.export(p, verbose=False), model.save):
        write(tmp_path / "m.onnx")
        session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
        (got,) = session.run(None, {session.get_inputs()[0].name: x})
        np.testing.assert_allclose(got, model.predict(x, verbose=0), rtol=1e-12)


def test_outputs_in_a_dict_keep_their_names(tmp_path: Path) -> None:
    class Split(keras.Model):
        def call(self, inputs: dict[str, object]) -> dict[str, object]:
            return {"sum": inputs["a"] + inputs["b"], "difference": inputs["a"] - inputs["b"]}

    model, x = Split(), {"a": np.ones((2, 3), "float32"), "b": np.zeros((2, 3), "float32")}
    model(x)
    model.export(tmp_path / "m.onnx", verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    assert [o.name for o in session.get_outputs()] == ["sum", "difference"]
