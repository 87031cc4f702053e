"""Carrying out a choice of layouts."""

from __future__ import annotations

from collections.abc import Sequence

from nngraph.ir import Graph, Node, Value
from passes.build import Builder, take_names
from passes.layout.choose import choose
from passes.layout.forms import Forms
from passes.layout.layouts import Layouts

__all__ = ["flip_nodes", "move"]


def move(graph: Graph, layouts: Layouts) -> int:
    """Choose between two layouts in a graph and its subgraphs, and carry it out; return how many operators moved."""
    moved = sum(move(sub, layouts) for sub in graph.subgraphs)
    forms = Forms(graph, layouts)
    chosen = choose(forms)
    flip_nodes(forms, chosen)
    return moved + len(chosen)


def flip_nodes(forms: Forms, chosen: Sequence[Node]) -> None:
    """Put each chosen operator into its other form, turning tensors where it meets one that stays."""
    if not chosen:
        return
    flipper = _Flipper(forms, set(chosen))
    for node in chosen:
        flipper.flip(node)
    for node in reversed(chosen):
        forms.graph.erase(node)
    for node in reversed(forms.graph):
        if node in forms.links and not node.output.uses and not node.output.is_output:
            forms.graph.erase(node)


class _Flipper:
    def __init__(self, forms: Forms, chosen: set[Node]) -> None:
        self.forms = forms
        self.chosen = chosen
        self.other: dict[Value, Value] = {}  # a value -> the same tensor in the other form

    def flip(self, node: Node) -> None:
        form = self.forms.recorded[node]
        how, op = self.forms.free[node], Builder(node, self.forms.layouts.by)
        inputs = list(node.inputs)
        for slot in how.slots:
            value = inputs[slot]
            assert value is not None
            inputs[slot] = self.turned(value, form)
        moved = how.moved(node)
        for old, new in zip(node.outputs, how.flip(op, inputs), strict=True):
            take_names(new, old)
            if old not in moved:
                old.replace_uses(new)
                continue
            self.other[old] = new
            self.hand_on(node, old, new, form)

    def turned(self, value: Value, form: int) -> Value:
        """Return a tensor in the other form: what is there already, or a new node next to its producer."""
        known = self.other.get(value)
        if known is not None:
            return known
        if value.data is not None:
            new = self.forms.graph.add_constant(self.forms.layouts.turn_constant(value.data, form), value.name)
        elif value.producer in self.forms.links:
            assert value.producer is not None and value.producer.inputs[0] is not None
            new = value.producer.inputs[0]
        else:
            new = self.turn(value, form, value.producer.next if value.producer is not None else None)
            self.absorb_links(value, new, skip=new.producer)
        self.other[value] = new
        return new

    def hand_on(self, node: Node, old: Value, new: Value, form: int) -> None:
        """Give the new value to those who want it, and the old form of it to the others."""
        self.absorb_links(old, new)
        if not old.is_output and all(self.follows(user, slot) for user, slot in old.uses):
            return
        recorded = self.turn(new, 1 - form, node)
        self.other[recorded] = new
        old.replace_uses(recorded)

    def follows(self, user: Node, slot: int) -> bool:
        """Whether a use of a tensor changes its form too."""
        return user in self.chosen and slot in self.forms.free[user].slots

    def absorb_links(self, value: Value, new: Value, skip: Node | None = None) -> None:
        """Replace the links of a value by the tensor that is there now in that form."""
        for user in value.users:
            if user in self.forms.links and user is not skip:
                user.output.replace_uses(new)
                self.forms.graph.erase(user)

    def turn(self, value: Value, form: int, before: Node | None) -> Value:
        graph = self.forms.graph
        anchor = before if before is not None else graph.first
        assert anchor is not None
        by = self.forms.layouts.by
        made = self.forms.layouts.turn(Builder(anchor, by), value, form)
        assert made.producer is not None
        if value.producer is not None:
            made.producer.origin = value.producer.origin.rewritten(by)
        return made
