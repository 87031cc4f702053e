"""Ordinary mistakes: each ends in one error that names the layer or argument, what came, and the remedy."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nngraph
from nngraph import Input, Model, Sequential, layers, ops

X = np.random.default_rng(0).normal(size=(20, 4)).astype("float32")
LABELS = np.arange(20) % 3


def classifier(loss: Any = "sparse_categorical_crossentropy", **kwargs: Any) -> Sequential:
    model = Sequential([Input((4,)), layers.Dense(3, activation="softmax", name="scores")])
    model.compile("sgd", loss, **kwargs)
    return model


def two_outputs() -> Model:
    x = Input((4,))
    model = Model(x, [layers.Dense(1, name="left")(x), layers.Dense(1, name="right")(x)])
    model.compile("sgd", "mse")
    return model


class Unregistered(layers.Layer):
    def call(self, inputs):
        return inputs * 2.0


class Remembers(layers.Layer):
    """Takes something that no file can hold and does not say how to save it."""

    def __init__(self, thing, **kwargs):
        super().__init__(**kwargs)
        self.thing = thing

    def call(self, inputs):
        return inputs


def save_and_load(model: Model, folder: Path) -> Any:
    model.save(folder / "m.onnx")
    return nngraph.load_model(folder / "m.onnx")


def truncated(folder: Path) -> Any:
    classifier().save(folder / "m.onnx")
    data = (folder / "m.onnx").read_bytes()
    (folder / "m.onnx").write_bytes(data[: len(data) // 2])
    return nngraph.load_model(folder / "m.onnx")


def foreign(folder: Path) -> Any:
    classifier().export(folder / "m.onnx", verbose=False)
    return nngraph.load_model(folder / "m.onnx")


def frozen_set_weights() -> None:
    model = classifier()
    model.set_weights([np.zeros((4, 3)), np.zeros(4)])


MISTAKES: dict[str, tuple[Callable[[Path], Any], type[Exception], list[str]]] = {
    # definition
    "units is no number": (lambda _: layers.Dense("ten"), ValueError, ["units", "'ten'"]),
    "units is negative": (lambda _: layers.Dense(-1), ValueError, ["units", "-1"]),
    "an unknown layer argument": (lambda _: layers.Dense(3, unit=4), ValueError, ["Dense", "unit", "units"]),
    "an unknown activation": (lambda _: layers.Dense(3, activation="rellu"), ValueError, ["rellu", "relu"]),
    "an unknown initializer": (
        lambda _: layers.Dense(3, kernel_initializer="glorot"),
        ValueError,
        ["glorot", "glorot_"],
    ),
    "a padding that does not exist": (
        lambda _: layers.Conv2D(3, 3, padding="sam"),
        ValueError,
        ["padding", "sam", "same"],
    ),
    "a dropout rate above one": (lambda _: layers.Dropout(50), ValueError, ["rate", "50"]),
    "an input shape that is a number": (lambda _: Input(784), ValueError, ["shape=(784,)"]),
    "no input shape": (lambda _: Input(), ValueError, ["Input", "shape="]),
    "a class where a layer belongs": (lambda _: Sequential([layers.Flatten]), TypeError, ["Flatten", "Flatten(...)"]),
    "an argument of the layer given to add": (
        lambda _: Sequential().add(layers.Dense(3), activation="relu"),
        TypeError,
        ["activation='relu'", "belongs to the layer"],
    ),
    "two layers of one name": (
        lambda _: Sequential([layers.Dense(1, name="a"), layers.Dense(1, name="a")]),
        ValueError,
        ["'a'", "name="],
    ),
    "an output that does not depend on the inputs": (
        lambda _: Model(Input((2,)), layers.Dense(1)(Input((2,), name="other"))),
        ValueError,
        ["other", "inputs"],
    ),
    "a layer outside its rank": (
        lambda _: layers.Conv2D(3, 3, name="conv")(Input((4,))),
        ValueError,
        ["'conv'", "Conv2D", "(None, 4)"],
    ),
    "shapes that do not concatenate": (
        lambda _: layers.Concatenate(name="join")([Input((2, 3)), Input((4, 5))]),
        ValueError,
        ["'join'"],
    ),
    "a window larger than the image": (
        lambda _: Sequential([Input((2, 2, 1)), layers.Conv2D(3, 5, name="big")]),
        ValueError,
        ["'big'", "(None, 2, 2, 1)"],
    ),
    "a weight without a known size": (
        lambda _: layers.Dense(3, name="dense")(Input((None,))),
        ValueError,
        ["'dense'", "None"],
    ),
    # compile
    "an unknown optimizer": (lambda _: classifier().compile("adamm"), ValueError, ["adamm", "adam"]),
    "an unknown loss": (
        lambda _: classifier("mean_square_error"),
        ValueError,
        ["mean_square_error", "mean_squared_error"],
    ),
    "an unknown metric": (lambda _: classifier(metrics=["acuracy"]), ValueError, ["acuracy", "accuracy"]),
    "a negative learning rate's type": (
        lambda _: nngraph.optimizers.SGD(learning_rate="fast"),
        (ValueError, TypeError),
        ["learning_rate", "fast"],
    ),
    "a loss for an output that does not exist": (
        lambda _: classifier({"score": "mse"}).fit(X, LABELS, verbose=0),
        ValueError,
        ["score", "scores"],
    ),
    "a metric that is not in a list": (
        lambda _: classifier(metrics="accuracy").fit(X, LABELS, verbose=0),
        ValueError,
        ["metrics=['accuracy']"],
    ),
    # data
    "fit before compile": (
        lambda _: Sequential([Input((4,)), layers.Dense(1)]).fit(X, LABELS),
        RuntimeError,
        ["compile(optimizer"],
    ),
    "unequal lengths": (lambda _: classifier().fit(X, LABELS[:5], verbose=0), ValueError, ["20", "5", "x", "y"]),
    "no rows": (lambda _: classifier().fit(X[:0], LABELS[:0], verbose=0), ValueError, ["empty"]),
    "the wrong number of features": (
        lambda _: classifier().fit(X[:, :3], LABELS, verbose=0),
        ValueError,
        ["(None, 4)", "3"],
    ),
    "ragged lists": (
        lambda _: classifier().fit(np.array([[1, 2], [3]], dtype=object), [0, 1], verbose=0),
        (ValueError, TypeError),
        ["pad_sequences"],
    ),
    "text instead of numbers": (
        lambda _: classifier().predict(np.array([["a"] * 4]), verbose=0),
        (ValueError, TypeError),
        ["x"],
    ),
    "integer labels for categorical_crossentropy": (
        lambda _: classifier("categorical_crossentropy").fit(X, LABELS, verbose=0),
        ValueError,
        ["sparse_categorical_crossentropy", "to_categorical(y, 3)"],
    ),
    "targets of another width": (
        lambda _: classifier("mse").fit(X, np.zeros((20, 7)), verbose=0),
        ValueError,
        ["(20, 7)", "3"],
    ),
    "no targets": (lambda _: classifier().fit(X, verbose=0), ValueError, ["y"]),
    "labels out of range": (
        lambda _: classifier().fit(X, LABELS + 5, verbose=0),
        ValueError,
        ["7", "3"],
    ),
    "one array for two outputs": (lambda _: two_outputs().fit(X, X[:, :1], verbose=0), ValueError, ["left", "right"]),
    "a target dict with a wrong key": (
        lambda _: two_outputs().fit(X, {"left": X[:, :1], "rihgt": X[:, :1]}, verbose=0),
        ValueError,
        ["rihgt", "right"],
    ),
    "both kinds of validation data": (
        lambda _: classifier().fit(X, LABELS, validation_split=0.5, validation_data=(X, LABELS), verbose=0),
        ValueError,
        ["validation_split", "validation_data"],
    ),
    "a batch size of zero": (
        lambda _: classifier().fit(X, LABELS, batch_size=0, verbose=0),
        ValueError,
        ["batch_size", "0"],
    ),
    "a class weight for no class": (
        lambda _: classifier().fit(X, LABELS, class_weight={"cat": 1.0}, verbose=0),
        (ValueError, TypeError),
        ["class_weight", "cat"],
    ),
    "a missing input of a dict": (
        lambda _: Model([a := Input((2,), name="a"), b := Input((2,), name="b")], layers.Add()([a, b])).predict(
            {"a": X[:, :2]}, verbose=0
        ),
        ValueError,
        ["'b'"],
    ),
    # state and files
    "weights of another shape": (lambda _: frozen_set_weights(), ValueError, ["bias", "(3,)", "(4,)"]),
    "a layer that does not exist": (lambda _: classifier().get_layer("score"), ValueError, ["score", "scores"]),
    "a file cut in half": (truncated, ValueError, ["cut off"]),
    "a file that nngraph only exported": (foreign, ValueError, ["exported"]),
    "a file that is not there": (lambda d: nngraph.load_model(d / "no.onnx"), FileNotFoundError, ["no.onnx"]),
    "a folder that is not there": (
        lambda d: classifier().save(d / "no" / "m.onnx"),
        FileNotFoundError,
        ["folder"],
    ),
    "another file ending": (lambda d: classifier().save(d / "m.h6"), ValueError, [".onnx"]),
    "a class that nobody registered": (
        lambda d: save_and_load(Sequential([Input((2,)), Unregistered()]), d),
        TypeError,
        ["Unregistered", "register_keras_serializable", "custom_objects"],
    ),
    "a layer that cannot be saved": (
        lambda d: save_and_load(Sequential([Input((2,)), Remembers(object(), name="odd")]), d),
        NotImplementedError,
        ["Remembers", "get_config"],
    ),
    "an export format that does not exist": (
        lambda d: classifier().export(d / "m", format="tf_saved_model"),
        ValueError,
        ["tf_saved_model", "onnx"],
    ),
    "an opset that does not exist": (
        lambda d: classifier().export(d / "m.onnx", opset_version=3),
        ValueError,
        ["opset_version=3"],
    ),
    # operations and traces
    "matrices that do not fit": (lambda _: ops.matmul(X, X), ValueError, ["20", "4"]),
    "a shape with other elements": (
        lambda _: ops.reshape(Input(batch_shape=(2, 4)), (-1, 3, 5)),
        ValueError,
        ["(2, 4)", "(-1, 3, 5)"],
    ),
    "a Python branch on a traced value": (
        lambda _: nngraph.function(lambda x: x if x[0] > 0 else -x)(X[0]),
        TypeError,
        ["ops.cond"],
    ),
    "numpy on a symbol": (lambda _: np.exp(Input((2,))), (TypeError, ValueError), []),
    "assigning another shape": (
        lambda _: nngraph.Variable(np.zeros(3), name="v").assign(np.zeros(4)),
        ValueError,
        ["'v'", "(3,)", "(4,)"],
    ),
    "a gradient through integers": (
        lambda _: nngraph.grad(lambda x: ops.sum(x))(np.array([1, 2])),
        ValueError,
        ["floating"],
    ),
    "a name that does not exist": (lambda _: nngraph.Modell, AttributeError, ["Modell"]),
    "an attribute of the wrong device": (
        lambda _: nngraph.runtime.resolve_device("gpu"),
        ValueError,
        ["gpu", "cuda"],
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_says_what_is_wrong(name: str, tmp_path: Path) -> None:
    action, error, texts = MISTAKES[name]
    with pytest.raises(error) as caught:
        action(tmp_path)
    message = str(caught.value)
    for text in texts:
        assert text in message, f"{text!r} is not in: {message}"
    assert len(message) < 900, f"too long to read: {message}"


def test_a_nan_loss_can_stop_the_training() -> None:
    model = classifier()
    bad = X.copy()
    bad[3, 1] = np.nan
    model.fit(bad, LABELS, epochs=5, verbose=0, callbacks=[nngraph.callbacks.TerminateOnNaN()])
    assert len(model.history.history["loss"]) == 1


def test_an_absent_runtime_is_named_with_both_remedies(monkeypatch: pytest.MonkeyPatch) -> None:
    from nngraph.runtime import device

    device.onnxruntime.cache_clear()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    try:
        with pytest.raises(ImportError) as caught:
            device.onnxruntime()
        assert "nngraph[cpu]" in str(caught.value) and "nngraph[cuda]" in str(caught.value)
    finally:
        device.onnxruntime.cache_clear()


def test_cuda_without_its_runtime_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from nngraph.runtime import device

    monkeypatch.setattr(device, "available_providers", lambda: ("CPUExecutionProvider",))
    monkeypatch.setattr(device, "cuda_problem", device.cuda_problem.__wrapped__)
    with pytest.raises(RuntimeError, match=r"nngraph\[cuda\]"):
        device.resolve_device("cuda")
    assert device.resolve_device("auto") == "cpu"


def test_a_machine_without_a_gpu_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from nngraph.runtime import device

    monkeypatch.setattr(device, "available_providers", lambda: ("CUDAExecutionProvider", "CPUExecutionProvider"))
    monkeypatch.setattr(device, "cuda_problem", device.cuda_problem.__wrapped__)
    refusal = RuntimeError("no CUDA device\nmore about it")
    runtime = device.onnxruntime()
    monkeypatch.setattr(runtime.OrtValue, "ortvalue_from_numpy", lambda *args: (_ for _ in ()).throw(refusal))
    with pytest.raises(RuntimeError, match=r"finds no usable GPU: no CUDA device$"):
        device.resolve_device("cuda")
    assert device.resolve_device("auto") == "cpu"


def test_token_numbers_beyond_the_vocabulary_name_the_layer() -> None:
    model = Sequential([Input((2,)), layers.Embedding(5, 3, name="words"), layers.Flatten(), layers.Dense(1)])
    model.compile("sgd", "mse")
    for act in (lambda x: model.predict(x, verbose=0), lambda x: model.fit(x, np.ones(1), verbose=0)):
        with pytest.raises(ValueError, match=r"words.*index 5 is outside of a table with 5 rows.*input_dim"):
            act(np.array([[1, 5]]))
    model.fit(np.array([[1, 4]]), np.ones(1), verbose=0)


def test_a_model_needs_both_ends_and_a_layer_an_input() -> None:
    with pytest.raises(TypeError, match="takes inputs= and outputs="):
        Model(inputs=Input((3,)))
    with pytest.raises(ValueError, match=r"'nothing' \(Flatten\) was called on None"):
        layers.Flatten(name="nothing")(None)
