"""Attention with several heads, each with projections of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nngraph import constraints, initializers, ops, regularizers
from nngraph.layers.activations.softmax import Softmax
from nngraph.layers.arguments import config_of, fraction, integer, seed_of
from nngraph.layers.attention.attention import causal, combined
from nngraph.layers.attention.projection import FromHeads, ToHeads
from nngraph.layers.layer import Layer
from nngraph.layers.regularization.dropout import Dropout
from nngraph.naming import auto_name

__all__ = ["GroupQueryAttention", "HeadAttention", "MultiHeadAttention"]


class HeadAttention(Layer):
    """What multi-head and grouped-query attention share: projections, masks and the attention itself."""

    _query_mask_counts = False

    def __init__(
        self,
        dropout: float,
        use_bias: bool,
        sliding_window: int | None,
        flash_attention: bool | None,
        kernel_initializer: Any,
        bias_initializer: Any,
        kernel_regularizer: Any,
        bias_regularizer: Any,
        activity_regularizer: Any,
        kernel_constraint: Any,
        bias_constraint: Any,
        use_gate: bool,
        seed: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.dropout = fraction(self, "dropout", dropout)
        self.use_bias = use_bias
        self.sliding_window = None if sliding_window is None else integer(self, "sliding_window", sliding_window)
        self.flash_attention = flash_attention
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.use_gate = use_gate
        self.seed = seed
        self.supports_masking = True
        self.query_dense: Any = None
        self.key_dense: Any = None
        self.gate_dense: Any = None
        self.value_dense: Any = None
        self.output_dense: Any = None
        self._softmax: Any = None
        self._dropout_layer: Any = (
            Dropout(self.dropout, seed=seed, dtype=self.dtype_policy) if self.dropout > 0 else None
        )

    def _project(self, kind: type, name: str, equation: str, sizes: tuple[int, ...], shape: Any) -> Any:
        """Make and build one of the projections; ``sizes`` end the output's shape."""
        output = equation.partition("->")[2]
        layer = kind(
            equation,
            output_shape=(*(None for _ in output[1 : -len(sizes)]), *sizes),
            bias_axes=output[-len(sizes) :] if self.use_bias else None,
            kernel_initializer=_own(self.kernel_initializer),
            bias_initializer=self.bias_initializer,
            kernel_regularizer=self.kernel_regularizer,
            bias_regularizer=self.bias_regularizer,
            kernel_constraint=self.kernel_constraint,
            bias_constraint=self.bias_constraint,
            dtype=self.dtype_policy,
            name=name,
        )
        layer.supports_masking = True
        layer.path = f"{self.path}/{name}"
        layer.build(shape)
        layer._build_shapes = shape
        return layer

    def _build_projections(
        self, query: Any, value: Any, key: Any, heads: tuple[int, int], sizes: tuple[int, int], output: tuple[int, ...]
    ) -> None:
        """Build all projections: ``heads`` of queries and of keys, ``sizes`` of keys and of values."""
        last = len(query) - 1
        labels = "abcefgijklm"[:last]
        equation = f"{labels}d,dnh->{labels}nh"
        inputs = "abcefgijklm"[: len(value) - 1]
        sources = f"{inputs}d,dnh->{inputs}nh"
        self.query_dense = self._project(ToHeads, "query", equation, (heads[0], sizes[0]), query)
        self.key_dense = self._project(ToHeads, "key", sources, (heads[1], sizes[0]), key)
        if self.use_gate:
            self.gate_dense = self._project(ToHeads, "gate", equation, (heads[0], sizes[1]), query)
        self.value_dense = self._project(ToHeads, "value", sources, (heads[1], sizes[1]), value)
        letters = "opqrst"[: len(output)]
        merged = (*query[:-1], heads[0], sizes[1])
        self.output_dense = self._project(
            FromHeads, "attention_output", f"{labels}nh,nh{letters}->{labels}{letters}", output, merged
        )
        self._softmax = Softmax(axis=-1, dtype=self.dtype_policy)

    def _mask(
        self,
        query: Any,
        value: Any,
        query_mask: Any,
        value_mask: Any,
        key_mask: Any,
        attention_mask: Any,
        is_causal: bool,
    ) -> Any:
        """Return where a target may look at a source, ``(batch, targets, sources)`` or broadcast to it."""
        rows = ops.expand_dims(ops.cast(query_mask, "bool"), -1) if query_mask is not None else None
        columns = [ops.expand_dims(ops.cast(m, "bool"), -2) for m in (value_mask, key_mask) if m is not None]
        given = None if attention_mask is None else ops.cast(attention_mask, "bool")
        order = None
        targets, sources = ops.shape(query)[1], ops.shape(value)[1]
        if is_causal:
            order = ops.expand_dims(causal(targets, sources), 0)
        if self.sliding_window is not None:
            distance = ops.subtract(ops.expand_dims(ops.arange(targets), 1), ops.expand_dims(ops.arange(sources), 0))
            order = combined([order, ops.expand_dims(ops.less(ops.abs(distance), self.sliding_window), 0)])
        return combined([rows if self._query_mask_counts else None, *columns, order, given])

    def _common_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            **config_of(
                self,
                "dropout",
                "use_bias",
                "use_gate",
                "sliding_window",
                "kernel_initializer",
                "bias_initializer",
                "kernel_regularizer",
                "bias_regularizer",
                "kernel_constraint",
                "bias_constraint",
            ),
            "seed": seed_of(self, self.seed),
        }


