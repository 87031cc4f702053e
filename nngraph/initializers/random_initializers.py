"""Initializers that draw at random, reproducibly.

Every draw comes from a counter-based generator (Philox) keyed by the initializer's seed, so that the same seed gives
the same numbers on every machine and in any order of calls.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from nngraph import config
from nngraph.errors import unknown_name
from nngraph.initializers.base import Array, Initializer, checked_shape, compute_fans, float_dtype
from nngraph.saving.registry import deserialize_keras_object

__all__ = [
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "LecunNormal",
    "LecunUniform",
    "Orthogonal",
    "RandomInitializer",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
]

# Standard deviation of a standard normal variable that is cut at -2 and 2.
_STDDEV_CUT_AT_2 = 0.87962566103423978

_MODES = ("fan_in", "fan_out", "fan_avg")
_DISTRIBUTIONS = ("truncated_normal", "untruncated_normal", "uniform")


class RandomInitializer(Initializer):
    """Base of initializers that draw at random.

    Args:
        seed: an integer, for the same values at every call; a `nngraph.random.SeedGenerator`, for new ones at every
            call; or None, for a seed derived from the global one when the initializer is made. The configuration of a
            `SeedGenerator` stands for it.

    Raises ValueError for any other seed.
    """

    def __init__(self, seed: Any = None) -> None:
        if isinstance(seed, dict):
            seed = deserialize_keras_object(seed)
        self._init_seed = seed
        if seed is None:
            seed = config.draw_seed()
        elif isinstance(seed, np.integer):
            seed = int(seed)
        elif isinstance(seed, bool) or not (isinstance(seed, int) or hasattr(seed, "next")):
            raise ValueError(
                f"The argument seed of {type(self).__name__} must be an integer, a nngraph.random.SeedGenerator "
                f"or None. Received: seed={seed!r}"
            )
        self.seed = seed

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, with the seed as it was given."""
        return {"seed": self._init_seed}

    def _generator(self) -> np.random.Generator:
        if isinstance(self.seed, int):
            return np.random.Generator(np.random.Philox(key=self.seed % 2**128))
        key = 0
        for word in np.asarray(self.seed.next()).ravel().tolist():
            key = key << 32 | int(word) % 2**32
        return np.random.Generator(np.random.Philox(key=key))


