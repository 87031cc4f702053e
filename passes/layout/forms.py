"""Which tensors of a graph stand in which of two layouts, and which operators could work in either.

Forms spread from the operators that have one: from the links between the two layouts, and from what the layouts name as
seeds, through all operators that are free to choose.
"""

from __future__ import annotations

from collections import deque

from nngraph.ir import Graph, Node, Value
from passes.layout.layouts import Free, Layouts

__all__ = ["Forms"]


class Forms:
    """The forms of the tensors in one graph for one pair of layouts.

    Attributes:
        form: each tensor that was reached, and the layout in which it stands: 0 or 1.
        free: the operators that could work in either layout, how, in the order of the graph.
        recorded: the layout in which each of them stands.
        links: the operators that only turn a tensor from one form to the other.
    """

    def __init__(self, graph: Graph, layouts: Layouts) -> None:
        self.graph = graph
        self.layouts = layouts
        self.form: dict[Value, int] = {}
        self.free: dict[Node, Free] = {}
        self.recorded: dict[Node, int] = {}
        self.links: set[Node] = set()
        self._fixed: set[Node] = set()
        self._queue: deque[Value] = deque()
        for node in graph:
            for value, form in layouts.seeds(node):
                self._set(value, form)
                self._spread()
        if self.free:
            self.free = {node: self.free[node] for node in graph if node in self.free}

    def source(self, value: Value) -> Value:
        """The value from which links made this one."""
        while value.producer in self.links:
            assert value.producer is not None and value.producer.inputs[0] is not None
            value = value.producer.inputs[0]
        return value

    def _set(self, value: Value, form: int) -> None:
        if value not in self.form and value.data is None:
            self.form[value] = form
            self._queue.append(value)

    def _spread(self) -> None:
        while self._queue:
            value = self._queue.popleft()
            form = self.form[value]
            if value.producer is not None and value.graph is self.graph:
                self._visit(value.producer, form)
            for user, _ in value.uses:
                if user.graph is self.graph:
                    self._visit(user, form)

    def _visit(self, node: Node, form: int) -> None:
        """Look at a node next to a tensor of some form."""
        if node in self.free or node in self.links or node in self._fixed:
            return
        direction = self.layouts.link(node)
        if direction is not None:
            self._link(node, direction)
            return
        how = self.layouts.free(node, form)
        if how is None:
            self._fixed.add(node)
            return
        inputs = [v for k in how.slots if (v := node.inputs[k]) is not None and v.data is None]
        tensors = [*inputs, *how.moved(node)]
        # The tensor that led here may be one that the operator does not treat as a tensor.
        known = [self.form[v] for v in tensors if v in self.form]
        if not known:
            return
        if (how.slots and not inputs) or 1 - form in known:
            self._fixed.add(node)
            return
        self.free[node], self.recorded[node] = how, form
        for value in tensors:
            self._set(value, form)

    def _link(self, node: Node, direction: int) -> None:
        """Make a node a link between the two forms if its ends agree with that."""
        x, y = node.inputs[0], node.output
        assert x is not None
        known = self.form.get(x, 1 - self.form[y] if y in self.form else None)
        turned_round = known is not None and direction != known and not self.layouts.is_symmetric
        if known is None or x.data is not None or self.form.get(y, 1 - known) != 1 - known or turned_round:
            self._fixed.add(node)
            return
        self.links.add(node)
        self._set(x, known)
        self._set(y, 1 - known)
