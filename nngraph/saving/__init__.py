"""Saving and loading: configurations of objects, by an allow-list, and whole models."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from nngraph.saving.registry import (
    CustomObjectScope,
    custom_object_scope,
    deserialize_keras_object,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    serialize_keras_object,
)

__all__ = [
    "CustomObjectScope",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "load_model",
    "load_weights",
    "register_keras_serializable",
    "save_model",
    "save_weights",
    "serialize_keras_object",
]

_OF_MODELS = ("load_model", "load_weights", "save_model", "save_weights")


def __getattr__(name: str) -> Any:
    # Models stand above this package; what saves them is looked up when it is asked for.
    if name in _OF_MODELS:
        return getattr(import_module("nngraph.models.saving"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
