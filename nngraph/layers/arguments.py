"""Checks of constructor arguments that layers share, and their way into a configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from nngraph import activations, config, constraints, initializers, regularizers
from nngraph.errors import unknown_name
from nngraph.saving.registry import serialize_keras_object

__all__ = [
    "check_dilation",
    "config_of",
    "data_format_of",
    "fraction",
    "integer",
    "layer_name",
    "no_quantization",
    "one_of",
    "padding_of",
    "per_axis",
    "seed_of",
]


def layer_name(layer: Any) -> str:
    """Return how an error of a constructor calls the layer: its class name."""
    return type(layer).__name__


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def integer(layer: Any, argument: str, value: Any, *, least: int = 1) -> int:
    """Return an integer argument.

    Raises:
        ValueError: it is no integer, or smaller than ``least``.
    """
    if not _is_integer(value) or value < least:
        kind = "a positive integer" if least == 1 else f"an integer of at least {least}"
        raise ValueError(f"{layer_name(layer)}: {argument} must be {kind}, got {value!r}")
    return int(value)


def per_axis(layer: Any, argument: str, value: Any, rank: int, *, least: int = 1) -> tuple[int, ...]:
    """Return an argument with one integer for each spatial axis; a single integer counts for all.

    Raises:
        ValueError: the length or a number does not fit.
    """
    sequence = tuple(value) if isinstance(value, (tuple, list, np.ndarray)) else ()
    many = (value,) * rank if _is_integer(value) else sequence
    if len(many) != rank or not all(_is_integer(v) and v >= least for v in many):
        kind = "a positive integer" if least == 1 else f"an integer of at least {least}"
        several = f" or a tuple of {rank} of them" if rank > 1 else " or a tuple of one"
        raise ValueError(f"{layer_name(layer)}: {argument} must be {kind}{several}, got {value!r}")
    return tuple(int(v) for v in many)


def fraction(layer: Any, argument: str, value: Any, *, below_one: bool = False) -> float:
    """Return a number from 0 to 1 (with ``below_one`` less than 1).

    Raises:
        ValueError: it is none.
    """
    is_number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= 1 or (below_one and value == 1):
        bounds = "at least 0 and less than 1" if below_one else "from 0 to 1"
        raise ValueError(f"{layer_name(layer)}: {argument} must be a number {bounds}, got {value!r}")
    return value if isinstance(value, (int, float)) else float(value)


def one_of(layer: Any, argument: str, value: Any, options: Iterable[Any]) -> Any:
    """Return an argument that must be one of some names.

    Raises:
        ValueError: it is another; the nearest is named.
    """
    options = tuple(options)
    if value not in options:
        raise unknown_name(f"{argument} of {layer_name(layer)}", value, [o for o in options if isinstance(o, str)])
    return value


def data_format_of(layer: Any, value: str | None) -> str:
    """Return ``"channels_last"`` or ``"channels_first"``; ``None`` stands for the configured one.

    Raises:
        ValueError: it is unknown.
    """
    wanted = config.image_data_format() if value is None else value
    return one_of(layer, "data_format", wanted, ("channels_last", "channels_first"))


def padding_of(layer: Any, value: Any, options: Sequence[str] = ("valid", "same")) -> str:
    """Return a kind of padding, in lower case.

    Raises:
        ValueError: it is unknown.
    """
    wanted = value.lower() if isinstance(value, str) else value
    if wanted == "causal" and "causal" not in options:
        raise ValueError(f"{layer_name(layer)}: padding='causal' is for Conv1D only; use 'valid' or 'same'")
    return one_of(layer, "padding", wanted, options)


def check_dilation(layer: Any, strides: Sequence[int], dilation_rate: Sequence[int]) -> None:
    """Refuse strides and dilation together.

    Raises:
        ValueError: both are more than 1.
    """
    if max(strides) > 1 and max(dilation_rate) > 1:
        raise ValueError(
            f"{layer_name(layer)}: strides={tuple(strides)} and dilation_rate={tuple(dilation_rate)} cannot both be "
            "more than 1; leave one of them at 1"
        )


def seed_of(layer: Any, seed: Any) -> Any:
    """Return a ``seed`` argument for a configuration: a number, ``None``, or the description of a generator."""
    return serialize_keras_object(seed) if hasattr(seed, "get_config") else seed


_KINDS: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (initializers.Initializer, initializers.serialize),
    (regularizers.Regularizer, regularizers.serialize),
    (constraints.Constraint, constraints.serialize),
)


def config_of(layer: Any, *arguments: str) -> dict[str, Any]:
    """Return constructor arguments, kept as attributes of the same names, in a form that a configuration holds."""
    return {name: _described(name, getattr(layer, name)) for name in arguments}


def _described(name: str, value: Any) -> Any:
    for kind, serialize in _KINDS:
        if isinstance(value, kind):
            return serialize(value)
    if callable(value):
        return activations.serialize(value) if "activation" in name else serialize_keras_object(value)
    return value


def no_quantization(layer: Any, quantization_config: Any) -> None:
    """Refuse ``quantization_config``.

    Raises:
        ValueError: it is given.
    """
    if quantization_config is not None:
        raise ValueError(
            f"{layer_name(layer)}: quantization_config is not supported; leave it out and quantize the exported file"
        )
