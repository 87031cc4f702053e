"""Convolutions, named as in ``keras.ops``.

ONNX convolves images laid out as (batch, channels, spatial...) with kernels (out, in, spatial...). Keras keeps channels
last in both by default, so an operation here is Transpose, Conv, Transpose; neighbouring transposes cancel later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nngraph.ops.axes import ints
from nngraph.ops.core import promote, type_of
from nngraph.ops.dispatch import public
from nngraph.ops.vjp import raw
from nngraph.ops.windows import (
    channels_first,
    check_data_format,
    check_padding,
    from_channels_first,
    per_axis,
    spatial_attributes,
)

__all__ = ["conv", "conv_transpose", "depthwise_conv", "separable_conv"]


def _checked(name: str, inputs: Any, kernel: Any, data_format: str) -> tuple[int, int]:
    """Return the number of spatial axes and of input channels, having checked both ranks."""
    kind, shape = type_of(inputs), type_of(kernel).shape
    spatial = kind.rank - 2
    if spatial < 1 or len(shape) != spatial + 2:
        raise ValueError(
            f"{name} takes inputs (batch, spatial..., channels) and a kernel (spatial..., channels, channels) with the "
            f"same number of spatial axes; got inputs {kind} and a kernel of shape {shape}"
        )
    channels = kind.shape[-1 if data_format == "channels_last" else 1]
    if not isinstance(channels, int) or not all(isinstance(d, int) for d in shape):
        raise ValueError(
            f"{name} needs a known number of input channels and a kernel of known shape; "
            f"got inputs {kind} in format {data_format!r} and a kernel of shape {shape}"
        )
    return spatial, channels


def _kernel_to_onnx(kernel: Any, spatial: int) -> Any:
    return raw.Transpose(kernel, perm=(spatial + 1, spatial, *range(spatial)))


@public
def conv(
    inputs: Any,
    kernel: Any,
    strides: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: int | Sequence[int] = 1,
) -> Any:
    """Convolve over 1, 2 or 3 spatial axes (a cross-correlation, as everywhere in neural networks).

    Args:
        inputs: (batch, spatial..., channels), or (batch, channels, spatial...) with ``"channels_first"``.
        kernel: (spatial..., channels / groups, filters); fewer channels than the inputs' mean a grouped convolution.
        strides: one number, or one for each spatial axis.
        padding: ``"valid"``, or ``"same"`` for an output size of input size / stride, rounded up.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.
        dilation_rate: distance between the kernel's taps, one number or one for each spatial axis.

    Returns:
        (batch, spatial..., filters), or with the channels first.

    Raises:
        ValueError: ranks, channels or options do not fit.

    Example:
        >>> x = np.arange(5, dtype="float32").reshape(1, 5, 1)
        >>> conv(x, np.ones((3, 1, 1), "float32"), padding="same").ravel().tolist()
        [1.0, 3.0, 6.0, 9.0, 7.0]
    """
    layout = check_data_format(data_format)
    x, w = promote(inputs, kernel, to_float=True)
    spatial, channels = _checked("conv", x, w, layout)
    shape: Any = type_of(w).shape
    if channels % shape[-2]:
        raise ValueError(
            f"conv got {channels} input channels and a kernel of shape {shape}, made for {shape[-2]}; "
            "the input channels must be a multiple of the kernel's"
        )
    groups = channels // shape[-2]
    if shape[-1] % groups:
        raise ValueError(f"conv cannot share {shape[-1]} filters among {groups} groups of channels; use a multiple")
    x = channels_first(x, layout)
    attributes = spatial_attributes(
        type_of(x).shape[2:],
        shape[:-2],
        per_axis(strides, spatial, "strides"),
        per_axis(dilation_rate, spatial, "dilation_rate"),
        check_padding(padding),
    )
    y = raw.Conv(x, _kernel_to_onnx(w, spatial), kernel_shape=tuple(shape[:-2]), group=groups, **attributes)
    return from_channels_first(y, layout)


@public
def depthwise_conv(
    inputs: Any,
    kernel: Any,
    strides: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: int | Sequence[int] = 1,
) -> Any:
    """Convolve every channel with filters of its own.

    Args:
        inputs: (batch, spatial..., channels), or (batch, channels, spatial...) with ``"channels_first"``.
        kernel: (spatial..., channels, multiplier); channel c gives output channels c * multiplier and following.
        strides, padding, data_format, dilation_rate: as for :func:`conv`.

    Raises:
        ValueError: ranks, channels or options do not fit.

    Example:
        >>> x = np.array([[[1, 10], [2, 20]]], "float32")
        >>> depthwise_conv(x, np.ones((2, 2, 1), "float32")).tolist()
        [[[3.0, 30.0]]]
    """
    layout = check_data_format(data_format)
    x, w = promote(inputs, kernel, to_float=True)
    _, channels = _checked("depthwise_conv", x, w, layout)
    shape: Any = type_of(w).shape
    if shape[-2] != channels:
        raise ValueError(
            f"depthwise_conv got {channels} input channels and a kernel of shape {shape}, made for {shape[-2]}"
        )
    flat = raw.Reshape(w, ints(*shape[:-2], 1, channels * shape[-1]))
    return conv.__wrapped__(x, flat, strides, padding, layout, dilation_rate)


@public
def separable_conv(
    inputs: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: int | Sequence[int] = 1,
) -> Any:
    """Convolve every channel by itself, then mix the channels: a depthwise convolution and one with a kernel of size 1.

    Args:
        inputs: (batch, spatial..., channels), or (batch, channels, spatial...) with ``"channels_first"``.
        depthwise_kernel: (spatial..., channels, multiplier).
        pointwise_kernel: (1..., channels * multiplier, filters).
        strides, padding, data_format, dilation_rate: of the depthwise part, as for :func:`conv`.

    Raises:
        ValueError: ranks, channels or options do not fit.

    Example:
        >>> x = np.array([[[1, 10], [2, 20]]], "float32")
        >>> separable_conv(x, np.ones((2, 2, 1), "float32"), np.ones((1, 2, 1), "float32")).tolist()
        [[[33.0]]]
    """
    layout = check_data_format(data_format)
    x, depth, point = promote(inputs, depthwise_kernel, pointwise_kernel, to_float=True)
    deep = depthwise_conv.__wrapped__(x, depth, strides, padding, layout, dilation_rate)
    return conv.__wrapped__(deep, point, 1, "valid", layout, 1)


@public
def conv_transpose(
    inputs: Any,
    kernel: Any,
    strides: int | Sequence[int] = 1,
    padding: str = "valid",
    output_padding: int | Sequence[int] | None = None,
    data_format: str | None = None,
    dilation_rate: int | Sequence[int] = 1,
) -> Any:
    """Run a convolution backwards: every input pixel adds the kernel, scaled, to the output.

    With kernel extent e = (kernel - 1) * dilation + 1 the output size is, for an input size n,
    ``"valid"``: (n - 1) * stride + e + output_padding, by default max(n * stride, (n - 1) * stride + e);
    ``"same"``: (n - 1) * stride + e - 2 * (e // 2) + output_padding, by default n * stride.

    Args:
        inputs: (batch, spatial..., channels), or (batch, channels, spatial...) with ``"channels_first"``.
        kernel: (spatial..., filters, channels).
        strides: one number, or one for each spatial axis.
        padding: ``"valid"`` or ``"same"``.
        output_padding: one number or one for each spatial axis.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.
        dilation_rate: distance between the kernel's taps, one number or one for each spatial axis.

    Raises:
        ValueError: ranks, channels or options do not fit.

    Example:
        >>> x = np.array([1, 2], "float32").reshape(1, 2, 1)
        >>> conv_transpose(x, np.ones((3, 1, 1), "float32"), strides=2).ravel().tolist()
        [1.0, 1.0, 3.0, 2.0, 2.0]
    """
    layout = check_data_format(data_format)
    x, w = promote(inputs, kernel, to_float=True)
    spatial, channels = _checked("conv_transpose", x, w, layout)
    shape: Any = type_of(w).shape
    if shape[-1] != channels:
        raise ValueError(
            f"conv_transpose got {channels} input channels and a kernel of shape {shape}, made for {shape[-1]}; "
            "its kernel is (spatial..., filters, channels)"
        )
    steps = per_axis(strides, spatial, "strides")
    rates = per_axis(dilation_rate, spatial, "dilation_rate")
    extra = None if output_padding is None else per_axis(output_padding, spatial, "output_padding", least=0)
    same = check_padding(padding) == "same"
    crops = [
        _transpose_crop(k, s, d, same, None if extra is None else extra[i])
        for i, (k, s, d) in enumerate(zip(shape[:-2], steps, rates, strict=True))
    ]
    before = [max(c, 0) // 2 if same else 0 for c in crops]
    after = [max(c, 0) - b for c, b in zip(crops, before, strict=True)]
    missing = [max(-c, 0) for c in crops]
    # ONNX wants an output padding smaller than the stride; more is plain padding.
    inside = all(m < s for m, s in zip(missing, steps, strict=True))
    y = raw.ConvTranspose(
        channels_first(x, layout),
        _kernel_to_onnx(w, spatial),
        kernel_shape=tuple(shape[:-2]),
        strides=steps,
        dilations=rates,
        pads=(*before, *after),
        output_padding=tuple(missing) if inside else None,
    )
    if not inside:
        y = raw.Pad(y, ints(*[0] * (spatial + 4), *missing))
    return from_channels_first(y, layout)


def _transpose_crop(kernel: int, stride: int, dilation: int, same: bool, extra: int | None) -> int:
    """How much is cut off an axis of the full transposed convolution; negative where zeros are added."""
    extent = (kernel - 1) * dilation + 1
    if extra is None:
        return extent - stride if same else min(extent - stride, 0)
    return (2 * (extent // 2) if same else 0) - extra
