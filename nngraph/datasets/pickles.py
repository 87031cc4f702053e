"""Read the numpy arrays inside old pickles without running anything that a pickle can ask for.

Some public data sets are distributed as pickles: CIFAR as dicts of arrays, IMDB and Reuters as object arrays of lists
inside an .npz file. Loading a pickle normally calls whatever functions it names. Here the only names that are known are
those which describe a numpy array, and even these give inert records (shape, dtype, bytes), from which plain arrays are
built afterwards. Any other name is an error, so nothing from the file is ever executed.
"""

from __future__ import annotations

import math
import pickle
import re
from typing import IO, Any

import numpy as np

__all__ = ["read_pickle"]

_NUMBER = re.compile(r"[|<>=]?(b1|[iu][1248]|f[248])")
_OBJECT = re.compile(r"[|<>=]?O8?")


class _Type:
    """What a pickle says of a dtype."""

    def __init__(self, code: Any, *ignored: Any) -> None:
        self.code = code.decode("ascii") if isinstance(code, bytes) else str(code)
        self.order = ""

    def __setstate__(self, state: Any) -> None:
        order = state[1].decode("ascii") if isinstance(state[1], bytes) else state[1]
        self.order = order if order in ("<", ">") else ""

    def name(self) -> str:
        """Return the dtype's name with its byte order."""
        return self.order + self.code.lstrip("|<>=") if self.order else self.code


class _Array:
    """What a pickle says of an array."""

    shape: tuple[int, ...] = ()
    type: _Type | None = None
    is_fortran = False
    data: Any = b""

    def __setstate__(self, state: Any) -> None:
        _, shape, self.type, self.is_fortran, self.data = state
        self.shape = tuple(shape)

    def build(self) -> np.ndarray:
        """Return the array."""
        if not isinstance(self.type, _Type):
            raise pickle.UnpicklingError("an array without a dtype")
        size = math.prod(self.shape)
        if isinstance(self.data, list) and _OBJECT.fullmatch(self.type.code):
            array = np.empty(len(self.data), object)
            array[:] = [_plain(item) for item in self.data]
        elif isinstance(self.data, bytes) and _NUMBER.fullmatch(self.type.code):
            # frombuffer is read-only and borrows the bytes of the pickle.
            array = np.frombuffer(self.data, self.type.name()).copy()
        else:
            raise pickle.UnpicklingError(f"an array of dtype {self.type.code!r}")
        if array.size != size:
            raise pickle.UnpicklingError(f"an array of shape {self.shape} with {array.size} values")
        return array.reshape(self.shape, order="F" if self.is_fortran else "C")


class _Reconstruct:
    """Stands for numpy's function of that name. Without a ``__dict__``, a pickle cannot set attributes on it."""

    __slots__ = ()

    def __call__(self, *ignored: Any) -> _Array:
        return _Array()


class _Encode:
    """Stands for ``_codecs.encode``, the way in which Python 3 writes bytes in old pickle formats."""

    __slots__ = ()

    def __call__(self, text: Any, encoding: Any) -> bytes:
        if not isinstance(text, str) or encoding not in ("latin1", b"latin1"):
            raise pickle.UnpicklingError(f"bytes encoded as {encoding!r}")
        return text.encode("latin1")


_KNOWN = {
    ("numpy.core.multiarray", "_reconstruct"): _Reconstruct(),
    ("numpy._core.multiarray", "_reconstruct"): _Reconstruct(),
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _Encode(),
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no data set needs")
        return _KNOWN[module, name]


def read_pickle(file: IO[bytes], name: str) -> Any:
    """Return the plain values and numpy arrays of a pickle; keys of dicts become strings.

    Raises:
        ValueError: it holds anything else; ``name`` is in the message.
    """
    try:
        return _plain(_Reader(file, encoding="bytes").load())
    except (pickle.UnpicklingError, EOFError, AttributeError, TypeError, ValueError, KeyError, IndexError) as error:
        raise ValueError(f"{name} is not a data set that can be read: {error}.") from None


def _plain(value: Any) -> Any:
    if isinstance(value, _Array):
        return value.build()
    if isinstance(value, dict):
        return {key.decode() if isinstance(key, bytes) else key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        # Long lists of numbers need no look at each.
        return [_plain(item) for item in value] if value and not isinstance(value[0], int) else value
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return value
    raise pickle.UnpicklingError(f"a value of type {type(value).__name__}")
