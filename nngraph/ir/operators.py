"""Python operators on tensors, bound late: the functions live in ``nngraph.ops``, above this package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["OPERATORS", "ArrayOperators"]

OPERATORS: dict[str, Callable[..., Any]] = {}
"""Operator name to function. ``nngraph.ops`` fills it when it is imported."""

_OF_UFUNC = {
    **{name: name for name in ("add", "subtract", "multiply", "divide", "floor_divide", "power", "matmul")},
    **{name: name for name in ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal")},
    **{name: name for name in ("logical_and", "logical_or", "logical_xor", "negative", "absolute")},
    "remainder": "mod",
    "bitwise_and": "logical_and",
    "bitwise_or": "logical_or",
    "bitwise_xor": "logical_xor",
}
"""numpy's name of a function to the operator that does the same."""

_OPS_OF_UFUNC = {"conjugate": "conj", "fabs": "absolute"}


class ArrayOperators:
    """Arithmetic, comparison and indexing for graph values, Keras tensors and variables."""

    __slots__ = ()
    __array_priority__ = 100.0  # numpy arrays on the left hand side defer to these methods

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """What numpy calls for an array on the left: ``array + x`` and ``array += x`` become the operator."""
        name = _OF_UFUNC.get(ufunc.__name__) if method == "__call__" else None
        if name is None:
            raise TypeError(
                f"numpy's {ufunc.__name__} takes arrays, and {self!r} is symbolic: "
                f"write nngraph.ops.{_OPS_OF_UFUNC.get(ufunc.__name__, ufunc.__name__)}"
            )
        return OPERATORS[name](*inputs)

    def __eq__(self, other: Any) -> Any:
        # Structures are searched for None and names; those are never equal to a tensor.
        if other is None or isinstance(other, str):
            return False
        return OPERATORS["equal"](self, other)

    def __ne__(self, other: Any) -> Any:
        if other is None or isinstance(other, str):
            return True
        return OPERATORS["not_equal"](self, other)

    __hash__ = object.__hash__

    def __add__(self, other: Any) -> Any:
        return OPERATORS["add"](self, other)

    def __radd__(self, other: Any) -> Any:
        return OPERATORS["add"](other, self)

    def __sub__(self, other: Any) -> Any:
        return OPERATORS["subtract"](self, other)

    def __rsub__(self, other: Any) -> Any:
        return OPERATORS["subtract"](other, self)

    def __mul__(self, other: Any) -> Any:
        return OPERATORS["multiply"](self, other)

    def __rmul__(self, other: Any) -> Any:
        return OPERATORS["multiply"](other, self)

    def __truediv__(self, other: Any) -> Any:
        return OPERATORS["divide"](self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return OPERATORS["divide"](other, self)

    def __floordiv__(self, other: Any) -> Any:
        return OPERATORS["floor_divide"](self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return OPERATORS["floor_divide"](other, self)

    def __mod__(self, other: Any) -> Any:
        return OPERATORS["mod"](self, other)

    def __rmod__(self, other: Any) -> Any:
        return OPERATORS["mod"](other, self)

    def __pow__(self, other: Any) -> Any:
        return OPERATORS["power"](self, other)

    def __rpow__(self, other: Any) -> Any:
        return OPERATORS["power"](other, self)

    def __matmul__(self, other: Any) -> Any:
        return OPERATORS["matmul"](self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return OPERATORS["matmul"](other, self)

    def __neg__(self) -> Any:
        return OPERATORS["negative"](self)

    def __abs__(self) -> Any:
        return OPERATORS["absolute"](self)

    def __invert__(self) -> Any:
        return OPERATORS["logical_not"](self)

    def __and__(self, other: Any) -> Any:
        return OPERATORS["logical_and"](self, other)

    def __rand__(self, other: Any) -> Any:
        return OPERATORS["logical_and"](other, self)

    def __or__(self, other: Any) -> Any:
        return OPERATORS["logical_or"](self, other)

    def __ror__(self, other: Any) -> Any:
        return OPERATORS["logical_or"](other, self)

    def __xor__(self, other: Any) -> Any:
        return OPERATORS["logical_xor"](self, other)

    def __lt__(self, other: Any) -> Any:
        return OPERATORS["less"](self, other)

    def __le__(self, other: Any) -> Any:
        return OPERATORS["less_equal"](self, other)

    def __gt__(self, other: Any) -> Any:
        return OPERATORS["greater"](self, other)

    def __ge__(self, other: Any) -> Any:
        return OPERATORS["greater_equal"](self, other)

    def __getitem__(self, key: Any) -> Any:
        return OPERATORS["get_item"](self, key)

    def reshape(self, *shape: Any) -> Any:
        """Return the tensor with a new shape; see ``nngraph.ops.reshape``."""
        return OPERATORS["reshape"](self, shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape)
