"""Names of layers, models, optimizers and metrics: snake case, numbered, unique until the session is cleared."""

from __future__ import annotations

import re

from nngraph.config import on_clear_session

__all__ = ["auto_name", "snake_case"]

_COUNTS: dict[str, int] = {}
on_clear_session(_COUNTS.clear)


def snake_case(name: str) -> str:
    """Return a class name as Keras writes it in layer names.

    Example:
        >>> snake_case("Conv2D"), snake_case("BatchNormalization"), snake_case("LSTM")
        ('conv2d', 'batch_normalization', 'lstm')
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    name = re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
    return name if name[:1] != "_" else "private" + name


def auto_name(prefix: str) -> str:
    """Return ``prefix``, then ``prefix_1``, ``prefix_2`` and so on."""
    count = _COUNTS.get(prefix, 0)
    _COUNTS[prefix] = count + 1
    return prefix if count == 0 else f"{prefix}_{count}"
