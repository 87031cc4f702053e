"""What the layers share that draw random numbers while training."""

from __future__ import annotations

from typing import Any

from nngraph.layers.arguments import config_of, seed_of
from nngraph.layers.layer import Layer
from nngraph.random import SeedGenerator
from nngraph.saving.registry import deserialize_keras_object

__all__ = ["RandomLayer", "generator_of"]


def generator_of(seed: Any) -> Any:
    """Return a generator for a ``seed`` argument: a number, ``None``, a generator or its description.

    Example:
        >>> generator_of(7).next().tolist()
        [7, 0]
    """
    if isinstance(seed, dict):
        return deserialize_keras_object(seed)
    return seed if isinstance(seed, SeedGenerator) else SeedGenerator(seed)


class RandomLayer(Layer):
    """A layer that is the identity except while training, when it draws random numbers.

    Subclasses write ``disturb(inputs)`` and name their further arguments in ``_arguments``.

    Args:
        seed: an integer, a :class:`nngraph.random.SeedGenerator`, or ``None`` for one derived from the global seed.
    """

    _arguments: tuple[str, ...] = ()

    def __init__(self, seed: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = generator_of(seed)
        self.supports_masking = True

    def _is_identity(self) -> bool:
        """Whether the arguments make the layer do nothing even while training."""
        return False

    def disturb(self, inputs: Any) -> Any:
        """Return the inputs with noise."""
        raise NotImplementedError(f"{type(self).__name__} must define disturb(self, inputs)")

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        """Return the inputs, disturbed while training."""
        return self.disturb(inputs) if training and not self._is_identity() else inputs

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), **config_of(self, *self._arguments), "seed": seed_of(self, self.seed)}
