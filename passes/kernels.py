"""Plain operators in the form whose kernel is fastest on the CPU provider.

What is here was measured (``python -m benchmarks.kernels``); on other providers the plain form is as good.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from nngraph.ir import Graph, Node, Value, numpy_dtype
from nngraph.ops import raw
from nngraph.ops.axes import ints
from passes.base import Pass
from passes.blocks import NCHWC, block_size, images_of, means_of, pixels_of, rows_of, to_blocks
from passes.build import Builder
from passes.products import RULES as PRODUCTS
from passes.rewrite import CONSTANT, LocalRule, Refusal, Result, Rule, example, rewrite
from passes.simplify.reductions import axes_of
from passes.simplify.transposes import goes_into_matmul, permutation
from passes.traits import BROADCASTING, COMPARISONS

__all__ = ["RULES", "Kernels"]


@dataclass(frozen=True)
class Kernels(Pass):
    """Replaces operators by others that mean the same and are faster on the CPU provider."""

    name: ClassVar[str] = "kernels"
    tensors_only: ClassVar[bool] = True

    def run(self, graph: Graph) -> int:
        """Apply the rules until none fires; return how often one did."""
        return rewrite(graph, RULES)


def _products(g: Value, *others: Value) -> tuple[Value, ...]:
    """What becomes of the gradient of ``a w + b w + bias``."""
    return raw.ReduceSum(g, ints(0), keepdims=0), *(raw.Gemm(a, g, transA=1) for a in others)


class SumOfRows(LocalRule):
    """``ReduceSum(x) = MatMul(1, x)`` over all axes but the last, the gradient of a bias.

    The runtime sums rows one number at a time and multiplies matrices at full speed: two times faster from 100 rows.
    It has one thread for a product with a vector; large sums are done in parts, one product each.
    Where x is turned for other products anyhow, the sum runs along its columns.
    """

    roots = ("ReduceSum",)
    examples = (
        example(lambda x: raw.ReduceSum(x, ints(0), keepdims=0), "float32[64, 10]"),
        example(lambda x: raw.ReduceSum(x, ints(0, 1), keepdims=0), "float32[16, 32, 10]"),
        example(lambda x: raw.ReduceSum(raw.Abs(x), ints(0), keepdims=0), "float32[64, 16384]"),
        example(
            lambda *v: _products(*map(raw.Sign, v)),
            "float32[1024, 10]",
            "float32[1024, 2]",
            "float32[1024, 3]",
        ),
        example(lambda x: raw.ReduceSum(x, ints(0), keepdims=0), "float32[batch, 10]", refuses="sizes are not known"),
        example(lambda x: raw.ReduceSum(x, ints(0), keepdims=0), "float32[8, 10]", refuses="there are few rows"),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        x = node.inputs[0]
        if x is None or x.dtype != "float32" or x.ndim < 2 or node.attributes.get("keepdims", 1):
            return None
        if axes_of(node) != tuple(range(x.ndim - 1)):
            return None
        if not x.type.is_static:
            return Refusal("sizes are not known", x)
        rows = prod(int(d) for d in x.shape[:-1])
        if rows < _FEW_ROWS:
            return Refusal("there are few rows", x)
        image = pixels_of(x)
        if image is not None:
            total = op.ReduceSum(means_of(op, image), ints(0, 2, 3), keepdims=0)
            return op.Mul(total, float(prod(int(d) for d in image.shape[2:])))
        if rows >= _MANY_ROWS and _turnings(x) > 1:
            return op.ReduceSum(_turned(op, x), ints(0, 2), keepdims=0)
        flat = x if x.ndim == 2 else op.Reshape(x, ints(rows, int(x.shape[-1])))
        if rows * int(x.shape[-1]) < _LARGE or rows % _PARTS:
            return op.MatMul(np.ones(rows, numpy_dtype(x.dtype)), flat)
        parts = op.Reshape(flat, ints(_PARTS, rows // _PARTS, int(x.shape[-1])))
        ones = np.ones((_PARTS, 1, rows // _PARTS), numpy_dtype(x.dtype))
        return op.ReduceSum(op.MatMul(ones, parts), ints(0, 1), keepdims=0)


_FEW_ROWS = 64
_LARGE, _PARTS = 1 << 20, 8


class TurnOnce(LocalRule):
    """``Gemm(a, g, transA=1) = aᵀ g`` where several tall products need a turned, ``(gᵀ a)ᵀ`` where several need g so.

    The gradients of both kernels of a recurrent layer are such products with one g, those of the query, key and value
    of a self-attention have one a. The runtime turns the columns of its left operand anew for every block of the right
    one's; this way it only has rows to read. In the runtime's blocks g is the kernel of a convolution as it lies: so is
    multiplied what comes from them, and what is large enough to pay for the way there.
    """

    roots = ("Gemm",)
    examples = (
        example(lambda *v: _products(*map(raw.Sign, v)), "float32[1024, 4]", "float32[1024, 2]", "float32[1024, 3]"),
        example(
            lambda a, *gs: (lambda x: tuple(raw.Gemm(x, raw.Sign(g), transA=1) for g in gs))(raw.Sign(a)),
            "float32[1024, 4]",
            "float32[1024, 2]",
            "float32[1024, 3]",
        ),
        example(
            lambda *v: _products(*v),
            "float32[512, 4]",
            "float32[512, 2]",
            "float32[512, 3]",
            refuses="there are few rows",
        ),
        example(
            lambda *v: _products(*v),
            "float32[1024, 4]",
            "float32[1024, 2]",
            refuses="it would be turned for one product",
        ),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        a, g = node.inputs[:2]
        if a is None or g is None or not _turns_left(node) or g.dtype != "float32":
            return None
        if not a.type.is_static or not g.type.is_static:
            return None
        if int(g.shape[0]) < _MANY_ROWS:
            return Refusal("there are few rows", g)
        block = block_size()
        image = None if block is None else _in_blocks(op, a, g, block)
        if image is not None and block is not None:
            return _product_with_blocks(op, a, image, block)
        left, right = _turnings(a), _turnings(g)
        if max(left, right) < 2:
            return Refusal("it would be turned for one product", g)
        if left > right:
            return op.Reshape(op.MatMul(_turned(op, a), g), ints(int(a.shape[1]), int(g.shape[1])))
        product = op.Reshape(op.MatMul(_turned(op, g), a), ints(int(g.shape[1]), int(a.shape[1])))
        return op.Transpose(product, perm=(1, 0))


def _turns_left(node: Node) -> bool:
    """Whether a node is ``aᵀ b`` and nothing else."""
    plain = {**node.attributes, "transA": 0} == {"transA": 0}
    return node.op_id == "Gemm" and len(node.inputs) == 2 and plain and bool(node.attributes.get("transA"))


def _turnings(x: Value) -> int:
    """Return how many nodes turn, or are better off with, a tensor's rows turned into columns."""
    made = x.producer
    base = made.inputs[0] if made is not None and made.op_id == "Reshape" else x
    assert base is not None
    views = [base, *(u.output for u in base.users if u.op_id == "Reshape")]
    matrix = (prod(int(d) for d in x.shape[:-1]), x.shape[-1])
    users = (u for v in views if v.shape == matrix for u in v.users)
    return sum(u.op_id == "Transpose" or _turns_left(u) for u in users)


