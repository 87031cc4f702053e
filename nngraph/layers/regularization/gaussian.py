"""Layers that add or multiply Gaussian noise while training."""

from __future__ import annotations

import math
from typing import Any

from nngraph import ops, random
from nngraph.layers.arguments import fraction
from nngraph.layers.regularization.noise import RandomLayer

__all__ = ["GaussianDropout", "GaussianNoise"]


class GaussianDropout(RandomLayer):
    """While training, multiply with noise of mean 1 and standard deviation ``sqrt(rate / (1 - rate))``.

    Args:
        rate: at least 0 and less than 1; the noise has the variance that dropout with this rate has.
        seed: an integer, a :class:`nngraph.random.SeedGenerator`, or ``None``.

    Raises:
        ValueError: the rate is outside of [0, 1).

    Example:
        >>> y = GaussianDropout(0.2, seed=1)(np.ones((50, 50)), training=True)
        >>> print(y.mean().round(1), y.std().round(1))
        1.0 0.5
    """

    _arguments = ("rate",)

    def __init__(self, rate: float, seed: Any = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.rate = fraction(self, "rate", rate, below_one=True)

    def _is_identity(self) -> bool:
        return self.rate == 0

    def disturb(self, inputs: Any) -> Any:
        """Return the inputs times noise."""
        stddev = math.sqrt(self.rate / (1 - self.rate))
        shape = ops.shape(inputs)
        return inputs * random.normal(shape, 1.0, stddev, dtype=self.compute_dtype, seed=self.seed_generator)


class GaussianNoise(RandomLayer):
    """While training, add noise of mean 0.

    Args:
        stddev: the noise's standard deviation, from 0 to 1.
        seed: an integer, a :class:`nngraph.random.SeedGenerator`, or ``None``.

    Raises:
        ValueError: ``stddev`` is outside of [0, 1].

    Example:
        >>> y = GaussianNoise(0.5, seed=1)(np.ones((50, 50)), training=True)
        >>> print(y.mean().round(1), y.std().round(1))
        1.0 0.5
    """

    _arguments = ("stddev",)

    def __init__(self, stddev: float, seed: Any = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.stddev = fraction(self, "stddev", stddev)

    def _is_identity(self) -> bool:
        return self.stddev == 0

    def disturb(self, inputs: Any) -> Any:
        """Return the inputs plus noise."""
        shape = ops.shape(inputs)
        return inputs + random.normal(shape, 0.0, self.stddev, dtype=self.compute_dtype, seed=self.seed_generator)
