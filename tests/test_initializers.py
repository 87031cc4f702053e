"""Initializers: shapes, dtypes, reproducibility, and the statistics that Keras has.

Limits and standard deviations are closed forms; the values of STFT and the configurations were taken from Keras 3.15.
"""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from nngraph import config, initializers
from nngraph.random import SeedGenerator
from nngraph.saving import CustomObjectScope

RANDOM = (
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "LecunNormal",
    "LecunUniform",
    "Orthogonal",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
)
CUT = 0.87962566103423978

SCALED = {  # class: (scale, mode), and whether it is uniform
    "GlorotNormal": (1.0, "avg", False),
    "GlorotUniform": (1.0, "avg", True),
    "HeNormal": (2.0, "in", False),
    "HeUniform": (2.0, "in", True),
    "LecunNormal": (1.0, "in", False),
    "LecunUniform": (1.0, "in", True),
}


@pytest.mark.parametrize("name", RANDOM)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", None])
def test_shape_and_dtype(name: str, dtype: str | None) -> None:
    values = getattr(initializers, name)(seed=1)((3, 4, 5), dtype=dtype)
    assert isinstance(values, np.ndarray)
    assert values.shape == (3, 4, 5)
    assert values.dtype.name == (dtype or "float32")
    assert np.unique(values.astype("float32")).size > 10


@pytest.mark.parametrize("name", RANDOM)
def test_the_seed_decides(name: str) -> None:
    make = getattr(initializers, name)
    shape = (6, 5)
    one = make(seed=1)
    first = one(shape)
    np.testing.assert_array_equal(one(shape), first)
    np.testing.assert_array_equal(make(seed=1)(shape), first)
    np.testing.assert_array_equal(make(seed=np.int64(1))(shape), first)
    assert not np.array_equal(make(seed=2)(shape), first)


@pytest.mark.parametrize("name", RANDOM)
def test_without_a_seed_the_global_one_decides(name: str) -> None:
    make = getattr(initializers, name)
    config.set_global_seed(5)
    one, two = make(), make()
    first = one((6, 5))
    np.testing.assert_array_equal(one((6, 5)), first)
    assert not np.array_equal(two((6, 5)), first)
    config.set_global_seed(5)
    np.testing.assert_array_equal(make()((6, 5)), first)
    config.set_global_seed(6)
    assert not np.array_equal(make()((6, 5)), first)


def test_draws_stay_the_same_across_versions() -> None:
    np.testing.assert_allclose(
        initializers.RandomUniform(0, 1, seed=1337)((4,), dtype="float64"),
        np.random.Generator(np.random.Philox(key=1337)).random(4),
    )


def test_a_seed_generator_gives_new_values_each_time() -> None:
    generator = SeedGenerator(7)
    initializer = initializers.RandomNormal(seed=generator)
    first, second = initializer((5,)), initializer((5,))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(initializers.RandomNormal(seed=SeedGenerator(7))((5,)), first)


def test_a_seed_generator_is_saved() -> None:
    described = json.loads(json.dumps(initializers.serialize(initializers.HeNormal(seed=SeedGenerator(7)))))
    assert described["config"]["seed"]["class_name"] == "SeedGenerator"
    copy = initializers.deserialize(described)
    np.testing.assert_array_equal(copy((5,)), initializers.HeNormal(seed=SeedGenerator(7))((5,)))


@pytest.mark.parametrize("seed", ["a", 2.5, True, [1]])
def test_a_bad_seed_is_refused(seed: object) -> None:
    with pytest.raises(ValueError, match="seed of HeNormal must be an integer"):
        initializers.HeNormal(seed=seed)


