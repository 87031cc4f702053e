"""What a layer's ``call`` and ``build`` accept, looked up once a class."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Signature", "signature_of"]


@dataclass(frozen=True, slots=True)
class Signature:
    """Names of the parameters of a method, ``self`` left out; ``required`` are those without a default."""

    names: tuple[str, ...]
    takes_any_keyword: bool
    required: tuple[str, ...] = ()

    def accepts(self, name: str) -> bool:
        """Whether the method can be given this keyword."""
        return name in self.names or self.takes_any_keyword

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments by name; surplus positional ones are left out."""
        return {**dict(zip(self.names, args, strict=False)), **kwargs}


@functools.cache
def signature_of(function: Callable[..., Any]) -> Signature:
    """Return the signature of an unbound method."""
    parameters = list(inspect.signature(function).parameters.values())[1:]
    kinds = inspect.Parameter
    named = [p for p in parameters if p.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)]
    return Signature(
        names=tuple(p.name for p in named),
        takes_any_keyword=any(p.kind == kinds.VAR_KEYWORD for p in parameters),
        required=tuple(p.name for p in named if p.default is inspect.Parameter.empty),
    )
