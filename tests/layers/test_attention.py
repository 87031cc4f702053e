"""Attention layers against plain numpy, numbers of Keras and finite differences."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sequence_run import as_graph, check_gradients, filled, nodes, run, wave

from nngraph import layers
from nngraph.ir import TensorType
from nngraph.layers import (
    AdditiveAttention,
    Attention,
    GroupQueryAttention,
    Input,
    MultiHeadAttention,
    deserialize,
    serialize,
)

QUERY, VALUE, KEY = wave((2, 3, 4), 3), wave((2, 5, 4), 5), wave((2, 5, 4), 7)
QUERY_MASK = np.array([[True, False, True], [True, True, False]])
VALUE_MASK = np.array([[True, True, False, True, False], [False, True, True, True, True]])


def softmax(x: np.ndarray, kept: Any = None) -> np.ndarray:
    x = x if kept is None else np.where(kept, x, -1e9)
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def close(a: Any, b: Any) -> None:
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-6)


def both_ways(fn: Callable[..., Any], *arrays: np.ndarray) -> tuple[Any, Any]:
    """Run a layer at once and as a graph whose batch is a name; return both results as lists."""
    types = [TensorType("float32", ("batch", *a.shape[1:])) for a in arrays]
    graph, trace, _ = as_graph(fn, types)
    eager = fn(*arrays)
    eager = list(eager) if isinstance(eager, tuple) else [eager]
    found = run(graph, trace, arrays)
    for a, b in zip(found, eager, strict=True):
        close(a, b)
    return eager, graph


# -- Attention and AdditiveAttention --------------------------------------------------------------------------------


def scores_of(layer: Any, query: np.ndarray, key: np.ndarray) -> np.ndarray:
    scale = 1.0 if layer.scale is None else layer.scale.numpy()
    if isinstance(layer, AdditiveAttention):
        return (scale * np.tanh(query[:, :, None] + key[:, None])).sum(-1)
    if layer.score_mode == "dot":
        return scale * query @ key.transpose(0, 2, 1)
    return layer.concat_score_weight.numpy() * np.tanh(scale * (query[:, :, None] + key[:, None])).sum(-1)


PLAIN: dict[str, Callable[[], Any]] = {
    "dot": lambda: Attention(),
    "dot-scale": lambda: Attention(use_scale=True),
    "concat": lambda: Attention(score_mode="concat"),
    "concat-scale": lambda: Attention(score_mode="concat", use_scale=True),
    "additive": lambda: AdditiveAttention(),
    "additive-plain": lambda: AdditiveAttention(use_scale=False),
}


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", PLAIN)
def test_attention(name: str, masked: bool, causal: bool) -> None:
    layer = PLAIN[name]()
    layer.build([QUERY.shape, VALUE.shape])
    layer.built = True
    filled(layer)
    masks = [QUERY_MASK, VALUE_MASK] if masked else None
    kept = np.ones((2, 3, 5), bool)
    kept &= VALUE_MASK[:, None] if masked else True
    kept &= np.tri(3, 5, dtype=bool) if causal else True
    weights = softmax(scores_of(layer, QUERY, KEY), kept)
    rows = kept.any(-1) & (QUERY_MASK if masked else True)
    expected = weights @ VALUE * (QUERY_MASK[..., None] if masked else 1)

    def call(q: Any, v: Any, k: Any) -> Any:
        return layer([q, v, k], mask=masks, return_attention_scores=True, use_causal_mask=causal)

    (y, scores), _ = both_ways(call, QUERY, VALUE, KEY)
    close(np.asarray(y)[rows], expected[rows])
    close(np.asarray(scores)[rows], weights[rows])
    if masked:
        assert not np.asarray(y)[~QUERY_MASK].any()
    if not masked and not causal:
        close(layer([QUERY, VALUE]), softmax(scores_of(layer, QUERY, VALUE)) @ VALUE)


@pytest.mark.parametrize("name", PLAIN)
def test_gradients_of_attention(name: str) -> None:
    layer = PLAIN[name]()
    wide = type(layer).from_config({**layer.get_config(), "dtype": "float64"})
    wide.build([QUERY.shape, VALUE.shape])
    wide.built = True
    filled(wide)
    masks = [QUERY_MASK, VALUE_MASK]
    check_gradients(wide, lambda q, v, k: wide([q, v, k], mask=masks), [QUERY, VALUE, KEY])


def test_dropout_of_the_weights() -> None:
    for layer in (Attention(dropout=0.5, seed=3), AdditiveAttention(dropout=0.5, seed=3)):
        y = layer([QUERY, VALUE])
        close(y, layer([QUERY, VALUE], training=False))
        dropped = layer([QUERY, VALUE], training=True)
        assert not np.allclose(dropped, y)
    heads = MultiHeadAttention(2, 3, dropout=0.5, seed=3)
    plain, scores = heads(QUERY, VALUE, return_attention_scores=True)
    dropped, same = heads(QUERY, VALUE, training=True, return_attention_scores=True)
    close(scores, same)  # the scores returned are those before dropout
    assert not np.allclose(plain, dropped)


# -- heads ----------------------------------------------------------------------------------------------------------


def by_heads(layer: Any, query: Any, value: Any, key: Any, kept: Any) -> tuple[np.ndarray, np.ndarray]:
    """What a layer with heads computes, head by head."""
    parts = {name: getattr(layer, f"{name}_dense") for name in ("query", "key", "value")}
    bias = [0 if d.bias is None else d.bias.numpy() for d in parts.values()]
    kernels = [d.kernel.numpy() for d in parts.values()]
    q, k, v = (
        np.einsum("btd,dnh->bnth", x, w) + (b if np.isscalar(b) else b[:, None])
        for x, w, b in zip((query, key, value), kernels, bias, strict=True)
    )
    repeats = q.shape[1] // k.shape[1]
    k, v = np.repeat(k, repeats, axis=1), np.repeat(v, repeats, axis=1)
    weights = softmax(q @ k.transpose(0, 1, 3, 2) / np.sqrt(q.shape[-1]), None if kept is None else kept[:, None])
    result = weights @ v
    if layer.gate_dense is not None:
        gate = np.einsum("btd,dnh->bnth", query, layer.gate_dense.kernel.numpy())
        result = result / (1 + np.exp(-(gate + layer.gate_dense.bias.numpy()[:, None])))
    output = np.einsum("bnth,nhd->btd", result, layer.output_dense.kernel.numpy())
    return output + (0 if layer.output_dense.bias is None else layer.output_dense.bias.numpy()), weights


HEADS: dict[str, Callable[[], Any]] = {
    "multi": lambda **k: MultiHeadAttention(2, 3, **k),
    "multi-plain": lambda **k: MultiHeadAttention(2, 3, use_bias=False, **k),
    "multi-sizes": lambda **k: MultiHeadAttention(3, 2, value_dim=5, output_shape=7, **k),
    "multi-gate": lambda **k: MultiHeadAttention(2, 3, use_gate=True, **k),
    "group": lambda **k: GroupQueryAttention(3, 4, 2, **k),
    "group-gate": lambda **k: GroupQueryAttention(3, 4, 1, use_gate=True, **k),
}


def made(name: str, **arguments: Any) -> Any:
    layer = HEADS[name](**arguments)
    layer(QUERY.astype(layer.dtype), VALUE.astype(layer.dtype))
    return filled(layer)


@pytest.mark.parametrize("mask", ["none", "value", "key", "attention", "causal", "window", "all"])
@pytest.mark.parametrize("name", HEADS)
def test_heads(name: str, mask: str) -> None:
    layer = made(name, **({"sliding_window": 2} if mask in ("window", "all") else {}))
    given = np.random.default_rng(0).random((2, 3, 5)) > 0.3
    given[..., 1] = True
    kept = np.ones((2, 3, 5), bool)
    arguments: dict[str, Any] = {}
    if mask in ("value", "all"):
        arguments["value_mask"] = VALUE_MASK
        kept &= VALUE_MASK[:, None]
    if mask in ("key", "all"):
        arguments["key_mask"] = VALUE_MASK[::-1]
        kept &= VALUE_MASK[::-1][:, None]
    if mask in ("attention", "all"):
        arguments["attention_mask"] = given
        kept &= given
    if mask in ("causal", "all"):
        arguments["use_causal_mask"] = True
        kept &= np.tri(3, 5, dtype=bool)
    if mask in ("window", "all"):
        kept &= np.abs(np.arange(3)[:, None] - np.arange(5)) < 2
    expected, weights = by_heads(layer, QUERY, VALUE, KEY, kept)
    rows = kept.any(-1)

    def with_scores(q: Any, v: Any, k: Any) -> Any:
        return layer(q, v, k, return_attention_scores=True, **arguments)

    (y, scores), graph = both_ways(with_scores, QUERY, VALUE, KEY)
    close(np.asarray(y)[rows], expected[rows])
    close(np.asarray(scores).transpose(0, 2, 1, 3)[rows], weights.transpose(0, 2, 1, 3)[rows])
    assert not nodes(graph, "Einsum")
    (alone,), graph = both_ways(lambda q, v, k: layer(q, v, k, **arguments), QUERY, VALUE, KEY)
    close(np.asarray(alone)[rows], expected[rows])
    assert not nodes(graph, "Einsum")


@pytest.mark.parametrize("name", HEADS)
def test_gradients_of_heads(name: str) -> None:
    layer = made(name, dtype="float64")
    check_gradients(layer, lambda q, v: layer(q, v, value_mask=VALUE_MASK), [QUERY, VALUE])


@pytest.mark.parametrize("axes", [None, (1,), (2,), (1, 2)])
def test_attention_over_chosen_axes(axes: Any) -> None:
    query, value = wave((2, 2, 3, 4), 1), wave((2, 2, 3, 4), 2)
    layer = MultiHeadAttention(2, 3, attention_axes=axes)
    layer(query, value)
    filled(layer)
    (y, scores), _ = both_ways(lambda q, v: layer(q, v, return_attention_scores=True), query, value)
    wanted = axes or (1, 2)
    if wanted == (1,):
        parts = [by_heads(layer, query[:, :, j], value[:, :, j], value[:, :, j], None) for j in range(3)]
        close(y, np.stack([p[0] for p in parts], axis=2))
        close(scores, np.stack([p[1] for p in parts], axis=1))
    elif wanted == (2,):
        parts = [by_heads(layer, query[:, i], value[:, i], value[:, i], None) for i in range(2)]
        close(y, np.stack([p[0] for p in parts], axis=1))
        close(scores, np.stack([p[1] for p in parts], axis=1))
    else:
        flat, shared = query.reshape(2, 6, 4), value.reshape(2, 6, 4)
        expected, weights = by_heads(layer, flat, shared, shared, None)
        close(y, expected.reshape(2, 2, 3, 4))
        close(scores, weights.reshape(2, 2, 2, 3, 2, 3))
    keep = np.ones((2, *(query.shape[a] for a in wanted), *(value.shape[a] for a in wanted)), bool)
    if wanted != (2,) and len(wanted) == 1:
        return
    masked = layer(query, value, attention_mask=keep if len(wanted) == 2 else keep[:, None])
    close(masked, y)


def test_output_of_several_sizes() -> None:
    layer = MultiHeadAttention(2, 3, output_shape=(2, 5))
    (y,), _ = both_ways(lambda q, v: layer(q, v), QUERY, VALUE)
    assert y.shape == (2, 3, 2, 5)


def test_symbolic_lengths() -> None:
    types = [TensorType("float32", ("batch", "targets", 4)), TensorType("float32", ("batch", "sources", 4))]
    for name in ("multi", "group"):
        layer = made(name, sliding_window=3)
        for scores in (False, True):

            def call(q: Any, v: Any, layer: Any = layer, scores: bool = scores) -> Any:
                return layer(q, v, use_causal_mask=True, return_attention_scores=scores)

            graph, trace, result = as_graph(call, types)
            eager = call(QUERY, VALUE)
            close(run(graph, trace, [QUERY, VALUE])[0], eager[0] if scores else eager)
            first = result[0] if scores else result
            assert first.shape == ("batch", "targets", 4)


# -- masks, weights, configuration ----------------------------------------------------------------------------------


def test_masks_travel() -> None:
    tokens = np.array([[1, 2, 3, 0], [4, 0, 0, 0]])
    embedded = layers.Embedding(5, 4, mask_zero=True)
    x = embedded(tokens)
    plain, mask = np.array(x), tokens != 0
    attention, heads = Attention(), MultiHeadAttention(2, 2)
    close(attention([x, x]), attention([plain, plain], mask=[mask, mask]))
    close(heads(x, x), heads(plain, plain, value_mask=mask))
    symbol = embedded(Input((None,), dtype="int32"))
    for layer in (lambda s: attention([s, s]), lambda s: heads(s, s)):
        assert layer(symbol)._keras_mask is not None
    assert attention.compute_mask([QUERY, VALUE], [QUERY_MASK, VALUE_MASK]) is QUERY_MASK


def test_a_masked_query_of_grouped_heads_looks_at_nothing() -> None:
    layer = made("group")
    _, scores = layer(QUERY, VALUE, query_mask=QUERY_MASK, return_attention_scores=True)
    assert not np.asarray(scores).transpose(0, 2, 1, 3)[~QUERY_MASK].any()


def test_weights_have_the_names_and_shapes_of_keras() -> None:
    layer = MultiHeadAttention(2, 3, value_dim=5, use_gate=True, name="a")
    layer(QUERY, VALUE)
    assert [(w.path, w.shape) for w in layer.weights] == [
        ("a/query/kernel", (4, 2, 3)),
        ("a/query/bias", (2, 3)),
        ("a/key/kernel", (4, 2, 3)),
        ("a/key/bias", (2, 3)),
        ("a/gate/kernel", (4, 2, 5)),
        ("a/gate/bias", (2, 5)),
        ("a/value/kernel", (4, 2, 5)),
        ("a/value/bias", (2, 5)),
        ("a/attention_output/kernel", (2, 5, 4)),
        ("a/attention_output/bias", (4,)),
    ]
    kernels = [w.numpy() for w in layer.weights if w.name == "kernel"]
    assert not np.allclose(kernels[0], kernels[1])
    other = MultiHeadAttention(2, 3)
    other(QUERY, VALUE[..., :2], VALUE[..., :3])
    assert [w.shape[0] for w in other.weights if w.name == "kernel"] == [4, 3, 2, 2]
    assert [w.path for w in Attention(use_scale=True, score_mode="concat", name="b").weights] == []
    group = GroupQueryAttention(3, 4, 2)
    group(QUERY, VALUE)
    assert group.name.startswith("grouped_query_attention")
    assert [w.shape for w in group.weights[::2]] == [(4, 4, 3), (4, 2, 3), (4, 2, 3), (4, 3, 4)]


@pytest.mark.parametrize("name", [*PLAIN, *HEADS])
def test_configuration_makes_an_equal_layer(name: str) -> None:
    layer = PLAIN[name]() if name in PLAIN else HEADS[name](kernel_regularizer="l2", dropout=0.25, seed=5)
    inputs = ([QUERY, VALUE],) if name in PLAIN else (QUERY, VALUE)
    first = layer(*inputs)
    described = json.loads(json.dumps(serialize(layer)))
    twin = deserialize(described)
    assert twin.get_config() == layer.get_config()
    twin(*inputs)
    twin.set_weights(layer.get_weights())
    np.testing.assert_array_equal(twin(*inputs), first)


def test_a_layer_is_built_from_its_saved_shapes() -> None:
    layer = MultiHeadAttention(2, 3)
    layer(QUERY, VALUE, KEY)
    twin = MultiHeadAttention(2, 3)
    twin.build_from_config(json.loads(json.dumps(layer.get_build_config())))
    assert [w.shape for w in twin.weights] == [w.shape for w in layer.weights]


# -- numbers of Keras and mistakes ----------------------------------------------------------------------------------

SMALL, WIDE = wave((1, 3, 4), 3), wave((1, 4, 4), 5)
MASKS = [np.array([[True, False, True]]), np.array([[True, True, False, True]])]

GOLDEN: dict[str, tuple[Callable[[], Any], tuple[Any, ...], dict[str, Any], list[float]]] = {
    "Attention": (
        lambda: Attention(use_scale=True),
        ([SMALL, WIDE],),
        {"mask": MASKS},
        [
            *(0.37308, 0.260249, -0.440144, -0.146829, 0.0, 0.0),
            *(0.0, 0.0, 0.352023, 0.306953, -0.431121, -0.195858),
        ],
    ),
    "Attention-concat": (
        lambda: Attention(score_mode="concat"),
        ([SMALL, WIDE],),
        {"use_causal_mask": True},
        [
            *(0.170197, 0.54863, -0.311573, -0.468341, 0.303717, 0.450971),
            *(-0.419927, -0.34276, 0.402504, 0.316523, -0.484069, -0.191783),
        ],
    ),
    "AdditiveAttention": (
        lambda: AdditiveAttention(),
        ([SMALL, WIDE],),
        {"mask": MASKS},
        [
            *(0.431909, 0.151012, -0.470823, -0.029686, 0.0, 0.0),
            *(0.0, 0.0, 0.428853, 0.158173, -0.469613, -0.037159),
        ],
    ),
    "MultiHeadAttention": (
        lambda: MultiHeadAttention(2, 2),
        (SMALL, WIDE),
        {"value_mask": MASKS[1]},
        [
            *(0.606699, -0.234897, -0.546169, 0.375638, 0.606796, -0.234688),
            *(-0.54632, 0.375469, 0.606917, -0.234428, -0.546508, 0.375257),
        ],
    ),
    "MultiHeadAttention-gate": (
        lambda: MultiHeadAttention(2, 3, use_gate=True, output_shape=3),
        (SMALL, WIDE),
        {"use_causal_mask": True},
        [-0.592144, -0.006455, 0.593807, -0.678831, -0.112546, 0.707832, -0.769507, -0.196377, 0.820112],
    ),
    "MultiHeadAttention-axes": (
        lambda: MultiHeadAttention(2, 2, attention_axes=(1, 2)),
        (wave((1, 2, 2, 3), 1), wave((1, 2, 3, 3), 2)),
        {},
        [
            *(0.969423, -0.096679, -0.94451, 0.958752, -0.100268, -0.932914),
            *(0.94448, -0.093147, -0.920478, 0.944411, -0.084193, -0.922716),
        ],
    ),
    "GroupQueryAttention": (
        lambda: GroupQueryAttention(2, 4, 2),
        (SMALL, WIDE),
        {"key_mask": MASKS[1]},
        [
            *(1.358644, -0.752556, -1.164718, 1.052691, 1.358031, -0.753544),
            *(-1.163851, 1.053455, 1.357669, -0.754281, -1.163299, 1.05405),
        ],
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_numbers_of_keras(name: str) -> None:
    """Keras 3.15 gave these numbers for the weights and inputs of ``wave``."""
    build, inputs, arguments, numbers = GOLDEN[name]
    layer = build()
    layer(*inputs)
    filled(layer)
    np.testing.assert_allclose(np.ravel(layer(*inputs, **arguments)), numbers, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Attention(score_mode="add"), "score_mode"),
        (lambda: Attention(dropout=2), "dropout must be a number from 0 to 1"),
        (lambda: Attention()(QUERY), r"takes a list of inputs, \[query, value\]"),
        (lambda: Attention()([QUERY]), r"takes a list of inputs"),
        (lambda: Attention()([QUERY, VALUE], mask=QUERY_MASK), r"mask must be a list, \[query_mask, value_mask\]"),
        (lambda: MultiHeadAttention(0, 3), "num_heads must be a positive integer"),
        (lambda: MultiHeadAttention(2, 3, sliding_window=0), "sliding_window must be a positive integer"),
        (lambda: MultiHeadAttention(2, 3, attention_axes=0)(QUERY, VALUE), "must be axes between batch and features"),
        (lambda: MultiHeadAttention(2, 3)(QUERY, VALUE[:, None]), "must have the same rank"),
        (lambda: MultiHeadAttention(2, 3)(QUERY, VALUE, KEY[:, :4]), "value and key the same sizes"),
        (lambda: GroupQueryAttention(3, 4, 3), "must be a multiple of num_key_value_heads=3"),
        (lambda: GroupQueryAttention(3, 4, 2)(QUERY[:, None], VALUE), "must have shape"),
    ],
)
def test_mistakes(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
