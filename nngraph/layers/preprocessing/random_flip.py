"""Images mirrored at random."""

from __future__ import annotations

from typing import Any

from nngraph import ops
from nngraph.layers.arguments import one_of
from nngraph.layers.preprocessing.augmentation import RandomImageLayer

__all__ = ["RandomFlip"]

_MODES = ("horizontal", "vertical", "horizontal_and_vertical")


class RandomFlip(RandomImageLayer):
    """While training, mirror each image with probability one half.

    Args:
        mode: ``"horizontal"`` (left and right), ``"vertical"`` (top and bottom) or ``"horizontal_and_vertical"``.
        seed: an integer, a :class:`nngraph.random.SeedGenerator`, or ``None``.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.

    Raises:
        ValueError: the mode is none of these.

    Example:
        >>> x = np.arange(3.0).reshape(1, 1, 3, 1)
        >>> sorted({tuple(RandomFlip("horizontal", seed=k)(x).ravel().tolist()) for k in range(9)})
        [(0.0, 1.0, 2.0), (2.0, 1.0, 0.0)]
    """

    _arguments = ("mode",)

    def __init__(
        self, mode: str = "horizontal_and_vertical", seed: Any = None, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        self.mode = one_of(self, "mode", mode, _MODES)

    def change(self, images: Any) -> Any:
        """Return the images, some of them mirrored."""
        height, width = self.image_axes(images)
        for axis, word in ((width, "horizontal"), (height, "vertical")):
            if word in self.mode:
                mirrored = ops.expand_dims(ops.less(self.draw(images, (0, 1)), 0.5), (1, 2, 3))
                images = ops.where(mirrored, ops.flip(images, axis), images)
        return images
