"""Shapes rearranged: reshaping, transposing, joining, splitting, repeating and padding, as in ``keras.ops``."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nngraph.ir.operators import OPERATORS
from nngraph.ops.axes import as_sizes, axes_of, axis_of, ints, rank, reshaped, scalar, sizes, sliced
from nngraph.ops.core import convert, promote, shape_vector, type_of
from nngraph.ops.dispatch import public
from nngraph.ops.trace import apply

__all__ = [
    "broadcast_to",
    "concatenate",
    "expand_dims",
    "flip",
    "moveaxis",
    "ndim",
    "pad",
    "ravel",
    "repeat",
    "reshape",
    "roll",
    "size",
    "split",
    "squeeze",
    "stack",
    "swapaxes",
    "tile",
    "transpose",
    "unstack",
]


@public
def reshape(x: Any, newshape: Any) -> Any:
    """Return the tensor with a new shape of as many elements; one size may be -1.

    Sizes may be numbers or int scalars of the graph (see :func:`shape`).

    Raises:
        ValueError: the element counts cannot be equal.

    Example:
        >>> reshape(np.arange(6), (2, -1)).shape
        (2, 3)
    """
    t = convert(x)
    if not isinstance(newshape, (list, tuple, int, np.integer, np.ndarray)):  # a shape computed at run time
        return apply("Reshape", t, convert(newshape, "int64"))
    target = [-1 if d is None else d for d in as_sizes(newshape)]
    if [d for d in target if isinstance(d, int)].count(-1) > 1:
        raise ValueError(f"reshape: only one size may be -1, got {tuple(target)}")
    dims = tuple(t.shape)
    if all(isinstance(d, int) for d in (*dims, *target)):
        return apply("Reshape", t, ints(*_whole(dims, target)), allowzero=1 if 0 in target else None)
    return reshaped(t, target)


def _whole(dims: Sequence[int], target: Sequence[int]) -> list[int]:
    """Fill in the size given as -1 and compare the element counts."""
    count, known = math.prod(dims), math.prod(d for d in target if d != -1)
    fits = count == known if -1 not in target else known > 0 and count % known == 0
    if not fits:
        raise ValueError(f"reshape: cannot reshape {tuple(dims)} ({count} elements) into {tuple(target)}")
    return [count // known if d == -1 else int(d) for d in target]


@public
def ravel(x: Any) -> Any:
    """Return the elements as one vector."""
    t = convert(x)
    return t if rank(t) == 1 else apply("Reshape", t, ints(-1))


@public
def transpose(x: Any, axes: Any = None) -> Any:
    """Return the tensor with its axes in another order (reversed by default).

    Raises:
        ValueError: ``axes`` is not a permutation of the axes.
    """
    t = convert(x)
    perm = list(range(rank(t)))[::-1] if axes is None else axes_of(axes, rank(t), "transpose")
    if len(perm) != rank(t):
        raise ValueError(f"transpose: axes {tuple(axes)} do not name each of the {rank(t)} axes once")
    return t if perm == sorted(perm) else apply("Transpose", t, perm=tuple(perm))


@public
def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """Return the tensor with two axes exchanged."""
    t = convert(x)
    perm = list(range(rank(t)))
    a, b = axis_of(axis1, rank(t), "swapaxes"), axis_of(axis2, rank(t), "swapaxes")
    perm[a], perm[b] = b, a
    return transpose(t, perm)


@public
def moveaxis(x: Any, source: Any, destination: Any) -> Any:
    """Return the tensor with some axes moved and the others kept in order."""
    t = convert(x)
    froms, tos = axes_of(source, rank(t), "moveaxis"), axes_of(destination, rank(t), "moveaxis")
    if len(froms) != len(tos):
        raise ValueError(f"moveaxis: {len(froms)} source axes cannot move to {len(tos)} destinations")
    perm = [k for k in range(rank(t)) if k not in froms]
    for to, origin in sorted(zip(tos, froms, strict=True)):
        perm.insert(to, origin)
    return transpose(t, perm)


@public
def expand_dims(x: Any, axis: Any) -> Any:
    """Return the tensor with axes of size 1 put in at these places of the result."""
    t = convert(x)
    count = len(axis) if isinstance(axis, (list, tuple)) else 1
    return apply("Unsqueeze", t, ints(*sorted(axes_of(axis, rank(t) + count, "expand_dims"))))


@public
def squeeze(x: Any, axis: Any = None) -> Any:
    """Return the tensor without axes of size 1: those named, or all that are known to be 1.

    Raises:
        ValueError: a named axis has another size.
    """
    t = convert(x)
    if axis is None:
        axes = [k for k, d in enumerate(t.shape) if d == 1]
    else:
        axes = axes_of(axis, rank(t), "squeeze")
    wrong = [k for k in axes if isinstance(t.shape[k], int) and t.shape[k] != 1]
    if wrong:
        raise ValueError(f"squeeze: axis {wrong[0]} of shape {tuple(t.shape)} has size {t.shape[wrong[0]]}, not 1")
    return apply("Squeeze", t, ints(*axes)) if axes else t


@public
def concatenate(xs: Any, axis: int = 0) -> Any:
    """Return tensors joined along an axis they have.

    Raises:
        ValueError: no tensors, or shapes that differ elsewhere.
    """
    parts = promote(*_tensors(xs, "concatenate"))
    axis = axis_of(axis, rank(parts[0]), "concatenate")
    shapes = [tuple(p.shape) for p in parts]
    for other in shapes[1:]:
        same = len(other) == len(shapes[0]) and all(
            k == axis or isinstance(a, str) or isinstance(b, str) or a == b
            for k, (a, b) in enumerate(zip(shapes[0], other, strict=True))
        )
        if not same:
            raise ValueError(f"concatenate: shapes {shapes[0]} and {other} differ elsewhere than on axis {axis}")
    return parts[0] if len(parts) == 1 else apply("Concat", *parts, axis=axis)


def _tensors(xs: Any, what: str) -> list[Any]:
    items = list(xs)
    if not items:
        raise ValueError(f"{what}: at least one tensor is needed")
    return items


@public
def stack(x: Any, axis: int = 0) -> Any:
    """Return tensors of one shape joined along a new axis."""
    parts = promote(*_tensors(x, "stack"))
    shapes = [tuple(p.shape) for p in parts]
    if any(len(s) != len(shapes[0]) for s in shapes):
        raise ValueError(f"stack: the tensors must have one shape, got {' and '.join(map(str, dict.fromkeys(shapes)))}")
    axis = axis_of(axis, rank(parts[0]) + 1, "stack")
    parts = [apply("Unsqueeze", p, ints(axis)) for p in parts]
    return concatenate(parts, axis)


@public
def unstack(x: Any, num: int | None = None, axis: int = 0) -> Any:
    """Return the slices along an axis, that axis removed, as a list.

    Raises:
        ValueError: the size of the axis is not known and ``num`` is not given, or they differ.
    """
    t = convert(x)
    axis = axis_of(axis, rank(t), "unstack")
    length = t.shape[axis]
    if num is None and isinstance(length, str):
        raise ValueError(f"unstack: the size of axis {axis} is {length!r}, known only at run time; give num=")
    count = length if num is None else num
    if isinstance(length, int) and length != count:
        raise ValueError(f"unstack: axis {axis} has size {length}, not num={num}")
    return [apply("Squeeze", part, ints(axis)) for part in _split(t, axis, [1] * count)]


def _split(t: Any, axis: int, lengths: Sequence[int]) -> list[Any]:
    if len(lengths) == 1:
        return [t]
    return list(apply("Split", t, ints(*lengths), outputs=len(lengths), axis=axis))


@public
def split(x: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    """Return a list of pieces along an axis: so many of equal size, or cut at these indices.

    Raises:
        ValueError: the axis does not divide into that many equal pieces.
    """
    t = convert(x)
    axis = axis_of(axis, rank(t), "split")
    length = t.shape[axis]
    if isinstance(indices_or_sections, (int, np.integer)):
        count = int(indices_or_sections)
        if count < 1 or (isinstance(length, int) and length % count):
            raise ValueError(f"split: axis {axis} of size {length} does not divide into {count} equal pieces")
        if isinstance(length, int):
            return _split(t, axis, [length // count] * count)
        return [t] if count == 1 else list(apply("Split", t, outputs=count, axis=axis, num_outputs=count))
    cuts = [int(i) for i in np.asarray(indices_or_sections).reshape(-1)]
    return cut(t, cuts, axis)


def cut(t: Any, cuts: Sequence[int], axis: int) -> list[Any]:
    """Return the pieces of a tensor between the indices where it is cut, as numpy's slices would give them."""
    length = t.shape[axis]
    if not isinstance(length, int):
        return [sliced(t, axis, a, b) for a, b in itertools.pairwise([None, *cuts, None])]
    inside = [range(length + 1)[min(c, length)] if c >= 0 else max(length + c, 0) for c in cuts]
    edges = [0, *inside, length]
    lengths = [b - a for a, b in itertools.pairwise(edges)]
    if min(lengths) < 0:
        return [sliced(t, axis, a, b) for a, b in itertools.pairwise(edges)]
    return _split(t, axis, lengths)


