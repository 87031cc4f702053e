"""The CUDA forms compute what the portable ones do, and the provider has kernels for them; tested without a device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import zoo
from nngraph import config, random
from nngraph.ir import Graph, TensorType
from nngraph.ops import raw
from nngraph.ops.bits import random_bits
from nngraph.ops.trace import trace_graph
from nngraph.ops.vjp_conv import conv_input_grad
from nngraph.runtime import Session
from nngraph.runtime.placement import off_cuda
from passes import PassManager, pipeline
from passes.autodiff import append_gradients

SHIFTS = ("BitShift", "BitwiseXor", "BitwiseOr", "BitwiseNot")


def traced(fn: Callable[..., Any], *types: TensorType) -> Graph:
    graph, _, y = trace_graph(fn, list(types))
    graph.set_outputs([y], ["y"])
    return graph


def lowered(graph: Graph, target: str) -> Graph:
    return PassManager(pipeline(target, level=1)).run(graph, clone=True).graph


def run(graph: Graph, feeds: dict[str, np.ndarray]) -> np.ndarray:
    return Session(graph, "cpu", optimize=False).run(feeds)["y"]


def both(graph: Graph, feeds: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, Graph]:
    """Return the results of the portable and the CUDA form, and the latter."""
    cuda = lowered(graph, "cuda")
    assert off_cuda(cuda) == []
    return run(lowered(graph, "portable"), feeds), run(cuda, feeds), cuda


DRAWS: dict[str, Callable[[Any], Any]] = {
    "bits": lambda s: random_bits(s, np.array([3, 1500])),
    "one number": lambda s: random_bits(s, np.array([1])),
    "dropout": lambda s: random.dropout(np.ones((7, 400), "float32"), 0.3, seed=Drawn(s)),
    "uniform": lambda s: random.uniform((40, 50), seed=Drawn(s)),
    "float64": lambda s: random.uniform((40, 50), dtype="float64", seed=Drawn(s)),
    "normal": lambda s: random.normal((40, 50), seed=Drawn(s)),
    "truncated normal": lambda s: random.truncated_normal((40, 50), seed=Drawn(s)),
    "shuffle": lambda s: random.shuffle(np.arange(99), seed=Drawn(s)),
}


class Drawn:
    """A state in the clothes of a generator."""

    def __init__(self, state: Any) -> None:
        self.state = state

    def next(self) -> Any:
        return self.state


@pytest.mark.parametrize("kind", DRAWS)
def test_random_numbers_are_the_same_to_the_last_bit(kind: str) -> None:
    graph = traced(DRAWS[kind], TensorType("uint32", (2,)))
    for state in ([0, 0], [7, 3], [2**32 - 1, 2**32 - 1], [123456789, 1]):
        wanted, found, cuda = both(graph, {"x0": np.array(state, np.uint32)})
        np.testing.assert_array_equal(found, wanted)
    assert not {n.op for n in cuda} & set(SHIFTS)


HARD = np.array([0, 1, 2, 255, 256, 511, 512, 2**15, 2**16 - 1, 2**16, 2**17, 2**31, 2**32 - 2, 2**32 - 1], np.uint32)

BITS: dict[str, tuple[Callable[[Any], Any], Callable[[np.ndarray], np.ndarray]]] = {
    "x ^ (x >> 16)": (
        lambda x: raw.BitwiseXor(x, raw.BitShift(x, np.uint32(16), direction="RIGHT")),
        lambda x: x ^ (x >> 16),
    ),
    "(x >> 15) ^ x": (
        lambda x: raw.BitwiseXor(raw.BitShift(x, np.uint32(15), direction="RIGHT"), x),
        lambda x: x ^ (x >> 15),
    ),
    "x ^ (x >> 31)": (
        lambda x: raw.BitwiseXor(x, raw.BitShift(x, np.uint32(31), direction="RIGHT")),
        lambda x: x ^ (x >> 31),
    ),
    "x >> 7": (lambda x: raw.BitShift(x, np.uint32(7), direction="RIGHT"), lambda x: x >> 7),
    "x << 7": (lambda x: raw.BitShift(x, np.uint32(7), direction="LEFT"), lambda x: x << 7),
    "x | 1": (lambda x: raw.BitwiseOr(x, np.uint32(1)), lambda x: x | 1),
    "1 | x": (lambda x: raw.BitwiseOr(np.array(1, np.uint32), x), lambda x: x | 1),
    "~x": (raw.BitwiseNot, lambda x: ~x),
    "a shift used twice": (
        lambda x: raw.Add(raw.BitwiseXor(x, s := raw.BitShift(x, np.uint32(16), direction="RIGHT")), s),
        lambda x: (x ^ (x >> 16)) + (x >> 16),
    ),
}


@pytest.mark.parametrize("kind", BITS)
def test_bit_operators_as_arithmetic(kind: str) -> None:
    fn, oracle = BITS[kind]
    rng = np.random.default_rng(0)
    numbers = np.concatenate([HARD, rng.integers(0, 2**32, 1000, dtype=np.uint32)])
    wanted, found, cuda = both(traced(fn, TensorType("uint32", numbers.shape)), {"x0": numbers})
    np.testing.assert_array_equal(wanted, oracle(numbers))
    np.testing.assert_array_equal(found, wanted)
    assert not {n.op for n in cuda} & set(SHIFTS)


@pytest.mark.parametrize(
    ("fn", "dtype"),
    [
        (lambda x: raw.BitwiseXor(x, raw.BitShift(x, np.uint32(5), direction="RIGHT")), "uint32"),
        (lambda x: raw.BitwiseXor(x, raw.BitShift(x, np.uint32(16), direction="LEFT")), "uint32"),
        (lambda x: raw.BitwiseXor(x, raw.BitShift(x, np.uint64(40), direction="RIGHT")), "uint64"),
        (lambda x: raw.BitwiseXor(x, raw.Add(x, np.uint32(1))), "uint32"),
        (lambda x: raw.BitwiseOr(x, np.uint32(2)), "uint32"),
        (lambda x: raw.BitwiseNot(x), "int32"),
        (lambda x: raw.BitwiseOr(x, np.int32(1)), "int32"),
        (lambda x: raw.BitShift(x, np.array([1, 2, 3], np.uint32), direction="RIGHT"), "uint32"),
    ],
)
def test_other_bit_operators_stay(fn: Callable[[Any], Any], dtype: str) -> None:
    graph = traced(fn, TensorType(dtype, (3,)))
    numbers = np.array([0, 5, 2**31 - 1], dtype)
    cuda = lowered(graph, "cuda")
    assert off_cuda(cuda)
    np.testing.assert_array_equal(run(cuda, {"x0": numbers}), run(graph, {"x0": numbers}))


# image sizes, kernel, strides, pads, dilations, whether the form differs from the portable one
INPUT_GRADS = {
    "even": ((6, 7), (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), False),
    "stride": ((8, 8), (3, 3), (2, 2), (0, 0, 1, 1), (1, 1), True),
    "uneven in one axis": ((5, 9), (3, 2), (2, 1), (1, 0, 1, 1), (1, 1), True),
    "more before": ((8, 8), (4, 3), (2, 2), (2, 1, 0, 0), (1, 1), True),
    "pixels left out": ((8, 9), (3, 3), (2, 3), (0, 0, 0, 0), (1, 1), False),
    "pixels left out after padding": ((9, 9), (3, 3), (2, 3), (1, 0, 1, 0), (1, 1), False),
    "stride longer than the kernel": ((7, 7), (1, 1), (3, 3), (0, 0, 0, 0), (1, 1), False),
    "uneven and short": ((8, 8), (2, 2), (3, 3), (1, 1, 0, 0), (1, 1), True),
    "dilated": ((8, 9), (3, 3), (1, 2), (1, 0, 2, 1), (1, 2), True),
    "one axis": ((9,), (4,), (1,), (1, 2), (1,), True),
    "three axes": ((4, 5, 3), (3, 2, 1), (2, 1, 1), (1, 0, 0, 0, 1, 0), (1, 1, 1), True),
}


@pytest.mark.parametrize("nhwc", [False, True], ids=["NCHW", "NHWC"])
@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize("kind", INPUT_GRADS)
def test_gradients_of_images(kind: str, group: int, nhwc: bool) -> None:
    sizes, kernel, strides, pads, dilations, differs = INPUT_GRADS[kind]
    rank = len(sizes)
    steps = [
        (n + pads[k] + pads[k + rank] - d * (m - 1) - 1) // s + 1
        for k, (n, m, s, d) in enumerate(zip(sizes, kernel, strides, dilations, strict=True))
    ]

    def fn(g: Any, w: Any) -> Any:
        common = {"strides": strides, "pads": pads, "dilations": dilations, "group": group}
        types = [TensorType("float32", (2, 4, *sizes))]
        return conv_input_grad(g, w, spatial=sizes, types=types, **common)

    graph = traced(fn, TensorType("float32", (2, 6, *steps)), TensorType("float32", (6, 4 // group, *kernel)))
    assert graph.outputs[0].shape == (2, 4, *sizes)
    with config.override(cuda_nhwc=nhwc):
        wanted, found, cuda = both(graph, zoo.feeds(graph))
    used = [n.op for n in cuda]
    assert ("ConvTranspose" in used) != nhwc
    assert (used != [n.op for n in lowered(graph, "portable")]) == (differs or nhwc)
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


X = TensorType("float32", (2, 3, 7, 6))
REFUSED: dict[str, tuple[Callable[..., Any], list[TensorType]]] = {
    "transposed, uneven": (
        lambda x, w, b: raw.ConvTranspose(x, w, b, strides=(2, 1), pads=(0, 2, 1, 0), output_padding=(1, 0)),
        [TensorType("float32", ("batch", 3, 7, 6)), TensorType("float32", (3, 4, 3, 3)), TensorType("float32", (4,))],
    ),
    "average of overlapping windows": (
        lambda x: gradient_of(lambda t: raw.AveragePool(t, kernel_shape=(3, 2), strides=(2, 1), pads=(0, 1, 1, 0)), x),
        [X],
    ),
    "celu": (lambda x: raw.Celu(x, alpha=0.7), [X]),
    "batch normalisation": (
        lambda x, s, b, m, v: raw.BatchNormalization(x, s, b, m, v, training_mode=1, outputs=3)[0],
        [X, *[TensorType("float32", (3,))] * 4],
    ),
    "its mean": (
        lambda x, s, b, m, v: raw.BatchNormalization(x, s, b, m, v, training_mode=1, momentum=0.7, outputs=3)[1],
        [X, *[TensorType("float32", (3,))] * 4],
    ),
    "its variance": (
        lambda x, s, b, m, v: raw.BatchNormalization(x, s, b, m, v, training_mode=1, epsilon=0.1, outputs=3)[2],
        [X, *[TensorType("float32", (3,))] * 4],
    ),
}


def gradient_of(fn: Callable[[Any], Any], x: Any) -> Any:
    y = fn(x)
    return append_gradients([raw.ReduceSum(raw.Mul(y, y), keepdims=0)], [x])[0]


@pytest.mark.parametrize("kind", REFUSED)
def test_what_the_provider_refuses(kind: str) -> None:
    fn, types = REFUSED[kind]
    graph = traced(fn, *types)
    assert off_cuda(lowered(graph, "portable"))
    wanted, found, _ = both(graph, zoo.feeds(graph))
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


TRANSPOSED = {
    "plain": {},
    "stride and extra": {"strides": (3, 2), "output_padding": (2, 1), "pads": (1, 0, 0, 1)},
    "dilated groups": {"group": 3, "dilations": (2, 1), "strides": (1, 2)},
}


@pytest.mark.parametrize("kind", TRANSPOSED)
def test_transposed_convolutions_in_nhwc(kind: str) -> None:
    attributes = TRANSPOSED[kind]
    channels = 4 // 2 if "group" in attributes else 4
    filters = channels * attributes.get("group", 1)
    types = [X, TensorType("float32", (3, channels, 3, 2)), TensorType("float32", (filters,))]
    graph = traced(lambda x, w, b: raw.ConvTranspose(x, w, b, **attributes), *types)
    with config.override(cuda_nhwc=True):
        wanted, found, cuda = both(graph, zoo.feeds(graph))
    assert "ConvTranspose" not in {n.op for n in cuda}
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_a_padding_beyond_the_kernel_stays_for_the_cpu() -> None:
    types = [X, TensorType("float32", (3, 2, 1, 1))]
    graph = traced(lambda x, w: raw.ConvTranspose(x, w, pads=(1, 1, 1, 1)), *types)
    with config.override(cuda_nhwc=True):
        cuda = lowered(graph, "cuda")
        assert [why for _, why in off_cuda(cuda)] == ["in NHWC its kernel must be a constant"]
    np.testing.assert_allclose(run(cuda, zoo.feeds(graph)), run(graph, zoo.feeds(graph)), rtol=1e-5)


NARROW: dict[str, tuple[Callable[..., Any], list[TensorType], bool]] = {
    "choice of bools": (lambda c, x: raw.Where(c, x, c), [TensorType("bool", (5,))] * 2, True),
    "choice of uint32": (lambda c, x: raw.Where(c, x, x), [TensorType("bool", (5,)), TensorType("uint32", (5,))], True),
    "tiles": (lambda x: raw.Tile(x, np.array([2])), [TensorType("bool", (5,))], True),
    "only on the CPU": (raw.Atan, [TensorType("float32", (5,))], False),
    "double, only on the CPU": (raw.Atan, [TensorType("float64", (5,))], False),
    "nowhere": (raw.Det, [TensorType("float16", (2, 2))], False),
    "batch in front": (
        lambda x, w, r: raw.LSTM(x, w, r, hidden_size=2, layout=1, outputs=3)[0],
        [TensorType("float32", (1, 5, 2)), *[TensorType("float32", (1, 8, 2))] * 2],
        True,
    ),
}


@pytest.mark.parametrize("kind", NARROW)
def test_dtypes_and_attributes_without_a_kernel(kind: str) -> None:
    fn, types, on_cuda = NARROW[kind]
    graph = traced(fn, *types)
    cuda = lowered(graph, "cuda")
    assert (off_cuda(cuda) == []) == on_cuda
    wanted, found = run(lowered(graph, "cpu"), zoo.feeds(graph)), run(cuda, zoo.feeds(graph))
    assert found.dtype == wanted.dtype
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", sorted(zoo.ZOO))
def test_the_zoo_computes_the_same(name: str) -> None:
    graph = zoo.ZOO[name]()
    results = [zoo.run(PassManager(pipeline(target)).run(graph, clone=True).graph) for target in ("portable", "cuda")]
    for key, wanted in results[0].items():
        np.testing.assert_allclose(results[1][key], wanted, rtol=1e-4, atol=1e-5)
