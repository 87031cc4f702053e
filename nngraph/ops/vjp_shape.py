"""Gradient rules of operators that move elements as their shape says; y is the output, g its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngraph.ir import Value
from nngraph.ops.axes import ints, rank, scalar, shaped_like, size_vector, zeros_of
from nngraph.ops.core import convert, dtype_of, type_of
from nngraph.ops.trace import apply
from nngraph.ops.vjp import no_gradient, raw, vjp
from nngraph.ops.vjp_indexing import gather_gradient

__all__: list[str] = []


@vjp("Reshape", "Flatten")
def _(g: Any, y: Any, x: Any, *_: Any, **__: Any) -> Any:
    return (shaped_like(g, x),)


@vjp("Squeeze")
def _(g: Any, y: Any, x: Any, axes: Any = None) -> Any:
    return (shaped_like(g, x) if axes is None else raw.Unsqueeze(g, axes),)


@vjp("Unsqueeze")
def _(g: Any, y: Any, x: Any, axes: Any) -> Any:
    return (raw.Squeeze(g, axes),)


@vjp("Transpose")
def _(g: Any, y: Any, x: Any, *, perm: Any = None) -> Any:
    order = range(rank(x))[::-1] if perm is None else perm
    return (raw.Transpose(g, perm=tuple(int(i) for i in np.argsort(order))),)


@vjp("Expand")
def _(g: Any, y: Any, x: Any, shape: Any) -> Any:
    return (g,)


@vjp("Concat")
def _(g: Any, y: Any, *xs: Any, axis: int) -> Any:
    lengths = [_length(x, axis) for x in xs]
    gradients = []
    for k, x in enumerate(xs):
        start, end = _total(lengths[:k]), _total(lengths[: k + 1])
        types = [type_of(x)]
        gradients.append(lambda s=start, e=end, t=types: apply("Slice", g, s, e, ints(axis), types=t))
    return tuple(gradients)


def _length(x: Any, axis: int) -> Any:
    """Return one size as an int64 vector of length 1."""
    size = x.shape[axis]
    return ints(size) if isinstance(size, int) else raw.Shape(x, start=axis % rank(x), end=axis % rank(x) + 1)


def _total(lengths: list[Any]) -> Any:
    total: Any = ints(0)
    for n in lengths:
        both_known = isinstance(total, np.ndarray) and isinstance(n, np.ndarray)
        total = total + n if both_known else raw.Add(total, n)
    return total


@vjp("Split")
def _(g: Any, y: Any, x: Any, split: Any = None, *, axis: int = 0, **_: Any) -> Any:
    gs, ys = (g, y) if isinstance(y, (tuple, list)) else ((g,), (y,))
    parts = [zeros_of(part) if piece is None else piece for piece, part in zip(gs, ys, strict=True)]
    return (apply("Concat", *parts, axis=axis, types=[type_of(x)]),)


@vjp("Slice")
def _(g: Any, y: Any, x: Any, starts: Any, ends: Any, axes: Any = None, steps: Any = None) -> Any:
    """Flip what ran backwards, put zeros between what was taken in strides, and pad to the size before."""
    count = int(starts.shape[0])
    numbers = list(range(count)) if axes is None else [int(a) % rank(x) for a in _constant(axes, "axes")]
    strides = [1] * count if steps is None else [int(s) for s in _constant(steps, "steps")]
    back = [a for a, s in zip(numbers, strides, strict=True) if s < 0]
    if back:
        limits, n = np.iinfo(np.int64), len(back)
        ends_ = ints(*[limits.min] * n)
        g = apply("Slice", g, ints(*[limits.max] * n), ends_, ints(*back), ints(*[-1] * n), types=[type_of(g)])
    before: list[Any] = [ints(0)] * rank(x)
    after: list[Any] = [ints(0)] * rank(x)
    for k, (axis, step) in enumerate(zip(numbers, strides, strict=True)):
        if step == 1 and x.shape[axis] == y.shape[axis]:
            continue
        taken = _length(y, axis)
        g = _spread(g, axis, abs(step))
        low = _lowest(_entry(starts, k), _length(x, axis), taken, step)
        before[axis] = low
        after[axis] = _minus(_length(x, axis), low, _times(taken, abs(step)))
    if all(isinstance(p, np.ndarray) and not p.any() for p in (*before, *after)):
        return (g,)
    return (apply("Pad", g, _joined([*before, *after]), types=[type_of(x)]),)


def _constant(x: Any, what: str) -> Any:
    if isinstance(x, Value):
        if x.data is None:
            raise ValueError(f"the gradient of Slice needs {what} that are constants")
        return x.data
    return np.asarray(x)


def _known(x: Any) -> Any:
    """Return a stored constant as an array, anything else as it is."""
    return x.data if isinstance(x, Value) and x.data is not None else x


def _entry(vector: Any, k: int) -> Any:
    vector = _known(vector)
    if isinstance(vector, np.ndarray):
        return vector[k : k + 1].astype(np.int64)
    return raw.Slice(convert(vector, "int64"), ints(k), ints(k + 1))


def _lowest(start: Any, size: Any, taken: Any, step: int) -> Any:
    """Return the smallest index that a slice touches."""
    if isinstance(start, np.ndarray):
        from_end = start[0] < 0
        first = _plus(size, start) if from_end else start
        if isinstance(first, np.ndarray) and isinstance(size, np.ndarray):
            first = np.clip(first, 0, size if step > 0 else size - 1)
        elif step < 0 and not from_end:  # such a start may be far behind the end
            first = raw.Min(first, raw.Sub(size, ints(1)))
    else:
        first = raw.Where(raw.Less(start, ints(0)), raw.Add(start, size), start)
        first = raw.Min(first, size if step > 0 else raw.Sub(size, ints(1)))
    if step > 0:
        return first
    return _minus(first, _times(_minus(taken, ints(1)), -step))


def _plus(a: Any, b: Any) -> Any:
    return a + b if isinstance(a, np.ndarray) and isinstance(b, np.ndarray) else raw.Add(a, b)


def _minus(a: Any, *others: Any) -> Any:
    for b in others:
        a = a - b if isinstance(a, np.ndarray) and isinstance(b, np.ndarray) else raw.Sub(a, b)
    return a


def _times(a: Any, number: int) -> Any:
    return a * number if isinstance(a, np.ndarray) else a if number == 1 else raw.Mul(a, ints(number))


def _joined(vectors: list[Any]) -> Any:
    if all(isinstance(v, np.ndarray) for v in vectors):
        return np.concatenate(vectors)
    return raw.Concat(*vectors, axis=0)


def _spread(g: Any, axis: int, step: int) -> Any:
    """Put ``step - 1`` zeros behind every slice along an axis."""
    if step == 1:
        return g
    pads = [0] * (rank(g) + 1)
    pads[axis + 1] = step - 1
    wide = raw.Pad(raw.Unsqueeze(g, ints(axis + 1)), ints(*[0] * (rank(g) + 1), *pads))
    sizes = [_length(g, k) for k in range(rank(g))]
    sizes[axis] = _times(sizes[axis], step)
    return raw.Reshape(wide, _joined(sizes), allowzero=1)


@vjp("Tile")
def _(g: Any, y: Any, x: Any, repeats: Any) -> Any:
    """The copies of each axis become an axis of their own, and are summed."""
    if rank(x) == 0:
        return (g,)
    sizes = []
    for k in range(rank(x)):
        sizes += [_entry(repeats, k), _length(x, k)]
    parted = raw.Reshape(g, _joined(sizes), allowzero=1)
    return (apply("ReduceSum", parted, ints(*range(0, 2 * rank(x), 2)), keepdims=0, types=[type_of(x)]),)


@vjp("Pad")
def _(g: Any, y: Any, x: Any, pads: Any, value: Any = None, axes: Any = None, *, mode: str = "constant") -> Any:
    if mode != "constant":
        return (_pad_gradient(g, x, pads, axes, mode),)
    inside = apply("Pad", g, _negated(pads), None, axes, types=[type_of(x)])
    outside = None if value is None else lambda: raw.Sub(_sum_of(g), _sum_of(inside))
    return inside, None, outside


def _negated(pads: Any) -> Any:
    known = _known(pads)
    return -known if isinstance(known, np.ndarray) else raw.Neg(pads)


def _sum_of(x: Any) -> Any:
    return raw.ReduceSum(x, keepdims=0)


def _pad_gradient(g: Any, x: Any, pads: Any, axes: Any, mode: str) -> Any:
    """Pad an axis's index range the same way: padding is gathering with these indices."""
    numbers = list(range(rank(x))) if axes is None else [int(a) % rank(x) for a in _constant(axes, "axes")]
    known = _known(pads)
    # Going back through the axes, each step has the sizes that the tensor had after padding the axes before.
    for k in reversed(range(len(numbers))):
        if isinstance(known, np.ndarray) and not known[k] and not known[k + len(numbers)]:
            continue
        axis = numbers[k]
        both = _joined([_entry(pads, k), _entry(pads, k + len(numbers))])
        size = raw.Squeeze(_length(x, axis), ints(0))
        indices = raw.Pad(raw.Range(np.asarray(0, np.int64), size, np.asarray(1, np.int64)), both, mode=mode)
        sizes = [_length(g, a) for a in range(rank(g))]
        sizes[axis] = _length(x, axis)
        g = gather_gradient(g, indices, axis, sizes)
    return g


