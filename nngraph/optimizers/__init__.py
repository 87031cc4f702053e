"""Optimizers: how gradients change variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nngraph.optimizers import schedules
from nngraph.optimizers.adafactor import Adafactor
from nngraph.optimizers.adam import Adam, AdamW
from nngraph.optimizers.adam_family import Adamax, Lamb, Nadam
from nngraph.optimizers.adaptive import Adadelta, Adagrad, RMSprop
from nngraph.optimizers.ftrl import Ftrl
from nngraph.optimizers.lion import Lion
from nngraph.optimizers.loss_scale import LossScaleOptimizer
from nngraph.optimizers.multi import MultiOptimizer, OptimizerMap
from nngraph.optimizers.muon import Muon
from nngraph.optimizers.optimizer import Optimizer
from nngraph.optimizers.schedule_free import ScheduleFreeAdamW
from nngraph.optimizers.sgd import SGD
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
    "MultiOptimizer",
    "Muon",
    "Nadam",
    "Optimizer",
    "OptimizerMap",
    "RMSprop",
    "ScheduleFreeAdamW",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]

_RULES = (
    SGD,
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    AdamW,
    Adamax,
    Ftrl,
    Lamb,
    Lion,
    Muon,
    Nadam,
    RMSprop,
    ScheduleFreeAdamW,
)
_WRAPPERS = (LossScaleOptimizer, MultiOptimizer, OptimizerMap, Optimizer)
_LOOKUP = Lookup(
    "optimizer",
    "nngraph.optimizers",
    {
        **{cls.__name__: cls for cls in (*_RULES, *_WRAPPERS)},
        **{rule.__name__.lower(): rule for rule in _RULES},
    },
)


def get(identifier: Any) -> Any:
    """Return the optimizer for a string, a configuration, a class or an object; None stays None.

    Raises:
        ValueError: the name is unknown; the message suggests the nearest. So is anything that is no optimizer.

    >>> get("sgd").get_config()["learning_rate"]
    0.01
    """
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    found = _LOOKUP.get(identifier)
    if not isinstance(found, Optimizer):
        raise ValueError(f"Expected an Optimizer, or the name of one such as 'adam'. Received: {identifier!r}")
    return found


def serialize(optimizer: Any) -> Any:
    """Return the configuration of an optimizer as plain data."""
    return _LOOKUP.serialize(optimizer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return the optimizer that `serialize` described.

    >>> deserialize(serialize(SGD(0.5, momentum=0.9))).momentum
    0.9
    """
    return _LOOKUP.deserialize(config, custom_objects)
