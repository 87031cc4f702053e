"""Normalisation with statistics of the training data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nngraph import config, ops
from nngraph.layers.arguments import config_of, layer_name
from nngraph.layers.layer import Layer
from nngraph.layers.preprocessing.statistics import batches_of

__all__ = ["Normalization"]


class Normalization(Layer):
    """Compute ``(inputs - mean) / sqrt(variance)`` with statistics found by :meth:`adapt` or given.

    Args:
        axis: the axis, or several, that have a mean and variance for each entry; ``None`` for one of both.
        mean, variance: the statistics, if they are known.
        invert: undo a normalisation instead: ``inputs * sqrt(variance) + mean``.

    Raises:
        ValueError: only one of ``mean`` and ``variance`` is given, or their shapes differ or do not fit.

    Example:
        >>> layer = Normalization()
        >>> layer.adapt(np.array([[1.0], [3.0]]))
        >>> layer(np.array([[1.0], [5.0]])).tolist()
        [[-1.0], [3.0]]
    """

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.axis = () if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        if (mean is None) != (variance is None):
            raise ValueError(f"{layer_name(self)}: give both mean and variance, or neither and call adapt(data)")
        if mean is not None and np.shape(mean) != np.shape(variance):
            raise ValueError(
                f"{layer_name(self)}: mean and variance must have one shape, "
                f"got {np.shape(mean)} and {np.shape(variance)}"
            )
        self.input_mean = mean
        self.input_variance = variance
        self.invert = invert
        self.supports_masking = True
        self.adapt_mean: Any = None
        self.adapt_variance: Any = None

    def build(self, input_shape: Any) -> None:
        """Create mean and variance, unless they were given."""
        rank = len(input_shape)
        if any(not -rank <= a < rank for a in self.axis):
            raise ValueError(f"axis {self.axis} must be among the axes of the input, of shape {tuple(input_shape)}")
        self._kept = sorted(a % rank for a in self.axis)
        if any(input_shape[a] is None for a in self._kept):
            raise ValueError(
                f"the sizes of axis {self.axis} must be known, got shape {tuple(input_shape)}; "
                "give them in Input(shape=...)"
            )
        self._broadcast = tuple(input_shape[k] if k in self._kept else 1 for k in range(rank))
        sizes = tuple(input_shape[a] for a in self._kept)
        if self.input_mean is None:
            self.adapt_mean = self.add_weight(name="mean", shape=sizes, initializer="zeros", trainable=False)
            self.adapt_variance = self.add_weight(name="variance", shape=sizes, initializer="ones", trainable=False)
            # Keras keeps a counter here; it makes weights of the same layout.
            self.count = self.add_weight(name="count", shape=(), dtype="int32", initializer="zeros", trainable=False)
        else:
            self._given(self.input_mean, "mean")
        self.built = True

    def _given(self, value: Any, name: str) -> Any:
        """Return a given statistic in a shape that broadcasts with the inputs."""
        array = np.asarray(value, self.compute_dtype)
        try:
            if array.size == int(np.prod(self._broadcast)):
                return array.reshape(self._broadcast)
            return np.broadcast_to(array, self._broadcast)
        except ValueError:
            raise ValueError(
                f"{name} of shape {array.shape} does not fit inputs with axes of {self._broadcast}"
            ) from None

    @property
    def mean(self) -> Any:
        """The mean, in a shape that broadcasts with the inputs."""
        if self.adapt_mean is None:
            return self._given(self.input_mean, "mean")
        return ops.cast(ops.reshape(self.adapt_mean, self._broadcast), self.compute_dtype)

    @property
    def variance(self) -> Any:
        """The variance, in a shape that broadcasts with the inputs."""
        if self.adapt_variance is None:
            return self._given(self.input_variance, "variance")
        return ops.cast(ops.reshape(self.adapt_variance, self._broadcast), self.compute_dtype)

    def adapt(self, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:
        """Learn mean and variance from data, forgetting what was learned before.

        Args:
            data: an array, a table, or an iterable of batches.
            batch_size: accepted and without effect.
            steps: how many batches of an iterable to use.

        Raises:
            ValueError: the statistics were given to the constructor, or the data does not fit.
        """
        if self.input_mean is not None:
            raise ValueError(
                f"layer {self.name!r}: mean and variance were given to the constructor; adapt cannot change them"
            )
        count, mean, squares = 0, np.zeros(()), np.zeros(())
        for batch in batches_of(self, data, steps):
            array = batch.astype(np.float64)
            if not self.built:
                self.build(array.shape)
            if array.ndim != len(self._broadcast) or any(array.shape[k] != self._broadcast[k] for k in self._kept):
                raise ValueError(
                    f"layer {self.name!r}: adapt got a batch of shape {array.shape}; "
                    f"sizes of axes {self.axis} must be {tuple(self._broadcast[k] for k in self._kept)}"
                )
            over = tuple(k for k in range(array.ndim) if k not in self._kept)
            n = int(np.prod([array.shape[k] for k in over], dtype=np.int64))
            own = array.mean(axis=over)
            # Chan, Golub and LeVeque's rule to merge means and sums of squared distances.
            shift = own - mean
            total = count + n
            squares = squares + array.var(axis=over) * n + shift**2 * (count * n / total)
            mean = mean + shift * (n / total)
            count = total
        self.adapt_mean.assign(mean)
        self.adapt_variance.assign(squares / count)

    def call(self, inputs: Any) -> Any:
        """Return the normalised inputs."""
        inputs = ops.cast(inputs, self.compute_dtype)
        deviation = ops.maximum(ops.sqrt(self.variance), config.epsilon())
        if self.invert:
            return ops.add(self.mean, ops.multiply(inputs, deviation))
        return ops.divide(ops.subtract(inputs, self.mean), deviation)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; what was learned is in the weights."""
        given = {"mean": self.input_mean, "variance": self.input_variance}
        return {
            **super().get_config(),
            **config_of(self, "axis", "invert"),
            **{name: None if value is None else np.asarray(value).tolist() for name, value in given.items()},
        }
