"""Minimum cuts, by Dinic's algorithm on lists of integers.

E. A. Dinic, "Algorithm for solution of a problem of maximum flow in networks with power estimation" (1970): as long as
the sink can be reached, send along all shortest paths at once what they take.
"""

from __future__ import annotations

__all__ = ["SINK", "SOURCE", "Network"]

SOURCE, SINK = 0, 1

_NEVER = 1 << 80
"""A capacity that no sum of others reaches."""


class Network:
    """A directed graph with capacities; its nodes are numbers, the first two are the source and the sink.

    Example:
        >>> network = Network(); a = network.add_node()
        >>> network.add_edge(SOURCE, a, 3); network.add_edge(a, SINK, 2)
        >>> network.cut()
        (2, [False, True, False])
    """

    def __init__(self) -> None:
        self._edges: list[list[int]] = [[], []]
        # Edge e leads to _heads[e]; edge e ^ 1 is the same one backwards.
        self._heads: list[int] = []
        self._left: list[int] = []

    def add_node(self) -> int:
        """Return the number of a new node."""
        self._edges.append([])
        return len(self._edges) - 1

    def add_edge(self, a: int, b: int, capacity: int | None = None, back: int | None = 0) -> None:
        """Add an edge from ``a`` to ``b``, and one back; one whose capacity is ``None`` cannot be cut."""
        if capacity == back == 0:
            return
        forward = len(self._heads)
        self._edges[a].append(forward)
        self._edges[b].append(forward + 1)
        self._heads += (b, a)
        self._left += (_NEVER if capacity is None else capacity, _NEVER if back is None else back)

    def cut(self) -> tuple[int, list[bool]]:
        """Return the capacity of a minimum cut, and for each node whether it is on the sink's side.

        Of several minimum cuts it is the one with the fewest nodes on the sink's side. What is left of the capacities
        afterwards is that of this flow: a network is cut once.

        Raises:
            ValueError: every cut would go through an edge that cannot be cut.
        """
        flow = 0
        while (distance := self._distances())[SOURCE] >= 0:
            flow += self._send(distance)
            if flow >= _NEVER:
                raise ValueError("the source and the sink cannot be separated")
        return flow, [d >= 0 for d in distance]

    def _distances(self) -> list[int]:
        """Return how far each node is from the sink: -1 where it cannot be reached, or not before the source is."""
        heads, left = self._heads, self._left
        distance = [-1] * len(self._edges)
        distance[SINK] = 0
        reached = [SINK]
        for node in reached:
            further = distance[node] + 1
            for edge in self._edges[node]:
                before = heads[edge]
                if distance[before] < 0 and left[edge ^ 1]:
                    distance[before] = further
                    reached.append(before)
            if distance[SOURCE] >= 0:
                return distance  # what is further than the source lies on no shortest path
        return distance

    def _send(self, distance: list[int]) -> int:
        """Send what shortest paths take; return how much that was."""
        heads, left, edges = self._heads, self._left, self._edges
        following = [0] * len(edges)  # the edges before were tried already
        sent, path, node = 0, list[int](), SOURCE
        while True:
            if node == SINK:
                amount = min(left[edge] for edge in path)
                for edge in path:
                    left[edge] -= amount
                    left[edge ^ 1] += amount
                sent += amount
                full = next(k for k, edge in enumerate(path) if not left[edge])
                node = heads[path[full] ^ 1]
                del path[full:]
            tried = edges[node]
            k, nearer = following[node], distance[node] - 1
            while k < len(tried) and not (left[tried[k]] and distance[heads[tried[k]]] == nearer):
                k += 1
            following[node] = k
            if k < len(tried):
                path.append(tried[k])
                node = heads[tried[k]]
            elif not path:
                return sent
            else:
                distance[node] = -2  # a dead end
                node = heads[path.pop() ^ 1]
