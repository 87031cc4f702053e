"""Dropout and its variants."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nngraph import ops, random
from nngraph.layers.arguments import data_format_of, fraction
from nngraph.layers.input_spec import InputSpec
from nngraph.layers.regularization.noise import RandomLayer

__all__ = ["AlphaDropout", "Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"]


class Dropout(RandomLayer):
    """While training, set a fraction of the inputs to 0 and scale the others by ``1 / (1 - rate)``.

    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014.

    Args:
        rate: the fraction, from 0 to 1.
        noise_shape: shape of the mask, with 1 along axes whose entries share their fate and ``None`` for the input's
            size.
        seed: an integer, a :class:`nngraph.random.SeedGenerator`, or ``None``.

    Raises:
        ValueError: the rate is outside of [0, 1], or ``noise_shape`` does not fit.

    Example:
        >>> sorted(set(Dropout(0.5, seed=1)(np.ones((10, 10)), training=True).ravel().tolist()))
        [0.0, 2.0]
    """

    _arguments: tuple[str, ...] = ("rate", "noise_shape")

    def __init__(
        self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(seed, **kwargs)
        self.rate = fraction(self, "rate", rate)
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)

    def _is_identity(self) -> bool:
        return self.rate == 0

    def _mask_shape(self, inputs: Any) -> Any:
        return self.noise_shape

    def disturb(self, inputs: Any) -> Any:
        """Return the inputs with entries dropped."""
        return random.dropout(inputs, self.rate, noise_shape=self._mask_shape(inputs), seed=self.seed_generator)


class _SpatialDropout(Dropout):
    """Drop whole channels."""

    rank: int
    _arguments: tuple[str, ...] = ("rate", "data_format")

    def __init__(
        self, rate: float, data_format: str | None, seed: Any, name: str | None, dtype: Any, **kw: Any
    ) -> None:
        super().__init__(rate, seed=seed, name=name, dtype=dtype, **kw)
        self.data_format = data_format_of(self, data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def _mask_shape(self, inputs: Any) -> Any:
        ones = (1,) * self.rank
        return (None, *ones, None) if self.data_format == "channels_last" else (None, None, *ones)


class SpatialDropout1D(_SpatialDropout):
    """While training, drop whole features of sequences ``(batch, steps, features)``.

    Args:
        rate: the fraction dropped, from 0 to 1.
        seed: an integer, a :class:`nngraph.random.SeedGenerator`, or ``None``.
        name, dtype: as for every layer.

    Raises:
        ValueError: the rate is outside of [0, 1].

    Example:
        >>> y = SpatialDropout1D(0.5, seed=1)(np.ones((2, 3, 4)), training=True)
        >>> bool((y == y[:, :1]).all())
        True
    """

    rank = 1
    _arguments = ("rate",)

    def __init__(self, rate: float, seed: Any = None, name: str | None = None, dtype: Any = None, **kw: Any) -> None:
        super().__init__(rate, "channels_last", seed, name, dtype, **kw)


class SpatialDropout2D(_SpatialDropout):
    """While training, drop whole channels of images ``(batch, height, width, channels)``.

    Args:
        rate: the fraction dropped, from 0 to 1.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.
        seed: an integer, a :class:`nngraph.random.SeedGenerator`, or ``None``.
        name, dtype: as for every layer.

    Raises:
        ValueError: the rate is outside of [0, 1].

    Example:
        >>> SpatialDropout2D(0.5)(np.ones((2, 3, 3, 4))).shape
        (2, 3, 3, 4)
    """

    rank = 2

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: Any = None,
        name: str | None = None,
        dtype: Any = None,
        **kw: Any,
    ) -> None:
        super().__init__(rate, data_format, seed, name, dtype, **kw)


class SpatialDropout3D(_SpatialDropout):
    """While training, drop whole channels of volumes ``(batch, depth, height, width, channels)``.

    Args:
        rate: the fraction dropped, from 0 to 1.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.
        seed: an integer, a :class:`nngraph.random.SeedGenerator`, or ``None``.
        name, dtype: as for every layer.

    Raises:
        ValueError: the rate is outside of [0, 1].

    Example:
        >>> SpatialDropout3D(0.5)(np.ones((2, 3, 3, 3, 4))).shape
        (2, 3, 3, 3, 4)
    """

    rank = 3

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: Any = None,
        name: str | None = None,
        dtype: Any = None,
        **kw: Any,
    ) -> None:
        super().__init__(rate, data_format, seed, name, dtype, **kw)


class AlphaDropout(RandomLayer):
    """Dropout that keeps mean and variance of inputs that are normally distributed, as SELU makes them.

    While training, a fraction of the inputs becomes SELU's lower limit ``-scale * alpha``, and an affine map restores
    mean and variance. Klambauer et al., "Self-normalizing neural networks", 2017.

    Args:
        rate: the fraction, at least 0 and less than 1.
        noise_shape: shape of the mask, with 1 along axes whose entries share their fate and ``None`` for the input's
            size.
        seed: an integer, a :class:`nngraph.random.SeedGenerator`, or ``None``.

    Raises:
        ValueError: the rate is outside of [0, 1).

    Example:
        >>> y = AlphaDropout(0.5, seed=1)(np.zeros((10, 10)), training=True)
        >>> len(set(y.ravel().tolist()))
        2
    """

    _arguments: tuple[str, ...] = ("rate", "noise_shape")

    def __init__(
        self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(seed, **kwargs)
        self.rate = fraction(self, "rate", rate, below_one=True)
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)

    def _is_identity(self) -> bool:
        return self.rate == 0

    def disturb(self, inputs: Any) -> Any:
        """Return the inputs with entries at the lower limit, mapped to the former mean and variance."""
        scale, alpha = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
        limit = -scale * alpha
        shape = list(ops.shape(inputs))
        for axis, size in enumerate(self.noise_shape or ()):
            shape[axis] = shape[axis] if size is None else size
        draws = random.uniform(tuple(shape), seed=self.seed_generator, dtype=self.compute_dtype)
        kept = ops.cast(ops.greater_equal(draws, self.rate), self.compute_dtype)
        a = 1 / math.sqrt((1 - self.rate) * (1 + self.rate * limit**2))
        b = -a * limit * self.rate
        return (inputs * kept + limit * (1.0 - kept)) * a + b
