"""More of numpy: pieces and piles along fixed axes, rotations, choices, sets, and patterns of axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nngraph.ops.axes import axes_of, axis_of, ints, rank, reshaped, scalar, sizes, sliced
from nngraph.ops.core import convert, dtype_of, promote, shape_vector
from nngraph.ops.dispatch import public
from nngraph.ops.elementwise import floor_divide, mod, where
from nngraph.ops.reduction import any as any_over
from nngraph.ops.shapes import concatenate, cut, flip, ravel, split, transpose
from nngraph.ops.trace import apply

__all__ = [
    "append",
    "array_split",
    "dsplit",
    "dstack",
    "dtype",
    "fliplr",
    "flipud",
    "hsplit",
    "hstack",
    "isin",
    "nonzero",
    "rearrange",
    "rot90",
    "select",
    "unique",
    "unravel_index",
    "vsplit",
    "vstack",
]


def dtype(x: Any) -> str:
    """Return the name of a tensor's dtype.

    Example:
        >>> dtype(np.zeros(2, "int8"))
        'int8'
    """
    return dtype_of(x)


@public
def append(x1: Any, x2: Any, axis: int | None = None) -> Any:
    """Return the second tensor put behind the first along an axis, or both flat."""
    a, b = promote(x1, x2)
    return concatenate([ravel(a), ravel(b)], 0) if axis is None else concatenate([a, b], axis)


@public
def array_split(x: Any, indices_or_sections: int, axis: int = 0) -> Any:
    """Return a list of so many pieces along an axis, the first ones longer by one where it does not divide."""
    t = convert(x)
    axis = axis_of(axis, rank(t), "array_split")
    length, count = t.shape[axis], int(indices_or_sections)
    if not isinstance(length, int):
        raise ValueError(f"array_split: the size of axis {axis} is {length!r}, known only at run time")
    small, longer = divmod(length, count)
    edges = np.cumsum([small + 1] * longer + [small] * (count - longer))[:-1]
    return cut(t, [int(e) for e in edges], axis)


@public
def hsplit(x: Any, indices_or_sections: Any) -> Any:
    """Return pieces along axis 1 (along axis 0 of a vector); see :func:`split`."""
    t = convert(x)
    return split(t, indices_or_sections, 0 if rank(t) == 1 else 1)


@public
def vsplit(x: Any, indices_or_sections: Any) -> Any:
    """Return pieces along axis 0; see :func:`split`."""
    return split(x, indices_or_sections, 0)


@public
def dsplit(x: Any, indices_or_sections: Any) -> Any:
    """Return pieces along axis 2; see :func:`split`."""
    return split(x, indices_or_sections, 2)


def _at_least(x: Any, width: int) -> Any:
    """Give a tensor axes as numpy's ``atleast_1d`` to ``atleast_3d`` do."""
    t = convert(x)
    if rank(t) >= width:
        return t
    if rank(t) == 0:
        return apply("Reshape", t, ints(*[1] * width))
    before = 1 if rank(t) == 1 and width > 1 else 0
    axes = list(range(before)) + list(range(rank(t) + before, width))
    return apply("Unsqueeze", t, ints(*axes))


@public
def hstack(xs: Any) -> Any:
    """Return tensors joined along axis 1 (vectors along axis 0)."""
    parts = [_at_least(x, 1) for x in xs]
    return concatenate(parts, 0 if rank(parts[0]) == 1 else 1)


@public
def vstack(xs: Any) -> Any:
    """Return tensors joined along axis 0, vectors as rows."""
    return concatenate([_at_least(x, 2) for x in xs], 0)


@public
def dstack(xs: Any) -> Any:
    """Return tensors joined along axis 2."""
    return concatenate([_at_least(x, 3) for x in xs], 2)


@public
def fliplr(x: Any) -> Any:
    """Return the tensor reversed along axis 1."""
    return flip(x, 1)


@public
def flipud(x: Any) -> Any:
    """Return the tensor reversed along axis 0."""
    return flip(x, 0)


