"""Layers with state: moving statistics, freezing, random numbers, statistics of data, low-rank weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nngraph import layers as L
from nngraph import ops
from nngraph.ir import TensorType
from nngraph.ops.trace import trace_graph
from nngraph.random import SeedGenerator
from traced import TracedStep

X = np.random.default_rng(0).normal(2.0, 3.0, size=(64, 4)).astype("float32")


# -- batch normalisation --------------------------------------------------------------------------------------------


def test_batch_normalization_keeps_moving_averages_of_the_biased_variance() -> None:
    layer = L.BatchNormalization(momentum=0.9)
    layer(X, training=True)
    np.testing.assert_allclose(layer.moving_mean.numpy(), 0.1 * X.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance.numpy(), 0.9 + 0.1 * X.var(axis=0), rtol=1e-5)


def test_batch_normalization_uses_them_otherwise() -> None:
    layer = L.BatchNormalization(epsilon=0.5)
    layer.build((None, 4))
    layer.set_weights([np.full(4, v, "float32") for v in (2.0, 3.0, 1.0, 4.0)])
    for training in (False, None):
        np.testing.assert_allclose(layer(X, training=training), (X - 1) / np.sqrt(4.5) * 2 + 3, rtol=1e-5, atol=1e-5)
    assert layer.moving_mean.numpy().tolist() == [1.0] * 4


def test_a_frozen_batch_normalization_does_not_learn() -> None:
    layer = L.BatchNormalization()
    layer.trainable = False
    before = layer(X)
    np.testing.assert_array_equal(layer(X, training=True), before)
    assert layer.moving_mean.numpy().tolist() == [0.0] * 4
    assert layer.trainable_weights == []
    layer.trainable = True
    layer(X, training=True)
    assert layer.moving_mean.numpy().tolist() != [0.0] * 4
    assert [w.name for w in layer.trainable_weights] == ["gamma", "beta"]


def test_freezing_keeps_the_order_of_the_weights() -> None:
    layer = L.BatchNormalization()
    layer.build((None, 4))
    names = [w.name for w in layer.weights]
    layer.trainable = False
    assert [w.name for w in layer.weights] == names == ["gamma", "beta", "moving_mean", "moving_variance"]


def operators(layer: L.Layer, shape: tuple[Any, ...], **arguments: Any) -> list[str]:
    """Return the operators that a call records, those on weights alone left out."""
    graph, _trace, _ = trace_graph(lambda x: layer(x, **arguments), [TensorType("float32", shape)])
    reached = set(graph.inputs[:1])
    found = []
    for node in graph:
        if any(v in reached for v in node.inputs):
            reached.update(node.outputs)
            found.append(node.op)
    return found


def test_inference_graphs_are_plain() -> None:
    assert operators(L.BatchNormalization(), ("batch", 4)) == ["Mul", "Add"]
    assert operators(L.Dense(3), ("batch", 4)) == ["MatMul", "Add"]
    assert operators(L.Dense(3, activation="relu"), ("batch", "steps", 4)) == ["MatMul", "Add", "Relu"]
    assert operators(L.Dropout(0.5), ("batch", 4)) == []
    assert operators(L.Dropout(0.0), ("batch", 4), training=True) == []
    assert operators(L.Embedding(5, 3), ("batch", 4)) == ["Cast", "Gather"]
    first = {"data_format": "channels_first"}
    assert operators(L.Conv2D(3, 3, **first), ("batch", 2, 8, 8)) == ["Conv", "Add"]
    assert operators(L.MaxPooling2D(2, **first), ("batch", 2, 8, 8)) == ["MaxPool"]
    assert operators(L.Flatten(), ("batch", 2, 8)) == ["Reshape"]


def test_a_training_step_moves_the_averages_as_a_call_at_once() -> None:
    one, two = L.BatchNormalization(), L.BatchNormalization()
    for layer in (one, two):
        layer.build((None, 4))
    step = TracedStep(lambda x: one(x, training=True), X, batch=True)
    for _ in range(2):
        np.testing.assert_allclose(step(X), two(X, training=True), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(one.moving_mean.numpy(), two.moving_mean.numpy(), rtol=1e-6)
    np.testing.assert_allclose(one.moving_variance.numpy(), two.moving_variance.numpy(), rtol=1e-6)


# -- noise ----------------------------------------------------------------------------------------------------------

ONES = np.ones((200, 50), "float32")


def test_dropout_drops_the_rate_and_scales_the_rest() -> None:
    y = L.Dropout(0.3, seed=1)(ONES, training=True)
    assert sorted(set(y.ravel().tolist())) == [0.0, pytest.approx(1 / 0.7)]
    assert np.mean(y == 0) == pytest.approx(0.3, abs=0.02)


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    x = np.random.default_rng(1).normal(size=(400, 100)).astype("float32")
    y = L.AlphaDropout(0.4, seed=1)(x, training=True)
    assert y.mean() == pytest.approx(0, abs=0.02)
    assert y.var() == pytest.approx(1, abs=0.03)
    # Dropped entries all hold SELU's lower limit, mapped as Keras maps it.
    _values, counts = np.unique(y, return_counts=True)
    assert counts.max() / y.size == pytest.approx(0.4, abs=0.01)


def test_alpha_dropout_gives_the_numbers_of_keras() -> None:
    y = L.AlphaDropout(0.3, seed=1)(np.zeros((50, 10), "float32"), training=True)
    np.testing.assert_allclose(np.unique(y), [-1.0595481, 0.45409206], rtol=1e-6)


def test_gaussian_noise_and_dropout_have_their_spread() -> None:
    noise = L.GaussianNoise(0.5, seed=1)(ONES, training=True) - ONES
    assert (noise.mean(), noise.std()) == (pytest.approx(0, abs=0.02), pytest.approx(0.5, abs=0.02))
    times = L.GaussianDropout(0.2, seed=1)(ONES, training=True)
    assert (times.mean(), times.std()) == (pytest.approx(1, abs=0.02), pytest.approx(0.5, abs=0.02))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_spatial_dropout_drops_whole_channels(rank: int) -> None:
    x = np.ones((8, *(3,) * rank, 16), "float32")
    y = getattr(L, f"SpatialDropout{rank}D")(0.5, seed=1)(x, training=True)
    per_channel = y.reshape(8, -1, 16)
    assert set(np.unique(per_channel.min(axis=1) - per_channel.max(axis=1))) == {0.0}
    assert np.mean(per_channel[:, 0] == 0) == pytest.approx(0.5, abs=0.15)
    if rank == 2:
        first = L.SpatialDropout2D(0.5, data_format="channels_first", seed=1)(np.moveaxis(x, -1, 1), training=True)
        assert np.ptp(first, axis=(2, 3)).max() == 0


def test_every_call_draws_anew_and_the_seed_repeats_all() -> None:
    one, two = L.Dropout(0.5, seed=7), L.Dropout(0.5, seed=7)
    first, second = one(ONES, training=True), one(ONES, training=True)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(two(ONES, training=True), first)
    np.testing.assert_array_equal(two(ONES, training=True), second)
    assert not np.array_equal(L.Dropout(0.5, seed=8)(ONES, training=True), first)


def test_the_seed_state_is_a_variable_but_no_weight() -> None:
    layer = L.Dropout(0.5, seed=7)
    layer(ONES, training=True)
    assert layer.weights == []
    assert [v.numpy().tolist() for v in layer.variables] == [[7, 1]]


def test_layers_can_share_a_generator() -> None:
    generator = SeedGenerator(3)
    one, two = L.Dropout(0.5, seed=generator), L.Dropout(0.5, seed=generator)
    assert not np.array_equal(one(ONES, training=True), two(ONES, training=True))
    assert one.seed_generator is two.seed_generator
    assert L.Dropout.from_config(one.get_config()).seed_generator.get_config() == generator.get_config()


def test_noise_shape() -> None:
    y = L.Dropout(0.5, noise_shape=(None, 1), seed=1)(ONES, training=True)
    assert np.ptp(y, axis=1).max() == 0
    assert len(np.unique(y)) == 2


def test_each_image_is_flipped_or_not() -> None:
    x = np.arange(64 * 6.0, dtype="float32").reshape(64, 2, 3, 1)
    y = L.RandomFlip(seed=1)(x)
    ways = {
        (down, right): [np.array_equal(b, a[::down, ::right]) for a, b in zip(x, y, strict=True)]
        for down in (1, -1)
        for right in (1, -1)
    }
    assert np.sum(list(ways.values()), axis=0).tolist() == [1] * 64
    assert all(6 <= sum(found) <= 28 for found in ways.values())


def test_augmentation_is_for_training_and_for_calls_that_do_not_say() -> None:
    x = np.arange(12.0, dtype="float32").reshape(1, 3, 4, 1)
    for layer in (L.RandomTranslation((0.5, 0.5), 0.0), L.RandomRotation((0.3, 0.3)), L.RandomBrightness((0.1, 0.1))):
        np.testing.assert_array_equal(layer(x, training=False), x)
        assert not np.array_equal(layer(x, training=True), x)
        np.testing.assert_array_equal(layer(x), layer(x, training=True))
        np.testing.assert_array_equal(layer(x[0]), layer(x)[0])


def test_random_numbers_of_augmentation_differ_between_images() -> None:
    x = np.tile(np.random.default_rng(0).normal(size=(1, 4, 4, 1)), (5, 1, 1, 1))
    for layer in (L.RandomRotation(0.2), L.RandomZoom(0.5), L.RandomTranslation(0.3, 0.3), L.RandomContrast(0.5)):
        assert len({tuple(image.ravel().tolist()) for image in layer(x)}) == 5


# -- statistics of data ---------------------------------------------------------------------------------------------


def test_normalization_learns_from_arrays_and_batches_alike() -> None:
    expected = (X - X.mean(axis=0)) / X.std(axis=0)
    for data in (X, X.tolist(), (X[k : k + 10] for k in range(0, 64, 10)), [X[:7], X[7:]]):
        layer = L.Normalization()
        layer.adapt(data)
        np.testing.assert_allclose(layer(X), expected, rtol=1e-4, atol=1e-5)
    inverse = L.Normalization(invert=True)
    inverse.adapt(X)
    np.testing.assert_allclose(inverse(expected), X, rtol=1e-4, atol=1e-4)


def test_adapt_forgets_what_it_learned_before() -> None:
    layer = L.Normalization()
    layer.adapt(X + 100)
    layer.adapt(X)
    np.testing.assert_allclose(layer.mean, X.mean(axis=0, keepdims=True), rtol=1e-5)


def test_adapt_stops_after_steps() -> None:
    layer = L.Normalization()
    layer.adapt(iter([X[:8], X[8:16], X[16:] + 1000]), steps=2)
    np.testing.assert_allclose(layer.mean, X[:16].mean(axis=0, keepdims=True), rtol=1e-4)


def test_adapt_takes_an_indexed_data_set() -> None:
    class Batches:
        def __len__(self) -> int:
            return 4

        def __getitem__(self, index: int) -> tuple[np.ndarray]:
            return (X[16 * index : 16 * index + 16],)

    layer = L.Normalization()
    layer.adapt(Batches())
    np.testing.assert_allclose(layer.variance, X.var(axis=0, keepdims=True), rtol=1e-5)


def test_normalization_over_chosen_axes() -> None:
    x = np.random.default_rng(3).normal(size=(20, 3, 5)).astype("float32")
    both, none = L.Normalization(axis=(1, 2)), L.Normalization(axis=None)
    both.adapt(x)
    none.adapt(x)
    np.testing.assert_allclose(both(x), (x - x.mean(0)) / x.std(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(none(x), (x - x.mean()) / x.std(), rtol=1e-4, atol=1e-5)
    assert [w.shape for w in both.weights] == [(3, 5), (3, 5), ()]


def test_what_was_learned_travels_with_the_weights() -> None:
    layer = L.Normalization()
    layer.adapt(X)
    twin = L.Normalization.from_config(layer.get_config())
    twin.build((None, 4))
    twin.set_weights(layer.get_weights())
    np.testing.assert_array_equal(twin(X), layer(X))


@pytest.mark.parametrize(
    ("data", "bins", "boundaries"),
    [
        (np.arange(1.0, 11.0), 4, [2.5, 5.0, 7.5]),
        (np.arange(1.0, 12.0), 4, [2.75, 5.5, 8.25]),
        (np.random.RandomState(0).randn(10, 1), 3, [0.0645731166, 0.9691881537]),
    ],
)
def test_discretization_finds_the_boundaries_of_keras(data: np.ndarray, bins: int, boundaries: list[float]) -> None:
    layer = L.Discretization(num_bins=bins)
    layer.adapt(data)
    np.testing.assert_allclose(layer.bin_boundaries, boundaries, rtol=1e-5)
    twin = L.Discretization.from_config(layer.get_config())
    np.testing.assert_array_equal(twin(data), layer(data))
    assert set(np.unique(layer(data))) == set(range(bins))


# -- other weights --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (L.Dense(3), X),
        (L.Conv1D(3, 2), X.reshape(4, 16, 4)),
        (L.Embedding(5, 6), np.array([[0, 4], [2, 1]])),
        (L.EinsumDense("ab,bc->ac", 3), X),
    ],
    ids=lambda v: type(v).__name__,
)
def test_low_rank_weights_change_nothing_at_first_and_train_instead(layer: Any, x: np.ndarray) -> None:
    before = layer(x)
    frozen = layer.trainable_weights[0]
    layer.enable_lora(2, lora_alpha=4)
    np.testing.assert_allclose(layer(x), before, rtol=1e-6)
    assert not frozen.trainable
    a, b = layer.trainable_weights[-2:]
    b.assign(np.ones(b.shape, "float32"))
    whole = getattr(layer, layer._lora_name)
    np.testing.assert_allclose(np.asarray(whole), frozen.numpy() + 2 * a.numpy() @ b.numpy(), rtol=1e-5, atol=1e-6)
    assert not np.allclose(layer(x), before)
    assert layer.get_config()["lora_rank"] == 2


def test_spectral_normalization_brings_the_largest_singular_value_to_one() -> None:
    layer = L.SpectralNormalization(L.Dense(5), power_iterations=50)
    layer(X, training=True)
    values = np.linalg.svd(layer.layer.kernel.numpy())[1]
    assert values[0] == pytest.approx(1, abs=1e-3)
    before = layer.layer.kernel.numpy()
    layer(X)
    np.testing.assert_array_equal(layer.layer.kernel.numpy(), before)


def test_an_embedding_starts_from_given_weights() -> None:
    table = np.arange(6.0).reshape(3, 2)
    for weights in (table, [table]):
        np.testing.assert_array_equal(L.Embedding(3, 2, weights=weights)(np.array([2, 0])), table[[2, 0]])


def test_activity_regularization_adds_to_the_losses() -> None:
    layer = L.ActivityRegularization(l1=0.5, l2=0.25)
    layer(np.array([[1.0, -2.0], [3.0, 0.0]]))
    assert [float(loss) for loss in layer.losses] == [pytest.approx((0.5 * 6 + 0.25 * 14) / 2)]
    dense = L.Dense(2, kernel_initializer="ones", kernel_regularizer="l2", activity_regularizer="l1", use_bias=False)
    dense(np.array([[1.0, 1.0]]))
    assert sorted(float(loss) for loss in dense.losses) == [pytest.approx(0.01 * 4), pytest.approx(0.01 * 4)]


def test_a_float64_layer_computes_in_float64() -> None:
    layer = L.Dense(3, dtype="float64")
    y = layer(X.astype("float64"))
    assert y.dtype == np.float64
    np.testing.assert_allclose(y, X.astype("float64") @ layer.kernel.numpy(), rtol=1e-12)


def test_integers_are_computed_with_as_floats() -> None:
    y = L.Dense(2, kernel_initializer="ones")(np.array([[1, 2]]))
    assert (y.dtype, y.tolist()) == (np.float32, [[3.0, 3.0]])
    assert ops.dtype_of(L.Rescaling(0.5)(np.array([[1, 2]], "uint8"))) == "float32"
