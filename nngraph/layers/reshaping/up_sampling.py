"""Make sequences, images and volumes larger by a whole factor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nngraph import ops
from nngraph.layers.arguments import config_of, data_format_of, one_of, per_axis
from nngraph.layers.input_spec import InputSpec
from nngraph.layers.layer import Layer
from nngraph.layers.reshaping.windows import spatial_axes

__all__ = ["UpSampling1D", "UpSampling2D", "UpSampling3D"]

_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")


class UpSampling1D(Layer):
    """Repeat each step of sequences ``(batch, steps, features)``.

    Args:
        size: how often.

    Raises:
        ValueError: ``size`` is not a positive integer.

    Example:
        >>> UpSampling1D(2)(np.array([[[1.0], [2.0]]])).ravel().tolist()
        [1.0, 1.0, 2.0, 2.0]
    """

    def __init__(self, size: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        (self.size,) = per_axis(self, "size", size, 1)
        self.input_spec = InputSpec(ndim=3)

    def call(self, inputs: Any) -> Any:
        """Return the inputs with repeated steps."""
        return ops.repeat(inputs, self.size, axis=1)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), **config_of(self, "size")}


class UpSampling2D(Layer):
    """Make images ``(batch, height, width, channels)`` larger.

    Args:
        size: factors of height and width; one number counts for both.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.
        interpolation: ``"nearest"`` (repeat), ``"bilinear"``, ``"bicubic"``, ``"lanczos3"`` or ``"lanczos5"``; all but
            the first need known sizes.

    Raises:
        ValueError: an argument is none of these.

    Example:
        >>> UpSampling2D((1, 2))(np.array([[[[1.0], [2.0]]]])).ravel().tolist()
        [1.0, 1.0, 2.0, 2.0]
    """

    def __init__(
        self,
        size: int | Sequence[int] = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.size = per_axis(self, "size", size, 2)
        self.data_format = data_format_of(self, data_format)
        self.interpolation = one_of(self, "interpolation", interpolation, _INTERPOLATIONS)
        self.input_spec = InputSpec(ndim=4)

    def call(self, inputs: Any) -> Any:
        """Return the larger images."""
        axes = spatial_axes(2, self.data_format)
        if self.interpolation == "nearest":
            return ops.repeat_pixels(inputs, self.size, self.data_format)
        sizes = [inputs.shape[a] for a in axes]
        if not all(isinstance(s, int) for s in sizes):
            raise ValueError(
                f"interpolation={self.interpolation!r} needs images of known height and width; "
                "give them in Input(shape=...), or use interpolation='nearest'"
            )
        target = tuple(s * f for s, f in zip(sizes, self.size, strict=True))
        return ops.image.resize(
            inputs, target, interpolation=self.interpolation, antialias=False, data_format=self.data_format
        )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), **config_of(self, "size", "data_format", "interpolation")}


class UpSampling3D(Layer):
    """Repeat the entries of volumes ``(batch, depth, height, width, channels)`` along each spatial axis.

    Args:
        size: how often along each axis; one number counts for all.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.

    Raises:
        ValueError: a factor is not a positive integer.

    Example:
        >>> UpSampling3D(2)(np.zeros((1, 2, 3, 4, 5))).shape
        (1, 4, 6, 8, 5)
    """

    def __init__(self, size: int | Sequence[int] = (2, 2, 2), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = per_axis(self, "size", size, 3)
        self.data_format = data_format_of(self, data_format)
        self.input_spec = InputSpec(ndim=5)

    def call(self, inputs: Any) -> Any:
        """Return the inputs with repeated entries."""
        for axis, factor in zip(spatial_axes(3, self.data_format), self.size, strict=True):
            inputs = inputs if factor == 1 else ops.repeat(inputs, factor, axis=axis)
        return inputs

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), **config_of(self, "size", "data_format")}
