"""What a transformer's step consists of besides plain products: attention, GELU, sums of gradients."""

from __future__ import annotations

from collections.abc import Iterator
from math import log, pi, sqrt

import numpy as np

from benchmarks.kernels.building import MICROSOFT, Builder, Case

__all__ = ["cases"]

BATCH, LENGTH, HEADS, SIZE = 16, 128, 4, 64
WIDTH = HEADS * SIZE
ROWS = BATCH * LENGTH


def _random(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, dtype="float32")


def cases() -> Iterator[Case]:
    """Return all cases."""
    yield from _scores()
    yield from _gradient_of_keys()
    yield from _softmax_gradient()
    yield from _gelu_gradient()
    yield from _shared_input()
    yield from _weights_of_shared_input()
    yield from _wide_sum()


def _scores() -> Iterator[Case]:
    q, k = _random(BATCH, LENGTH, HEADS, SIZE), _random(BATCH, LENGTH, HEADS, SIZE, seed=2)
    flops = 2.0 * BATCH * HEADS * LENGTH * LENGTH * SIZE

    def plain(g: Builder) -> list[str]:
        scaled = g("Mul", g.input(q), g.constant(0.125, "float32"))
        rows = g("Transpose", scaled, perm=[0, 2, 1, 3])
        return [g("MatMul", rows, g("Transpose", g.input(k), perm=[0, 2, 3, 1]))]

    def fused(g: Builder) -> list[str]:
        rows, columns = (g("Transpose", g.input(x), perm=[0, 2, 1, 3]) for x in (q, k))
        return [g("FusedMatMul", rows, columns, domain=MICROSOFT, transB=1, alpha=0.125)]

    yield Case("attention scores", "scale, transposes, MatMul", plain, flops)
    yield Case("attention scores", "FusedMatMul, whole rows moved", fused, flops)


def _gradient_of_keys() -> Iterator[Case]:
    q, ds = _random(BATCH, HEADS, LENGTH, SIZE), _random(BATCH, HEADS, LENGTH, LENGTH, seed=2)
    group, flops = "gradient of keys", 2.0 * BATCH * HEADS * LENGTH * LENGTH * SIZE

    def plain(g: Builder) -> list[str]:
        columns = g("MatMul", g("Transpose", g.input(q), perm=[0, 1, 3, 2]), g.input(ds))
        return [g("Transpose", columns, perm=[0, 3, 1, 2])]

    def queries(g: Builder) -> list[str]:
        columns = g("FusedMatMul", g.input(q), g.input(ds), domain=MICROSOFT, transA=1)
        return [g("Transpose", columns, perm=[0, 3, 1, 2])]

    def scores(g: Builder) -> list[str]:
        rows = g("FusedMatMul", g.input(ds), g.input(q), domain=MICROSOFT, transA=1)
        return [g("Transpose", rows, perm=[0, 2, 1, 3])]

    yield Case(group, "transposes, MatMul", plain, flops)
    yield Case(group, "FusedMatMul turns the queries", queries, flops)
    yield Case(group, "FusedMatMul turns the scores", scores, flops)


def _softmax_gradient() -> Iterator[Case]:
    p, dy = np.abs(_random(BATCH, HEADS, LENGTH, LENGTH)), _random(BATCH, HEADS, LENGTH, LENGTH, seed=2)
    group = "gradient of softmax"

    def total(g: Builder, product: str) -> str:
        name: str = g("ReduceSum", product, g.constant([-1]), keepdims=1)
        return name

    def products(g: Builder) -> list[str]:
        y, grad = g.input(p), g.input(dy)
        product = g("Mul", grad, y)
        return [g("Sub", product, g("Mul", y, total(g, product)))]

    def difference(g: Builder) -> list[str]:
        y, grad = g.input(p), g.input(dy)
        return [g("Mul", g("Sub", grad, total(g, g("Mul", grad, y))), y)]

    yield Case(group, "g p − p Σ g p", products)
    yield Case(group, "(g − Σ g p) p", difference)


