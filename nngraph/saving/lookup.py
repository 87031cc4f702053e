"""What the `get`, `serialize` and `deserialize` of initializers, losses, optimizers and their kin share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nngraph.errors import unknown_name
from nngraph.saving.registry import (
    CustomObjectScope,
    deserialize_keras_object,
    get_registered_object,
    register_builtin,
    serialize_keras_object,
)

__all__ = ["Lookup"]


@dataclass(frozen=True)
class Lookup:
    """One kind of thing that users name by a string, a configuration, a class or an object.

    Attributes:
        kind: what an error calls it, such as "regularizer".
        module: the public module, such as "nngraph.regularizers".
        names: every string that `get` accepts, with its class or function.

    >>> from nngraph.config import DTypePolicy
    >>> Lookup("policy", "nngraph.doc", {"policy": DTypePolicy}).get("polici")
    Traceback (most recent call last):
    ...
    ValueError: Unknown policy 'polici'. Did you mean 'policy'? Known names: 'policy'.
    """

    kind: str
    module: str
    names: Mapping[str, Any]

    def __post_init__(self) -> None:
        """Enter what is named into the table of builtins, first under its own name."""
        for thing in self.names.values():
            register_builtin(thing, self.module)
        for name, thing in self.names.items():
            register_builtin(thing, self.module, name)

    def get(self, identifier: Any) -> Any:
        """Return the object for a string, a configuration, a class or an object; None stays None.

        Raises ValueError for an unknown string, naming the nearest, and for anything else.
        """
        if identifier is None:
            return None
        if isinstance(identifier, dict):
            return self.deserialize(identifier)
        if isinstance(identifier, str):
            found = get_registered_object(identifier, None, self.names)
            if found is None:
                raise unknown_name(self.kind, identifier, self.names)
            identifier = found
        if isinstance(identifier, type):
            return identifier()
        if callable(identifier):
            return identifier
        raise ValueError(
            f"Expected the name of a known {self.kind}, its configuration (a dict), something that can be called, "
            f"or None. Received: {identifier!r}"
        )

    def serialize(self, thing: Any) -> Any:
        """Return the configuration of an object; see `nngraph.saving.serialize_keras_object`."""
        return serialize_keras_object(thing)

    def deserialize(self, config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
        """Return the object that `serialize` described; see `nngraph.saving.deserialize_keras_object`."""
        if isinstance(config, str):
            with CustomObjectScope(custom_objects or {}):
                return self.get(config)
        return deserialize_keras_object(config, custom_objects, module_objects=self.names)