def _own(initializer: Any) -> Any:
    """Return another initializer like this one, so that no two projections begin alike."""
    return initializer.clone() if hasattr(initializer, "clone") else initializer


class MultiHeadAttention(HeadAttention):
    """Attend with several heads at once: ``concat(softmax(Q Kᵀ / sqrt(size)) V) W`` of projections Q, K, V.

    Vaswani et al., "Attention is all you need", 2017. Query ``(batch, ..., targets, features)``, value and key
    ``(batch, ..., sources, features)``; output as the query, or with the sizes ``output_shape`` at the end.

    Args:
        num_heads: how many heads.
        key_dim: size of each head's queries and keys.
        value_dim: size of each head's values; default ``key_dim``.
        dropout: fraction of the weights to drop while training.
        use_bias: whether the projections add a bias.
        output_shape: sizes of the output behind the targets; default: the query's last size.
        attention_axes: the axes over which is attended; default: all but those of batch and features.
        sliding_window: let targets look only at sources fewer than so many places away.
        flash_attention: accepted and ignored; the runtime chooses its kernels.
        kernel_initializer, bias_initializer: initializers of the projections.
        kernel_regularizer, bias_regularizer: penalties on their weights.
        activity_regularizer: penalty on the output.
        kernel_constraint, bias_constraint: projections of the weights after each training step.
        use_gate: multiply every head's result with a sigmoid of a projection of the query.
        seed: an integer, a :class:`nngraph.random.SeedGenerator`, or ``None``.

    Call arguments:
        query, value, key: tensors; without a key the value is the key.
        value_mask, key_mask: ``(batch, sources)``, true where a source counts.
        query_mask: ``(batch, targets)``, the mask of the output.
        attention_mask: ``(batch, targets, sources)``, true where a target may look.
        return_attention_scores: also return the weights ``(batch, heads, targets, sources)``.
        use_causal_mask: let targets look only at sources that are not later.

    Raises:
        ValueError: a size is not positive, or the inputs do not fit each other.

    Example:
        >>> layer = MultiHeadAttention(num_heads=2, key_dim=3)
        >>> y, scores = layer(np.ones((1, 4, 8)), np.ones((1, 6, 8)), return_attention_scores=True)
        >>> y.shape, scores.shape
        ((1, 4, 8), (1, 2, 4, 6))
    """

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: int | Sequence[int] | None = None,
        attention_axes: int | Sequence[int] | None = None,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            dropout=dropout,
            use_bias=use_bias,
            sliding_window=sliding_window,
            flash_attention=flash_attention,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            use_gate=use_gate,
            seed=seed,
            **kwargs,
        )
        self.num_heads = integer(self, "num_heads", num_heads)
        self.key_dim = integer(self, "key_dim", key_dim)
        self.value_dim = self.key_dim if value_dim is None else integer(self, "value_dim", value_dim)
        self._output_shape = (output_shape,) if isinstance(output_shape, int) else output_shape
        axes = (attention_axes,) if isinstance(attention_axes, int) else attention_axes
        self.attention_axes = None if axes is None else tuple(axes)

    def build(self, query_shape: Any, value_shape: Any = None, key_shape: Any = None) -> None:
        """Create the projections."""
        value_shape = query_shape if value_shape is None else value_shape
        key_shape = value_shape if key_shape is None else key_shape
        if len(value_shape) != len(query_shape) or tuple(value_shape[1:-1]) != tuple(key_shape[1:-1]):
            raise ValueError(
                f"query {tuple(query_shape)}, value {tuple(value_shape)} and key {tuple(key_shape)} must have the same "
                "rank, and value and key the same sizes except the last"
            )
        rank = len(query_shape)
        if self.attention_axes is None:
            self.attention_axes = tuple(range(1, rank - 1))
        if not self.attention_axes or any(not 0 < a % rank < rank - 1 for a in self.attention_axes):
            raise ValueError(
                f"attention_axes={self.attention_axes} must be axes between batch and features of a query of shape "
                f"{tuple(query_shape)}"
            )
        self.attention_axes = tuple(a % rank for a in self.attention_axes)
        output = tuple(self._output_shape) if self._output_shape is not None else (query_shape[-1],)
        heads = (self.num_heads, self.num_heads)
        self._build_projections(query_shape, value_shape, key_shape, heads, (self.key_dim, self.value_dim), output)
        self.built = True

    def call(
        self,
        query: Any,
        value: Any,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
    ) -> Any:
        """Return the attended values, and the weights if asked for."""
        mask = self._mask(query, value, query_mask, value_mask, key_mask, attention_mask, use_causal_mask)
        q, k, v = self.query_dense(query), self.key_dense(value if key is None else key), self.value_dense(value)
        assert self.attention_axes is not None
        scores = None
        if len(query.shape) == 3 and not return_attention_scores and self.dropout == 0:
            mask = mask if mask is None else ops.expand_dims(mask, 1)
            result = ops.dot_product_attention(q, k, v, mask=mask, scale=1 / math.sqrt(self.key_dim))
        else:
            result, scores = self._attend(q, k, v, mask, training)
        if self.gate_dense is not None:
            result = ops.multiply(result, ops.sigmoid(self.gate_dense(query)))
        output = self.output_dense(result)
        return (output, scores) if return_attention_scores else output

    def _attend(self, q: Any, k: Any, v: Any, mask: Any, training: bool | None) -> tuple[Any, Any]:
        """Attend over the attention axes; the other axes and the heads are batches of matrix products."""
        axes = list(self.attention_axes or ())
        rank = len(q.shape)
        rest = [a for a in range(rank - 2) if a not in axes]
        order = (*rest, rank - 2, *axes, rank - 1)
        lead = len(rest) + 1

        def flat(x: Any) -> tuple[Any, tuple[Any, ...]]:
            """Heads in front, the attention axes merged; and the sizes of those."""
            moved = ops.transpose(x, order)
            sizes = ops.shape(moved)
            if len(axes) == 1:
                return moved, sizes[lead:-1]
            return ops.reshape(moved, (*sizes[:lead], -1, sizes[-1])), sizes[lead:-1]

        (q, targets), (k, sources), (v, _) = flat(ops.multiply(q, 1 / math.sqrt(self.key_dim))), flat(k), flat(v)
        scores = ops.matmul(q, ops.swapaxes(k, -1, -2))
        batch = ops.shape(scores)[:lead]
        apart = (*batch, *targets, *sources)
        if len(axes) > 1:
            scores = ops.reshape(scores, apart)
        scores = self._normalized(scores, mask, len(axes))
        used = scores if self._dropout_layer is None else self._dropout_layer(scores, training=training)
        if len(axes) > 1:
            used = ops.reshape(used, (*batch, *ops.shape(q)[-2:-1], *ops.shape(k)[-2:-1]))
        result = ops.matmul(used, v)
        if len(axes) > 1:
            result = ops.reshape(result, (*batch, *targets, ops.shape(result)[-1]))
        back = tuple(order.index(a) for a in range(rank))
        return ops.transpose(result, back), scores

    def _normalized(self, scores: Any, mask: Any, count: int) -> Any:
        """Softmax over the last ``count`` axes together."""
        if mask is not None:
            for _ in range(len(scores.shape) - len(mask.shape)):
                mask = ops.expand_dims(mask, -2 * count - 1)
        if count == 1:
            return self._softmax(scores, mask=mask)
        together = Softmax(axis=tuple(range(-count, 0)), dtype=self.dtype_policy)
        return together(scores, mask=mask)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **self._common_config(),
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "value_dim": self.value_dim,
            "output_shape": self._output_shape,
            "attention_axes": self.attention_axes,
        }


