"""Defining models: sequential, functional, subclassed; shared layers, nesting, masks, cloning, summaries."""

from __future__ import annotations

import numpy as np
import pytest

import nngraph as keras
from nngraph import Input, Model, Sequential, layers, ops
from nngraph.ir import verify
from nngraph.models import Functional, clone_model
from nngraph.runtime import Session
from nngraph.schema import infer_types

X = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")


def test_sequential_grows_and_shrinks() -> None:
    model = Sequential()
    model.add(Input((4,)))
    model.add(layers.Dense(3))
    first = model.predict(X, verbose=0)
    model.add(layers.Dense(2))
    assert model.output_shape == (None, 2)
    assert model.predict(X, verbose=0).shape == (5, 2)
    model.pop()
    np.testing.assert_array_equal(model.predict(X, verbose=0), first)
    assert [type(layer).__name__ for layer in model.layers] == ["Dense"]


def test_sequential_without_an_input_shape_builds_on_data() -> None:
    model = Sequential([layers.Dense(3, activation="relu"), layers.Dense(2)])
    assert not model.built and model.weights == []
    assert model(X).shape == (5, 2)
    assert model.count_params() == 4 * 3 + 3 + 3 * 2 + 2
    with pytest.raises(ValueError, match="Input"):
        Sequential([layers.Dense(3)]).summary() or Sequential([layers.Dense(3)]).output_shape


def test_eager_traced_and_predicted_values_agree() -> None:
    model = Sequential([Input((4,)), layers.Dense(8, activation="gelu"), layers.LayerNormalization(), layers.Dense(3)])
    graph = model.graph()
    verify(graph, infer_types)
    assert graph.inputs[0].shape == ("batch", 4)
    traced = Session(graph, "cpu").run({graph.inputs[0].name: X})
    np.testing.assert_allclose(next(iter(traced.values())), model(X), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.predict(X, verbose=0), model(X), rtol=1e-5, atol=1e-6)
    fixed = model.graph(batch_size=5)
    assert fixed.inputs[0].shape == (5, 4) and fixed.outputs[0].shape == (5, 3)


def several_ends() -> Model:
    a, b = Input((4,), name="a"), Input((4,), name="b")
    shared = layers.Dense(6, activation="tanh", name="shared")
    total = shared(a) + 2.0 * shared(b)
    return Model({"a": a, "b": b}, {"left": layers.Dense(1, name="l")(total), "right": total[:, :2]})


def test_several_inputs_and_outputs_by_name_with_a_shared_layer() -> None:
    model = several_ends()
    assert sum(layer.name == "shared" for layer in model.layers) == 1
    assert len(model.weights) == 4
    out = model.predict({"b": X, "a": X + 1}, verbose=0)
    assert set(out) == {"left", "right"}
    kernel, bias = model.get_layer("shared").get_weights()
    expected = np.tanh((X + 1) @ kernel + bias) + 2 * np.tanh(X @ kernel + bias)
    np.testing.assert_allclose(out["right"], expected[:, :2], rtol=1e-5)
    graph = model.graph()
    assert graph.output_names == ["left", "right"]
    assert [v.name for v in graph.inputs] == ["a", "b"]


def test_lists_of_inputs_and_outputs() -> None:
    a, b = Input((4,)), Input((4,))
    model = Model([a, b], [a + b, layers.Dense(2)(a)])
    first, second = model.predict([X, X], verbose=0)
    np.testing.assert_allclose(first, 2 * X)
    assert second.shape == (5, 2)


def test_models_nest_and_share_weights() -> None:
    inner = Sequential([Input((4,)), layers.Dense(4, activation="relu")], name="inner")
    x = Input((4,))
    outer = Model(x, layers.Dense(1)(inner(inner(x))))
    assert len(outer.weights) == 4
    inner_out = inner.predict(inner.predict(X, verbose=0), verbose=0)
    kernel, bias = outer.layers[-1].get_weights()
    np.testing.assert_allclose(outer.predict(X, verbose=0), inner_out @ kernel + bias, rtol=1e-4, atol=1e-6)


