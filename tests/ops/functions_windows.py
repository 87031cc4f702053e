"""Cases of convolution and pooling, compared with sums over sliding windows in numpy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from function_case import Case, of


def each(value, rank: int) -> tuple[int, ...]:
    return (value,) * rank if isinstance(value, int) else tuple(value)


def padding_of(size: int, kernel: int, stride: int, dilation: int, padding: str) -> tuple[int, int]:
    """TensorFlow's rule: the output has size / stride pixels, rounded up; the odd pixel goes to the end."""
    if padding == "valid":
        return 0, 0
    total = max((-(-size // stride) - 1) * stride + dilation * (kernel - 1) + 1 - size, 0)
    return total // 2, total - total // 2


def windows(x, kernel, strides, dilations, padding, fill=0.0):
    """Return (batch, windows..., channels, places...) of (batch, spatial..., channels)."""
    rank = x.ndim - 2
    pads = [padding_of(n, *args, padding) for n, *args in zip(x.shape[1:-1], kernel, strides, dilations, strict=True)]
    padded = np.pad(x, [(0, 0), *pads, (0, 0)], constant_values=fill)
    reach = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True))
    views = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=tuple(range(1, rank + 1)))
    steps = (slice(None), *(slice(None, None, s) for s in strides), slice(None))
    return views[(*steps, *(slice(None, None, d) for d in dilations))]


def last(x, data_format):
    return np.moveaxis(x, 1, -1) if data_format == "channels_first" else x


def back(y, data_format):
    return np.moveaxis(y, -1, 1) if data_format == "channels_first" else y


def conv(x, w, strides=1, padding="valid", data_format=None, dilation_rate=1):
    x = last(np.float64(x), data_format)
    rank = x.ndim - 2
    patches = windows(x, w.shape[:-2], each(strides, rank), each(dilation_rate, rank), padding)
    groups = x.shape[-1] // w.shape[-2]
    parts = []
    for g in range(groups):
        inner, outer = w.shape[-2], w.shape[-1] // groups
        part = patches[(*[slice(None)] * (rank + 1), slice(g * inner, (g + 1) * inner))]
        kernel = np.moveaxis(w[..., g * outer : (g + 1) * outer], -2, 0)
        parts.append(np.tensordot(part, kernel, axes=rank + 1))
    return back(np.concatenate(parts, -1), data_format).astype(np.float32)


def depthwise_conv(x, w, strides=1, padding="valid", data_format=None, dilation_rate=1):
    flat = w.reshape(*w.shape[:-2], 1, -1)
    return conv(x, flat, strides, padding, data_format, dilation_rate)


def separable_conv(x, depth, point, strides=1, padding="valid", data_format=None, dilation_rate=1):
    deep = depthwise_conv(x, depth, strides, padding, data_format, dilation_rate)
    return conv(deep, point, data_format=data_format)


