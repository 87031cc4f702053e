"""Sizes that follow from other sizes: what ONNX's inference loses, kept by name.

ONNX infers a node from its input types and constants. It forgets names in Reshape, Concat, Slice and others, and it
does not look through the small integer computations (``Shape``, ``Gather``, ``Concat``) that make a target shape.
:func:`sizes_of` does, and :func:`refine` uses it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from math import prod
from typing import Any

from nngraph.ir import Dim, Node, OpaqueType, Shape, TensorType, Value, broadcast_shapes

__all__ = ["known_types", "refine", "reshape_dims", "sizes_of"]

UNKNOWN = "?"


def sizes_of(value: Value | None, depth: int = 12) -> tuple[Dim, ...] | None:
    """Return the entries of an integer vector or scalar as sizes, where each is a number, a name, or ``"?"``.

    Returns ``None`` when nothing is known, not even the length.
    """
    if value is None or value.ndim > 1 or not value.dtype.startswith(("int", "uint")):
        return None
    if value.data is not None:
        return tuple(int(i) for i in value.data.reshape(-1)) if value.data.size <= 256 else None
    node = value.producer
    length = 1 if value.ndim == 0 else value.shape[0]
    blank = (UNKNOWN,) * length if isinstance(length, int) and length <= 256 else None
    if node is None or depth == 0 or node.domain:
        return blank
    found = _through(node, depth - 1)
    return found if found is not None else blank


def _through(node: Node, depth: int) -> tuple[Dim, ...] | None:
    first = node.inputs[0] if node.inputs else None
    if first is not None and isinstance(first.type, OpaqueType):
        return None
    if node.op == "Shape" and first is not None:
        start, end = node.attributes.get("start", 0), node.attributes.get("end")
        return first.shape[start:end]
    if node.op in ("Cast", "Identity", "Squeeze", "Unsqueeze", "Reshape"):
        return sizes_of(first, depth)
    if node.op == "Concat":
        parts = [sizes_of(v, depth) for v in node.inputs]
        return None if any(p is None for p in parts) else tuple(d for p in parts if p is not None for d in p)
    if node.op == "Gather":
        table, indices = sizes_of(first, depth), sizes_of(node.inputs[1], depth)
        if table is None or indices is None or any(isinstance(i, str) for i in indices):
            return None
        return tuple(table[int(i)] for i in indices)
    if node.op == "Slice":
        table, numbers = sizes_of(first, depth), [_numbers(v, depth) for v in node.inputs[1:]]
        if table is None or any(n is None for n in numbers):
            return None
        start, end, _, step, *_ = [n[0] for n in numbers if n] + [0, 1][len(numbers) - 2 :]
        return table[start:end:step]
    if node.op in ("Mul", "Add", "Sub", "Div", "Mod"):
        a, b = sizes_of(first, depth), sizes_of(node.inputs[1], depth)
        if a is None or b is None:
            return None
        a, b = (a * len(b) if len(a) == 1 else a), (b * len(a) if len(b) == 1 else b)
        return tuple(_arithmetic(node.op, x, y) for x, y in zip(a, b, strict=True))
    return None


def _numbers(value: Value | None, depth: int = 12) -> tuple[int, ...] | None:
    """Return the entries of an integer vector or scalar where all of them are numbers."""
    sizes = sizes_of(value, depth)
    return None if sizes is None or any(isinstance(d, str) for d in sizes) else tuple(int(d) for d in sizes)


def _arithmetic(op: str, x: Dim, y: Dim) -> Dim:
    if isinstance(x, int) and isinstance(y, int):
        return _NUMBERS[op](x, y) if y or op not in ("Div", "Mod") else UNKNOWN
    if op == "Mod":
        return UNKNOWN
    neutral = 1 if op in ("Mul", "Div") else 0
    if y == neutral:
        return x
    if x == neutral and op in ("Mul", "Add"):
        return y
    return UNKNOWN


_NUMBERS: dict[str, Callable[[int, int], int]] = {
    "Mul": operator.mul,
    "Add": operator.add,
    "Sub": operator.sub,
    "Div": lambda x, y: abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1),  # integers are divided towards 0
    "Mod": operator.mod,
}


def reshape_dims(source: Shape, target: tuple[Dim, ...], allow_zero: bool = False) -> Shape:
    """Return the shape that Reshape gives, with names kept where they must be equal.

    Raises:
        ValueError: the element counts cannot be equal.
    """
    dims: list[Dim] = [
        (source[k] if k < len(source) else UNKNOWN) if d == 0 and not allow_zero else d for k, d in enumerate(target)
    ]
    names = [d for d in source if isinstance(d, str)]
    size = prod(d for d in source if isinstance(d, int))
    others = []  # what the target has in addition, be it a name that the source has once less
    for d in dims:
        if d in names and isinstance(d, str):
            names.remove(d)
        elif isinstance(d, str):
            others.append(d)
    known = prod(d for d in dims if isinstance(d, int) and d != -1)
    open_slots = [k for k, d in enumerate(dims) if d in (-1, UNKNOWN)]
    if len(open_slots) == 1 and not [d for d in others if d != UNKNOWN]:
        if not names and known and size % known == 0:
            dims[open_slots[0]] = size // known
        elif not names and known and size % known:
            raise ValueError(f"cannot reshape {source} into {target}: {size} is not a multiple of {known}")
        elif len(names) == 1 and size == known:
            dims[open_slots[0]] = names[0]
    elif not open_slots and not names and not others and size != known:
        raise ValueError(f"cannot reshape {source} ({size} elements) into {target} ({known} elements)")
    return tuple(UNKNOWN if d == -1 else d for d in dims)


def _merge(old: Shape, new: Shape) -> Shape:
    return tuple(b if a == UNKNOWN or isinstance(b, int) else a for a, b in zip(old, new, strict=True))


def refine(node: Node, types: list[TensorType]) -> list[TensorType]:
    """Return the inferred types with names that ONNX's inference dropped."""
    if not types or all(d != UNKNOWN for t in types for d in t.shape):
        return types
    shape = _REFINE[node.op](node, types[0]) if node.op in _REFINE and not node.domain else None
    if shape is None or len(shape) != types[0].rank:
        return types
    return [t.with_shape(_merge(t.shape, shape)) if t.rank == len(shape) else t for t in types]