def test_a_model_of_inner_tensors() -> None:
    model = Sequential([Input((4,)), layers.Dense(3, name="hidden"), layers.Dense(2)])
    features = Model(model.inputs, model.get_layer("hidden")(model.inputs[0]))
    kernel, bias = model.get_layer("hidden").get_weights()
    np.testing.assert_allclose(features.predict(X, verbose=0), X @ kernel + bias, rtol=1e-5)


def test_operations_on_keras_tensors_are_part_of_the_model() -> None:
    x = Input((4,))
    y = ops.concatenate([ops.relu(x), -x], axis=-1)
    y = ops.reshape(y, (-1, 2, 4))[:, 0, 1:3]
    model = Model(x, ops.where(y > 0.5, y, y * 0.1))
    z = np.concatenate([np.maximum(X, 0), -X], -1).reshape(-1, 2, 4)[:, 0, 1:3]
    np.testing.assert_allclose(model.predict(X, verbose=0), np.where(z > 0.5, z, z * np.float32(0.1)), rtol=1e-6)


class Residual(Model):
    def __init__(self, units: int) -> None:
        super().__init__()
        self.blocks = [layers.Dense(units, activation="relu") for _ in range(2)]
        self.named = {"out": layers.Dense(1)}

    def call(self, x, training=False):
        for block in self.blocks:
            x = x + block(x)
        return self.named["out"](x)


def test_a_subclassed_model_finds_layers_in_lists_and_dicts() -> None:
    model = Residual(4)
    assert model(X).shape == (5, 1)
    assert len(model.weights) == 6
    np.testing.assert_allclose(model.predict(X, verbose=0), model(X), rtol=1e-4, atol=1e-6)
    assert model.graph().inputs[0].shape == ("batch", 4)


class Named(Model):
    def __init__(self) -> None:
        x = Input((4,))
        super().__init__(inputs=x, outputs=layers.Dense(2)(x))
        self.extra = "kept"


def test_a_subclass_may_be_functional() -> None:
    model = Named()
    assert isinstance(model, Functional) and isinstance(model, Named)
    assert model.extra == "kept"
    assert model.predict(X, verbose=0).shape == (5, 2)


def test_freezing_reaches_all_layers_and_keeps_the_order_of_weights() -> None:
    model = Sequential([Input((4,)), layers.Dense(3), layers.BatchNormalization(), layers.Dense(1)])
    paths = [w.path for w in model.weights]
    model.layers[0].trainable = False
    assert [w.path for w in model.weights] == paths
    assert len(model.trainable_weights) == 4 and len(model.non_trainable_weights) == 4
    model.trainable = False
    assert model.trainable_weights == []
    model.trainable = True
    assert len(model.trainable_weights) == 6


def test_cloning_gives_new_weights_of_the_same_architecture() -> None:
    for model in (several_ends(), Sequential([Input((4,)), layers.Dense(3), layers.Dropout(0.5), layers.Dense(1)])):
        clone = clone_model(model)
        assert [w.shape for w in clone.weights] == [w.shape for w in model.weights]
        assert all(a is not b for a, b in zip(clone.weights, model.weights, strict=True))
        clone.set_weights(model.get_weights())
        data = {"a": X, "b": X} if isinstance(model.input, dict) else X
        a, b = clone.predict(data, verbose=0), model.predict(data, verbose=0)
        np.testing.assert_array_equal(a["left"] if isinstance(a, dict) else a, b["left"] if isinstance(b, dict) else b)


