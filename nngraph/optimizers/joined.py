"""Small variables that are updated side by side, as one vector.

A deep network has hundreds of biases and scales of a few numbers each. Updated one by one they make most of a training
step's nodes, and each of those nodes costs more than what it computes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from nngraph import ops
from nngraph.ops import Variable

__all__ = ["Joined", "elementwise", "is_elementwise", "join_small"]

_LARGEST = 8192
"""Above so many elements, copying a vector to its neighbours costs as much as the nodes that it saves."""

_MOST = 8
"""How many vectors are joined at most; more would let one layer's activations wait for the next layers' gradients."""

Rule = TypeVar("Rule", bound=Callable[..., Any])


def elementwise(rule: Rule) -> Rule:
    """Mark an `update_step` in which an entry of a variable depends on no other entry and not on the shape.

    What overrides it in a subclass is another function, without the mark.
    """
    rule._is_elementwise = True  # type: ignore[attr-defined]
    return rule


def is_elementwise(rule: Callable[..., Any]) -> bool:
    """Return whether an `update_step` is marked as elementwise."""
    return getattr(rule, "_is_elementwise", False)


class Joined:
    """Several vectors as one: what an elementwise rule needs of a variable.

    Args:
        variables: variables of one axis and of the same dtype.
    """

    def __init__(self, variables: Sequence[Variable]) -> None:
        self.variables = tuple(variables)
        self.dtype = self.variables[0].dtype
        self._whole: Any = None

    @property
    def value(self) -> Any:
        """The vectors' values, one after the other."""
        if self._whole is None:
            self._whole = ops.concatenate([v.value for v in self.variables])
        return self._whole

    def assign(self, value: Any) -> None:
        """Set every vector to its part of a value."""
        self._whole = value
        for variable, part in zip(self.variables, _parts(value, self.variables), strict=True):
            variable.assign(part)


def _parts(value: Any, variables: Sequence[Variable]) -> list[Any]:
    places, end = [], 0
    for variable in variables[:-1]:
        end += variable.shape[0]
        places.append(end)
    return list(ops.split(value, places))


def join_small(pairs: Iterable[tuple[Any, Variable]]) -> list[tuple[Any, Variable | Joined]]:
    """Return pairs (gradient, variable) in which small vectors of the same dtype have become one `Joined`.

    Only neighbours are joined, and a group has the place of its first member. Runtimes compute what the last update
    needs first: so a layer's updates follow its gradients, and what those were computed from need not wait in memory
    for the gradients of all other layers.
    """
    places: list[list[tuple[Any, Variable]]] = []
    groups: dict[str, list[tuple[Any, Variable]]] = {}
    for pair in pairs:
        shape, dtype = pair[1].shape, pair[1].dtype
        if len(shape) != 1 or not 0 < shape[0] <= _LARGEST:
            places.append([pair])
            continue
        if len(groups.get(dtype, ())) in (0, _MOST):
            groups[dtype] = []
            places.append(groups[dtype])
        groups[dtype].append(pair)
    return [_joined(group) if len(group) > 1 else group[0] for group in places]


def _joined(pairs: Sequence[tuple[Any, Variable]]) -> tuple[Any, Joined]:
    return ops.concatenate([g for g, _ in pairs]), Joined([v for _, v in pairs])
