"""Regularizers: values of closed forms and of Keras 3.15, and how they are named, found and saved."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nngraph import regularizers
from nngraph.transforms import function, grad

X = np.array([[1.0, -2.0, 3.0], [-0.5, 0.25, 0.0]], "float32")


@pytest.mark.parametrize(
    ("regularizer", "expected"),
    [
        (regularizers.L1(), 0.0675),
        (regularizers.L1(None), 0.0675),
        (regularizers.L2(), 0.143125),
        (regularizers.L1L2(0.1, 0.2), 3.5375),
        (regularizers.L1L2(l1=0.1), 0.675),
        (regularizers.L1L2(l2=0.2), 2.8625),
        (regularizers.L1L2(None, None), 0.0),
        (regularizers.OrthogonalRegularizer(0.5), 0.2390457),
        (regularizers.Regularizer(), 0.0),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values(regularizer: regularizers.Regularizer, expected: float, dtype: str) -> None:
    penalty = regularizer(X.astype(dtype))
    assert np.shape(penalty) == ()
    assert float(penalty) == pytest.approx(expected, rel=1e-6)
    if type(regularizer) is not regularizers.Regularizer and expected:
        assert penalty.dtype == dtype


@pytest.mark.parametrize("shape", [(4, 6), (6, 4), (5, 5)])
def test_orthogonality_is_the_mean_cosine_of_pairs(shape: tuple[int, int]) -> None:
    x = np.random.default_rng(0).standard_normal(shape)
    for mode, vectors in {"rows": x, "columns": x.T}.items():
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        cosines = [abs(unit[i] @ unit[j]) for i in range(len(unit)) for j in range(i)]
        # Keras halves the sum over ordered pairs and divides by the number of unordered ones.
        assert float(regularizers.OrthogonalRegularizer(1.0, mode)(x)) == pytest.approx(np.mean(cosines), rel=1e-9)


def test_orthogonal_vectors_cost_nothing() -> None:
    assert float(regularizers.OrthogonalRegularizer()(np.eye(3))) == 0.0
    assert float(regularizers.OrthogonalRegularizer()(np.ones((1, 3)))) == 0.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: regularizers.L1(-1), "argument l1 must be a finite number >= 0. Received: l1=-1"),
        (lambda: regularizers.L1("a"), "argument l1"),
        (lambda: regularizers.L2(float("nan")), "argument l2"),
        (lambda: regularizers.L1L2(l2=float("inf")), "argument l2"),
        (lambda: regularizers.OrthogonalRegularizer(mode="row"), "Did you mean 'rows'"),
        (lambda: regularizers.OrthogonalRegularizer()(np.ones((2, 2, 2))), "matrices only"),
    ],
)
def test_mistakes_are_explained(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_numpy_factors_are_numbers() -> None:
    assert regularizers.L1(np.float32(0.5)).get_config() == {"l1": 0.5}


def test_a_subclass_without_a_configuration_cannot_be_saved() -> None:
    class Mine(regularizers.Regularizer):
        pass

    with pytest.raises(NotImplementedError, match="Mine must define get_config"):
        Mine().get_config()


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("l1", regularizers.L1),
        ("L1", regularizers.L1),
        ("l2", regularizers.L2),
        ("L2", regularizers.L2),
        ("l1l2", regularizers.L1L2),
        ("l1_l2", regularizers.L1L2),
        ("L1L2", regularizers.L1L2),
        ("orthogonal_regularizer", regularizers.OrthogonalRegularizer),
        ("OrthogonalRegularizer", regularizers.OrthogonalRegularizer),
        (regularizers.L1, regularizers.L1),
        ({"class_name": "L2", "config": {"l2": 0.3}}, regularizers.L2),
    ],
)
def test_get(name: object, make: type) -> None:
    assert type(regularizers.get(name)) is make


@pytest.mark.parametrize(
    "regularizer",
    [
        regularizers.L1(0.5),
        regularizers.L2(0.5),
        regularizers.L1L2(0.5, 0.25),
        regularizers.OrthogonalRegularizer(0.5, "columns"),
    ],
)
def test_round_trip(regularizer: regularizers.Regularizer) -> None:
    described = json.loads(json.dumps(regularizers.serialize(regularizer)))
    assert described["module"] == "nngraph.regularizers"
    copy = regularizers.deserialize(described)
    assert type(copy) is type(regularizer)
    assert copy.get_config() == regularizer.get_config()


def test_get_refuses_what_it_does_not_know() -> None:
    assert regularizers.get(None) is None
    assert regularizers.get(abs) is abs
    with pytest.raises(ValueError, match=r"Unknown regularizer 'l1l22'\. Did you mean 'l1l2'"):
        regularizers.get("l1l22")
    with pytest.raises(ValueError, match=r"known regularizer, .* Received: 0.1"):
        regularizers.get(0.1)


@pytest.mark.parametrize("name", ["l1", "l2", "orthogonal_regularizer"])
def test_traced_as_eager_with_a_gradient(name: str) -> None:
    regularizer = regularizers.get(name)
    np.testing.assert_allclose(function(regularizer)(X), regularizer(X), rtol=1e-6)
    w = X.astype("float64") + 0.1
    step = 1e-6 * np.random.default_rng(0).standard_normal(w.shape)
    difference = (float(regularizer(w + step)) - float(regularizer(w - step))) / 2
    assert float(np.sum(grad(regularizer)(w) * step)) == pytest.approx(difference, rel=1e-5)
