"""Forms that run faster than the portable ones on the CPU provider."""

from __future__ import annotations

from passes.lowering.table import Form

__all__ = ["FORMS"]

FORMS: dict[str, Form] = {}
