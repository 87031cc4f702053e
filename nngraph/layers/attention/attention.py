"""Attention of queries on values, without projections of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nngraph import ops, random
from nngraph.layers.activations.softmax import large_negative
from nngraph.layers.arguments import config_of, fraction, one_of, seed_of
from nngraph.layers.layer import Layer
from nngraph.layers.regularization.noise import generator_of

__all__ = ["AdditiveAttention", "Attention"]


class Attention(Layer):
    """Average values with weights that tell how well their keys fit a query.

    Inputs ``[query, value]`` or ``[query, value, key]`` of shapes ``(batch, targets, size)``,
    ``(batch, sources, size)`` and ``(batch, sources, size)``; without a key the value is the key. Output
    ``(batch, targets, size)``: ``softmax(scores) value``, with scores ``scale * query keyᵀ`` (Luong et al., 2015) or,
    with ``score_mode="concat"``, ``w * sum(tanh(scale * (query + key)))``.

    Args:
        use_scale: train a factor of the scores.
        score_mode: ``"dot"`` or ``"concat"``.
        dropout: fraction of the weights to drop while training.
        seed: an integer, a :class:`nngraph.random.SeedGenerator`, or ``None``.

    Call arguments:
        mask: ``[query_mask, value_mask]``, booleans ``(batch, targets)`` and ``(batch, sources)`` or ``None``: where a
            query counts (the output is 0 elsewhere) and where a value does.
        return_attention_scores: also return the weights ``(batch, targets, sources)``.
        use_causal_mask: let targets look only at sources that are not later.

    Raises:
        ValueError: the inputs are no list of two or three tensors, or the masks do not fit.

    Example:
        >>> query, value = np.zeros((1, 1, 2)), np.array([[[1.0, 2.0], [3.0, 4.0]]])
        >>> Attention()([query, value]).tolist()
        [[[2.0, 3.0]]]
    """

    def __init__(
        self, use_scale: bool = False, score_mode: str = "dot", dropout: float = 0.0, seed: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.use_scale = use_scale
        self.score_mode = one_of(self, "score_mode", score_mode, ("dot", "concat"))
        self.dropout = fraction(self, "dropout", dropout)
        self.seed = seed
        if self.dropout > 0:
            self.seed_generator = generator_of(seed)
        self.scale: Any = None
        self.concat_score_weight: Any = None
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Create the trained factors."""
        self._check_inputs(input_shape)
        if self.use_scale:
            self.scale = self.add_weight(name="scale", shape=(), initializer="ones")
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight(name="concat_score_weight", shape=(), initializer="ones")
        self.built = True

    def _check_inputs(self, inputs: Any) -> None:
        shapes = isinstance(inputs, (list, tuple)) and all(not isinstance(x, int) and x is not None for x in inputs)
        if not shapes or len(inputs) not in (2, 3):
            raise ValueError("it takes a list of inputs, [query, value] or [query, value, key]")

    def _scores(self, query: Any, key: Any) -> Any:
        if self.score_mode == "dot":
            scores = ops.matmul(query, ops.transpose(key, (0, 2, 1)))
            return scores if self.scale is None else ops.multiply(scores, self.scale)
        both = ops.add(ops.expand_dims(query, -2), ops.expand_dims(key, -3))
        if self.scale is not None:
            both = ops.multiply(both, self.scale)
        return ops.multiply(self.concat_score_weight, ops.sum(ops.tanh(both), axis=-1))

    def call(
        self,
        inputs: Any,
        mask: Any = None,
        training: bool | None = False,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        """Return the averages, and the weights if asked for."""
        self._check_inputs(inputs)
        query, value = inputs[:2]
        key = inputs[2] if len(inputs) > 2 else value
        query_mask, value_mask = _masks(mask)
        scores = self._scores(query, key)
        allowed = None if value_mask is None else ops.expand_dims(ops.cast(value_mask, "bool"), -2)
        if use_causal_mask:
            allowed = _both(allowed, ops.expand_dims(causal(*ops.shape(scores)[1:]), 0))
        if allowed is not None:
            dtype = ops.dtype_of(scores)
            scores = ops.where(allowed, scores, ops.add(scores, large_negative(dtype)))
        weights = ops.softmax(scores, axis=-1)
        used = weights
        if training and self.dropout > 0:
            used = random.dropout(weights, self.dropout, seed=self.seed_generator)
        result = ops.matmul(used, value)
        if query_mask is not None:
            result = ops.multiply(result, ops.cast(ops.expand_dims(query_mask, -1), ops.dtype_of(result)))
        return (result, weights) if return_attention_scores else result

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the query's mask."""
        return mask[0] if isinstance(mask, (list, tuple)) and mask else None

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            **config_of(self, "use_scale", "score_mode", "dropout"),
            "seed": seed_of(self, self.seed),
        }


class AdditiveAttention(Attention):
    """Average values with weights from a sum of query and key.

    As :class:`Attention`, with scores ``sum(scale * tanh(query + key))``; the scale is one trained number for each
    feature. Bahdanau et al., "Neural machine translation by jointly learning to align and translate", 2015.

    Args:
        use_scale: train the scale; otherwise it is 1.
        dropout: fraction of the weights to drop while training.

    Example:
        >>> query, value = np.zeros((1, 1, 2)), np.ones((1, 3, 2))
        >>> AdditiveAttention()([query, value]).tolist()
        [[[1.0, 1.0]]]
    """

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(use_scale=use_scale, dropout=dropout, **kwargs)

    def build(self, input_shape: Any) -> None:
        """Create the scale."""
        self._check_inputs(input_shape)
        if self.use_scale:
            self.scale = self.add_weight(name="scale", shape=(input_shape[0][-1],), initializer="glorot_uniform")
        self.built = True

    def _scores(self, query: Any, key: Any) -> Any:
        both = ops.tanh(ops.add(ops.expand_dims(query, -2), ops.expand_dims(key, -3)))
        return ops.sum(both if self.scale is None else ops.multiply(self.scale, both), axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        config = super().get_config()
        del config["score_mode"]
        return config


def _masks(mask: Any) -> tuple[Any, Any]:
    if mask is None:
        return None, None
    if not isinstance(mask, (list, tuple)) or len(mask) not in (2, 3):
        raise ValueError("mask must be a list, [query_mask, value_mask]")
    return mask[0], mask[1]


def _both(a: Any, b: Any) -> Any:
    return b if a is None else ops.logical_and(a, b)


def causal(targets: Any, sources: Any) -> Any:
    """Return ``(targets, sources)``: true where a source is not later than the target.

    Example:
        >>> causal(2, 3).tolist()
        [[True, False, False], [True, True, False]]
    """
    return ops.greater_equal(ops.expand_dims(ops.arange(targets), 1), ops.expand_dims(ops.arange(sources), 0))


def combined(masks: Sequence[Any]) -> Any:
    """Return where all masks are true; ``None`` entries are no masks.

    Example:
        >>> combined([None, np.array([True, False]), np.array([True, True])]).tolist()
        [True, False]
    """
    found = None
    for mask in masks:
        if mask is not None:
            found = _both(found, mask)
    return found
