"""Activations: values of Keras 3.15, and how they are named, found and saved."""

from __future__ import annotations

import numpy as np
import pytest

from nngraph import activations
from nngraph.transforms import function

X = np.array([-3.2, -1.0, -0.1, 0.0, 0.5, 2.0, 7.0], "float32")

# The values of Keras 3.15 at X; `threshold` with the arguments (0.5, 9), `glu` at all but the last of X.
VALUES = {
    "celu": [-0.9592378, -0.6321205, -0.0951626, 0.0, 0.5, 2.0, 7.0],
    "elu": [-0.9592378, -0.6321205, -0.0951626, 0.0, 0.5, 2.0, 7.0],
    "exponential": [0.0407622, 0.3678795, 0.9048374, 1.0, 1.6487212, 7.3890562, 1096.6331787],
    "gelu": [-0.0021988, -0.1586553, -0.0460172, 0.0, 0.3457312, 1.9544997, 7.0],
    "glu": [-1.6, -0.6224594, -0.0880797],
    "hard_shrink": [-3.2, -1.0, 0.0, 0.0, 0.0, 2.0, 7.0],
    "hard_sigmoid": [0.0, 0.3333333, 0.4833333, 0.5, 0.5833334, 0.8333334, 1.0],
    "hard_silu": [-0.0, -0.3333333, -0.0483333, 0.0, 0.2916667, 1.6666667, 7.0],
    "hard_swish": [-0.0, -0.3333333, -0.0483333, 0.0, 0.2916667, 1.6666667, 7.0],
    "hard_tanh": [-1.0, -1.0, -0.1, 0.0, 0.5, 1.0, 1.0],
    "leaky_relu": [-0.64, -0.2, -0.02, 0.0, 0.5, 2.0, 7.0],
    "linear": [-3.2, -1.0, -0.1, 0.0, 0.5, 2.0, 7.0],
    "log_sigmoid": [-3.2399533, -1.3132617, -0.7443967, -0.6931472, -0.474077, -0.126928, -0.0009115],
    "log_softmax": [-10.2102976, -8.0102978, -7.1102977, -7.0102978, -6.5102978, -5.0102978, -0.0102979],
    "mish": [-0.1277827, -0.3034014, -0.0567886, 0.0, 0.3752452, 1.943959, 6.999989],
    "relu": [0.0, 0.0, 0.0, 0.0, 0.5, 2.0, 7.0],
    "relu6": [0.0, 0.0, 0.0, 0.0, 0.5, 2.0, 6.0],
    "selu": [-1.6864355, -1.1113307, -0.1673052, 0.0, 0.5253505, 2.101402, 7.354907],
    "sigmoid": [0.0391657, 0.2689414, 0.4750208, 0.5, 0.6224594, 0.880797, 0.999089],
    "silu": [-0.1253303, -0.2689414, -0.0475021, 0.0, 0.3112297, 1.7615941, 6.9936228],
    "soft_shrink": [-2.7, -0.5, 0.0, 0.0, 0.0, 1.5, 6.5],
    "softmax": [3.68e-05, 0.000332, 0.0008167, 0.0009025, 0.001488, 0.0066689, 0.989755],
    "softplus": [0.0399533, 0.3132617, 0.6443967, 0.6931472, 0.974077, 2.1269281, 7.0009112],
    "softsign": [-0.7619048, -0.5, -0.0909091, 0.0, 0.3333333, 0.6666667, 0.875],
    "sparse_plus": [0.0, 0.0, 0.2025, 0.25, 0.5625, 2.0, 7.0],
    "sparse_sigmoid": [0.0, 0.0, 0.45, 0.5, 0.75, 1.0, 1.0],
    "sparsemax": [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0],
    "squareplus": [0.2867962, 0.618034, 0.9512492, 1.0, 1.2807764, 2.4142137, 7.1400547],
    "swish": [-0.1253303, -0.2689414, -0.0475021, 0.0, 0.3112297, 1.7615941, 6.9936228],
    "tanh": [-0.9966825, -0.7615942, -0.099668, 0.0, 0.4621172, 0.9640276, 0.9999983],
    "tanh_shrink": [-2.2033176, -0.2384058, -0.000332, 0.0, 0.0378828, 1.0359724, 6.0000019],
    "threshold": [9.0, 9.0, 9.0, 9.0, 9.0, 2.0, 7.0],
}


@pytest.mark.parametrize("name", VALUES)
def test_values(name: str) -> None:
    function = getattr(activations, name)
    if name == "threshold":
        result = function(X, 0.5, 9.0)
    elif name == "glu":
        result = function(X[:6])
    else:
        result = function(X)
    assert result.dtype == "float32"
    np.testing.assert_allclose(result, VALUES[name], rtol=2e-6, atol=2e-7)


def test_the_table_is_complete() -> None:
    assert set(VALUES) == set(activations.__all__) - {"get", "serialize", "deserialize"}


