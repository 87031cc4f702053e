"""Gradients of convolution, pooling, normalisation and losses beyond the sweep: named sizes, single precision, ties."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from opcheck import checked

from nngraph import ops
from nngraph.ir import Graph, Node, TensorType
from nngraph.ops import raw
from nngraph.ops.trace import Trace, trace_graph
from nngraph.proto import sequence_of
from nngraph.runtime import Session
from passes.autodiff import append_gradients

Function = Callable[..., Any]


def gradient_graph(fn: Function, types: Sequence[TensorType]) -> Graph:
    """The gradients of Σ fn(x) sin(fn(x)) with respect to every floating input."""

    def body(*xs: Any) -> list[Any]:
        y = fn(*xs)
        total = raw.ReduceSum(raw.Mul(y, raw.Sin(y)), keepdims=0)
        return append_gradients([total], [x for x in xs if x.dtype.startswith("float")])

    graph, _, found = trace_graph(body, types)
    graph.set_outputs(found, [f"d{k}" for k in range(len(found))])
    return checked(graph)


def gradients_of(fn: Function, *arrays: Any, dtype: str = "float64", shapes: Any = None) -> list[np.ndarray]:
    data = [a.astype(dtype) if a.dtype.kind == "f" else a for a in map(np.asarray, arrays)]
    given = [a.shape for a in data] if shapes is None else [s or a.shape for s, a in zip(shapes, data, strict=True)]
    graph = gradient_graph(fn, [TensorType(str(a.dtype), s) for a, s in zip(data, given, strict=True)])
    return list(Session(graph, "cpu").run({f"x{k}": a for k, a in enumerate(data)}).values())


def assert_all_near(found: Sequence[np.ndarray], expected: Sequence[np.ndarray], rtol: float) -> None:
    for f, e in zip(found, expected, strict=True):
        assert f.shape == e.shape
        np.testing.assert_allclose(f, e, rtol=rtol, atol=rtol * np.abs(e).max())


X = np.random.default_rng(0).normal(size=(2, 4, 6, 7))
NAMED = [("batch", 4, 6, 7), ("batch", 4, "height", "width"), ("batch", 4, 6, "width")]
PLACING = [{}, {"pads": (1, 0, 2, 1)}, {"auto_pad": "SAME_UPPER"}, {"auto_pad": "SAME_LOWER"}]


@pytest.mark.parametrize("placing", PLACING, ids=lambda p: str(next(iter(p.values()), "none")))
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_convolution_with_named_sizes_and_in_single_precision(stride: int, placing: dict) -> None:
    w = np.random.default_rng(1).normal(size=(2, 2, 3, 2))

    def conv(x: Any, w: Any) -> Any:
        return raw.Conv(x, w, strides=(stride, stride), group=2, **placing)

    exact = gradients_of(conv, X, w)
    assert_all_near(gradients_of(conv, X, w, dtype="float32"), exact, 1e-4)
    for shape in NAMED[:2] if stride == 2 else NAMED[stride % 2 : stride % 2 + 1]:
        assert_all_near(gradients_of(conv, X, w, shapes=[shape, None]), exact, 1e-10)
        assert_all_near(gradients_of(conv, X, w, shapes=[shape, None], dtype="float32"), exact, 1e-4)


@pytest.mark.parametrize(("stride", "dilation", "group"), [*itertools.product((1, 2), (1, 2), (1, 2))])
def test_transposed_convolution_in_single_precision(stride: int, dilation: int, group: int) -> None:
    w = np.random.default_rng(1).normal(size=(4, 4 // group, 3, 2))
    attributes = {"strides": (stride,) * 2, "dilations": (dilation,) * 2, "group": group, "pads": (1, 0, 0, 1)}

    def turned(x: Any, w: Any) -> Any:
        return raw.ConvTranspose(x, w, **attributes)

    exact = gradients_of(turned, X, w)
    assert_all_near(gradients_of(turned, X, w, dtype="float32"), exact, 1e-4)
    assert_all_near(gradients_of(turned, X, w, shapes=[("batch", 4, 6, 7), None]), exact, 1e-10)


def test_convolution_gradients_are_single_operators_that_a_target_can_replace() -> None:
    types = [TensorType("float32", ("batch", 8, 8, 3)), TensorType("float32", (3, 3, 3, 4))]
    graph = gradient_graph(lambda x, w: ops.conv(x, w, padding="same"), types)
    found = [n.op for n in graph if n.domain == "nngraph"]
    assert sorted(found) == ["ConvInputGrad", "ConvWeightGrad"]
    assert not any(n.op == "ConvTranspose" for n in graph)


def test_unused_convolution_gradients_are_not_computed() -> None:
    def body(x: Any, w: Any) -> list[Any]:
        return append_gradients([raw.ReduceSum(raw.Conv(x, w), keepdims=0)], [w])

    graph, _, _ = trace_graph(body, [TensorType("float32", X.shape), TensorType("float32", (3, 4, 2, 2))])
    assert [n.op for n in graph if n.domain == "nngraph"] == ["ConvWeightGrad"]


POOLS = {
    "MaxPool": [{}],
    "AveragePool": [{"count_include_pad": 0}, {"count_include_pad": 1}],
    "LpPool": [{"p": 3}],
}
POOLING = [
    {"kernel_shape": (2, 2), "strides": (2, 2)},
    {"kernel_shape": (3, 2), "strides": (2, 1), "pads": (1, 0, 0, 1)},
    {"kernel_shape": (3, 2), "strides": (2, 2), "auto_pad": "SAME_UPPER"},
]


@pytest.mark.parametrize("placing", POOLING, ids=["tiles", "overlap", "same"])
@pytest.mark.parametrize("op", POOLS)
def test_pooling_with_named_sizes_and_in_single_precision(op: str, placing: dict) -> None:
    for extra in POOLS[op]:

        def pool(x: Any, extra: dict = extra) -> Any:
            return getattr(raw, op)(x, **placing, **extra)

        exact = gradients_of(pool, X)
        assert_all_near(gradients_of(pool, X, dtype="float32"), exact, 1e-4)
        assert_all_near(gradients_of(pool, X, shapes=[NAMED[0]], dtype="float32"), exact, 1e-4)
        assert_all_near(gradients_of(pool, X, shapes=[NAMED[1]]), exact, 1e-10)


def test_equal_pixels_share_or_the_first_wins() -> None:
    flat = np.zeros((1, 1, 4, 5))

    def sum_of(fn: Function) -> np.ndarray:
        def body(x: Any) -> list[Any]:
            return append_gradients([raw.ReduceSum(fn(x), keepdims=0)], [x])

        graph, _, found = trace_graph(body, [TensorType("float64", flat.shape)])
        graph.set_outputs(found, ["d"])
        return Session(graph, "cpu").run({"x0": flat})["d"][0, 0]

    side_by_side = sum_of(lambda x: raw.MaxPool(x, kernel_shape=(2, 2), strides=(2, 2)))
    assert side_by_side.tolist() == [[0.25] * 4 + [0.0]] * 4
    overlapping = sum_of(lambda x: raw.MaxPool(x, kernel_shape=(2, 2)))
    assert overlapping.tolist() == [[1.0] * 4 + [0.0]] * 3 + [[0.0] * 5]


def test_pooling_gradients_are_single_operators() -> None:
    def network(x: Any) -> Any:
        return raw.AveragePool(raw.MaxPool(x, kernel_shape=(2, 2), strides=(2, 2)), kernel_shape=(2, 2))

    graph = gradient_graph(network, [TensorType("float32", (2, 3, 8, 8))])
    assert [n.op for n in graph if n.domain == "nngraph"] == ["AveragePoolGrad", "MaxPoolGrad"]


def test_ceil_mode_with_unknown_sizes_says_what_to_do() -> None:
    with pytest.raises(ValueError, match="ceil_mode needs known sizes"):
        pool = {"kernel_shape": (2, 2), "strides": (2, 2), "ceil_mode": 1}
        gradient_graph(lambda x: raw.AveragePool(x, **pool), [TensorType("float32", (1, 2, "height", 5))])


def test_celu_in_its_only_dtype() -> None:
    x = np.float32([-3, -0.5, 0.5, 2])
    y = np.where(x > 0, x, 0.5 * np.expm1(x / 0.5))
    slope = np.where(x > 0, 1, np.exp(x / 0.5))
    expected = (np.sin(y) + y * np.cos(y)) * slope
    (found,) = gradients_of(lambda x: raw.Celu(x, alpha=0.5), x, dtype="float32")
    np.testing.assert_allclose(found, expected, rtol=1e-4)


# -- normalisation and losses ---------------------------------------------------------------------------------------


def test_batch_normalization_while_training_is_exact_far_from_zero() -> None:
    """Statistics of numbers around 1000 keep the digits that the difference of two squares would lose."""
    x = np.random.default_rng(0).normal(size=(64, 8)) + 1000
    gamma, beta = np.linspace(0.5, 2, 8), np.linspace(-1, 1, 8)

    def normalized(x: Any, gamma: Any, beta: Any) -> Any:
        return ops.batch_normalization_training(x, -1, beta, gamma)[0]

    y, mean, variance = ops.batch_normalization_training(x.astype(np.float32), -1, beta, gamma)
    rounded = x.astype(np.float32).astype(np.float64)
    np.testing.assert_allclose(mean, rounded.mean(0), rtol=1e-6)
    np.testing.assert_allclose(variance, rounded.var(0), rtol=1e-3)
    expected = (rounded - rounded.mean(0)) / np.sqrt(rounded.var(0) + 1e-3) * gamma + beta
    np.testing.assert_allclose(y, expected, atol=2e-3)
    narrow = gradients_of(normalized, x, gamma, beta, dtype="float32")
    assert_all_near(narrow, gradients_of(normalized, rounded, gamma, beta), 2e-3)


def test_batch_statistics_of_channels_first_and_last_agree() -> None:
    x = np.random.default_rng(0).normal(size=(3, 4, 5, 2)).astype(np.float32)
    last = ops.batch_normalization_training(x, -1)
    first = ops.batch_normalization_training(np.moveaxis(x, -1, 1), 1)
    np.testing.assert_allclose(np.moveaxis(first[0], 1, -1), last[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(last[1], x.mean((0, 1, 2)), atol=1e-6)
    np.testing.assert_allclose(last[2], x.var((0, 1, 2)), rtol=1e-5)


def test_a_half_precision_variance_saturates() -> None:
    x = (1000 * np.arange(-3, 4)).astype(np.float16)
    mean, variance = ops.moments(x, axes=0)
    assert (mean.dtype, float(mean), float(variance)) == (np.float16, 0.0, 65504.0)


@pytest.mark.parametrize("name", ["categorical_crossentropy", "sparse_categorical_crossentropy", "binary_crossentropy"])
def test_gradients_from_huge_logits_are_finite_and_right(name: str) -> None:
    z = np.float32([[1000, -1000, 0], [-80, 90, 100]])
    hot = np.float32([[0, 1, 0], [0, 0, 1]])
    target = np.int64([1, 2]) if name.startswith("sparse") else hot

    def total(z: Any, t: Any) -> list[Any]:
        loss = getattr(ops, name)(t, z, from_logits=True)
        return append_gradients([raw.ReduceSum(loss, keepdims=0)], [z])

    graph, _, found = trace_graph(total, [TensorType("float32", z.shape), TensorType.of(target)])
    graph.set_outputs(found, ["d"])
    found = Session(graph, "cpu").run({"x0": z, "x1": target})["d"]
    p = ops.sigmoid(z) if name.startswith("binary") else ops.softmax(z)
    np.testing.assert_allclose(found, p - hot, atol=1e-6)


@pytest.mark.parametrize("outputs", [1, 2])
def test_dropout_in_training_mode_keeps_its_mask(outputs: int) -> None:
    """The mask of the forward node is the gradient's, also of a node that did not give it."""
    x = TensorType("float32", (64,))
    ratio, training = np.float32(0.25), np.array(True)

    def with_mask(x: Any) -> list[Any]:
        y = raw.Dropout(x, ratio, training, seed=3, outputs=outputs)
        y = y[0] if outputs == 2 else y
        return [y, *append_gradients([raw.ReduceSum(raw.Mul(y, y), keepdims=0)], [x])]

    graph, _, found = trace_graph(with_mask, [x])
    graph.set_outputs(found, ["y", "d"])
    data = np.arange(1, 65, dtype=np.float32)
    results = Session(graph, "cpu").run({"x0": data})
    kept = results["y"] != 0
    assert 0.5 < kept.mean() < 0.95
    np.testing.assert_allclose(results["d"], np.where(kept, 2 * data / 0.75**2, 0), rtol=1e-5)


