"""Gradients of operands that are spread along axes whose sizes have different names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nngraph import ops
from nngraph.ir import Graph, TensorType, broadcast_shapes, verify
from nngraph.ops import raw
from nngraph.ops.trace import Trace
from nngraph.runtime import Session
from nngraph.schema import infer_types
from passes.autodiff import append_gradients

X = np.random.default_rng(1)


def gradients(fn: Callable[..., Any], shapes: list[tuple[Any, ...]]) -> Graph:
    """Return the graph of the gradients of the sum of a function's results by all its inputs."""
    graph = Graph("g")
    with Trace(graph):
        xs = [graph.add_input(f"x{k}", TensorType("float64", s)) for k, s in enumerate(shapes)]
        y = fn(*xs)
        graph.set_outputs(append_gradients([y], xs), [f"d{k}" for k in range(len(xs))])
    verify(graph, infer_types)
    return graph


CASES: dict[str, tuple[Callable[..., Any], list[tuple[Any, ...]]]] = {
    "product": (lambda x, y: raw.Mul(x, y), [("a", 2), ("b", 2)]),
    "of lower rank": (lambda x, y: raw.Mul(x, y), [("a",), ("c", "b")]),
    "with a number": (lambda x, y: raw.Mul(x, y), [("a",), (3,)]),
    "used twice": (lambda x, y: raw.Add(raw.Mul(x, y), raw.Sub(y, x)), [("a",), ("b",)]),
    "three operands": (lambda x, y, z: raw.Mul(raw.Sum(x, y, z), y), [("a",), ("b",), ("c",)]),
    "choice": (lambda x, y: raw.Where(raw.Greater(x, 0), x, y), [("a",), ("b",)]),
    "matrices": (lambda x, y: raw.MatMul(x, y), [("a", 2, 2), ("b", 2, 2)]),
    "matrices and one": (lambda x, y: raw.MatMul(x, y), [("a", 2, 2), (3, 2, 2)]),
    "expansion": (lambda x, y: raw.Mul(raw.Expand(x, raw.Shape(y)), y), [("a",), ("b",)]),
    "an offset": (lambda x, y: raw.Gemm(x, x, y), [(3, 3), ("a", "b")]),
    "power": (lambda x, y: raw.Pow(raw.Exp(x), y), [("a",), ("b",)]),
    "slope": (lambda x, y: raw.PRelu(x, y), [("a",), ("b",)]),
}


@pytest.mark.parametrize("ones", [(), ("a",), ("b",), ("a", "b")])
@pytest.mark.parametrize("name", CASES)
def test_gradient_has_the_shape_at_run_time(name: str, ones: tuple[str, ...]) -> None:
    fn, shapes = CASES[name]
    if name == "slope" and "a" in ones and "b" not in ones:
        pytest.skip("the slope of PRelu does not spread its input")

    def sized(shape: tuple[Any, ...]) -> tuple[int, ...]:
        return tuple(d if isinstance(d, int) else 1 if d in ones else 3 for d in shape)

    arrays = [X.normal(size=sized(s)) for s in shapes]
    feeds = {f"x{k}": a for k, a in enumerate(arrays)}
    expected = Session(gradients(fn, [a.shape for a in arrays]), "cpu").run(feeds)
    found = Session(gradients(fn, shapes), "cpu").run(feeds)
    for key, value in expected.items():
        assert found[key].shape == value.shape
        np.testing.assert_allclose(found[key], value, rtol=1e-12)


def test_equal_names_cost_nothing() -> None:
    graph = gradients(lambda x, y: raw.Mul(x, y), [("batch", 2), ("batch", 2)])
    assert "NonZero" not in [n.op for n in graph]
    graph = gradients(lambda x, y: raw.Mul(x, y), [("batch", 2), (1, 2)])
    assert "NonZero" not in [n.op for n in graph]


def test_a_size_that_may_be_either_has_a_name_of_its_own() -> None:
    assert broadcast_shapes([("a",), ("b",)]) == broadcast_shapes([("b",), ("a",)]) == ("a|b",)
    assert broadcast_shapes([("a|b",), ("b",), (1,)]) == ("a|b",)
    assert broadcast_shapes([("a",), ("b",), (3,)]) == (3,)
    assert broadcast_shapes([("a",), ("?",)]) == ("?",)


def test_binding_a_name_binds_what_is_made_of_it() -> None:
    graph = Graph("g")
    with Trace(graph):
        x, y = (graph.add_input(n, TensorType("float32", (n,))) for n in "ab")
        graph.set_outputs([raw.Mul(x, y)], ["z"])
    assert graph.outputs[0].shape == ("a|b",)
    graph.bind_dims({"a": 1})
    assert graph.outputs[0].shape == ("b",)
    graph.bind_dims({"b": 3})
    assert graph.outputs[0].shape == (3,)


def test_second_derivative_of_a_spread_operand() -> None:
    graph = Graph("g")
    with Trace(graph):
        x, y = (graph.add_input(n, TensorType("float64", (n,))) for n in "xy")
        z = ops.sin(raw.Mul(x, y))
        (first,) = append_gradients([z], [x])
        graph.set_outputs(append_gradients([first], [x]), ["d"])
    x, y = np.array([0.3]), np.array([0.2, -0.7, 1.1])
    found = Session(graph, "cpu").run({"x": x, "y": y})["d"]
    np.testing.assert_allclose(found, [(-np.sin(x * y) * y * y).sum()], rtol=1e-12)
