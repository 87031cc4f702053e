"""Images moved, turned and zoomed at random."""

from __future__ import annotations

import math
from typing import Any

from nngraph import ops
from nngraph.layers.arguments import one_of
from nngraph.layers.preprocessing.augmentation import RandomImageLayer, bounds

__all__ = ["RandomRotation", "RandomTranslation", "RandomZoom"]

_FILL_MODES = ("reflect", "wrap", "constant", "nearest")


class _RandomMove(RandomImageLayer):
    """Reads each pixel somewhere else; subclasses write ``transform(images, height, width)``, six numbers an image."""

    def __init__(
        self,
        fill_mode: str,
        interpolation: str,
        seed: Any,
        fill_value: float,
        data_format: str | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        self.fill_mode = one_of(self, "fill_mode", fill_mode, _FILL_MODES)
        self.interpolation = one_of(self, "interpolation", interpolation, ("bilinear", "nearest"))
        self.fill_value = fill_value

    def transform(self, images: Any, height: int, width: int) -> tuple[Any, ...]:
        """Return a0, a1, a2, b0, b1, b2 of :func:`nngraph.ops.image.affine_transform`, each one number an image."""
        raise NotImplementedError

    def change(self, images: Any) -> Any:
        """Return the images, moved."""
        height, width = (images.shape[a] for a in self.image_axes(images))
        if not isinstance(height, int) or not isinstance(width, int):
            raise ValueError("height and width of the images must be known; give them in Input(shape=...)")
        numbers = self.transform(images, height, width)
        zero = ops.zeros_like(numbers[0])
        return ops.image.affine_transform(
            images,
            ops.stack([*numbers, zero, zero], axis=1),
            interpolation=self.interpolation,
            fill_mode=self.fill_mode,
            fill_value=self.fill_value,
            data_format=self.data_format,
        )


class RandomTranslation(_RandomMove):
    """While training, move each image by a random distance.

    Args:
        height_factor: bounds of the way down as shares of the height, from -1 to 1; one number f counts as (-f, f).
        width_factor: bounds of the way to the right as shares of the width.
        fill_mode: what enters: ``"reflect"``, ``"wrap"``, ``"constant"`` or ``"nearest"``.
        interpolation: ``"bilinear"`` or ``"nearest"``.
        seed: an integer, a :class:`nngraph.random.SeedGenerator`, or ``None``.
        fill_value: the constant.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.

    Raises:
        ValueError: an argument is none of these.

    Example:
        >>> x = np.arange(4.0).reshape(1, 1, 4, 1)
        >>> RandomTranslation(0.0, (0.25, 0.25), fill_mode="wrap")(x).ravel().tolist()
        [3.0, 0.0, 1.0, 2.0]
    """

    _arguments = ("height_factor", "width_factor", "fill_mode", "interpolation", "fill_value")

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: Any = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.height_factor, self.width_factor = height_factor, width_factor
        self._down = bounds(self, "height_factor", height_factor, (-1, 1))
        self._right = bounds(self, "width_factor", width_factor, (-1, 1))

    def transform(self, images: Any, height: int, width: int) -> tuple[Any, ...]:
        """Return the numbers that read from above and from the left."""
        down = self.draw(images, self._down) * float(height)
        right = self.draw(images, self._right) * float(width)
        zero, one = ops.zeros_like(down), ops.ones_like(down)
        return one, zero, ops.negative(right), zero, one, ops.negative(down)


class RandomRotation(_RandomMove):
    """While training, turn each image around its middle by a random angle.

    Args:
        factor: bounds of the angle in turns (counter-clockwise), from -1 to 1; one number f counts as (-f, f).
        fill_mode: what enters: ``"reflect"``, ``"wrap"``, ``"constant"`` or ``"nearest"``.
        interpolation: ``"bilinear"`` or ``"nearest"``.
        seed: an integer, a :class:`nngraph.random.SeedGenerator`, or ``None``.
        fill_value: the constant.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.

    Raises:
        ValueError: an argument is none of these.

    Example:
        >>> x = np.arange(4.0).reshape(1, 2, 2, 1)
        >>> RandomRotation((0.5, 0.5))(x).round(3).ravel().tolist()
        [3.0, 2.0, 1.0, 0.0]
    """

    _arguments = ("factor", "fill_mode", "interpolation", "fill_value")

    def __init__(
        self,
        factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: Any = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.factor = bounds(self, "factor", factor, (-1, 1))

    def transform(self, images: Any, height: int, width: int) -> tuple[Any, ...]:
        """Return the numbers of a rotation around the middle."""
        angle = self.draw(images, self.factor) * (2 * math.pi)
        cosine, sine = ops.cos(angle), ops.sin(angle)
        x, y = (width - 1) / 2, (height - 1) / 2
        shift_x = x - (cosine * x - sine * y)
        shift_y = y - (sine * x + cosine * y)
        return cosine, ops.negative(sine), shift_x, sine, cosine, shift_y


class RandomZoom(_RandomMove):
    """While training, zoom each image in or out by a random factor.

    Args:
        height_factor: bounds of the zoom: 0.2 makes everything smaller by a fifth, -0.2 larger; from -1 to 1; one
            number f counts as (-f, f).
        width_factor: the same for the width; by default that of the height, which keeps the aspect ratio.
        fill_mode: what enters: ``"reflect"``, ``"wrap"``, ``"constant"`` or ``"nearest"``.
        interpolation: ``"bilinear"`` or ``"nearest"``.
        seed: an integer, a :class:`nngraph.random.SeedGenerator`, or ``None``.
        fill_value: the constant.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.

    Raises:
        ValueError: an argument is none of these.

    Example:
        >>> RandomZoom((-0.5, -0.5))(np.arange(4.0).reshape(1, 1, 4, 1)).ravel().tolist()
        [0.75, 1.25, 1.75, 2.25]
    """

    _arguments = ("height_factor", "width_factor", "fill_mode", "interpolation", "fill_value")

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: Any = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.height_factor, self.width_factor = height_factor, width_factor
        self._height = bounds(self, "height_factor", height_factor, (-1, 1))
        self._width = None if width_factor is None else bounds(self, "width_factor", width_factor, (-1, 1))

    def transform(self, images: Any, height: int, width: int) -> tuple[Any, ...]:
        """Return the numbers of a zoom around the middle."""
        tall = 1.0 + self.draw(images, self._height)
        wide = tall if self._width is None else 1.0 + self.draw(images, self._width)
        zero = ops.zeros_like(tall)
        return wide, zero, (1.0 - wide) * ((width - 1) / 2), zero, tall, (1.0 - tall) * ((height - 1) / 2)
