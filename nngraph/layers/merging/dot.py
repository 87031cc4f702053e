"""Products of two tensors, sample by sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nngraph import ops
from nngraph.layers.arguments import config_of, layer_name
from nngraph.layers.layer import Layer
from nngraph.layers.merging.base import checked_inputs

__all__ = ["Dot", "dot"]


class Dot(Layer):
    """Sum the products of two tensors over one axis of each, sample by sample.

    Inputs ``(batch, ...)`` give ``(batch, the first's other axes..., the second's other axes...)``; two vectors give
    ``(batch, 1)``.

    Args:
        axes: the axis of both tensors, or one for each; 1 is the first after the batch.
        normalize: divide each vector along its axis by its length first, which gives the cosine of the angle.

    Raises:
        ValueError: there are not two tensors, or the sizes of the axes differ.

    Example:
        >>> Dot(axes=1)([np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])]).tolist()
        [[11.0]]
    """

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        pair = (axes, axes) if isinstance(axes, int) else axes
        if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not all(isinstance(a, int) for a in pair):
            raise ValueError(f"{layer_name(self)}: axes must be an integer or two integers, got {axes!r}")
        self.axes = axes if isinstance(axes, int) else tuple(axes)
        self.normalize = normalize
        self.supports_masking = True

    def _axes(self, first: Sequence[Any], second: Sequence[Any]) -> tuple[int, int]:
        """Return the axes counted from the front, having checked them against the shapes."""
        pair = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        found = []
        for axis, shape in zip(pair, (first, second), strict=True):
            if not -len(shape) <= axis < len(shape) or axis % len(shape) == 0:
                raise ValueError(f"axes={self.axes} must be axes of {tuple(shape)} other than 0, the batch")
            found.append(axis % len(shape))
        sizes = first[found[0]], second[found[1]]
        if all(isinstance(s, int) for s in sizes) and sizes[0] != sizes[1]:
            raise ValueError(
                f"axes={self.axes} of tensors of shapes {tuple(first)} and {tuple(second)} have sizes {sizes[0]} and "
                f"{sizes[1]}, which must be equal"
            )
        return found[0], found[1]

    def build(self, input_shape: Any) -> None:
        """Check the shapes."""
        if len(checked_inputs(input_shape, 2)) != 2:
            raise ValueError(f"call it on a list of two tensors, got {len(input_shape)}")
        self._axes(*input_shape)
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Return the sums of products."""
        first, second = checked_inputs(inputs, 2)
        left, right = self._axes(first.shape, second.shape)
        if self.normalize:
            first = ops.normalize(first, axis=left, epsilon=1e-6)
            second = ops.normalize(second, axis=right, epsilon=1e-6)
        rows = _last(first, left)
        columns = _last(second, right)
        kept = [*ops.shape(rows)[1:-1], *ops.shape(columns)[1:-1]]
        flat = [_matrices(t) for t in (rows, columns)]
        product = ops.matmul(flat[0], ops.transpose(flat[1], (0, 2, 1)))
        if len(first.shape) == 3 and len(second.shape) == 3:
            return product
        return ops.reshape(product, (ops.shape(first)[0], *(kept or [1])))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return no mask: the axis of the steps is summed over."""
        return None

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), **config_of(self, "axes", "normalize")}


def _last(x: Any, axis: int) -> Any:
    """Return a tensor with one axis moved to the end."""
    rank = len(x.shape)
    return x if axis == rank - 1 else ops.transpose(x, (*(k for k in range(rank) if k != axis), axis))


def _matrices(x: Any) -> Any:
    """Return ``(batch, ..., n)`` as ``(batch, rows, n)``."""
    if len(x.shape) == 3:
        return x
    if len(x.shape) == 2:
        return ops.expand_dims(x, 1)
    sizes = ops.shape(x)
    return ops.reshape(x, (sizes[0], -1, sizes[-1]))


def dot(inputs: Sequence[Any], axes: int | Sequence[int] = -1, **kwargs: Any) -> Any:
    """Sum products over one axis of each, as the layer :class:`Dot` does; keyword arguments go to it."""
    return Dot(axes=axes, **kwargs)(inputs)
