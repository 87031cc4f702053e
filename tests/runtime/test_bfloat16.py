"""bfloat16 arrays go into the runtime and come out of it, of which its Python interface knows nothing."""

from __future__ import annotations

import numpy as np
import pytest

from nngraph import ops
from nngraph.ir import Graph, TensorType, numpy_dtype
from nngraph.ops.trace import Trace
from nngraph.runtime import BoundStep, Cell, Session

NUMBERS = np.array([[1.5, -2.0, 0.25]], numpy_dtype("bfloat16"))


def doubled(*shape) -> Graph:
    graph = Graph("doubled")
    with Trace(graph):
        x = graph.add_input("x", TensorType("bfloat16", shape))
        graph.set_outputs([x + x], ["y"])
    return graph


@pytest.mark.parametrize("shape", [(1, 3), ("batch", 3)])
def test_a_session_takes_and_gives_them(shape) -> None:
    found = Session(doubled(*shape), "cpu").run({"x": NUMBERS})["y"]
    assert found.dtype == NUMBERS.dtype
    assert found.tolist() == [[3.0, -4.0, 0.5]]


def test_state_and_buffers_hold_them() -> None:
    session, cell = Session(doubled(1, 3), "cpu"), Cell(NUMBERS.copy())
    step = BoundStep(session, [("x", "y", cell)], [], [])
    for _ in range(3):
        step.run()
    assert cell.read().tolist() == [[12.0, -16.0, 2.0]]


def test_an_empty_array() -> None:
    assert Session(doubled("batch", 3), "cpu").run({"x": NUMBERS[:0]})["y"].shape == (0, 3)


@pytest.mark.parametrize("operation", [ops.exp, ops.transpose, lambda x: ops.sum(x, axis=1), ops.sort])
def test_operations_at_once_are_those_of_float32_rounded(operation) -> None:
    found = np.asarray(operation(NUMBERS))
    assert found.dtype == NUMBERS.dtype
    assert np.array_equal(found, np.asarray(operation(NUMBERS.astype(np.float32))).astype(NUMBERS.dtype))
