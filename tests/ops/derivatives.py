"""A sample's derivatives beside what central differences give, and how far they are apart."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from opcheck import Runner, derivative, forward, narrowed, runner, with_gradients
from sample import Sample
from samples import SAMPLES

from nngraph.ir import Graph
from nngraph.runtime import Session

__all__ = ["Derived", "first_error", "narrow", "second_errors", "wide"]


@dataclass(frozen=True)
class Derived:
    """A sample's graph in float64 with its derivatives, and what they are numerically."""

    graph: Graph
    feeds: dict[str, Any]
    results: dict[str, Any]
    along: dict[str, Any]
    numeric: dict[str, Any]


@functools.cache
def narrow(op_id: str, k: int) -> tuple[Sample, Graph, dict[str, Any], dict[str, Any]]:
    """The sample's graph in float32, what it is fed and what it gives."""
    sample = SAMPLES[op_id][k]
    graph, feeds, _ = forward(op_id, sample, [narrowed(a) for a in sample.inputs])
    return sample, graph, feeds, Session(graph, "cpu").run(feeds)


@functools.cache
def wide(op_id: str, k: int) -> Derived:
    """The sample's derivatives in float64."""
    sample, _, _, shapes = narrow(op_id, k)
    return differentiated(op_id, sample, shapes)


def differentiated(op_id: str, sample: Sample, shapes: dict[str, Any], *, named: bool = False) -> Derived:
    """Differentiate a sample; with ``named`` its sizes are names, and nothing is computed numerically."""
    given = [narrowed(a) for a in sample.inputs] if sample.single else sample.inputs
    plain, feeds, xs = forward(op_id, sample, given, named=named)
    dtype = "float32" if sample.single else "float64"
    graph, feeds = with_gradients(plain, xs, feeds, shapes, second=sample.second and not named, dtype=dtype)
    run = in_single(graph) if sample.single else runner(graph)
    random = np.random.default_rng(3)
    along = {x.name: feeds.get(f"v{j}", random.normal(size=feeds[x.name].shape)) for j, x in enumerate(xs)}
    return Derived(graph, feeds, run(feeds), along, {} if named else derivative(run, feeds, along, sample.step))


def in_single(graph: Graph) -> Runner:
    """Return what runs a graph of float32 numbers on float64 ones."""
    session = Session(graph, "cpu")

    def run(feeds: Mapping[str, Any]) -> dict[str, np.ndarray]:
        found = session.run({k: narrowed(v) for k, v in feeds.items()})
        return {k: v.astype(np.float64) if v.dtype == np.float32 else v for k, v in found.items()}

    return run


def first_error(op_id: str, k: int) -> float:
    """The gradient against central differences of the outputs in a random direction: relative to the terms' sum."""
    found = wide(op_id, k)
    gradients = [found.results[f"d{j}"] for j in range(len(found.along))]
    assert [g.shape for g in gradients] == [v.shape for v in found.along.values()]
    changes = [change for name, change in found.numeric.items() if name[0] == "y"]
    expected = sum(np.vdot(found.feeds[f"c{j}"], change) for j, change in enumerate(changes))
    terms = [g * v for g, v in zip(gradients, found.along.values(), strict=True)]
    scale = sum(np.abs(t).sum() for t in terms)
    return float(abs(sum(t.sum() for t in terms) - expected) / (scale + 1e-3))


def second_errors(op_id: str, k: int) -> tuple[float, float]:
    """How far two second derivatives are from central differences, relative to the largest number.

    The first is the derivative of the gradient by what arrives from above, along a direction of the inputs: J applied
    to that direction, where the gradient is Jᵀ. The second is the derivative of the gradient by the inputs.
    """
    found = wide(op_id, k)
    ys = [name for name in found.numeric if name[0] == "y"]
    forwards = [_apart(found.results[f"j{j}"], found.numeric[name]) for j, name in enumerate(ys)]
    again = [_apart(found.results[f"h{j}"], found.numeric[f"d{j}"]) for j in range(len(found.along))]
    return max(forwards, default=0.0), max(again, default=0.0)


def _apart(found: Any, expected: Any) -> float:
    scale = np.max(np.abs(expected), initial=0.0) + np.max(np.abs(found), initial=0.0) + 1e-3
    return float(np.max(np.abs(found - expected), initial=0.0) / scale)
