"""Training steps as files: what plain onnxruntime computes with them is what `fit` and `train_on_batch` compute."""

from __future__ import annotations

import ast
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

import nngraph as keras
from nngraph import Input, Model, Sequential, layers, ops

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples" / "trainers"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"trainers_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TRAIN = load("train")


def about(path: Path) -> dict[str, Any]:
    """Return the description, as any program with onnxruntime gets it."""
    session = onnxruntime.InferenceSession(path)
    return json.loads(session.get_modelmeta().custom_metadata_map["nngraph.training"])


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def convolutional(batch: int = 8) -> tuple[Model, Any, Any]:
    model = Sequential(
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
    model.compile(keras.optimizers.Adam(name="adam"), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model, rng().normal(size=(batch, 8, 8, 2)).astype("float32"), rng().integers(0, 3, batch)


def regression() -> tuple[Model, Any, Any]:
    model = Sequential([Input((4,)), layers.Dense(8, activation="gelu"), layers.LayerNormalization(), layers.Dense(2)])
    rate = keras.optimizers.schedules.ExponentialDecay(0.1, 3, 0.9)
    model.compile(keras.optimizers.SGD(rate, momentum=0.9, clipnorm=1.0), "mse", metrics=["mae", "r2_score"])
    return model, rng().normal(size=(8, 4)).astype("float32"), rng().normal(size=(8, 2)).astype("float32")


def recurrent() -> tuple[Model, Any, Any]:
    model = Sequential(
        [
            Input((6,), dtype="int32"),
            layers.Embedding(20, 5, mask_zero=True),
            layers.Bidirectional(layers.LSTM(4)),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("rmsprop", "binary_crossentropy", metrics=["accuracy", "auc"])
    return model, rng().integers(0, 20, (8, 6)).astype("int32"), rng().integers(0, 2, (8, 1)).astype("float32")


def transformer() -> tuple[Model, Any, Any]:
    tokens = Input((6,), dtype="int32", name="tokens")
    x = layers.Embedding(20, 8)(tokens)
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 4, dropout=0.1)(x, x))
    x = layers.GlobalAveragePooling1D()(x)
    model = Model(tokens, layers.Dense(3)(x))
    model.compile(
        keras.optimizers.AdamW(1e-2, weight_decay=0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["sparse_categorical_accuracy"],
    )
    return model, rng().integers(0, 20, (8, 6)).astype("int32"), rng().integers(0, 3, 8)


@pytest.mark.parametrize("make", [convolutional, regression, recurrent, transformer])
def test_steps_outside_are_steps_inside(make: Any, tmp_path: Path) -> None:
    model, x, y = make()
    path = tmp_path / "step.onnx"
    model.export(path, format="onnx_training", opset_version=20, verbose=False)
    trainer = TRAIN.Trainer(path)
    for rows in (slice(0, 8), slice(0, 5), slice(3, 8)):  # the batch size is open
        there = trainer.step(x[rows], y[rows])
        here = model.train_on_batch(x[rows], y[rows], return_dict=True)
        for name, value in here.items():
            np.testing.assert_allclose(there[name], value, rtol=1e-5, atol=1e-6)
    trainer.save(tmp_path / "trained.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "trained.onnx")
    (predicted,) = session.run(None, {session.get_inputs()[0].name: x})
    np.testing.assert_allclose(predicted, model.predict(x, verbose=0), rtol=1e-4, atol=1e-5)


def deep() -> tuple[Model, Any, Any]:
    _, x, y = convolutional()
    parts: list[Any] = [Input((8, 8, 2), name="image")]
    for _ in range(4):
        parts += [layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization(), layers.ReLU()]
    model = Sequential([*parts, layers.Flatten(), layers.Dropout(0.3), layers.Dense(3, name="scores")])
    model.compile(keras.optimizers.Adam(name="adam"))
    return model, x, y


@pytest.mark.parametrize("make", [deep, transformer])
def test_a_step_that_computes_again_gives_the_same(make: Any, tmp_path: Path) -> None:
    counts, found = [], []
    for recompute in (None, True):
        keras.utils.set_random_seed(5)
        model, x, y = make()
        model.compile(model.optimizer, keras.losses.SparseCategoricalCrossentropy(True), recompute=recompute)
        path = tmp_path / f"{bool(recompute)}.onnx"
        model.export(path, format="onnx_training", batch_size=8, verbose=False)
        counts.append(len(onnx.load(path).graph.node))
        trainer = TRAIN.Trainer(path)
        losses = [trainer.step(x, y)["loss"] for _ in range(3)]
        found.append([*losses, *trainer.state.values()])
    assert counts[1] > counts[0]
    for again, kept in zip(*found, strict=True):
        np.testing.assert_allclose(again, kept, rtol=1e-6, atol=1e-7)


def test_an_epoch_of_fit_is_fifty_steps_of_the_example(tmp_path: Path) -> None:
    """The example's network has dropout and batch statistics, and Adam moves it."""
    keras.config.disable_interactive_logging()
    model = load("make_step").main(str(tmp_path))
    data = str(tmp_path / "digits.bin")
    arguments = ["--rows", "1600", "--epochs", "1", "--in-order", "--out", str(tmp_path / "trained.onnx")]
    found = TRAIN.main([str(tmp_path / "step.onnx"), data, *arguments])
    images, labels = TRAIN.read_digits(data)
    history = model.fit(images[:1600], labels[:1600], batch_size=32, shuffle=False, verbose=0).history
    assert found["loss"] == pytest.approx(history["loss"][0], rel=1e-5)
    assert found["accuracy"] == pytest.approx(history["accuracy"][0], rel=1e-5)
    (predicted,) = onnxruntime.InferenceSession(tmp_path / "trained.onnx").run(None, {"image": images[1600:]})
    np.testing.assert_allclose(predicted, model.predict(images[1600:], verbose=0), atol=1e-4)


def test_the_trainers_need_no_nngraph_and_are_short() -> None:
    names = {
        alias.name
        for node in ast.walk(ast.parse((EXAMPLES / "train.py").read_text()))
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert names == {"argparse", "hashlib", "json", "numpy", "onnxruntime"}

    def lines(*files: str) -> int:
        return sum(len((EXAMPLES / f).read_text().splitlines()) for f in files)

    assert lines("train.py") <= 150
    assert lines("trainer.mjs", "train.mjs") <= 150
    assert lines("page.mjs") <= 150


def test_the_files_are_plain_onnx(tmp_path: Path) -> None:
    model, _, _ = convolutional()
    model.export(tmp_path / "step.onnx", format="onnx_training", opset_version=19, verbose=False)
    for name in ("step.onnx", "step.infer.onnx"):
        file = onnx.load(tmp_path / name)
        onnx.checker.check_model(file, full_check=True)
        assert [(o.domain, o.version) for o in file.opset_import] == [("", 19)]
        assert {n.domain for n in file.graph.node} == {""} and not file.functions


def test_the_description_pairs_state_and_says_where_its_values_lie(tmp_path: Path) -> None:
    model, _, _ = convolutional()
    path = tmp_path / "step.onnx"
    model.export(path, format="onnx_training", verbose=False)
    told, data = about(path), path.read_bytes()
    session = onnxruntime.InferenceSession(path)
    inputs = {i.name: i for i in session.get_inputs()}
    named = [i["name"] for i in told["inputs"]] + [h["input"] for h in told["hyperparameters"]]
    assert {*named, *(s["input"] for s in told["state"])} == set(inputs)
    outputs = [r["name"] for r in told["results"]] + [s["output"] for s in told["state"]]
    assert outputs and set(outputs) == {o.name for o in session.get_outputs()}
    values = {v.path: v.numpy() for v in [*model.variables, *model.optimizer.variables]}
    stored = {t.name: numpy_helper.to_array(t) for t in onnx.load(path).training_info[0].initialization.initializer}
    for entry in told["state"]:
        raw = data[entry["offset"] : entry["offset"] + entry["length"]]
        array = np.frombuffer(raw, entry["dtype"]).reshape(entry["shape"])
        np.testing.assert_array_equal(array, stored[entry["input"]])
        np.testing.assert_array_equal(array, values[entry["input"]])
    kinds = {e["input"].split("/")[-1]: e["kind"] for e in told["state"]}
    assert kinds["kernel"] == "weight" and kinds["moving_mean"] == "statistic" and kinds["iteration"] == "optimizer"
    assert kinds["total"] == "metric" and kinds["seed_generator_state"] == "random"
    assert told["inputs"] == [
        {"name": "image", "dtype": "float32", "shape": ["batch", 8, 8, 2], "role": "x"},
        {"name": "y", "dtype": "int32", "shape": ["batch"], "role": "y"},
    ]
    assert [(h["name"], h["value"]) for h in told["hyperparameters"]] == [("learning_rate", pytest.approx(0.001))]
    assert data.decode("latin1").rindex('{"format": "nngraph.training"') == len(data) - len(json.dumps(told))


def test_the_caller_chooses_learning_rate_and_random_numbers(tmp_path: Path) -> None:
    model, x, y = convolutional()
    model.export(tmp_path / "step.onnx", format="onnx_training", verbose=False)

    def after(seed: int, rate: float) -> Any:
        trainer = TRAIN.Trainer(tmp_path / "step.onnx")
        trainer.reseed(seed)
        trainer.hyperparameters["learning_rate"] = np.array(rate, np.float32)
        trainer.step(x, y)
        return trainer.state["scores/kernel"], trainer.fresh["scores/kernel"]

    still, start = after(1, 0.0)
    np.testing.assert_array_equal(still, start)
    np.testing.assert_array_equal(after(1, 0.1)[0], after(1, 0.1)[0])
    assert np.abs(after(1, 0.1)[0] - after(2, 0.1)[0]).max() > 1e-3


def test_exporting_leaves_the_model_alone_and_begins_metrics_anew(tmp_path: Path) -> None:
    model, x, y = convolutional()
    model.fit(x, y, batch_size=4, verbose=0)
    before = [v.numpy() for v in [*model.weights, *model.optimizer.variables, *model.metrics_variables]]
    model.export(tmp_path / "step.onnx", format="onnx_training", verbose=False)
    after = [v.numpy() for v in [*model.weights, *model.optimizer.variables, *model.metrics_variables]]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    trainer = TRAIN.Trainer(tmp_path / "step.onnx")
    assert trainer.state["adam/iteration"] == 2
    assert all(not trainer.state[s["input"]].any() for s in trainer.about["state"] if s["kind"] == "metric")
    model.reset_metrics()
    assert trainer.step(x, y)["loss"] == pytest.approx(model.train_on_batch(x, y)[0], rel=1e-5)
    model.reset_metrics()
    trainer.reset_metrics()
    assert trainer.step(x, y)["loss"] == pytest.approx(model.train_on_batch(x, y)[0], rel=1e-5)


def test_the_document_names_every_key_and_its_procedure_works(tmp_path: Path) -> None:
    text = (EXAMPLES.parent.parent / "docs" / "training-anywhere.md").read_text()
    model, x, y = convolutional()
    model.export(tmp_path / "step.onnx", format="onnx_training", verbose=False)
    trainer = TRAIN.Trainer(tmp_path / "step.onnx")

    def keys(part: Any) -> set[str]:
        if isinstance(part, dict):
            return set(part).union(*map(keys, part.values()))
        return set().union(*map(keys, part)) if isinstance(part, list) else set()

    assert {key for key in keys(trainer.about) if f"`{key}`" not in text} == set()
    code = next(block for block in text.split("```python\n")[1:] if "def splice" in block).split("```")[0]
    space: dict[str, Any] = {}
    exec(code, space)
    trainer.step(x, y)
    trainer.save(tmp_path / "bytes.onnx")
    space["splice"](*(tmp_path / n for n in ("step.onnx", "step.infer.onnx")), trainer.state, tmp_path / "names.onnx")
    found = [
        onnxruntime.InferenceSession(tmp_path / n).run(None, {"image": x})[0] for n in ("bytes.onnx", "names.onnx")
    ]
    np.testing.assert_array_equal(*found)
    assert np.abs(
        found[0] - onnxruntime.InferenceSession(tmp_path / "step.infer.onnx").run(None, {"image": x})[0]
    ).max()


def test_frozen_layers_are_part_of_the_graph(tmp_path: Path) -> None:
    model, _, _ = convolutional()
    model.layers[0].trainable = False
    model.layers[1].trainable = False
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.export(tmp_path / "step.onnx", format="onnx_training", verbose=False)
    told = about(tmp_path / "step.onnx")
    assert [s["input"] for s in told["state"] if s["kind"] in ("weight", "statistic")] == [
        "scores/kernel",
        "scores/bias",
    ]
    assert [t["name"] for t in told["inference"]["tensors"]] == ["scores/kernel", "scores/bias"]


def test_averages_of_weights_are_what_is_trained(tmp_path: Path) -> None:
    model = Sequential([Input((4,), name="input"), layers.Dense(2)])
    model.compile(keras.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.5), "mse")
    x, y = rng().normal(size=(6, 4)).astype("float32"), np.zeros((6, 2), "float32")
    model.export(tmp_path / "step.onnx", format="onnx_training", verbose=False)
    trainer = TRAIN.Trainer(tmp_path / "step.onnx")
    for rows in (slice(0, 2), slice(2, 4), slice(4, 6)):
        trainer.step(x[rows], y[rows])
    trainer.save(tmp_path / "trained.onnx")
    model.fit(x, y, batch_size=2, shuffle=False, verbose=0)  # puts the averages in place at its end
    (predicted,) = onnxruntime.InferenceSession(tmp_path / "trained.onnx").run(None, {"input": x})
    np.testing.assert_allclose(predicted, model.predict(x, verbose=0), rtol=1e-5, atol=1e-6)


def test_several_inputs_and_outputs(tmp_path: Path) -> None:
    a, b = Input((4,), name="a"), Input((3,), name="b")
    x = ops.concatenate([a, b], axis=-1)
    model = Model([a, b], {"kind": layers.Dense(3, name="kind")(x), "size": layers.Dense(1, name="size")(x)})
    model.compile(
        "sgd",
        {"kind": keras.losses.SparseCategoricalCrossentropy(from_logits=True), "size": "mse"},
        loss_weights={"kind": 0.5, "size": 2.0},
    )
    model.export(tmp_path / "step.onnx", format="onnx_training", verbose=False)
    told = about(tmp_path / "step.onnx")
    assert [(i["name"], i["role"], i["shape"]) for i in told["inputs"]] == [
        ("a", "x", ["batch", 4]),
        ("b", "x", ["batch", 3]),
        ("y_kind", "y", ["batch"]),
        ("y_size", "y", ["batch", 1]),
    ]
    feeds = TRAIN.Trainer(tmp_path / "step.onnx").state
    batch = {
        "a": rng().normal(size=(5, 4)).astype("float32"),
        "b": rng().normal(size=(5, 3)).astype("float32"),
        "y_kind": rng().integers(0, 3, 5).astype("int32"),
        "y_size": rng().normal(size=(5, 1)).astype("float32"),
    }
    rate = {told["hyperparameters"][0]["input"]: np.array(0.01, np.float32)}
    session = onnxruntime.InferenceSession(tmp_path / "step.onnx")
    (loss, kind_loss) = session.run(["loss", "kind_loss"], {**feeds, **batch, **rate})
    here = model.train_on_batch(
        [batch["a"], batch["b"]], {"kind": batch["y_kind"], "size": batch["y_size"]}, return_dict=True
    )
    assert (float(loss), float(kind_loss)) == pytest.approx((here["loss"], here["kind_loss"]), rel=1e-5)


def test_an_example_shows_what_cannot_be_known(tmp_path: Path) -> None:
    model = Sequential([Input((3,), name="input"), layers.Dense(2)])
    model.compile("sgd", lambda y, p: ops.mean(ops.abs(y[:, :1] - p), axis=-1))
    x, y, w = np.ones((4, 3)), np.ones((4, 5)), np.ones(4)
    model.export(tmp_path / "step.onnx", format="onnx_training", example=(x, y, w), verbose=False)
    assert [(i["name"], i["dtype"], i["shape"]) for i in about(tmp_path / "step.onnx")["inputs"]] == [
        ("input", "float32", ["batch", 3]),
        ("y", "float32", ["batch", 5]),
        ("sample_weight", "float32", ["batch"]),
    ]


def test_a_batch_size_that_must_be_known(tmp_path: Path) -> None:
    class Rows(layers.Layer):
        def call(self, x):
            return x * float(1 / int(x.shape[0]))

    model = Sequential([Input((3,)), layers.Dense(2)])
    rows = Rows()
    model.compile("sgd", lambda y, p: ops.sum(rows(ops.square(y - p))))
    with pytest.raises(ValueError, match=r"(?s)needs to know how many rows a batch has.*batch_size=32") as caught:
        model.export(tmp_path / "step.onnx", format="onnx_training", verbose=False)
    assert "batch" in str(caught.value) and not list(tmp_path.iterdir())
    model.export(tmp_path / "step.onnx", format="onnx_training", batch_size=4, verbose=False)
    told = about(tmp_path / "step.onnx")
    assert told["batch_size"] == 4 and told["inputs"][0]["shape"] == [4, 3]
    assert told["inference"]["inputs"][0]["shape"] == ["batch", 3]


def test_other_faults_than_the_batch_size_speak_for_themselves(tmp_path: Path) -> None:
    def broken(y: Any, p: Any) -> Any:
        raise ValueError("this loss is broken")

    model = Sequential([Input((3,)), layers.Dense(2)])
    model.compile("sgd", broken)
    with pytest.raises(ValueError, match="this loss is broken") as caught:
        model.export(tmp_path / "step.onnx", format="onnx_training", verbose=False)
    assert "how many rows" not in str(caught.value)


def test_an_imported_model_trains_and_keeps_its_nodes(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("BatchNormalization", ["x", "scale", "shift", "mean", "var"], ["n"], name="normalize"),
        helper.make_node("Gemm", ["n", "w", "b"], ["g"], name="head", transB=1),
        helper.make_node("Dropout", ["g"], ["d"], name="dropout"),
        helper.make_node("Softmax", ["d"], ["p"], name="odds"),
    ]
    arrays = {
        "scale": np.float32([1, 2, 3, 4]),
        "shift": np.float32([0, 1, 0, 1]),
        "mean": np.float32([0.5, 0, 0, 0]),
        "var": np.float32([1, 1, 2, 1]),
        "w": rng().normal(size=(3, 4)).astype("float32"),
        "b": np.float32([0, 1, 0]),
    }
    file = helper.make_model(
        helper.make_graph(
            nodes,
            "net",
            [helper.make_tensor_value_info("x", 1, ["rows", 4])],
            [helper.make_tensor_value_info("p", 1, ["rows", 3])],
            [numpy_helper.from_array(a, n) for n, a in arrays.items()],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    onnx.save(file, tmp_path / "net.onnx")
    model = keras.load_onnx(tmp_path / "net.onnx")
    model.compile("adam", "sparse_categorical_crossentropy")
    model.export(tmp_path / "step.onnx", format="onnx_training", verbose=False)
    trainer = TRAIN.Trainer(tmp_path / "step.onnx")
    assert {s["input"]: s["kind"] for s in trainer.about["state"] if s["input"] in arrays} == {
        **dict.fromkeys(["scale", "shift", "w", "b"], "weight"),
        **dict.fromkeys(["mean", "var"], "statistic"),
    }
    x, y = rng().normal(size=(8, 4)).astype("float32"), rng().integers(0, 3, 8)
    for rows in (slice(0, 8), slice(0, 5)):
        there = trainer.step(x[rows], y[rows])
        assert float(there["loss"]) == pytest.approx(model.train_on_batch(x[rows], y[rows]), rel=1e-5)
    trainer.save(tmp_path / "trained.onnx")
    trained = onnx.load(tmp_path / "trained.onnx")
    assert [(n.name, n.op_type) for n in trained.graph.node if n.op_type != "Identity"] == [
        (n.name, n.op_type) for n in nodes
    ]
    (predicted,) = onnxruntime.InferenceSession(tmp_path / "trained.onnx").run(None, {"x": x})
    np.testing.assert_allclose(predicted, model.predict(x, verbose=0), rtol=1e-4, atol=1e-5)


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    model, x, y = convolutional()
    for name in ("one.onnx", "two.onnx"):
        model.export(tmp_path / name, format="onnx_training", verbose=False)
        model.train_on_batch(x, y)
    trainer = TRAIN.Trainer(tmp_path / "one.onnx")
    (tmp_path / "one.infer.onnx").write_bytes((tmp_path / "two.infer.onnx").read_bytes())
    with pytest.raises(SystemExit, match="not the inference model"):
        trainer.save(tmp_path / "trained.onnx")
    onnx.save(onnx.load(tmp_path / "two.onnx"), tmp_path / "moved.onnx")  # the same model, other bytes
    with pytest.raises(SystemExit, match="was changed"):
        TRAIN.Trainer(tmp_path / "moved.onnx")
    with pytest.raises(SystemExit, match="no training step"):
        TRAIN.Trainer(tmp_path / "two.infer.onnx")


def test_mistakes_are_named(tmp_path: Path) -> None:
    path = tmp_path / "step.onnx"
    model, x, y = convolutional()
    fresh = Sequential([Input((2,)), layers.Dense(1)])
    with pytest.raises(RuntimeError, match="must be compiled before its training step can be exported"):
        fresh.export(path, format="onnx_training")
    unbuilt = Sequential([layers.Dense(1)])
    unbuilt.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"no weights yet.*example=\(x, y\)"):
        unbuilt.export(path, format="onnx_training")
    with pytest.raises(ValueError, match=r"'onnx' or 'onnx_training'"):
        model.export(path, format="tf")
    with pytest.raises(ValueError, match=r"unknown arguments.*batch_size"):
        model.export(path, batch_size=4)
    with pytest.raises(ValueError, match="at least 1"):
        model.export(path, format="onnx_training", batch_size=0)
    with pytest.raises(ValueError, match="cannot express"):
        model.export(path, format="onnx_training", opset_version=13)
    with pytest.raises(ValueError, match="cannot both be written"):
        model.export(path, format="onnx_training", inference_path=path)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        model.export(tmp_path / "absent" / "step.onnx", format="onnx_training")
    with pytest.raises(ValueError, match="example: x holds 2 arrays"):
        model.export(path, format="onnx_training", example=([x, x], y))
    model.trainable = False
    model.compile("adam", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="no trainable weights"):
        model.export(path, format="onnx_training")
    assert not list(tmp_path.iterdir())