@public
def broadcast_to(x: Any, shape: Any) -> Any:
    """Return the tensor repeated along axes of size 1 until it has this shape.

    Raises:
        ValueError: the shape is not one that the tensor broadcasts to.
    """
    t = convert(x)
    target = as_sizes(shape)
    have = tuple(t.shape)
    fits = len(have) <= len(target) and all(
        h == 1 or not isinstance(h, int) or not isinstance(w, int) or h == w
        for h, w in zip(have[::-1], target[::-1], strict=False)
    )
    if not fits:
        raise ValueError(f"broadcast_to: a tensor of shape {have} does not broadcast to {tuple(target)}")
    same = all(isinstance(w, int) for w in target) and have == tuple(target)
    return t if same else apply("Expand", t, shape_vector(target))


@public
def tile(x: Any, repeats: Any) -> Any:
    """Return the tensor laid out several times along each axis; missing leading counts or axes are 1."""
    t = convert(x)
    counts = list(repeats) if isinstance(repeats, (list, tuple, np.ndarray)) else [repeats]
    if len(counts) > rank(t):
        t = apply("Unsqueeze", t, ints(*range(len(counts) - rank(t))))
    counts = [1] * (rank(t) - len(counts)) + counts
    if not counts or all(isinstance(c, int) and c == 1 for c in counts):
        return t
    return apply("Tile", t, shape_vector(counts))


