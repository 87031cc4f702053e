"""Layers that combine tensors element by element."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nngraph import ops
from nngraph.layers.merging.base import Merge, checked_inputs

__all__ = [
    "Add",
    "Average",
    "Maximum",
    "Minimum",
    "Multiply",
    "Subtract",
    "add",
    "average",
    "maximum",
    "minimum",
    "multiply",
    "subtract",
]


class Add(Merge):
    """Add tensors; shapes broadcast.

    Raises:
        ValueError: the shapes do not broadcast.

    Example:
        >>> Add()([np.array([[1.0, 2.0]]), np.array([[4.0, 5.0]])]).tolist()
        [[5.0, 7.0]]
    """

    def merge_two(self, first: Any, second: Any) -> Any:
        """Return the sum of two tensors."""
        return ops.add(first, second)


class Multiply(Merge):
    """Multiply tensors element by element; shapes broadcast.

    Raises:
        ValueError: the shapes do not broadcast.

    Example:
        >>> Multiply()([np.array([[1.0, 2.0]]), np.array([[4.0, 5.0]])]).tolist()
        [[4.0, 10.0]]
    """

    def merge_two(self, first: Any, second: Any) -> Any:
        """Return the product of two tensors."""
        return ops.multiply(first, second)


class Maximum(Merge):
    """Take the largest of several tensors, element by element; shapes broadcast.

    Raises:
        ValueError: the shapes do not broadcast.

    Example:
        >>> Maximum()([np.array([[1.0, 2.0]]), np.array([[4.0, 5.0]])]).tolist()
        [[4.0, 5.0]]
    """

    def merge_two(self, first: Any, second: Any) -> Any:
        """Return the maximum of two tensors."""
        return ops.maximum(first, second)


class Minimum(Merge):
    """Take the smallest of several tensors, element by element; shapes broadcast.

    Raises:
        ValueError: the shapes do not broadcast.

    Example:
        >>> Minimum()([np.array([[1.0, 2.0]]), np.array([[4.0, 5.0]])]).tolist()
        [[1.0, 2.0]]
    """

    def merge_two(self, first: Any, second: Any) -> Any:
        """Return the minimum of two tensors."""
        return ops.minimum(first, second)


class Average(Merge):
    """Take the mean of several tensors, element by element; shapes broadcast.

    Raises:
        ValueError: the shapes do not broadcast.

    Example:
        >>> Average()([np.array([[1.0, 2.0]]), np.array([[4.0, 5.0]])]).tolist()
        [[2.5, 3.5]]
    """

    def merge(self, tensors: Sequence[Any]) -> Any:
        """Return the mean."""
        total = tensors[0]
        for tensor in tensors[1:]:
            total = ops.add(total, tensor)
        return ops.divide(total, len(tensors))


class Subtract(Merge):
    """Subtract the second of two tensors from the first; shapes broadcast.

    Raises:
        ValueError: there are not exactly two tensors, or their shapes do not broadcast.

    Example:
        >>> Subtract()([np.array([[1.0, 2.0]]), np.array([[4.0, 5.0]])]).tolist()
        [[-3.0, -3.0]]
    """

    least_inputs = 2

    def build(self, input_shape: Any) -> None:
        """Check that there are two shapes and that they fit."""
        if len(checked_inputs(input_shape, 2)) != 2:
            raise ValueError(f"call it on a list of two tensors, got {len(input_shape)}")
        super().build(input_shape)

    def merge_two(self, first: Any, second: Any) -> Any:
        """Return the difference of two tensors."""
        return ops.subtract(first, second)


def add(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Add tensors; keyword arguments go to :class:`Add`."""
    return Add(**kwargs)(inputs)


def average(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Take the mean of tensors, element by element; keyword arguments go to :class:`Average`."""
    return Average(**kwargs)(inputs)


def maximum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Take the largest of tensors, element by element; keyword arguments go to :class:`Maximum`."""
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Take the smallest of tensors, element by element; keyword arguments go to :class:`Minimum`."""
    return Minimum(**kwargs)(inputs)


def multiply(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Multiply tensors element by element; keyword arguments go to :class:`Multiply`."""
    return Multiply(**kwargs)(inputs)


def subtract(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Subtract the second of two tensors from the first; keyword arguments go to :class:`Subtract`."""
    return Subtract(**kwargs)(inputs)
