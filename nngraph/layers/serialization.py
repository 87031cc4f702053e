"""Layers to configurations and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nngraph.layers.layer import Layer
from nngraph.saving.registry import deserialize_keras_object, serialize_keras_object

__all__ = ["deserialize", "serialize"]


def serialize(layer: Layer) -> Any:
    """Return the configuration of a layer as plain data.

    Example:
        >>> from nngraph.layers import Dense
        >>> serialize(Dense(3))["class_name"]
        'Dense'
    """
    return serialize_keras_object(layer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Layer:
    """Return the layer that :func:`serialize` described.

    Args:
        config: the description.
        custom_objects: classes and functions by name, searched before the registered ones.

    Raises:
        ValueError: it describes something else than a layer, or an unknown layer.

    Example:
        >>> from nngraph.layers import Dense
        >>> deserialize(serialize(Dense(3))).units
        3
    """
    layer = deserialize_keras_object(config, custom_objects=custom_objects)
    if not isinstance(layer, Layer):
        raise ValueError(f"the configuration does not describe a layer but {layer!r}")
    return layer
