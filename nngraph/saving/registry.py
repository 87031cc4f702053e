"""Configurations: objects become JSON-like values and come back, by way of an allow-list of classes and functions.

A name in a configuration is looked up, never imported or executed. It is found among

1. ``custom_objects=`` of the call, then those of the innermost ``CustomObjectScope``,
2. what ``@register_keras_serializable()`` or ``get_custom_objects()`` has,
3. ``BUILTIN``, the table that the packages of this project fill with ``register_builtin``.

The form is that of Keras: ``{"module", "class_name", "config", "registered_name"}``. Tuples, arrays and other values
that JSON lacks are wrapped as ``nngraph.saving.values`` says.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import Any, TypeVar

from nngraph.config import DTypePolicy
from nngraph.errors import unknown_name
from nngraph.saving.values import decode_values, encode_value, is_wrapped

__all__ = [
    "BUILTIN",
    "CustomObjectScope",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "register_builtin",
    "register_keras_serializable",
    "serialize_keras_object",
]

Registered = TypeVar("Registered")


class NotRegisteredError(TypeError):
    """A configuration names a class or function that nobody registered."""


BUILTIN: dict[tuple[str, str], Any] = {}
"""(public module, name) to class or function, such as ("nngraph.layers", "Dense")."""

# The packages that fill BUILTIN when they are imported. A configuration may need one that nobody has imported yet; the
# names come from this list alone, never from a configuration.
_PACKAGES = (
    "nngraph.activations",
    "nngraph.constraints",
    "nngraph.initializers",
    "nngraph.layers",
    "nngraph.losses",
    "nngraph.metrics",
    "nngraph.models",
    "nngraph.optimizers",
    "nngraph.optimizers.schedules",
    "nngraph.random",
    "nngraph.regularizers",
)

_builtin_names: dict[Any, tuple[str, str]] = {}
_custom_objects: dict[str, Any] = {}
_custom_names: dict[Any, str] = {}
_scoped: ContextVar[Mapping[str, Any]] = ContextVar("nngraph_custom_objects", default=types.MappingProxyType({}))


# --------------------------------------------------------------------------- tables


def register_builtin(obj: Registered, module: str, name: str | None = None) -> Registered:
    """Enter a class or function of this project under its public module and return it.

    A second name for the same object only adds a way to find it; configurations are written with the first.

    Raises:
        ValueError: another object has that name in that module.
    """
    key = (module, name or obj.__name__)  # type: ignore[attr-defined]
    if BUILTIN.get(key, obj) is not obj:
        raise ValueError(f"{key[0]}.{key[1]} is registered already, for {BUILTIN[key]!r}.")
    BUILTIN[key] = obj
    _builtin_names.setdefault(obj, key)
    return obj


register_builtin(DTypePolicy, "nngraph")


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable[[Registered], Registered]:
    """Return a decorator that makes a class or function known under ``"package>name"``.

    Registering another object under the same name replaces it, so that a notebook cell can run twice.

    Raises:
        ValueError: the class has no ``get_config`` method.
        TypeError: the decorated thing is neither class nor function.

    >>> @register_keras_serializable(package="docs")
    ... def double(x):
    ...     return x * 2
    >>> get_registered_name(double)
    'docs>double'
    """

    def decorate(obj: Any) -> Any:
        if not hasattr(obj, "__name__"):
            raise TypeError(f"register_keras_serializable decorates classes and functions. Received: {obj!r}")
        if isinstance(obj, type) and not hasattr(obj, "get_config"):
            raise ValueError(f"{obj.__name__} cannot be registered: it has no get_config() method.")
        registered = f"{package}>{name or obj.__name__}"
        _custom_objects[registered] = obj
        _custom_names[obj] = registered
        return obj

    return decorate


def get_custom_objects() -> dict[str, Any]:
    """Return the dict of registered objects itself: what you put into it is registered."""
    return _custom_objects


def get_registered_name(obj: Any) -> str:
    """Return the name under which ``obj`` is registered, or else its own name."""
    return _custom_names.get(obj, obj.__name__)


def get_registered_object(
    name: str, custom_objects: Mapping[str, Any] | None = None, module_objects: Mapping[str, Any] | None = None
) -> Any:
    """Return the class or function registered as ``name``, or None.

    ``custom_objects`` is searched first, then the scopes, what is registered, and ``module_objects``.
    """
    for table in (custom_objects, _scoped.get(), _custom_objects, module_objects):
        if table is not None and name in table:
            return table[name]
    return None


@contextmanager
def CustomObjectScope(custom_objects: Mapping[str, Any]) -> Iterator[None]:
    """Make the classes and functions of a dict known by their keys inside a ``with`` block.

    >>> with CustomObjectScope({"twice": lambda x: 2 * x}):
    ...     get_registered_object("twice")(3)
    6
    """
    if not isinstance(custom_objects, Mapping):
        raise TypeError(f"custom_objects must be a dict from name to class or function. Received: {custom_objects!r}")
    token = _scoped.set({**_scoped.get(), **custom_objects})
    try:
        yield
    finally:
        _scoped.reset(token)


custom_object_scope = CustomObjectScope


# --------------------------------------------------------------------------- objects to values


def serialize_keras_object(obj: Any) -> Any:
    """Return ``obj`` as a value that ``json.dumps`` takes.

    Args:
        obj: an object with ``get_config()``, a named function, or plain values, numpy arrays and dtypes in any nest.

    Raises:
        TypeError: ``obj`` cannot be described.
        ValueError: it is a lambda; a configuration holds no code.

    >>> serialize_keras_object({"size": (2, 3)})
    {'size': {'class_name': '__tuple__', 'config': {'items': [2, 3]}}}
    """
    return encode_value(obj, _serialize_object)


def _serialize_object(obj: Any) -> dict[str, Any]:
    if isinstance(obj, types.FunctionType | types.BuiltinFunctionType):
        return _serialize_function(obj)
    if isinstance(obj, type):
        raise TypeError(f"{obj.__name__} is a class. Only its instances can be serialized.")
    if not hasattr(obj, "get_config"):
        raise TypeError(
            f"Cannot serialize {obj!r} of type {type(obj).__name__}: it has no get_config() method that describes it."
        )
    cls = type(obj)
    described: dict[str, Any] = {**_address(cls), "config": serialize_keras_object(obj.get_config())}
    for key, method in (("build_config", "get_build_config"), ("compile_config", "get_compile_config")):
        extra = getattr(obj, method)() if hasattr(obj, method) else None
        if extra is not None:
            described[key] = serialize_keras_object(extra)
    return described


def _serialize_function(function: Any) -> dict[str, Any]:
    if function.__name__ == "<lambda>":
        raise ValueError(
            "A lambda cannot be serialized, because a configuration holds no code. Write a named function and "
            "decorate it with @nngraph.saving.register_keras_serializable()."
        )
    module, name = _builtin_names.get(function, ("builtins", None))
    return {
        "module": module,
        "class_name": "function",
        "config": name or get_registered_name(function),
        "registered_name": "function",
    }


def _address(cls: type) -> dict[str, Any]:
    if cls in _builtin_names and cls not in _custom_names:
        module, name = _builtin_names[cls]
        return {"module": module, "class_name": name, "registered_name": None}
    return {"module": None, "class_name": cls.__name__, "registered_name": get_registered_name(cls)}


# --------------------------------------------------------------------------- values to objects


def deserialize_keras_object(
    config: Any, custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True, **kwargs: Any
) -> Any:
    """Return the object that ``serialize_keras_object`` described.

    Args:
        config: its description. A string that names a registered object gives that object; other plain values are
            returned as they are.
        custom_objects: classes and functions by name, searched before the registered ones.
        safe_mode: accepted for Keras code; a description is never executed, whatever it says.
        **kwargs: ``module_objects``, a dict searched last.

    Raises:
        TypeError: the class or function is not registered, or cannot be built from its configuration.
        ValueError: the description names an unknown class of this project.

    >>> deserialize_keras_object(serialize_keras_object(DTypePolicy("float64")))
    <DTypePolicy "float64">
    """
    module_objects = kwargs.pop("module_objects", None)
    if isinstance(config, str):
        found = get_registered_object(config, custom_objects, module_objects)
        return config if found is None else found
    if isinstance(config, (list, tuple)):
        return type(config)(
            deserialize_keras_object(item, custom_objects, module_objects=module_objects) for item in config
        )
    if not isinstance(config, dict):
        return config
    if is_wrapped(config):
        return decode_values(
            config, lambda item: deserialize_keras_object(item, custom_objects, module_objects=module_objects)
        )
    if "class_name" not in config or "config" not in config:
        return {
            key: deserialize_keras_object(item, custom_objects, module_objects=module_objects)
            for key, item in config.items()
        }
    with CustomObjectScope(custom_objects or {}):
        if config["class_name"] == "function":
            return _find(config.get("module"), config["config"], None, module_objects, "function")
        return _build(config, module_objects)


def _build(config: dict[str, Any], module_objects: Mapping[str, Any] | None) -> Any:
    name = config["class_name"]
    cls = _find(config.get("module"), name, config.get("registered_name"), module_objects, "class")
    if not isinstance(cls, type):
        # A function under a class name: an activation, an initializer or a loss given by name.
        return cls
    inner = decode_values(config["config"])
    try:
        instance = cls.from_config(inner) if hasattr(cls, "from_config") else cls(**inner)
    except NotRegisteredError:
        raise  # something inside; its own message says what to do
    except TypeError as error:
        raise TypeError(
            f"{name} could not be built from its configuration {inner!r}: {error}. "
            f"Its get_config() must return the arguments of its __init__, or its from_config() must convert them."
        ) from error
    if config.get("build_config") and hasattr(instance, "build_from_config"):
        instance.build_from_config(decode_values(config["build_config"]))
    if config.get("compile_config") and hasattr(instance, "compile_from_config"):
        instance.compile_from_config(decode_values(config["compile_config"]))
    return instance


def _find(
    module: Any, name: Any, registered_name: str | None, module_objects: Mapping[str, Any] | None, kind: str
) -> Any:
    """Return the class or function of that address, from the tables alone."""
    if not isinstance(name, str):
        raise TypeError(f"A {kind} is named by a string. Received: {name!r}")
    for candidate in (registered_name, name):
        found = None if candidate is None else get_registered_object(candidate)
        if found is not None:
            return found
    home = _public_module(module)
    if home in _PACKAGES:
        _import_packages(home)
    if (home, name) in BUILTIN:
        return BUILTIN[home, name]
    if module_objects is not None and name in module_objects:
        return module_objects[name]
    if home == "builtins":
        _import_packages()
        functions = [obj for (_, known), obj in BUILTIN.items() if known == name and not isinstance(obj, type)]
        if functions:
            return functions[0]
    siblings = [known for module_, known in BUILTIN if module_ == home]
    if siblings:
        raise unknown_name(f"{kind} of {home}", name, siblings)
    shown = registered_name or name
    raise NotRegisteredError(
        f"The {kind} {shown!r} is not registered. Pass it when loading: "
        f"custom_objects={{{name!r}: {name.split('>')[-1]}}}; or decorate its definition with "
        "@nngraph.saving.register_keras_serializable() and import it before loading."
    )


def _public_module(module: Any) -> str:
    """Return the module of a description; one written by Keras itself uses the same public names."""
    if not isinstance(module, str):
        return ""
    return "nngraph" + module[len("keras") :] if module.split(".")[0] == "keras" else module


def _import_packages(*names: str) -> None:
    for name in names or _PACKAGES:
        try:
            import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
