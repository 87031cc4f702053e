"""Functions give the dtypes that Keras gives, at once and in a graph; ``golden/ops.json`` holds Keras's answers."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from golden import op_cases as cases
from nngraph import ops
from nngraph.ir import Graph, TensorType
from nngraph.ops.trace import Trace

GOLDEN: dict[str, list[str]] = json.loads((Path(__file__).parent.parent / "golden" / "ops.json").read_text())


class Traced(SimpleNamespace):
    """Our functions, with tensors of ones that are inputs of a graph."""

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph=graph)

    def ones(self, shape: tuple[int, ...], dtype: str = "float32") -> Any:
        return self.graph.add_input("x", TensorType(dtype, shape))

    def cast(self, x: Any, dtype: str) -> Any:
        return self.ones(x.shape, dtype)

    def __getattr__(self, name: str) -> Any:
        return getattr(ops, name)


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize("name", cases.UNARY)
def test_dtype_of_one_argument(name: str, traced: bool) -> None:
    graph = Graph("dtypes")
    with Trace(graph):
        found = cases.unary(Traced(graph) if traced else ops, name)
    answers = zip(cases.KINDS, found, GOLDEN[name], strict=True)
    wrong = [f"{kind}: {ours}, Keras {theirs}" for kind, ours, theirs in answers if theirs not in ("-", ours)]
    assert not wrong, wrong


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize("name", cases.BINARY)
def test_dtype_of_two_arguments(name: str, traced: bool) -> None:
    graph = Graph("dtypes")
    with Trace(graph):
        found = cases.binary(Traced(graph) if traced else ops, name)
    wrong = [
        f"{pair}: {ours}, Keras {theirs}"
        for pair, ours, theirs in zip(cases.PAIRS, found, GOLDEN[name], strict=True)
        if theirs not in ("-", ours) and not cases.differs(name, pair)
    ]
    assert not wrong, wrong
