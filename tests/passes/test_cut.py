"""Minimum cuts, against networkx as an independent oracle."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import networkx as nx
import numpy as np
import pytest

import zoo
from passes import PassManager, gradients, pipeline
from passes.layout.cut import SINK, SOURCE, Network

Edge = tuple[int, int, int | None]


def networkx_cut(count: int, edges: list[Edge]) -> tuple[int, list[bool]]:
    view = nx.DiGraph()
    view.add_nodes_from(range(count))
    for a, b, capacity in edges:
        if not view.has_edge(a, b):
            view.add_edge(a, b, capacity=0)
        if capacity is None:
            view[a][b].pop("capacity", None)
        elif "capacity" in view[a][b]:
            view[a][b]["capacity"] += capacity
    value, (_, ones) = nx.minimum_cut(view, SOURCE, SINK, flow_func=nx.algorithms.flow.boykov_kolmogorov)
    return value, [k in ones for k in range(count)]


class Recorded(Network):
    """Keeps its edges, and checks every cut."""

    cuts: list[int] = []

    def __init__(self) -> None:
        super().__init__()
        self.edges: list[Edge] = []
        self.count = 2

    def add_node(self) -> int:
        self.count += 1
        return super().add_node()

    def add_edge(self, a: int, b: int, capacity: int | None = None, back: int | None = 0) -> None:
        self.edges += [(a, b, capacity), (b, a, back)]
        super().add_edge(a, b, capacity, back)

    def cut(self) -> tuple[int, list[bool]]:
        result = super().cut()
        assert result == networkx_cut(self.count, self.edges)
        self.cuts.append(self.count)
        return result


@pytest.mark.parametrize("seed", range(40))
def test_random_networks(seed: int) -> None:
    random = np.random.default_rng(seed)
    network = Recorded()
    inner = [network.add_node() for _ in range(int(random.integers(1, 30)))]
    for _ in range(int(random.integers(1, 120))):
        a, b = (int(k) for k in random.choice([SOURCE, SINK, *inner], 2, replace=False))
        free = not {a, b} & {SOURCE, SINK} and random.random() < 0.2
        back = 0 if free or random.random() < 0.7 else int(random.integers(0, 9))
        network.add_edge(a, b, None if free else int(random.integers(0, 9)), back)
    network.cut()


@pytest.mark.parametrize("length", [1, 2, 500])
def test_a_long_chain(length: int) -> None:
    network = Recorded()
    chain = [SOURCE, *(network.add_node() for _ in range(length)), SINK]
    for k, (a, b) in enumerate(pairwise(chain)):
        network.add_edge(a, b, 3 + abs(k - length // 2))
    assert network.cut()[0] == 3


def test_of_equal_cuts_the_one_nearest_to_the_sink() -> None:
    network = Network()
    a, b = network.add_node(), network.add_node()
    for start, end in ((SOURCE, a), (a, b), (b, SINK)):
        network.add_edge(start, end, 2)
    assert network.cut() == (2, [False, True, False, False])


def test_what_cannot_be_cut() -> None:
    network = Network()
    a = network.add_node()
    network.add_edge(SOURCE, a)
    network.add_edge(a, SINK)
    with pytest.raises(ValueError, match="cannot be separated"):
        network.cut()


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Any:
    from passes.layout import choose

    monkeypatch.setattr(choose, "Network", Recorded)
    monkeypatch.setattr(Recorded, "cuts", [])
    return Recorded.cuts


@pytest.mark.parametrize("name", zoo.ZOO)
def test_layouts_of_the_zoo(name: str, recorded: list[int]) -> None:
    graphs = [zoo.ZOO[name]()]
    if name in zoo.DIFFERENTIABLE:
        output, inputs = zoo.DIFFERENTIABLE[name]
        graphs.append(gradients(zoo.ZOO[name](), [output], inputs))
    for graph in graphs:
        PassManager(pipeline("cpu"), verify=False).run(graph)
    if "channels_last" in name:
        assert Recorded.cuts, "the layouts of images are a cut"