@public
def repeat(x: Any, repeats: Any, axis: int | None = None) -> Any:
    """Return the tensor with each slice along an axis repeated, all as often or each its own number of times.

    Raises:
        ValueError: numbers of repeats that do not fit the axis.
    """
    t = convert(x)
    if axis is None:
        t, axis = ravel(t), 0
    axis = axis_of(axis, rank(t), "repeat")
    counts = np.asarray(repeats).reshape(-1)
    if counts.size == 1:
        count = int(counts[0])
        dims = sizes(t)
        wide = apply("Unsqueeze", t, ints(axis + 1))
        spread = apply("Expand", wide, ints(*[1] * (axis + 1), count, *[1] * (len(dims) - axis - 1)))
        length = dims[axis] * count
        return reshaped(spread, [*dims[:axis], length, *dims[axis + 1 :]])
    if isinstance(t.shape[axis], int) and counts.size != t.shape[axis]:
        raise ValueError(f"repeat: {counts.size} numbers of repeats for axis {axis} of size {t.shape[axis]}")
    return apply("Gather", t, np.repeat(np.arange(counts.size), counts).astype(np.int64), axis=axis)


@public
def flip(x: Any, axis: Any = None) -> Any:
    """Return the tensor reversed along these axes (all by default)."""
    t = convert(x)
    axes = axes_of(axis, rank(t), "flip")
    if not axes:
        return t
    limits, n = np.iinfo(np.int64), len(axes)
    return apply("Slice", t, ints(*[limits.max] * n), ints(*[limits.min] * n), ints(*axes), ints(*[-1] * n))


