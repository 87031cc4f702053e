"""Constraints: values of Keras 3.15, and how they are named, found and saved."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nngraph import constraints
from nngraph.transforms import function

W = np.array([[1.0, -2.0, 3.0], [-0.5, 0.25, 0.0]], "float32")

CASES = {  # name: (constraint, what Keras 3.15 makes of W)
    "max_norm": (constraints.MaxNorm(), [[0.9999999, -1.9845557, 2.0], [-0.5, 0.2480695, 0.0]]),
    "max_norm_of_rows": (
        constraints.MaxNorm(1.0, axis=1),
        [[0.2672612, -0.5345225, 0.8017837], [-0.4999999, 0.2499999, 0.0]],
    ),
    "max_norm_of_all": (
        constraints.MaxNorm(1.0, axis=[0, 1]),
        [[0.2643274, -0.5286549, 0.7929823], [-0.1321637, 0.0660819, 0.0]],
    ),
    "non_neg": (constraints.NonNeg(), [[1.0, 0.0, 3.0], [0.0, 0.25, 0.0]]),
    "unit_norm": (constraints.UnitNorm(), [[0.8944271, -0.9922779, 1.0], [-0.4472135, 0.124034733, 0.0]]),
    "unit_norm_of_rows": (
        constraints.UnitNorm(axis=1),
        [[0.2672612, -0.5345225, 0.8017837], [-0.894427, 0.4472135, 0.0]],
    ),
    "min_max_norm": (constraints.MinMaxNorm(), [[0.8944271, -0.9922779, 1.0], [-0.4472135, 0.1240347, 0.0]]),
    "min_max_norm_partly": (
        constraints.MinMaxNorm(0.5, 1.5, 0.3, axis=1),
        [[0.8202676, -1.6405351, 2.4608026], [-0.4999999, 0.2499999, 0.0]],
    ),
    "min_max_norm_of_integers": (constraints.MinMaxNorm(2, 3), [[1.7888541, -2.0, 3.0], [-0.8944271, 0.25, 0.0]]),
    "none": (constraints.Constraint(), W),
}


@pytest.mark.parametrize("name", CASES)
def test_values(name: str) -> None:
    constraint, expected = CASES[name]
    result = constraint(W)
    assert result.dtype == "float32"
    np.testing.assert_allclose(result, expected, rtol=1e-6)
    double = constraint(W.astype("float64"))
    assert double.dtype == "float64"
    np.testing.assert_allclose(double, expected, rtol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_zeros_stay_zeros(name: str) -> None:
    np.testing.assert_array_equal(CASES[name][0](np.zeros((2, 2), "float32")), np.zeros((2, 2)))


@pytest.mark.parametrize("axis", [0, 1, (0, 1)])
def test_norms_end_in_the_range(axis: object) -> None:
    w = np.random.default_rng(0).standard_normal((30, 40)) * np.geomspace(1e-3, 10, 40)

    def norms(x: np.ndarray) -> np.ndarray:
        return np.sqrt((x**2).sum(axis=axis))

    assert (norms(constraints.MaxNorm(0.7, axis)(w)) <= 0.7).all()
    np.testing.assert_allclose(norms(constraints.UnitNorm(axis)(w)), 1.0, rtol=1e-3)
    limited = norms(constraints.MinMaxNorm(0.2, 0.7, axis=axis)(w))
    assert (limited > 0.2 * 0.999).all()
    assert (limited <= 0.7).all()


def test_integers_can_be_made_non_negative() -> None:
    np.testing.assert_array_equal(constraints.NonNeg()(np.array([1, -1])), [1, 0])


@pytest.mark.parametrize(
    ("constraint", "configuration"),
    [
        (constraints.MaxNorm(), {"max_value": 2, "axis": 0}),
        (constraints.MaxNorm(3.0, [0, 1]), {"max_value": 3.0, "axis": [0, 1]}),
        (constraints.MinMaxNorm(), {"min_value": 0.0, "max_value": 1.0, "rate": 1.0, "axis": 0}),
        (constraints.NonNeg(), {}),
        (constraints.UnitNorm(axis=1), {"axis": 1}),
    ],
)
def test_configurations(constraint: constraints.Constraint, configuration: dict) -> None:
    assert constraint.get_config() == configuration
    copy = type(constraint).from_config(configuration)
    np.testing.assert_array_equal(copy(W), constraint(W))


@pytest.mark.parametrize("name", ["MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"])
def test_get_and_round_trip(name: str) -> None:
    make = getattr(constraints, name)
    alias = {"MaxNorm": "max_norm", "MinMaxNorm": "min_max_norm", "NonNeg": "non_neg", "UnitNorm": "unit_norm"}[name]
    assert getattr(constraints, alias) is make
    assert type(constraints.get(name)) is type(constraints.get(alias)) is make
    described = json.loads(json.dumps(constraints.serialize(make())))
    assert (described["module"], described["class_name"]) == ("nngraph.constraints", name)
    copy = constraints.deserialize(described)
    assert type(copy) is make
    assert copy.get_config() == make().get_config()


def test_get_refuses_what_it_does_not_know() -> None:
    assert constraints.get(None) is None
    with pytest.raises(ValueError, match="Did you mean 'max_norm'"):
        constraints.get("maxnormm")
    with pytest.raises(ValueError, match=r"known constraint, .* Received: 3"):
        constraints.get(3)


@pytest.mark.parametrize("name", sorted(set(CASES) - {"none"}))
def test_traced_as_eager(name: str) -> None:
    constraint = CASES[name][0]
    np.testing.assert_allclose(function(constraint)(W), constraint(W), rtol=1e-6)
