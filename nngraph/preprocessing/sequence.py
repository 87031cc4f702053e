"""Sequences: ``pad_sequences`` of ``nngraph.utils``."""

from __future__ import annotations

from nngraph.utils.sequences import pad_sequences

__all__ = ["pad_sequences"]
