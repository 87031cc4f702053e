"""Put tensors one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nngraph import ops
from nngraph.layers.arguments import config_of, layer_name
from nngraph.layers.merging.base import Merge, checked_inputs

__all__ = ["Concatenate", "concatenate"]


class Concatenate(Merge):
    """Put tensors one after the other along an axis; all other sizes must be equal.

    Args:
        axis: the axis.

    Raises:
        ValueError: the other sizes differ.

    Example:
        >>> Concatenate()([np.array([[1.0, 2.0]]), np.array([[4.0]])]).tolist()
        [[1.0, 2.0, 4.0]]
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(axis, int):
            raise ValueError(f"{layer_name(self)}: axis must be an integer, got {axis!r}")
        self.axis = axis

    def build(self, input_shape: Any) -> None:
        """Check that all sizes but one agree."""
        shapes = [tuple(s) if isinstance(s, (list, tuple)) else s for s in checked_inputs(input_shape)]
        if not all(isinstance(s, tuple) for s in shapes):
            raise ValueError(f"call it on a list of tensors, such as [a, b], got one of shape {tuple(shapes)}")
        rank = len(shapes[0])
        if any(len(s) != rank for s in shapes) or not -rank <= self.axis < rank:
            raise ValueError(f"cannot concatenate tensors of shapes {shapes} along axis {self.axis}")
        for k in range(rank):
            known = {s[k] for s in shapes if s[k] is not None}
            if k != self.axis % rank and len(known) > 1:
                raise ValueError(
                    f"cannot concatenate tensors of shapes {shapes} along axis {self.axis}: sizes {sorted(known)} "
                    f"differ on axis {k}; only axis {self.axis} may differ"
                )
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Return the tensors one after the other."""
        return ops.concatenate(checked_inputs(inputs), axis=self.axis)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the masks one after the other; an input without a mask counts everywhere."""
        masks = list(mask) if isinstance(mask, (list, tuple)) else [mask]
        if all(m is None for m in masks):
            return None
        axis = self.axis % len(inputs[0].shape)
        if axis >= max(len(m.shape) for m in masks if m is not None):
            # The features of one step stand side by side: the step counts where it does in any input.
            return super().compute_mask(inputs, masks)
        parts = [
            ops.ones_like(tensor[..., 0], dtype="bool") if part is None else part
            for tensor, part in zip(inputs, masks, strict=True)
        ]
        return ops.concatenate(parts, axis=axis)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), **config_of(self, "axis")}


def concatenate(inputs: Sequence[Any], axis: int = -1, **kwargs: Any) -> Any:
    """Put tensors one after the other, as the layer :class:`Concatenate` does; keyword arguments go to it."""
    return Concatenate(axis=axis, **kwargs)(inputs)
