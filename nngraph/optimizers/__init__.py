"""Optimizers, named as in ``keras.optimizers``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nngraph.optimizers import schedules
from nngraph.optimizers.adafactor import Adafactor
from nngraph.optimizers.adam import Adam, Adamax, AdamW, Lamb, Nadam
from nngraph.optimizers.adaptive import Adadelta, Adagrad, RMSprop
from nngraph.optimizers.ftrl import Ftrl
from nngraph.optimizers.loss_scale import LossScaleOptimizer
from nngraph.optimizers.muon import Muon
from nngraph.optimizers.optimizer import Optimizer
from nngraph.optimizers.schedule_free import ScheduleFreeAdamW
from nngraph.optimizers.sgd import SGD, Lion
from nngraph.saving.lookup import Lookup

__all__ = [
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lamb",
    "Lion",
    "LossScaleOptimizer",
    "Muon",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "ScheduleFreeAdamW",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]

_RULES = (
    *(SGD, Adadelta, Adafactor, Adagrad, Adam, AdamW, Adamax, Ftrl, Lamb, Lion, Muon, Nadam, RMSprop),
    *(ScheduleFreeAdamW, LossScaleOptimizer),
)
_LOOKUP = Lookup(
    "optimizer",
    "nngraph.optimizers",
    {**{rule.__name__: rule for rule in _RULES}, **{rule.__name__.lower(): rule for rule in _RULES}},
)


def get(identifier: Any) -> Any:
    """Return the optimizer for a name, a configuration or an object.

    Raises:
        ValueError: the name is unknown (the nearest one is suggested), or the object is no optimizer.

    Example:
        >>> get("adam")
        <Adam name=adam>
    """
    if isinstance(identifier, Optimizer):
        return identifier
    found = _LOOKUP.get(identifier)
    if not isinstance(found, Optimizer):
        raise ValueError(f"an optimizer is a name such as 'adam' or an Optimizer object, got {identifier!r}")
    return found


def serialize(optimizer: Optimizer) -> Any:
    """Return the configuration of an optimizer."""
    return _LOOKUP.serialize(optimizer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return the optimizer that :func:`serialize` described."""
    return _LOOKUP.deserialize(config, custom_objects)
