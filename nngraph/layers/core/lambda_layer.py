"""A Python function as a layer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nngraph.layers.arguments import layer_name
from nngraph.layers.layer import Layer
from nngraph.saving.registry import (
    deserialize_keras_object,
    get_registered_name,
    get_registered_object,
    serialize_keras_object,
)

__all__ = ["Lambda"]


class Lambda(Layer):
    """Apply a function of ``nngraph.ops`` to the input.

    A file never holds the function: to save the model, give the function a name with
    ``@nngraph.saving.register_keras_serializable()``, or write a layer.

    Args:
        function: takes the input, and ``mask`` or ``training`` where it has such parameters.
        output_shape: accepted for Keras code; the shape is found by tracing the function.
        mask: the mask of the output, or a function ``(inputs, mask)`` that returns it.
        arguments: further keyword arguments of the function.

    Raises:
        TypeError: ``function`` cannot be called.

    Example:
        >>> Lambda(lambda x: x**2)(np.array([2.0, 3.0])).tolist()
        [4.0, 9.0]
    """

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Sequence[int | None] | Callable[..., Any] | None = None,
        mask: Any = None,
        arguments: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not callable(function):
            raise TypeError(f"{layer_name(self)} takes a function, got {function!r}")
        self.function = function
        self.arguments = dict(arguments or {})
        self.mask = mask
        self.supports_masking = mask is not None
        self._output_shape = output_shape
        parameters = inspect.signature(function).parameters if _has_signature(function) else {}
        self._passes = tuple(name for name in ("mask", "training") if name in parameters)

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:
        """Return what the function returns."""
        known = {"mask": mask, "training": training}
        passed = {name: known[name] for name in self._passes if name not in self.arguments}
        return self.function(inputs, **self.arguments, **passed)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the mask given to the constructor, or what its function returns."""
        return self.mask(inputs, mask) if callable(self.mask) else self.mask

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments.

        Raises:
            ValueError: a function is not registered by name.
        """
        shape = self._output_shape
        return {
            **super().get_config(),
            "function": self._named_function("function", self.function),
            "arguments": self.arguments,
            **({} if shape is None else {"output_shape": self._named_function("output_shape", shape)}),
            **({} if self.mask is None else {"mask": self._named_function("mask", self.mask)}),
        }

    def _named_function(self, argument: str, value: Any) -> Any:
        """Return a function as its registered name; other values as they are."""
        if not callable(value):
            return value
        name = getattr(value, "__name__", "<lambda>")
        if name != "<lambda>":
            described = serialize_keras_object(value)
            if described["module"] != "builtins" or get_registered_object(get_registered_name(value)) is value:
                return described
        raise ValueError(
            f"layer {self.name!r} (Lambda) cannot be saved: its {argument} is Python code, which files never hold; "
            "decorate a named function with @nngraph.saving.register_keras_serializable(), or write a Layer subclass"
        )

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        """Make the layer that ``config`` describes, its functions found by name."""
        functions = {
            name: deserialize_keras_object(config[name], custom_objects=custom_objects)
            for name in ("function", "mask", "output_shape")
            if isinstance(config.get(name), dict)
        }
        return cls(**{**config, **functions})


def _has_signature(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function)
    except (TypeError, ValueError):
        return False
    return True