@pytest.mark.parametrize("name", sorted(VALUES))
def test_float64_stays_float64(name: str) -> None:
    function = getattr(activations, name)
    arguments = (0.5, 9.0) if name == "threshold" else ()
    x = X[:6].astype("float64")
    result = function(x, *arguments)
    assert result.dtype == "float64"
    np.testing.assert_allclose(result, function(X[:6], *arguments), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"negative_slope": 0.1, "max_value": 2.5, "threshold": 0.3}, [-0.73, -0.08, -0.03, -0.02, 0.5, 2.5]),
        ({"max_value": 6}, [0.0, 0.0, 0.0, 0.1, 0.5, 6.0]),
        ({"threshold": 0.5}, [0.0, 0.0, 0.0, 0.0, 0.0, 7.0]),
        ({"negative_slope": 0.3}, [-2.1, -0.15, 0.0, 0.1, 0.5, 7.0]),
        ({"negative_slope": 0.3, "threshold": -1.5}, [-1.65, -0.5, 0.0, 0.1, 0.5, 7.0]),
        ({"negative_slope": -0.1}, [0.7, 0.05, 0.0, 0.1, 0.5, 7.0]),
        ({"max_value": -1.0}, [-1.0, -1.0, -1.0, -1.0, -1.0, -1.0]),
    ],
)
def test_relu_arguments(arguments: dict, expected: list[float]) -> None:
    x = np.float32([-7.0, -0.5, 0.0, 0.1, 0.5, 7.0])
    np.testing.assert_allclose(activations.relu(x, **arguments), expected, rtol=1e-6, atol=1e-7)


MATRIX = np.float32([[1, 2, 3], [0, 0, -1]])


@pytest.mark.parametrize(
    ("name", "axis", "expected"),
    [
        ("softmax", 0, [[0.7310586, 0.880797, 0.9820138], [0.2689414, 0.1192029, 0.0179862]]),
        ("softmax", (0, 1), [[0.0834834, 0.2269314, 0.6168634], [0.0307118, 0.0307118, 0.0112982]]),
        ("log_softmax", 0, [[-0.3132616, -0.126928, -0.01815], [-1.3132616, -2.1269281, -4.0181499]]),
        ("sparsemax", 0, [[1, 1, 1], [0, 0, 0]]),
        ("glu", 0, [[0.5, 1.0, 0.8068243]]),
    ],
)
def test_axes(name: str, axis: object, expected: list) -> None:
    np.testing.assert_allclose(getattr(activations, name)(MATRIX, axis=axis), expected, rtol=1e-5, atol=1e-6)


def test_sparsemax_spreads_over_near_scores() -> None:
    np.testing.assert_allclose(activations.sparsemax(np.float32([[0.5, 0.3, -2.0]])), [[0.6, 0.4, 0.0]], atol=1e-6)


def test_approximate_gelu() -> None:
    np.testing.assert_allclose(
        activations.gelu(np.float32([-2.0, -1.0, 0.5]), approximate=True), [-0.0454023, -0.158808, 0.345714], atol=1e-6
    )


@pytest.mark.parametrize("name", sorted(VALUES))
def test_get_and_round_trip(name: str) -> None:
    function = getattr(activations, name)
    assert activations.get(name) is function
    assert activations.get(function) is function
    described = activations.serialize(function)
    assert described == {"swish": "silu", "hard_swish": "hard_silu"}.get(name, name)
    assert activations.deserialize(described) is function


def test_descriptions_of_functions() -> None:
    def mine(x):
        return x

    description = {"module": "builtins", "class_name": "function", "config": "relu", "registered_name": "function"}
    assert activations.deserialize(description) is activations.relu
    assert activations.get(description) is activations.relu
    assert activations.serialize(mine)["config"] == "mine"
    assert activations.deserialize(activations.serialize(mine), {"mine": mine}) is mine
    assert activations.deserialize("mine", {"mine": mine}) is mine
    assert activations.get(None) is activations.linear


def test_get_refuses_what_it_does_not_know() -> None:
    with pytest.raises(ValueError, match=r"Unknown activation 'leakyrelu'\. Did you mean 'leaky_relu'"):
        activations.get("leakyrelu")
    with pytest.raises(ValueError, match=r"known activation, .* Received: 3"):
        activations.get(3)
    with pytest.raises(ValueError, match="lambda cannot be serialized"):
        activations.serialize(lambda x: x)


@pytest.mark.parametrize("name", sorted(set(VALUES) - {"swish", "hard_swish"}))
def test_traced_as_eager(name: str) -> None:
    activation = getattr(activations, name)
    arguments = (0.5, 9.0) if name == "threshold" else ()
    traced = function(lambda x: activation(x, *arguments))
    x = X[:6].reshape(3, 2)
    np.testing.assert_allclose(traced(x), activation(x, *arguments), rtol=1e-5, atol=1e-6)
