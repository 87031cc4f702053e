"""DeformConv, written with simpler operators, through which its gradient goes.

Zhu et al., "Deformable ConvNets v2", 2019: a convolution whose kernel reads the image at places moved by an offset,
between pixels, and weights what it read by a mask.
"""

from __future__ import annotations

import itertools
from math import prod
from typing import Any

import numpy as np

from nngraph.ir import numpy_dtype
from nngraph.ops.axes import ints, reshaped, sizes
from nngraph.ops.core import dtype_of, type_of
from nngraph.ops.vjp import raw, vjp_through
from nngraph.ops.vjp_grid_sample import linear_taps, picked
from nngraph.ops.windows import Window, are_known

__all__: list[str] = []


def _kernel_places(window: Window, counts: tuple[int, ...], dtype: str) -> list[Any]:
    """Return for each axis where an unmoved kernel reads: (kernel places, windows)."""
    assert window.pads is not None
    taps = np.meshgrid(*(np.arange(k) * d for k, d in zip(window.kernel, window.dilations, strict=True)), indexing="ij")
    starts = np.meshgrid(
        *(np.arange(n) * s - p for n, s, p in zip(counts, window.strides, window.pads, strict=False)), indexing="ij"
    )
    return [
        (tap.reshape(-1, 1) + start.reshape(1, -1)).astype(numpy_dtype(dtype))
        for tap, start in zip(taps, starts, strict=True)
    ]


@vjp_through("DeformConv")
def _(
    x: Any,
    w: Any,
    offset: Any,
    b: Any = None,
    mask: Any = None,
    *,
    dilations: Any = None,
    group: int = 1,
    kernel_shape: Any = None,
    offset_group: int = 1,
    pads: Any = None,
    strides: Any = None,
) -> Any:
    kernel: Any = kernel_shape or type_of(w).shape[2:]
    channels: Any = type_of(x).shape[1]
    image: Any = type_of(x).shape[2:]
    outputs: Any = type_of(w).shape[0]
    counts: Any = type_of(offset).shape[2:]
    if not are_known((channels, *image, *kernel, outputs, *counts)):
        raise ValueError(
            f"DeformConv needs known sizes apart from the batch to be differentiated, got X {type_of(x)}, "
            f"W {type_of(w)} and offset {type_of(offset)}"
        )
    window = Window(kernel, strides, dilations, pads)
    rank, places, windows = len(image), prod(kernel), prod(counts)
    batch = sizes(x)[0]
    # One image for each group of offsets; the windows of all kernel places are its points.
    moved = reshaped(offset, [-1, places, rank, windows])
    axes = []
    for k, place in enumerate(_kernel_places(window, counts, dtype_of(x))):
        shift = raw.Gather(moved, np.asarray(k, np.int64), axis=2)
        axes.append(linear_taps(reshaped(raw.Add(shift, place), [-1, places * windows])))
    flat = reshaped(x, [-1, channels // offset_group, prod(image)])
    total: Any = None
    for corner in itertools.product(*axes):
        value = picked(flat, corner, image)
        total = value if total is None else raw.Add(total, value)
    if mask is not None:
        total = raw.Mul(total, reshaped(mask, [-1, 1, places * windows]))
    columns = reshaped(total, [batch, group, channels // group * places, windows])
    product = raw.MatMul(raw.Reshape(w, ints(group, outputs // group, -1)), columns)
    y = reshaped(product, [batch, outputs, *counts])
    return y if b is None else raw.Add(y, raw.Reshape(b, ints(-1, *[1] * rank)))
