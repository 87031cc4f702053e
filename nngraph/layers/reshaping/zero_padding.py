"""Put zeros around sequences, images and volumes."""

from __future__ import annotations

from typing import Any

from nngraph import ops
from nngraph.layers.arguments import config_of, data_format_of
from nngraph.layers.input_spec import InputSpec
from nngraph.layers.layer import Layer
from nngraph.layers.reshaping.windows import pairs, spatial_axes

__all__ = ["ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D"]


class _ZeroPadding(Layer):
    """Add zeros before and after each spatial axis."""

    rank: int

    def __init__(self, padding: Any, data_format: str | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format_of(self, data_format)
        widths = pairs(self, "padding", padding, self.rank)
        self.padding: Any = widths[0] if self.rank == 1 else widths
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: Any) -> Any:
        """Return the inputs with zeros around them."""
        widths = [(0, 0)] * (self.rank + 2)
        given = (self.padding,) if self.rank == 1 else self.padding
        for axis, pair in zip(spatial_axes(self.rank, self.data_format), given, strict=True):
            widths[axis] = pair
        return ops.pad(inputs, widths)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), **config_of(self, "padding", "data_format")}


class ZeroPadding1D(_ZeroPadding):
    """Put zeros before and after sequences ``(batch, steps, features)``.

    Args:
        padding: how many before and after; one number counts for both.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.

    Raises:
        ValueError: a number is negative.

    Example:
        >>> ZeroPadding1D((1, 2))(np.ones((1, 2, 1))).ravel().tolist()
        [0.0, 1.0, 1.0, 0.0, 0.0]
    """

    rank = 1

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(padding, data_format, **kwargs)


class ZeroPadding2D(_ZeroPadding):
    """Put zeros around images ``(batch, height, width, channels)``.

    Args:
        padding: one number, a number for each axis, or ``((top, bottom), (left, right))``.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.

    Raises:
        ValueError: a number is negative.

    Example:
        >>> ZeroPadding2D(((1, 0), (0, 2)))(np.zeros((1, 5, 5, 3))).shape
        (1, 6, 7, 3)
    """

    rank = 2

    def __init__(self, padding: Any = (1, 1), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(padding, data_format, **kwargs)


class ZeroPadding3D(_ZeroPadding):
    """Put zeros around volumes ``(batch, depth, height, width, channels)``.

    Args:
        padding: one number, a number for each axis, or a pair (before, after) for each axis.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.

    Raises:
        ValueError: a number is negative.

    Example:
        >>> ZeroPadding3D((1, 0, 2))(np.zeros((1, 5, 5, 5, 3))).shape
        (1, 7, 5, 9, 3)
    """

    rank = 3

    def __init__(self, padding: Any = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(padding, data_format, **kwargs)
