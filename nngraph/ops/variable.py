"""Variables: named state that a graph reads and assigns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nngraph.ir import TensorType, numpy_dtype, standardize_dtype
from nngraph.ir.operators import ArrayOperators
from nngraph.ops.trace import apply, current_trace, untraced
from nngraph.runtime import Cell

__all__ = ["Variable"]


class Variable(ArrayOperators):
    """State with a name: a weight, an optimizer slot, a moving statistic, a random counter.

    In a traced function a variable is an input of the graph, and what is assigned to it leaves as an output. Outside,
    it behaves like an array.

    Args:
        initializer: an array, a number, or a callable ``(shape, dtype) -> array``.
        shape: needed when ``initializer`` is a callable.
        dtype: dtype name; default is the array's, or float32 for callables and Python floats.
        trainable: whether gradients are taken for it.
        name: a name; default ``"variable"``.

    Raises:
        ValueError: shape missing, or the initializer's result has another shape.

    Example:
        >>> v = Variable(np.zeros(2, "float32"), name="v")
        >>> _ = v.assign([1.0, 2.0]); v.numpy().tolist()
        [1.0, 2.0]
    """

    _is_nngraph_variable = True

    def __init__(
        self,
        initializer: Any,
        shape: Sequence[int] | None = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        aggregation: str = "none",
        name: str | None = None,
    ) -> None:
        self.name = name or "variable"
        self.path = self.name
        self.trainable = trainable
        self.autocast = autocast
        self.aggregation = aggregation
        self.regularizer: Callable[[Any], Any] | None = None
        self.constraint: Callable[[Any], Any] | None = None
        self.overwrite_with_gradient = False
        if callable(initializer):
            if shape is None:
                raise ValueError(f"variable {self.name!r}: shape= is needed when the initializer is a function")
            wanted = standardize_dtype(dtype or "float32")
            with untraced():  # the first value is a number, also where a weight is made during a trace
                array = np.asarray(initializer(tuple(shape), dtype=wanted))
            if array.shape != tuple(shape):
                raise ValueError(
                    f"variable {self.name!r}: the initializer returned shape {array.shape}, not {tuple(shape)}"
                )
        else:
            array = np.asarray(initializer)
            plain = not hasattr(initializer, "dtype") and array.dtype.kind == "f"
            default = "float32" if plain else standardize_dtype(array.dtype)
            wanted = standardize_dtype(dtype or default)
            if shape is not None and tuple(shape) != array.shape:
                array = np.broadcast_to(array, tuple(shape))
        self.type = TensorType(wanted, tuple(int(d) for d in array.shape))
        # An array that cannot be written to, such as one mapped from a file, need not be copied.
        copy = True if array.flags.writeable else None
        self._cell = Cell(np.array(array, numpy_dtype(wanted), order="C", copy=copy))

    @property
    def dtype(self) -> str:
        """The dtype's name."""
        return self.type.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape."""
        return self.type.shape  # type: ignore[return-value]

    @property
    def ndim(self) -> int:
        """The rank."""
        return len(self.type.shape)

    @property
    def cell(self) -> Cell:
        """The storage, shared with compiled steps."""
        return self._cell

    @property
    def value(self) -> Any:
        """The current value: a graph value while tracing, else an array."""
        trace = current_trace()
        return trace.read(self) if trace is not None else self.numpy()

    def numpy(self) -> np.ndarray[Any, Any]:
        """Return a copy of the current value."""
        return np.array(self._cell.read())

    def numpy_view(self) -> np.ndarray[Any, Any]:
        """Return the current value without copying; valid until the next step."""
        return self._cell.read()

    def assign(self, value: Any) -> Any:
        """Set the value; in a trace, from here on in the graph.

        Raises:
            ValueError: the shape differs.
        """
        trace = current_trace()
        shape = tuple(value.shape) if hasattr(value, "shape") else np.shape(value)
        if tuple(shape) != self.shape:
            raise ValueError(
                f"variable {self.path!r} has shape {self.shape}; cannot assign a value of shape {tuple(shape)}"
            )
        if trace is not None:
            if not hasattr(value, "dtype"):
                value = np.asarray(value, numpy_dtype(self.dtype))
            same = str(value.dtype) == self.dtype
            # Identity gives the assignment a node of its own, also for constants and graph inputs.
            source = trace.read(value) if isinstance(value, Variable) else value
            new = apply("Identity", _lift(source)) if same else apply("Cast", _lift(source), to=self.dtype)
            trace.assign(self, new)
            return new
        data = value.numpy_view() if isinstance(value, Variable) else np.asarray(value)
        self._cell.write(data.astype(numpy_dtype(self.dtype), copy=False))
        return self

    def assign_add(self, value: Any) -> Any:
        """Add to the value."""
        return self.assign(self.value + value)

    def assign_sub(self, value: Any) -> Any:
        """Subtract from the value."""
        return self.assign(self.value - value)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
        if current_trace() is not None:
            raise TypeError(
                f"variable {self.path!r} is symbolic while a graph is traced; use nngraph.ops instead of numpy"
            )
        return self.numpy() if dtype is None else self.numpy().astype(dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if current_trace() is not None:
            return super().__array_ufunc__(ufunc, method, *inputs, **kwargs)
        return getattr(ufunc, method)(*(x.numpy() if isinstance(x, Variable) else x for x in inputs), **kwargs)

    def __float__(self) -> float:
        return float(self.__array__())

    def __int__(self) -> int:
        return int(self.__array__())

    def __bool__(self) -> bool:
        return bool(self.__array__())

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<Variable path={self.path}, shape={self.shape}, dtype={self.dtype}>"


def _lift(x: Any) -> Any:
    """Make an array a value of the active trace, so that apply records instead of computing."""
    trace = current_trace()
    assert trace is not None
    return trace.constant(np.asarray(x)) if isinstance(x, (np.ndarray, np.generic)) else x
