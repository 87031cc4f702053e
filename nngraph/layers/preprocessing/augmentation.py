"""What the layers share that change images at random while training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nngraph import ops, random
from nngraph.layers.arguments import config_of, layer_name, seed_of
from nngraph.layers.preprocessing.image_sizes import ImageLayer
from nngraph.layers.regularization.noise import generator_of

__all__ = ["RandomImageLayer", "bounds"]


def bounds(
    layer: Any, argument: str, value: Any, limits: tuple[float, float], *, symmetric: bool = True
) -> tuple[float, float]:
    """Return lower and upper bound of a random factor: of a number f, -f and f, or 0 and f.

    Raises:
        ValueError: a bound is outside of the limits.
    """
    is_pair = isinstance(value, (tuple, list)) and len(value) == 2
    numbers = list(value) if is_pair else [value]
    fits = all(isinstance(n, (int, float)) and not isinstance(n, bool) for n in numbers)
    if not fits or any(not limits[0] <= n <= limits[1] for n in numbers):
        raise ValueError(
            f"{layer_name(layer)}: {argument} must be a number (or two) from {limits[0]} to {limits[1]}, got {value!r}"
        )
    if is_pair:
        return min(numbers), max(numbers)
    size = abs(numbers[0])
    return (-size if symmetric else 0), size


class RandomImageLayer(ImageLayer):
    """Changes each image at random while training, and does nothing otherwise.

    Subclasses write ``change(images)`` for a batch of floating images, and name their further arguments in
    ``_arguments``. One image is changed as a batch of one.
    """

    _arguments: tuple[str, ...] = ()

    def __init__(self, seed: Any = None, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        self.seed = seed
        self.seed_generator = generator_of(seed)

    def draw(self, images: Any, limits: Sequence[float]) -> Any:
        """Return one uniform number for each image of a batch."""
        count = ops.shape(images)[0]
        return random.uniform((count,), limits[0], limits[1], dtype=self.compute_dtype, seed=self.seed_generator)

    def change(self, images: Any) -> Any:
        """Return the batch, changed."""
        raise NotImplementedError(f"{type(self).__name__} must define change(self, images)")

    def call(self, data: Any, training: bool | None = True) -> Any:
        """Return the images, changed while training."""
        images = ops.cast(data, self.compute_dtype)
        self.image_axes(images)
        if not training:
            return images
        if len(images.shape) == 4:
            return self.change(images)
        return ops.squeeze(self.change(ops.expand_dims(images, 0)), 0)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), **config_of(self, *self._arguments), "seed": seed_of(self, self.seed)}
