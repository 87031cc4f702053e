"""Losses: the values of Keras 3.15, the same eagerly and in a graph, gradients, and what is said of wrong input."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden import loss_cases
from nngraph import config, losses, ops, saving
from nngraph.ops.masking import set_mask
from nngraph.runtime import Session
from passes import gradients
from traced import graph_of

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "golden" / "losses.json").read_text())
IDS = [loss_cases.key(*case) for case in loss_cases.CASES]


@pytest.mark.parametrize("case", loss_cases.CASES, ids=IDS)
def test_values_of_keras(case: tuple[str, dict, str]) -> None:
    found = loss_cases.compute(losses, *case)
    expected = GOLDEN[loss_cases.key(*case)]
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-6, atol=2e-6)


def test_every_loss_has_a_case() -> None:
    tested = {name for name, _, _ in loss_cases.CASES} | {"Loss", "LossFunctionWrapper"}
    assert tested == {name for name in losses.__all__ if name[0].isupper()}


@pytest.mark.parametrize("case", loss_cases.CASES, ids=IDS)
def test_in_a_graph_as_eagerly(case: tuple[str, dict, str]) -> None:
    name, kwargs, data = case
    y_true, y_pred = loss_cases.DATA[data]
    loss = getattr(losses, name)(**kwargs)
    graph = graph_of(loss, y_true, y_pred)
    (found,) = Session(graph, "cpu").run({"x0": y_true, "x1": y_pred}).values()
    np.testing.assert_allclose(found, loss(y_true, y_pred), rtol=1e-6)


SMOOTH = [c for c in loss_cases.CASES if "Hinge" not in c[0]]


@pytest.mark.parametrize("case", SMOOTH, ids=[loss_cases.key(*case) for case in SMOOTH])
def test_gradients(case: tuple[str, dict, str]) -> None:
    name, kwargs, data = case
    y_true, y_pred = loss_cases.DATA[data]
    y_pred = y_pred.astype("float64")
    loss = getattr(losses, name)(dtype="float64", **kwargs)
    graph = gradients(graph_of(loss, y_true, y_pred, batch=False), ["y"], ["x1"])
    *_, found = Session(graph, "cpu").run({"x0": y_true, "x1": y_pred}).values()
    direction = loss_cases.wave(*y_pred.shape, step=0.9).astype("float64")
    step = 1e-6 * direction
    slope = (loss(y_true, y_pred + step) - loss(y_true, y_pred - step)) / 2e-6
    np.testing.assert_allclose((found * direction).sum(), slope, rtol=1e-5, atol=1e-8)


# -- reduction, weights, masks ----------------------------------------------------------------------------------------


class Given(losses.Loss):
    def call(self, y_true: Any, y_pred: Any) -> Any:
        return y_pred


VALUES = np.array([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]], "float32")
MASK = np.array([[True, True, False], [True, False, False]])


@pytest.mark.parametrize(
    ("reduction", "weight", "expected"),
    [
        ("sum_over_batch_size", None, 11 / 3),
        ("mean", None, 11 / 3),
        ("sum", None, 11.0),
        ("mean_with_sample_weight", None, 11 / 3),
        ("sum_over_batch_size", [[2.0], [0.5]], (2 + 4 + 4) / 3),
        ("sum", [[2.0], [0.5]], 10.0),
        ("sum", [2.0, 0.5], 10.0),
        ("mean_with_sample_weight", [[2.0], [0.5]], 10 / 4.5),
        ("mean_with_sample_weight", [[0.0], [0.0]], 0.0),
    ],
)
def test_a_mask_takes_entries_out(reduction: str, weight: Any, expected: float) -> None:
    set_mask(VALUES, MASK)
    found = Given(reduction=reduction)(VALUES, VALUES, sample_weight=weight)
    assert float(found) == pytest.approx(expected, rel=1e-6)


def test_a_mask_and_an_ignored_class_meet() -> None:
    y_true, y_pred = loss_cases.DATA["sequence_labels"]
    plain = losses.SparseCategoricalCrossentropy(reduction="none")(y_true, y_pred)
    y_pred = y_pred.copy()
    mask = np.array([[True, True, False], [True, True, True]])
    set_mask(y_pred, mask)
    found = losses.SparseCategoricalCrossentropy(ignore_class=3)(y_true, y_pred)
    assert float(found) == pytest.approx(plain[mask & (y_true != 3)].mean(), rel=1e-5)


def test_a_mask_in_a_graph() -> None:
    def masked(x: Any, mask: Any) -> Any:
        set_mask(x, mask)
        return Given()(x, x)

    (found,) = Session(graph_of(masked, VALUES, MASK), "cpu").run({"x0": VALUES, "x1": MASK}).values()
    assert float(found) == pytest.approx(11 / 3, rel=1e-6)


def test_targets_take_the_dtype_of_the_loss() -> None:
    assert losses.MeanSquaredError()(np.array([[1]]), np.array([[3]])).dtype == np.float32
    assert losses.MeanSquaredError(dtype="float64")(np.array([[1]]), np.array([[3]])).dtype == np.float64
    config.set_floatx("float64")
    try:
        assert losses.Huber().dtype == "float64"
    finally:
        config.set_floatx("float32")


def test_class_numbers_stay_whole() -> None:
    """2**24 + 1 is no float32."""
    seen: list[str] = []

    class Spy(losses.SparseCategoricalCrossentropy):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            seen.append(str(y_true.dtype))
            return super().call(y_true, y_pred)

    Spy()(np.array([1.0, 0.0]), np.array([[0.5, 0.5]] * 2))
    assert seen == ["int32"]


# -- names and configurations -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("mse", losses.mean_squared_error),
        ("MSE", losses.mean_squared_error),
        ("mean_squared_error", losses.mean_squared_error),
        ("bce", losses.binary_crossentropy),
        ("KLD", losses.kl_divergence),
        ("MAPE", losses.mean_absolute_percentage_error),
        ("msle", losses.mean_squared_logarithmic_error),
        ("mae", losses.mean_absolute_error),
        ("categorical_generalized_cross_entropy", losses.categorical_generalized_cross_entropy),
    ],
)
def test_a_name_gives_the_function(name: str, function: Any) -> None:
    assert losses.get(name) is function


def test_every_class_has_a_name() -> None:
    for case in {c[0] for c in loss_cases.CASES}:
        assert type(losses.get(case)) is getattr(losses, case)
        assert type(losses.get(getattr(losses, case))) is getattr(losses, case)
    assert losses.get(None) is None


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(ValueError, match="Did you mean 'sparse_categorical_crossentropy'"):
        losses.get("sparse_categorical_crossentropi")
    with pytest.raises(ValueError, match=r"Unknown reduction 'summ'. Did you mean 'sum'"):
        losses.MeanSquaredError(reduction="summ")
    with pytest.raises(ValueError, match="loss"):
        losses.get(3)


@pytest.mark.parametrize("case", loss_cases.CASES, ids=IDS)
def test_configurations_come_back(case: tuple[str, dict, str]) -> None:
    name, kwargs, data = case
    loss = getattr(losses, name)(**kwargs, reduction="sum", name="mine", dtype="float32")
    described = json.loads(json.dumps(losses.serialize(loss)))
    assert described["module"] == "nngraph.losses"
    again = losses.deserialize(described)
    assert type(again) is type(loss)
    assert again.get_config() == loss.get_config()
    np.testing.assert_array_equal(again(*loss_cases.DATA[data]), loss(*loss_cases.DATA[data]))


def test_a_function_of_the_user_becomes_a_loss() -> None:
    @saving.register_keras_serializable("tests")
    def scaled(y_true: Any, y_pred: Any, factor: float = 1.0) -> Any:
        return factor * ops.mean(ops.abs(y_true - y_pred), axis=-1)

    loss = losses.LossFunctionWrapper(scaled, factor=3.0)
    assert loss.name == "scaled"
    again = losses.deserialize(losses.serialize(loss))
    for each in (loss, again):
        assert float(each(np.array([1.0, 2.0]), np.array([[2.0], [4.0]]))) == pytest.approx(4.5)


def test_functions_are_described_by_name() -> None:
    assert losses.deserialize(losses.serialize(losses.huber)) is losses.huber


def test_default_names() -> None:
    assert losses.Huber().name == "huber_loss"
    assert losses.KLDivergence().name == "kl_divergence"
    config.clear_session()
    assert [Given().name for _ in range(2)] == ["given", "given_1"]
    assert repr(losses.Huber()) == "<Huber name=huber_loss>"


# -- what is said of wrong input --------------------------------------------------------------------------------------

TEN = loss_cases.probabilities(6, 10)
CLASS_LOSSES = (
    losses.CategoricalCrossentropy(),
    losses.CategoricalFocalCrossentropy(),
    losses.categorical_crossentropy,
)


@pytest.mark.parametrize("labels", [np.arange(6), np.arange(6)[:, None]], ids=["vector", "column"])
@pytest.mark.parametrize("loss", CLASS_LOSSES, ids=["plain", "focal", "function"])
@pytest.mark.parametrize("traced", [False, True])
def test_class_numbers_for_one_hot_targets(loss: Any, labels: np.ndarray, traced: bool) -> None:
    with pytest.raises(ValueError, match=r"sparse_categorical_crossentropy.*to_categorical\(y, 10\)") as caught:
        graph_of(loss, labels, TEN) if traced else loss(labels, TEN)
    assert ("(None, 10)" if traced else "(6, 10)") in str(caught.value)


@pytest.mark.parametrize("traced", [False, True])
def test_one_hot_targets_for_class_numbers(traced: bool) -> None:
    loss = losses.SparseCategoricalCrossentropy()
    with pytest.raises(ValueError, match="One-hot targets go with 'categorical_crossentropy'"):
        graph_of(loss, TEN, TEN) if traced else loss(TEN, TEN)


@pytest.mark.parametrize(
    "name",
    [
        "mean_squared_error",
        "binary_crossentropy",
        "categorical_crossentropy",
        "kl_divergence",
        "hinge",
        "dice",
        "poisson",
    ],
)
def test_shapes_that_do_not_fit_are_named(name: str) -> None:
    with pytest.raises(ValueError, match=rf"Loss '{name}'.*y_true of shape \(6, 4\), y_pred of shape \(6, 10\)"):
        getattr(losses, name)(np.ones((6, 4)), TEN)


def test_a_vector_never_meets_a_matrix_by_chance() -> None:
    """With an unknown batch, (batch,) against (batch, 3) is an error even though the batch could be 3."""
    with pytest.raises(ValueError, match=r"y_true of shape \(None,\), y_pred of shape \(None, 3\)"):
        graph_of(losses.MeanSquaredError(), np.ones(3), np.ones((3, 3)))


def test_a_column_of_targets_broadcasts() -> None:
    assert float(losses.MeanSquaredError()(np.ones((2, 1)), np.zeros((2, 3)))) == 1.0


def test_weights_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match=r"Loss 'mean_squared_error': sample weights of shape \(3,\).*\(6,\)"):
        losses.MeanSquaredError()(TEN, TEN, sample_weight=np.ones(3))
    with pytest.raises(ValueError, match=r"sample weights of shape \(6, 10\)"):
        losses.MeanSquaredError()(TEN, TEN, sample_weight=np.ones((6, 10)))


def test_one_class_is_suspicious() -> None:
    with pytest.warns(SyntaxWarning, match="have only one"):
        losses.categorical_crossentropy(np.ones((2, 1)), np.ones((2, 1)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        losses.categorical_crossentropy(TEN, TEN)


def test_arguments_out_of_range() -> None:
    with pytest.raises(ValueError, match="q must be between 0 and 1"):
        losses.CategoricalGeneralizedCrossEntropy(q=1.0)
    with pytest.raises(ValueError, match="both of ref_labels and ref_embeddings"):
        losses.circle(np.array([0, 1]), np.eye(2), ref_labels=np.array([0, 1]))
    with pytest.raises(NotImplementedError, match="must define call"):
        losses.Loss()(1.0, 2.0)


def test_circle_against_references() -> None:
    labels, embeddings = loss_cases.DATA["embeddings"]
    found = losses.circle(labels, embeddings, ref_labels=labels, ref_embeddings=embeddings)
    np.testing.assert_allclose(found, losses.circle(labels, embeddings), rtol=1e-6)
    subset = losses.circle(
        labels, embeddings, ref_labels=labels[:3], ref_embeddings=embeddings[:3], remove_diagonal=False
    )
    assert subset.shape == (5,)
    assert subset[4] == 0  # its label is not among the references


def test_generalized_crossentropy_takes_a_column() -> None:
    labels, probabilities = loss_cases.DATA["labels"]
    loss = losses.CategoricalGeneralizedCrossEntropy(reduction="none")
    np.testing.assert_array_equal(loss(labels[:, None], probabilities), loss(labels, probabilities))
