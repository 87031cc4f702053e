"""Carrying out a choice of layouts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nngraph.ir import Node, Value
from passes.build import Builder, take_names
from passes.layout.agnostic import Perm
from passes.layout.forms import Forms

__all__ = ["flip_nodes"]

_BY = "transposes"


def flip_nodes(forms: Forms, chosen: Sequence[Node]) -> None:
    """Put each chosen operator into its other form, with transposes where it meets one that stays."""
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
        how, op = self.forms.free[node], Builder(node, _BY)
        inputs = list(node.inputs)
        for slot in how.slots:
            value = inputs[slot]
            assert value is not None
            inputs[slot] = self.turned(value, self.forms.perms[form])
        for old, new in zip(node.outputs, how.flip(op, inputs), strict=True):
            take_names(new, old)
            if not how.moves:
                old.replace_uses(new)
                continue
            self.other[old] = new
            self.hand_on(node, old, new, self.forms.perms[1 - form])

    def turned(self, value: Value, perm: Perm) -> Value:
        """Return a tensor in the other form: what is there already, or a new transpose next to its producer."""
        known = self.other.get(value)
        if known is not None:
            return known
        if value.data is not None:
            new = self.forms.graph.add_constant(np.ascontiguousarray(value.data.transpose(perm)), value.name)
        elif value.producer in self.forms.links:
            assert value.producer is not None and value.producer.inputs[0] is not None
            new = value.producer.inputs[0]
        else:
            new = self.transpose(value, perm, value.producer.next if value.producer is not None else None)
            self.absorb_links(value, new, skip=new.producer)
        self.other[value] = new
        return new

    def hand_on(self, node: Node, old: Value, new: Value, back: Perm) -> None:
        """Give the new value to those who want it, and a transpose of it to the others."""
        self.absorb_links(old, new)
        if not old.is_output and all(user in self.chosen for user, _ in old.uses):
            return
        recorded = self.transpose(new, back, node)
        self.other[recorded] = new
        old.replace_uses(recorded)

    def absorb_links(self, value: Value, new: Value, skip: Node | None = None) -> None:
        """Replace the transposes of a value by the tensor that is there now in that form."""
        for user in value.users:
            if user in self.forms.links and user is not skip:
                user.output.replace_uses(new)
                self.forms.graph.erase(user)

    def transpose(self, value: Value, perm: Perm, before: Node | None) -> Value:
        graph = self.forms.graph
        anchor = before if before is not None else graph.first
        assert anchor is not None
        made: Value = Builder(anchor, _BY).Transpose(value, perm=perm)
        assert made.producer is not None
        if value.producer is not None:
            made.producer.origin = value.producer.origin.rewritten(_BY)
        return made
