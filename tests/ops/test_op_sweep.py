"""What holds for every operator: values, types, the file format, and derivatives of first and second order."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from opcheck import by_reference, checked, derivative, forward, narrowed, runner, with_gradients
from sample import Sample
from samples import CASES, SAMPLES

from nngraph.ir import Graph, to_text
from nngraph.ops.vjp import rule_of
from nngraph.registry import op_def
from nngraph.runtime import Session, expand_composites
from nngraph.serde import from_proto, to_proto

ALL = [pytest.param(op_id, k, id=f"{op_id}-{k}") for op_id, k in CASES]
SMOOTH = [
    pytest.param(op_id, k, id=f"{op_id}-{k}")
    for op_id, k in CASES
    if rule_of(op_def(*reversed(op_id.rpartition("::")[::2]))) is not None and SAMPLES[op_id][k].by
]


def is_random(op_id: str) -> bool:
    domain, _, op = op_id.rpartition("::")
    return op_def(op, domain).random


@functools.cache
def narrow(op_id: str, k: int) -> tuple[Sample, Graph, dict[str, Any], dict[str, Any]]:
    """The sample's graph in float32, what it is fed and what it gives."""
    sample = SAMPLES[op_id][k]
    graph, feeds, _ = forward(op_id, sample, [narrowed(a) for a in sample.inputs])
    return sample, graph, feeds, Session(graph, "cpu").run(feeds)


@dataclass(frozen=True)
class Derived:
    """A sample's graph in float64 with its derivatives, and what they are numerically."""

    graph: Graph
    feeds: dict[str, Any]
    results: dict[str, Any]
    along: dict[str, Any]
    numeric: dict[str, Any]


@functools.cache
def wide(op_id: str, k: int) -> Derived:
    sample, _, _, shapes = narrow(op_id, k)
    plain, feeds, xs = forward(op_id, sample, sample.inputs)
    graph, feeds = with_gradients(plain, xs, feeds, shapes, second=sample.second)
    random = np.random.default_rng(3)
    along = {x.name: feeds.get(f"v{j}", random.normal(size=feeds[x.name].shape)) for j, x in enumerate(xs)}
    run = runner(graph)
    return Derived(graph, feeds, run(feeds), along, derivative(run, feeds, along))


@pytest.mark.parametrize(("op_id", "k"), ALL)
def test_values_agree(op_id: str, k: int) -> None:
    """Eager = ONNX Runtime = onnx.reference."""
    sample, graph, feeds, results = narrow(op_id, k)
    eager = sample.run(op_id, [narrowed(a) for a in sample.inputs])
    if is_random(op_id):
        assert [np.asarray(e).shape for e in eager] == [r.shape for r in results.values()]
        return
    sources = [results] + ([by_reference(graph, feeds)] if sample.reference else [])
    for source in sources:
        for e, r in zip(eager, source.values(), strict=True):
            assert np.asarray(e).dtype == r.dtype
            np.testing.assert_allclose(e, r, rtol=sample.value_rtol, atol=sample.value_rtol)


@pytest.mark.parametrize(("op_id", "k"), ALL)
def test_types_are_what_comes_out(op_id: str, k: int) -> None:
    _, graph, _, results = narrow(op_id, k)
    checked(graph)
    for value, result in zip(graph.outputs, results.values(), strict=True):
        assert (value.dtype, value.ndim) == (str(result.dtype), result.ndim)
        assert all(isinstance(want, str) or want == have for want, have in zip(value.shape, result.shape, strict=True))


@pytest.mark.parametrize(("op_id", "k"), ALL)
def test_the_text_survives_the_file_format(op_id: str, k: int) -> None:
    graph = narrow(op_id, k)[1].clone()
    expand_composites(graph)
    once = from_proto(to_proto(graph))
    assert to_text(from_proto(to_proto(once))) == to_text(once)
    assert [n.op_id for n in once] == [n.op_id for n in graph]
    assert [v.type for v in once.outputs] == [v.type for v in graph.outputs]


def assert_near(found: Any, expected: Any, rtol: float) -> None:
    scale = np.max(np.abs(expected), initial=0.0) + np.max(np.abs(found), initial=0.0) + 1e-3
    np.testing.assert_allclose(found, expected, rtol=0, atol=rtol * scale)


@pytest.mark.parametrize(("op_id", "k"), SMOOTH)
def test_gradient(op_id: str, k: int) -> None:
    """The gradient against central differences of the outputs in a random direction."""
    found = wide(op_id, k)
    checked(found.graph)
    gradients = [found.results[f"d{j}"] for j in range(len(found.along))]
    assert [g.shape for g in gradients] == [v.shape for v in found.along.values()]
    changes = [change for name, change in found.numeric.items() if name[0] == "y"]
    expected = sum(np.vdot(found.feeds[f"c{j}"], change) for j, change in enumerate(changes))
    terms = [g * v for g, v in zip(gradients, found.along.values(), strict=True)]
    scale = sum(np.abs(t).sum() for t in terms)
    assert abs(sum(t.sum() for t in terms) - expected) <= SAMPLES[op_id][k].rtol * (scale + 1e-3)


@pytest.mark.parametrize(("op_id", "k"), SMOOTH)
def test_second_derivative(op_id: str, k: int) -> None:
    """The gradient of the gradient against central differences of the gradient."""
    sample = SAMPLES[op_id][k]
    if not sample.second:
        assert sample.why, "say why the second derivative is not checked"
        return
    found = wide(op_id, k)
    for j, name in enumerate(n for n in found.numeric if n[0] == "y"):
        assert_near(found.results[f"j{j}"], found.numeric[name], sample.rtol)
    for j in range(len(found.along)):
        assert_near(found.results[f"h{j}"], found.numeric[f"d{j}"], sample.rtol)


@pytest.mark.parametrize(("op_id", "k"), SMOOTH)
def test_gradient_with_named_sizes(op_id: str, k: int) -> None:
    """A rule gives the same when sizes are known only at run time."""
    sample, _, _, shapes = narrow(op_id, k)
    if not sample.named:
        assert sample.why, "say why the rule needs known sizes"
        return
    expected = wide(op_id, k).results
    graph, feeds, xs = forward(op_id, sample, sample.inputs, named=True)
    graph, feeds = with_gradients(graph, xs, feeds, shapes)
    found = runner(checked(graph))(feeds)
    for j in range(len(xs)):
        np.testing.assert_allclose(found[f"d{j}"], expected[f"d{j}"], rtol=1e-9, atol=1e-12)