@public
def rot90(array: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    """Return the tensor turned ``k`` times by 90 degrees in the plane of two axes, from the first to the second."""
    t = convert(array)
    a, b = axes_of(axes, rank(t), "rot90")
    order = list(range(rank(t)))
    order[a], order[b] = b, a
    turns = k % 4
    if turns == 0:
        return t
    if turns == 2:
        return flip(t, (a, b))
    return flip(transpose(t, order), a) if turns == 1 else transpose(flip(t, a), order)


@public
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """Return for each place the choice of the first condition that holds there, or the default."""
    if len(condlist) != len(choicelist):
        raise ValueError(f"select: {len(condlist)} conditions for {len(choicelist)} choices")
    found = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        found = where(condition, choice, found)
    return found


@public
def nonzero(x: Any) -> Any:
    """Return one int32 vector an axis: the indices of the elements that are not zero."""
    t = convert(x)
    t = t if dtype_of(t) in ("bool", "float32", "int32", "int64", "uint8") else convert(t, "bool")
    rows = apply("NonZero", t)
    return tuple(convert(apply("Squeeze", sliced(rows, 0, k, k + 1), ints(0)), "int32") for k in range(rank(t)))


@public
def unravel_index(indices: Any, shape: Any) -> Any:
    """Return for flat indices into a tensor of this shape their indices along each axis."""
    t = convert(indices)
    found = []
    for size in reversed([int(d) for d in shape]):
        found.append(mod(t, scalar(size, t)))
        t = floor_divide(t, scalar(size, t))
    return tuple(reversed(found))


@public
def isin(x1: Any, x2: Any, assume_unique: bool = False, invert: bool = False) -> Any:
    """Return where elements of the first are among the elements of the second."""
    a, b = promote(x1, x2)
    found = any_over(apply("Equal", apply("Unsqueeze", a, ints(rank(a))), apply("Reshape", b, ints(-1))), -1)
    return apply("Not", found) if invert else found


@public
def unique(
    x: Any,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """Return the distinct elements (or slices along an axis) in ascending order.

    Args:
        x: a tensor.
        sorted: no difference here: the result always ascends.
        return_index: also the index of the first occurrence of each.
        return_inverse: also, for each element, the index of its value in the result.
        return_counts: also how often each occurs.
        axis: compare slices along this axis; the flat tensor by default.
        size: the length of the result, cut or filled up, so that the shape does not depend on data.
        fill_value: what fills it up; the smallest value by default.

    Returns:
        The values, or a tuple of them and the int32 tensors asked for.
    """
    t = convert(x)
    kind = dtype_of(t)
    direct = kind in ("float32", "float64", "int64", "int8")
    source = t if direct else convert(t, "float32" if kind in ("float16", "bfloat16") else "int64")
    values, index, inverse, counts = apply("Unique", source, outputs=4, axis=axis, sorted=1)
    along = 0 if axis is None else axis_of(axis, rank(t), "unique")
    values = values if direct else convert(values, kind)
    index, counts = convert(index, "int32"), convert(counts, "int32")
    inverse = convert(inverse, "int32")
    if size is not None:
        fill = sliced(values, along, 0, 1) if fill_value is None else fill_value
        values = _resized(values, along, size, fill)
        index = _resized(index, 0, size, sliced(index, 0, 0, 1))
        counts = _resized(counts, 0, size, 0)
    if axis is None:
        inverse = reshaped(inverse, sizes(t))
    extra = [r for r, wanted in ((index, return_index), (inverse, return_inverse), (counts, return_counts)) if wanted]
    return (values, *extra) if extra else values


def _resized(t: Any, axis: int, size: int, fill: Any) -> Any:
    """Cut or fill up an axis to a fixed length."""
    dims = sizes(t)
    dims[axis] = size
    tail = convert(fill, dtype_of(t))
    padding = apply("Expand", tail, shape_vector(dims))
    return sliced(concatenate([t, padding], axis), axis, 0, size)


# -- patterns of axes -----------------------------------------------------------------------------------------------


@public
def rearrange(tensor: Any, pattern: str, **axes_lengths: int) -> Any:
    """Return a tensor with its axes named, split, joined and reordered by a pattern.

    Names stand for axes, parentheses join them, ``1`` is an axis of size 1 and ``...`` the axes not named.

    Args:
        tensor: a tensor.
        pattern: such as ``"b (h w) c -> b c h w"``.
        axes_lengths: sizes of names in parentheses; one in each may be left out.

    Raises:
        ValueError: the pattern does not fit the tensor, or the sides name different axes.

    Example:
        >>> rearrange(np.zeros((2, 6)), "b (h w) -> h b w", h=3).shape
        (3, 2, 2)
    """
    t = convert(tensor)
    left, arrow, right = pattern.partition("->")
    if not arrow:
        raise ValueError(f"rearrange: the pattern {pattern!r} has no '->'")
    sources, targets = _groups(left), _groups(right)
    sources = _spell_out(sources, rank(t) - sum(g != ["..."] for g in sources))
    targets = _spell_out(targets, sum(n.startswith("...") for g in sources for n in g))
    if len(sources) != rank(t):
        raise ValueError(f"rearrange: {left.strip()!r} names {len(sources)} axes, the tensor has {rank(t)}")
    lengths: dict[str, Any] = dict(axes_lengths)
    for group, size in zip(sources, sizes(t), strict=True):
        _measure(group, size, lengths, pattern)
    names = [n for g in sources for n in g]
    wanted = [n for g in targets for n in g]
    if sorted(names) != sorted(wanted) or len(set(names)) < len(names):
        raise ValueError(f"rearrange: both sides of {pattern!r} must name the same axes, each once")
    t = reshaped(t, [lengths[n] for n in names])
    t = transpose(t, [names.index(n) for n in wanted])
    return reshaped(t, [_product([lengths[n] for n in g]) for g in targets])


def _groups(side: str) -> list[list[str]]:
    """Return the axes of one side; ``1`` and ``()`` are axes without a name."""
    words = side.replace("(", " ( ").replace(")", " ) ").split()
    groups: list[list[str]] = []
    inside = False
    for word in words:
        if word in "()":
            inside = word == "("
            if inside:
                groups.append([])
        elif inside:
            groups[-1] += [] if word == "1" else [word]
        else:
            groups.append([] if word == "1" else [word])
    return groups


def _spell_out(groups: list[list[str]], count: int) -> list[list[str]]:
    """Replace ``...`` by names of its own."""
    found: list[list[str]] = []
    names = [f"...{k}" for k in range(count)]
    for group in groups:
        if group == ["..."]:
            found += [[n] for n in names]
        else:
            found.append([m for n in group for m in (names if n == "..." else [n])])
    return found


def _measure(group: list[str], size: Any, lengths: dict[str, Any], pattern: str) -> None:
    """Work out the one size of a group that is not given."""
    open_names = [n for n in group if n not in lengths]
    if len(open_names) > 1:
        raise ValueError(f"rearrange: give the sizes of all but one of {open_names} in {pattern!r}")
    known = math.prod(lengths[n] for n in group if n in lengths)
    if isinstance(size, int) and (size % known or (not open_names and size != known)):
        raise ValueError(f"rearrange: an axis of size {size} does not split into {group} of {pattern!r}")
    if open_names:
        lengths[open_names[0]] = size if known == 1 else size // known


def _product(dims: Sequence[Any]) -> Any:
    total: Any = math.prod(d for d in dims if isinstance(d, int))
    for d in dims:
        total = total if isinstance(d, int) else d * total
    return total