class RandomNormal(RandomInitializer):
    """Draw from a normal distribution.

    >>> RandomNormal(stddev=0.05, seed=1)((2, 3)).shape
    (2, 3)
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None) -> None:
        self.mean = mean
        self.stddev = stddev
        super().__init__(seed)

    def __call__(self, shape: Iterable[int] | int, dtype: Any = None) -> Array:
        """Return the draws; raises ValueError for a dtype that is not a floating one."""
        dtype = float_dtype(dtype, self)
        return _scaled(_normal(self._generator(), checked_shape(shape), dtype), self.stddev, self.mean, dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


class TruncatedNormal(RandomInitializer):
    """Draw from a normal distribution, again wherever a draw is more than two standard deviations from the mean.

    >>> bool(abs(TruncatedNormal(stddev=1.0, seed=1)((1000,))).max() <= 2)
    True
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None) -> None:
        self.mean = mean
        self.stddev = stddev
        super().__init__(seed)

    def __call__(self, shape: Iterable[int] | int, dtype: Any = None) -> Array:
        """Return the draws; raises ValueError for a dtype that is not a floating one."""
        dtype = float_dtype(dtype, self)
        return _scaled(_truncated_normal(self._generator(), checked_shape(shape), dtype), self.stddev, self.mean, dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


class RandomUniform(RandomInitializer):
    """Draw evenly from `minval` to `maxval`.

    >>> bool(abs(RandomUniform(seed=1)((1000,))).max() <= 0.05)
    True
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Any = None) -> None:
        self.minval = minval
        self.maxval = maxval
        super().__init__(seed)

    def __call__(self, shape: Iterable[int] | int, dtype: Any = None) -> Array:
        """Return the draws; raises ValueError for a dtype that is not a floating one."""
        dtype = float_dtype(dtype, self)
        return _uniform(self._generator(), checked_shape(shape), self.minval, self.maxval, dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "minval": self.minval, "maxval": self.maxval}


class VarianceScaling(RandomInitializer):
    """Draw with a variance that fits the number of a layer's inputs and outputs.

    The variance is `scale / n`, where n is the number of inputs of one output ("fan_in"), of outputs of one input
    ("fan_out") or their mean ("fan_avg"); see `compute_fans`. "uniform" draws between ±sqrt(3 scale / n), which has the
    same variance, as has "truncated_normal", whose cut at two standard deviations is made up for.

    >>> draws = VarianceScaling(scale=2.0, mode="fan_in", distribution="uniform", seed=1)((50, 40))
    >>> bool(abs(draws).max() <= (3 * 2.0 / 50) ** 0.5)
    True
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Any = None,
        input_axes: Iterable[int] | None = None,
        output_axes: Iterable[int] | None = None,
    ) -> None:
        if not scale > 0:
            raise ValueError(f"The argument scale of {type(self).__name__} must be positive. Received: scale={scale!r}")
        if mode not in _MODES:
            raise unknown_name("mode of VarianceScaling", mode, _MODES)
        if distribution not in _DISTRIBUTIONS:
            raise unknown_name("distribution of VarianceScaling", distribution, _DISTRIBUTIONS)
        self.scale = scale
        self.mode = mode
        self.distribution = distribution
        self.input_axes = _axes("input_axes", input_axes)
        self.output_axes = _axes("output_axes", output_axes)
        super().__init__(seed)

    def __call__(self, shape: Iterable[int] | int, dtype: Any = None) -> Array:
        """Return the draws; raises ValueError for a dtype that is not a floating one."""
        shape = checked_shape(shape)
        dtype = float_dtype(dtype, self)
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        count = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, count)
        generator = self._generator()
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)
            return _uniform(generator, shape, -limit, limit, dtype)
        if self.distribution == "untruncated_normal":
            return _scaled(_normal(generator, shape, dtype), math.sqrt(variance), 0.0, dtype)
        stddev = math.sqrt(variance) / _STDDEV_CUT_AT_2
        return _scaled(_truncated_normal(generator, shape, dtype), stddev, 0.0, dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "scale": self.scale,
            "mode": self.mode,
            "distribution": self.distribution,
            "input_axes": self.input_axes,
            "output_axes": self.output_axes,
        }


class _FixedScaling(VarianceScaling):
    """A `VarianceScaling` whose scale, mode and distribution its class decides."""

    settings: tuple[float, str, str]

    def __init__(
        self,
        seed: Any = None,
        input_axes: Iterable[int] | None = None,
        output_axes: Iterable[int] | None = None,
    ) -> None:
        super().__init__(*self.settings, seed=seed, input_axes=input_axes, output_axes=output_axes)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"seed": self._init_seed, "input_axes": self.input_axes, "output_axes": self.output_axes}


class GlorotUniform(_FixedScaling):
    """Xavier's uniform initializer: variance 2 / (fan_in + fan_out), hence limits ±sqrt(6 / (fan_in + fan_out)).

    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010.

    >>> bool(abs(GlorotUniform(seed=1)((20, 10))).max() <= (6 / 30) ** 0.5)
    True
    """

    settings = (1.0, "fan_avg", "uniform")


class GlorotNormal(_FixedScaling):
    """Xavier's normal initializer: truncated normal, variance 2 / (fan_in + fan_out).

    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010.

    >>> GlorotNormal(seed=1)((20, 10)).shape
    (20, 10)
    """

    settings = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_FixedScaling):
    """He's uniform initializer: variance 2 / fan_in, hence limits ±sqrt(6 / fan_in).

    He et al., "Delving deep into rectifiers", 2015.

    >>> bool(abs(HeUniform(seed=1)((20, 10))).max() <= (6 / 20) ** 0.5)
    True
    """

    settings = (2.0, "fan_in", "uniform")