def ranked(node: Node, types: list[TensorType]) -> list[TensorType]:
    """Return the inferred types, with a rank where the length of a target shape gives one.

    ONNX finds no rank where it does not know the target itself.
    """
    first = node.inputs[0] if node.inputs else None
    if node.op == "Split" and not node.domain and first is not None and not isinstance(first.type, OpaqueType):
        axis = int(node.attributes.get("axis", 0)) % first.ndim
        open_axis = first.type.with_shape(UNKNOWN if k == axis else d for k, d in enumerate(first.shape))
        return [open_axis if isinstance(t, OpaqueType) else t for t in types]
    target = node.inputs[0 if node.op == "ConstantOfShape" else 1] if node.op in _TARGETS and not node.domain else None
    if target is None or not isinstance(types[0], OpaqueType) or target.ndim != 1:
        return types
    source, length = node.inputs[0], target.shape[0]
    if source is None or isinstance(source.type, OpaqueType) or not isinstance(length, int):
        return types
    if node.op == "ConstantOfShape":
        return [TensorType(str(getattr(node.attributes.get("value"), "dtype", "float32")), (UNKNOWN,) * length)]
    rank = max(source.ndim, length) if node.op == "Expand" else length
    return [TensorType(source.dtype, (UNKNOWN,) * rank)]


_TARGETS = ("Reshape", "Expand", "ConstantOfShape")


def known_types(node: Node) -> list[TensorType] | None:
    """Return the output types of the few operators whose inference in ONNX is wrong or gives not even a rank."""
    source = node.inputs[0] if node.inputs else None
    if node.domain or source is None:
        return None
    if node.op == "STFT" and source.ndim == 3:
        return [source.type.with_shape(_stft_sizes(node, source.shape))]
    if node.op == "MaxUnpool" and len(node.inputs) > 2:
        sizes = sizes_of(node.inputs[2])
        fits = sizes is not None and len(sizes) == source.ndim
        return [source.type.with_shape(sizes if sizes is not None and fits else (UNKNOWN,) * source.ndim)]
    if node.op == "Attention" and len(node.outputs) > 1:
        return _attention_types(node)
    axes = node.inputs[1] if node.op.startswith("Reduce") and len(node.inputs) > 1 else None
    if axes is not None and axes.data is None:
        count = 0 if node.attributes.get("keepdims", 1) else axes.shape[0]
        return [source.type.with_shape((UNKNOWN,) * (source.ndim - count))] if isinstance(count, int) else None
    if node.op in _TABLES and source.data is None:
        return [TensorType(node.attributes.get("output_datatype", "float32"), (UNKNOWN,) * _TABLES[node.op])]
    return None


