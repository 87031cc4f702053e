"""What every initializer is, and the small questions they share."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np

from nngraph import config
from nngraph.ir.types import is_float, numpy_dtype, standardize_dtype

__all__ = ["Array", "Initializer", "checked_shape", "compute_fans", "float_dtype", "resolve_dtype"]

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


class Initializer:
    """Base of initializers: callables `(shape, dtype=None)` that return the first values of a variable.

    A subclass defines `__call__` and, when its constructor takes arguments, `get_config`.

    >>> class Sevens(Initializer):
    ...     def __call__(self, shape, dtype=None):
    ...         return np.full(shape, 7, dtype or "float32")
    >>> Sevens()((2,))
    array([7., 7.], dtype=float32)
    """

    def __call__(self, shape: Iterable[int] | int, dtype: Any = None) -> Array:
        """Return an array of the given shape; `dtype=None` means `nngraph.config.floatx()`."""
        raise NotImplementedError(f"Initializer {type(self).__name__} must define __call__(self, shape, dtype=None).")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, of which `from_config` builds an equal initializer."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Initializer:
        """Build the initializer that `get_config` described."""
        return cls(**config)

    def clone(self) -> Initializer:
        """Return a new initializer with the same configuration; without a seed it draws a new one."""
        return type(self).from_config(self.get_config())


def checked_shape(shape: Iterable[int] | int) -> tuple[int, ...]:
    """Return a shape as a tuple of sizes.

    Raises ValueError when a dimension is not a known, non-negative size.
    """
    dims = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    if not all(isinstance(dim, int | np.integer) and dim >= 0 for dim in dims):
        raise ValueError(f"An initializer needs a shape of known sizes >= 0. Received: shape={dims}")
    return tuple(int(dim) for dim in dims)


def resolve_dtype(dtype: Any) -> np.dtype[Any]:
    """Return the numpy dtype of an initializer's `dtype` argument."""
    return numpy_dtype(config.floatx() if dtype is None else standardize_dtype(dtype))


def float_dtype(dtype: Any, owner: object) -> np.dtype[Any]:
    """Return the numpy dtype of `dtype`, which random initializers want to be a floating one.

    Raises ValueError, naming the initializer, for any other dtype.
    """
    name = config.floatx() if dtype is None else standardize_dtype(dtype)
    if not is_float(name):
        raise ValueError(
            f"{type(owner).__name__} draws floating-point numbers. Received: dtype={dtype!r}. "
            "Use dtype='float32', or an initializer such as Zeros for other dtypes."
        )
    return numpy_dtype(name)


def compute_fans(
    shape: tuple[int, ...],
    input_axes: Iterable[int] | None = None,
    output_axes: Iterable[int] | None = None,
) -> tuple[int, int]:
    """Return `(fan_in, fan_out)`: how many inputs one output has, and how many outputs one input reaches.

    A matrix is `(inputs, outputs)`; a convolution kernel is `(*window, inputs, outputs)`, where the window multiplies
    both. A kernel with another layout says which axes are inputs and which are outputs; one of the two does not count.

    >>> compute_fans((3, 3, 16, 32))
    (144, 288)
    >>> compute_fans((16, 4, 8), input_axes=[0], output_axes=[1, 2])
    (16, 32)
    """
    if input_axes is not None and output_axes is not None:
        return _size(shape, input_axes, "input_axes"), _size(shape, output_axes, "output_axes")
    if not shape:
        return 1, 1
    if len(shape) == 1:
        return shape[0], shape[0]
    window = math.prod(shape[:-2])
    return window * shape[-2], window * shape[-1]


def _size(shape: tuple[int, ...], axes: Iterable[int], argument: str) -> int:
    axes = tuple(axes)
    if not all(-len(shape) <= axis < len(shape) for axis in axes):
        raise ValueError(f"{argument}={axes} does not fit the shape {shape}, which has {len(shape)} axes.")
    return math.prod(shape[axis] for axis in axes)
