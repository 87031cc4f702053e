"""The same as Keras: every layer's signature, configuration, weights, forward pass and gradients."""

from __future__ import annotations

import inspect
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nngraph import layers
from nngraph.ir import TensorType
from nngraph.ops.trace import trace_graph
from nngraph.runtime import Session
from passes.autodiff import append_gradients

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "layers"))
from layer_cases import CASES, NOT_IN_KERAS, Case, call_arguments

pytestmark = [
    pytest.mark.reference,
    pytest.mark.filterwarnings("ignore"),
]

FORWARD, GRADIENT = 1e-5, 1e-4
NAMES = sorted({case.name for case in CASES})


def keras_layers() -> Any:
    import keras

    return keras.layers


def pair(case: Case) -> tuple[Any, Any]:
    """Make the layer in both packages, built and with the same weights."""
    theirs, ours = case.make(keras_layers()), case.make(layers)
    x = case.inputs()
    shape = [tuple(a.shape) for a in x] if isinstance(x, list) else tuple(x.shape)
    for layer in (theirs, ours):
        if not layer.built:
            layer.build(shape)
    names = [w.name for w in ours.weights]
    assert names == [w.name for w in theirs.weights]
    assert [tuple(w.shape) for w in ours.weights] == [tuple(w.shape) for w in theirs.weights]
    assert [w.name for w in ours.trainable_weights] == [w.name for w in theirs.trainable_weights]
    values = case.weights([w.shape for w in ours.weights], names)
    ours.set_weights(values)
    theirs.set_weights(values)
    if hasattr(theirs, "finalize_state"):
        theirs.finalize_state()
    return ours, theirs


def difference(a: Any, b: Any) -> float:
    """Return the largest difference, relative to the numbers' size where that is above 1."""
    a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
    assert a.shape == b.shape
    return float(np.max(np.abs(a - b), initial=0) / max(1.0, np.max(np.abs(b), initial=0)))


COMPARED = [c for c in CASES if c.id not in NOT_IN_KERAS]


@pytest.mark.parametrize("case", [c for c in COMPARED if not c.random], ids=lambda c: c.id)
def test_forward_pass_and_state(case: Case) -> None:
    ours, theirs = pair(case)
    x, arguments = case.inputs(), call_arguments(case)
    mine, other = ours(x, **arguments), theirs(x, **arguments)
    assert str(mine.dtype) == str(other.dtype)
    assert difference(mine, other) <= FORWARD
    for weight, reference in zip(ours.weights, theirs.weights, strict=True):
        assert difference(weight.numpy(), np.asarray(reference)) <= FORWARD, weight.path
    assert ours.supports_masking == theirs.supports_masking
    shape = [tuple(a.shape) for a in x] if isinstance(x, list) else tuple(x.shape)
    if case.name != "ReversibleEmbedding":
        pairs = zip(ours.compute_output_shape(shape), theirs.compute_output_shape(shape), strict=True)
        assert all(a == b or b is None for a, b in pairs)  # Keras knows less about EinsumDense than it could


@pytest.mark.parametrize("case", [c for c in COMPARED if not c.random and c.gradient], ids=lambda c: c.id)
def test_gradients(case: Case) -> None:
    import jax

    ours, theirs = pair(case)
    x, arguments = case.inputs(), call_arguments(case)
    flat = x if isinstance(x, list) else [x]
    y = np.asarray(theirs(x, **arguments))
    theirs.set_weights([w.numpy() for w in ours.weights])
    cotangent = np.random.default_rng(1).normal(size=y.shape).astype("float32")
    differentiable = case.kind == "normal"

    def loss(weights: Any, inputs: Any) -> Any:
        rest = [v.value for v in theirs.non_trainable_variables]
        out, _ = theirs.stateless_call(weights, rest, inputs if isinstance(x, list) else inputs[0], **arguments)
        return (out * cotangent).sum()

    start = [v.value for v in theirs.trainable_variables]
    reference_weights, reference_inputs = jax.grad(loss, argnums=(0, 1), allow_int=True)(start, flat)

    def forward(*tensors: Any) -> Any:
        return ours(list(tensors) if isinstance(x, list) else tensors[0], **arguments)

    graph, trace, result = trace_graph(forward, [TensorType.of(a) for a in flat])
    with trace:
        for variable in ours.trainable_weights:
            trace.read(variable)
        # The value from before the call: a layer may assign to its own weights.
        wanted = [trace.sources[v] for v in ours.trainable_weights]
        wanted += list(graph.inputs[: len(flat)]) if differentiable else []
        found = append_gradients([result], wanted, [trace.constant(cotangent)]) if wanted else []
        graph.set_outputs(found, [f"g{k}" for k in range(len(found))])
    feeds = {f"x{k}": a for k, a in enumerate(flat)}
    feeds.update({value.name: variable.numpy() for variable, value in trace.sources.items()})
    values = list(Session(graph, "cpu").run(feeds).values()) if found else []
    expected = [*reference_weights, *(reference_inputs if differentiable else [])]
    assert len(values) == len(expected)
    for mine, other in zip(values, expected, strict=True):
        assert difference(mine, other) <= GRADIENT


def parameters(layer: type) -> list[tuple[str, Any]]:
    """Return names and defaults of the constructor's parameters; one number counts as a tuple of it."""
    found = []
    for p in list(inspect.signature(layer.__init__).parameters.values())[1:]:
        if p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL):
            continue
        default = p.default
        if isinstance(default, tuple) and default and all(d == default[0] for d in default) and default[0] in (1, 2):
            default = default[0]
        found.append((p.name, default))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_constructor_takes_the_same_arguments(name: str) -> None:
    if not hasattr(keras_layers(), name):
        pytest.skip("not in Keras")
    theirs, ours = parameters(getattr(keras_layers(), name)), parameters(getattr(layers, name))
    assert ours[: len(theirs)] == theirs


@pytest.mark.parametrize("case", COMPARED, ids=lambda c: c.id)
def test_configuration_has_the_same_keys(case: Case) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs, ours = case.make(keras_layers()).get_config(), case.make(layers).get_config()
    left_out = {"quantization_config", "rms_scaling", "activity_regularizer"}
    assert set(theirs) - set(ours) - left_out == set()
    assert set(ours) - set(theirs) - {"activity_regularizer", "trainable", "lora_alpha"} == set()
    for key in set(ours) & set(theirs) - {"dtype", "name"}:
        a, b = ours[key], theirs[key]
        if isinstance(a, (int, float, str, type(None))):
            assert a == b, key
        elif isinstance(a, tuple):
            assert a == tuple(b), key
