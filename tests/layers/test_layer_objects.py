"""Names, functions, wrappers, configurations: layers as objects."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import nngraph
from nngraph import layers as L
from nngraph.ops import KerasTensor
from nngraph.saving.registry import BUILTIN, register_keras_serializable

A, B = np.array([[1.0, 5.0]], "float32"), np.array([[4.0, 2.0]], "float32")


def test_aliases_are_the_same_classes() -> None:
    for n in (1, 2, 3):
        for alias, name in (
            (f"AvgPool{n}D", f"AveragePooling{n}D"),
            (f"MaxPool{n}D", f"MaxPooling{n}D"),
            (f"GlobalAvgPool{n}D", f"GlobalAveragePooling{n}D"),
            (f"GlobalMaxPool{n}D", f"GlobalMaxPooling{n}D"),
            (f"Convolution{n}D", f"Conv{n}D"),
            (f"Convolution{n}DTranspose", f"Conv{n}DTranspose"),
        ):
            assert getattr(L, alias) is getattr(L, name)
    assert L.SeparableConvolution2D is L.SeparableConv2D


def test_every_exported_layer_can_be_named_by_a_file() -> None:
    for name in L.__all__:
        cls = getattr(L, name)
        if isinstance(cls, type) and issubclass(cls, L.Layer):
            assert BUILTIN["nngraph.layers", name] is cls
    assert L.serialize(L.MaxPool2D())["class_name"] == "MaxPooling2D"


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (L.add, [[5, 7]]),
        (L.subtract, [[-3, 3]]),
        (L.multiply, [[4, 10]]),
        (L.average, [[2.5, 3.5]]),
        (L.maximum, [[4, 5]]),
        (L.minimum, [[1, 2]]),
        (L.concatenate, [[1, 5, 4, 2]]),
        (L.dot, [[14]]),
    ],
)
def test_functional_forms_of_merges(function: Any, expected: list[list[float]]) -> None:
    np.testing.assert_allclose(function([A, B]), expected)
    symbol = function([KerasTensor((None, 2)), KerasTensor((None, 2))], name="merged")
    assert symbol.shape == (None, np.shape(expected)[1])
    assert symbol.record.operation.name == "merged"


def test_cosine_similarity() -> None:
    expected = (A * B).sum() / np.linalg.norm(A) / np.linalg.norm(B)
    np.testing.assert_allclose(L.dot([A, B], axes=1, normalize=True), [[expected]], rtol=1e-6)


def test_serialize_and_deserialize() -> None:
    layer = L.Conv2D(4, (3, 2), activation="relu", kernel_initializer="he_normal", name="c")
    described = json.loads(json.dumps(L.serialize(layer)))
    assert (described["module"], described["class_name"]) == ("nngraph.layers", "Conv2D")
    assert L.deserialize(described).get_config() == layer.get_config()
    # The description that Keras writes names its own module.
    described["module"] = "keras.layers"
    assert L.deserialize(described).get_config() == layer.get_config()
    with pytest.raises(ValueError, match=r"Unknown class of nngraph.layers 'Denze'. Did you mean 'Dense'\?"):
        L.deserialize({"module": "nngraph.layers", "class_name": "Denze", "config": {}})
    with pytest.raises(ValueError, match="does not describe a layer"):
        L.deserialize({"module": "nngraph.initializers", "class_name": "Zeros", "config": {}})


def test_an_activation_can_be_a_layer() -> None:
    layer = L.Dense(2, activation=L.LeakyReLU(negative_slope=0.5), kernel_initializer="ones")
    assert layer(np.array([[-2.0]])).tolist() == [[-1.0, -1.0]]
    twin = L.deserialize(json.loads(json.dumps(L.serialize(layer))))
    assert twin.activation.negative_slope == 0.5


def test_old_spellings_are_accepted_with_a_warning() -> None:
    with pytest.warns(UserWarning, match=r"LeakyReLU\(alpha=...\) is an old spelling; write negative_slope="):
        assert L.LeakyReLU(alpha=0.2).negative_slope == 0.2
    with pytest.warns(UserWarning, match=r"Embedding\(input_length=...\) is an old spelling"):
        L.Embedding(10, 4, input_length=5)
    with pytest.warns(UserWarning, match=r"Dense\(input_dim=...\) is an old spelling"):
        L.Dense(2, input_dim=3)


def test_names_are_those_of_keras() -> None:
    nngraph.config.clear_session()
    made = [L.Dense(1), L.Dense(1), L.Conv2D(1, 1), L.MaxPooling1D(), L.ReLU(), L.PReLU(), L.GlobalAveragePooling2D()]
    assert [layer.name for layer in made] == [
        "dense",
        "dense_1",
        "conv2d",
        "max_pooling1d",
        "re_lu",
        "p_re_lu",
        "global_average_pooling2d",
    ]


# -- Lambda ---------------------------------------------------------------------------------------------------------


@register_keras_serializable("layer_tests")
def halved(x: Any, by: float = 2.0) -> Any:
    return x / by


def test_lambda_passes_arguments_and_training() -> None:
    assert L.Lambda(halved, arguments={"by": 4.0})(A).tolist() == [[0.25, 1.25]]
    layer = L.Lambda(lambda x, training: x + 1 if training else x)
    assert (layer(A, training=True) - layer(A, training=False)).tolist() == [[1, 1]]
    assert layer(KerasTensor((None, 3))).shape == (None, 3)


def test_a_lambda_with_a_registered_function_is_saved_by_name() -> None:
    layer = L.Lambda(halved, arguments={"by": 5.0})
    described = json.loads(json.dumps(L.serialize(layer)))
    assert described["config"]["function"]["config"] == "layer_tests>halved"
    assert L.deserialize(described)(A).tolist() == layer(A).tolist()


def test_a_lambda_of_a_function_of_this_package_is_saved_by_name() -> None:
    layer = L.Lambda(nngraph.activations.relu)
    np.testing.assert_array_equal(L.deserialize(L.serialize(layer))(-A), layer(-A))


def test_a_lambda_with_a_plain_function_is_not_saved() -> None:
    def plain(x: Any) -> Any:
        return x

    with pytest.raises(ValueError, match="register_keras_serializable"):
        L.serialize(L.Lambda(plain))
    with nngraph.saving.registry.CustomObjectScope({"plain": plain}):
        assert L.deserialize(L.serialize(L.Lambda(plain))).function is plain


# -- Wrapper --------------------------------------------------------------------------------------------------------


@register_keras_serializable("layer_tests")
class Twice(L.Wrapper):
    """Apply the layer two times."""

    def call(self, inputs: Any) -> Any:
        return self.layer(self.layer(inputs))


def test_wrapper_builds_tracks_and_saves_its_layer() -> None:
    layer = Twice(L.Dense(2, name="inner"), name="outer")
    y = layer(A)
    assert [w.path for w in layer.weights] == ["outer/inner/kernel", "outer/inner/bias"]
    kernel = layer.layer.kernel.numpy()
    np.testing.assert_allclose(y, A @ kernel @ kernel, rtol=1e-5)
    twin = L.deserialize(json.loads(json.dumps(L.serialize(layer))))
    twin.set_weights(layer.get_weights())
    np.testing.assert_array_equal(twin(A), y)


def test_the_identity_returns_what_it_is_given() -> None:
    assert L.Identity()(A) is A
    assert L.Identity().compute_output_shape((None, 3)) == (None, 3)
