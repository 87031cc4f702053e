"""Initializers: how the values of a new variable are chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nngraph.initializers.base import Initializer
from nngraph.initializers.constant_initializers import STFT, Constant, Identity, Ones, Zeros
from nngraph.initializers.random_initializers import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    RandomInitializer,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
)
from nngraph.naming import snake_case
from nngraph.saving.lookup import Lookup

__all__ = [
    "STFT",
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "IdentityInitializer",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "OrthogonalInitializer",
    "RandomInitializer",
    "RandomNormal",
    "RandomUniform",
    "STFTInitializer",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "constant",
    "deserialize",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "serialize",
    "stft",
    "truncated_normal",
    "variance_scaling",
    "zeros",
]

IdentityInitializer = Identity
OrthogonalInitializer = Orthogonal
STFTInitializer = STFT

constant = Constant
glorot_normal = GlorotNormal
glorot_uniform = GlorotUniform
he_normal = HeNormal
he_uniform = HeUniform
identity = Identity
lecun_normal = LecunNormal
lecun_uniform = LecunUniform
ones = Ones
orthogonal = Orthogonal
random_normal = RandomNormal
random_uniform = RandomUniform
stft = STFT
truncated_normal = TruncatedNormal
variance_scaling = VarianceScaling
zeros = Zeros

_CLASSES = (
    Constant,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Identity,
    LecunNormal,
    LecunUniform,
    Ones,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    STFT,
    TruncatedNormal,
    VarianceScaling,
    Zeros,
)
_LOOKUP = Lookup(
    "initializer",
    "nngraph.initializers",
    {cls.__name__: cls for cls in _CLASSES}
    | {snake_case(cls.__name__): cls for cls in _CLASSES}
    | {"IdentityInitializer": Identity, "OrthogonalInitializer": Orthogonal, "STFTInitializer": STFT}
    | {"normal": RandomNormal, "one": Ones, "uniform": RandomUniform, "zero": Zeros},
)


def get(identifier: Any) -> Any:
    """Return the initializer for a name, a configuration, a class or an initializer; None stays None.

    Raises ValueError for an unknown name, naming the nearest, and for anything else.

    >>> type(get("he_normal")).__name__
    'HeNormal'
    >>> get("zeross")
    Traceback (most recent call last):
    ...
    ValueError: Unknown initializer 'zeross'. Did you mean 'zeros'? ...
    """
    return _LOOKUP.get(identifier)


def serialize(initializer: Any) -> Any:
    """Return the configuration of an initializer as plain data."""
    return _LOOKUP.serialize(initializer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return the initializer that `serialize` described.

    >>> deserialize(serialize(Constant(3.0))).value
    3.0
    """
    return _LOOKUP.deserialize(config, custom_objects)