def conv_transpose(x, w, strides=1, padding="valid", output_padding=None, data_format=None, dilation_rate=1):
    """Add the kernel to the output for every pixel, then cut as Keras says."""
    x = last(x, data_format)
    rank = x.ndim - 2
    strides, rates = each(strides, rank), each(dilation_rate, rank)
    extent = [d * (k - 1) + 1 for k, d in zip(w.shape, rates, strict=False)]
    sizes, starts = [], []
    for k, (n, s, e) in enumerate(zip(x.shape[1:-1], strides, extent, strict=True)):
        whole = (n - 1) * s + e
        extra = None if output_padding is None else each(output_padding, rank)[k]
        if padding == "valid":
            sizes.append(max(n * s, whole) if extra is None else whole + extra)
            starts.append(0)
        else:
            sizes.append(n * s if extra is None else whole - 2 * (e // 2) + extra)
            starts.append(max(whole - sizes[-1], 0) // 2)
    room = [
        st + si + (n + 1) * s + e for st, si, n, s, e in zip(starts, sizes, x.shape[1:], strides, extent, strict=False)
    ]
    total = np.zeros((x.shape[0], *room, w.shape[-2]))
    for at in np.ndindex(*x.shape[1:-1]):
        for tap in np.ndindex(*w.shape[:-2]):
            place = tuple(a * s + t * d for a, s, t, d in zip(at, strides, tap, rates, strict=True))
            total[(slice(None), *place)] += x[(slice(None), *at)] @ w[tap].T
    cut = tuple(slice(st, st + si) for st, si in zip(starts, sizes, strict=True))
    return back(total[(slice(None), *cut)], data_format).astype(np.float32)


def pooled(x, pool_size, strides, padding, data_format, fill):
    x = last(x, data_format)
    rank = x.ndim - 2
    size = each(pool_size, rank)
    return windows(x, size, size if strides is None else each(strides, rank), (1,) * rank, padding, fill)


def max_pool(x, pool_size, strides=None, padding="valid", data_format=None):
    if x.dtype.kind == "i":
        return max_pool(x.astype(np.float64), pool_size, strides, padding, data_format).astype(x.dtype)
    found = pooled(x, pool_size, strides, padding, data_format, -np.inf)
    return back(found.max(tuple(range(x.ndim, found.ndim))), data_format)


def average_pool(x, pool_size, strides=None, padding="valid", data_format=None):
    found = pooled(x, pool_size, strides, padding, data_format, np.nan)
    return back(np.nanmean(found, axis=tuple(range(x.ndim, found.ndim))), data_format)


def adaptive(x, output_size, data_format, reduce):
    x = last(x, data_format)
    for axis, count in enumerate(each(output_size, x.ndim - 2), 1):
        n = x.shape[axis]
        bins = [np.arange(i * n // count, -(-(i + 1) * n // count)) for i in range(count)]
        x = np.concatenate([reduce(np.take(x, b, axis), axis=axis, keepdims=True) for b in bins], axis)
    return back(x, data_format)


def adaptive_average_pool(x, output_size, data_format=None):
    return adaptive(x, output_size, data_format, np.mean)


def adaptive_max_pool(x, output_size, data_format=None):
    return adaptive(x, output_size, data_format, np.max)


ORACLES = {f.__name__: f for f in (conv, depthwise_conv, separable_conv, conv_transpose, max_pool, average_pool)}
ORACLES |= {f.__name__: f for f in (adaptive_average_pool, adaptive_max_pool)}


def case(name: str, *args, **kwargs) -> Case:
    """Kernels stay arrays when the call is traced."""
    arrays = [k for k, a in enumerate(args) if k and isinstance(a, np.ndarray)]
    return replace(Case(name, args, kwargs, ORACLES[name]), fixed=tuple(arrays), rtol=1e-5)


LINE, IMAGE, VOLUME = of(2, 8, 4), of(2, 7, 6, 4), of(2, 4, 5, 3, 2)
FIRST = {"data_format": "channels_first"}

CASES = [
    case("conv", LINE, of(3, 4, 5)),
    case("conv", LINE, of(2, 2, 6), strides=3, padding="same"),
    case("conv", IMAGE, of(3, 2, 4, 3), padding="same"),
    case("conv", IMAGE, of(3, 2, 4, 3), strides=(2, 3), padding="SAME"),
    case("conv", IMAGE, of(3, 2, 1, 8), dilation_rate=(2, 1), padding="same"),
    case("conv", IMAGE, of(2, 2, 4, 3), dilation_rate=2),
    case("conv", np.moveaxis(IMAGE, -1, 1), of(3, 3, 2, 4), strides=2, padding="same", **FIRST),
    case("conv", VOLUME, of(2, 3, 1, 2, 3), strides=(1, 2, 1), padding="same"),
    case("depthwise_conv", IMAGE, of(3, 3, 4, 2), strides=2, padding="same"),
    case("depthwise_conv", LINE, of(3, 4, 1), dilation_rate=2),
    case("separable_conv", IMAGE, of(3, 3, 4, 2), of(1, 1, 8, 3), padding="same"),
    case("separable_conv", np.moveaxis(LINE, -1, 1), of(2, 4, 1), of(1, 4, 3), strides=2, **FIRST),
    *(
        case("conv_transpose", LINE, of(k, 3, 4), strides=s, padding=p, output_padding=o)
        for k, s, p, o in (
            *((3, 1, "valid", None), (2, 3, "valid", None), (3, 2, "valid", 1), (3, 2, "valid", 0)),
            *((3, 2, "same", None), (4, 2, "same", None), (2, 3, "same", None), (3, 2, "same", 1), (1, 1, "same", 2)),
        )
    ),
    case("conv_transpose", IMAGE, of(3, 2, 3, 4), strides=(2, 1), padding="same"),
    case("conv_transpose", IMAGE, of(3, 2, 3, 4), dilation_rate=2, padding="same"),
    case("conv_transpose", np.moveaxis(IMAGE, -1, 1), of(2, 2, 3, 4), strides=2, **FIRST),
    case("conv_transpose", VOLUME, of(2, 1, 2, 3, 2), strides=2, padding="same"),
    *(
        case(name, IMAGE, *rest)
        for name in ("max_pool", "average_pool")
        for rest in ((2,), ((3, 2), 2, "same"), (3, 1, "same"), ((2, 3), (1, 2)))
    ),
    *(case(name, LINE, 3, None, "same") for name in ("max_pool", "average_pool")),
    *(case(name, VOLUME, (2, 3, 1), 1, "same") for name in ("max_pool", "average_pool")),
    *(case(name, np.moveaxis(IMAGE, -1, 1), 2, **FIRST) for name in ("max_pool", "average_pool")),
    case("max_pool", (10 * IMAGE).astype(np.int32), 2),
    case("max_pool", -np.abs(IMAGE), 3, 2, "same"),
    *(
        case(name, *args)
        for name in ("adaptive_average_pool", "adaptive_max_pool")
        for args in (
            (LINE, 3),
            (IMAGE, (3, 4)),
            (IMAGE, 1),
            (VOLUME, (2, 3, 3)),
            (np.moveaxis(LINE, -1, 1), 5, "channels_first"),
        )
    ),
]
