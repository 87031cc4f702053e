"""What is true for the layer call in progress: training or not, and the scopes around it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

__all__ = ["CallContext", "current_context", "entered"]


@dataclass(slots=True)
class CallContext:
    """The state shared by an outermost layer call and the calls inside it.

    Attributes:
        training: whether the outermost caller said ``training=True``; ``None`` when it said nothing.
        scopes: names of the layers around, outermost first; paths of variables are made of them.
        losses: what ``add_loss`` collected since the outermost call began.
    """

    training: bool | None = None
    scopes: list[str] = field(default_factory=list)
    losses: list[Any] = field(default_factory=list)


_CONTEXT: ContextVar[CallContext | None] = ContextVar("nngraph_call", default=None)


def current_context() -> CallContext | None:
    """Return the context of the layer call in progress, if there is one."""
    return _CONTEXT.get()


@contextlib.contextmanager
def entered(scope: str, training: bool | None) -> Iterator[CallContext]:
    """Enter a layer's scope, opening a context when this is the outermost call."""
    context = _CONTEXT.get()
    token = None
    if context is None:
        context = CallContext(training)
        token = _CONTEXT.set(context)
    before = context.training
    if training is not None:
        context.training = training
    context.scopes.append(scope)
    try:
        yield context
    finally:
        context.scopes.pop()
        context.training = before
        if token is not None:
            _CONTEXT.reset(token)
