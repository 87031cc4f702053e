"""What convolution and pooling share: windows that slide over spatial axes, and how much is padded around them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from math import prod
from typing import Any

import numpy as np

from nngraph import config
from nngraph.errors import unknown_name
from nngraph.ir import Dim, numpy_dtype
from nngraph.ops.axes import ints
from nngraph.ops.core import type_of
from nngraph.ops.vjp import raw

__all__ = [
    "Window",
    "are_known",
    "channels_first",
    "check_data_format",
    "check_padding",
    "dynamic_pads",
    "from_channels_first",
    "pad_spatial",
    "per_axis",
    "same_pads",
    "spatial_attributes",
    "transposed_crops",
    "window_counts",
]


def check_data_format(data_format: str | None) -> str:
    """Return the data format, by default the configured one.

    Raises:
        ValueError: it is unknown.
    """
    wanted = config.image_data_format() if data_format is None else data_format
    if wanted not in ("channels_last", "channels_first"):
        raise unknown_name("data_format", wanted, ("channels_last", "channels_first"))
    return wanted


def check_padding(padding: str, options: Sequence[str] = ("valid", "same")) -> str:
    """Return the padding's name in lower case.

    Raises:
        ValueError: it is unknown.
    """
    wanted = padding.lower() if isinstance(padding, str) else padding
    if wanted not in options:
        raise unknown_name("padding", padding, options)
    return wanted


def per_axis(value: Any, rank: int, name: str, *, least: int = 1) -> tuple[int, ...]:
    """Return one number for each spatial axis from a number or a sequence.

    Raises:
        ValueError: the sequence has another length, or a number is too small.
    """
    many = (value,) * rank if isinstance(value, (int, np.integer)) else tuple(value)
    if len(many) != rank or not all(isinstance(v, (int, np.integer)) and v >= least for v in many):
        raise ValueError(f"{name} must be one integer or {rank} integers, each at least {least}; got {value!r}")
    return tuple(int(v) for v in many)


def channels_first(x: Any, data_format: str) -> Any:
    """Return a batch of images in ONNX's layout (batch, channels, spatial...)."""
    rank = type_of(x).rank
    return x if data_format == "channels_first" else raw.Transpose(x, perm=(0, rank - 1, *range(1, rank - 1)))


def from_channels_first(x: Any, data_format: str) -> Any:
    """Undo :func:`channels_first`."""
    rank = type_of(x).rank
    return x if data_format == "channels_first" else raw.Transpose(x, perm=(0, *range(2, rank), 1))


def are_known(sizes: Any) -> bool:
    """Tell whether sizes are a sequence of numbers, not names or a vector of the graph."""
    return isinstance(sizes, (tuple, list)) and all(isinstance(d, int) for d in sizes)


