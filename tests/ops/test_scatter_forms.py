"""Scattering with a reduction: several updates of one place, on several threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nngraph import ops
from nngraph.ir import Graph
from nngraph.ops import raw
from nngraph.runtime import Session
from passes import PassManager, gradients, pipeline
from passes.rewrite import example

UFUNCS = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}
SHAPES = [((50, 128), 1), ((7, 9, 64), 2), ((40,), 1), ((5, 6), 2), ((4, 5, 6), 3), ((10, 3, 5, 20), 1)]


@pytest.mark.parametrize("reduction", UFUNCS)
@pytest.mark.parametrize(("shape", "depth"), SHAPES)
def test_updates_of_one_place_are_all_taken(reduction: str, shape: tuple[int, ...], depth: int) -> None:
    rng = np.random.default_rng(0)
    count = (300, 7)
    indices = np.stack([rng.integers(-size, size, count) for size in shape[:depth]], axis=-1)
    updates = rng.uniform(0.9, 1.1, count + shape[depth:]).astype("float32")
    x = rng.normal(size=shape).astype("float32")
    wanted = x.astype("float64")
    UFUNCS[reduction].at(wanted, tuple(np.moveaxis(indices, -1, 0)), updates)
    found = ops.scatter_update(x, indices, updates, reduction=reduction)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("count", [0, 1, 5])
@pytest.mark.parametrize("width", [0, 3])
def test_few_updates_and_none(count: int, width: int) -> None:
    indices, updates = np.arange(count)[:, None] % 4, np.ones((count, width), "float32")
    wanted = np.zeros((4, width))
    np.add.at(wanted, indices[:, 0], updates)
    np.testing.assert_array_equal(ops.scatter(indices, updates, (4, width)), wanted)


def embedding_gradient(rows: str, target: str) -> Graph:
    """The gradient of a table of which rows are taken, lowered for a target."""
    graph = example(lambda w, i: raw.Sin(raw.Gather(w, i)), "float32[10, 128]", f"int64[{rows}]").graph()
    graph = gradients(graph, graph.output_names, [graph.inputs[0].name])
    PassManager(pipeline(target)).run(graph)
    return graph


@pytest.mark.parametrize("target", ["portable", "cpu"])
@pytest.mark.parametrize("rows", ["3200", "n", "32, 100"])
def test_a_row_that_is_taken_often_gets_all_its_gradients(rows: str, target: str) -> None:
    """Threads of the runtime lose sums when they add to one place: some 100 rows share each of ten places here."""
    graph = embedding_gradient(rows, target)
    assert {n.attributes.get("reduction", "none") for n in graph if n.op == "ScatterND"} == {"none"}
    rng = np.random.default_rng(1)
    shape = (32, 100) if "," in rows else (3200,)
    table, taken = rng.normal(size=(10, 128)).astype("float32"), rng.integers(-10, 10, shape)
    feeds = dict(zip((v.name for v in graph.inputs), (table, taken), strict=True))
    wanted = np.zeros((10, 128))
    np.add.at(wanted, taken, np.cos(table[taken].astype("float64")))
    for _ in range(5):
        (found,) = Session(graph, "cpu").run(feeds).values()
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-3)


def test_on_a_gpu_the_provider_adds_by_itself() -> None:
    graph = embedding_gradient("3200", "cuda")
    assert [n.attributes.get("reduction") for n in graph if n.op == "ScatterND"] == ["add"]


def test_known_places_that_differ_need_no_care() -> None:
    def fn(x: Any, u: Any, indices: Any) -> Any:
        return raw.ScatterND(x, np.array(indices)[:, None], u, reduction="add")

    for indices, reduction in (([0, 2, 1], "add"), ([0, 2, -4], "none"), ([0, 2, 0], "none")):
        graph = example(lambda x, u, i=indices: fn(x, u, i), "float32[4, 3]", "float32[3, 3]").graph()
        PassManager(pipeline("cpu")).run(graph)
        assert [n.attributes.get("reduction", "none") for n in graph if n.op == "ScatterND"] == [reduction]
