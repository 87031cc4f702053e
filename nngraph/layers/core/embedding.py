"""Tables of vectors, looked up by integers."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from nngraph import constraints, initializers, ops, regularizers
from nngraph.layers.arguments import config_of, integer, no_quantization
from nngraph.layers.layer import Layer
from nngraph.layers.low_rank import LowRank

__all__ = ["Embedding", "ReversibleEmbedding"]


class Embedding(LowRank, Layer):
    """Replace each integer of the input by a row of a trained table.

    Input: integers from 0 to ``input_dim - 1`` of any shape; output: that shape with an axis of ``output_dim`` added.

    Args:
        input_dim: number of rows; the largest integer plus one.
        output_dim: length of a row.
        embeddings_initializer: initializer of the table.
        embeddings_regularizer: penalty on the table.
        embeddings_constraint: projection of the table after each training step.
        mask_zero: whether 0 stands for padding, which later layers leave out.
        weights: the table's first value, an array or a list that holds it.
        lora_rank, lora_alpha: train two matrices of this rank instead of the table; see :meth:`enable_lora`.

    Raises:
        ValueError: a size is not a positive integer, or an integer of the input (where its numbers are known) is no
            row of the table.

    Example:
        >>> layer = Embedding(3, 2, weights=[[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]])
        >>> layer(np.array([[2, 1]])).tolist()
        [[[3.0, 4.0], [1.0, 2.0]]]
    """

    _lora_name = "embeddings"

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        if kwargs.pop("input_length", None) is not None:
            warnings.warn(
                "Embedding(input_length=...) is an old spelling and has no effect; leave it out", stacklevel=2
            )
        super().__init__(**kwargs)
        self.input_dim = integer(self, "input_dim", input_dim)
        self.output_dim = integer(self, "output_dim", output_dim)
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.mask_zero = mask_zero
        self.supports_masking = mask_zero
        # A row's number must not pass through a float of lower precision.
        self.autocast = False
        self._first_table = _table(weights)
        self.lora_embeddings_a: Any = None
        self._ask_lora(lora_rank, lora_alpha)
        no_quantization(self, quantization_config)

    def build(self, input_shape: Any = None) -> None:
        """Create the table."""
        self._embeddings = self.add_weight(
            name="embeddings",
            shape=(self.input_dim, self.output_dim),
            initializer=self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
        )
        self._enable_asked_lora()
        self.built = True
        if self._first_table is not None:
            self.set_weights([self._first_table])
            self._first_table = None

    def _adapted_variable(self) -> Any:
        return self._embeddings

    @property
    def embeddings(self) -> Any:
        """The table, low-rank weights included."""
        return self._adapted()

    def call(self, inputs: Any) -> Any:
        """Return the rows that the inputs number."""
        indices = inputs if ops.dtype_of(inputs) in ("int32", "int64") else ops.cast(inputs, "int32")
        if isinstance(indices, np.ndarray) and indices.size:
            self._check_range(int(indices.min()), int(indices.max()))
        rows = ops.take(self._embeddings, indices, axis=0)
        if self.lora_enabled:
            rows = ops.add(rows, self._lora_product(ops.take(self.lora_embeddings_a, indices, axis=0)))
        return ops.cast(rows, self.compute_dtype)

    def _check_range(self, smallest: int, largest: int) -> None:
        if smallest < 0 or largest >= self.input_dim:
            wrong = smallest if smallest < 0 else largest
            raise ValueError(
                f"index {wrong} is out of range: input_dim={self.input_dim} has rows 0 to {self.input_dim - 1}; "
                f"set input_dim to the largest index plus one, at least {max(largest, 0) + 1}"
            )

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return where the inputs are not 0, if ``mask_zero``."""
        return ops.not_equal(inputs, 0) if self.mask_zero else None

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; the table itself is a weight."""
        return {
            **super().get_config(),
            **config_of(
                self,
                "input_dim",
                "output_dim",
                "embeddings_initializer",
                "embeddings_regularizer",
                "activity_regularizer",
                "embeddings_constraint",
                "mask_zero",
            ),
            **self._lora_config(),
        }


def _table(weights: Any) -> Any:
    if weights is None:
        return None
    array = np.asarray(weights)
    return array[0] if array.ndim == 3 else array


class ReversibleEmbedding(Embedding):
    """An embedding that also goes back, from vectors to one score for each row of the table.

    Args:
        input_dim, output_dim: number of rows and their length.
        tie_weights: whether the way back uses the same table.
        embeddings_initializer, embeddings_regularizer, embeddings_constraint: of the table(s).
        mask_zero: whether 0 stands for padding.
        reverse_dtype: dtype of the way back; default the layer's.
        logit_soft_cap: bound c of the scores, which become c tanh(score / c).

    Raises:
        ValueError: as for :class:`Embedding`.

    Example:
        >>> layer = ReversibleEmbedding(10, 4)
        >>> vectors = layer(np.array([[1, 2, 3]]))
        >>> vectors.shape, layer(vectors, reverse=True).shape
        ((1, 3, 4), (1, 3, 10))
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        tie_weights: bool = True,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        reverse_dtype: Any = None,
        logit_soft_cap: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            input_dim,
            output_dim,
            embeddings_initializer=embeddings_initializer,
            embeddings_regularizer=embeddings_regularizer,
            embeddings_constraint=embeddings_constraint,
            mask_zero=mask_zero,
            **kwargs,
        )
        self.tie_weights = tie_weights
        self.reverse_dtype = reverse_dtype
        self.logit_soft_cap = logit_soft_cap
        self.reverse_embeddings: Any = None

    def build(self, input_shape: Any = None) -> None:
        """Create the table, and the one of the way back when they are not tied."""
        super().build(input_shape)
        if not self.tie_weights:
            self.reverse_embeddings = self.add_weight(
                name="reverse_embeddings",
                shape=(self.output_dim, self.input_dim),
                initializer=self.embeddings_initializer,
                regularizer=self.embeddings_regularizer,
                constraint=self.embeddings_constraint,
            )

    def call(self, inputs: Any, reverse: bool = False) -> Any:
        """Return the rows that the inputs number; with ``reverse`` the score of each row for vectors."""
        if not reverse:
            return super().call(inputs)
        kernel = ops.transpose(self.embeddings) if self.tie_weights else self.reverse_embeddings
        dtype = self.reverse_dtype or self.compute_dtype
        scores = ops.matmul(ops.cast(inputs, dtype), ops.cast(kernel, dtype))
        if self.logit_soft_cap is None:
            return scores
        return ops.tanh(scores / self.logit_soft_cap) * self.logit_soft_cap

    def compute_mask(self, inputs: Any, mask: Any = None, reverse: bool = False) -> Any:
        """Return where integers are not 0, if ``mask_zero``; scores pass their input's mask on."""
        if ops.dtype_of(inputs).startswith(("float", "bfloat")):
            return mask
        return super().compute_mask(inputs, mask)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), **config_of(self, "tie_weights", "reverse_dtype", "logit_soft_cap")}