def same_pads(size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Return how much "same" padding puts before and after an axis, the odd one after.

    Example:
        >>> same_pads(5, kernel=2, stride=2), same_pads(6, kernel=3, stride=1, dilation=2)
        ((0, 1), (2, 2))
    """
    total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def dynamic_pads(
    sizes: Any, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> tuple[Any, Any]:
    """Return :func:`same_pads` for sizes known at run time: two int64 vectors."""
    extent = np.array([(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)], np.int64)
    stride = np.array(strides, np.int64)
    steps = raw.Div(raw.Sub(sizes, np.asarray(1, np.int64)), stride)
    missing = raw.Sub(raw.Add(raw.Mul(steps, stride), extent), sizes)
    total = raw.Max(missing, np.zeros(1, np.int64))
    before = raw.Div(total, np.asarray(2, np.int64))
    return before, raw.Sub(total, before)


class Window:
    """Windows over the spatial axes of a node: kernel size, strides, dilations and padding, one number an axis.

    Attributes:
        pads: ONNX's order, all the befores and then all the afters; ``None`` when they depend on sizes known only at
            run time ("same" padding with a stride).
    """

    __slots__ = ("auto_pad", "dilations", "kernel", "lower", "pads", "rank", "strides")

    def __init__(
        self,
        kernel_shape: Sequence[int],
        strides: Sequence[int] | None = None,
        dilations: Sequence[int] | None = None,
        pads: Sequence[int] | None = None,
        auto_pad: str = "NOTSET",
        sizes: Sequence[Dim] = (),
    ) -> None:
        self.rank = len(kernel_shape)
        self.kernel = tuple(int(k) for k in kernel_shape)
        self.strides = tuple(strides or (1,) * self.rank)
        self.dilations = tuple(dilations or (1,) * self.rank)
        self.auto_pad = auto_pad
        self.lower = auto_pad == "SAME_LOWER"
        self.pads: tuple[int, ...] | None
        if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
            self.pads = self._same(sizes)
        else:
            self.pads = tuple(pads or ()) or (0,) * (2 * self.rank)

    def _same(self, sizes: Sequence[Dim]) -> tuple[int, ...] | None:
        pairs = []
        for size, kernel, stride, dilation in zip(sizes, self.kernel, self.strides, self.dilations, strict=True):
            if isinstance(size, str) and stride != 1:
                return None
            # With stride 1 the padding does not depend on the size, as long as there is a pixel.
            pair = same_pads(size if isinstance(size, int) else 1, kernel, stride, dilation)
            pairs.append(pair[::-1] if self.lower else pair)
        return (*(p[0] for p in pairs), *(p[1] for p in pairs))

    @property
    def extent(self) -> tuple[int, ...]:
        """How far a window reaches along each axis."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    def before(self, sizes: Any) -> Any:
        """Return the padding before each axis as an int64 vector; ``sizes`` is one too."""
        if self.pads is not None:
            return ints(*self.pads[: self.rank])
        before, after = dynamic_pads(sizes, self.kernel, self.strides, self.dilations)
        return after if self.lower else before

    def reach(self, sizes: Sequence[int], counts: Sequence[int]) -> tuple[int, ...]:
        """Return how far the last of ``counts`` windows reaches beyond the end of each axis (negative: short of it)."""
        assert self.pads is not None
        return tuple(
            (o - 1) * s + e - b - n
            for n, o, s, e, b in zip(sizes, counts, self.strides, self.extent, self.pads[: self.rank], strict=True)
        )

    def tiles(self, sizes: Sequence[int], counts: Sequence[int]) -> bool:
        """Whether ``counts`` windows stand side by side from the start of an image, all of them inside."""
        plain = self.pads is not None and not any(self.pads) and all(d == 1 for d in self.dilations)
        inside = all(k * o <= n for k, o, n in zip(self.kernel, counts, sizes, strict=True))
        return plain and inside and self.strides == self.kernel


def window_counts(window: Window, sizes: Any, steps: Sequence[Any], dtype: str, include_pad: bool) -> Any:
    """Return by how much the sum over each window is divided, as a tensor of the windows' shape.

    Pixels outside of the image do not count; with ``include_pad`` those of the padding do.
    ``sizes`` are the image's sizes, numbers or an int64 vector, and ``steps`` how many windows there are.
    """
    if window.pads is None or not are_known(sizes) or not are_known(steps):
        places = prod(window.kernel)
        if include_pad:
            return np.asarray(places, numpy_dtype(dtype))
        one = np.asarray(1, numpy_dtype(dtype))
        image = raw.Expand(one, raw.Concat(ints(1, 1), sizes, axis=0))
        placing = {"auto_pad": window.auto_pad} if window.pads is None else {"pads": window.pads}
        share = raw.AveragePool(
            image,
            kernel_shape=window.kernel,
            strides=window.strides,
            dilations=window.dilations,
            count_include_pad=1,
            **placing,
        )
        return raw.Mul(share, places)
    counts = []
    for k, (size, count) in enumerate(zip(sizes, steps, strict=True)):
        before, after = (window.pads[k], window.pads[window.rank + k]) if include_pad else (0, 0)
        pixels = np.arange(count)[:, None] * window.strides[k] - window.pads[k]
        pixels = pixels + np.arange(window.kernel[k]) * window.dilations[k]
        counts.append(((pixels >= -before) & (pixels < size + after)).sum(1))
    total = reduce(np.multiply.outer, counts).astype(numpy_dtype(dtype))
    return total.reshape(-1)[0] if (total == total.reshape(-1)[0]).all() else total


def pad_spatial(x: Any, before: Any, after: Any) -> Any:
    """Pad the spatial axes of (batch, channels, spatial...) with zeros; negative numbers cut off."""
    none = ints(0, 0)
    return raw.Pad(x, raw.Concat(none, before, none, after, axis=0))


def transposed_crops(
    window: Window, sizes: Sequence[Dim], auto_pad: str, output_padding: Any, output_shape: Any
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return what a ConvTranspose cuts off the full sum before and after each axis (after negative: zeros added).

    Raises:
        ValueError: it has an ``output_shape`` and the sizes are not known.
    """
    assert window.pads is not None
    rank = window.rank
    extra = tuple(output_padding or ()) or (0,) * rank
    if auto_pad == "VALID" or (auto_pad == "NOTSET" and not output_shape):
        pads = (0,) * (2 * rank) if auto_pad == "VALID" else window.pads
        return pads[:rank], tuple(p - e for e, p in zip(extra, pads[rank:], strict=True))
    before, after = [], []
    for k, size in enumerate(sizes):
        # "same" means an output of input * stride, so that the size cancels.
        surplus = window.extent[k] - window.strides[k]
        if output_shape:
            if not isinstance(size, int):
                raise ValueError(f"ConvTranspose with output_shape needs known sizes, got {tuple(sizes)}")
            surplus += window.strides[k] * size - output_shape[-rank:][k]
        total = max(surplus + extra[k], 0)
        before.append(total // 2 if auto_pad == "SAME_UPPER" else total - total // 2)
        after.append(surplus - before[-1])
    return tuple(before), tuple(after)


def spatial_attributes(
    sizes: Sequence[Dim], kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int], padding: str
) -> dict[str, Any]:
    """Return the ONNX attributes of a convolution or pooling with Keras's padding, "same" or "valid".

    "same" becomes explicit pads where the sizes are known, and ``auto_pad`` where they are known only at run time.
    """
    found: dict[str, Any] = {"strides": tuple(strides), "dilations": tuple(dilations)}
    if padding == "valid":
        return found
    window = Window(kernel, strides, dilations, auto_pad="SAME_UPPER", sizes=sizes)
    if window.pads is not None:
        return {**found, "pads": window.pads}
    if any(d != 1 for d in dilations):
        raise ValueError(
            f'padding="same" with strides {tuple(strides)} and dilations {tuple(dilations)} needs known sizes, '
            f'got {tuple(sizes)}; give the input a fixed size, or use padding="valid" and pad before'
        )
    return {**found, "auto_pad": "SAME_UPPER"}
