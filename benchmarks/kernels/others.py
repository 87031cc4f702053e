"""Reorders, elementwise operators, normalisation, pooling, random numbers, embeddings and optimizer updates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.kernels.building import MICROSOFT, NCHWC, Builder, Case

__all__ = ["cases"]

SHAPE = (64, 32, 32, 32)
PARAMETERS = 1_000_000


def _random(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape, dtype="float32")


def cases(block: int) -> Iterator[Case]:
    """Return all cases but the convolutions."""
    yield from _reorders(block)
    yield from _elementwise()
    yield from _relu_gradients()
    yield from _reductions()
    yield from _pooling()
    yield from _randomness()
    yield from _products()
    yield from _kernels_of_a_cell()
    yield from _embeddings()
    yield from _steps_of_a_cell(block)
    yield from _recurrent()
    yield from _updates()


def _one(op: str, *arrays: np.ndarray, domain: str = "", **attributes: Any) -> Callable[[Builder], Sequence[str]]:
    return lambda g: [g(op, *(g.input(a) for a in arrays), domain=domain, **attributes)]


def _alone(name: str, build: Callable[[Builder], Sequence[str]]) -> Case:
    return Case(name, name, build, canonical=None)


def _first(results: list[np.ndarray]) -> np.ndarray:
    """The only matrix of a batch."""
    matrix: np.ndarray = results[0][0]
    return matrix


def _reorders(block: int) -> Iterator[Case]:
    x, last = _random(*SHAPE), _random(64, 32, 32, 32)
    for name, perm in (("NCHW→NHWC", [0, 2, 3, 1]), ("NHWC→NCHW", [0, 3, 1, 2]), ("NCHW→CNHW", [1, 0, 2, 3])):
        yield _alone(f"Transpose {name}", _one("Transpose", x, perm=perm))
    rows = _random(3_200, 512)
    yield Case("transpose of a matrix", "Transpose", _one("Transpose", rows, perm=[1, 0]))
    yield Case(
        "transpose of a matrix", "of a batch of one", _one("Transpose", rows[None], perm=[0, 2, 1]), canonical=_first
    )
    kernel = _random(512, 512, 1, 1)

    def flat(g: Builder) -> list[str]:
        return [g.reshape(g("Transpose", g.reshape(g.input(kernel), 512, 512), perm=[1, 0]), 1, 1, 512, 512)]

    group = "transpose of a 512×512×1×1 kernel"
    yield Case(group, "Transpose", _one("Transpose", kernel, perm=[2, 3, 1, 0]))
    yield Case(group, "as a matrix", flat)
    if block:
        yield _alone("ReorderInput NCHW→NCHWc", _one("ReorderInput", x, domain=NCHWC))
        yield _alone("ReorderInput NHWC→NCHWc", _one("ReorderInput", last, domain=NCHWC, channels_last=1))
        yield _alone("ReorderOutput NCHWc→NCHW", _one("ReorderOutput", x, domain=NCHWC, channels=32))
        yield _alone("ReorderOutput NCHWc→NHWC", _one("ReorderOutput", x, domain=NCHWC, channels=32, channels_last=1))
        yield from _arrangements(block)


def _arrangements(block: int) -> Iterator[Case]:
    """A gradient as the kernel of a blocked convolution whose channels are the batch (``passes.blocks``)."""
    batch, channels, pixels = 64, 32, 32 * 32
    outer = (batch // block, channels // block)
    g = _random(batch, channels, pixels)

    def transpose(b: Builder) -> list[str]:
        parts = b.reshape(b.input(g), outer[0], block, outer[1], block, pixels)
        return [b("Transpose", parts, perm=[2, 0, 4, 1, 3])]

    def reorders(b: Builder) -> list[str]:
        x = b.reshape(b.input(g), outer[0], block, 1, channels * pixels)
        x = b.reshape(b("ReorderInput", x, domain=NCHWC), outer[0] * outer[1], block, 1, pixels * block)
        x = b.reshape(b("ReorderInput", x, domain=NCHWC), *outer, pixels * block * block)
        return [b.reshape(b("Transpose", x, perm=[1, 0, 2]), *reversed(outer), pixels, block, block)]

    yield Case("gradient 64×32×32×32 as a blocked kernel", "Transpose", transpose)
    yield Case("gradient 64×32×32×32 as a blocked kernel", "two reorders, Transpose of blocks", reorders)


def _elementwise() -> Iterator[Case]:
    x = _random(*SHAPE)
    for op in ("Relu", "Neg", "Exp", "Sigmoid", "Tanh", "Erf", "Gelu"):
        yield _alone(op, _one(op, x))
    for op in ("Add", "Mul", "Max"):
        yield _alone(op, _one(op, x, x))
    yield _alone("Mul by a scalar", lambda g: [g("Mul", g.input(x), g.constant(0.5, "float32"))])
    column, number = _random(65536, 1), np.float32(0.5)
    yield Case("number added to 65536×1", "Add", lambda g: [g("Add", g.input(column), g.constant(number, "float32"))])
    yield Case(
        "number added to 65536×1",
        "Add of a vector",
        lambda g: [g.reshape(g("Add", g.reshape(g.input(column), 65536), g.constant(number, "float32")), 65536, 1)],
    )
    view = _random(128, 4, 15, 15, 8)
    crop = [0, 0, 0, 0, 0, 0, 0, -1, -1, 0]
    yield Case("one row and column less", "Pad", lambda g: [g("Pad", g.input(view), g.constant(crop))])
    yield Case(
        "one row and column less",
        "Slice",
        lambda g: [g("Slice", g.input(view), g.constant([0, 0]), g.constant([-1, -1]), g.constant([2, 3]))],
    )
    yield _alone("Add of a row", lambda g: [g("Add", g.input(x), g.input(_random(32)))])
    yield _alone("FastGelu", _one("FastGelu", x, domain=MICROSOFT))


def _relu_gradients() -> Iterator[Case]:
    y, dy = np.maximum(_random(*SHAPE), 0), _random(*SHAPE)[::-1].copy()

    def positive(g: Builder) -> str:
        return g("Greater", g.input(y), g.constant(0.0, "float32"))

    def cast(g: Builder) -> list[str]:
        return [g("Mul", g("Cast", positive(g), to=1), g.input(dy))]

    def where(g: Builder) -> list[str]:
        return [g("Where", positive(g), g.input(dy), g.constant(0.0, "float32"))]

    def sign(g: Builder) -> list[str]:
        return [g("Mul", g("Sign", g.input(y)), g.input(dy))]

    def steep(g: Builder) -> list[str]:
        return [g("Mul", g("HardSigmoid", g.input(y), alpha=2.0**126, beta=0.0), g.input(dy))]

    ways = {"Greater, Cast, Mul": cast, "Greater, Where": where, "Sign, Mul": sign, "HardSigmoid, Mul": steep}
    for name, build in ways.items():
        yield Case("ReLU gradient from the output", name, build)


def _reductions() -> Iterator[Case]:
    x, rows = _random(*SHAPE), _random(65536, 32)
    scale, mean, variance = np.ones(32, "float32"), np.zeros(32, "float32"), np.ones(32, "float32")

    def normalize(g: Builder) -> list[str]:
        inputs = [g.input(a) for a in (x, scale, mean, mean, variance)]
        return list(g("BatchNormalization", *inputs, outputs=3, training_mode=1))

    yield _alone("BatchNormalization, training", normalize)
    yield _alone("ReduceSum over (0, 2, 3)", lambda g: [g("ReduceSum", g.input(x), g.constant([0, 2, 3]))])
    leading = "sum over the leading axis of 65536×32"
    yield Case(leading, "ReduceSum", lambda g: [g("ReduceSum", g.input(rows), g.constant([0]))])
    ones = np.ones((1, 65536), "float32")
    yield Case(leading, "MatMul with ones", lambda g: [g("MatMul", g.input(ones), g.input(rows))])
    tokens = _random(16, 128, 1024)
    yield _alone("LayerNormalization, 2048×1024", _one("LayerNormalization", tokens, np.ones(1024, "float32"), axis=-1))
    yield _alone("Softmax, 2048×1024", _one("Softmax", tokens, axis=-1))


def _pooling() -> Iterator[Case]:
    x, dy = _random(*SHAPE), _random(64, 32, 16, 16)
    pool = {"kernel_shape": [2, 2], "strides": [2, 2]}

    def with_indices(g: Builder) -> list[str]:
        return [g("MaxPool", g.input(x), outputs=2, **pool)[0]]

    yield Case("MaxPool 2×2", "values only", _one("MaxPool", x, **pool))
    yield Case("MaxPool 2×2", "with Indices", with_indices)
    n, c, h, w = dy.shape
    index = (np.arange(n * c * h * w).reshape(n, c, h, w) * 4).astype("int64")
    flat = index.reshape(-1)
    zeros = np.zeros(x.size, "float32")

    def unpool(g: Builder) -> list[str]:
        shape = g.constant(x.shape)
        return [g("MaxUnpool", g.input(dy), g.input(index), shape, **pool)]

    def scatter(g: Builder) -> list[str]:
        inputs = [g.input(a) for a in (zeros, flat, dy.reshape(-1))]
        return [g("ScatterElements", *inputs, reduction="add")]

    yield Case("MaxPool 2×2 gradient", "MaxUnpool", unpool, canonical=lambda r: r[0].reshape(-1))
    yield Case("MaxPool 2×2 gradient", "ScatterElements, add", scatter)


def _randomness() -> Iterator[Case]:
    x = _random(*SHAPE)
    group = "random numbers, 64×32×32×32"

    def dropout(g: Builder) -> list[str]:
        return [g("Dropout", g.input(x), g.constant(0.5, "float32"), g.constant(True, "bool"))]

    def hashed(g: Builder) -> list[str]:
        """A counter times an odd number, its upper bits folded in, twice."""
        size = g.constant(x.size, "int64")
        # The start is an input: of constants alone the runtime would compute everything beforehand.
        counter = g("Add", g("Range", g.constant(0), size, g.constant(1)), g.input(np.array([7])))
        bits = g("Cast", counter, to=12)  # uint32
        shift = g.constant(16, "uint32")
        for odd in (0x7FEB352D, 0x846CA68B):
            bits = g("Mul", bits, g.constant(odd, "uint32"))
            bits = g("BitwiseXor", bits, g("BitShift", bits, shift, direction="RIGHT"))
        return [g("Mul", g("Cast", bits, to=1), g.constant(2.0**-32, "float32"))]

    yield Case(group, "Dropout", dropout, canonical=None)
    yield Case(group, "RandomUniformLike", _one("RandomUniformLike", x), canonical=None)
    yield Case(group, "integer hash of a counter", hashed, canonical=None)


def _products() -> Iterator[Case]:
    k, m, n = 65536, 64, 64
    a, b = _random(k, m), _random(k, n)
    flops = 2.0 * k * m * n
    group = f"product, inner size {k}, {m}×{n}"
    at, bt = (np.ascontiguousarray(v.T) for v in (a, b))
    yield Case(group, "Gemm transA", _one("Gemm", a, b, transA=1), flops)
    yield Case(group, "Gemm transB", _one("Gemm", at, bt, transB=1), flops)
    yield Case(group, "Gemm", _one("Gemm", at, b), flops)
    x, w = _random(2048, 1024), _random(1024, 1024)
    yield Case("product 2048×1024×1024", "MatMul", _one("MatMul", x, w), 2.0 * 2048 * 1024 * 1024)
    yield Case("product 2048×1024×1024", "Gemm", _one("Gemm", x, w), 2.0 * 2048 * 1024 * 1024)


def _kernels_of_a_cell() -> Iterator[Case]:
    """The gradients of both kernels and of the bias of a recurrent layer: products with one g of all steps."""
    rows, width, gates = 3_200, 128, 512
    x, h, g_all = _random(rows, width), _random(rows, width) * np.float32(0.5), _random(rows, gates)
    group, flops = f"gradients of a cell's weights, {rows} rows, {width}→{gates}", 4.0 * rows * width * gates

    def plain(g: Builder) -> list[str]:
        a, b, right = (g.input(v) for v in (x, h, g_all))
        bias = g("MatMul", g.constant(np.ones((1, rows)), "float32"), right)
        return [g("Concat", *(g("Gemm", v, right, transA=1) for v in (a, b)), bias, axis=0)]

    def turned_once(g: Builder) -> list[str]:
        a, b, right = (g.input(v) for v in (x, h, g_all))
        left = g.reshape(g("Transpose", right, perm=[1, 0]), 1, gates, rows)
        bias = g("ReduceSum", left, g.constant([0, 2]), keepdims=0)
        products = [g.reshape(g("MatMul", left, v), gates, width) for v in (a, b)]
        parts = [g("Transpose", v, perm=[1, 0]) for v in products]
        return [g("Concat", *parts, g.reshape(bias, 1, gates), axis=0)]

    yield Case(group, "Gemm transA, twice", plain, flops)
    yield Case(group, "g turned once", turned_once, flops)


def _embeddings() -> Iterator[Case]:
    table = np.zeros((10_000, 128), "float32")
    dy, tokens = _random(3_200, 128), np.random.default_rng(2).integers(0, 10_000, (3_200, 1))
    group = "embedding gradient, 3200×128 into 10000×128"

    def scatter_nd(g: Builder) -> list[str]:
        return [g("ScatterND", *(g.input(a) for a in (table, tokens, dy)), reduction="add")]

    def scatter_elements(g: Builder) -> list[str]:
        index = np.broadcast_to(tokens, dy.shape).copy()
        return [g("ScatterElements", *(g.input(a) for a in (table, index, dy)), axis=0, reduction="add")]

    yield Case(group, "ScatterND, add", scatter_nd)
    yield Case(group, "ScatterElements, add", scatter_elements)


def _steps_of_a_cell(block: int) -> Iterator[Case]:
    """The product that a recurrent layer computes in each of its steps."""
    rows, width, gates = 32, 128, 512
    h, u, z = _random(rows, width), _random(width, gates), _random(rows, gates)
    group, flops = f"product of a cell's step, {rows} rows, {width}→{gates}", 2.0 * rows * width * gates
    yield Case(group, "Gemm", _one("Gemm", h, u, z), flops)
    if not block:
        return
    image, added = (v.reshape(rows, -1, block).transpose(1, 0, 2).copy().reshape(1, -1, 1, rows) for v in (h, z))
    kernel = u.reshape(width // block, block, gates // block, block).transpose(2, 0, 1, 3).copy()

    def blocked(g: Builder) -> list[str]:
        inputs = [g.input(image), g.input(kernel.reshape(gates, width, 1, 1)), "", g.input(added)]
        return [g("Conv", *inputs, domain=NCHWC, kernel_shape=[1, 1])]

    def rows_of(results: list[np.ndarray]) -> np.ndarray:
        return results[0].reshape(-1, rows, block).transpose(1, 0, 2).reshape(rows, gates)

    yield Case(group, "blocked Conv", blocked, flops, canonical=rows_of)


def _recurrent() -> Iterator[Case]:
    time, batch, width = 100, 32, 128
    x = _random(time, batch, width)
    for op, gates in (("LSTM", 4), ("GRU", 3)):
        w = _random(1, gates * width, width) * np.float32(0.05)
        yield _alone(f"{op}, T=100, batch 32, 128→128", _recurrence(op, x, w, width))


def _recurrence(op: str, x: np.ndarray, w: np.ndarray, width: int) -> Callable[[Builder], Sequence[str]]:
    return lambda g: [g(op, g.input(x), g.input(w), g.input(w), hidden_size=width)]


def _updates() -> Iterator[Case]:
    w, grad, m, v = _random(PARAMETERS), _random(PARAMETERS), _random(PARAMETERS), _random(PARAMETERS) ** 2
    group = "Adam, 1,000,000 parameters"

    def number(g: Builder, value: float) -> str:
        return g.constant(value, "float32")

    def textbook(g: Builder) -> list[str]:
        """m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², w ← w − η m / (√v + ε)."""
        weight, gradient, first, second = (g.input(a) for a in (w, grad, m, v))
        first = g("Add", g("Mul", first, number(g, 0.9)), g("Mul", gradient, number(g, 0.1)))
        square = g("Mul", g("Mul", gradient, gradient), number(g, 0.001))
        second = g("Add", g("Mul", second, number(g, 0.999)), square)
        root = g("Add", g("Sqrt", second), number(g, 1e-7))
        step = g("Div", g("Mul", first, number(g, 1e-3)), root)
        return [g("Sub", weight, step), first, second]

    def scaled(g: Builder) -> list[str]:
        """The same with moments kept as m/(1−β₁) and v/(1−β₂): two multiplications less."""
        weight, gradient = g.input(w), g.input(grad)
        first, second = g.input(m / np.float32(0.1)), g.input(v / np.float32(0.001))
        first = g("Add", g("Mul", first, number(g, 0.9)), gradient)
        second = g("Add", g("Mul", second, number(g, 0.999)), g("Mul", gradient, gradient))
        root = g("Add", g("Sqrt", second), number(g, 1e-7 / 0.001**0.5))
        step = g("Div", g("Mul", first, number(g, 1e-3 * 0.1 / 0.001**0.5)), root)
        return [g("Sub", weight, step), first, second]

    yield Case(group, "textbook", textbook)
    yield Case(group, "scaled moments", scaled)
    yield _alone(
        "SGD, 1,000,000 parameters",
        lambda g: [g("Sub", g.input(w), g("Mul", g.input(grad), number(g, 1e-3)))],
    )