@public
def roll(x: Any, shift: Any, axis: Any = None) -> Any:
    """Return the tensor with its elements moved along axes; what leaves at one end comes in at the other."""
    t = convert(x)
    if axis is None:
        return reshaped(_roll(ravel(t), int(shift), 0), sizes(t))
    axes = list(axis) if isinstance(axis, (list, tuple)) else [axis]
    shifts = list(shift) if isinstance(shift, (list, tuple)) else [shift] * len(axes)
    axes = axes * len(shifts) if len(axes) == 1 else axes
    for s, a in zip(shifts, axes, strict=True):
        t = _roll(t, int(s), axis_of(a, rank(t), "roll"))
    return t


def _roll(t: Any, shift: int, axis: int) -> Any:
    length = t.shape[axis]
    shift = (shift % length if length else 0) if isinstance(length, int) else shift
    if shift == 0:
        return t
    return apply("Concat", sliced(t, axis, -shift), sliced(t, axis, None, -shift), axis=axis, types=[type_of(t)])


@public
def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Any:
    """Return the tensor with elements added before and after each axis.

    Args:
        x: the tensor.
        pad_width: one number, one pair ``(before, after)``, or a pair for each axis.
        mode: ``"constant"``, ``"reflect"`` (the edge is not repeated), ``"symmetric"`` (it is), ``"edge"`` or
            ``"wrap"``.
        constant_values: the number to add, 0 by default; only for ``"constant"``.

    Raises:
        ValueError: an unknown mode, or a constant given with another mode.
    """
    modes = ("constant", "reflect", "symmetric", "edge", "wrap")
    if mode not in modes:
        raise ValueError(f"pad: mode must be one of {', '.join(modes)}, got {mode!r}")
    if constant_values is not None and mode != "constant":
        raise ValueError(f"pad: constant_values= only goes with mode='constant', not {mode!r}")
    t = convert(x)
    widths = np.broadcast_to(np.asarray(pad_width, np.int64), (rank(t), 2))
    if not widths.any():
        return t
    if mode == "symmetric":
        return _pad_symmetric(t, widths.tolist())
    fill = None
    if mode == "constant":
        fill = convert(0 if constant_values is None else constant_values)
        fill = scalar(fill, t) if isinstance(fill, np.ndarray) else promote(fill, t)[0]
    return apply("Pad", t, ints(*widths[:, 0], *widths[:, 1]), fill, mode=mode)


def _pad_symmetric(t: Any, widths: Sequence[Sequence[int]]) -> Any:
    """Mirror including the edge, which ONNX cannot say in one operator."""
    for axis, (before, after) in enumerate(widths):
        parts = [t]
        if before:
            parts.insert(0, flip(sliced(t, axis, 0, before), axis))
        if after:
            parts.append(flip(sliced(t, axis, -after), axis))
        t = concatenate(parts, axis)
    return t


def ndim(x: Any) -> int:
    """Return the number of dimensions, a plain number.

    Example:
        >>> ndim(np.zeros((2, 3)))
        2
    """
    return len(x.shape) if hasattr(x, "shape") else np.ndim(x)


@public
def size(x: Any) -> Any:
    """Return the number of elements: a plain number, or an int32 scalar of the graph if known only at run time."""
    t = convert(x)
    if all(isinstance(d, int) for d in t.shape):
        return math.prod(t.shape)
    return apply("Cast", apply("Size", t), to="int32")


OPERATORS.update(reshape=reshape)
