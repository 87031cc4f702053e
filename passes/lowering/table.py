"""What a target's table of forms holds."""

from __future__ import annotations

from collections.abc import Callable

from nngraph.ir import Node

__all__ = ["Form"]

Form = Callable[[Node], bool]
"""Replaces a composite node in its graph and returns ``True``, or returns ``False`` where the form does not fit."""