@pytest.mark.parametrize("interleaved", [0, 1])
def test_the_gradient_of_a_rotation_turns_back(interleaved: int) -> None:
    rng = np.random.default_rng(0)
    x, angles = rng.normal(size=(2, 3, 16)), rng.normal(size=(2, 3, 3))
    cos, sin = np.cos(angles), np.sin(angles)
    attributes = {"num_heads": 2, "interleaved": interleaved, "rotary_embedding_dim": 6}
    weights = rng.normal(size=x.shape).astype(np.float32)

    def body(x: Any, cos: Any, sin: Any) -> list[Any]:
        y = raw.Mul(raw.RotaryEmbedding(x, cos, sin, **attributes), weights)
        return append_gradients([raw.ReduceSum(y, keepdims=0)], [x])

    arrays = [a.astype(np.float32) for a in (x, cos, sin)]
    graph, _, found = trace_graph(body, [TensorType.of(a) for a in arrays])
    graph.set_outputs(found, ["d"])
    feeds = {f"x{k}": a for k, a in enumerate(arrays)}
    back = raw.RotaryEmbedding(weights, arrays[1], -arrays[2], **attributes)
    np.testing.assert_allclose(Session(checked(graph), "cpu").run(feeds)["d"], back, rtol=1e-5, atol=1e-6)


