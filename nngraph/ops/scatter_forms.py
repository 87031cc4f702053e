"""Scattering with a reduction, written so that no place is written twice by one operator.

The CPU provider shares the updates of ScatterND among its threads, and where two of them add to one place, one sum is
lost: the gradient of an embedding misses rows as soon as a batch holds a token twice. ScatterElements works on one
thread, but takes ten times as long. So duplicates are joined first, by it, and the rest is scattered.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from nngraph.ir import Node, Value
from nngraph.ops.axes import ints, rank
from nngraph.ops.trace import set_expansion
from nngraph.ops.vjp import raw
from nngraph.registry import OpDef, op_def

__all__: list[str] = []

_JOIN = {"add": raw.Add, "mul": raw.Mul, "max": raw.Max, "min": raw.Min}


def _sizes(x: Any, start: int, end: int) -> Any:
    """The sizes of some axes as a vector, a constant where they are known."""
    known = x.shape[start:end]
    return ints(*known) if all(isinstance(d, int) for d in known) else raw.Shape(x, start=start, end=end)


def _product(sizes: Any) -> Any:
    """The product of a vector of sizes, as a vector of one number."""
    return ints(prod(sizes.tolist())) if isinstance(sizes, np.ndarray) else raw.ReduceProd(sizes, ints(0), keepdims=1)


def _joined(*vectors: Any) -> Any:
    if all(isinstance(v, np.ndarray) for v in vectors):
        return np.concatenate(vectors)
    return raw.Concat(*vectors, axis=0)


def _row_numbers(data: Any, indices: Any, count: Any) -> Any:
    """The place of each index tuple among all rows, counted from 0 or, if negative, from the end."""
    depth = int(indices.shape[-1])
    if depth == 1:
        return raw.Reshape(indices, count)
    strides = _joined(*(_product(_sizes(data, k + 1, depth)) for k in range(depth)))
    tuples = raw.Mod(indices, _sizes(data, 0, depth))
    return raw.Reshape(raw.ReduceSum(raw.Mul(tuples, strides), ints(-1), keepdims=0), count)


def _scatter_nd(data: Any, indices: Any, updates: Any, *, reduction: str) -> Any:
    """Join the updates of each place at the last of them, then combine what is there with the rows of these."""
    depth, last = int(indices.shape[-1]), rank(data)
    size, rest = _product(_sizes(data, 0, depth)), _sizes(data, depth, last)
    count = _product(_sizes(indices, 0, rank(indices) - 1))
    rows = raw.Reshape(updates, _joined(count, rest))
    numbers = _row_numbers(data, indices, count)
    places = raw.Range(np.int64(0), raw.Squeeze(count, ints(0)), np.int64(1))
    nowhere = raw.Expand(np.int64(0), size)
    lasts = raw.Gather(raw.ScatterElements(nowhere, numbers, places, axis=0), numbers, axis=0)
    is_last = raw.Equal(lasts, places)
    is_other = raw.Not(is_last)
    others, into = raw.Compress(rows, is_other, axis=0), raw.Compress(lasts, is_other, axis=0)
    if last > depth:
        into = raw.Expand(raw.Unsqueeze(into, ints(*range(1, last - depth + 1))), raw.Shape(others))
    whole = raw.ScatterElements(rows, into, others, axis=0, reduction=reduction)
    kept = raw.Compress(whole, is_last, axis=0)
    where = raw.Unsqueeze(raw.Compress(numbers, is_last, axis=0), ints(-1))
    table = data if depth == 1 else raw.Reshape(data, _joined(size, rest))
    if not (reduction == "add" and _is_zero(data)):
        kept = _JOIN[reduction](raw.GatherND(table, where), kept)
    result = raw.ScatterND(table, where, kept)
    return result if depth == 1 else raw.Reshape(result, _sizes(data, 0, last))


def _is_zero(data: Any) -> bool:
    made = data.producer if isinstance(data, Value) else None
    if made is not None and made.op_id == "ConstantOfShape":
        return not np.any(made.attributes.get("value", 0))
    stored = data.data if isinstance(data, Value) else None
    return stored is not None and not stored.any()


def _shares_places(node: Node) -> bool:
    """Whether a ScatterND may combine two updates in one place."""
    data, indices = node.inputs[:2]
    if node.attributes.get("reduction", "none") == "none" or data is None or indices is None:
        return False
    if not isinstance(indices.shape[-1], int):
        return False
    if all(d == 1 for d in indices.shape[:-1]):
        return False
    if indices.data is None:
        return True
    sizes = [d if isinstance(d, int) else 0 for d in data.shape[: indices.shape[-1]]]
    tuples = indices.data.reshape(-1, indices.shape[-1])
    if not all(sizes) and (tuples < 0).any():
        return True
    if all(sizes):
        tuples = tuples % np.array(sizes)
    return len(np.unique(tuples, axis=0)) < len(tuples)


_form = OpDef("ScatterND")
set_expansion(_form, _scatter_nd)


def _safe_form(node: Node) -> Callable[[Node], None] | None:
    return _form.expand_node if _shares_places(node) else None


op_def("ScatterND").safe_form = _safe_form
