"""Forms that the CUDA provider runs better than the portable ones."""

from __future__ import annotations

from passes.lowering.table import Form

__all__ = ["FORMS"]

FORMS: dict[str, Form] = {}
