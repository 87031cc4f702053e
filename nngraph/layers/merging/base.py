"""What the layers share that combine several tensors element by element."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nngraph import ops
from nngraph.layers.layer import Layer

__all__ = ["Merge", "checked_inputs"]


def checked_inputs(inputs: Any, least: int = 1) -> list[Any]:
    """Return the tensors of a merge as a list.

    Raises:
        ValueError: there are fewer than ``least``, or the inputs are no list.
    """
    if not isinstance(inputs, (list, tuple)):
        raise ValueError(f"call it on a list of tensors, such as [a, b], got {type(inputs).__name__}")
    if len(inputs) < least:
        raise ValueError(f"call it on a list of at least {least} tensor{'s' if least > 1 else ''}, got {len(inputs)}")
    return list(inputs)


class Merge(Layer):
    """Combine tensors of shapes that broadcast, two by two, from the left.

    Subclasses write ``merge_two`` (or ``merge``). A tensor with fewer axes gets axes of size 1 after its batch.
    """

    least_inputs = 1

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Check that the shapes fit."""
        shapes = checked_inputs(input_shape, self.least_inputs)
        if not all(isinstance(s, (list, tuple)) for s in shapes):
            raise ValueError(f"call it on a list of tensors, such as [a, b], got one of shape {tuple(shapes)}")
        rank = max(len(s) for s in shapes)
        wide = [_widened(tuple(s), rank) for s in shapes]
        for axis in range(rank):
            known = {s[axis] for s in wide if s[axis] not in (None, 1)}
            if len(known) > 1:
                raise ValueError(
                    f"cannot merge tensors of shapes {[tuple(s) for s in shapes]}: "
                    f"sizes {sorted(known)} differ on axis {axis}"
                )
        self.built = True

    def merge_two(self, first: Any, second: Any) -> Any:
        """Combine two tensors."""
        raise NotImplementedError(f"{type(self).__name__} must define merge_two(self, first, second)")

    def merge(self, tensors: Sequence[Any]) -> Any:
        """Combine all tensors."""
        result = tensors[0]
        for tensor in tensors[1:]:
            result = self.merge_two(result, tensor)
        return result

    def call(self, inputs: Any) -> Any:
        """Return the combined tensors."""
        tensors = checked_inputs(inputs, self.least_inputs)
        rank = max(len(t.shape) for t in tensors)
        return self.merge([_aligned(t, rank) for t in tensors])

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return where at least one input counts; an input without a mask counts everywhere."""
        masks = list(mask) if isinstance(mask, (list, tuple)) else [mask]
        if not masks or any(m is None for m in masks):
            return None
        result = masks[0]
        for other in masks[1:]:
            result = ops.logical_or(result, other)
        return result

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config()


def _widened(shape: tuple[Any, ...], rank: int) -> tuple[Any, ...]:
    return (*shape[:1], *(1,) * (rank - len(shape)), *shape[1:])


def _aligned(tensor: Any, rank: int) -> Any:
    missing = rank - len(tensor.shape)
    return ops.expand_dims(tensor, tuple(range(1, missing + 1))) if missing else tensor
