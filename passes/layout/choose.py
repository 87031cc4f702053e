"""The choice of layouts, as a minimum cut."""

from __future__ import annotations

from itertools import count
from typing import Any

import networkx as nx

from nngraph.ir import Node, Value
from passes.layout.forms import Forms

__all__ = ["choose"]

_PER_TURN = 4096
"""What turning a tensor costs besides its size, in bytes: a node more to run."""

_PER_FLIP = 1
"""What it costs to move an operator, so that nothing moves without a gain."""

_SCALE = 1000

_ZERO, _ONE = "form 0", "form 1"


def choose(forms: Forms) -> list[Node]:
    """Return the operators that should work in the other layout than they do now, in the order of the graph."""
    gains = any(how.gain for how in forms.free.values())
    if not forms.free or not (forms.links or gains):
        return []
    network = nx.DiGraph()
    network.add_nodes_from((_ZERO, _ONE))
    for node, how in forms.free.items():
        # Cutting the first edge puts the node into form 1, cutting the second into form 0.
        network.add_edge(_ZERO, node, capacity=_SCALE * max(-how.gain, 0) + _PER_FLIP * (forms.recorded[node] == 0))
        network.add_edge(node, _ONE, capacity=_SCALE * max(how.gain, 0) + _PER_FLIP * (forms.recorded[node] == 1))
    fresh = count()
    for source, members in _tensors(forms).items():
        _add_tensor(network, forms, source, members, fresh)
    _, (zeros, _) = nx.minimum_cut(network, _ZERO, _ONE, flow_func=nx.algorithms.flow.boykov_kolmogorov)
    return [node for node in forms.free if forms.recorded[node] != (0 if node in zeros else 1)]


def _tensors(forms: Forms) -> dict[Value, list[Value]]:
    """Every tensor once, under the value from which its other form is made."""
    found: dict[Value, list[Value]] = {}
    for value in forms.form:
        found.setdefault(forms.source(value), []).append(value)
    return found


def _add_tensor(network: Any, forms: Forms, source: Value, members: list[Value], fresh: Any) -> None:
    """Charge one turn when any user wants the tensor in another form than its producer makes it."""
    producer = source.producer
    moves = producer in forms.free and forms.free[producer].moves
    made: Any = producer if moves else (_ZERO, _ONE)[forms.form[source]]
    wanted = dict.fromkeys(user for value in members for user in _users(forms, value))
    wanted.pop(made, None)
    if not wanted:
        return
    cost = forms.layouts.cost(source, forms.form[source])
    # An edge without a capacity cannot be cut.
    capacity = {} if cost is None else {"capacity": _SCALE * (_PER_TURN + cost)}
    to_one, to_zero = next(fresh), next(fresh)
    if made != _ONE:
        network.add_edge(made, to_one, **capacity)
        network.add_edges_from((to_one, user) for user in wanted if user != _ZERO)
    if made != _ZERO:
        network.add_edge(to_zero, made, **capacity)
        network.add_edges_from((user, to_zero) for user in wanted if user != _ONE)


def _users(forms: Forms, value: Value) -> list[Any]:
    found: list[Any] = []
    fixed = (_ZERO, _ONE)[forms.form[value]]
    for user, slot in value.uses:
        if user in forms.links:
            continue
        found.append(user if user in forms.free and slot in forms.free[user].slots else fixed)
    return [*found, fixed] if value.is_output else found
