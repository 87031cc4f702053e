"""Reading and writing parts of tensors: indexing, gathering, scattering and segments."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import numpy as np

from nngraph.errors import unknown_name
from nngraph.ir import Value, numpy_dtype
from nngraph.ir.operators import OPERATORS
from nngraph.ops.axes import as_sizes, axis_of, ints, rank, sizes, sliced
from nngraph.ops.core import convert, dtype_of, shape_vector, type_of
from nngraph.ops.creation import full
from nngraph.ops.dispatch import public
from nngraph.ops.shapes import broadcast_to, ravel, transpose
from nngraph.ops.trace import apply, is_traced

__all__ = [
    "get_item",
    "scatter",
    "scatter_update",
    "segment_max",
    "segment_min",
    "segment_prod",
    "segment_sum",
    "slice",
    "slice_update",
    "take",
    "take_along_axis",
]

_MAX, _MIN = np.iinfo(np.int64).max, np.iinfo(np.int64).min


@public
def get_item(x: Any, key: Any) -> Any:
    """Return ``x[key]`` with numpy's rules.

    Integers, slices (of any step), ``None``, ``...`` and integer arrays; integers and slice ends may be scalars of the
    graph. A boolean mask works when it is an array: a mask known only at run time would give a tensor whose size
    depends on data.

    Raises:
        ValueError: the key does not fit, or is a mask of the graph.

    Example:
        >>> get_item(np.arange(6).reshape(2, 3), np.s_[0, ::-1]).tolist()
        [2, 1, 0]
    """
    t = convert(x)
    items = list(key) if isinstance(key, tuple) else [key]
    if not is_traced(t, *_tensors_in(items)):
        return np.asarray(t.numpy_view() if hasattr(t, "_is_nngraph_variable") else t)[key]
    items = _without_masks(items)
    used = sum(1 for i in items if i is not None and i is not Ellipsis)
    if used > rank(t):
        raise ValueError(f"get_item: {used} indices for a tensor of rank {rank(t)}")
    if not any(i is Ellipsis for i in items):
        items.append(Ellipsis)
    place = next(k for k, i in enumerate(items) if i is Ellipsis)
    items[place : place + 1] = [builtins.slice(None)] * (rank(t) - used)
    if any(i is Ellipsis for i in items):
        raise ValueError("get_item: a key may hold only one ellipsis (...)")
    t = _cut_out(t, [i for i in items if i is not None])
    if any(_is_array(i) for i in items):
        return _gather(t, items)
    axes = [k for k, i in enumerate(j for j in items if j is not None) if not isinstance(i, builtins.slice)]
    t = apply("Squeeze", t, ints(*axes)) if axes else t
    new = [k for k, i in enumerate(j for j in items if j is None or isinstance(j, builtins.slice)) if i is None]
    return apply("Unsqueeze", t, ints(*new)) if new else t


def _tensors_in(items: Sequence[Any]) -> list[Any]:
    found: list[Any] = []
    for i in items:
        found += [i.start, i.stop, i.step] if isinstance(i, builtins.slice) else [i]
    return [i for i in found if isinstance(i, Value) or hasattr(i, "_is_nngraph_variable")]


def _is_array(item: Any) -> bool:
    """Tell whether an index is a tensor of indices rather than one number."""
    return not isinstance(item, (builtins.slice, int, np.integer)) and item is not None and len(item.shape) > 0


def _without_masks(items: Sequence[Any]) -> list[Any]:
    """Turn lists into arrays and masks that are arrays into the indices where they hold."""
    found: list[Any] = []
    for i in items:
        if isinstance(i, (list, np.ndarray)):
            i = np.asarray(i)
        if isinstance(i, bool) or (
            not isinstance(i, builtins.slice) and i is not None and i is not Ellipsis and dtype_of(i) == "bool"
        ):
            if not isinstance(i, np.ndarray):
                raise ValueError(
                    "get_item: a boolean mask of the graph selects a number of elements that only the data tells; "
                    "use ops.where(mask, x, 0) instead"
                )
            found += [a.astype(np.int64) for a in np.nonzero(i)]
        elif isinstance(i, (int, np.integer)) or (isinstance(i, np.ndarray) and i.ndim == 0):
            found.append(int(i))
        else:
            found.append(i)
    return found


def _cut_out(t: Any, items: Sequence[Any]) -> Any:
    """Apply the slices, and the numbers as slices of length 1, all in one operator."""
    starts: list[Any] = []
    ends: list[Any] = []
    axes: list[int] = []
    steps: list[Any] = []
    dims = list(t.shape)
    advanced = any(_is_array(i) for i in items)
    for axis, item in enumerate(items):
        if isinstance(item, builtins.slice):
            if item == builtins.slice(None):
                continue
            step = 1 if item.step is None else item.step
            if not isinstance(step, (int, np.integer)) or step == 0:
                raise ValueError(f"get_item: the step of a slice must be a number other than 0, got {step!r}")
            starts.append((0 if step > 0 else _MAX) if item.start is None else item.start)
            ends.append((_MAX if step > 0 else _MIN) if item.stop is None else item.stop)
            steps.append(int(step))
            if isinstance(item.stop, int) and isinstance(item.start, int) and step == 1 and 0 <= item.start < item.stop:
                dims[axis] = item.stop - item.start if isinstance(dims[axis], str) else dims[axis]
        elif _is_array(item) or advanced:
            continue  # with an array among the indices, numbers belong to the gathering
        elif isinstance(item, int):
            if isinstance(dims[axis], int) and not -dims[axis] <= item < dims[axis]:
                raise ValueError(f"get_item: index {item} is out of range for axis {axis} of size {dims[axis]}")
            starts.append(item)
            ends.append(item + 1 if item != -1 else _MAX)
            steps.append(1)
        else:
            index = convert(item, "int64")
            starts.append(index)
            # The slice [-1:0] would be empty; the end for index -1 is the end of the axis.
            last = apply("Equal", index, ints(-1).reshape(()))
            ends.append(apply("Where", last, np.asarray(_MAX, np.int64), apply("Add", index, np.asarray(1, np.int64))))
            steps.append(1)
        axes.append(axis)
    if not axes:
        return t
    return apply("Slice", t, shape_vector(starts), shape_vector(ends), ints(*axes), ints(*steps))


def _gather(t: Any, items: Sequence[Any]) -> Any:
    """Apply index arrays (and numbers beside them) to axes whose slices are done; put in new axes."""
    axes = [i for i in items if i is not None]
    places = [k for k, i in enumerate(axes) if not isinstance(i, builtins.slice)]
    indices = [convert(axes[k], "int64") for k in places]
    # Where the indexed dimensions go: in place of the first when they stand side by side, else in front.
    positions = [k for k, i in enumerate(items) if i is not None and not isinstance(i, builtins.slice)]
    together = positions[-1] - positions[0] + 1 == len(positions)
    front = positions[0] if together else 0
    width = max(len(i.shape) for i in indices)
    if len(indices) == 1:
        gathered = apply("Gather", t, indices[0], axis=places[0])
        front_now = places[0]
    else:
        gathered = _gather_many(t, places, indices)
        front_now = 0
    slices_before = sum(1 for i in items[:front] if isinstance(i, builtins.slice))
    if front_now != slices_before:
        order = list(range(rank(gathered)))
        block = order[front_now : front_now + width]
        rest = [k for k in order if k not in block]
        gathered = transpose(gathered, rest[:slices_before] + block + rest[slices_before:])
    new, at = [], 0
    for k, item in enumerate(items):
        if k == front:
            at += width
        if item is None:
            new.append(at)
        at += 1 if item is None or isinstance(item, builtins.slice) else 0
    return apply("Unsqueeze", gathered, ints(*new)) if new else gathered


def _gather_many(t: Any, places: Sequence[int], indices: Sequence[Any]) -> Any:
    """Gather with several index tensors, which broadcast; the indexed dimensions come first."""
    rest = [k for k in range(rank(t)) if k not in places]
    moved = transpose(t, [*places, *rest])
    total = indices[0]
    for other in indices[1:]:
        total = apply("Add", total, other)
    target = apply("Shape", total)
    columns = [apply("Unsqueeze", apply("Expand", i, target), ints(-1)) for i in indices]
    return apply("GatherND", moved, apply("Concat", *columns, axis=-1))


@public
def slice(inputs: Any, start_indices: Any, shape: Any) -> Any:
    """Return the block of this shape that begins at these indices.

    Args:
        inputs: the tensor.
        start_indices: one number an axis; also a tensor known only at run time.
        shape: the block's sizes.

    Example:
        >>> slice(np.arange(9).reshape(3, 3), (1, 0), (2, 2)).tolist()
        [[3, 4], [6, 7]]
    """
    t = convert(inputs)
    lengths = as_sizes(shape)
    starts = _starts(t, start_indices, "slice")
    ends: list[Any] = []
    for axis, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        size = t.shape[axis]
        if (
            isinstance(start, int)
            and isinstance(length, int)
            and isinstance(size, int)
            and not 0 <= start <= size - length
        ):
            raise ValueError(f"slice: {length} elements from {start} do not fit into axis {axis} of size {size}")
        ends.append(start + length)
    axes = ints(*range(rank(t)))
    known = all(isinstance(n, int) for n in lengths)
    types = [type_of(t).with_shape(lengths)] if known and is_traced(t, *_tensors_in([*starts, *ends])) else None
    return apply("Slice", t, shape_vector(starts), shape_vector(ends), axes, types=types)


def _starts(t: Any, start_indices: Any, what: str) -> list[Any]:
    if isinstance(start_indices, (list, tuple)):
        starts = [s if isinstance(s, Value) else int(s) for s in start_indices]
    elif isinstance(start_indices, Value):
        starts = [get_item(start_indices, k) for k in range(rank(t))]
    else:
        starts = [int(s) for s in np.asarray(start_indices).reshape(-1)]
    if len(starts) != rank(t):
        raise ValueError(f"{what}: {len(starts)} start indices for a tensor of rank {rank(t)}")
    return starts


@public
def slice_update(inputs: Any, start_indices: Any, updates: Any) -> Any:
    """Return the tensor with the block that begins at these indices replaced by ``updates``.

    Raises:
        ValueError: the ranks differ, or the block does not fit.
    """
    t = convert(inputs)
    block = convert(updates, dtype_of(t))
    if rank(block) != rank(t):
        raise ValueError(f"slice_update: updates of rank {rank(block)} for a tensor of rank {rank(t)}")
    starts = _starts(t, start_indices, "slice_update")
    lengths = sizes(block)
    for axis, (start, length, size) in enumerate(zip(starts, block.shape, t.shape, strict=True)):
        if all(isinstance(n, int) for n in (start, length, size)) and not 0 <= start <= size - length:
            raise ValueError(f"slice_update: {length} elements from {start} do not fit into axis {axis} of size {size}")
    # From the last axis on, the block grows to the full size of each axis by what lies before and after it.
    for axis in reversed(range(rank(t))):
        start, length = starts[axis], lengths[axis]
        if _whole(start, block, t, axis):
            continue
        slab = t
        for k in range(axis):
            slab = slab if _whole(starts[k], block, t, k) else sliced(slab, k, starts[k], starts[k] + lengths[k])
        parts = [block]
        if not (isinstance(start, int) and start == 0):
            parts.insert(0, sliced(slab, axis, 0, start))
        end = start + length
        if not (isinstance(end, int) and end == t.shape[axis]):
            parts.append(sliced(slab, axis, end))
        shape = [*block.shape[:axis], *t.shape[axis:]]
        traced = is_traced(*parts)
        types = [type_of(block).with_shape(shape)] if traced else None
        block = apply("Concat", *parts, axis=axis, types=types)
    return block


def _whole(start: Any, block: Any, t: Any, axis: int) -> bool:
    return isinstance(start, int) and start == 0 and block.shape[axis] == t.shape[axis]


@public
def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """Return the slices of a tensor at these indices of an axis (of the flat tensor by default).

    Indices from -size on count from the end. An index beyond the axis is an error when the graph runs.
    """
    t = convert(x)
    if axis is None:
        t, axis = ravel(t), 0
    return apply("Gather", t, _indices(indices), axis=axis_of(axis, rank(t), "take"))


def _indices(indices: Any) -> Any:
    t = convert(indices)
    return t if dtype_of(t) in ("int32", "int64") else convert(t, "int32")


@public
def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Any:
    """Return, for every place of ``indices``, the element of ``x`` at that index of the axis; other axes broadcast."""
    t, at = convert(x), _indices(indices)
    if axis is None:
        t, at, axis = ravel(t), ravel(at), 0
    if rank(t) != rank(at):
        raise ValueError(f"take_along_axis: x has rank {rank(t)} and indices rank {rank(at)}; they must be equal")
    axis = axis_of(axis, rank(t), "take_along_axis")
    full_t, full_at = sizes(t), sizes(at)
    for k, (a, b) in enumerate(zip(t.shape, at.shape, strict=True)):
        if k != axis and a != b:
            full_t[k], full_at[k] = (full_at[k], full_at[k]) if a == 1 else (full_t[k], full_t[k])
    return apply("GatherElements", broadcast_to(t, full_t), broadcast_to(at, full_at), axis=axis)


_REDUCTIONS = ("none", "add", "mul", "max", "min")


@public
def scatter(indices: Any, values: Any, shape: Any) -> Any:
    """Return a tensor of zeros with values added at index tuples: ``indices`` has shape ``(..., k)``.

    Example:
        >>> scatter(np.array([[0], [2], [0]]), np.float32([1, 2, 3]), (3,)).tolist()
        [4.0, 0.0, 2.0]
    """
    updates = convert(values)
    return apply("ScatterND", full(shape, 0, dtype_of(updates)), convert(indices, "int64"), updates, reduction="add")


@public
def scatter_update(inputs: Any, indices: Any, updates: Any, reduction: str | None = None) -> Any:
    """Return the tensor with elements or slices at index tuples replaced, or combined with what is there.

    Args:
        inputs: the tensor.
        indices: shape ``(..., k)``: index tuples into the first k axes.
        updates: shape ``(...) + inputs.shape[k:]``.
        reduction: ``None`` to replace, or ``"add"``, ``"mul"``, ``"max"``, ``"min"``.
    """
    kind = reduction or "none"
    if kind not in _REDUCTIONS:
        raise unknown_name("reduction", reduction, _REDUCTIONS[1:])
    t = convert(inputs)
    return apply("ScatterND", t, convert(indices, "int64"), convert(updates, dtype_of(t)), reduction=kind)


def _segment(data: Any, segment_ids: Any, num_segments: Any, reduction: str, start: Any) -> Any:
    t, ids = convert(data), convert(segment_ids, "int64")
    if rank(ids) != 1:
        raise ValueError(f"segment_ids must be a vector, got rank {rank(ids)}")
    if num_segments is None:
        if is_traced(ids):
            raise ValueError(
                "num_segments= is needed while a graph is traced: the number of segments depends on the data"
            )
        num_segments = int(np.max(np.asarray(ids), initial=-1)) + 1
    count = int(num_segments)
    # One more row catches what belongs to no segment.
    limit = np.asarray(count, np.int64)
    inside = apply("And", apply("GreaterOrEqual", ids, np.asarray(0, np.int64)), apply("Less", ids, limit))
    rows = apply("Unsqueeze", apply("Where", inside, ids, limit), ints(1))
    base = full([count + 1, *sizes(t)[1:]], start, dtype_of(t))
    return sliced(apply("ScatterND", base, rows, t, reduction=reduction), 0, 0, count)


@public
def segment_sum(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Any:
    """Return the sums of the slices that share a segment number; numbers outside the range are left out.

    Args:
        data: slices along axis 0.
        segment_ids: the segment of each slice.
        num_segments: how many segments there are; needed while tracing.
        sorted: whether the numbers ascend (makes no difference here).

    Example:
        >>> segment_sum(np.float32([1, 2, 3]), np.array([0, 1, 0]), 2).tolist()
        [4.0, 2.0]
    """
    return _segment(data, segment_ids, num_segments, "add", 0)


@public
def segment_prod(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Any:
    """Return the products of the slices that share a segment number; see :func:`segment_sum`. Empty segments give 1."""
    return _segment(data, segment_ids, num_segments, "mul", 1)


@public
def segment_max(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Any:
    """Return the maxima of the slices that share a segment number; see :func:`segment_sum`.

    Empty segments give the smallest number of the dtype, -inf for floats.
    """
    return _segment(data, segment_ids, num_segments, "max", _extreme(dtype_of(convert(data)), -1))


@public
def segment_min(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Any:
    """Return the minima of the slices that share a segment number; see :func:`segment_sum`.

    Empty segments give the largest number of the dtype, inf for floats.
    """
    return _segment(data, segment_ids, num_segments, "min", _extreme(dtype_of(convert(data)), 1))


def _extreme(dtype: str, sign: int) -> Any:
    kind = numpy_dtype(dtype)
    if kind.kind in "iu":
        return np.iinfo(kind).max if sign > 0 else np.iinfo(kind).min
    return sign * np.inf


OPERATORS.update(get_item=get_item)
