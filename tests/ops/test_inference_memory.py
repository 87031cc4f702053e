"""Types that were inferred before are remembered: by everything on which they depend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from nngraph.ir import Graph, Node, TensorType
from nngraph.ops.trace import apply, composite, infer_composite
from nngraph.registry import COMPOSITE_DOMAIN, REGISTRY
from nngraph.schema import infer_types, lowest_opset


@pytest.fixture(autouse=True)
def rows_of() -> Iterator[None]:
    """A composite that gives as many rows as a stored number says."""
    composite("RowsOf")(lambda x, count: apply("Expand", x, count))
    yield
    del REGISTRY[COMPOSITE_DOMAIN, "RowsOf"]


def node(op: str, inputs: list[Any], domain: str = "", **attributes: Any) -> Node:
    graph = Graph("g")
    values = [
        graph.add_constant(v) if isinstance(v, np.ndarray) else v and graph.add_input(f"x{k}", v)
        for k, v in enumerate(inputs)
    ]
    return Node(op, values, attributes, domain=domain)


@pytest.mark.parametrize("rows", [2, 3, 2])
def test_composites_depend_on_constants(rows: int) -> None:
    made = node("RowsOf", [TensorType("float32", (1, 4)), np.array([rows, 4])], COMPOSITE_DOMAIN)
    assert infer_composite(made, 1) == [TensorType("float32", (rows, 4))]


@pytest.mark.parametrize("dtype", ["float32", "int64", "float32"])
def test_composites_depend_on_types(dtype: str) -> None:
    made = node("RowsOf", [TensorType(dtype, ("batch",)), np.array([1])], COMPOSITE_DOMAIN)
    assert infer_composite(made, 1) == [TensorType(dtype, ("batch",))]


def test_composites_depend_on_what_they_mean() -> None:
    made = node("RowsOf", [TensorType("float32", (1,)), np.array([3])], COMPOSITE_DOMAIN)
    assert infer_composite(made, 1)[0].shape == (3,)
    composite("RowsOf")(lambda x, count: apply("Neg", x))
    assert infer_composite(made, 1)[0].shape == (1,)


def test_large_constants_are_not_remembered() -> None:
    for rows in (2, 3):
        sizes = np.array([1] * 70 + [rows])
        made = node("RowsOf", [TensorType("float32", (1,)), sizes], COMPOSITE_DOMAIN)
        assert infer_composite(made, 1)[0].shape[-1] == rows


@pytest.mark.parametrize("parts", [3, 65, 300])
def test_every_part_of_a_split_has_a_size(parts: int) -> None:
    graph = Graph("g")
    inputs = [
        graph.add_input("x", TensorType("float32", (2 * parts + 1,))),
        graph.add_constant(np.array([3, *[2] * (parts - 1)])),
    ]
    made = graph.append(Node("Split", inputs, {"axis": 0}), [TensorType("float32", ("?",))] * parts)
    assert [t.shape for t in infer_types(made)] == [(3,), *[(2,)] * (parts - 1)]


def test_what_is_remembered_is_a_copy() -> None:
    made = node("Relu", [TensorType("float32", (2,))])
    infer_types(made).clear()
    assert infer_types(made) == [TensorType("float32", (2,))]


def test_opsets_depend_on_dtypes_and_attributes() -> None:
    assert lowest_opset(typed("Relu", "float32")) < lowest_opset(typed("Relu", "int32"))
    assert lowest_opset(typed("Cast", "float32", to="float32", saturate=1)) < lowest_opset(
        typed("Cast", "float32", to="float32", saturate=0)
    )


def typed(op: str, dtype: str, **attributes: Any) -> Node:
    graph = Graph("g")
    type = TensorType(dtype, (2,))
    inputs = [graph.add_input(f"x{k}", type) for k in range(2 if op == "Add" else 1)]
    return graph.append(Node(op, inputs, attributes), [type])
