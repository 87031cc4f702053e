"""Public functions: eager = numpy, and traced with a named batch size = eager."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from function_case import Case
from opcheck import checked

from nngraph import ops, tree
from nngraph.ir import TensorType, Value
from nngraph.ops.trace import trace_graph
from nngraph.runtime import Session


def cases() -> Iterator[Case]:
    counts: dict[str, int] = {}
    for path in sorted(Path(__file__).parent.glob("functions_*.py")):
        for case in importlib.import_module(path.stem).CASES:
            counts[case.name] = counts.get(case.name, -1) + 1
            yield replace(case, id=f"{case.name}-{counts[case.name]}")


CASES = list(cases())
EACH = pytest.mark.parametrize("case", [pytest.param(c, id=c.id) for c in CASES])


def arrays_of(result: Any) -> list[np.ndarray]:
    return [np.asarray(r) for r in tree.flatten(result)]


def assert_same(found: list[np.ndarray], expected: list[np.ndarray], rtol: float) -> None:
    assert [f.shape for f in found] == [e.shape for e in expected]
    for f, e in zip(found, expected, strict=True):
        if e.dtype.kind == "f":
            scale = np.max(np.abs(e[np.isfinite(e)]), initial=0.0)
            np.testing.assert_allclose(f, e, rtol=rtol, atol=rtol * max(scale, 1e-3))
        else:
            np.testing.assert_array_equal(f, e)


@EACH
def test_eager_is_numpy(case: Case) -> None:
    with np.errstate(all="ignore"):
        expected = arrays_of(case.expected())
    found = arrays_of(case.run(*case.args))
    assert_same(found, expected, case.rtol)
    for f, e in zip(found, expected, strict=True):
        assert f.dtype.kind == e.dtype.kind or {f.dtype.kind, e.dtype.kind} <= set("iu")


@EACH
def test_traced_is_eager(case: Case) -> None:
    if not case.traced:
        assert case.why, "say why the function does not work in a graph"
        return
    assert case.named or case.why, "say why the function needs known sizes"
    eager = arrays_of(case.run(*case.args))
    traced = arrays_of(run_traced(case))
    assert [t.dtype for t in traced] == [e.dtype for e in eager]
    assert_same(traced, eager, 1e-6)


def run_traced(case: Case) -> list[np.ndarray]:
    leaves = tree.flatten(list(case.args))
    places = [k for k, leaf in enumerate(leaves) if isinstance(leaf, np.ndarray) and k not in case.fixed]
    types = [TensorType.of(leaves[k]) for k in places]
    if case.named:
        types = [t.with_shape((f"n{t.shape[0]}", *t.shape[1:])) if t.rank and t.shape[0] != 1 else t for t in types]

    def call(*values: Value) -> list[Any]:
        filled = list(leaves)
        for k, value in zip(places, values, strict=True):
            filled[k] = value
        return tree.flatten(case.run(*tree.pack_sequence_as(list(case.args), filled)))

    graph, trace, results = trace_graph(call, types)
    with trace:
        graph.set_outputs([r if isinstance(r, Value) else graph.add_constant(np.asarray(r)) for r in results])
    checked(graph)
    return list(Session(graph, "cpu").run({f"x{k}": leaves[p] for k, p in enumerate(places)}).values())


def test_every_numpy_function_is_in_the_tables() -> None:
    """Whatever keras.ops has and numpy too is compared with numpy here."""
    public = {n for n, f in vars(ops).items() if callable(f) and hasattr(np, n) and not inspect.ismodule(f)}
    missing = public - {c.name for c in CASES} - {"dtype", "map", "result_type", "shape"}
    assert not missing, f"no cases for {sorted(missing)}"
