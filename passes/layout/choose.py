"""The choice of layouts, as a minimum cut."""

from __future__ import annotations

from nngraph.ir import Node, Value
from passes.layout.cut import SINK, SOURCE, Network
from passes.layout.forms import Forms

__all__ = ["choose"]

_PER_TURN = 4096
"""What turning a tensor costs besides its size, in bytes: a node more to run."""

_PER_FLIP = 1
"""What it costs to move an operator, so that nothing moves without a gain."""

_SCALE = 1000

_SIDES = (SOURCE, SINK)
"""The node of the network that stands for each form."""


def choose(forms: Forms) -> list[Node]:
    """Return the operators that should work in the other layout than they do now, in the order of the graph."""
    gains = any(how.gain for how in forms.free.values())
    if not forms.free or not (forms.links or gains):
        return []
    network = Network()
    places = {node: network.add_node() for node in forms.free}
    for node, place in places.items():
        gain, recorded = forms.free[node].gain, forms.recorded[node]
        # Cutting the first edge puts the node into form 1, cutting the second into form 0.
        network.add_edge(SOURCE, place, _SCALE * max(-gain, 0) + _PER_FLIP * (recorded == 0))
        network.add_edge(place, SINK, _SCALE * max(gain, 0) + _PER_FLIP * (recorded == 1))
    for source, members in _tensors(forms).items():
        _add_tensor(network, places, forms, source, members)
    _, ones = network.cut()
    return [node for node, place in places.items() if forms.recorded[node] != ones[place]]


def _tensors(forms: Forms) -> dict[Value, list[Value]]:
    """Every tensor once, under the value from which its other form is made."""
    found: dict[Value, list[Value]] = {}
    for value in forms.form:
        found.setdefault(forms.source(value), []).append(value)
    return found


def _add_tensor(network: Network, places: dict[Node, int], forms: Forms, source: Value, members: list[Value]) -> None:
    """Charge one turn when any user wants the tensor in another form than its producer makes it."""
    producer = source.producer
    how = None if producer is None else forms.free.get(producer)
    made = _SIDES[forms.form[source]] if producer is None or how is None or not how.moves else places[producer]
    wanted = dict.fromkeys([user for value in members for user in _users(places, forms, value)])
    wanted.pop(made, None)
    if not wanted:
        return
    cost = forms.layouts.cost(source, forms.form[source])
    capacity = None if cost is None else _SCALE * (_PER_TURN + cost)
    if len(wanted) == 1:
        network.add_edge(made, next(iter(wanted)), capacity, capacity)
        return
    # Turned once, it serves all of them.
    to_one, to_zero = network.add_node(), network.add_node()
    network.add_edge(made, to_one, capacity)
    network.add_edge(to_zero, made, capacity)
    for user in wanted:
        network.add_edge(to_one, user)
        network.add_edge(user, to_zero)


def _users(places: dict[Node, int], forms: Forms, value: Value) -> list[int]:
    fixed = _SIDES[forms.form[value]]
    found = [fixed] if value.is_output else []
    for user, slot in value.uses:
        how = forms.free.get(user)
        if how is not None:
            found.append(places[user] if slot in how.slots else fixed)
        elif user not in forms.links:
            found.append(fixed)
    return found
