"""Every layer: shapes, dtype, configuration, traced as computed at once, gradients against finite differences."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from layer_cases import CASES, Case
from layer_run import built, call, feeds_of, graph_of_layer, open_types, run_graph, shapes_of

from nngraph import layers
from nngraph.ir import TensorType, verify
from nngraph.layers import Layer, deserialize, serialize
from nngraph.runtime import Session
from passes.autodiff import append_gradients
from traced import infer

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
differentiable = pytest.mark.parametrize(
    "case", [c for c in CASES if c.gradient and c.numeric], ids=lambda case: case.id
)

# Tested by files of their own, or no layers to be used as they are.
ELSEWHERE = {"Input", "InputLayer", "Lambda", "Layer", "Wrapper"}
OTHER_PACKAGES = ("nngraph.layers.rnn.", "nngraph.layers.attention.")


def test_every_layer_has_a_case() -> None:
    exported = {
        getattr(layers, name).__name__: getattr(layers, name)
        for name in layers.__all__
        if isinstance(getattr(layers, name), type) and issubclass(getattr(layers, name), Layer)
    }
    mine = {name for name, cls in exported.items() if not cls.__module__.startswith(OTHER_PACKAGES)}
    assert mine - ELSEWHERE - {case.name for case in CASES} == set()


def fits(shape: tuple[Any, ...], actual: tuple[int, ...]) -> bool:
    return len(shape) == len(actual) and all(a in (None, b) for a, b in zip(shape, actual, strict=True))


@each_case
def test_shape_and_dtype(case: Case) -> None:
    layer = built(case)
    inputs = case.inputs()
    outputs = call(case, layer, inputs)
    assert str(outputs.dtype) == ("int32" if case.id == "Discretization-int" else "float32")
    if case.call:
        return  # compute_output_shape describes the plain call
    shapes = shapes_of(inputs)
    assert layer.compute_output_shape(shapes) == tuple(outputs.shape)
    many = shapes if isinstance(shapes, list) else [shapes]
    unknown: Any = [tuple(None if k in case.free and s != 1 else s for k, s in enumerate(shape)) for shape in many]
    found = layer.compute_output_shape(unknown if isinstance(shapes, list) else unknown[0])
    assert fits(found, tuple(outputs.shape))


@each_case
def test_configuration_makes_an_equal_layer(case: Case) -> None:
    layer = built(case)
    described = json.loads(json.dumps(serialize(layer)))
    twin = deserialize(described)
    assert type(twin) is type(layer)
    assert twin.get_config() == layer.get_config()
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()
    inputs = case.inputs()
    expected = call(case, layer, inputs)
    if case.training:
        layer = built(case)  # the call above has moved the state
        expected = call(case, layer, inputs)
    twin = built(case, layer=deserialize(described))
    np.testing.assert_array_equal(call(case, twin, inputs), expected)


@each_case
def test_traced_as_computed_at_once(case: Case) -> None:
    inputs = case.inputs()
    at_once = built(case)
    expected = call(case, at_once, inputs)

    layer = built(case)
    graph, trace, result = graph_of_layer(case, layer, open_types(case, inputs))
    assert result.shape[0] == "batch" or case.id == "CategoryEncoding-count"
    values = run_graph(case, graph, trace, [result, *(trace.variables[v] for v in trace.assigned)])
    np.testing.assert_allclose(values[0], expected, rtol=1e-5, atol=1e-6)
    # What the call assigned is what the call at once left in the variables.
    twins = dict(zip(layer.variables, at_once.variables, strict=True))
    assert len(values) == 1 + len(trace.assigned)
    for variable, value in zip(trace.assigned, values[1:], strict=True):
        np.testing.assert_allclose(value, twins[variable].numpy(), rtol=1e-5, atol=1e-6)


def gradient_graph(case: Case, layer: Layer) -> tuple[Session, Any, list[str], np.ndarray]:
    """Return a session for the result and its gradients, with the names of what they are taken for."""
    inputs, mask = case.inputs("float64"), case.mask_array()
    arrays = inputs if isinstance(inputs, list) else [inputs]
    types = [TensorType.of(a) for a in (*arrays, *([] if mask is None else [mask]))]
    graph, trace, result = graph_of_layer(case, layer, types)
    cotangent = np.random.default_rng(5).normal(size=result.shape)
    with trace:
        for variable in layer.trainable_weights:
            trace.read(variable)
        wanted = [trace.sources[v] for v in layer.trainable_weights]
        if case.kind == "normal":
            wanted += list(graph.inputs[: len(arrays)])
        gradients = append_gradients([result], wanted, [trace.constant(cotangent)])
        graph.set_outputs([result, *gradients], ["y", *(f"g{k}" for k in range(len(gradients)))])
    verify(graph, infer)
    return Session(graph, "cpu"), trace, [w.name for w in wanted], cotangent


@differentiable
def test_gradients_are_those_of_finite_differences(case: Case) -> None:
    layer = built(case, "float64")
    session, trace, names, cotangent = gradient_graph(case, layer)
    feeds = feeds_of(case, trace, "float64")
    _, *gradients = session.run(feeds).values()
    rng = np.random.default_rng(11)
    step = 1e-6
    for name, gradient in zip(names, gradients, strict=True):
        assert gradient.shape == feeds[name].shape
        direction = rng.normal(size=gradient.shape)
        moved = [session.run({**feeds, name: feeds[name] + s * direction})["y"] for s in (step, -step)]
        numeric = np.sum((moved[0] - moved[1]) * cotangent) / (2 * step)
        analytic = np.sum(gradient * direction)
        assert analytic == pytest.approx(numeric, rel=1e-5, abs=1e-6), name
    unused = {"ReversibleEmbedding-untied": {"embeddings"}}.get(case.id, set())
    for weight, gradient in zip(layer.trainable_weights, gradients, strict=False):
        assert np.any(gradient != 0) or weight.name in unused, weight.path
