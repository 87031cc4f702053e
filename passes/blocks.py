"""The runtime's blocked layout of images, and the size of its blocks.

The CPU provider convolves fastest when channels come in blocks: (batch, channels / b, height, width, b). Operators of
domain ``com.microsoft.nchwc`` work on such tensors; ``ReorderInput`` and ``ReorderOutput`` convert. A tensor in this
layout keeps the shape (batch, channels, height, width) by name, only its memory is arranged otherwise. The block is 16
with AVX-512, 8 without; builds for other processors may lack the operators.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from math import prod

import numpy as np

from nngraph.ir import Graph, Node, TensorType, Value
from nngraph.ops.axes import ints
from passes.build import Builder
from passes.simplify.transposes import permutation

__all__ = [
    "NCHWC",
    "block_size",
    "from_blocks",
    "image_behind",
    "image_type",
    "images_of",
    "kernel_in_blocks",
    "means_of",
    "pixels_of",
    "rows_of",
    "to_blocks",
]

NCHWC = "com.microsoft.nchwc"


@functools.cache
def block_size() -> int | None:
    """Return the number of channels in a block, found out by a trial, or ``None`` where there are no blocks."""
    from nngraph.runtime import Session

    kind = TensorType("float32", (1, 64, 1, 2))
    graph = Graph("block_size")
    x = graph.add_input("x", kind)
    graph.set_outputs([graph.append(Node("ReorderInput", [x], {}, domain=NCHWC), [kind]).output], ["y"])
    numbers = np.arange(128, dtype=np.float32).reshape(1, 64, 1, 2)
    try:
        found = Session(graph, "cpu", optimize=False, share=False).run({"x": numbers})["y"]
    except RuntimeError:
        return None
    # The first block holds channels 0 to b - 1 of the first pixel; then comes channel 0 of the second, which is 1.
    block = found.ravel().tolist().index(1.0)
    return block if block > 1 else None


def to_blocks(op: Builder, x: Value) -> Value:
    """Bring an image to the blocked layout."""
    value: Value = op.node("ReorderInput", [x], _domain=NCHWC, _types=[x.type])
    return value


def from_blocks(op: Builder, x: Value) -> Value:
    """Bring an image back from the blocked layout."""
    value: Value = op.node("ReorderOutput", [x], _domain=NCHWC, _types=[x.type], channels=x.shape[1])
    return value


def image_type(type: TensorType) -> TensorType:
    """Return the type of matrices (rows, columns) or (steps, rows, columns) as images of rows as pixels."""
    *steps, rows, columns = (int(d) for d in type.shape)
    return type.with_shape((prod(steps), columns, 1, rows))


def images_of(op: Builder, x: Value) -> Value:
    """Bring matrices (rows, columns) or (steps, rows, columns) to the blocked layout: images of rows as pixels."""
    kind = image_type(x.type)
    number, columns, _, rows = (int(d) for d in kind.shape)
    image = op.Reshape(x, ints(number, 1, rows, columns))
    value: Value = op.node("ReorderInput", [image], _domain=NCHWC, _types=[kind], channels_last=1)
    return value


def rows_of(op: Builder, x: Value) -> Value:
    """Bring an image back from the blocked layout with its channels last: (batch, height, width, channels)."""
    batch, channels, height, width = x.shape
    last = x.type.with_shape((batch, height, width, channels))
    value: Value = op.node("ReorderOutput", [x], _domain=NCHWC, _types=[last], channels=channels, channels_last=1)
    return value


def means_of(op: Builder, x: Value) -> Value:
    """Return the mean over the pixels of a blocked tensor, (batch, channels, 1, 1), of which blocks are no other."""
    kind = x.type.with_shape((*x.shape[:2], 1, 1))
    value: Value = op.node("GlobalAveragePool", [x], _domain=NCHWC, _types=[kind])
    return value


def image_behind(x: Value | None, channels_last: bool = False) -> Value | None:
    """Return the blocked image that a reorder brought to the ordinary layout, or to channels last, if one made x."""
    made = x.producer if x is not None else None
    if made is None or made.op_id != f"{NCHWC}::ReorderOutput":
        return None
    return made.inputs[0] if bool(made.attributes.get("channels_last", 0)) == channels_last else None


def pixels_of(x: Value) -> Value | None:
    """Return the blocked images whose pixels are a tensor's rows, one after the other, if it has any."""
    source: Value | None = x
    while source is not None and source.producer is not None and source.producer.op_id == "Reshape":
        source = source.producer.inputs[0]
    image = image_behind(source, channels_last=True)
    if image is None or not image.type.is_static:
        return None
    return image if x.shape[-1] == image.shape[1] else None


def kernel_in_blocks(op: Builder, w: Value, block: int) -> Value:
    """Arrange a kernel (filters, channels, height, width) for a blocked Conv.

    In memory that is (filters / b, channels / b, height, width, b channels, b filters). Channels that fill no block
    stay as they are: a depthwise kernel has one, a network's first a few. A transpose that made the kernel becomes part
    of the arrangement, and so does a reorder out of the blocks in front of it.

    A reorder moves what is within the blocks of one axis to the end. Two of them and a transpose of whole blocks take a
    tenth of the time of one transpose of numbers, which the runtime moves one after the other, on one thread.
    """
    source, order = w, [0, 1, 2, 3]  # the kernel's axes as they lie in memory
    if w.producer is not None and w.producer.op_id == "Transpose" and w.producer.inputs[0] is not None:
        perm = permutation(w.producer)
        source, order = w.producer.inputs[0], [perm.index(k) for k in range(4)]
    split = (1, 0) if int(w.shape[1]) >= block else (0,)
    parts = [_Part(axis, int(w.shape[axis])) for axis in order]
    image = image_behind(source)
    if image is not None and order[1] in split:  # there the second axis has its blocks already
        source = image
        parts[1].size //= block
        parts.append(_Part(order[1], block, within=True))
    for axis in split:
        source = _within_last(op, source, parts, axis, block)
    outer, inner = parts[: -len(split)], parts[-len(split) :]
    wanted = sorted(outer, key=lambda part: part.axis)
    if outer != wanted:
        view = op.Reshape(source, ints(*(part.size for part in outer), prod(part.size for part in inner)))
        source = op.Transpose(view, perm=(*map(outer.index, wanted), len(outer)))
    value: Value = op.Reshape(source, ints(*map(int, w.shape)))
    return value


@dataclass
class _Part:
    """An axis of a kernel, or its blocks, or the places within a block of it."""

    axis: int
    size: int
    within: bool = False


def _within_last(op: Builder, x: Value, parts: list[_Part], axis: int, block: int) -> Value:
    """Move the places within a block of an axis behind everything else; say so in the list of what lies in memory."""
    moved = max((part for part in parts if part.axis == axis), key=lambda part: part.within)
    place = parts.index(moved)
    before, after = (prod(part.size for part in some) for some in (parts[:place], parts[place + 1 :]))
    if after > 1:
        x = to_blocks(op, op.Reshape(x, ints(before, moved.size, 1, after)))
    if moved.within:
        parts.remove(moved)
    else:
        moved.size //= block
    parts.append(_Part(axis, block, within=True))
    return x