@vjp("DepthToSpace")
def _(g: Any, y: Any, x: Any, *, blocksize: int, mode: str = "DCR") -> Any:
    if mode == "DCR":
        return (raw.SpaceToDepth(g, blocksize=blocksize),)
    b = ints(blocksize)
    shape = _joined([_length(y, 0), _length(y, 1), _length(x, 2), b, _length(x, 3), b])
    parted = raw.Transpose(raw.Reshape(g, shape), perm=(0, 1, 3, 5, 2, 4))
    return (shaped_like(parted, x),)


@vjp("SpaceToDepth")
def _(g: Any, y: Any, x: Any, *, blocksize: int, **_: Any) -> Any:
    return (raw.DepthToSpace(g, blocksize=blocksize, mode="DCR"),)


@vjp("Trilu")
def _(g: Any, y: Any, x: Any, k: Any = None, *, upper: int = 1) -> Any:
    return (raw.Trilu(g, k, upper=upper),)


@vjp("ReverseSequence")
def _(g: Any, y: Any, x: Any, lengths: Any, *, batch_axis: int = 1, time_axis: int = 0) -> Any:
    return (raw.ReverseSequence(g, lengths, batch_axis=batch_axis, time_axis=time_axis),)


@vjp("OneHot")
def _(g: Any, y: Any, indices: Any, depth: Any, values: Any, *, axis: int = -1) -> Any:
    """values = [off, on]: each gets the sum of the gradient where it stands."""

    def ends() -> Any:
        hot = raw.OneHot(indices, depth, np.arange(2, dtype=scalar(0, values).dtype), axis=axis)
        on = _sum_of(raw.Mul(g, hot))
        return raw.Concat(*(raw.Unsqueeze(s, ints(0)) for s in (raw.Sub(_sum_of(g), on), on)), axis=0)

    return None, None, ends


@vjp("Range")
def _(g: Any, y: Any, start: Any, limit: Any, delta: Any) -> Any:
    def step() -> Any:
        one = np.asarray(1, np.int64)
        count = raw.Squeeze(size_vector(y), ints(0))
        numbers = raw.Range(np.asarray(0, np.int64), count, one)
        return _sum_of(raw.Mul(g, convert(numbers, dtype_of(g))))

    return lambda: _sum_of(g), None, step


no_gradient("its output depends on the shape only", "ConstantOfShape", "EyeLike")
