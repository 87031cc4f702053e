"""Ways to write a convolution and its two gradients, 3×3 with stride 1 and padding 1."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.kernels.building import NCHWC, Builder, Case

__all__ = ["PADS", "SHAPES", "K", "blocked", "cases", "random_array", "unblocked"]

# Images, channels in, height and width, channels out: the stages of a ResNet on 32 × 32 images, and its first layer.
SHAPES = ((64, 3, 32, 32), (64, 32, 32, 32), (64, 64, 16, 64), (64, 128, 8, 128))
K, PADS = 3, [1, 1, 1, 1]


def random_array(*shape: int) -> np.ndarray:
    """Return the same normal numbers at each call."""
    return np.random.default_rng(0).standard_normal(shape, dtype="float32")


def blocked(x: np.ndarray, block: int) -> np.ndarray:
    """Return images as they lie in the blocked layout."""
    n, c, h, w = x.shape
    return np.ascontiguousarray(x.reshape(n, c // block, block, h, w).transpose(0, 1, 3, 4, 2)).reshape(x.shape)


def unblocked(x: np.ndarray, block: int) -> np.ndarray:
    """Return images of the blocked layout as NCHW."""
    n, c, h, w = x.shape
    return x.reshape(n, c // block, h, w, block).transpose(0, 1, 4, 2, 3).reshape(x.shape)


def _block_weights(g: Builder, w: str, shape: tuple[int, ...], block: int) -> str:
    m, c = shape[:2]
    split = g.reshape(w, m // block, block, c // block, block, K, K)
    return g.reshape(g("Transpose", split, perm=[0, 2, 4, 5, 3, 1]), m, c, K, K)


def _flipped(g: Builder, w: str) -> str:
    """Return the kernel turned around, with the roles of its channels exchanged."""
    reverse = g.constant([K - 1 - k for k in range(K)])
    turned = g("Gather", g("Gather", w, reverse, axis=2), reverse, axis=3)
    return g("Transpose", turned, perm=[1, 0, 2, 3])


def cases(shape: tuple[int, int, int, int], block: int) -> Iterator[Case]:
    """Return the ways for one shape; those of the blocked layout where the machine has it."""
    n, c, size, m = shape
    x, w, dy = random_array(n, c, size, size), random_array(m, c, K, K), random_array(n, m, size, size)
    flops = 2.0 * n * size * size * c * m * K * K
    about = f"{n}×{c}→{m}, {size}×{size}"
    blocks = block and c % block == 0 and m % block == 0

    def conv(g: Builder) -> list[str]:
        return [g("Conv", g.input(x), g.input(w), pads=PADS)]

    def conv_blocked(g: Builder) -> list[str]:
        weights = _block_weights(g, g.input(w), w.shape, block)
        return [g("Conv", g.input(blocked(x, block)), weights, domain=NCHWC, pads=PADS, kernel_shape=[K, K])]

    def conv_reordered(g: Builder) -> list[str]:
        weights = _block_weights(g, g.input(w), w.shape, block)
        y = g("ReorderInput", g.input(x), domain=NCHWC)
        y = g("Conv", y, weights, domain=NCHWC, pads=PADS, kernel_shape=[K, K])
        return [g("ReorderOutput", y, domain=NCHWC, channels=m)]

    forward = f"convolution {about}"
    yield Case(forward, "Conv, NCHW", conv, flops)
    if blocks:
        yield Case(forward, "NCHWc Conv", conv_blocked, flops, lambda r: unblocked(r[0], block))
        yield Case(forward, "NCHWc Conv between reorders", conv_reordered, flops)

    def transposed(g: Builder) -> list[str]:
        return [g("ConvTranspose", g.input(dy), g.input(w), pads=PADS)]

    def flipped(g: Builder) -> list[str]:
        return [g("Conv", g.input(dy), _flipped(g, g.input(w)), pads=PADS)]

    def flipped_blocked(g: Builder) -> list[str]:
        weights = _block_weights(g, _flipped(g, g.input(w)), (c, m), block)
        return [g("Conv", g.input(blocked(dy, block)), weights, domain=NCHWC, pads=PADS, kernel_shape=[K, K])]

    backward = f"input gradient {about}"
    yield Case(backward, "ConvTranspose", transposed, flops)
    yield Case(backward, "Conv, kernel flipped", flipped, flops)
    if blocks:
        yield Case(backward, "NCHWc Conv, kernel flipped", flipped_blocked, flops, lambda r: unblocked(r[0], block))
    yield from _weight_gradients(shape, x, dy, flops, f"weight gradient {about}")
    if blocks and n % block == 0:
        yield Case(f"weight gradient {about}", "NCHWc Conv, batch and channels swapped", _swapped(x, dy, block), flops)


def _swapped(x: np.ndarray, dy: np.ndarray, block: int) -> Callable[[Builder], list[str]]:
    """The images are the channels, in blocks; padded apart, since results that touch padding come one by one."""
    n, c, size, _ = x.shape
    m = dy.shape[1]

    def build(g: Builder) -> list[str]:
        plain = g("ReorderOutput", g.input(blocked(x, block)), domain=NCHWC, channels=c)
        image = g("ReorderInput", g("Transpose", plain, perm=[1, 0, 2, 3]), domain=NCHWC)
        view = g.reshape(image, c, n // block, size, size, block)
        grown = g.reshape(g("Pad", view, g.constant([0, 0, 1, 1, 0, 0, 0, 1, 1, 0])), c, n, size + 2, size + 2)
        parts = g.reshape(g.input(blocked(dy, block)), n // block, block, m // block, size * size, block)
        kernel = g.reshape(g("Transpose", parts, perm=[2, 0, 3, 1, 4]), m, n, size, size)
        y = g("Conv", grown, kernel, domain=NCHWC, kernel_shape=[size, size])
        return [g.reshape(g("Transpose", g.reshape(y, c, m // block, K * K, block), perm=[1, 3, 2, 0]), m, K, K, c)]

    return build


def _weight_gradients(
    shape: tuple[int, int, int, int], x: np.ndarray, dy: np.ndarray, flops: float, group: str
) -> Iterator[Case]:
    n, c, size, m = shape
    x_last, dy_last = (np.ascontiguousarray(a.transpose(0, 2, 3, 1)) for a in (x, dy))
    rows = n * size * size

    def swapped(g: Builder) -> list[str]:
        a = g("Transpose", g.input(x), perm=[1, 0, 2, 3])
        b = g("Transpose", g.input(dy), perm=[1, 0, 2, 3])
        return [g("Transpose", g("Conv", a, b, pads=PADS), perm=[1, 0, 2, 3])]

    def padded(g: Builder) -> str:
        return g("Pad", g.input(x_last), g.constant([0, 1, 1, 0, 0, 1, 1, 0]))

    def multiplied(g: Builder, patches: str) -> list[str]:
        flat = g.reshape(patches, rows, K * K * c)
        return [g("Gemm", g.reshape(g.input(dy_last), rows, m), flat, transA=1)]

    def sliced(g: Builder) -> list[str]:
        image, axes = padded(g), g.constant([1, 2])
        parts = [
            g("Slice", image, g.constant([i, j]), g.constant([i + size, j + size]), axes)
            for i in range(K)
            for j in range(K)
        ]
        return multiplied(g, g("Concat", *parts, axis=3))

    def gathered(g: Builder) -> list[str]:
        wide = size + 2
        corners = np.arange(size)[:, None] * wide + np.arange(size)
        window = (np.arange(K)[:, None] * wide + np.arange(K)).ravel()
        index = (corners.ravel()[:, None] + window).ravel()
        return multiplied(g, g("Gather", g.reshape(padded(g), n, wide * wide, c), g.constant(index), axis=1))

    def merged(groups: int) -> Case:
        def build(g: Builder) -> list[str]:
            kernel = g.reshape(g.input(dy_last), groups, n // groups, size, size, m)
            kernel = g.reshape(g("Transpose", kernel, perm=[0, 4, 1, 2, 3]), groups * m, n // groups, size, size)
            image = g.reshape(g.input(x_last), 1, n, size, size * c)
            y = g("Conv", image, kernel, dilations=[1, c], pads=[1, c, 1, c], group=groups)
            if groups == 1:
                return [y]
            return [g("ReduceSum", g.reshape(y, groups, m, K, K * c), g.constant([0]), keepdims=0)]

        name = "Conv over merged W and C" + (f", {groups} groups" if groups > 1 else "")
        return Case(group, name, build, flops, lambda r: r[0].reshape(m, K, K, c))

    yield Case(group, "Conv, batch and channels swapped", swapped, flops, lambda r: r[0].transpose(0, 2, 3, 1))
    yield Case(group, "slices + Gemm, NHWC", sliced, flops, lambda r: r[0].reshape(m, K, K, c))
    yield Case(group, "Gather + Gemm, NHWC", gathered, flops, lambda r: r[0].reshape(m, K, K, c))
    yield from (merged(groups) for groups in (1, 2, 4))