def _turned(op: Builder, x: Value) -> Value:
    """The columns of x as rows of one matrix in a batch of one."""
    columns = int(x.shape[-1])
    rows = prod(int(d) for d in x.shape[:-1])
    turned = op.Transpose(x if x.ndim == 2 else op.Reshape(x, ints(rows, columns)), perm=(1, 0))
    # Behind a reshape the runtime does not take the transpose back into a product.
    result: Value = op.Reshape(turned, ints(1, columns, rows))
    return result


def _in_blocks(op: Builder, a: Value, g: Value, block: int) -> Value | None:
    """Return the blocked images whose pixels are the rows of g, if it comes from such or ``aᵀ g`` is worth the way."""
    image = pixels_of(g)
    if image is not None:
        return image if prod(int(d) for d in image.shape[2:]) % block == 0 else None
    rows, width, columns = (int(d) for d in (*a.shape, g.shape[1]))
    if rows % block or columns % block or width * columns < _WORTH_BLOCKS * (width + columns):
        return None
    return images_of(op, g)


def _product_with_blocks(op: Builder, a: Value, image: Value, block: int) -> Value:
    """``aᵀ g`` for a g whose rows are the pixels of blocked images: those, rearranged, are the kernel of a convolution.

    Its image has the columns of a as pixels and the rows of both as channels.
    """
    steps, columns, *sizes = (int(d) for d in image.shape)
    rows, width = prod(sizes), int(a.shape[1])
    count = steps * rows
    parts = op.Reshape(image, ints(steps, columns // block, rows, block))
    kernel = op.Reshape(op.Transpose(parts, perm=(1, 0, 2, 3)), ints(columns, count, 1, 1))
    pixels = to_blocks(op, op.Reshape(a, ints(1, count, 1, width)))
    kind = image.type.with_shape((1, columns, 1, width))
    product = op.node("Conv", [pixels, kernel], _domain=NCHWC, _types=[kind], kernel_shape=(1, 1))
    result: Value = op.Reshape(rows_of(op, product), ints(width, columns))
    return result


_MANY_ROWS = 1024

_WORTH_BLOCKS = 100
"""How many operations on each number of both operands pay for bringing them to the blocks."""


class FewerAxes(LocalRule):
    """``Transpose(x) = Reshape(Transpose(Reshape(x)))`` where axes of size 1 are left out and neighbours stay together.

    The runtime has fast kernels for two axes and for one axis that moves, and sees neither behind axes that only look
    as if they moved: the transpose of a (512, 512, 1, 1) kernel takes five to ten times as long as that of a matrix.
    """

    roots = ("Transpose",)
    examples = (
        example(lambda x: raw.Transpose(x, perm=(2, 3, 1, 0)), "float32[6, 5, 1, 1]"),
        example(lambda x: raw.Transpose(x, perm=(0, 2, 4, 5, 3, 1)), "float32[2, 3, 4, 5, 1, 1]"),
        example(lambda x: raw.Transpose(x, perm=(0, 2, 3, 1)), "float32[2, 3, 4, 5]", refuses="no axis has size 1"),
        example(lambda x: raw.Transpose(x, perm=(0, 2, 1)), "float32[1, 3, 4]", refuses="no axis has size 1"),
        example(lambda x: raw.Transpose(x, perm=(2, 0, 1)), "float32[batch, 3, 1]", refuses="sizes are not known"),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        x = node.inputs[0]
        if x is None or goes_into_matmul(node):
            return None
        if not x.type.is_static:
            return Refusal("sizes are not known", x)
        if 1 not in (x.shape[1:] if permutation(node)[0] == 0 else x.shape):
            return Refusal("no axis has size 1", x)  # or only a first one that stays the first, which is no hindrance
        groups: list[list[int]] = []
        for axis in permutation(node):
            if x.shape[axis] == 1:
                continue
            if groups and all(x.shape[k] == 1 for k in range(groups[-1][-1] + 1, axis)) and axis > groups[-1][-1]:
                groups[-1].append(axis)
            else:
                groups.append([axis])
        if len(groups) < 2:
            return None  # nothing moves
        ordered = sorted(groups)
        flat = op.Reshape(x, ints(*(prod(int(x.shape[k]) for k in group) for group in ordered)))
        turned = op.Transpose(flat, perm=tuple(ordered.index(group) for group in groups))
        return op.Reshape(turned, ints(*(int(d) for d in node.output.shape)))


class PadToSlice(LocalRule):
    """``Pad(x, -p) = Slice(x)`` where it only cuts borders off: the runtime copies slices row by row."""

    roots = ("Pad",)
    operands = (CONSTANT,)
    examples = (
        example(lambda x: raw.Pad(x, ints(0, -1, 0, -2)), "float32[batch, 5]"),
        example(lambda x: raw.Pad(x, ints(0, -1), None, ints(-2)), "float32[3, 4]"),
        example(lambda x: raw.Pad(x, ints(0, 0, 1, -2)), "float32[3, 5]", refuses="it also adds borders"),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        pads, axes = node.inputs[1], node.inputs[3] if len(node.inputs) > 3 else None
        if pads is None or pads.data is None or not pads.data.any() or (axes is not None and axes.data is None):
            return None
        before, after = np.split(pads.data, 2)
        if max(before.max(), after.max()) > 0:
            return Refusal("it also adds borders", pads)
        which = np.arange(before.size) if axes is None or axes.data is None else axes.data
        cut = (before != 0) | (after != 0)
        ends = np.where(after == 0, np.iinfo(np.int64).max, after)
        return op.Slice(node.inputs[0], -before[cut], ends[cut], which[cut].astype(np.int64))


class MaskOfPositive(LocalRule):
    """``Cast(x > 0) = HardSigmoid(x, alpha=2¹²⁶) = min(1, max(0, 2¹²⁶ x))``: a ReLU's mask in one pass over memory.

    That is for the gradient of a ReLU, read from its output: the smallest normal number becomes 1, what is smaller
    still and not 0 becomes less, and what becomes of NaN is left open.
    """

    roots = ("Cast",)
    operands = ("Greater",)
    examples = (
        example(lambda x: raw.Cast(raw.Greater(raw.Relu(x), np.float32(0)), to="float32"), "float32[4, 5]"),
        example(lambda x: raw.Cast(raw.Greater(x, 0.0), to="float32"), "float32[4, 5]", refuses="it may be negative"),
        example(
            lambda x: raw.Cast(raw.Greater(raw.Relu(x), 1.0), to="float32"), "float32[4, 5]", refuses="it is no sign"
        ),
        example(
            lambda x: (lambda positive: (raw.Cast(positive, to="float32"), raw.Not(positive)))(
                raw.Greater(raw.Relu(x), np.float32(0))
            ),
            "float32[4, 5]",
            refuses="the comparison is needed otherwise",
        ),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        positive = node.inputs[0]
        made = positive.producer if positive is not None else None
        if positive is None or made is None or made.op_id != "Greater" or node.output.dtype != "float32":
            return None
        x, bound = made.inputs
        if x is None or bound is None or x.dtype != "float32" or x.shape != node.output.shape:
            return None
        if bound.data is None or bound.data.any():
            return Refusal("it is no sign", bound)
        if not _is_rectified(x):
            return Refusal("it may be negative", x)
        if len(positive.uses) > 1 or positive.is_output:
            return Refusal("the comparison is needed otherwise", positive)
        return op.HardSigmoid(x, alpha=2.0**126, beta=0.0)


def _is_rectified(x: Value | None) -> bool:
    """Whether a tensor's numbers are those of a ReLU's output, arranged otherwise or the largest of some."""
    while x is not None and x.producer is not None:
        made = x.producer
        if made.op_id == "Relu" or made.attributes.get("activation") == "Relu":
            return True
        if made.op not in ("MaxPool", "ReorderInput", "ReorderOutput", "Reshape", "Transpose"):
            return False
        x = made.inputs[0]
    return False


class NumberWithColumn(LocalRule):
    """``x + c = Reshape(Reshape(x, n) + c, shape of x)`` for a number c, where the last axis of x has size 1.

    The runtime broadcasts along the last axis; where that has one number, it takes 20 ns for each. So for all operators
    that work element by element, but for comparisons, which may be part of a mask.
    """

    roots = tuple(sorted(BROADCASTING - COMPARISONS - {"Clip"}))
    examples = (
        example(lambda x: raw.Add(x, np.float32(2)), "float32[16, 32, 1]"),
        example(lambda x, c: raw.Sub(c, x), "float32[512, 1]", "float32[1]"),
        example(lambda x: raw.Max(x, np.float32(0)), "float32[512, 1]"),
        example(lambda x: raw.Add(x, np.float32(2)), "float32[batch, 1]", refuses="sizes are not known"),
        example(lambda x: raw.Add(x, np.float32(2)), "float32[8, 1]", refuses="there are few numbers"),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        shape, values = node.output.shape, node.inputs
        if len(values) != 2 or len(shape) < 2 or shape[-1] != 1:
            return None
        if not node.output.type.is_static:
            return Refusal("sizes are not known", node.output)
        whole = [v is not None and v.shape == shape for v in values]
        if sum(whole) != 1 or not all(
            v is not None and (w or v.type.size == 1) for v, w in zip(values, whole, strict=True)
        ):
            return None
        count = prod(int(d) for d in shape)
        if count < _FEW_NUMBERS:
            return Refusal("there are few numbers", node.output)
        flat = [op.Reshape(v, ints(*[count] * w)) for v, w in zip(values, whole, strict=True)]
        return op.Reshape(op.node(node.op, flat, **node.attributes), ints(*map(int, shape)))


_FEW_NUMBERS = 256


RULES: tuple[Rule, ...] = (
    NumberWithColumn(),
    SumOfRows(),
    TurnOnce(),
    FewerAxes(),
    PadToSlice(),
    MaskOfPositive(),
    *PRODUCTS,
)