_TABLES = {"HannWindow": 1, "HammingWindow": 1, "BlackmanWindow": 1, "MelWeightMatrix": 2}
"""Operators that make a table of this rank of sizes."""


def _attention_types(node: Node) -> list[TensorType] | None:
    """The result, the keys and values with those of before, and the products; ONNX infers the first alone."""
    q, k, v, _, past, *_ = (*node.inputs, None, None, None)
    if q is None or k is None or v is None:
        return None
    batch, length, keys = q.shape[0], q.shape[-2], k.shape[-2]
    if q.ndim == 3:
        heads, groups = node.attributes["q_num_heads"], node.attributes["kv_num_heads"]
        sizes = [_divided(t.shape[2], groups) for t in (k, v)]
        first: Shape = (batch, length, _arithmetic("Mul", sizes[1], heads))
    else:
        heads, groups, sizes = q.shape[1], k.shape[1], [k.shape[3], v.shape[3]]
        first = (batch, heads, length, sizes[1])
    total = keys if past is None else _arithmetic("Add", past.shape[2], keys)
    kinds = [q, k, v, q]
    shapes: list[Shape] = [first, *((batch, groups, total, size) for size in sizes), (batch, heads, length, total)]
    return [kind.type.with_shape(shape) for kind, shape in zip(kinds, shapes, strict=True)]


def _divided(size: Dim, count: int) -> Dim:
    return size // count if isinstance(size, int) else UNKNOWN


def _stft_sizes(node: Node, signal: Shape) -> Shape:
    """Batch, frames, bins and the two parts; ONNX forgets that half of the spectrum is the default."""
    _, step, window, length = (*node.inputs, None, None)[:4]
    frame: Dim = signal[1] if window is None else window.shape[0]
    if length is not None:
        frame = int(length.data.reshape(())) if length.data is not None else UNKNOWN
    if not isinstance(frame, int):
        return signal[0], UNKNOWN, UNKNOWN, 2
    frames: Dim = UNKNOWN
    if isinstance(signal[1], int) and step is not None and step.data is not None:
        frames = (signal[1] - frame) // int(step.data.reshape(())) + 1
    return signal[0], frames, frame // 2 + 1 if node.attributes.get("onesided", 1) else frame, 2


def _shape_input(node: Node, slot: int) -> tuple[Dim, ...] | None:
    return sizes_of(node.inputs[slot]) if len(node.inputs) > slot else None


def _reshape(node: Node, type: TensorType) -> Shape | None:
    target = _shape_input(node, 1)
    source = node.inputs[0]
    if target is None or source is None:
        return None
    return reshape_dims(source.shape, target, bool(node.attributes.get("allowzero", 0)))


def _expand(node: Node, type: TensorType) -> Shape | None:
    target, source = _shape_input(node, 1), node.inputs[0]
    if target is None or source is None:
        return None
    return broadcast_shapes([source.shape, target])


def _constant_of_shape(node: Node, type: TensorType) -> Shape | None:
    return _shape_input(node, 0)


def _concat(node: Node, type: TensorType) -> Shape | None:
    axis = int(node.attributes["axis"]) % type.rank
    dims: list[Dim] = []
    for k in range(type.rank):
        column = [v.shape[k] for v in node.inputs if v is not None]
        sizes = [d for d in column if isinstance(d, int)]
        if k == axis:
            dims.append(sum(sizes) if len(sizes) == len(column) else column[0] if len(column) == 1 else UNKNOWN)
        else:
            dims.append(sizes[0] if sizes else column[0])
    return tuple(dims)


