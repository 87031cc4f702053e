"""Cases of activations, normalisations, losses, attention and what rearranges pixels."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from function_case import Case, of, positive

X = np.float32([[-7.3, -2.2, -0.8, -0.3, 0.0], [0.2, 0.7, 1.6, 4.1, 9.0]])
HUGE = np.float32([-1000, -100, -20, 0, 20, 100, 1000])
WHOLE = np.int32([[-2, 0, 3]])


def erf(x):
    return np.vectorize(math.erf)(x)


def sigmoid(x):
    return 1 / (1 + np.exp(-np.float64(x)))


def softplus(x):
    return np.logaddexp(0, np.float64(x))


def gelu(x, approximate=True):
    x = np.float64(x)
    if approximate:
        return x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return x / 2 * (1 + erf(x / np.sqrt(2)))


def elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def shrink(x, threshold, move):
    return np.where(np.abs(x) > threshold, x - np.sign(x) * move, 0)


def softmax(x, axis=-1):
    axis = tuple(axis) if isinstance(axis, list) else axis
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def log_softmax(x, axis=-1):
    axis = tuple(axis) if isinstance(axis, list) else axis
    away = np.float64(x) - np.max(x, axis=axis, keepdims=True)
    return away - np.log(np.exp(away).sum(axis=axis, keepdims=True))


def sparsemax(x, axis=-1):
    """The projection onto the simplex by bisection of the threshold."""
    low, high = np.min(x, axis, keepdims=True) - 1.0, np.max(x, axis, keepdims=True) + 0.0
    for _ in range(100):
        middle = (low + high) / 2
        enough = np.maximum(x - middle, 0).sum(axis, keepdims=True) > 1
        low, high = np.where(enough, middle, low), np.where(enough, high, middle)
    return np.maximum(x - low, 0)


ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "leaky_relu": lambda x, negative_slope=0.2: np.where(x > 0, x, negative_slope * x),
    "sigmoid": sigmoid,
    "log_sigmoid": lambda x: -softplus(-x),
    "softplus": softplus,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "silu": lambda x: x * sigmoid(x),
    "swish": lambda x: x * sigmoid(x),
    "squareplus": lambda x, b=4: (x + np.sqrt(np.float64(x) ** 2 + b)) / 2,
    "elu": elu,
    "selu": lambda x: 1.0507009873554805 * elu(x, 1.6732632423543772),
    "celu": lambda x, alpha=1.0: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / alpha)),
    "gelu": gelu,
    "tanh_shrink": lambda x: x - np.tanh(x),
    "hard_sigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
    "hard_silu": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "hard_swish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "hard_shrink": lambda x, threshold=0.5: shrink(x, threshold, 0),
    "soft_shrink": lambda x, threshold=0.5: shrink(x, threshold, threshold),
    "threshold": lambda x, threshold, default_value: np.where(x > threshold, x, default_value),
    "sparse_sigmoid": lambda x: np.clip((x + 1) / 2, 0, 1),
    "sparse_plus": lambda x: np.where(x <= -1, 0, np.where(x >= 1, x, (x + 1) ** 2 / 4)),
    "glu": lambda x, axis=-1: np.split(x, 2, axis)[0] * sigmoid(np.split(x, 2, axis)[1]),
    "softmax": softmax,
    "log_softmax": log_softmax,
    "sparsemax": sparsemax,
}


def activation(name: str, *args, **kwargs) -> Case:
    return Case(name, args, kwargs, expect=lambda *a, **k: np.asarray(ACTIVATIONS[name](*a, **k), np.float32))


PLAIN = [n for n in ACTIVATIONS if n not in ("threshold", "glu", "softmax", "log_softmax", "sparsemax")]
IMAGE = of(3, 4, 5)
FIXED = "the axis has a known size"


def normalized(x, gamma=None, beta=None, axis=-1, epsilon=1e-7):
    axes = sorted(a % x.ndim for a in np.atleast_1d(axis))
    x = np.float64(x)
    y = (x - x.mean(tuple(axes), keepdims=True)) / np.sqrt(x.var(tuple(axes), keepdims=True) + epsilon)
    return (y * along(gamma, axes, x.ndim, 1) + along(beta, axes, x.ndim, 0)).astype(np.float32)


def rms(x, scale=None, axis=-1, epsilon=1e-7):
    axes = sorted(a % x.ndim for a in np.atleast_1d(axis))
    y = x / np.sqrt((np.float64(x) ** 2).mean(tuple(axes), keepdims=True) + epsilon)
    return (y * along(scale, axes, x.ndim, 1)).astype(np.float32)


def along(vector, axes, rank: int, default: float):
    if vector is None:
        return default
    return vector.reshape([vector.shape[axes.index(k)] if k in axes else 1 for k in range(rank)])


def batch_normalized(x, mean, variance, axis, offset=None, scale=None, epsilon=1e-3):
    at = [axis % x.ndim]
    y = (np.float64(x) - along(mean, at, x.ndim, 0)) / np.sqrt(along(variance, at, x.ndim, 1) + epsilon)
    return (y * along(scale, at, x.ndim, 1) + along(offset, at, x.ndim, 0)).astype(np.float32)


def normalize(x, axis=-1, order=2, epsilon=1e-7):
    norm = (np.abs(np.float64(x)) ** order).sum(axis, keepdims=True) ** (1 / order)
    return (x / np.maximum(norm, epsilon)).astype(np.float32)


def moments(x, axes, keepdims=False):
    axes = tuple(np.atleast_1d(axes)) if axes is not None else None
    return x.mean(axes, keepdims=keepdims), x.var(axes, keepdims=keepdims)


def fixed(case: Case, *places: int) -> Case:
    """Keep all arrays but the first as they are."""
    return replace(case, fixed=places or tuple(range(1, len(case.args))))


# -- losses ---------------------------------------------------------------------------------------------------------

EPSILON = 1e-7


def binary(t, p, from_logits=False):
    # The limits are rounded to single precision: 1 - EPSILON is 1 - 1.19e-7.
    p = sigmoid(p) if from_logits else np.clip(p, np.float32(EPSILON), np.float32(1 - EPSILON)).astype(np.float64)
    return (-(t * np.log(p) + (1 - t) * np.log(1 - p))).astype(np.float32)


def log_of(p, from_logits, axis):
    if from_logits:
        return log_softmax(p, axis)
    return np.log(np.clip(p / np.float64(p).sum(axis, keepdims=True), EPSILON, 1 - EPSILON))


def categorical(t, p, from_logits=False, axis=-1):
    return -(t * log_of(p, from_logits, axis)).sum(axis).astype(np.float32)


def sparse(t, p, from_logits=False, axis=-1):
    logp = np.moveaxis(log_of(p, from_logits, axis), axis, -1)
    t = np.asarray(t).reshape(logp.shape[:-1])
    hot = t[..., None] == np.arange(logp.shape[-1])
    return -(hot * logp).sum(-1).astype(np.float32)


P, Q = positive(3, 4), softmax(of(3, 4)).astype(np.float32)
LABELS = np.int32([2, 0, 3])
SURE = np.float32([[0.0, 1.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])


# -- attention ------------------------------------------------------------------------------------------------------

Q4, K4, V4, ONE_HEAD = of(2, 3, 4, 6), of(2, 5, 4, 6), of(2, 5, 4, 6), of(2, 5, 2, 6)
MASK = np.tril(np.ones((3, 5), bool), 1)


def attention(q, k, v, bias=0.0, mask=None, scale=None, is_causal=False, attn_logits_soft_cap=None):
    times = q.shape[2] // k.shape[2]
    k, v = np.repeat(k, times, 2), np.repeat(v, times, 2)
    z = np.einsum("bthd,bshd->bhts", q, k) * (1 / np.sqrt(q.shape[-1]) if scale is None else scale)
    if attn_logits_soft_cap:
        z = attn_logits_soft_cap * np.tanh(z / attn_logits_soft_cap)
    z = z + bias
    allowed = np.ones(z.shape, bool) if mask is None else np.broadcast_to(mask, z.shape)
    if is_causal:
        allowed = allowed & np.tril(np.ones(z.shape[2:], bool))
    return np.einsum("bhts,bshd->bthd", softmax(np.where(allowed, z, -1e30)), v).astype(np.float32)


# -- pixels ---------------------------------------------------------------------------------------------------------


def depth_to_space(x, b, data_format="channels_last"):
    if data_format == "channels_first":
        return np.moveaxis(depth_to_space(np.moveaxis(x, 1, -1), b), -1, 1)
    n, h, w, c = x.shape
    return x.reshape(n, h, w, b, b, c // b**2).transpose(0, 1, 3, 2, 4, 5).reshape(n, h * b, w * b, c // b**2)


def space_to_depth(x, b, data_format="channels_last"):
    if data_format == "channels_first":
        return np.moveaxis(space_to_depth(np.moveaxis(x, 1, -1), b), -1, 1)
    n, h, w, c = x.shape
    return x.reshape(n, h // b, b, w // b, b, c).transpose(0, 1, 3, 2, 4, 5).reshape(n, h // b, w // b, b * b * c)


def places(size, kernel, dilation, padding, stride):
    """Rows (or columns) that each window sees: an array (windows, kernel)."""
    count = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    return np.arange(count)[:, None] * stride + np.arange(kernel) * dilation


def unfold(x, k, dilation=1, padding=0, stride=1):
    n, c, h, w = x.shape
    padded = np.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    rows, columns = places(h, k, dilation, padding, stride), places(w, k, dilation, padding, stride)
    windows = padded[:, :, rows[:, None, :, None], columns[None, :, None, :]]
    return windows.transpose(0, 1, 4, 5, 2, 3).reshape(n, c * k * k, -1)


def fold(x, size, k, dilation=1, padding=0, stride=1):
    n, ck, _ = x.shape
    (h, w), c = size, ck // k**2
    rows, columns = places(h, k, dilation, padding, stride), places(w, k, dilation, padding, stride)
    image = np.zeros((n, c, h + 2 * padding, w + 2 * padding), x.dtype)
    windows = x.reshape(n, c, k, k, len(rows), len(columns))
    for i, j in np.ndindex(len(rows), len(columns)):
        image[:, :, rows[i][:, None], columns[j]] += windows[:, :, :, :, i, j]
    return image[:, :, padding : padding + h, padding : padding + w]


def multi_hot(x, n, axis=-1, dtype="float32"):
    hot = np.stack([np.any(np.asarray(x) == k, axis=-1) for k in range(n)], axis)
    return hot.astype(dtype)


def psnr(a, b, top):
    return np.float32(20 * np.log10(top) - 10 * np.log10(np.mean((a - b) ** 2)))


def polar(magnitude, angle):
    return (magnitude * np.exp(1j * angle)).astype(np.complex64)


PIXELS = of(2, 3, 5, 6)

CASES = [
    *(activation(n, X) for n in PLAIN),
    *(activation(n, HUGE) for n in ("sigmoid", "log_sigmoid", "softplus", "silu", "gelu", "elu", "softsign")),
    *(activation(n, WHOLE) for n in ("leaky_relu", "sigmoid", "softplus", "gelu")),
    activation("leaky_relu", X, negative_slope=0.5),
    activation("squareplus", X, b=1),
    activation("elu", X, alpha=0.5),
    activation("celu", X, alpha=0.5),
    activation("gelu", X, approximate=False),
    activation("hard_shrink", X, threshold=1.0),
    activation("soft_shrink", X, threshold=1.0),
    activation("threshold", X, 0.5, -2.0),
    activation("glu", of(3, 6)),
    activation("glu", of(3, 4, 5), axis=1),
    *(activation(n, IMAGE, axis=a) for n in ("softmax", "log_softmax") for a in (-1, 0, 1, [1, 2], [0, 2], None)),
    activation("softmax", np.float32([[1000, 0], [-1000, -1000]])),
    *(activation("sparsemax", 2 * of(3, 6), axis=a) for a in (-1, 1)),
    replace(activation("sparsemax", of(3, 6), axis=0), named=False, why=FIXED),
    # -- normalisation
    *(Case("layer_normalization", (IMAGE,), k, normalized) for k in ({}, {"axis": 1}, {"epsilon": 0.1})),
    *(fixed(Case("layer_normalization", (IMAGE, of(5), b), {}, normalized)) for b in (None, of(5))),
    fixed(Case("layer_normalization", (IMAGE, of(4), of(4)), {"axis": 1}, normalized)),
    fixed(Case("layer_normalization", (IMAGE, of(4, 5), of(4, 5)), {"axis": [2, 1]}, normalized)),
    Case("rms_normalization", (IMAGE,), {"epsilon": 0.1}, rms),
    fixed(Case("rms_normalization", (IMAGE, of(5)), {}, rms)),
    fixed(Case("rms_normalization", (IMAGE, of(4)), {"axis": 1}, rms)),
    fixed(Case("batch_normalization", (IMAGE, of(5), positive(5), -1), {}, batch_normalized)),
    fixed(
        Case("batch_normalization", (IMAGE, of(4), positive(4), 1, of(4), of(4)), {"epsilon": 0.1}, batch_normalized)
    ),
    *(Case("normalize", (IMAGE,), k, normalize) for k in ({}, {"axis": 1}, {"order": 1}, {"order": 3})),
    Case("normalize", (np.zeros((2, 3), np.float32),), {}, normalize),
    *(Case("moments", (IMAGE, a), k, moments) for a, k in (((0, 1), {}), (2, {"keepdims": True}), (None, {}))),
    Case("moments", (IMAGE + 1e4, (0, 1)), {}, lambda x, a: moments(np.float64(x), a), rtol=1e-5),
    # -- losses
    *(Case("binary_crossentropy", (positive(3, 4) / 2, p), {}, binary) for p in (Q, SURE)),
    Case("binary_crossentropy", (np.float32([0, 1, 0.3]), np.float32([-30, 30, 2])), {"from_logits": True}, binary),
    *(Case("categorical_crossentropy", (Q, p), {}, categorical) for p in (P, SURE)),
    Case("categorical_crossentropy", (Q, of(3, 4)), {"from_logits": True}, categorical),
    Case("categorical_crossentropy", (P, 300 * of(3, 4)), {"from_logits": True}, categorical),
    *(Case("sparse_categorical_crossentropy", (LABELS, p), {}, sparse) for p in (P, SURE)),
    *(
        Case("sparse_categorical_crossentropy", (t, of(3, 4)), {"from_logits": True}, sparse)
        for t in (LABELS, LABELS[:, None])
    ),
    Case("sparse_categorical_crossentropy", (np.int64([2, -1, 4]), of(3, 4)), {"from_logits": True}, sparse),
    *(
        replace(
            Case(f"{n}categorical_crossentropy", (t, of(3, 4)), {"from_logits": True, "axis": 0}, f),
            named=False,
            why=FIXED,
        )
        for n, t, f in (("", P, categorical), ("sparse_", np.int32([2, 0, 1, 1]), sparse))
    ),
    Case("psnr", (of(2, 3), of(2, 3), 2.0), {}, psnr),
    # -- attention
    Case("dot_product_attention", (Q4, K4, V4), {}, attention),
    Case("dot_product_attention", (Q4, ONE_HEAD, ONE_HEAD), {"scale": 0.3}, attention),
    Case("dot_product_attention", (Q4, K4, V4), {"is_causal": True}, attention),
    fixed(
        Case("dot_product_attention", (Q4, K4, V4, of(1, 4, 3, 5), MASK), {"attn_logits_soft_cap": 2.0}, attention),
        3,
        4,
    ),
    # -- pixels
    *(Case("depth_to_space", (of(2, 8, 3, 8), 2), k, depth_to_space) for k in ({}, {"data_format": "channels_first"})),
    *(Case("space_to_depth", (of(2, 4, 6, 4), 2), k, space_to_depth) for k in ({}, {"data_format": "channels_first"})),
    *(Case("unfold", (PIXELS, 2), k, unfold) for k in ({}, {"dilation": 2, "padding": 1}, {"stride": 2})),
    *(
        Case("fold", (of(2, 12, n), (5, 6), 2), k, fold)
        for n, k in ((20, {}), (30, {"dilation": 2, "padding": 1}), (6, {"stride": 2}))
    ),
    Case("multi_hot", (np.int32([[0, 2, 2], [1, 5, -1]]), 4), {}, multi_hot),
    # Keras's result: whatever the axis of the classes, it is axis 1 over which labels are joined.
    Case(
        "multi_hot", (np.int32([[0, 1], [1, 1]]), 3), {"axis": 0}, lambda *_, **__: np.float32([[1, 0], [1, 1], [0, 0]])
    ),
    Case("multi_hot", (np.int32([0, 2]), 4), {}, multi_hot),
    replace(Case("polar", (positive(3), of(3)), {}, polar), traced=False, why="graphs hold no complex numbers"),
]
