"""Images made brighter, darker, stronger or weaker at random."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nngraph import ops
from nngraph.layers.arguments import layer_name
from nngraph.layers.preprocessing.augmentation import RandomImageLayer, bounds

__all__ = ["RandomBrightness", "RandomContrast"]


def _range(layer: Any, value_range: Sequence[float]) -> tuple[float, float]:
    if not isinstance(value_range, (tuple, list)) or len(value_range) != 2 or value_range[0] >= value_range[1]:
        raise ValueError(
            f"{layer_name(layer)}: value_range must be the lowest and the highest value, got {value_range!r}"
        )
    return value_range[0], value_range[1]


class RandomBrightness(RandomImageLayer):
    """While training, add one random number to all values of an image.

    Args:
        factor: bounds of the number as shares of the value range, from -1 to 1; one number f counts as (-f, f).
        value_range: the lowest and the highest value of the images; results are limited to them.
        seed: an integer, a :class:`nngraph.random.SeedGenerator`, or ``None``.

    Raises:
        ValueError: an argument is none of these.

    Example:
        >>> RandomBrightness((0.5, 0.5), value_range=(0.0, 1.0))(np.array([[[[0.25], [0.75]]]])).ravel().tolist()
        [0.75, 1.0]
    """

    _arguments = ("factor", "value_range")

    def __init__(self, factor: Any, value_range: Sequence[float] = (0, 255), seed: Any = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.factor = bounds(self, "factor", factor, (-1, 1))
        self.value_range = _range(self, value_range)

    def change(self, images: Any) -> Any:
        """Return the images, brighter or darker."""
        low, high = self.value_range
        shift = ops.expand_dims(self.draw(images, self.factor), (1, 2, 3)) * float(high - low)
        return ops.clip(images + shift, low, high)


class RandomContrast(RandomImageLayer):
    """While training, stretch or shrink the distances of an image's values from the mean of their channel.

    Args:
        factor: (l, u) for a stretch between 1 - l and 1 + u, each from 0 to 1; one number u counts as (0, u).
        value_range: the lowest and the highest value of the images; results are limited to them.
        seed: an integer, a :class:`nngraph.random.SeedGenerator`, or ``None``.

    Raises:
        ValueError: an argument is none of these.

    Example:
        >>> y = RandomContrast((0.0, 1.0), seed=1)(np.array([[[[100.0], [140.0]]]]))
        >>> bool(y[0, 0, 1, 0] - y[0, 0, 0, 0] > 40)
        True
    """

    _arguments = ("factor", "value_range")

    def __init__(self, factor: Any, value_range: Sequence[float] = (0, 255), seed: Any = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.factor = bounds(self, "factor", factor, (0, 1), symmetric=False)
        if isinstance(factor, (tuple, list)):
            self.factor = (factor[0], factor[1])  # two sizes, not an interval: they need not rise
        self.value_range = _range(self, value_range)

    def change(self, images: Any) -> Any:
        """Return the images with more or less contrast."""
        lower, upper = self.factor
        stretch = ops.expand_dims(self.draw(images, (1 - lower, 1 + upper)), (1, 2, 3))
        mean = ops.mean(images, axis=self.image_axes(images), keepdims=True)
        return ops.clip((images - mean) * stretch + mean, *self.value_range)
