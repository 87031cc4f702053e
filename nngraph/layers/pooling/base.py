"""What the pooling layers share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nngraph.layers.arguments import config_of, data_format_of, padding_of, per_axis
from nngraph.layers.input_spec import InputSpec
from nngraph.layers.layer import Layer
from nngraph.layers.reshaping.windows import spatial_axes

__all__ = ["AdaptivePooling", "GlobalPooling", "Pooling"]


class Pooling(Layer):
    """Slide a window over the spatial axes; subclasses name their ``rank`` and the function that pools."""

    rank: int
    function: Callable[..., Any]

    def __init__(
        self,
        pool_size: int | Sequence[int],
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.pool_size = per_axis(self, "pool_size", pool_size, self.rank)
        self.strides = self.pool_size if strides is None else per_axis(self, "strides", strides, self.rank)
        self.padding = padding_of(self, padding)
        self.data_format = data_format_of(self, data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: Any) -> Any:
        """Return the pooled inputs."""
        if self.padding == "valid":
            for axis, window in zip(spatial_axes(self.rank, self.data_format), self.pool_size, strict=True):
                size = inputs.shape[axis]
                if isinstance(size, int) and size < window:
                    raise ValueError(
                        f"pool_size {self.pool_size} does not fit into axis {axis}, whose size is {size}; "
                        "pool less before, use a smaller pool_size, or padding='same'"
                    )
        return type(self).function(inputs, self.pool_size, self.strides, self.padding, self.data_format)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), **config_of(self, "pool_size", "strides", "padding", "data_format")}


class GlobalPooling(Layer):
    """Reduce the spatial axes to one value; subclasses name their ``rank`` and the function that reduces."""

    rank: int
    function: Callable[..., Any]

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format_of(self, data_format)
        self.keepdims = keepdims
        self.input_spec = InputSpec(ndim=self.rank + 2)

    @property
    def _axes(self) -> tuple[int, ...]:
        return tuple(spatial_axes(self.rank, self.data_format))

    def call(self, inputs: Any) -> Any:
        """Return one value for each channel."""
        return type(self).function(inputs, axis=self._axes, keepdims=self.keepdims)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), **config_of(self, "data_format", "keepdims")}


class AdaptivePooling(Layer):
    """Pool to a given size; subclasses name their ``rank`` and the function that pools."""

    rank: int
    function: Callable[..., Any]

    def __init__(self, output_size: int | Sequence[int], data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.output_size = per_axis(self, "output_size", output_size, self.rank)
        self.data_format = data_format_of(self, data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: Any) -> Any:
        """Return the pooled inputs."""
        return type(self).function(inputs, self.output_size, self.data_format)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), **config_of(self, "output_size", "data_format")}