class GroupQueryAttention(HeadAttention):
    """Attend with several query heads for each head of keys and values.

    Ainslie et al., "GQA: training generalized multi-query transformer models from multi-head checkpoints", 2023.
    Query ``(batch, targets, features)``, value and key ``(batch, sources, features)``; output as the query.

    Args:
        head_dim: size of each head.
        num_query_heads: how many heads the queries have.
        num_key_value_heads: how many heads keys and values have; it divides ``num_query_heads``.
        dropout, use_bias, sliding_window, flash_attention, use_gate, seed: see :class:`MultiHeadAttention`.
        kernel_initializer, bias_initializer: initializers of the projections.
        kernel_regularizer, bias_regularizer: penalties on their weights.
        activity_regularizer: penalty on the output.
        kernel_constraint, bias_constraint: projections of the weights after each training step.

    The call arguments are those of :class:`MultiHeadAttention`; targets whose ``query_mask`` is false look at nothing.

    Raises:
        ValueError: the heads of the queries are no multiple of those of the keys, or the inputs do not fit.

    Example:
        >>> layer = GroupQueryAttention(head_dim=3, num_query_heads=4, num_key_value_heads=2)
        >>> layer(np.ones((1, 4, 8)), np.ones((1, 6, 8))).shape
        (1, 4, 8)
    """

    _query_mask_counts = True

    def __init__(
        self,
        head_dim: int,
        num_query_heads: int,
        num_key_value_heads: int,
        dropout: float = 0.0,
        use_bias: bool = True,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        # Keras names these layers after another spelling.
        kwargs["name"] = kwargs.get("name") or auto_name("grouped_query_attention")
        super().__init__(
            dropout=dropout,
            use_bias=use_bias,
            sliding_window=sliding_window,
            flash_attention=flash_attention,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            use_gate=use_gate,
            seed=seed,
            **kwargs,
        )
        self.head_dim = integer(self, "head_dim", head_dim)
        self.num_query_heads = integer(self, "num_query_heads", num_query_heads)
        self.num_key_value_heads = integer(self, "num_key_value_heads", num_key_value_heads)
        if self.num_query_heads % self.num_key_value_heads:
            raise ValueError(
                f"GroupQueryAttention: num_query_heads={num_query_heads} must be a multiple of "
                f"num_key_value_heads={num_key_value_heads}"
            )

    def build(self, query_shape: Any, value_shape: Any = None, key_shape: Any = None) -> None:
        """Create the projections."""
        value_shape = query_shape if value_shape is None else value_shape
        shapes = [tuple(s) for s in (query_shape, value_shape, key_shape) if s is not None]
        if any(len(s) != 3 for s in shapes):
            raise ValueError(f"query, value and key must have shape (batch, length, features), got {shapes}")
        heads = (self.num_query_heads, self.num_key_value_heads)
        sizes = (self.head_dim, self.head_dim)
        self._build_projections(query_shape, value_shape, shapes[-1], heads, sizes, (query_shape[-1],))
        self.built = True

    def call(
        self,
        query: Any,
        value: Any,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
    ) -> Any:
        """Return the attended values, and the weights if asked for."""
        mask = self._mask(query, value, query_mask, value_mask, key_mask, attention_mask, use_causal_mask)
        mask = mask if mask is None or len(mask.shape) == 4 else ops.expand_dims(mask, 1)
        q, k, v = self.query_dense(query), self.key_dense(value if key is None else key), self.value_dense(value)
        scores = None
        if not return_attention_scores and self.dropout == 0:
            result = ops.dot_product_attention(q, k, v, mask=mask, scale=1 / math.sqrt(self.head_dim))
        else:
            repeats = self.num_query_heads // self.num_key_value_heads
            k, v = (ops.transpose(ops.repeat(x, repeats, axis=2), (0, 2, 1, 3)) for x in (k, v))
            q = ops.transpose(ops.multiply(q, 1 / math.sqrt(self.head_dim)), (0, 2, 1, 3))
            scores = self._softmax(ops.matmul(q, ops.swapaxes(k, -1, -2)), mask=mask)
            used = scores if self._dropout_layer is None else self._dropout_layer(scores, training=training)
            result = ops.transpose(ops.matmul(used, v), (0, 2, 1, 3))
        if self.gate_dense is not None:
            result = ops.multiply(result, ops.sigmoid(self.gate_dense(query)))
        output = self.output_dense(result)
        return (output, scores) if return_attention_scores else output

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **self._common_config(),
            **config_of(self, "head_dim", "num_query_heads", "num_key_value_heads"),
        }
