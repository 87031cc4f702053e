"""Which tensors of a graph stand in which of two layouts, and which operators could work in either.

A permutation p connects two layouts: form 0 and form 1, where ``Transpose(form 0, p)`` is form 1. Starting from the
transposes by p and by its inverse, forms spread to all tensors that operators connect with them.
"""

from __future__ import annotations

from collections import deque

from nngraph.ir import Graph, Node, Value, numpy_dtype
from passes.layout.agnostic import Agnostic, Perm, agnostic
from passes.simplify.views import goes_into_matmul, permutation

__all__ = ["Forms", "bytes_of", "inverse"]

_GUESS = 32
"""What a size that is only a name counts as."""


def inverse(perm: Perm) -> Perm:
    """Return the permutation that undoes another.

    Example:
        >>> inverse((0, 3, 1, 2))
        (0, 2, 3, 1)
    """
    return tuple(perm.index(k) for k in range(len(perm)))


def bytes_of(value: Value) -> int:
    """Return the size of a value in bytes; unknown sizes are guessed."""
    count = 1
    for dim in value.shape:
        count *= dim if isinstance(dim, int) else _GUESS
    return count * (1 if value.dtype == "string" else numpy_dtype(value.dtype).itemsize)


class Forms:
    """The forms of the tensors in one graph for one permutation.

    Attributes:
        form: each tensor that was reached, and the layout in which it stands: 0 or 1.
        free: the operators that could work in either layout, how, in the order of the graph.
        recorded: the layout in which each of them stands.
        links: the transposes from one form to the other.
    """

    def __init__(self, graph: Graph, perm: Perm) -> None:
        self.graph = graph
        self.perms = (perm, inverse(perm))
        self.form: dict[Value, int] = {}
        self.free: dict[Node, Agnostic] = {}
        self.recorded: dict[Node, int] = {}
        self.links: set[Node] = set()
        self._fixed: set[Node] = set()
        self._queue: deque[Value] = deque()
        for node in graph:
            if self._is_transpose(node) and node not in self.links and node.inputs[0] not in self.form:
                assert node.inputs[0] is not None
                self._set(node.inputs[0], self.perms.index(permutation(node)))
                self._spread()
        order = {node: k for k, node in enumerate(graph)}
        self.free = dict(sorted(self.free.items(), key=lambda item: order[item[0]]))

    def source(self, value: Value) -> Value:
        """The value from which linking transposes made this one."""
        while value.producer in self.links:
            assert value.producer is not None and value.producer.inputs[0] is not None
            value = value.producer.inputs[0]
        return value

    def _is_transpose(self, node: Node) -> bool:
        return node.op_id == "Transpose" and permutation(node) in self.perms and not goes_into_matmul(node)

    def _set(self, value: Value, form: int) -> None:
        if value not in self.form and value.data is None:
            self.form[value] = form
            self._queue.append(value)

    def _spread(self) -> None:
        while self._queue:
            value = self._queue.popleft()
            if value.producer is not None and value.graph is self.graph:
                self._visit(value.producer, self.form[value])
            for user in value.users:
                if user.graph is self.graph:
                    self._visit(user, self.form[value])

    def _visit(self, node: Node, form: int) -> None:
        """Look at a node next to a tensor of some form."""
        if node in self.free or node in self.links or node in self._fixed:
            return
        if self._is_transpose(node):
            self._link(node)
            return
        how = agnostic(node, self.perms[form])
        if how is None:
            self._fixed.add(node)
            return
        inputs = [v for k in how.slots if (v := node.inputs[k]) is not None and v.data is None]
        tensors = [*inputs, *node.outputs] if how.moves else inputs
        # The tensor that led here may be one that the operator does not treat as a tensor.
        if all(v not in self.form for v in tensors):
            return
        if not inputs or any(self.form.get(v, form) != form for v in tensors):
            self._fixed.add(node)
            return
        self.free[node], self.recorded[node] = how, form
        for value in tensors:
            self._set(value, form)

    def _link(self, node: Node) -> None:
        """Make a transpose a link between the two forms if its ends agree with that."""
        x, y, perm = node.inputs[0], node.output, permutation(node)
        assert x is not None
        known = self.form.get(x, 1 - self.form[y] if y in self.form else None)
        if known is None or x.data is not None or self.form.get(y, 1 - known) != 1 - known or perm != self.perms[known]:
            self._fixed.add(node)
            return
        self.links.add(node)
        self._set(x, known)
        self._set(y, 1 - known)