class HeNormal(_FixedScaling):
    """He's normal initializer: truncated normal, variance 2 / fan_in.

    He et al., "Delving deep into rectifiers", 2015.

    >>> HeNormal(seed=1)((20, 10)).shape
    (20, 10)
    """

    settings = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_FixedScaling):
    """LeCun's uniform initializer: variance 1 / fan_in, hence limits ±sqrt(3 / fan_in).

    LeCun et al., "Efficient backprop", 1998.

    >>> bool(abs(LecunUniform(seed=1)((20, 10))).max() <= (3 / 20) ** 0.5)
    True
    """

    settings = (1.0, "fan_in", "uniform")


class LecunNormal(_FixedScaling):
    """LeCun's normal initializer: truncated normal, variance 1 / fan_in.

    LeCun et al., "Efficient backprop", 1998; Klambauer et al., "Self-normalizing neural networks", 2017.

    >>> LecunNormal(seed=1)((20, 10)).shape
    (20, 10)
    """

    settings = (1.0, "fan_in", "truncated_normal")


class Orthogonal(RandomInitializer):
    """`gain` times a random matrix whose rows or columns, whichever are fewer, are orthonormal.

    A tensor of higher rank is such a matrix with all but its last axis joined. The matrix is the Q of the QR
    factorisation of a normal one, with R's diagonal made positive, which makes Q uniformly distributed.
    Saxe et al., "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks", 2013.

    >>> kernel = Orthogonal(seed=1)((4, 3))
    >>> bool(abs(kernel.T @ kernel - np.eye(3)).max() < 1e-6)
    True
    """

    def __init__(self, gain: float = 1.0, seed: Any = None) -> None:
        self.gain = gain
        super().__init__(seed)

    def __call__(self, shape: Iterable[int] | int, dtype: Any = None) -> Array:
        """Return the tensor; raises ValueError when `shape` has fewer than two axes."""
        shape = checked_shape(shape)
        dtype = float_dtype(dtype, self)
        if len(shape) < 2:
            raise ValueError(f"The Orthogonal initializer needs at least two axes. Received: shape={shape}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        q, r = np.linalg.qr(self._generator().standard_normal((max(rows, columns), min(rows, columns))))
        q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
        matrix = q if rows >= columns else q.T
        return (self.gain * matrix).reshape(shape).astype(dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "gain": self.gain}


def _axes(argument: str, axes: Iterable[int] | None) -> list[int] | None:
    if axes is None:
        return None
    if isinstance(axes, int):
        raise TypeError(f"{argument} must be a list of axes or None. Received: {argument}={axes}; use [{axes}].")
    return list(axes)


# Narrow floats are drawn as float32 and rounded; float64 gets all of its bits.


def _draw_dtype(dtype: np.dtype[Any]) -> type[np.float32] | type[np.float64]:
    return np.float64 if dtype == np.float64 else np.float32


def _normal(generator: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    return generator.standard_normal(shape, dtype=_draw_dtype(dtype))


def _truncated_normal(generator: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    draws = _normal(generator, (math.prod(shape),), dtype)
    while (outside := np.flatnonzero(np.abs(draws) > 2)).size:
        draws[outside] = _normal(generator, outside.shape, dtype)
    return draws.reshape(shape)


def _uniform(
    generator: np.random.Generator, shape: tuple[int, ...], low: float, high: float, dtype: np.dtype[Any]
) -> Array:
    return _scaled(generator.random(shape, dtype=_draw_dtype(dtype)), high - low, low, dtype)


def _scaled(draws: Array, factor: float, offset: float, dtype: np.dtype[Any]) -> Array:
    return (draws * factor + offset).astype(dtype, copy=False)