@pytest.mark.parametrize(
    ("shape", "fans"),
    [
        ((40, 60), (40, 60)),
        ((3, 3, 40, 60), (360, 540)),  # convolution: the window multiplies both
        ((5, 20, 30), (100, 150)),
        ((50,), (50, 50)),
    ],
)
@pytest.mark.parametrize("name", SCALED)
def test_scaled_statistics(name: str, shape: tuple[int, ...], fans: tuple[int, int]) -> None:
    scale, mode, uniform = SCALED[name]
    variance = scale / (fans[0] if mode == "in" else sum(fans) / 2)
    make = getattr(initializers, name)
    draws = np.stack([make(seed=seed)(shape, dtype="float64") for seed in range(20000 // math.prod(shape) + 1)])
    assert draws.std() == pytest.approx(math.sqrt(variance), rel=0.03)
    assert abs(draws.mean()) < 5 * math.sqrt(variance / draws.size)
    limit = math.sqrt(3 * variance) if uniform else 2 * math.sqrt(variance) / CUT
    assert 0.99 * limit < abs(draws).max() <= limit


@pytest.mark.parametrize(
    ("axes", "shape", "fan_in"),
    [
        ({"input_axes": [0], "output_axes": [1, 2]}, (2, 4, 600), 2),
        ({"input_axes": [0, 1], "output_axes": [2]}, (2, 4, 600), 8),
        ({"input_axes": [1]}, (2, 4, 600), 8),  # one alone does not count, as in Keras
        ({"input_axes": [-2], "output_axes": [-1]}, (3, 4, 600), 4),
    ],
)
def test_axes_say_what_is_an_input(axes: dict, shape: tuple[int, ...], fan_in: int) -> None:
    draws = initializers.LecunUniform(seed=3, **axes)(shape)
    limit = math.sqrt(3 / fan_in)
    assert 0.98 * limit < abs(draws).max() <= limit


def test_modes_and_distributions_of_variance_scaling() -> None:
    for mode, fan in {"fan_in": 100, "fan_out": 300, "fan_avg": 200}.items():
        for distribution in ("truncated_normal", "untruncated_normal", "uniform"):
            draws = initializers.VarianceScaling(2.0, mode, distribution, seed=1)((100, 300))
            assert draws.std() == pytest.approx(math.sqrt(2 / fan), rel=0.02), (mode, distribution)
    wide = initializers.VarianceScaling(distribution="untruncated_normal", seed=1)((1, 100_000))
    assert abs(wide).max() > 4


def test_simple_distributions() -> None:
    normal = initializers.RandomNormal(2.0, 0.5, seed=1)((100_000,))
    assert normal.mean() == pytest.approx(2.0, abs=0.01)
    assert normal.std() == pytest.approx(0.5, rel=0.01)
    cut = initializers.TruncatedNormal(2.0, 0.5, seed=1)((100_000,))
    assert cut.std() == pytest.approx(0.5 * CUT, rel=0.01)
    assert 1.0 <= cut.min() < 1.01
    assert 2.99 < cut.max() <= 3.0
    even = initializers.RandomUniform(-1.0, 3.0, seed=1)((100_000,))
    assert even.mean() == pytest.approx(1.0, abs=0.02)
    assert even.std() == pytest.approx(4 / math.sqrt(12), rel=0.01)
    assert even.min() >= -1.0
    assert even.max() < 3.0


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (3, 2, 5), (2, 2, 30)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    matrix = initializers.Orthogonal(gain=3.0, seed=2)(shape, dtype="float64").reshape(-1, shape[-1]) / 3.0
    small = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    np.testing.assert_allclose(small @ small.T, np.eye(len(small)), atol=1e-12)


def test_orthogonal_matrices_are_uniform() -> None:
    # Without the sign correction the diagonal of Q would have a negative mean.
    corners = np.array([initializers.Orthogonal(seed=seed)((3, 3), dtype="float64")[0, 0] for seed in range(600)])
    assert abs(corners.mean()) < 4 * corners.std() / math.sqrt(600)


def test_constants() -> None:
    np.testing.assert_array_equal(initializers.Zeros()((2, 3)), np.zeros((2, 3), "float32"))
    np.testing.assert_array_equal(initializers.Ones()((2,), dtype="int32"), np.ones(2, "int32"))
    np.testing.assert_array_equal(initializers.Zeros()(3, dtype=bool), np.array([False] * 3))
    np.testing.assert_array_equal(initializers.Constant([1, 2])((3, 2)), np.float32([[1, 2]] * 3))
    np.testing.assert_array_equal(initializers.Identity(2)((2, 3)), np.float32([[2, 0, 0], [0, 2, 0]]))
    assert initializers.Constant(1.5)(()).shape == ()
    assert initializers.Constant(0.1)((2,)).flags.writeable


def test_floatx_is_the_default_dtype() -> None:
    config.set_floatx("float64")
    try:
        assert initializers.Zeros()((2,)).dtype == "float64"
        assert initializers.GlorotUniform(seed=1)((2, 2)).dtype == "float64"
    finally:
        config.set_floatx("float32")


STFT_VALUES = {  # (side, window, scaling, periodic): the kernel of shape (4, 1, 3), from Keras 3.15
    ("real", None, None, False): [1, 1, 1, 1, 0, -1, 1, -1, 1, 1, 0, -1],
    ("real", "hann", None, False): [0, 0, 0, 0.75, 0, -0.75, 0.75, -0.75, 0.75, 0, 0, 0],
    ("real", "hann", None, True): [0, 0, 0, 0.5, 0, -0.5, 1, -1, 1, 0.5, 0, -0.5],
    ("real", "hann", "density", True): (
        [0, 0, 0, 0.4082483, 0, -0.4082483, 0.8164966, -0.8164966, 0.8164966, 0.4082483, 0, -0.4082483]
    ),
    ("real", "hann", "spectrum", True): [0, 0, 0, 0.25, 0, -0.25, 0.5, -0.5, 0.5, 0.25, 0, -0.25],
    ("real", "hamming", "density", False): (
        [0.0730723, 0.0730723, 0.0730723, 0.703321, 0, -0.703321, 0.703321, -0.703321, 0.703321]
        + [0.0730723, 0, -0.0730723]
    ),
    ("imag", None, "density", False): [0, 0, 0, 0, -1, 0, 0, 0, 0, 0, 1, 0],
    ("imag", "hann", "density", True): [0, 0, 0, 0, -0.4082483, 0, 0, 0, 0, 0, 0.4082483, 0],
    ("imag", (1, 2, 3, 4), "spectrum", False): [0, 0, 0, 0, -0.2, 0, 0, 0, 0, 0, 0.4, 0],
}


@pytest.mark.parametrize("arguments", STFT_VALUES)
def test_stft(arguments: tuple) -> None:
    kernel = initializers.STFT(*arguments)((4, 1, 3))
    assert kernel.dtype == "float32"
    np.testing.assert_allclose(kernel.ravel(), STFT_VALUES[arguments], atol=3e-7)


@pytest.mark.parametrize(
    "window", ["boxcar", "hann", "hamming", "blackman", "nuttall", "blackmanharris", "flattop", "bartlett", "cosine"]
)
@pytest.mark.parametrize("periodic", [False, True])
def test_stft_windows(window: str, periodic: bool) -> None:
    signal = pytest.importorskip("scipy.signal")
    kernel = initializers.STFT(window=window, scaling=None, periodic=periodic)((9, 1, 5), dtype="float64")
    np.testing.assert_allclose(kernel[:, 0, 0], signal.get_window(window, 9, fftbins=periodic), atol=1e-12)


def test_stft_is_a_fourier_transform() -> None:
    signal = np.random.default_rng(0).standard_normal(8)
    real, imag = (initializers.STFT(side, None, None)((8, 1, 5), dtype="float64")[:, 0] for side in ("real", "imag"))
    np.testing.assert_allclose(signal @ real + 1j * (signal @ imag), np.fft.rfft(signal), atol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: initializers.VarianceScaling(scale=0), "scale of VarianceScaling must be positive"),
        (lambda: initializers.VarianceScaling(mode="fan_inn"), "Did you mean 'fan_in'"),
        (lambda: initializers.VarianceScaling(distribution="unifrom"), "Did you mean 'uniform'"),
        (lambda: initializers.Orthogonal()((3,)), "at least two axes"),
        (lambda: initializers.Identity()((2, 3, 4)), "matrices only"),
        (lambda: initializers.Constant([1, 2])((3, 3)), "does not broadcast"),
        (lambda: initializers.GlorotUniform()((2, 2), dtype="int32"), "GlorotUniform draws floating-point"),
        (lambda: initializers.Zeros()((2, None)), "known sizes"),
        (lambda: initializers.LecunNormal(input_axes=[0], output_axes=[2])((2, 3)), "output_axes"),
        (lambda: initializers.STFT(side="x"), "side"),
        (lambda: initializers.STFT(scaling="x"), "scaling"),
        (lambda: initializers.STFT(window="han"), "Did you mean 'hann'"),
        (lambda: initializers.STFT()((3, 3)), "frame length"),
        (lambda: initializers.STFT()((2, 1, 5)), "zero everywhere"),
        (lambda: initializers.STFT(window=[1.0])((2, 1, 5)), "has 1 entries"),
    ],
)
def test_mistakes_are_explained(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_an_abstract_initializer_says_what_is_missing() -> None:
    with pytest.raises(NotImplementedError, match="Initializer must define __call__"):
        initializers.Initializer()((2,))
    with pytest.raises(TypeError, match=r"use \[0\]"):
        initializers.HeNormal(input_axes=0, output_axes=[1])


CONFIGS = {
    "Constant": {"value": 0.0},
    "GlorotNormal": {"seed": None, "input_axes": None, "output_axes": None},
    "Identity": {"gain": 1.0},
    "Ones": {},
    "Orthogonal": {"seed": None, "gain": 1.0},
    "RandomNormal": {"seed": None, "mean": 0.0, "stddev": 0.05},
    "RandomUniform": {"seed": None, "minval": -0.05, "maxval": 0.05},
    "STFT": {"side": "real", "window": "hann", "scaling": "density", "periodic": False},
    "TruncatedNormal": {"seed": None, "mean": 0.0, "stddev": 0.05},
    "VarianceScaling": {
        "seed": None,
        "scale": 1.0,
        "mode": "fan_in",
        "distribution": "truncated_normal",
        "input_axes": None,
        "output_axes": None,
    },
    "Zeros": {},
}


@pytest.mark.parametrize("name", CONFIGS)
def test_configurations(name: str) -> None:
    make = getattr(initializers, name)
    assert make().get_config() == CONFIGS[name]
    copy = make().clone()
    assert type(copy) is make
    assert copy.get_config() == CONFIGS[name]


def test_a_clone_with_a_seed_draws_the_same() -> None:
    original = initializers.HeNormal(seed=3)
    np.testing.assert_array_equal(original.clone()((4, 4)), original((4, 4)))


NAMES = {  # what Keras 3.15 accepts
    "Constant": "constant",
    "GlorotNormal": "glorot_normal",
    "GlorotUniform": "glorot_uniform",
    "HeNormal": "he_normal",
    "HeUniform": "he_uniform",
    "Identity": "identity IdentityInitializer",
    "LecunNormal": "lecun_normal",
    "LecunUniform": "lecun_uniform",
    "Ones": "ones one",
    "Orthogonal": "orthogonal OrthogonalInitializer",
    "RandomNormal": "random_normal normal",
    "RandomUniform": "random_uniform uniform",
    "STFT": "stft STFTInitializer",
    "TruncatedNormal": "truncated_normal",
    "VarianceScaling": "variance_scaling",
    "Zeros": "zeros zero",
}


@pytest.mark.parametrize("name", NAMES)
def test_get_and_round_trip(name: str) -> None:
    make = getattr(initializers, name)
    for spelling in (name, *NAMES[name].split()):
        assert type(initializers.get(spelling)) is make, spelling
        if spelling not in ("one", "zero", "normal", "uniform"):
            assert getattr(initializers, spelling) is make
    assert type(initializers.get(make)) is make
    described = json.loads(json.dumps(initializers.serialize(make())))
    assert described["module"] == "nngraph.initializers"
    assert described["class_name"] == name
    for description in (
        described,
        {**described, "module": "keras.initializers"},
        {"class_name": name, "config": described["config"]},
    ):
        copy = initializers.deserialize(description)
        assert type(copy) is make
        assert copy.get_config() == make().get_config()
        assert type(initializers.get(description)) is make


def test_get_passes_objects_through() -> None:
    def mine(shape, dtype=None):
        return np.zeros(shape, dtype)

    instance = initializers.HeNormal(seed=1)
    assert initializers.get(instance) is instance
    assert initializers.get(mine) is mine
    assert initializers.get(None) is None
    with CustomObjectScope({"mine": mine}):
        assert initializers.get("mine") is mine
    assert initializers.deserialize("mine", {"mine": mine}) is mine
    with pytest.raises(ValueError, match="Did you mean 'glorot_uniform'"):
        initializers.get("glorot_unifrom")
    with pytest.raises(ValueError, match=r"known initializer, its configuration .* Received: 3"):
        initializers.get(3)


def test_a_constant_array_is_saved() -> None:
    described = json.loads(json.dumps(initializers.serialize(initializers.Constant(np.float32([1, 2])))))
    np.testing.assert_array_equal(initializers.deserialize(described)((2, 2)), [[1, 2], [1, 2]])
    from_keras = {"value": {"class_name": "__numpy__", "config": {"value": [1, 2], "dtype": "int64"}}}
    described = {"module": "keras.initializers", "class_name": "Constant", "config": from_keras}
    np.testing.assert_array_equal(initializers.deserialize(described)((2,)), [1, 2])