RESIZED = [
    {"mode": "linear"},
    {"mode": "cubic", "antialias": 1},
    {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"},
]


@pytest.mark.parametrize("by", ["scales", "sizes"])
@pytest.mark.parametrize("attributes", RESIZED, ids=lambda a: a["mode"])
def test_resizing_images_of_sizes_known_at_run_time(attributes: dict, by: str) -> None:
    """The weights are then computed by the runtime, which resizes an identity."""
    x = np.random.default_rng(2).normal(size=(1, 2, 4, 5)).astype(np.float32)

    def resize(x: Any) -> Any:
        if by == "scales":
            return raw.Resize(x, None, np.float32([1.5, 2.0]), axes=(2, 3), **attributes)
        doubled = raw.Mul(raw.Shape(x, start=2), np.array(2, np.int64))
        return raw.Resize(x, None, None, raw.Concat(raw.Shape(x, end=2), doubled, axis=0), **attributes)

    known = gradients_of(resize, x, dtype="float32")
    found = gradients_of(resize, x, dtype="float32", shapes=[("batch", 2, "height", "width")])
    assert_all_near(found, known, 1e-5)


def test_a_gradient_through_a_sequence_is_refused_and_not_lost() -> None:
    kind = TensorType("float32", (2,))
    graph = Graph("g")
    with Trace(graph):
        x = graph.add_input("x", kind)
        place = graph.add_constant(np.array(1, np.int64))
        sequence = graph.append(Node("SequenceConstruct", [x, raw.Exp(x)], {}), [sequence_of(kind)]).output
        y = graph.append(Node("SequenceAt", [sequence, place], {}), [kind]).output
        with pytest.raises(ValueError, match=r"SequenceAt at node .*: gradients are tensors"):
            append_gradients([y], [x])
