"""From what people hand to ``fit`` to plain numpy arrays, with an error for each thing that cannot become one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from nngraph import config, tree
from nngraph.ir.types import numpy_dtype

__all__ = [
    "as_array",
    "check_lengths",
    "holds_arrays",
    "is_array_like",
    "label",
    "slice_rows",
    "to_arrays",
    "train_validation_split",
]


def is_array_like(x: Any) -> bool:
    """Return whether ``x`` is one array: numpy, pandas, a tensor of another framework, anything with ``__array__``.

    >>> is_array_like(np.ones(3)), is_array_like([1, 2]), is_array_like("text")
    (True, False, False)
    """
    return hasattr(x, "__array__") or (hasattr(x, "to_numpy") and hasattr(x, "shape"))


def holds_arrays(structure: Any) -> bool:
    """Return whether ``structure`` is an array or nests arrays only, so that it can be held in memory and indexed."""
    leaves = [leaf for leaf in tree.flatten(structure) if leaf is not None]
    return bool(leaves) and all(is_array_like(leaf) for leaf in leaves)


def label(name: str, path: tuple[Any, ...]) -> str:
    """Return how a message calls the leaf at ``path`` of the argument ``name``.

    >>> label("x", ("image", 0))
    "x['image'][0]"
    """
    return name + "".join(f"[{key!r}]" for key in path)


def as_array(x: Any, name: str, float_dtype: str | None = None, *, series_as_column: bool = True) -> np.ndarray:
    """Return ``x`` as a numeric numpy array, floats cast to ``float_dtype`` (None: ``config.floatx()``).

    A pandas Series becomes a column of shape (n, 1), as in Keras; integers and booleans keep their dtype.

    Raises:
        ValueError: ``x`` holds strings, dates, complex numbers or Python objects (ragged rows).
        TypeError: ``x`` is no array.

    >>> as_array(np.arange(3.0), "x").dtype
    dtype('float32')
    """
    if not is_array_like(x):
        raise TypeError(_not_an_array(x, name))
    wanted = numpy_dtype(float_dtype or config.floatx())
    array = _numpy_of(x, name, wanted)
    if hasattr(x, "to_numpy") and array.ndim == 1 and series_as_column:
        array = array[:, None]
    kind = array.dtype.kind
    if kind == "O":
        raise ValueError(_object_message(array, name))
    if kind in "US":
        raise ValueError(f"{name} holds strings (dtype {array.dtype}). Turn them into numbers first.")
    if kind in "Mm":
        raise ValueError(f"{name} holds dates or durations (dtype {array.dtype}). Turn them into numbers first.")
    if kind == "c":
        raise ValueError(f"{name} holds complex numbers. Pass real and imaginary parts as separate features.")
    is_float = kind == "f" or array.dtype.name == "bfloat16"
    return array.astype(wanted) if is_float and array.dtype != wanted else array


def to_arrays(structure: Any, name: str, float_dtype: str | None = None, *, series_as_column: bool = True) -> Any:
    """Return ``structure`` with every leaf made an array by ``as_array``; None stays None."""
    _refuse_lists_of_numbers(structure, name)
    flat = [
        None if leaf is None else as_array(leaf, label(name, path), float_dtype, series_as_column=series_as_column)
        for path, leaf in tree.flatten_with_path(structure)
    ]
    return tree.pack_sequence_as(structure, flat)


def check_lengths(**structures: Any) -> int:
    """Return the common number of rows of all arrays, or raise ValueError naming each array and its length.

    >>> check_lengths(x=np.ones((3, 4)), y=np.ones(2))
    Traceback (most recent call last):
        ...
    ValueError: All arrays need the same number of rows. Received: x has 3, y has 2.
    """
    named = [
        (label(name, path), leaf)
        for name, structure in structures.items()
        for path, leaf in tree.flatten_with_path(structure)
        if leaf is not None
    ]
    if not named:
        raise ValueError("There are no data: not a single array was given.")
    for name, array in named:
        if array.ndim == 0:
            raise ValueError(f"{name} is a single number. Give an array whose first axis counts the rows.")
    counts = {len(array) for _, array in named}
    if len(counts) > 1:
        listed = ", ".join(f"{name} has {len(array)}" for name, array in named)
        raise ValueError(f"All arrays need the same number of rows. Received: {listed}.{_transpose_hint(named)}")
    if counts == {0}:
        raise ValueError(f"The data are empty: {named[0][0]} has shape {named[0][1].shape}. Give at least one row.")
    return counts.pop()


def slice_rows(structure: Any, start: int, stop: int) -> Any:
    """Return views of rows ``start`` to ``stop`` of every array; None stays None."""
    return tree.map_structure(lambda array: array[start:stop], structure, none_is_leaf=False)


def train_validation_split(arrays: Any, validation_split: float) -> tuple[Any, Any]:
    """Split off the last fraction of the rows, as ``fit(validation_split=...)`` does; nothing is shuffled.

    Args:
        arrays: arrays, nested in any way (such as ``(x, y, sample_weight)``); None stays None.
        validation_split: the fraction for validation, strictly between 0 and 1.

    Returns:
        ``(train, validation)``, both nested like ``arrays``.

    Raises:
        ValueError: the fraction is out of range, a part would be empty, or the data are not arrays.

    >>> train, validation = train_validation_split((np.arange(10), None), 0.2)
    >>> len(train[0]), validation
    (8, (array([8, 9]), None))
    """
    if not 0 < validation_split < 1:
        raise ValueError(f"validation_split must be between 0 and 1. Received: {validation_split}")
    if not holds_arrays(arrays):
        kinds = sorted({type(leaf).__name__ for leaf in tree.flatten(arrays) if leaf is not None})
        raise ValueError(
            f"validation_split works with arrays only. Received: {', '.join(kinds)}. "
            "Give the validation part as validation_data instead."
        )
    arrays = to_arrays(arrays, "data")
    count = check_lengths(data=arrays)
    split_at = int(np.floor(count * (1.0 - validation_split)))
    if split_at == 0 or split_at == count:
        raise ValueError(
            f"validation_split={validation_split} of {count} rows leaves {split_at} for training and "
            f"{count - split_at} for validation. Give more data or another fraction."
        )
    return slice_rows(arrays, 0, split_at), slice_rows(arrays, split_at, count)


def _refuse_lists_of_numbers(structure: Any, name: str) -> None:
    """Speak of the list as a whole, which is what has to change, and not of the number deep inside it."""
    is_list = isinstance(structure, (list, tuple))
    if is_list and any(isinstance(leaf, (int, float, str)) for leaf in tree.flatten(structure)):
        raise TypeError(_not_an_array(structure, name))


def _not_an_array(x: Any, name: str) -> str:
    if isinstance(x, (list, tuple)) and any(isinstance(row, (list, tuple)) for row in x):
        if len({len(row) if isinstance(row, (list, tuple)) else -1 for row in x}) > 1:
            return f"{name} is a list of rows of different lengths. Make it an array with nngraph.utils.pad_sequences."
        return f"{name} is a Python list. Make it an array: numpy.asarray({name})."
    if isinstance(x, (list, tuple)):
        return f"{name} is a Python {type(x).__name__} of values. Make it an array: numpy.asarray({name})."
    return f"{name} must be an array or a nest of arrays. Received: {x!r} of type {type(x).__name__}."


def _numpy_of(x: Any, name: str, float_dtype: np.dtype[Any]) -> np.ndarray:
    if isinstance(x, np.ndarray):
        return x
    if hasattr(x, "to_numpy"):
        return _numpy_of_frame(x, name, float_dtype)
    if hasattr(x, "detach"):
        # A tensor that tracks gradients or lives on a device refuses __array__ until it is detached and fetched.
        x = x.detach()
        x = x.cpu() if hasattr(x, "cpu") else x
    return np.asarray(x)


def _numpy_of_frame(x: Any, name: str, float_dtype: np.dtype[Any]) -> np.ndarray:
    """Return a pandas (or alike) object as an array; columns of mixed numeric dtypes meet in the float dtype."""
    array = x.to_numpy()
    if array.dtype.kind == "O":
        kinds = _column_kinds(x)
        strangers = [column for column, kind in kinds if kind not in "biuf"]
        if strangers:
            raise ValueError(
                f"{name} has columns that are not numbers: {', '.join(strangers)}. Encode or drop them first."
            )
        array = x.to_numpy(dtype=float_dtype, na_value=np.nan)
    return array


def _column_kinds(x: Any) -> list[tuple[str, str]]:
    dtypes: Any = getattr(x, "dtypes", None)
    columns = dtypes.items() if hasattr(dtypes, "items") else [(getattr(x, "name", None), x.dtype)]
    return [(repr(column), getattr(dtype, "kind", "O")) for column, dtype in columns]


def _object_message(array: np.ndarray, name: str) -> str:
    first: Any = array.flat[0] if array.size else None
    if isinstance(first, str):
        return f"{name} holds strings (dtype object). Turn them into numbers first."
    if isinstance(first, Iterable):
        return (
            f"{name} holds rows of different lengths (dtype object). "
            "Make them equally long with nngraph.utils.pad_sequences."
        )
    return f"{name} holds Python objects of type {type(first).__name__} (dtype object). Use {name}.astype('float32')."


def _transpose_hint(named: list[tuple[str, np.ndarray]]) -> str:
    """Point out an array that has the wanted number of rows on its second axis."""
    for name, array in named:
        others = {len(other) for other_name, other in named if other_name != name}
        if array.ndim == 2 and len(others) == 1 and array.shape[1] in others:
            return f" {name} has shape {array.shape}, with the rows on its second axis: did you mean {name}.T?"
    return ""
