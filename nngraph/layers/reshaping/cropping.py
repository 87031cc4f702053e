"""Cut edges off sequences, images and volumes."""

from __future__ import annotations

from typing import Any

from nngraph.layers.arguments import config_of, data_format_of
from nngraph.layers.input_spec import InputSpec
from nngraph.layers.layer import Layer
from nngraph.layers.reshaping.windows import pairs, spatial_axes

__all__ = ["Cropping1D", "Cropping2D", "Cropping3D"]


class _Cropping(Layer):
    """Drop entries before and after each spatial axis."""

    rank: int
    data_format = "channels_last"

    def __init__(self, cropping: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cropping: Any = pairs(self, "cropping", cropping, self.rank)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def _widths(self) -> tuple[tuple[int, int], ...]:
        return self.cropping

    def call(self, inputs: Any) -> Any:
        """Return the middle of the inputs."""
        key: list[Any] = [slice(None)] * (self.rank + 2)
        for axis, (before, after) in zip(spatial_axes(self.rank, self.data_format), self._widths(), strict=True):
            size = inputs.shape[axis]
            if isinstance(size, int) and before + after >= size:
                raise ValueError(
                    f"cropping {(before, after)} leaves nothing of axis {axis}, whose size is {size}; crop less"
                )
            key[axis] = slice(before, -after if after else None)
        return inputs[tuple(key)]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        names = ("cropping",) if self.rank == 1 else ("cropping", "data_format")
        return {**super().get_config(), **config_of(self, *names)}


class Cropping1D(_Cropping):
    """Cut steps off both ends of sequences ``(batch, steps, features)``.

    Args:
        cropping: how many steps before and after; one number counts for both.

    Raises:
        ValueError: a number is negative, or nothing is left.

    Example:
        >>> Cropping1D((1, 2))(np.arange(5.0).reshape(1, 5, 1)).ravel().tolist()
        [1.0, 2.0]
    """

    rank = 1

    def __init__(self, cropping: Any = (1, 1), **kwargs: Any) -> None:
        super().__init__(cropping, **kwargs)
        self.cropping = self.cropping[0]

    def _widths(self) -> tuple[tuple[int, int], ...]:
        return (self.cropping,)


class Cropping2D(_Cropping):
    """Cut edges off images ``(batch, height, width, channels)``.

    Args:
        cropping: one number, a number for each axis, or ``((top, bottom), (left, right))``.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.

    Raises:
        ValueError: a number is negative, or nothing is left.

    Example:
        >>> Cropping2D(((1, 0), (0, 2)))(np.zeros((1, 5, 5, 3))).shape
        (1, 4, 3, 3)
    """

    rank = 2

    def __init__(self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(cropping, **kwargs)
        self.data_format = data_format_of(self, data_format)


class Cropping3D(_Cropping):
    """Cut edges off volumes ``(batch, depth, height, width, channels)``.

    Args:
        cropping: one number, a number for each axis, or a pair (before, after) for each axis.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.

    Raises:
        ValueError: a number is negative, or nothing is left.

    Example:
        >>> Cropping3D(1)(np.zeros((1, 5, 5, 5, 3))).shape
        (1, 3, 3, 3, 3)
    """

    rank = 3

    def __init__(self, cropping: Any = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(cropping, **kwargs)
        self.data_format = data_format_of(self, data_format)
