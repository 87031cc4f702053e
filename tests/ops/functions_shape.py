"""Cases of shapes, indexing and new tensors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from function_case import C, Case, of, truth, whole

X, V, M, R = of(2, 3, 4), of(5), of(3, 4), of(1, 3)
PAIR = [of(2, 3), of(2, 3)]
HOLDS = truth(3)
DATA = "the shape of the result depends on data or sizes"
UNNAMED = "it needs to know the sizes"
_ = slice(None)


def known(case: Case, why: str = UNNAMED) -> Case:
    return replace(case, named=False, why=why)


def item(x: np.ndarray, *key: Any) -> Case:
    """x[key], without the tuple for a single index."""
    return Case("get_item", (x, key if len(key) != 1 else key[0]), {}, expect=lambda a, k: a[k])


def block(x: np.ndarray, starts: Any, shape: Any) -> np.ndarray:
    return x[tuple(slice(int(a), int(a) + n) for a, n in zip(starts, shape, strict=True))]


def updated(x: np.ndarray, starts: Any, new: np.ndarray) -> np.ndarray:
    result = x.copy()
    result[tuple(slice(int(a), int(a) + n) for a, n in zip(starts, new.shape, strict=True))] = new
    return result


def scattered(indices: np.ndarray, values: np.ndarray, shape: Any) -> np.ndarray:
    result = np.zeros(shape, values.dtype)
    np.add.at(result, tuple(indices.T), values)
    return result


def scatter_updated(x: np.ndarray, indices: np.ndarray, new: np.ndarray, reduction: str | None = None) -> np.ndarray:
    at = {None: None, "add": np.add, "max": np.maximum, "min": np.minimum, "mul": np.multiply}[reduction]
    result = x.copy()
    if at is None:
        result[tuple(indices.T)] = new
    else:
        at.at(result, tuple(indices.T), new)
    return result


def segments(ufunc: Any, start: float) -> Any:
    def expect(data: np.ndarray, ids: np.ndarray, num_segments: int) -> np.ndarray:
        result = np.full((num_segments, *data.shape[1:]), start, data.dtype)
        for row, k in zip(data, ids, strict=True):
            if 0 <= k < num_segments:
                result[k] = ufunc(result[k], row)
        return result

    return expect


IDS = np.int32([0, 2, -1, 0, 7])
ROWS = of(5, 2)
PLACES = np.int32([[0, 1], [2, 3], [0, 1]])
BACK = slice(None, None, -1)

INDEXING = [
    item(X, 0),
    item(X, -1, ..., 1),
    item(X, _, 1, BACK),
    item(X, _, slice(2, 0, -1), slice(-3, None, 2)),
    item(X, _, None, 0, None),
    item(X, ...),
    item(X, None),
    item(X, _, np.array([2, 0, -1])),
    item(X, _, [1, 1]),
    item(X, _, np.array([[0, 1], [2, 2]])),
    item(X, 1, _, np.array([0, 3])),
    item(X, _, np.array([0, 1]), np.array([[3], [2]])),
    item(X, np.array([0, 1, 1]), _, np.array([3, 2, 0])),
    item(X, _, 2, np.array([3, 2, 0])),
    item(X, _, None, np.array([0, 2]), slice(1, 3)),
    replace(item(X, _, HOLDS), fixed=(2,)),
    item(X, _, slice(1, 100)),
    item(X, _, slice(5, None)),
    item(M, np.int32(1)),
    known(item(V, slice(np.int32(1), np.int32(4))), "the ends are tensors: the length is not known"),
]

CASES = [
    C("reshape", X, (4, 6)),
    C("reshape", X, (-1, 2)),
    known(C("reshape", X, -1), "one size is not a batch"),
    C("reshape", np.float32(3), (1, 1)),
    C("reshape", of(0, 3), (3, 0)),
    C("ravel", X),
    C("transpose", X),
    C("transpose", X, (0, 2, 1)),
    C("transpose", X, axes=(-1, 0, 1)),
    C("swapaxes", X, 0, -1),
    C("moveaxis", X, 0, -1),
    C("moveaxis", X, (0, 1), (1, 2)),
    C("expand_dims", X, 1),
    C("expand_dims", X, (0, -1)),
    C("squeeze", R),
    C("squeeze", of(2, 1, 3, 1), (1, -1)),
    C("concatenate", PAIR),
    C("concatenate", [of(2, 1), of(2, 3), whole(2, 2)], axis=-1),
    C("stack", PAIR),
    C("stack", PAIR, axis=-1),
    C("hstack", PAIR),
    C("hstack", [V, V]),
    C("vstack", PAIR),
    C("vstack", [V, V]),
    C("dstack", PAIR),
    C("dstack", [V, V]),
    C("append", V, X),
    C("append", X, X, axis=1),
    C("split", X, 2, axis=2),
    C("split", X, [1, 2], axis=1),
    C("split", V, [1, -1]),
    C("hsplit", X, 3),
    C("vsplit", X, 2),
    C("dsplit", X, [1]),
    known(C("array_split", V, 3)),
    C("array_split", X, 2, axis=1),
    Case("unstack", (X,), {"axis": 1}, expect=lambda x, axis: list(np.moveaxis(x, axis, 0))),
    Case("unstack", (X, 4, -1), {}, expect=lambda x, n, axis: list(np.moveaxis(x, axis, 0))),
    C("broadcast_to", R, (2, 3)),
    C("broadcast_to", np.float32(2), (2, 1)),
    C("tile", M, (2, 3)),
    C("tile", V, 2),
    C("tile", V, (2, 1, 3)),
    C("tile", X, (2,)),
    C("repeat", M, 2),
    C("repeat", M, 2, axis=1),
    C("repeat", M, 3, axis=0),
    replace(C("repeat", M, np.array([1, 0, 2, 1]), axis=1), fixed=(1,)),
    C("flip", X),
    C("flip", X, 1),
    C("flip", X, (0, -1)),
    C("fliplr", X),
    C("flipud", X),
    C("roll", X, 5),
    C("roll", X, 1, axis=0),
    C("roll", X, (1, -1), axis=(1, 2)),
    C("roll", X, 2, axis=(0, 1)),
    *(C("rot90", M, k) for k in range(-1, 4)),
    C("rot90", X, axes=(1, 2)),
    C("pad", M, 1),
    C("pad", M, ((1, 0), (0, 2)), constant_values=2.5),
    C("pad", whole(2, 2), (1, 2)),
    C("pad", truth(2, 2), ((0, 1), (0, 0))),
    C("pad", M, ((1, 2), (3, 0)), mode="reflect"),
    C("pad", M, ((1, 2), (3, 0)), mode="symmetric"),
    C("pad", M, ((0, 2), (3, 0)), mode="edge"),
    C("pad", M, ((0, 2), (3, 0)), mode="wrap"),
    Case("ndim", (X,), {}, traced=False, why="a plain number"),
    known(C("size", X), "an int32 scalar then"),
    *INDEXING,
    Case("slice", (M, (1, 1), (2, 3)), {}, expect=block),
    known(Case("slice", (M, np.int32([1, 0]), (2, 3)), {}, expect=block), "starts are a tensor of two"),
    Case("slice_update", (M, (1, 2), of(2, 2)), {}, expect=updated),
    known(Case("slice_update", (M, np.int32([1, 0]), of(1, 4)), {}, expect=updated), "starts are a tensor of two"),
    known(Case("slice_update", (M, (0, 0), of(3, 4)), {}, expect=updated), "the block has the tensor's size"),
    C("take", X, np.array([1, -1, 0]), axis=1),
    C("take", X, np.array([[7, 0]])),
    C("take", M, 2, axis=-1),
    C("take_along_axis", M, np.array([[0, -1], [2, 2], [3, 0]]), axis=1),
    C("take_along_axis", M, np.array([[2, 0, 1, 1]]), axis=0),
    C("take_along_axis", V, np.array([4, 0])),
    Case("take_along_axis", (V, np.array([3])), {"axis": None}),
    Case("scatter", (PLACES, of(3), (3, 4)), {}, expect=scattered),
    *(
        Case("scatter_update", (M, PLACES[:2], of(2)), {"reduction": r}, expect=scatter_updated)
        for r in (None, "add", "max", "min", "mul")
    ),
    Case("segment_sum", (ROWS, IDS), {"num_segments": 3}, expect=segments(np.add, 0)),
    Case("segment_prod", (ROWS, IDS), {"num_segments": 3}, expect=segments(np.multiply, 1)),
    Case("segment_max", (ROWS, IDS), {"num_segments": 3}, expect=segments(np.maximum, -np.inf)),
    Case("segment_min", (ROWS, IDS), {"num_segments": 4}, expect=segments(np.minimum, np.inf)),
    Case("rearrange", (X, "b h w -> (b h) w"), {}, expect=lambda x, p: x.reshape(6, 4)),
    Case(
        "rearrange",
        (X, "b h (w c) -> b c w h"),
        {"c": 2},
        expect=lambda x, p, c: np.moveaxis(x.reshape(2, 3, 2, 2), 1, 3).swapaxes(1, 2),
    ),
    Case("rearrange", (X, "... w -> w ... 1"), {}, expect=lambda x, p: np.moveaxis(x, -1, 0)[..., None]),
    C("zeros", (2, 3)),
    C("ones", (2,), dtype="int32"),
    Case("empty", ((2, 3),), {}, expect=np.zeros),
    C("full", (2, 3), 2.5),
    C("full", (2, 3), of(3)),
    C("zeros_like", X),
    C("ones_like", whole(2, 3)),
    C("full_like", X, 3, dtype="int32"),
    Case("empty_like", (X,), {}, expect=np.zeros_like),
    C("array", [[1, 2], [3, 4]]),
    C("copy", X),
    C("arange", 5),
    C("arange", 1, 6, 2),
    C("arange", 0.0, 1.0, 0.25),
    C("arange", 3, -1, -1),
    C("linspace", 0, 1, 5),
    C("linspace", 0.0, 10.0, 4, endpoint=False, retstep=True),
    C("linspace", of(2), of(2), 3, axis=-1),
    C("linspace", np.float32(1), of(2, 3), 3, axis=1),
    C("linspace", 0, 10, 4, dtype="int32"),
    C("logspace", 0, 2, 3),
    C("logspace", 0, 2, 3, base=2.0),
    replace(C("geomspace", 1, 1000, 4), rtol=1e-5),
    replace(C("geomspace", -1.0, -8.0, 4), rtol=1e-5),
    C("eye", 3),
    C("eye", 2, 4, 1),
    C("identity", 3, dtype="int32"),
    C("tri", 3, 4, -1),
    C("tril", X),
    C("tril", M, 1),
    C("triu", M, -1),
    known(C("diag", V)),
    known(C("diag", V, 2)),
    known(C("diag", V, -1)),
    known(C("diag", M, 1)),
    known(C("diagflat", M)),
    known(C("diagonal", M)),
    C("diagonal", X, -1, 1, 2),
    known(C("diagonal", X, 1, axis1=0, axis2=2)),
    C("meshgrid", V, of(3)),
    C("meshgrid", V, of(3), of(2), indexing="ij"),
    C("meshgrid", V, of(3), of(2)),
    *(C(n, 7) for n in ("bartlett", "blackman", "hamming", "hanning")),
    C("kaiser", 6, 3.5),
    C("select", [truth(2, 3), truth(2, 3)], PAIR),
    C("select", [truth(2, 3)], [whole(2, 3)], 7),
    C("unravel_index", whole(4, low=0, high=24), (2, 3, 4)),
    known(C("nonzero", X * (X > 0)), DATA),
    C("isin", whole(2, 3), whole(4)),
    C("isin", whole(2, 3), whole(4), invert=True),
    C("unique", whole(8)),
    C("unique", of(6), return_index=True, return_inverse=True, return_counts=True),
    C("unique", np.int32([[1, 2], [1, 2], [0, 2]]), axis=0),
    Case("unique", (np.int32([3, 1, 1, 2]),), {"size": 5}, expect=lambda x, size: np.int32([1, 2, 3, 1, 1])),
    Case(
        "unique",
        (np.int32([3, 1, 1, 2]),),
        {"size": 2, "return_counts": True},
        expect=lambda x, size, return_counts: (np.int32([1, 2]), np.int32([2, 1])),
    ),
    Case(
        "one_hot",
        (whole(2, 3, low=-1, high=4), 3),
        {},
        expect=lambda x, n: (x[..., None] == np.arange(n)) * np.float32(1),
    ),
    Case(
        "one_hot",
        (whole(4, low=0, high=3), 3),
        {"axis": 0, "dtype": "int32"},
        expect=lambda x, n, axis, dtype: (x == np.arange(n)[:, None]).astype(dtype),
    ),
]
