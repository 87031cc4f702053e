"""Integers and bins as vectors of zeros and ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nngraph import ops
from nngraph.layers.arguments import config_of, integer, layer_name, one_of
from nngraph.layers.layer import Layer
from nngraph.layers.preprocessing.statistics import batches_of

__all__ = ["CategoryEncoding", "Discretization"]

_VECTOR_MODES = ("one_hot", "multi_hot", "count")


def _no_sparse(layer: Any, sparse: bool) -> None:
    if sparse:
        raise ValueError(f"{layer_name(layer)}: sparse=True is not supported; leave it out for dense results")


def _encoded(indices: Any, size: int, mode: str, dtype: str, weights: Any = None) -> Any:
    """Return integers as vectors: one for each integer, or one for all of the last axis."""
    rank = len(indices.shape)
    if mode == "one_hot":
        if rank == 0 or (rank > 1 and indices.shape[-1] == 1):
            indices = ops.reshape(indices, (1,)) if rank == 0 else ops.squeeze(indices, -1)
        return ops.one_hot(indices, size, dtype=dtype)
    if rank == 0:
        indices = ops.reshape(indices, (1,))
    vectors = ops.one_hot(indices, size, dtype=dtype)
    if mode == "multi_hot":
        return ops.max(vectors, axis=-2)
    if weights is not None:
        vectors = ops.multiply(vectors, ops.expand_dims(ops.cast(weights, dtype), -1))
    return ops.sum(vectors, axis=-2)


class CategoryEncoding(Layer):
    """Turn integers from 0 to ``num_tokens - 1`` into vectors of that size.

    Args:
        num_tokens: number of categories.
        output_mode: ``"one_hot"`` (a vector for each integer), or for all integers of the last axis together
            ``"multi_hot"`` (ones where a category occurs) or ``"count"`` (how often).
        sparse: not supported.

    Call arguments:
        inputs: integers.
        count_weights: for ``"count"``, what each integer counts.

    Raises:
        ValueError: an argument is none of these, or an integer (where its numbers are known) is out of range.

    Example:
        >>> CategoryEncoding(3, output_mode="count")(np.array([[0, 1, 1]])).tolist()
        [[1.0, 2.0, 0.0]]
    """

    def __init__(
        self, num_tokens: int | None = None, output_mode: str = "multi_hot", sparse: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if num_tokens is None:
            raise ValueError(f"{layer_name(self)}: num_tokens must be given")
        self.num_tokens = integer(self, "num_tokens", num_tokens)
        self.output_mode = one_of(self, "output_mode", output_mode, _VECTOR_MODES)
        _no_sparse(self, sparse)

    def call(self, inputs: Any, count_weights: Any = None) -> Any:
        """Return the vectors."""
        if count_weights is not None and self.output_mode != "count":
            raise ValueError(f"count_weights goes with output_mode='count' only, got {self.output_mode!r}")
        indices = ops.cast(inputs, "int32")
        if isinstance(indices, np.ndarray) and indices.size:
            wrong = int(indices.min()) if indices.min() < 0 else int(indices.max())
            if not 0 <= wrong < self.num_tokens:
                raise ValueError(
                    f"category {wrong} is out of range: num_tokens={self.num_tokens} has 0 to {self.num_tokens - 1}"
                )
        return _encoded(indices, self.num_tokens, self.output_mode, self.compute_dtype, count_weights)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), **config_of(self, "num_tokens", "output_mode")}


class Discretization(Layer):
    """Turn numbers into the index of the bin in which they lie.

    Args:
        bin_boundaries: rising numbers; bin k holds those from boundary k - 1 up to, but not at, boundary k.
        num_bins: instead, how many bins :meth:`adapt` shall find, about equally full.
        epsilon: accepted for Keras code; the boundaries are found exactly.
        output_mode: ``"int"``, ``"one_hot"``, ``"multi_hot"`` or ``"count"``.
        sparse: not supported.

    Raises:
        ValueError: not exactly one of ``bin_boundaries`` and ``num_bins`` is given, or the layer is called before
            ``adapt``.

    Example:
        >>> Discretization(bin_boundaries=[0.0, 1.0, 2.0])(np.array([[-1.0, 0.5, 1.0, 7.0]])).tolist()
        [[0, 1, 2, 3]]
    """

    def __init__(
        self,
        bin_boundaries: Sequence[float] | None = None,
        num_bins: int | None = None,
        epsilon: float = 0.01,
        output_mode: str = "int",
        sparse: bool = False,
        dtype: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(dtype=dtype, name=name, **kwargs)
        self.output_mode = one_of(self, "output_mode", output_mode, ("int", *_VECTOR_MODES))
        _no_sparse(self, sparse)
        if num_bins is None and bin_boundaries is None:
            raise ValueError(f"{layer_name(self)}: give num_bins (and call adapt) or bin_boundaries")
        self.num_bins = None if num_bins is None else integer(self, "num_bins", num_bins)
        self.epsilon = epsilon
        self.bin_boundaries = None if bin_boundaries is None else [float(b) for b in bin_boundaries]
        if self.bin_boundaries is not None and sorted(self.bin_boundaries) != self.bin_boundaries:
            raise ValueError(f"{layer_name(self)}: bin_boundaries must rise, got {self.bin_boundaries}")

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Find boundaries that share the data's numbers equally, forgetting what was learned before.

        Args:
            data: an array, a table, or an iterable of batches.
            steps: how many batches of an iterable to use.

        Raises:
            ValueError: the layer was made with ``bin_boundaries``.
        """
        if self.num_bins is None:
            raise ValueError(
                f"layer {self.name!r}: bin_boundaries were given to the constructor; adapt cannot change them"
            )
        values = np.concatenate([batch.ravel() for batch in batches_of(self, data, steps)]).astype(np.float32)
        parts = np.arange(1, self.num_bins) / self.num_bins
        # Keras takes quantiles where the distribution function, joined by lines, has these values.
        found = np.quantile(values.astype(np.float64), parts, method="interpolated_inverted_cdf")
        self.bin_boundaries = [float(b) for b in np.atleast_1d(found)]

    def call(self, inputs: Any) -> Any:
        """Return the bins' indices, or the vectors made of them."""
        if self.bin_boundaries is None:
            raise ValueError("call adapt(data) before the layer, or give it bin_boundaries")
        indices = ops.digitize(inputs, self.bin_boundaries)
        if self.output_mode == "int":
            return indices
        return _encoded(indices, len(self.bin_boundaries) + 1, self.output_mode, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, learned boundaries included."""
        described = super().get_config()
        names = ("bin_boundaries", "num_bins", "epsilon", "output_mode")
        return {**described, **config_of(self, *names), "sparse": False}
