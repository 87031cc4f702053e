"""The layout of tensors: where transposes stand, and which operators can work on a transposed tensor instead."""

from __future__ import annotations

from passes.layout.blocked import Blocks
from passes.layout.sequences import Loops
from passes.layout.transposes import Transposes

__all__ = ["Blocks", "Loops", "Transposes"]
