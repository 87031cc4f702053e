"""Random numbers: their statistics, their independence, and that equal states give equal numbers everywhere."""

from __future__ import annotations

from collections.abc import Callable
from math import erf, sqrt
from typing import Any

import numpy as np
import pytest

from nngraph import config, random
from nngraph.ir import TensorType, verify
from nngraph.ops import Variable, raw
from nngraph.ops.bits import dropout_mask, random_bits
from nngraph.ops.trace import infer_composite, trace_graph
from nngraph.random import SeedGenerator
from nngraph.runtime import Session
from nngraph.schema import infer_types
from passes.autodiff import gradients

SHAPE = (64, 1024)


def draw(seed: int, counter: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray[Any, Any]:
    return random_bits(np.array([seed, counter], np.uint32), np.array(shape, np.int64))


def mask(seed: int, counter: int, rate: float, shape: tuple[int, ...] = SHAPE) -> np.ndarray[Any, Any]:
    state = np.array([seed, counter], np.uint32)
    return dropout_mask(state, np.array(shape, np.int64), rate=rate, dtype="float32")


def unit(words: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Words as numbers with mean 0 and variance 1."""
    return (words / 2.0**32 - 0.5) * sqrt(12)


def infer(node: Any) -> Any:
    return infer_composite(node) if node.domain else infer_types(node)


def reference_products(seed: int, counter: int, count: int, odd: bool) -> list[int]:
    """The table of the generator in Python integers, written from its description."""
    mask = 2**32 - 1
    a = (seed * 0x9E3779B2 + counter * 0x3C6EF35E + 0x85EBCA6B) & mask
    b = (seed * 0xC2B2AE35 + counter * 0x27D4EB2F + 0x165667B1) & mask

    def mix(k: int) -> int:
        x = (a * k + b) & mask
        x = x * ((x >> 16) * 0xD35A2D96 + 0x21F0AAAD) & mask
        return (x + (x >> 16)) & mask

    def element(i: int, j: int) -> int:
        r, s, c, d = mix(1024 + 2 * i), mix(1025 + 2 * i), mix(j), mix(512 + j)
        second = 2 * (s + d) + 1 if odd else s + d
        return (r + c) * second & mask

    return [element(n // 512, n % 512) for n in range(count)]


def reference_bits(seed: int, counter: int, count: int) -> list[int]:
    def last(x: int) -> int:
        exchanged = (x >> 16) | (x << 16 & 0xFFFFFFFF)
        return exchanged * 0x21F0AAAD & 0xFFFFFFFF

    return [last(x) for x in reference_products(seed, counter, count, True)]


STATES = [(3, 5), (0, 0), (2**32 - 1, 2**32 - 1), (1, 2**31)]


@pytest.mark.parametrize(("seed", "counter"), STATES)
def test_bits_are_those_of_the_description(seed: int, counter: int) -> None:
    assert draw(seed, counter, (2050,)).tolist() == reference_bits(seed, counter, 2050)
    assert draw(seed, counter, (7,)).tolist() == reference_bits(seed, counter, 7)


@pytest.mark.parametrize(("seed", "counter"), STATES)
def test_dropout_masks_are_those_of_the_description(seed: int, counter: int) -> None:
    products = reference_products(seed, counter, 1300, False)
    found = mask(seed, counter, 0.3, (13, 100))
    assert found.reshape(-1).tolist() == [float(np.float32(1 / 0.7)) * (p >= round(0.3 * 2**32)) for p in products]


def test_shorter_draws_begin_longer_ones() -> None:
    long = draw(1, 2, (5000,))
    for count in (0, 1, 7, 1023, 1024, 1025, 3000):
        assert (draw(1, 2, (count,)) == long[:count]).all()
    assert (draw(1, 2, (50, 100)).reshape(-1) == long).all()


@pytest.mark.parametrize("bits", [1, 4, 8, 12])
def test_upper_bits_are_uniform(bits: int) -> None:
    words = np.concatenate([draw(11, c).reshape(-1) for c in range(4)])
    counts = np.bincount(words >> np.uint32(32 - bits), minlength=2**bits)
    expected = words.size / 2**bits
    statistic = ((counts - expected) ** 2 / expected).sum()
    freedom = 2**bits - 1
    assert abs(statistic - freedom) < 4.5 * sqrt(2 * freedom)


def test_sums_have_the_variance_of_independent_numbers() -> None:
    fields = [unit(draw(seed, counter)) for seed in range(4) for counter in range(25)]
    totals = np.array([f.sum() / sqrt(f.size) for f in fields])
    rows = np.concatenate([f.sum(1) / sqrt(f.shape[1]) for f in fields])
    columns = np.concatenate([f.sum(0) / sqrt(f.shape[0]) for f in fields])
    for sums in (totals, rows, columns):
        assert abs(sums.mean()) < 4.5 / sqrt(sums.size)
        assert abs(sums.var() - 1) < 4.5 * sqrt(2 / sums.size)


def correlation(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    """In units of its standard deviation for independent numbers."""
    return float((a * b).mean() * sqrt(a.size))


@pytest.mark.parametrize("lag", [1, 2, 3, 8, 32])
def test_neighbours_counters_and_seeds_are_uncorrelated(lag: int) -> None:
    base = unit(draw(5, 100))
    assert abs(correlation(base[:, :-lag], base[:, lag:])) < 4.5
    assert abs(correlation(base[:-lag], base[lag:])) < 4.5
    assert abs(correlation(base, unit(draw(5, 100 + lag)))) < 4.5
    assert abs(correlation(base, unit(draw(5 + lag, 100)))) < 4.5
    assert abs(correlation(base, unit(draw(5 + lag, 100 + lag)))) < 4.5
    # Rectangles: what a sum of a row's and a column's number would betray.
    signs = np.sign(base)
    corners = signs[:-lag, :-lag] * signs[lag:, lag:]
    assert abs(correlation(corners, signs[:-lag, lag:] * signs[lag:, :-lag])) < 4.5


def test_a_shifted_seed_or_counter_does_not_shift_the_numbers() -> None:
    known = set(draw(1, 0, (4096,)).tolist())
    for seed, counter in ((2, 0), (1, 1), (2, 1), (0, 1), (1, 2)):
        assert len(known & set(draw(seed, counter, (4096,)).tolist())) <= 2


def flips(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """How often each of the 32 bits differs, in standard deviations from one half."""
    words = a.reshape(-1) ^ b.reshape(-1)
    shares = np.array([(words >> np.uint32(k) & 1).mean() for k in range(32)])
    return (shares - 0.5) * 2 * sqrt(words.size)


@pytest.mark.parametrize("seed", [0, 1, 0xDEADBEEF])
def test_each_bit_of_seed_and_counter_flips_each_bit_half_of_the_time(seed: int) -> None:
    places = (8, 1024)
    for counter in (0, 1, 77):
        base = draw(seed, counter, places)
        for k in range(32):
            assert np.abs(flips(base, draw(seed ^ 1 << k, counter, places))).max() < 5.5
            assert np.abs(flips(base, draw(seed, counter ^ 1 << k, places))).max() < 5.5


def test_each_bit_of_the_place_flips_each_bit_half_of_the_time() -> None:
    words = np.stack([draw(seed, counter, (32, 512)) for seed in (0, 9) for counter in range(8)])
    for k in range(9):
        assert np.abs(flips(words, words[:, :, np.arange(512) ^ 1 << k])).max() < 5.5
    for k in range(5):
        assert np.abs(flips(words, words[:, np.arange(32) ^ 1 << k])).max() < 5.5


def test_the_ends_of_the_range_are_as_likely_as_the_rest() -> None:
    """A last step that is not one to one leaves some numbers out and gives others twice."""
    words = np.concatenate([draw(2, counter, (2**20,)) for counter in range(8)])
    for bits in (14, 16, 18):
        expected = words.size / 2.0 ** (32 - bits)
        for end in (words, ~words):
            assert abs((end < 2**bits).sum() - expected) < 5 * sqrt(expected)


def test_whole_words_coincide_as_often_as_random_ones() -> None:
    words = np.sort(np.concatenate([draw(2, counter, (2**20,)) for counter in range(2)]))
    expected = words.size**2 / 2**33
    assert abs((words[1:] == words[:-1]).sum() - expected) < 5 * sqrt(expected)


def test_spacings_between_sorted_words_coincide_as_often_as_random_ones() -> None:
    """Marsaglia's birthday spacings: 4096 birthdays in a year of ``2**32`` days have on average 4 equal spacings."""
    words = np.stack([draw(seed, counter, (8, 512)) for seed in range(4) for counter in range(150)])
    fields = np.concatenate([words.reshape(-1, 4096), words.transpose(1, 2, 0).reshape(-1, 4096)])
    spacings = np.sort(np.diff(np.sort(fields.astype(np.int64), axis=1), axis=1), axis=1)
    expected = 4 * len(fields)
    assert abs((spacings[:, 1:] == spacings[:, :-1]).sum() - expected) < 5 * sqrt(expected)


@pytest.mark.parametrize("rate", [0.1, 0.5])
@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_masks_of_consecutive_steps_are_independent(seed: int, rate: float) -> None:
    """A neuron and its neighbours are dropped in steps k and k + lag no more often than by chance."""
    dropped = np.stack([mask(seed, counter, rate, (8, 512)) == 0 for counter in range(600)])
    x = (dropped - rate) / sqrt(rate * (1 - rate))
    assert abs(x.mean() * sqrt(x.size)) < 4.5
    for lag in (1, 2, 3, 16, 256):
        assert abs(correlation(x[lag:], x[:-lag])) < 4.5
        assert abs(correlation(x[lag:, :, 1:], x[:-lag, :, :-1])) < 4.5
        assert abs(correlation(x[lag:, 1:], x[:-lag, :-1])) < 4.5
    for lag in (1, 2, 8):
        assert abs(correlation(x[:, :, lag:], x[:, :, :-lag])) < 4.5
    assert abs(correlation(x[:, 1:], x[:, :-1])) < 4.5
    # Sums and products that vary too much, place by place, though their signs cancel over all places.
    for each in (
        x.mean(0) * sqrt(600),
        (x[1:] * x[:-1]).mean(0) * sqrt(599),
        x.mean(1) * sqrt(8),
        x.mean(2) * sqrt(512),
    ):
        assert abs((each**2).mean() - 1) * sqrt(each.size / 2) < 5
    corners = x[:, :-1, :-1] * x[:, 1:, 1:] * x[:, :-1, 1:] * x[:, 1:, :-1]
    assert abs(corners.mean() * sqrt(corners.size)) < 5


MOMENTS: dict[str, tuple[Callable[..., Any], float, float]] = {
    "uniform": (lambda **k: random.uniform(SHAPE, **k), 0.5, 1 / 12),
    "uniform_range": (lambda **k: random.uniform(SHAPE, -3, 5, **k), 1.0, 64 / 12),
    "normal": (lambda **k: random.normal(SHAPE, **k), 0.0, 1.0),
    "normal_scaled": (lambda **k: random.normal(SHAPE, 2.0, 3.0, **k), 2.0, 9.0),
    "truncated_normal": (lambda **k: random.truncated_normal(SHAPE, **k), 0.0, 0.7737413),
    "gamma_small": (lambda **k: random.gamma((32, 256), 0.3, **k), 0.3, 0.3),
    "gamma": (lambda **k: random.gamma((32, 256), 4.5, **k), 4.5, 4.5),
    "beta": (lambda **k: random.beta((32, 256), 2.0, 3.0, **k), 0.4, 0.04),
    "binomial": (lambda **k: random.binomial((64, 256), 10, 0.3, **k), 3.0, 2.1),
}


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("name", MOMENTS)
def test_mean_and_variance(name: str, dtype: str) -> None:
    fn, mean, variance = MOMENTS[name]
    x = fn(dtype=dtype, seed=9)
    assert x.dtype == dtype
    assert np.isfinite(x).all()
    wide = x.astype(np.float64)
    assert wide.mean() == pytest.approx(mean, abs=5 * sqrt(variance / x.size) + 1e-3)
    assert wide.var() == pytest.approx(variance, rel=0.12 if "gamma" in name else 0.04)


def test_normal_numbers_follow_the_normal_distribution() -> None:
    x = np.sort(random.normal((20000,), seed=4))
    exact = np.array([0.5 * (1 + erf(v / sqrt(2))) for v in x])
    steps = np.arange(1, x.size + 1) / x.size
    assert np.abs(exact - steps).max() < 1.7 / sqrt(x.size)  # Kolmogorov-Smirnov at about 0.5 %


def test_truncated_normal_numbers_follow_their_distribution() -> None:
    x = np.sort(random.truncated_normal((20000,), seed=4))
    whole = erf(2 / sqrt(2))
    exact = np.array([0.5 + 0.5 * erf(v / sqrt(2)) / whole for v in x])
    assert np.abs(x).max() <= 2
    assert np.abs(exact - np.arange(1, x.size + 1) / x.size).max() < 1.7 / sqrt(x.size)


def test_bounds_are_kept() -> None:
    x = random.uniform((200000,), 5.0, 6.0, seed=1)
    assert x.min() >= 5
    assert x.max() < 6
    # Near 1000 the floats are 2**-14 apart, so that many draws would round up to the bound.
    assert random.uniform((200000,), 1000.0, 1001.0, seed=1).max() < 1001
    half = random.uniform((200000,), dtype="float16", seed=1)
    assert half.max() < 1
    # Even the extreme words give a finite normal number.
    assert abs(random.normal((500000,), seed=2)).max() < 7


def test_randint_is_uniform_over_its_range() -> None:
    x = random.randint((60000,), -3, 9, seed=3)
    assert x.dtype == np.int32
    counts = np.bincount(x + 3, minlength=12)
    assert ((counts - 5000) ** 2 / 5000).sum() < 11 + 4.5 * sqrt(22)
    assert random.randint((4,), 2**40, 2**40 + 3, dtype="int64", seed=1).min() >= 2**40
    assert random.randint((100,), 0, 256, dtype="uint8", seed=1).dtype == np.uint8


def test_categorical_draws_with_the_probabilities() -> None:
    p = np.array([[0.1, 0.2, 0.7], [0.5, 0.5, 0.0]])
    x = random.categorical(np.log(np.maximum(p, 1e-30)).astype("float32"), 20000, seed=6)
    assert x.shape == (2, 20000)
    for row, want in zip(x, p, strict=True):
        assert np.bincount(row, minlength=3) / 20000 == pytest.approx(want, abs=0.015)
    with pytest.raises(ValueError, match=r"\(batch, classes\)"):
        random.categorical(np.zeros(3, "float32"), 2)


def test_shuffle_permutes_along_the_axis() -> None:
    x = np.arange(300).reshape(3, 100)
    y = random.shuffle(x, axis=1, seed=5)
    order = y[0]
    assert (order != np.arange(100)).any()
    assert (y == x[:, order]).all()
    firsts = [int(random.shuffle(np.arange(10), seed=s)[0]) for s in range(400)]
    assert np.bincount(firsts, minlength=10).min() > 15


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_keeps_the_mean(rate: float) -> None:
    y = random.dropout(np.ones(SHAPE, "float32"), rate, seed=3)
    assert set(np.unique(y).tolist()) == {0.0, float(np.float32(1 / (1 - rate)))}
    assert (y == 0).mean() == pytest.approx(rate, abs=5 * sqrt(rate * (1 - rate) / y.size))


def test_dropout_rates_at_the_ends_and_noise_shape() -> None:
    x = np.ones((6, 50), "float32")
    assert (random.dropout(x, 0.0, seed=1) == 1).all()
    assert (random.dropout(x, 1.0, seed=1) == 0).all()
    y = random.dropout(x, 0.5, noise_shape=(None, 1), seed=1)
    assert (y == y[:, :1]).all()
    with pytest.raises(ValueError, match=r"rate must be from 0 to 1, got 1\.5"):
        random.dropout(x, 1.5)
    with pytest.raises(ValueError, match="noise_shape"):
        random.dropout(x, 0.5, noise_shape=(1,))


def test_dropout_passes_the_gradient_through_the_same_mask() -> None:
    generator = SeedGenerator(3)
    graph, trace, y = trace_graph(
        lambda x: random.dropout(x, 0.4, seed=generator), [TensorType("float32", (20, 30))], ["x"]
    )
    graph.set_outputs([y], ["y"])
    feeds = {"x": np.full((20, 30), 3, "float32"), trace.sources[generator.state].name: generator.state.numpy()}
    forward = Session(graph, "cpu").run(feeds)["y"]
    backward = Session(gradients(graph, ["y"], ["x"]), "cpu").run(feeds)["grad_x"]
    assert forward == pytest.approx(3 * backward)
    assert (forward == random.dropout(feeds["x"], 0.4, seed=SeedGenerator(3))).all()


SYMBOLIC: dict[str, Callable[..., Any]] = {
    "uniform": lambda x, seed: random.uniform((x, 5), seed=seed),
    "normal": lambda x, seed: random.normal((x, 5), seed=seed),
    "truncated_normal": lambda x, seed: random.truncated_normal((x, 5), seed=seed),
    "randint": lambda x, seed: random.randint((x, 5), 0, 100, seed=seed),
    "gamma": lambda x, seed: random.gamma((x, 5), 1.5, seed=seed),
    "beta": lambda x, seed: random.beta((x, 5), 1.5, 2.5, seed=seed),
    "binomial": lambda x, seed: random.binomial((x, 5), 3, 0.5, seed=seed),
}


@pytest.mark.parametrize("name", SYMBOLIC)
def test_a_graph_with_symbolic_sizes_draws_the_eager_numbers(name: str) -> None:
    from nngraph.ops.core import shape

    fn, generator = SYMBOLIC[name], SeedGenerator(8)
    graph, trace, y = trace_graph(lambda x: fn(shape(x)[0], generator), [TensorType("float32", ("batch", 2))], ["x"])
    graph.set_outputs([y, trace.variables[generator.state]], ["y", "state"])
    verify(graph, infer)
    assert y.shape[1] == 5
    session = Session(graph, "cpu")
    eager = SeedGenerator(8)
    state = eager.state.numpy()
    for batch in (300, 1):
        feeds = {"x": np.zeros((batch, 2), "float32"), trace.sources[generator.state].name: state}
        found = session.run(feeds)
        expected = fn(batch, eager)
        state = found["state"]
        assert (state == eager.state.numpy()).all()
        if np.issubdtype(expected.dtype, np.integer) or name == "uniform":
            assert (found["y"] == expected).all()
        else:
            assert found["y"] == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_named_sizes_survive() -> None:
    from nngraph.ops.core import shape

    _, _, y = trace_graph(lambda x: random.dropout(x, 0.5, seed=1), [TensorType("float32", ("batch", "time", 3))])
    assert y.shape == ("batch", "time", 3)
    _, _, y = trace_graph(lambda x: random.normal((shape(x)[0], 4), seed=1), [TensorType("float32", ("batch", 3))])
    assert y.shape == ("batch", 4)


def test_a_large_draw_stores_no_large_constant() -> None:
    graph, _, y = trace_graph(lambda x: random.dropout(x, 0.5, seed=1), [TensorType("float32", (512, 4096))])
    graph.set_outputs([y])
    from nngraph.runtime.kernels import expand_composites

    expand_composites(graph)
    assert sum(v.data.nbytes for v in graph.constants if v.data is not None) < 0.02 * 8 * 2**20  # a share of the draw
    used = {n.op for n in graph}
    assert used <= {
        *("Add", "Mul", "BitShift", "Split", "Range", "Cast", "Reshape", "GreaterOrEqual"),
    }


def test_seed_generator_counts_and_resumes() -> None:
    generator = SeedGenerator(42)
    first = [random.normal((3,), seed=generator) for _ in range(3)]
    assert not np.array_equal(first[0], first[1])
    other = SeedGenerator(0)
    other.state.assign(np.array([42, 1], np.uint32))
    assert np.array_equal(random.normal((3,), seed=other), first[1])
    assert SeedGenerator.from_config(generator.get_config()).get_config() == generator.get_config()
    assert generator.state.numpy().tolist() == [42, 3]
    assert isinstance(generator.state, Variable)
    assert not generator.state.trainable


def test_the_global_seed_decides_what_no_seed_means() -> None:
    config.set_global_seed(5)
    a, b, generator = random.uniform((4,)), random.uniform((4,)), SeedGenerator()
    config.set_global_seed(5)
    assert np.array_equal(random.uniform((4,)), a)
    assert np.array_equal(random.uniform((4,)), b)
    assert np.array_equal(SeedGenerator().state.numpy(), generator.state.numpy())
    assert not np.array_equal(a, b)


def test_a_graph_without_a_seed_draws_anew_each_run() -> None:
    graph, trace, y = trace_graph(lambda x: random.uniform((4,)) + x, [TensorType("float32", ())], ["x"])
    ((variable, source),) = trace.sources.items()
    graph.set_outputs([y, trace.variables[variable]], ["y", "state"])
    session = Session(graph, "cpu")
    one = session.run({"x": np.float32(0), source.name: variable.numpy()})
    two = session.run({"x": np.float32(0), source.name: one["state"]})
    assert not np.array_equal(one["y"], two["y"])


@pytest.mark.parametrize("seed", [1.5, "a", True])
def test_a_seed_of_another_kind_is_refused(seed: Any) -> None:
    with pytest.raises(ValueError, match="seed must be an integer"):
        random.uniform((2,), seed=seed)
    with pytest.raises(ValueError, match="seed must be an integer"):
        SeedGenerator(seed)


def test_dtypes_are_checked() -> None:
    with pytest.raises(ValueError, match=r"random\.normal draws floating-point numbers"):
        random.normal((2,), dtype="int32")
    with pytest.raises(ValueError, match=r"random\.randint draws integers"):
        random.randint((2,), 0, 3, dtype="float32")
    with pytest.raises(ValueError, match="SeedGenerator takes"):
        SeedGenerator(seed=1, size=3)


def test_bounds_may_be_tensors() -> None:
    low = np.array([0.0, 10.0], "float32")
    x = random.uniform((1000, 2), low, low + 1, seed=1)
    assert (np.floor(x) == low).all()
    y = random.randint((1000, 2), np.array([0, 10]), np.array([2, 12]), seed=1)
    assert set(y[:, 1].tolist()) == {10, 11}
    z = raw.ReduceMean(random.normal((4000, 2), mean=low, stddev=np.float32(0.1), seed=1), np.array([0]), keepdims=0)
    assert z == pytest.approx(low, abs=0.02)
