"""Images in another size."""

from __future__ import annotations

from typing import Any

from nngraph import ops
from nngraph.layers.arguments import config_of, data_format_of, integer, layer_name, one_of
from nngraph.layers.layer import Layer

__all__ = ["CenterCrop", "ImageLayer", "Resizing"]

_INTERPOLATIONS = ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5")


class ImageLayer(Layer):
    """A layer of images: one, or a batch of them."""

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format_of(self, data_format)

    def image_axes(self, images: Any) -> tuple[int, int]:
        """Return the axes of height and width.

        Raises:
            ValueError: the input has neither 3 nor 4 axes.
        """
        rank = len(images.shape)
        if rank not in (3, 4):
            raise ValueError(
                f"expected images with 4 dimensions (or one image with 3), got shape {tuple(images.shape)} with {rank}"
            )
        first = rank - 3 if self.data_format == "channels_last" else rank - 2
        return first, first + 1

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), **config_of(self, "data_format")}


class Resizing(ImageLayer):
    """Give images another height and width.

    Args:
        height, width: the new size.
        interpolation: ``"bilinear"``, ``"nearest"``, ``"bicubic"``, ``"lanczos3"`` or ``"lanczos5"``.
        crop_to_aspect_ratio: cut the images' middle out first, in the new aspect ratio.
        pad_to_aspect_ratio: extend the images to the new aspect ratio first.
        fill_mode: how they are extended; only ``"constant"``.
        fill_value: with what.
        antialias: widen the kernel when the images become smaller.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.

    Raises:
        ValueError: an argument is none of these.

    Example:
        >>> Resizing(2, 3)(np.zeros((1, 8, 8, 3))).shape
        (1, 2, 3, 3)
    """

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format, **kwargs)
        self.height, self.width = integer(self, "height", height), integer(self, "width", width)
        self.interpolation = one_of(self, "interpolation", interpolation, _INTERPOLATIONS)
        self.fill_mode = one_of(self, "fill_mode", fill_mode, ("constant",))
        if crop_to_aspect_ratio and pad_to_aspect_ratio:
            raise ValueError(
                f"{layer_name(self)}: only one of crop_to_aspect_ratio and pad_to_aspect_ratio can be true"
            )
        self.crop_to_aspect_ratio = crop_to_aspect_ratio
        self.pad_to_aspect_ratio = pad_to_aspect_ratio
        self.fill_value = fill_value
        self.antialias = antialias

    def call(self, data: Any) -> Any:
        """Return the resized images."""
        self.image_axes(data)
        return ops.image.resize(
            data,
            (self.height, self.width),
            interpolation=self.interpolation,
            antialias=self.antialias,
            crop_to_aspect_ratio=self.crop_to_aspect_ratio,
            pad_to_aspect_ratio=self.pad_to_aspect_ratio,
            fill_mode=self.fill_mode,
            fill_value=self.fill_value,
            data_format=self.data_format,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            **config_of(
                self,
                "height",
                "width",
                "interpolation",
                "crop_to_aspect_ratio",
                "pad_to_aspect_ratio",
                "fill_mode",
                "fill_value",
                "antialias",
            ),
        }


class CenterCrop(ImageLayer):
    """Cut the middle out of images; images that are too small are resized first, in their aspect ratio.

    Args:
        height, width: size of the middle.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.

    Raises:
        ValueError: a size is not positive, or height and width of the input are not known.

    Example:
        >>> CenterCrop(1, 2)(np.arange(12.0).reshape(1, 3, 4, 1)).ravel().tolist()
        [5.0, 6.0]
    """

    def __init__(self, height: int, width: int, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        self.height, self.width = integer(self, "height", height), integer(self, "width", width)

    def call(self, inputs: Any) -> Any:
        """Return the middle of the images."""
        axes = self.image_axes(inputs)
        sizes = [inputs.shape[a] for a in axes]
        if not all(isinstance(s, int) for s in sizes):
            raise ValueError("height and width of the images must be known; give them in Input(shape=...)")
        target = (self.height, self.width)
        if sizes[0] < target[0] or sizes[1] < target[1]:
            return ops.image.resize(inputs, target, crop_to_aspect_ratio=True, data_format=self.data_format)
        key: list[Any] = [slice(None)] * len(inputs.shape)
        for axis, have, want in zip(axes, sizes, target, strict=True):
            start = (have - want) // 2
            key[axis] = slice(start, start + want)
        return inputs[tuple(key)]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), **config_of(self, "height", "width")}
