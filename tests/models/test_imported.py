"""load_onnx: models from elsewhere are called, fine-tuned, cut, extended, saved and exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import nngraph
from nngraph import layers, losses, ops, optimizers
from tests.models.foreign_models import convnet, custom_domain, fixed_batch, model_of, runtime, transformer

RNG = np.random.default_rng(0)
IMAGES = RNG.standard_normal((6, 1, 8, 8)).astype("float32")
LABELS = np.array([0, 1, 2, 0, 1, 2])


def _onnxruntime(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    return runtime(model).run(None, feeds)


def _loss_falls(model: nngraph.Model, x: np.ndarray, y: np.ndarray, steps: int = 5) -> list[float]:
    found = [float(model.train_on_batch(x, y)) for _ in range(steps + 1)]
    assert all(np.isfinite(found)), found
    assert found[-1] < found[0], found
    return found


# -- prediction and names -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("opset", [7, 9, 11, 13, 17, 21])
def test_it_predicts_what_the_runtime_computes(opset: int) -> None:
    proto = convnet(opset=opset)
    model = nngraph.load_onnx(proto)
    expected = _onnxruntime(proto, {"image": IMAGES})[0]
    np.testing.assert_allclose(model.predict(IMAGES, verbose=0), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model(IMAGES), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model({"image": IMAGES}), expected, rtol=1e-5, atol=1e-6)


def test_weights_have_the_names_and_roles_of_the_file() -> None:
    model = nngraph.load_onnx(convnet())
    assert [w.path for w in model.trainable_weights] == [
        *("features.0.weight", "features.0.bias", "features.1.weight", "features.1.bias"),
        *("classifier.weight", "classifier.bias"),
    ]
    assert [w.path for w in model.non_trainable_weights] == ["features.1.running_mean", "features.1.running_var"]
    assert model.input_names == ["image"]
    assert model.output_names == ["probabilities"]
    assert model.input_shape == (None, 1, 8, 8)
    assert model.output_shape == (None, 3)


def test_paths_bytes_and_protobufs_are_the_same_to_it(tmp_path: Path) -> None:
    proto = convnet()
    path = tmp_path / "net.onnx"
    onnx.save(proto, path)
    expected = nngraph.load_onnx(proto).predict(IMAGES, verbose=0)
    for source in (path, str(path), path.read_bytes()):
        np.testing.assert_array_equal(nngraph.load_onnx(source).predict(IMAGES, verbose=0), expected)
    assert nngraph.load_onnx(path).name == "net"


def test_the_summary_lists_the_nodes_with_weights(capsys: pytest.CaptureFixture[str]) -> None:
    nngraph.load_onnx(convnet(), trainable="classifier.*").summary(show_trainable=True)
    text = capsys.readouterr().out
    assert "conv (Conv)" in text and "fc (Gemm)" in text and "(None, 4, 8, 8)" in text
    assert "Trainable params: 195" in text  # 64 * 3 + 3
    assert "Non-trainable params: 56" in text


# -- training -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("opset", [9, 13])
def test_fine_tuning_changes_weights_and_statistics(opset: int, tmp_path: Path) -> None:
    model = nngraph.load_onnx(convnet(opset=opset))
    before = {w.path: w.numpy() for w in model.weights}
    model.compile(optimizers.SGD(0.05), losses.SparseCategoricalCrossentropy(), metrics=["accuracy"])
    model.fit(np.repeat(IMAGES, 20, 0), np.repeat(LABELS, 20), epochs=15, batch_size=12, verbose=0)
    result = model.evaluate(IMAGES, LABELS, verbose=0, return_dict=True)
    assert result["accuracy"] == 1.0
    assert all((w.numpy() != before[w.path]).any() for w in model.weights), "something did not train"
    path = tmp_path / "tuned.onnx"
    model.export(path, verbose=False)
    np.testing.assert_allclose(
        runtime(str(path)).run(None, {"image": IMAGES})[0], model.predict(IMAGES, verbose=0), rtol=1e-5, atol=1e-6
    )


def test_statistics_move_as_onnx_says() -> None:
    model = nngraph.load_onnx(convnet())
    model.compile(optimizers.SGD(0.0), losses.SparseCategoricalCrossentropy())
    weights = {w.path: w.numpy() for w in model.weights}
    inner = nngraph.load_onnx(convnet(), outputs="a").predict(IMAGES, verbose=0)
    model.train_on_batch(IMAGES, LABELS)
    found = {w.path: w.numpy() for w in model.weights}
    # ONNX: running = running * momentum + batch * (1 - momentum), by the population's variance.
    for name, batch in (("running_mean", inner.mean((0, 2, 3))), ("running_var", inner.var((0, 2, 3)))):
        expected = weights[f"features.1.{name}"] * 0.8 + batch * 0.2
        np.testing.assert_allclose(found[f"features.1.{name}"], expected, rtol=1e-5, atol=1e-6)


def test_gradients_are_those_of_the_same_keras_model() -> None:
    """The same network from our own layers, with equal weights, takes the same step."""
    model = nngraph.load_onnx(convnet(opset=13), trainable=["features.*", "classifier.*"])
    image = layers.Input((1, 8, 8))
    x = layers.Conv2D(4, 3, padding="same", data_format="channels_first", name="conv")(image)
    x = layers.BatchNormalization(axis=1, epsilon=1e-5, momentum=0.8, name="norm")(x)
    x = layers.MaxPooling2D(2, data_format="channels_first")(layers.ReLU()(x))
    twin = nngraph.Model(image, layers.Dense(3, activation="softmax", name="fc")(layers.Flatten()(x)))
    w = {v.path: v.numpy() for v in model.weights}
    twin.get_layer("conv").set_weights([w["features.0.weight"].transpose(2, 3, 1, 0), w["features.0.bias"]])
    norm = ("weight", "bias", "running_mean", "running_var")
    twin.get_layer("norm").set_weights([w[f"features.1.{n}"] for n in norm])
    twin.get_layer("fc").set_weights([w["classifier.weight"].T, w["classifier.bias"]])
    cut = nngraph.load_onnx(_without_dropout(convnet(opset=13)))
    for m in (cut, twin):
        m.compile(optimizers.SGD(0.1), losses.SparseCategoricalCrossentropy())
        for _ in range(3):
            m.train_on_batch(IMAGES, LABELS)
    found = {v.path: v.numpy() for v in cut.weights}
    np.testing.assert_allclose(found["classifier.weight"].T, twin.get_layer("fc").get_weights()[0], atol=1e-5)
    np.testing.assert_allclose(
        found["features.0.weight"].transpose(2, 3, 1, 0), twin.get_layer("conv").get_weights()[0], atol=1e-5
    )


def _without_dropout(proto: onnx.ModelProto) -> onnx.ModelProto:
    (drop,) = (n for n in proto.graph.node if n.op_type == "Dropout")
    (user,) = (n for n in proto.graph.node if drop.output[0] in n.input)
    user.input[0] = drop.input[0]
    proto.graph.node.remove(drop)
    return proto


def test_dropout_acts_in_training_only() -> None:
    model = nngraph.load_onnx(convnet(opset=13))
    quiet = [model(IMAGES, training=False) for _ in range(2)]
    noisy = [model(IMAGES, training=True) for _ in range(2)]
    np.testing.assert_array_equal(*quiet)
    assert (np.asarray(noisy[0]) != np.asarray(noisy[1])).any()


def test_a_mask_that_is_used_belongs_to_the_numbers_that_are_dropped() -> None:
    node = onnx.helper.make_node("Dropout", ["x", "ratio"], ["y", "kept"])
    count = onnx.helper.make_node("Cast", ["kept"], ["z"], to=1)
    proto = model_of([node, count], {"x": ["n", 50]}, ["y", "z"], {"ratio": np.array(0.5, "float32")}, opset=13)
    y, kept = nngraph.load_onnx(proto)(np.ones((4, 50), "float32"), training=True)
    np.testing.assert_array_equal(np.asarray(y), 2 * np.asarray(kept))
    assert 0 < np.asarray(kept).mean() < 1


def test_frozen_parts_stay_bit_identical() -> None:
    model = nngraph.load_onnx(convnet(), trainable="classifier.*")
    before = {w.path: w.numpy() for w in model.weights}
    model.compile("adam", losses.SparseCategoricalCrossentropy())
    model.fit(IMAGES, LABELS, epochs=3, verbose=0)
    for w in model.weights:
        same = (w.numpy() == before[w.path]).all()
        assert same != w.path.startswith("classifier."), w.path


def test_nothing_trains_when_nothing_may() -> None:
    model = nngraph.load_onnx(convnet(), trainable=False)
    assert model.trainable_weights == []
    assert len(model.non_trainable_weights) == 8


def test_a_transformer_of_plain_operators_trains(tmp_path: Path) -> None:
    proto = transformer()
    model = nngraph.load_onnx(proto)
    ids = RNG.integers(0, 20, (6, 7))
    expected = _onnxruntime(proto, {"ids": ids})[0]
    np.testing.assert_allclose(model.predict(ids, verbose=0), expected, rtol=1e-4, atol=1e-5)
    assert not any(w.path in ("two", "one", "eps", "scale") for w in model.weights)
    model.compile(optimizers.SGD(0.1), losses.SparseCategoricalCrossentropy(from_logits=True))
    _loss_falls(model, ids, LABELS)
    path = tmp_path / "transformer.onnx"
    model.export(path, verbose=False)
    for batch in (ids, ids[:2, :4]):  # sizes stay open
        np.testing.assert_allclose(
            runtime(str(path)).run(None, {"ids": batch})[0], model.predict(batch, verbose=0), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("name", ["squeezenet", "shufflenet"])
def test_networks_that_ship_with_onnx_train(name: str, tmp_path: Path) -> None:
    network_trains(name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["bvlc_alexnet", "densenet121", "inception_v1", "inception_v2", "resnet50", "vgg19", "zfnet512"]
)
def test_large_networks_that_ship_with_onnx_train(name: str, tmp_path: Path) -> None:
    network_trains(name, tmp_path)


def network_trains(name: str, folder_for_export: Path) -> None:
    """Import, five SGD steps on one image with falling loss, export, run in plain onnxruntime."""
    folder = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
    model = nngraph.load_onnx(folder / f"light_{name}.onnx")
    rng = np.random.default_rng(0)
    for w in model.weights:  # the files hold one number for all weights, which nothing can learn from
        if len(w.shape) > 1:
            w.assign((rng.standard_normal(w.shape) * np.sqrt(1.5 / np.prod(w.shape[1:]))).astype("float32"))
    (image,) = model.input_names
    x = rng.standard_normal(model.input_shape).astype("float32")
    y = np.zeros(model.output_shape, "float32")
    y.reshape(-1)[7] = 1

    def crossentropy(y_true: Any, y_pred: Any) -> Any:
        return -ops.sum(y_true * ops.log(y_pred + 1e-7))

    # DenseNet ends without a softmax.
    model.compile(optimizers.SGD(1e-3), "mse" if name == "densenet121" else crossentropy)
    _loss_falls(model, x, y)
    model.export(folder_for_export / "net.onnx", verbose=False)
    got = runtime(str(folder_for_export / "net.onnx")).run(None, {image: x})[0]
    np.testing.assert_allclose(got, model.predict(x, verbose=0), rtol=1e-3, atol=1e-6)


def test_masks_are_no_weights() -> None:
    make = onnx.helper.make_node
    nodes = [
        make("Add", ["x", "penalty"], ["a"]),
        make("Mul", ["a", "triangle"], ["b"]),
        make("Add", ["b", "position"], ["c"]),
        make("Mul", ["c", "scale"], ["y"]),
    ]
    weights = {
        "penalty": np.triu(np.full((4, 4), -1e9, "float32"), 1),
        "triangle": np.tril(np.ones((4, 4), "float32")),
        "position": np.zeros((1, 4, 4), "float32"),
        "scale": np.ones((1, 1, 4), "float32"),
    }
    model = nngraph.load_onnx(model_of(nodes, {"x": ["n", 4, 4]}, ["y"], weights))
    assert [w.path for w in model.weights] == ["position", "scale"]


# -- building on it -------------------------------------------------------------------------------------------------


def test_a_head_on_a_frozen_backbone() -> None:
    backbone = nngraph.load_onnx(convnet(), trainable=False, outputs="features")
    assert backbone.output_shape == (None, 64)
    image = layers.Input((1, 8, 8))
    model = nngraph.Model(image, layers.Dense(2, name="head")(backbone(image)))
    before = [w.numpy() for w in backbone.weights]
    model.compile(optimizers.SGD(0.05), losses.SparseCategoricalCrossentropy(from_logits=True))
    _loss_falls(model, IMAGES, LABELS % 2)
    for w, old in zip(backbone.weights, before, strict=True):
        np.testing.assert_array_equal(w.numpy(), old)


def test_its_own_symbols_connect() -> None:
    backbone = nngraph.load_onnx(convnet(), outputs=["features"])
    model = nngraph.Model(backbone.inputs, layers.Dense(2)(backbone.output))
    assert model.output_shape == (None, 2)
    assert len(model.trainable_weights) == 6  # four of the backbone that still matter, two of the head


def test_several_outputs_come_as_a_list() -> None:
    model = nngraph.load_onnx(convnet(), outputs=["features", "probabilities"])
    features, probabilities = model.predict(IMAGES, verbose=0)
    assert features.shape == (6, 64) and probabilities.shape == (6, 3)


def test_cutting_drops_weights_that_nothing_needs() -> None:
    model = nngraph.load_onnx(convnet(), outputs="a")
    assert [w.path for w in model.weights] == ["features.0.weight", "features.0.bias"]


def test_a_fixed_batch_size_can_be_opened() -> None:
    proto = fixed_batch()
    x = RNG.standard_normal((5, 3, 4)).astype("float32")
    with pytest.raises(ValueError, match=r"(?s)'x' must be float32\[1, 3, 4\].*input_shapes"):
        nngraph.load_onnx(proto)(x)
    model = nngraph.load_onnx(proto, input_shapes={"x": (None, 3, 4)})
    one = runtime(proto)
    expected = np.concatenate([one.run(None, {"x": row[None]})[0] for row in x])
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-5)
    model.compile(optimizers.SGD(0.1), "mse")
    _loss_falls(model, x, np.zeros((5, 5), "float32"))


# -- files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [convnet, transformer, fixed_batch, custom_domain])
def test_untouched_it_is_exported_as_it_was(make: object, tmp_path: Path) -> None:
    proto = make(opset=20) if make is convnet else make()  # type: ignore[operator]
    path = tmp_path / "again.onnx"
    nngraph.load_onnx(proto).export(path, verbose=False)
    again = onnx.load(path)
    onnx.checker.check_model(again, full_check=make is not custom_domain)
    assert {p.key: p.value for p in again.metadata_props} == {"author": "somebody", "classes": "a,b,c"}
    assert [i.name for i in again.graph.input] == [i.name for i in proto.graph.input]
    assert [o.name for o in again.graph.output] == [o.name for o in proto.graph.output]
    named = {n.name: (n.op_type, n.domain) for n in again.graph.node}
    for node in proto.graph.node:
        if node.name:
            assert named[node.name] == (node.op_type, node.domain)
    old = {t.name: onnx.numpy_helper.to_array(t) for t in proto.graph.initializer}
    new = {t.name: onnx.numpy_helper.to_array(t) for t in again.graph.initializer}
    for name, array in old.items():
        np.testing.assert_array_equal(new[name], array)
    (entry,) = proto.graph.input
    shape = [d.dim_value or 3 for d in entry.type.tensor_type.shape.dim]
    x = RNG.integers(0, 20, shape) if entry.name == "ids" else RNG.standard_normal(shape).astype("float32")
    np.testing.assert_array_equal(
        _onnxruntime(again, {entry.name: x})[0], _onnxruntime(proto, {entry.name: x})[0], strict=True
    )


def test_attributes_of_foreign_operators_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "again.onnx"
    nngraph.load_onnx(custom_domain()).export(path, verbose=False)
    again = onnx.load(path)
    assert {o.domain: o.version for o in again.opset_import}["com.microsoft"] == 1
    (node,) = (n for n in again.graph.node if n.op_type == "FusedMatMul")
    found = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    assert found == {"transB": 1, "alpha": 0.5}


def test_operators_that_nobody_knows_are_kept(tmp_path: Path) -> None:
    nodes = [
        onnx.helper.make_node("Relu", ["x"], ["a"]),
        onnx.helper.make_node("Wonder", ["a"], ["b"], "wonder", domain="my.lab", strength=3),
        onnx.helper.make_node("Relu", ["b"], ["y"]),
    ]
    proto = model_of(nodes, {"x": ["n", 2]}, ["y"], {}, domains={"my.lab": 2})
    path = tmp_path / "again.onnx"
    model = nngraph.load_onnx(proto)
    model.export(path, verbose=False)
    again = onnx.load(path)
    assert [(n.op_type, n.domain) for n in again.graph.node] == [("Relu", ""), ("Wonder", "my.lab"), ("Relu", "")]
    assert {o.domain: o.version for o in again.opset_import}["my.lab"] == 2
    with pytest.raises(ValueError, match=r"output 'y' .* not a tensor of known rank; cut the model with outputs="):
        model(np.zeros((1, 2), "float32"))


def test_external_data_is_read_when_it_is_needed(tmp_path: Path) -> None:
    proto = convnet()
    expected = nngraph.load_onnx(proto).predict(IMAGES, verbose=0)
    path = tmp_path / "net.onnx"
    onnx.save(proto, path, save_as_external_data=True, location="net.bin", size_threshold=0)
    model = nngraph.load_onnx(path)
    np.testing.assert_array_equal(model.predict(IMAGES, verbose=0), expected)
    with pytest.raises(ValueError, match=r"lies in the file 'net.bin' beside the model.*load it by its path"):
        nngraph.load_onnx(path.read_bytes())


def test_the_layout_of_hub_caches_loads(tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "abc"
    blobs.mkdir(), snapshot.mkdir(parents=True)
    onnx.save(convnet(), blobs / "m", save_as_external_data=True, location="net.onnx_data", size_threshold=0)
    (blobs / "net.onnx_data").rename(blobs / "d")
    (snapshot / "net.onnx").symlink_to("../../blobs/m")
    (snapshot / "net.onnx_data").symlink_to("../../blobs/d")
    model = nngraph.load_onnx(snapshot / "net.onnx")
    np.testing.assert_array_equal(
        model.predict(IMAGES, verbose=0), nngraph.load_onnx(convnet()).predict(IMAGES, verbose=0)
    )


def test_it_is_saved_and_goes_on_training_exactly(tmp_path: Path) -> None:
    model = nngraph.load_onnx(convnet(opset=13), trainable=["features.*", "classifier.*"])
    model.compile("adam", losses.SparseCategoricalCrossentropy())
    model.fit(IMAGES, LABELS, epochs=2, batch_size=3, verbose=0, shuffle=False)
    path = tmp_path / "model.onnx"
    model.save(path)
    again = nngraph.load_model(path)
    assert [w.path for w in again.trainable_weights] == [w.path for w in model.trainable_weights]
    for m in (model, again):
        m.fit(IMAGES, LABELS, epochs=2, batch_size=3, verbose=0, shuffle=False)
    for a, b in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=a.path)


def test_what_nngraph_exports_it_loads_again(tmp_path: Path) -> None:
    model = nngraph.Sequential([layers.Input((5, 3)), layers.LSTM(4), layers.Dense(2)])
    path = tmp_path / "net.onnx"
    model.export(path, verbose=False)
    x = RNG.standard_normal((3, 5, 3)).astype("float32")
    again = nngraph.load_onnx(path)
    np.testing.assert_allclose(again.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5, atol=1e-6)
    again.compile(optimizers.SGD(0.1), "mse")
    _loss_falls(again, x, np.ones((3, 2), "float32"))


# -- mistakes -------------------------------------------------------------------------------------------------------


def test_mistakes_are_named(tmp_path: Path) -> None:
    proto = convnet()
    with pytest.raises(ValueError, match=r"'clasifier.weight'.*'classifier.weight'"):
        nngraph.load_onnx(proto, trainable="clasifier.weight")
    with pytest.raises(ValueError, match=r"'feature'.*'features'"):
        nngraph.load_onnx(proto, outputs="feature")
    with pytest.raises(ValueError, match="'imag'"):
        nngraph.load_onnx(proto, input_shapes={"imag": (None, 1, 8, 8)})
    with pytest.raises(ValueError, match="input 'image' has 4 dimensions"):
        nngraph.load_onnx(proto, input_shapes={"image": (None, 8, 8)})
    with pytest.raises(ValueError, match="True, False, or patterns"):
        nngraph.load_onnx(proto, trainable=[1])  # type: ignore[list-item]
    with pytest.raises(FileNotFoundError, match="no file"):
        nngraph.load_onnx(tmp_path / "nothing.onnx")
    with pytest.raises(TypeError, match="a path, the bytes of a file"):
        nngraph.load_onnx(3)  # type: ignore[arg-type]
    (tmp_path / "text.onnx").write_text("hello, this is not a model at all" * 20)
    with pytest.raises(ValueError, match="not an ONNX model"):
        nngraph.load_onnx(tmp_path / "text.onnx")
    model = nngraph.load_onnx(proto)
    with pytest.raises(ValueError, match="has 1 inputs"):
        model([IMAGES, IMAGES])
    with pytest.raises(ValueError, match="needs the inputs"):
        model({"picture": IMAGES})


def test_everything_that_cannot_be_imported_is_listed_at_once() -> None:
    make = onnx.helper.make_node
    nodes = [
        make("Magic", ["x"], ["a"], "first"),
        make("Magic", ["a"], ["b"], "second"),
        make("Relu", ["b"], ["c"], "fine"),
        make("Wizardry", ["c"], ["d"], "third"),
    ]
    with pytest.raises(ValueError) as caught:
        nngraph.load_onnx(model_of(nodes, {"x": ["n", 4]}, ["d"], {}, opset=13))
    text = str(caught.value)
    assert "(opset 13) holds 2 thing(s) that nngraph cannot import" in text
    assert "operator 'Magic' does not exist in this opset; operators of your own need a domain" in text
    assert "(node 'first', 'second')" in text and "'Wizardry'" in text and "(node 'third')" in text


def test_what_has_no_gradient_is_listed_at_once() -> None:
    make = onnx.helper.make_node
    nodes = [
        make("BiasGelu", ["x", "b"], ["a"], "gelu", domain="com.microsoft"),
        make("MatMul", ["a", "w"], ["c"], "product"),
        make("FastGelu", ["c"], ["y"], "fast", domain="com.microsoft"),
    ]
    weights = {"b": np.ones(4, "float32"), "w": np.ones((4, 2), "float32")}
    model = nngraph.load_onnx(model_of(nodes, {"x": ["n", 4]}, ["y"], weights, domains={"com.microsoft": 1}))
    model.compile("sgd", "mse")
    with pytest.raises(ValueError) as caught:
        model.train_on_batch(np.ones((2, 4), "float32"), np.ones((2, 2), "float32"))
    text = str(caught.value)
    assert "2 operators on the way to the loss have no gradient" in text
    assert "com.microsoft::BiasGelu at node 'gelu'" in text and "com.microsoft::FastGelu at node 'fast'" in text
    assert "Freeze what lies below them" in text