def test_a_clone_function_may_replace_layers() -> None:
    def half(layer):
        if isinstance(layer, layers.Dense):
            return layers.Dense(layer.units // 2, name=layer.name)
        return type(layer).from_config(layer.get_config())

    model = clone_model(Sequential([Input((4,)), layers.Dense(8), layers.Dense(2)]), clone_function=half)
    assert [w.shape for w in model.weights] == [(4, 4), (4,), (4, 1), (1,)]


def test_the_summary_is_a_table_with_totals() -> None:
    lines: list[str] = []
    several_ends().summary(print_fn=lines.append)
    text = "\n".join(lines)
    for expected in ("shared (Dense)", "(None, 6)", "30", "Total params: 37", "Connected to"):
        assert expected in text
    nested = Sequential([Input((4,)), Sequential([Input((4,)), layers.Dense(2, name="deep")], name="inner")])
    lines.clear()
    nested.summary(print_fn=lines.append, expand_nested=True, show_trainable=True)
    assert "deep (Dense)" in lines[0] and "Trainable" in lines[0]


def test_masks_travel_through_a_model() -> None:
    tokens = np.array([[1, 2, 0, 0], [3, 0, 0, 0]])
    x = Input((None,), dtype="int32")
    embedded = layers.Embedding(5, 3, mask_zero=True)(x)
    model = Model(x, layers.GlobalAveragePooling1D()(embedded))
    table = model.layers[1].get_weights()[0]
    expected = np.stack([table[[1, 2]].mean(0), table[3]])
    np.testing.assert_allclose(model.predict(tokens, verbose=0), expected, rtol=1e-5)
    np.testing.assert_allclose(model(tokens), expected, rtol=1e-5)


def test_add_loss_and_regularizers_count() -> None:
    class Penalty(layers.Layer):
        def call(self, inputs):
            self.add_loss(0.5 * ops.sum(inputs))
            return inputs

    model = Sequential([Input((4,)), layers.Dense(1, kernel_regularizer="l2", use_bias=False), Penalty()])
    model.compile("sgd", "mse")
    out = model.predict(X, verbose=0)
    kernel = model.get_weights()[0]
    expected = float(np.mean(out**2) + 0.5 * out.sum() + 0.01 * (kernel**2).sum())
    assert model.evaluate(X, np.zeros((5, 1)), verbose=0) == pytest.approx(expected, rel=1e-5)
    model(X)
    assert len(model.losses) == 2


def test_a_float64_model_computes_in_float64() -> None:
    model = Sequential([Input((4,), dtype="float64"), layers.Dense(8, activation="tanh", dtype="float64")])
    assert {w.dtype for w in model.weights} == {"float64"}
    x = X.astype("float64")
    kernel, bias = model.get_weights()
    result = model.predict(x, verbose=0)
    assert result.dtype == np.float64
    np.testing.assert_allclose(result, np.tanh(x @ kernel + bias), rtol=1e-12)


def test_the_facade_has_what_keras_has() -> None:
    for name in ("Sequential", "Model", "Input", "Layer", "layers", "losses", "ops", "utils", "backend", "datasets"):
        assert hasattr(keras, name)
    import nngraph.backend as K
    from nngraph.layers import Dense

    assert keras.layers.Dense is Dense
    np.testing.assert_allclose(K.dot(X, X.T), X @ X.T, rtol=1e-5)


def test_outputs_of_inner_layers_make_a_new_model() -> None:
    model = Sequential([Input((3,)), layers.Dense(4, name="a"), layers.Dense(2)])
    features = Model(model.inputs, [layer.output for layer in model.layers])
    x = np.ones((5, 3), "float32")
    inner, last = features.predict(x, verbose=0)
    np.testing.assert_allclose(inner, np.asarray(model.get_layer("a")(x)), rtol=1e-6)
    np.testing.assert_allclose(last, model.predict(x, verbose=0), rtol=1e-6)
    assert model.get_layer("a").input is model.inputs[0]
    with pytest.raises(AttributeError, match="begin the model with Input"):
        _ = layers.Dense(1).output


def test_a_forgotten_super_init_is_named() -> None:
    class Forgetful(layers.Layer):
        def __init__(self) -> None:
            self.units = 3

    with pytest.raises(RuntimeError, match=r"Forgetful.__init__ did not call super"):
        Forgetful()(np.ones((1, 2), "float32"))


def test_numpy_functions_on_symbols_name_the_ops() -> None:
    tensor = Input((3,))
    with pytest.raises(TypeError, match=r"nngraph.ops.exp"):
        np.exp(tensor)
    added = np.ones((1, 3), "float32")
    added += tensor
    assert Model(tensor, added).predict(np.ones((2, 3)), verbose=0).tolist() == [[2.0] * 3] * 2
    assert Model(tensor, tensor == 1.0).predict(np.eye(3), verbose=0).tolist() == np.eye(3, dtype=bool).tolist()
