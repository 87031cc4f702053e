"""Gradients of convolutions.

A convolution is linear in its input and in its kernel, so three operators are enough for derivatives of every order:
``Conv`` itself, ``ConvInputGrad`` (its adjoint in the input) and ``ConvWeightGrad`` (its adjoint in the kernel). The
gradients of each are the other two. ``ConvTranspose`` is ``ConvInputGrad`` under another name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nngraph.ops.axes import ints
from nngraph.ops.core import dtype_of, type_of
from nngraph.ops.float64_windows import weight_grad_by_matmul
from nngraph.ops.trace import composite
from nngraph.ops.vjp import raw, vjp
from nngraph.ops.windows import Window, are_known, pad_spatial, transposed_crops

__all__ = ["conv_input_grad", "conv_weight_grad"]


@composite("ConvInputGrad")
def conv_input_grad(
    g: Any,
    w: Any,
    sizes: Any = None,
    *,
    strides: Sequence[int],
    dilations: Sequence[int],
    group: int = 1,
    pads: Sequence[int] | None = None,
    auto_pad: str = "NOTSET",
    spatial: Sequence[int] | None = None,
) -> Any:
    """Return the input's gradient of ``Conv(x, w)`` from the output's gradient g.

    The spatial sizes of x are ``spatial`` where they are known, else the int64 vector ``sizes``. ``pads`` are absent
    when they depend on sizes known only at run time; then ``auto_pad`` says how.
    """
    kernel: Any = type_of(w).shape[2:]
    common = {"kernel_shape": kernel, "strides": strides, "dilations": dilations, "group": group}
    window = Window(kernel, strides, dilations, pads, auto_pad, sizes=spatial or ("?",) * len(kernel))
    steps: Any = type_of(g).shape[2:]
    if spatial is not None and window.pads is not None and are_known(steps):
        after = window.reach(spatial, steps)
        around = (*window.pads[: window.rank], *(max(a, 0) for a in after))
        short = tuple(max(-a, 0) for a in after)
        return raw.ConvTranspose(g, w, pads=around, output_padding=short if any(short) else None, **common)
    # The whole sum first; then its borders are cut off, or grown where the last window did not reach.
    whole = raw.ConvTranspose(g, w, **common)
    size = ints(*spatial) if spatial is not None else sizes
    before = window.before(size)
    grown = raw.Sub(raw.Add(size, before), raw.Shape(whole, start=2))
    return pad_spatial(whole, raw.Neg(before), grown)


@composite("ConvWeightGrad")
def conv_weight_grad(
    x: Any,
    g: Any,
    *,
    kernel_shape: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    group: int = 1,
    pads: Sequence[int] | None = None,
    auto_pad: str = "NOTSET",
) -> Any:
    """Return the kernel's gradient of ``Conv(x, w)`` from the output's gradient g.

    It is a convolution too: batch and channels change places, g is the kernel, strides and dilations change roles.
    """
    sizes: Any = type_of(x).shape[2:]
    steps: Any = type_of(g).shape[2:]
    window = Window(kernel_shape, strides, dilations, pads, auto_pad, sizes=sizes)
    known = window.pads is not None and are_known((*sizes, *steps))
    if not known or dtype_of(x) == "float64":
        # A kernel of unknown size is more than Conv takes, and one as large as an image too many slices for its form.
        return weight_grad_by_matmul(x, g, window, group)
    assert window.pads is not None
    # Pad so that there is exactly one output for each place of the kernel.
    after = window.reach(sizes, steps)
    if any(a < 0 for a in after):
        x = pad_spatial(x, ints(*[0] * window.rank), ints(*(min(a, 0) for a in after)))
    swapped = raw.Conv(
        _channels_as_batch(x, group),
        raw.Transpose(g, perm=(1, 0, *range(2, window.rank + 2))),
        kernel_shape=steps,
        strides=window.dilations,
        dilations=window.strides,
        pads=(*window.pads[: window.rank], *(max(a, 0) for a in after)),
        group=group,
    )
    return raw.Transpose(swapped, perm=(1, 0, *range(2, window.rank + 2)))


def _channels_as_batch(x: Any, group: int) -> Any:
    """Return (batch, group * c, ...) as (c, group * batch, ...); the spatial sizes are known."""
    shape: Any = type_of(x).shape
    rest = range(2, len(shape))
    if group == 1:
        return raw.Transpose(x, perm=(1, 0, *rest))
    channels = shape[1]
    grouped = raw.Reshape(x, ints(0, group, channels // group, *shape[2:]))
    turned = raw.Transpose(grouped, perm=(2, 1, 0, *(k + 1 for k in rest)))
    return raw.Reshape(turned, ints(channels // group, -1, *shape[2:]))


# -- rules ----------------------------------------------------------------------------------------------------------


def _input_grad(g: Any, w: Any, x: Any, common: dict[str, Any]) -> Any:
    sizes = type_of(x).shape[2:]
    if are_known(sizes):
        return conv_input_grad(g, w, spatial=sizes, types=[type_of(x)], **common)
    return conv_input_grad(g, w, raw.Shape(x, start=2), types=[type_of(x)], **common)


def _bias_grad(g: Any) -> Any:
    return raw.ReduceSum(g, ints(0, *range(2, type_of(g).rank)), keepdims=0)


@vjp("Conv")
def _(
    g: Any,
    y: Any,
    x: Any,
    w: Any,
    b: Any = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Any = None,
    group: int = 1,
    kernel_shape: Any = None,
    pads: Any = None,
    strides: Any = None,
) -> Any:
    kernel: Any = type_of(w).shape[2:]
    window = Window(kernel, strides, dilations, pads, auto_pad, sizes=type_of(x).shape[2:])
    common: dict[str, Any] = {"strides": window.strides, "dilations": window.dilations, "group": group}
    common |= {"auto_pad": auto_pad} if window.pads is None else {"pads": window.pads}
    return (
        lambda: _input_grad(g, w, x, common),
        lambda: conv_weight_grad(x, g, kernel_shape=kernel, **common),
        None if b is None else (lambda: _bias_grad(g)),
    )


@vjp("ConvTranspose")
def _(
    g: Any,
    y: Any,
    x: Any,
    w: Any,
    b: Any = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Any = None,
    group: int = 1,
    kernel_shape: Any = None,
    output_padding: Any = None,
    output_shape: Any = None,
    pads: Any = None,
    strides: Any = None,
) -> Any:
    kernel: Any = type_of(w).shape[2:]
    window = Window(kernel, strides, dilations, pads)
    common: dict[str, Any] = {"strides": window.strides, "dilations": window.dilations, "group": group}
    before, after = transposed_crops(window, type_of(x).shape[2:], auto_pad, output_padding, output_shape)
    common["pads"] = (*before, *(max(a, 0) for a in after))
    return (
        lambda: _fitted(raw.Conv(g, w, kernel_shape=kernel, **common), x),
        lambda: conv_weight_grad(g, x, kernel_shape=kernel, **common),
        None if b is None else (lambda: _bias_grad(g)),
    )


def _fitted(gradient: Any, x: Any) -> Any:
    """Drop outputs that come from an output padding of a stride or more."""
    have: Any = type_of(gradient).shape[2:]
    want: Any = type_of(x).shape[2:]
    if have == want or not are_known((*have, *want)):
        return gradient
    axes = ints(*range(2, len(want) + 2))
    return raw.Slice(gradient, ints(*[0] * len(want)), ints(*want), axes)


@vjp("ConvInputGrad", domain="nngraph")
def _(h: Any, y: Any, g: Any, w: Any, sizes: Any = None, *, spatial: Any = None, **common: Any) -> Any:
    kernel: Any = type_of(w).shape[2:]
    return (
        lambda: raw.Conv(h, w, kernel_shape=kernel, **common),
        lambda: conv_weight_grad(h, g, kernel_shape=kernel, **common),
        None,
    )


@vjp("ConvWeightGrad", domain="nngraph")
def _(h: Any, y: Any, x: Any, g: Any, *, kernel_shape: Any, **common: Any) -> Any:
    return (
        lambda: _input_grad(g, h, x, common),
        lambda: raw.Conv(x, h, kernel_shape=kernel_shape, **common),
    )
