"""nngraph: define a network as in Keras; it becomes one ONNX graph that trains on stock ONNX Runtime.

>>> import nngraph as keras
>>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
>>> model.output_shape
(None, 3)

Names are imported when they are first used, so that ``import nngraph`` costs next to nothing.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from nngraph.version import __version__

_NAMES: dict[str, str] = {
    "DTypePolicy": "nngraph.config",
    "Initializer": "nngraph.initializers",
    "Input": "nngraph.layers.core.input_layer",
    "InputSpec": "nngraph.layers",
    "KerasTensor": "nngraph.ops",
    "Layer": "nngraph.layers",
    "Loss": "nngraph.losses",
    "Metric": "nngraph.metrics",
    "Model": "nngraph.models",
    "Optimizer": "nngraph.optimizers",
    "Regularizer": "nngraph.regularizers",
    "Sequential": "nngraph.models",
    "StatelessScope": "nngraph.stateless",
    "Variable": "nngraph.ops",
    "function": "nngraph.transforms",
    "grad": "nngraph.transforms",
    "gradients": "nngraph.transforms",
    "load_model": "nngraph.models",
    "load_onnx": "nngraph.models",
    "value_and_grad": "nngraph.transforms",
}
"""Top-level name to the module that has it."""

_MODULES = (
    *("activations", "backend", "callbacks", "config", "constraints", "datasets", "initializers", "ir", "layers"),
    *("losses", "metrics", "models", "ops", "optimizers", "preprocessing", "random", "regularizers", "runtime"),
    *("saving", "serde", "tree", "utils"),
)

__all__ = ["__version__", *sorted(_NAMES), *_MODULES, "version"]


def version() -> str:
    """Return the version."""
    return __version__


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(importlib.import_module(_NAMES[name]), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return importlib.import_module(f"nngraph.{name}")
    # With name and obj the interpreter suggests the nearest name.
    raise AttributeError(f"module 'nngraph' has no attribute {name!r}", name=name, obj=sys.modules[__name__])


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
