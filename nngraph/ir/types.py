"""Types of graph values: a dtype name, a rank and dimensions that are numbers or names."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

__all__ = [
    "DTYPES",
    "FLOATS",
    "INTEGERS",
    "Dim",
    "OpaqueType",
    "Shape",
    "TensorType",
    "broadcast_shapes",
    "dims_compatible",
    "is_float",
    "is_integer",
    "numpy_dtype",
    "standardize_dtype",
]

Dim: TypeAlias = int | str
"""One dimension: a size, or the name of a size that is known only at run time (``"batch"``)."""

Shape: TypeAlias = tuple[Dim, ...]

FLOATS = ("float16", "bfloat16", "float32", "float64")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
NARROW = ("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu", "float4_e2m1fn")
NARROW_INTEGERS = ("int2", "uint2", "int4", "uint4")
DTYPES = (*FLOATS, *INTEGERS, *NARROW, *NARROW_INTEGERS, "bool", "complex64", "complex128", "string")

_ALIASES = {
    "float": "float32",
    "double": "float64",
    "half": "float16",
    "int": "int32",
    "object": "string",
    "str": "string",
}


def is_float(dtype: str) -> bool:
    """Tell whether ``dtype`` is one of the real floating types."""
    return dtype in FLOATS


def is_integer(dtype: str) -> bool:
    """Tell whether ``dtype`` is a signed or unsigned integer type (bool is neither)."""
    return dtype in INTEGERS


def numpy_dtype(dtype: str) -> np.dtype[Any]:
    """Return the numpy dtype of a dtype name; the narrow floats come from ml_dtypes."""
    if dtype == "string":
        return np.dtype(object)
    try:
        return np.dtype(dtype)
    except TypeError:
        import ml_dtypes

        return np.dtype(getattr(ml_dtypes, dtype))


def standardize_dtype(dtype: Any) -> str:
    """Return the canonical name of a dtype given as a name, a numpy dtype or a Python type.

    Raises:
        ValueError: the dtype has no ONNX counterpart.

    Example:
        >>> standardize_dtype(np.float32), standardize_dtype(int), standardize_dtype("half")
        ('float32', 'int32', 'float16')
    """
    if isinstance(dtype, str) and dtype in DTYPES:
        return dtype
    if dtype is bool:
        return "bool"
    name = getattr(dtype, "__name__", None) if isinstance(dtype, type) else getattr(dtype, "name", dtype)
    name = str(name).removeprefix("torch.")
    if name.startswith(("str", "<U")):
        return "string"
    name = _ALIASES.get(name, name)
    if name not in DTYPES:
        raise ValueError(f"dtype {dtype!r} is not supported; use one of {', '.join(DTYPES)}")
    return name


_name_of = functools.cache(standardize_dtype)  # numpy composes a dtype's name anew each time


@dataclass(frozen=True, slots=True)
class TensorType:
    """The type of a value: dtype name and shape.

    ``shape`` holds an ``int`` for a known size and a ``str`` for a size known only by name; two equal names are equal
    sizes. What has no dtype and rank is an :class:`OpaqueType`.
    """

    dtype: str
    shape: Shape

    @property
    def rank(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def is_static(self) -> bool:
        """Whether every dimension is a number."""
        return all(isinstance(d, int) for d in self.shape)

    @property
    def size(self) -> int | None:
        """Number of elements, or ``None`` when a dimension is not a number."""
        total = 1
        for dim in self.shape:
            if not isinstance(dim, int):
                return None
            total *= dim
        return total

    def with_dtype(self, dtype: str) -> TensorType:
        """Return the same shape with another dtype."""
        return TensorType(dtype, self.shape)

    def with_shape(self, shape: Iterable[Dim]) -> TensorType:
        """Return the same dtype with another shape."""
        return TensorType(self.dtype, tuple(shape))

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"

    @classmethod
    def of(cls, array: np.ndarray[Any, Any]) -> TensorType:
        """Return the type of an array."""
        return cls(_name_of(array.dtype), array.shape)


@dataclass(frozen=True, slots=True)
class OpaqueType(TensorType):
    """The type of what is no tensor of known rank: a sequence, an optional, a map, the result of a foreign operator.

    Only imported models have such values. Passes leave them alone, and they have no gradient.

    Attributes:
        text: what people read, such as ``"seq(tensor(float))"``.
        encoded: the type as ONNX stores it; empty when nothing is known.
    """

    text: str = "unknown"
    encoded: bytes = b""

    @classmethod
    def named(cls, text: str = "unknown", encoded: bytes = b"") -> OpaqueType:
        """Return the opaque type with this text."""
        return cls("opaque", (), text, encoded)

    @property
    def is_static(self) -> bool:
        """Always false: nothing is known of its size."""
        return False

    @property
    def size(self) -> int | None:
        """Always ``None``: nothing is known of its size."""
        return None

    def with_dtype(self, dtype: str) -> TensorType:
        """Return the type as it is."""
        return self

    def with_shape(self, shape: Iterable[Dim]) -> TensorType:
        """Return the type as it is."""
        return self

    def __str__(self) -> str:
        return self.text


def dims_compatible(a: Dim, b: Dim) -> bool:
    """Tell whether two dimensions may be equal: names can stand for any size."""
    return isinstance(a, str) or isinstance(b, str) or a == b


def broadcast_shapes(shapes: Sequence[Shape]) -> Shape:
    """Return numpy's broadcast of several shapes, keeping names.

    Sizes of different names can meet too, when one of them is 1 at run time. Which one is not known, so the result has
    a name of its own, the same for the same names.

    Raises:
        ValueError: two sizes differ and neither is 1.

    Example:
        >>> broadcast_shapes([("batch", 1), (3,)]), broadcast_shapes([("b", 2), ("a", 2)])
        (('batch', 3), ('a|b', 2))
    """
    if shapes and all(s == shapes[0] for s in shapes):
        return shapes[0]
    rank = max((len(s) for s in shapes), default=0)
    result: list[Dim] = []
    for axis in range(-rank, 0):
        dims = [s[axis] for s in shapes if len(s) >= -axis]
        sizes = {d for d in dims if isinstance(d, int) and d != 1}
        names = [d for d in dims if isinstance(d, str)]
        if len(sizes) > 1:
            raise ValueError(
                f"shapes {' and '.join(map(str, shapes))} do not broadcast: sizes {sorted(sizes)} on axis {axis}"
            )
        if sizes:
            result.append(sizes.pop())
        elif names:
            result.append(_either(names))
        else:
            result.append(dims[0])
    return tuple(result)


_MANY = 4
"""Of how many names a name may be made; beyond that a size is simply unknown."""


def _either(names: Sequence[str]) -> str:
    parts = sorted({part for name in names for part in name.split("|")})
    return "?" if "?" in parts or len(parts) > _MANY else "|".join(parts)
