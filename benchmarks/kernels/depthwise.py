"""Ways to write a depthwise convolution and its two gradients, 3×3 with stride 1 and padding 1."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.kernels.building import NCHWC, Builder, Case
from benchmarks.kernels.convolution import PADS, K, blocked, random_array, unblocked

__all__ = ["SHAPES", "cases"]

KernelStep = Callable[[Builder, str], str]

# Images, channels, height and width: stages of a MobileNet on 64 × 64 images.
SHAPES = ((32, 32, 32), (32, 128, 16), (32, 512, 4))


def cases(shape: tuple[int, int, int], block: int) -> Iterator[Case]:
    """Return the ways for one shape; those of the blocked layout where the machine has it."""
    n, c, size = shape
    x, w, dy = random_array(n, c, size, size), random_array(c, 1, K, K), random_array(n, c, size, size)[::-1].copy()
    flops = 2.0 * x.size * K * K
    about = f"{n}×{c}, {size}×{size}"
    blocks = block and c % block == 0

    def turned(g: Builder, kernel: str) -> str:
        reverse = g.constant([K - 1 - k for k in range(K)])
        return g("Gather", g("Gather", kernel, reverse, axis=2), reverse, axis=3)

    def block_kernel(g: Builder, kernel: str) -> str:
        split = g.reshape(kernel, c // block, block, 1, K, K)
        return g.reshape(g("Transpose", split, perm=[0, 2, 3, 4, 1]), c, 1, K, K)

    def conv(g: Builder) -> list[str]:
        return [g("Conv", g.input(x), g.input(w), pads=PADS, group=c)]

    def conv_blocked(g: Builder) -> list[str]:
        kernel = block_kernel(g, g.input(w))
        return [g("Conv", g.input(blocked(x, block)), kernel, domain=NCHWC, pads=PADS, kernel_shape=[K, K], group=c)]

    def transposed(g: Builder) -> list[str]:
        return [g("ConvTranspose", g.input(dy), g.input(w), pads=PADS, group=c)]

    def flipped(g: Builder) -> list[str]:
        return [g("Conv", g.input(dy), turned(g, g.input(w)), pads=PADS, group=c)]

    def flipped_blocked(g: Builder) -> list[str]:
        kernel = block_kernel(g, turned(g, g.input(w)))
        return [g("Conv", g.input(blocked(dy, block)), kernel, domain=NCHWC, pads=PADS, kernel_shape=[K, K], group=c)]

    forward, backward = f"depthwise {about}", f"depthwise input gradient {about}"
    yield Case(forward, "Conv, NCHW", conv, flops)
    if blocks:
        yield Case(forward, "NCHWc Conv", conv_blocked, flops, lambda r: unblocked(r[0], block))
    yield Case(backward, "ConvTranspose", transposed, flops)
    yield Case(backward, "Conv, kernel flipped", flipped, flops)
    if blocks:
        yield Case(backward, "NCHWc Conv, kernel flipped", flipped_blocked, flops, lambda r: unblocked(r[0], block))
    yield from _weight_gradients(x, dy, flops, f"depthwise weight gradient {about}", block if blocks else 0)
    if blocks:
        yield from _strided_input_gradients(dy, w, turned, block_kernel, block)
        yield from _norms(x, block)


def _strided_input_gradients(
    dy: np.ndarray, w: np.ndarray, turned: KernelStep, block_kernel: KernelStep, block: int
) -> Iterator[Case]:
    """Of a convolution with stride 2: its input has twice the size of dy."""
    n, c, size, _ = dy.shape
    group = f"depthwise input gradient {n}×{c}, {size}×{size} to {2 * size}×{2 * size}"
    flops = 2.0 * dy.size * K * K

    def transposed(g: Builder) -> list[str]:
        more = {"strides": [2, 2], "output_padding": [1, 1]}
        return [g("ConvTranspose", g.input(dy), g.input(w), pads=PADS, group=c, **more)]

    def convolved(g: Builder, spread: str) -> list[str]:
        kernel, image = block_kernel(g, turned(g, g.input(w))), g.reshape(spread, n, c, 2 * size, 2 * size)
        return [g("Conv", image, kernel, domain=NCHWC, pads=PADS, kernel_shape=[K, K], group=c)]

    def padded(g: Builder) -> list[str]:
        pixels = g.reshape(g.input(blocked(dy, block)), n * c // block * size, 1, size, block)
        return convolved(g, g("Pad", pixels, g.constant([0, 0, 0, 0, 0, 1, 0, block])))

    def masked(g: Builder) -> list[str]:
        mask = np.zeros((2 * size, 2 * size, block))
        mask[::2, ::2] = 1
        repeated = g("Upsample", g.input(blocked(dy, block)), domain=NCHWC, scales=[1, 1, 2, 2], mode="nearest")
        rows = g.reshape(repeated, n * c // block, mask.size)
        return convolved(g, g("Mul", rows, g.constant(mask.reshape(-1), "float32")))

    yield Case(group, "ConvTranspose", transposed, flops)
    yield Case(group, "zeros by Pad, NCHWc Conv", padded, flops, lambda r: unblocked(r[0], block))
    yield Case(group, "zeros by Upsample and Mul, NCHWc Conv", masked, flops, lambda r: unblocked(r[0], block))


def _norms(x: np.ndarray, block: int) -> Iterator[Case]:
    """Scale and shift of each channel, and the sum over pixels of x · x."""
    n, c, size, _ = x.shape
    scale, shift = random_array(c), random_array(c)[::-1].copy()
    about = f"{n}×{c}, {size}×{size}"

    def operators(g: Builder) -> list[str]:
        column = [g.input(v.reshape(c, 1, 1)) for v in (scale, shift)]
        return [g("Add", g("Mul", g.input(x), column[0]), column[1])]

    def convolved(g: Builder) -> list[str]:
        inputs = [g.input(blocked(x, block)), g.input(scale.reshape(c, 1, 1, 1)), g.input(shift)]
        return [g("Conv", *inputs, domain=NCHWC, kernel_shape=[1, 1], group=c)]

    def squared(g: Builder) -> list[str]:
        image = g.input(x)
        return [g("ReduceSum", g("Mul", image, image), g.constant([0, 2, 3]), keepdims=0)]

    def by_image(g: Builder) -> list[str]:
        flat = g.input(blocked(x, block))
        image, kernel = g.reshape(flat, 1, n * c, size, size), g.reshape(flat, n * c, 1, size, size)
        each = g("Conv", image, kernel, domain=NCHWC, kernel_shape=[size, size], group=n * c)
        return [g("ReduceSum", g.reshape(each, n, c), g.constant([0]), keepdims=0)]

    group = f"scale and shift of channels {about}"
    yield Case(group, "Mul, Add, NCHW", operators)
    yield Case(group, "NCHWc Conv", convolved, canonical=lambda r: unblocked(r[0], block))
    group = f"sum of squares of channels {about}"
    yield Case(group, "Mul, ReduceSum, NCHW", squared)
    yield Case(group, "NCHWc Conv, one kernel an image", by_image)


def _weight_gradients(x: np.ndarray, dy: np.ndarray, flops: float, group: str, block: int) -> Iterator[Case]:
    n, c, size, _ = x.shape
    shifts = [(i, j) for i in range(K) for j in range(K)]

    def grouped(g: Builder) -> list[str]:
        """One group for each channel; the images are the channels of the group."""
        image = g.reshape(g("Transpose", g.input(x), perm=[1, 0, 2, 3]), 1, c * n, size, size)
        return [g("Conv", image, g("Transpose", g.input(dy), perm=[1, 0, 2, 3]), pads=PADS, group=c)]

    def parts(g: Builder, image: str, axes: list[int]) -> list[str]:
        where = g.constant(axes)
        return [g("Slice", image, g.constant([i, j]), g.constant([i + size, j + size]), where) for i, j in shifts]

    def shifted(g: Builder) -> list[str]:
        image = g("Pad", g.input(x), g.constant([0, 0, 1, 1, 0, 0, 1, 1]))
        gradient, over = g.input(dy), g.constant([0, 2, 3])
        sums = [g("ReduceSum", g("Mul", part, gradient), over, keepdims=1) for part in parts(g, image, [2, 3])]
        return [g("Concat", *sums, axis=2)]

    def shifted_last(g: Builder) -> list[str]:
        """The same over NHWC; the sum over the leading axes is a product with ones."""
        image = g("Pad", g.input(np.ascontiguousarray(x.transpose(0, 2, 3, 1))), g.constant([0, 1, 1, 0] * 2))
        gradient = g.input(np.ascontiguousarray(dy.transpose(0, 2, 3, 1)))
        ones = g.constant(np.ones((1, n * size * size)), "float32")
        products = [g.reshape(g("Mul", part, gradient), n * size * size, c) for part in parts(g, image, [1, 2])]
        return [g("Concat", *(g("MatMul", ones, product) for product in products), axis=0)]

    def multiplied(g: Builder) -> list[str]:
        """A row of dy times the nine shifted rows of x, for each channel: batched products."""
        image = g("Pad", g("Transpose", g.input(x), perm=[1, 0, 2, 3]), g.constant([0, 0, 1, 1, 0, 0, 1, 1]))
        rows = [g.reshape(part, c, 1, n * size * size) for part in parts(g, image, [2, 3])]
        gradient = g.reshape(g("Transpose", g.input(dy), perm=[1, 0, 2, 3]), c, n * size * size, 1)
        return [g("MatMul", g("Concat", *rows, axis=1), gradient)]

    def by_image(g: Builder) -> list[str]:
        """Images and channels are the channels of one image, and dy is its kernel; nothing leaves the blocks."""
        image = g.reshape(g.input(blocked(x, block)), 1, n * c, size, size)
        kernel = g.reshape(g.input(blocked(dy, block)), n * c, 1, size, size)
        each = g("Conv", image, kernel, domain=NCHWC, pads=PADS, kernel_shape=[size, size], group=n * c)
        return [g("ReduceSum", g.reshape(each, n, c // block, K * K, block), g.constant([0]), keepdims=0)]

    yield Case(group, "Conv, one group a channel", grouped, flops, lambda r: r[0].reshape(c, K * K))
    yield Case(group, "9 × Mul, ReduceSum, NCHW", shifted, flops, lambda r: r[0].reshape(c, K * K))
    yield Case(group, "9 × Mul, MatMul with ones, NHWC", shifted_last, flops, lambda r: r[0].T.copy())
    yield Case(group, "slices + batched MatMul", multiplied, flops, lambda r: r[0].reshape(c, K * K))
    if block:
        name = "NCHWc Conv, one kernel an image"
        yield Case(group, name, by_image, flops, lambda r: r[0].transpose(0, 2, 1).reshape(c, K * K))
