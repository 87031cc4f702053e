"""Layers that give the same numbers another shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nngraph import ops
from nngraph.layers.arguments import config_of, data_format_of, integer, layer_name
from nngraph.layers.input_spec import InputSpec
from nngraph.layers.layer import Layer

__all__ = ["Flatten", "Permute", "RepeatVector", "Reshape"]


class Flatten(Layer):
    """Make each sample a vector.

    Args:
        data_format: with ``"channels_first"`` the channels are moved last before; default is the configured one.

    Example:
        >>> Flatten()(np.zeros((2, 3, 4))).shape
        (2, 12)
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format_of(self, data_format)
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, inputs: Any) -> Any:
        """Return the inputs as vectors."""
        rank = len(inputs.shape)
        if self.data_format == "channels_first" and rank > 2:
            inputs = ops.transpose(inputs, (0, *range(2, rank), 1))
        rest = inputs.shape[1:]
        if all(isinstance(d, int) and d > 0 for d in rest):
            return ops.reshape(inputs, (-1, math.prod(rest)))
        return ops.reshape(inputs, (ops.shape(inputs)[0], -1))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), **config_of(self, "data_format")}


class Reshape(Layer):
    """Give each sample a shape.

    Args:
        target_shape: the shape without the batch; one size may be -1.

    Raises:
        ValueError: the numbers of elements differ.

    Example:
        >>> Reshape((3, -1))(np.zeros((2, 12))).shape
        (2, 3, 4)
    """

    def __init__(self, target_shape: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        sizes = (target_shape,) if isinstance(target_shape, int) else tuple(target_shape)
        if sizes.count(-1) > 1 or any(not isinstance(s, int) or s < -1 for s in sizes):
            raise ValueError(
                f"{layer_name(self)}: target_shape must be sizes without the batch, at most one of them -1, got {sizes}"
            )
        self.target_shape = sizes

    def call(self, inputs: Any) -> Any:
        """Return the inputs in the new shape."""
        rest = tuple(inputs.shape[1:])
        if not all(isinstance(d, int) for d in rest):
            return ops.reshape(inputs, (ops.shape(inputs)[0], *self.target_shape))
        sizes = self._resolved(rest)
        return ops.reshape(inputs, (-1 if all(sizes) else ops.shape(inputs)[0], *sizes))

    def _resolved(self, sizes: tuple[int, ...]) -> tuple[int, ...]:
        """Return the target with -1 replaced."""
        have, known = math.prod(sizes), math.prod(s for s in self.target_shape if s != -1)
        fits = have == known if -1 not in self.target_shape else known > 0 and have % known == 0
        if not fits:
            raise ValueError(
                f"a sample of shape {sizes} has {have} elements and cannot take the shape {self.target_shape}"
            )
        return tuple(have // known if s == -1 else s for s in self.target_shape)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), **config_of(self, "target_shape")}


class Permute(Layer):
    """Reorder the axes of each sample.

    Args:
        dims: for each axis of the output the axis of the input; 1 is the first after the batch.

    Raises:
        ValueError: ``dims`` is not an order of 1, 2, ...

    Example:
        >>> Permute((2, 1))(np.zeros((2, 10, 64))).shape
        (2, 64, 10)
    """

    def __init__(self, dims: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(
                f"{layer_name(self)}: dims must hold each of 1 to {len(self.dims)} once (the batch, axis 0, stays "
                f"first), got {self.dims}"
            )
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs: Any) -> Any:
        """Return the inputs with their axes reordered."""
        return ops.transpose(inputs, (0, *self.dims))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), **config_of(self, "dims")}


class RepeatVector(Layer):
    """Repeat vectors ``(batch, features)`` as the steps of sequences ``(batch, n, features)``.

    Args:
        n: how often.

    Raises:
        TypeError: ``n`` is not an integer.

    Example:
        >>> RepeatVector(3)(np.zeros((2, 5))).shape
        (2, 3, 5)
    """

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(n, int):
            raise TypeError(f"{layer_name(self)}: n must be an integer, got {n!r}")
        self.n = integer(self, "n", n)
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs: Any) -> Any:
        """Return the repeated inputs."""
        return ops.tile(ops.expand_dims(inputs, 1), (1, self.n, 1))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), **config_of(self, "n")}
