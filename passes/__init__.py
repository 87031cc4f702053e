"""Graph passes: gradients, simplification, fusion and lowering."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from passes.autodiff import append_gradients, gradients
    from passes.base import PASSES, Pass, PassManager, Report, parse
    from passes.lowering import lower
    from passes.pipelines import pipeline
    from passes.signature import freeze, prune_inputs, specialize

__all__ = [
    "PASSES",
    "Pass",
    "PassManager",
    "Report",
    "append_gradients",
    "freeze",
    "gradients",
    "lower",
    "parse",
    "pipeline",
    "prune_inputs",
    "specialize",
]

_HOMES = {
    "PASSES": "base",
    "Pass": "base",
    "PassManager": "base",
    "Report": "base",
    "append_gradients": "autodiff",
    "freeze": "signature",
    "gradients": "autodiff",
    "lower": "lowering",
    "parse": "base",
    "pipeline": "pipelines",
    "prune_inputs": "signature",
    "specialize": "signature",
}
"""Public name to the module that defines it; the module is imported at first use."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'passes' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"passes.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
