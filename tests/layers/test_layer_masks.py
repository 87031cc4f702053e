"""Masks: who makes them, who passes them on, who uses them and where they end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nngraph import layers as L
from nngraph.ops import KerasTensor
from nngraph.ops.masking import get_mask, set_mask

IDS = np.array([[1, 2, 0, 0], [3, 0, 4, 0]])
MASK = IDS != 0


def masked(*shape: int, mask: np.ndarray = MASK) -> np.ndarray:
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    set_mask(x, mask)
    return x


def test_embedding_masks_zeros() -> None:
    np.testing.assert_array_equal(get_mask(L.Embedding(5, 2, mask_zero=True)(IDS)), MASK)
    assert get_mask(L.Embedding(5, 2)(IDS)) is None


def test_masking_layer_masks_steps_and_zeroes_them() -> None:
    x = np.array([[[1.0, -1.0], [-1.0, -1.0], [-1.0, 2.0]]], "float32")
    y = L.Masking(-1.0)(x)
    np.testing.assert_array_equal(get_mask(y), [[True, False, True]])
    np.testing.assert_array_equal(y, [[[1, -1], [0, 0], [-1, 2]]])


@pytest.mark.parametrize(
    "make",
    [
        lambda: L.Dense(2),
        lambda: L.Activation("relu"),
        lambda: L.Dropout(0.5),
        lambda: L.LayerNormalization(),
        lambda: L.BatchNormalization(),
        lambda: L.Identity(),
        lambda: L.ReLU(),
        lambda: L.GaussianNoise(0.1),
        lambda: L.Rescaling(2.0),
    ],
)
def test_layers_that_keep_the_steps_pass_the_mask_on(make: Any) -> None:
    np.testing.assert_array_equal(get_mask(make()(masked(2, 4, 3))), MASK)


def test_a_mask_goes_through_a_functional_call_as_a_symbol() -> None:
    y = L.Dense(2)(L.Embedding(5, 3, mask_zero=True)(KerasTensor((None, 4), "int32")))
    mask = get_mask(y)
    assert isinstance(mask, KerasTensor)
    assert (mask.shape, mask.dtype) == ((None, 4), "bool")


def test_a_layer_that_does_not_know_masks_says_so_once() -> None:
    class Sum(L.Layer):
        def call(self, inputs: Any) -> Any:
            return inputs.sum(axis=1)

    layer = Sum(name="total")
    with pytest.warns(UserWarning, match=r"layer 'total' \(Sum\) does not support masking"):
        assert get_mask(layer(masked(2, 4, 3))) is None
    layer(masked(2, 4, 3))  # warnings are errors here: it is not repeated


def test_global_average_takes_the_mean_of_the_steps_that_count() -> None:
    x = masked(2, 4, 3)
    y = L.GlobalAveragePooling1D()(x)
    expected = [x[k][MASK[k]].mean(axis=0) for k in range(2)]
    np.testing.assert_allclose(y, expected, rtol=1e-5)
    assert get_mask(y) is None


def test_softmax_gives_masked_places_nothing() -> None:
    x = np.random.default_rng(0).normal(size=(2, 4)).astype("float32")
    y = L.Softmax()(x, mask=np.array([[True, True, False, False], [False] * 4]))
    np.testing.assert_allclose(y[0, :2], np.exp(x[0, :2]) / np.exp(x[0, :2]).sum(), rtol=1e-5)
    np.testing.assert_array_equal(y[0, 2:], [0, 0])
    np.testing.assert_array_equal(y[1], [0, 0, 0, 0])


def test_batch_normalization_leaves_masked_steps_out_of_its_statistics() -> None:
    x = masked(2, 4, 3)
    layer = L.BatchNormalization(momentum=0.0)
    layer(x, training=True)
    np.testing.assert_allclose(layer.moving_mean.numpy(), x[MASK].mean(axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer.moving_variance.numpy(), x[MASK].var(axis=0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract"])
def test_a_merged_step_counts_where_it_does_in_any_input(name: str) -> None:
    other = np.array([[True, False, False, True], [True] * 4])
    merge = getattr(L, name)()
    np.testing.assert_array_equal(get_mask(merge([masked(2, 4, 3), masked(2, 4, 3, mask=other)])), MASK | other)
    assert get_mask(merge([masked(2, 4, 3), np.ones((2, 4, 3), "float32")])) is None


def test_concatenated_masks() -> None:
    a, plain = masked(2, 4, 3), np.ones((2, 2, 3), "float32")
    along = get_mask(L.Concatenate(axis=1)([a, plain]))
    np.testing.assert_array_equal(along, np.concatenate([MASK, np.ones((2, 2), bool)], axis=1))
    other = np.array([[True, False, False, True], [True] * 4])
    beside = get_mask(L.Concatenate()([a, masked(2, 4, 2, mask=other)]))
    np.testing.assert_array_equal(beside, MASK | other)
    assert get_mask(L.Concatenate()([np.ones((2, 1)), np.ones((2, 1))])) is None


def test_masks_that_the_output_has_no_place_for_end() -> None:
    assert get_mask(L.Dot(axes=2)([masked(2, 4, 3), masked(2, 4, 3)])) is None


def test_a_lambda_says_what_its_mask_is() -> None:
    x = masked(2, 4, 3)
    assert get_mask(L.Lambda(lambda t: t * 2, mask=lambda t, m: ~m)(x)).tolist() == (~MASK).tolist()
    seen = []
    L.Lambda(lambda t, mask: seen.append(mask) or t, mask=MASK)(x)
    np.testing.assert_array_equal(seen[0], MASK)


def test_the_scores_of_a_reversible_embedding_keep_the_mask() -> None:
    layer = L.ReversibleEmbedding(5, 3, mask_zero=True)
    y = layer(IDS)
    np.testing.assert_array_equal(get_mask(y), MASK)
    np.testing.assert_array_equal(get_mask(layer(y, reverse=True)), MASK)