def _slice(node: Node, type: TensorType) -> Shape | None:
    source = node.inputs[0]
    numbers = [None if v is None else _numbers(v) for v in node.inputs[1:]]
    if source is None or any(v is not None and n is None for v, n in zip(node.inputs[1:], numbers, strict=True)):
        return None
    starts, ends, axes, steps = (*numbers, None, None)[:4]
    assert starts is not None and ends is not None
    axes = axes if axes is not None else tuple(range(len(starts)))
    steps = steps if steps is not None else (1,) * len(starts)
    dims = list(source.shape)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        whole = (step == 1 and start == 0 and end >= 2**31 - 1) or (
            step == -1 and (start == -1 or start >= 2**31 - 1) and end <= -(2**31)
        )
        if isinstance(dims[axis], str) and not whole:
            dims[axis] = UNKNOWN
        elif isinstance(dims[axis], int):
            dims[axis] = len(range(*slice(start, end, step).indices(int(dims[axis]))))
    return tuple(dims)


def _broadcast(node: Node, type: TensorType) -> Shape | None:
    return broadcast_shapes([v.shape for v in node.inputs if v is not None])


def _spatial(node: Node, type: TensorType) -> Shape | None:
    source = node.inputs[0]
    if source is None or node.op == "ConvTranspose":
        return None
    rank = source.ndim - 2
    get = node.attributes.get
    strides, pads = get("strides") or (1,) * rank, get("pads") or (0,) * (2 * rank)
    dilations = get("dilations") or (1,) * rank
    kernel: Any = get("kernel_shape")
    weights = node.inputs[1] if node.op == "Conv" else None
    kernel = kernel or (weights.shape[2:] if weights is not None else (0,) * rank)
    dims: list[Dim] = [type.shape[0] if type.shape[0] != UNKNOWN else source.shape[0], type.shape[1]]
    for k in range(rank):
        same = get("auto_pad", "NOTSET") in ("SAME_UPPER", "SAME_LOWER") or pads[k] + pads[rank + k] == dilations[k] * (
            int(kernel[k]) - 1
        )
        dims.append(source.shape[2 + k] if strides[k] == 1 and same else type.shape[2 + k])
    return tuple(dims)


def _pad(node: Node, type: TensorType) -> Shape | None:
    source, pads = node.inputs[0], _shape_input(node, 1)
    if source is None or pads is None or len(node.inputs) > 3:
        return None
    rank = source.ndim
    return tuple(d if pads[k] == 0 and pads[rank + k] == 0 else type.shape[k] for k, d in enumerate(source.shape))


def _tile(node: Node, type: TensorType) -> Shape | None:
    source, repeats = node.inputs[0], _shape_input(node, 1)
    if source is None or repeats is None:
        return None
    return tuple(_arithmetic("Mul", d, r) for d, r in zip(source.shape, repeats, strict=True))


def _range(node: Node, type: TensorType) -> Shape | None:
    start, limit, delta = (_shape_input(node, k) for k in range(3))
    if start is None or limit is None or delta is None or start[0] != 0 or delta[0] != 1:
        return None
    return (limit[0],) if limit[0] != -1 else None


def _resize(node: Node, type: TensorType) -> Shape | None:
    source, scales = node.inputs[0], node.inputs[2] if len(node.inputs) > 2 else None
    if source is None or scales is None or scales.data is None:
        return None
    axes = node.attributes.get("axes") or range(source.ndim)
    kept = {k: scales.data[i] == 1 for i, k in enumerate(axes)} if scales.data.size else {}
    return tuple(d if kept.get(k, bool(kept)) else type.shape[k] for k, d in enumerate(source.shape))


_REFINE = {
    "Reshape": _reshape,
    "Expand": _expand,
    "ConstantOfShape": _constant_of_shape,
    "Concat": _concat,
    "Slice": _slice,
    "Pad": _pad,
    "Resize": _resize,
    "Tile": _tile,
    "Range": _range,
    **dict.fromkeys(("Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool"), _spatial),
    **dict.fromkeys(
        (
            *("Add", "Sub", "Mul", "Div", "Pow", "Mod", "Max", "Min", "Mean", "Sum", "Where", "PRelu"),
            *("And", "Or", "Xor", "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"),
            *("BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitShift"),
        ),
        _broadcast,
    ),
}