def _gelu_gradient() -> Iterator[Case]:
    x, dy = _random(BATCH, LENGTH, 4 * WIDTH), _random(BATCH, LENGTH, 4 * WIDTH, seed=2)

    def number(g: Builder, value: float) -> str:
        return g.constant(value, "float32")

    def textbook(g: Builder) -> list[str]:
        t = g.input(x)
        erf = g("Erf", g("Mul", t, number(g, sqrt(0.5))))
        cumulative = g("Mul", g("Add", erf, number(g, 1)), number(g, 0.5))
        density = g("Exp", g("Mul", g("Mul", t, t), number(g, -0.5)))
        slope = g("Mul", t, g("Mul", density, number(g, 1 / sqrt(2 * pi))))
        return [g("Mul", g.input(dy), g("Add", cumulative, slope))]

    def doubled(g: Builder) -> list[str]:
        """Two times the slope, times half of the gradient, which the product before it gives for nothing."""
        u = g("Mul", g.input(x), number(g, sqrt(0.5)))
        density = g("Exp", g("Sub", number(g, log(2 / sqrt(pi))), g("Mul", u, u)))
        slope = g("Add", g("Add", g("Erf", u), number(g, 1)), g("Mul", u, density))
        return [g("Mul", g.input(dy / 2), slope)]

    yield Case("gradient of GELU", "textbook", textbook)
    yield Case("gradient of GELU", "two times the slope", doubled)


def _shared_input() -> Iterator[Case]:
    gradients = [_random(ROWS, WIDTH, seed=s) for s in (1, 2, 3)]
    weights = [_random(WIDTH, WIDTH, seed=s) for s in (4, 5, 6)]
    group, flops = "gradient of what three projections take", 6.0 * ROWS * WIDTH * WIDTH

    def added(g: Builder) -> list[str]:
        parts = [g("Gemm", g.input(a), g.input(w), transB=1) for a, w in zip(gradients, weights, strict=True)]
        # As the gradients come: with the batch's axes, so that the runtime does not move the sum into the product.
        a, b, c = (g.reshape(part, BATCH, LENGTH, WIDTH) for part in parts)
        return [g("Add", g("Add", a, b), c)]

    def chained(g: Builder) -> list[str]:
        total: list[str] = []
        for a, w in zip(gradients, weights, strict=True):
            total = [g("Gemm", g.input(a), g.input(w), *total, transB=1)]
        return total

    def joined(g: Builder) -> list[str]:
        a, w = (g("Concat", *(g.input(x) for x in xs), axis=1) for xs in (gradients, weights))
        return [g("Gemm", a, w, transB=1)]

    yield Case(group, "Gemm and Add", added, flops)
    yield Case(group, "Gemm adds the sum so far", chained, flops)
    yield Case(group, "one Gemm over Concat", joined, flops)


def _weights_of_shared_input() -> Iterator[Case]:
    x, gradients = _random(ROWS, WIDTH), [_random(ROWS, WIDTH, seed=s) for s in (2, 3, 4)]
    group, flops = "weight gradients of three projections of one input", 6.0 * ROWS * WIDTH * WIDTH

    def plain(g: Builder) -> list[str]:
        left = g.input(x)
        return [g("Concat", *(g("Gemm", left, g.input(v), transA=1) for v in gradients), axis=0)]

    def turned_once(g: Builder) -> list[str]:
        left = g.reshape(g("Transpose", g.input(x), perm=[1, 0]), 1, WIDTH, ROWS)
        parts = [g.reshape(g("MatMul", left, g.input(v)), WIDTH, WIDTH) for v in gradients]
        return [g("Concat", *parts, axis=0)]

    yield Case(group, "Gemm transA, three times", plain, flops)
    yield Case(group, "input turned once", turned_once, flops)


def _wide_sum() -> Iterator[Case]:
    x, group = _random(ROWS, 4 * WIDTH), f"sum over the leading axis of {ROWS}×{4 * WIDTH}"

    def whole(g: Builder) -> list[str]:
        return [g("MatMul", g.input(np.ones(ROWS, "float32")), g.input(x))]

    def parts(g: Builder) -> list[str]:
        split = g.reshape(g.input(x), 8, ROWS // 8, 4 * WIDTH)
        sums = g("MatMul", g.input(np.ones((8, 1, ROWS // 8), "float32")), split)
        return [g("ReduceSum", sums, g.constant([0, 1]), keepdims=0)]

    yield Case(group, "MatMul with ones", whole)
    yield Case(group, "MatMul with ones, in parts", parts)
