"""The networks in plain JAX: functions of a dictionary of weights in Keras's layout (NHWC).

``MODELS[name](weights, x, key)`` returns the logits and the new moving statistics; ``key=None`` means inference.
``weights`` holds lists of arrays by layer name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from jax import lax
from jax import numpy as jnp

from benchmarks.workloads import MOBILENET_BLOCKS

__all__ = ["MODELS", "STATISTICS"]

# Arrays of a batch normalization that are not trained: the moving mean and variance.
STATISTICS = slice(2, 4)
Result = tuple[Any, dict[str, Any]]


def dense(w: Any, x: Any) -> Any:
    return x @ w[0] + w[1]


def conv(w: Any, x: Any, stride: int = 1, padding: Any = "VALID", groups: int = 1) -> Any:
    kernel = w[0] if groups == 1 else w[0].transpose(0, 1, 3, 2)
    y = lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        padding,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )
    return y + w[1] if len(w) > 1 else y


def max_pool(x: Any) -> Any:
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def dropout(x: Any, rate: float, key: Any) -> Any:
    if key is None:
        return x
    return jnp.where(jax.random.bernoulli(key, 1 - rate, x.shape), x / (1 - rate), 0.0)


def layer_norm(w: Any, x: Any) -> Any:
    centered = x - x.mean(-1, keepdims=True)
    return centered * lax.rsqrt(jnp.square(centered).mean(-1, keepdims=True) + 1e-3) * w[0] + w[1]


class Normalizer:
    """Batch normalization; collects the new moving statistics of all its calls."""

    def __init__(self, weights: Any, training: bool) -> None:
        self.weights, self.training, self.new = weights, training, {}

    def __call__(self, name: str, x: Any) -> Any:
        gamma, beta, mean, variance = self.weights[name]
        if self.training:
            batch_mean, batch_variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
            self.new[name] = [0.99 * mean + 0.01 * batch_mean, 0.99 * variance + 0.01 * batch_variance]
            mean, variance = batch_mean, batch_variance
        return (x - mean) * (lax.rsqrt(variance + 1e-3) * gamma) + beta


def mlp(w: Any, x: Any, key: Any) -> Result:
    return dense(w["output"], dropout(jax.nn.relu(dense(w["hidden"], x)), 0.2, key)), {}


def cnn(w: Any, x: Any, key: Any) -> Result:
    keys = [None] * 3 if key is None else jax.random.split(key, 3)
    x = dropout(max_pool(jax.nn.relu(conv(w["conv1"], x))), 0.25, keys[0])
    x = dropout(max_pool(jax.nn.relu(conv(w["conv2"], x))), 0.25, keys[1])
    x = jax.nn.relu(dense(w["hidden"], x.reshape(x.shape[0], -1)))
    return dense(w["output"], dropout(x, 0.5, keys[2])), {}


def _resnet(w: Any, x: Any, key: Any, stages: int, blocks: int) -> Result:
    norm = Normalizer(w, key is not None)

    def conv_bn(name: str, x: Any, stride: int = 1, pad: int = 1) -> Any:
        return norm(f"{name}_bn", conv(w[f"{name}_conv"], x, stride, [(pad, pad)] * 2))

    x = jax.nn.relu(conv_bn("stem", x))
    for s in range(stages):
        for b in range(blocks):
            name, stride = f"s{s}b{b}", 2 if s and not b else 1
            y = conv_bn(f"{name}_2", jax.nn.relu(conv_bn(f"{name}_1", x, stride)))
            x = jax.nn.relu(y + (x if stride == 1 else conv_bn(f"{name}_3", x, stride, 0)))
    return dense(w["output"], x.mean((1, 2))), norm.new


def lstm(w: Any, x: Any, key: Any) -> Result:
    kernel, recurrent, bias = w["recurrent"]
    gates = w["embedding"][0][x] @ kernel + bias

    def step(carry: Any, gate: Any) -> Any:
        h, c = carry
        i, f, g, o = jnp.split(gate + h @ recurrent, 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

    zero = jnp.zeros((x.shape[0], recurrent.shape[0]))
    (h, _), _ = lax.scan(step, (zero, zero), gates.swapaxes(0, 1))
    return dense(w["output"], h), {}


def gru(w: Any, x: Any, key: Any) -> Result:
    kernel, recurrent, bias = w["recurrent"]
    gates = w["embedding"][0][x] @ kernel + bias[0]

    def step(h: Any, gate: Any) -> Any:
        z, r, new = jnp.split(gate, 3, -1)
        hz, hr, hnew = jnp.split(h @ recurrent + bias[1], 3, -1)
        z, r = jax.nn.sigmoid(z + hz), jax.nn.sigmoid(r + hr)
        return z * h + (1 - z) * jnp.tanh(new + r * hnew), None

    h, _ = lax.scan(step, jnp.zeros((x.shape[0], recurrent.shape[0])), gates.swapaxes(0, 1))
    return dense(w["output"], h), {}


def attention(w: Any, x: Any, causal: bool) -> Any:
    q, k, v = (jnp.einsum("btd,dhk->bthk", x, w[2 * n]) + w[2 * n + 1] for n in range(3))
    y = jax.nn.dot_product_attention(q, k, v, is_causal=causal)
    return jnp.einsum("bthk,hkd->btd", y, w[6]) + w[7]


def _attention_stack(w: Any, x: Any, blocks: int, causal: bool) -> Any:
    x = w["embedding"][0][x] + w["positions"][0]
    for b in range(blocks):
        x = x + attention(w[f"b{b}_attention"], layer_norm(w[f"b{b}_norm1"], x), causal)
        y = jax.nn.gelu(dense(w[f"b{b}_up"], layer_norm(w[f"b{b}_norm2"], x)), approximate=False)
        x = x + dense(w[f"b{b}_down"], y)
    return layer_norm(w["norm"], x)


def transformer(w: Any, x: Any, key: Any) -> Result:
    return dense(w["output"], _attention_stack(w, x, 4, causal=False).mean(1)), {}


def lm(w: Any, x: Any, key: Any) -> Result:
    return dense(w["output"], _attention_stack(w, x, 2, causal=True)), {}


def unet(w: Any, x: Any, key: Any) -> Result:
    def double(x: Any, name: str) -> Any:
        for k in (1, 2):
            x = jax.nn.relu(conv(w[f"{name}_conv{k}"], x, padding="SAME"))
        return x

    def up(x: Any, name: str, skip: Any) -> Any:
        kernel, bias = w[f"{name}_conv"]
        x = lax.conv_transpose(x, kernel, (2, 2), "VALID", transpose_kernel=True) + bias
        return double(jnp.concatenate([skip, x], -1), name)

    top = double(x, "down1")
    middle = double(max_pool(top), "down2")
    x = double(max_pool(middle), "bottom")
    return conv(w["output"], up(up(x, "up2", middle), "up1", top)), {}


def mobilenet(w: Any, x: Any, key: Any) -> Result:
    norm = Normalizer(w, key is not None)
    pad = [(1, 1)] * 2
    x = jax.nn.relu6(norm("stem_bn", conv(w["stem_conv"], x, 2, pad)))
    for k, (_, stride) in enumerate(MOBILENET_BLOCKS):
        x = conv(w[f"m{k}_1_conv"], x, stride, pad, groups=x.shape[-1])
        x = jax.nn.relu6(norm(f"m{k}_1_bn", x))
        x = jax.nn.relu6(norm(f"m{k}_2_bn", conv(w[f"m{k}_2_conv"], x)))
    return dense(w["output"], x.mean((1, 2))), norm.new


MODELS: dict[str, Callable[[Any, Any, Any], Result]] = {
    "mlp": mlp,
    "cnn": cnn,
    "resnet": lambda w, x, key: _resnet(w, x, key, 3, 2),
    "resnet100": lambda w, x, key: _resnet(w, x, key, 3, 16),
    "lstm": lstm,
    "gru": gru,
    "transformer": transformer,
    "lm": lm,
    "unet": unet,
    "mobilenet": mobilenet,
}
