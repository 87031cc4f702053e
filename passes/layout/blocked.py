"""The runtime's blocked layout: convolutions work in it, and whole runs of layers stay in it.

Form 0 is (batch, channels, height, width), form 1 the same tensor with its channels in blocks (``passes.blocks``). The
runtime brings a network to this layout by itself when its weights are constants. In training they are not: so the graph
says it. Convolutions gain from form 1, elementwise operators between them do not care, and whatever needs the ordinary
layout costs a reorder; the minimum cut of ``passes.layout.choose`` finds the best for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np

from nngraph.ir import Graph, Node, TensorType, Value, bytes_of
from nngraph.ops.axes import ints
from passes.base import Pass
from passes.blocks import NCHWC, block_size, from_blocks, kernel_in_blocks, means_of, rows_of, to_blocks
from passes.build import Builder
from passes.layout.blocked_rules import RULES
from passes.layout.flip import move
from passes.layout.layouts import Free, Layouts, again
from passes.rewrite import rewrite
from passes.simplify.reductions import axes_of
from passes.simplify.transposes import permutation
from passes.traits import BROADCASTING, UNARY

__all__ = ["Blocked", "Blocks"]

_FIRST, _LAST = (0, 3, 1, 2), (0, 2, 3, 1)

_FLOPS_PER_BYTE = 20
"""A blocked convolution of this many operations gains as much time as reordering one byte takes."""

_DEPTHWISE_GAIN = 8
"""A depthwise convolution gains as much time as reordering its result so many times takes."""

_AVERAGE_GAIN = 3
"""The average of windows gains as much time as reordering what it reads so many times takes."""

Handler = Callable[[Node, int], Free | None]


@dataclass(frozen=True)
class Blocks(Pass):
    """Moves convolutions with weights that are no constants, and what lies between them, to the blocked layout.

    It is for graphs that run on this machine: the size of a block depends on the processor.
    """

    name: ClassVar[str] = "blocks"
    tensors_only: ClassVar[bool] = True

    def run(self, graph: Graph) -> int:
        """Move operators between the two layouts; return how many were moved or joined."""
        block = block_size()
        if block is None:
            return 0
        return move(graph, Blocked(block)) + rewrite(graph, RULES)


class Blocked(Layouts):
    """The ordinary layout of images, and the one in blocks of channels."""

    by = "blocks"

    def __init__(self, block: int) -> None:
        self.block = block

    def link(self, node: Node) -> int | None:
        """Return 0 for ReorderInput and 1 for ReorderOutput."""
        if node.domain != NCHWC or node.attributes.get("channels_last", 0):
            return None
        return {"ReorderInput": 0, "ReorderOutput": 1}.get(node.op)

    def seeds(self, node: Node) -> Iterable[tuple[Value, int]]:
        """Convolutions and what is blocked already have known forms."""
        x = node.inputs[0] if node.inputs else None
        if x is None or x.ndim != 4:
            return []
        if node.domain == NCHWC:
            return [(x, int(node.op != "ReorderInput"))]
        return [(x, 0)] if node.op_id == "Conv" and self._fits(x) else []

    def free(self, node: Node, form: int) -> Free | None:
        """Return how a node is brought to the other layout."""
        if not node.domain and node.op in _ELEMENTWISE:
            return self._elementwise(node, form)
        if form == 1:
            return None  # operators of the runtime's own domain were put there by an earlier choice
        handler = {
            "BatchNormalization": self._norm,
            "Concat": self._concat,
            "Conv": self._conv,
            "MaxPool": self._pool,
            "AveragePool": self._pool,
            "GlobalAveragePool": self._pool,
            "Resize": self._resize,
            "ReduceSum": self._sum,
            "Reshape": self._reshape,
            "Pad": self._pad,
            "Slice": self._slice,
            "Transpose": self._transpose,
        }.get(node.op_id)
        return handler(node) if handler is not None else None

    def turn(self, op: Builder, value: Value, form: int) -> Value:
        """Reorder a tensor."""
        return to_blocks(op, value) if form == 0 else from_blocks(op, value)

    def turn_constant(self, data: np.ndarray[Any, Any], form: int) -> np.ndarray[Any, Any]:
        """Reorder an array."""
        batch, channels, height, width = data.shape
        blocks = channels // self.block
        if form == 0:
            parts = data.reshape(batch, blocks, self.block, height, width).transpose(0, 1, 3, 4, 2)
        else:
            parts = data.reshape(batch, blocks, height, width, self.block).transpose(0, 1, 4, 2, 3)
        return np.ascontiguousarray(parts).reshape(data.shape)

    def cost(self, value: Value, form: int) -> int | None:
        """Return the tensor's size; the runtime reorders floats only."""
        return bytes_of(value) if value.dtype == "float32" and self._fits(value) else None

    # -- operators ----------------------------------------------------------------------------------------------------

    def _fits(self, value: Value) -> bool:
        channels = value.shape[1] if value.ndim == 4 else None
        return isinstance(channels, int) and channels > 0 and channels % self.block == 0

    def _elementwise(self, node: Node, form: int) -> Free | None:
        """Operands have the result's shape, or are single numbers; one number a channel is a matter of its own."""
        out = node.output
        slots = tuple(k for k, v in enumerate(node.inputs) if v is not None and v.shape == out.shape)
        others = [v for k, v in enumerate(node.inputs) if v is not None and k not in slots and v.type.size != 1]
        if not self._fits(out) or not slots:
            return None
        if others and (form == 1 or len(slots) != 1 or len(others) != 1):
            return None
        if others:
            return self._channelwise(node, slots[0]) or self._pixelwise(node, slots[0])
        return Free(slots, True, lambda op, inputs: again(node, range(4), op, inputs))

    def _channelwise(self, node: Node, slot: int) -> Free | None:
        """Blocks do not broadcast, but a convolution of each channel with one number scales and shifts."""
        channels: Any = node.output.shape[1]
        x, v = node.inputs[slot], node.inputs[1 - slot]
        if x is None or v is None or x.dtype != "float32" or v.ndim not in (3, 4):
            return None
        if node.op not in ("Add", "Mul", "Sub") or v.shape != (1, channels, 1, 1)[-v.ndim :]:
            return None

        def flip(op: Builder, inputs: list[Any]) -> Sequence[Value]:
            image, numbers = inputs[slot], op.Reshape(inputs[1 - slot], ints(channels))
            if node.op == "Mul":
                return [_affine(op, image, numbers)]
            one = np.full(channels, -1 if node.op == "Sub" and slot == 1 else 1, np.float32)
            return [_affine(op, image, one, op.Neg(numbers) if node.op == "Sub" and slot == 0 else numbers)]

        return Free((slot,), True, flip)

    def _pixelwise(self, node: Node, slot: int) -> Free | None:
        """One constant number for each pixel becomes one for each place of a block."""
        v = node.inputs[1 - slot] if len(node.inputs) == 2 else None
        if v is None or v.data is None or v.shape[-2:] != node.output.shape[2:] or v.type.size != prod(v.shape[-2:]):
            return None
        x, numbers = node.inputs[slot], np.repeat(v.data.reshape(-1), self.block)
        if x is None or not x.type.is_static:
            return None
        shape = ints(*(int(d) for d in x.shape))

        def flip(op: Builder, inputs: list[Any]) -> Sequence[Value]:
            inputs[slot] = op.Reshape(inputs[slot], ints(-1, numbers.size))
            inputs[1 - slot] = numbers
            return [op.Reshape(getattr(op, node.op)(*inputs), shape)]

        return Free((slot,), True, flip)

    def _norm(self, node: Node) -> Free | None:
        """Normalisation by the batch's own statistics: sums over pixels, and a scale and a shift for each channel."""
        x = node.inputs[0]
        if x is None or x.dtype != "float32" or not self._fits(x) or len(node.outputs) != 3:
            return None
        if node.attributes.get("training_mode", 0) != 1 or node.attributes.get("momentum", 0.9) != 0:
            return None
        epsilon = float(node.attributes.get("epsilon", 1e-5))

        def flip(op: Builder, inputs: list[Any]) -> Sequence[Value]:
            image, scale, offset = inputs[:3]
            mean = op.ReduceMean(means_of(op, image), ints(0, 2, 3), keepdims=0)
            # The same as what the gradient subtracts.
            away = _affine(op, image, np.ones(int(x.shape[1]), np.float32), op.Neg(mean))
            variance = op.ReduceMean(means_of(op, op.Mul(away, away)), ints(0, 2, 3), keepdims=0)
            factor = op.Div(scale, op.Sqrt(op.Add(variance, epsilon)))
            return [_affine(op, away, factor, offset), mean, variance]

        return Free((0,), True, flip, keeps=True)

    def _slice(self, node: Node) -> Free | None:
        """Some images, rows, columns or whole blocks of channels."""
        x, y = node.inputs[0], node.output
        given = [v.data for v in node.inputs[1:] if v is not None and v.data is not None]
        if x is None or not self._has_view(x) or not self._fits(y) or len(given) != len(node.inputs) - 1:
            return None
        starts, ends = (v.copy() for v in given[:2])
        axes = given[2] % 4 if len(given) > 2 else np.arange(starts.size)
        steps = given[3] if len(given) > 3 else np.ones_like(starts)
        for k in np.flatnonzero(axes == 1):
            first, last, step = slice(int(starts[k]), int(ends[k]), int(steps[k])).indices(int(x.shape[1]))
            if step != 1 or first % self.block or last % self.block:
                return None
            starts[k], ends[k] = first // self.block, last // self.block
        where = (starts, ends, axes, steps)

        def flip(op: Builder, inputs: list[Any]) -> Sequence[Value]:
            return [self._viewed(op, inputs[0], y.type, lambda v: op.Slice(v, *where))]

        return Free((0,), y.shape[2:] != (1, 1), flip)  # of one pixel the blocks are as good as the channels

    def _concat(self, node: Node) -> Free | None:
        """Images or whole blocks of channels side by side."""
        if not all(v is not None and v.dtype == "float32" and self._fits(v) for v in node.inputs):
            return None
        if node.attributes["axis"] % 4 > 1:
            return None
        return Free(tuple(range(len(node.inputs))), True, lambda op, inputs: again(node, range(4), op, inputs))

    def _pad(self, node: Node) -> Free | None:
        """More rows, columns or images."""
        x, pads = node.inputs[0], node.inputs[1]
        if x is None or not self._has_view(x) or len(node.inputs) > 3 or pads is None or pads.data is None:
            return None
        widths = pads.data.tolist()
        if widths[1] or widths[5]:
            return None
        wanted = ints(*widths[:4], 0, *widths[4:], 0)

        def flip(op: Builder, inputs: list[Any]) -> Sequence[Value]:
            more = [] if len(inputs) < 3 else inputs[2:]
            return [
                self._viewed(op, inputs[0], node.output.type, lambda v: op.Pad(v, wanted, *more, **node.attributes))
            ]

        return Free((0,), True, flip)

    def _has_view(self, x: Value) -> bool:
        """Whether a tensor can be looked at as (batch, blocks, height, width, block)."""
        return x.dtype == "float32" and self._fits(x) and all(isinstance(d, int) for d in x.shape[2:])

    def _viewed(self, op: Builder, x: Value, y: TensorType, make: Callable[[Value], Value]) -> Value:
        """Apply something to the view of a blocked tensor; the result has the type of y."""
        channels, height, width = (int(d) for d in x.shape[1:])
        view = op.Reshape(x, ints(0, channels // self.block, height, width, self.block))
        sizes: Any = y.shape
        batch = sizes[0] if isinstance(sizes[0], int) else -1
        value: Value = op.Reshape(make(view), ints(batch, *sizes[1:]))
        return value

    def _conv(self, node: Node) -> Free | None:
        x, w = node.inputs[0], node.inputs[1]
        if x is None or w is None or x.dtype != "float32" or w.data is not None or not w.type.is_static:
            return None
        if self._is_by_image(node):
            return self._conv_by_image(node)
        groups = node.attributes.get("group", 1)
        depthwise = groups > 1 and groups == x.shape[1] == node.output.shape[1]
        few = groups == 1 and int(w.shape[1]) < self.block  # then it reads the ordinary layout
        if (groups != 1 and not depthwise) or not (few or self._fits(x)) or not self._fits(node.output):
            return None
        if any(d != 1 for d in node.attributes.get("dilations", ())):
            return None  # slower in blocks; the gradient of a kernel is one (passes.lowering.cpu)
        # Beside the image the runtime needs the kernel's sizes, which a foreign model may leave out.
        kernel = tuple(int(k) for k in w.shape[2:])
        result = bytes_of(node.output)
        gain = (
            _DEPTHWISE_GAIN * result if depthwise else result // 2 * int(w.shape[1]) * prod(kernel) // _FLOPS_PER_BYTE
        )

        pads = node.attributes.get("pads") or (0,) * 4
        # With a kernel that is nearly as large as the image most of the few columns touch the padding, and those are
        # computed one by one; rows are not.
        large = not (few or depthwise) and kernel > tuple(node.output.shape[2:])
        apart = large and any(pads[1::2]) and self._has_view(x)

        def flip(op: Builder, inputs: list[Any]) -> Sequence[Value]:
            inputs[1] = kernel_in_blocks(op, inputs[1], self.block)
            if not apart:
                return _in_domain(node, op, inputs, kernel_shape=kernel)
            top, left, bottom, right = pads
            beside = ints(0, 0, 0, left, 0, 0, 0, 0, right, 0)
            wider = x.type.with_shape((*x.shape[:3], int(x.shape[3]) + left + right))
            inputs[0] = self._viewed(op, inputs[0], wider, lambda v: op.Pad(v, beside))
            return _in_domain(node, op, inputs, kernel_shape=kernel, pads=(top, 0, bottom, 0))

        return Free(() if few else (0,), True, flip, gain=gain)

    def _is_by_image(self, node: Node) -> bool:
        """Whether each channel of each image is convolved with a kernel of its own, which is an image too."""
        x, w = node.inputs[0], node.inputs[1]
        made = w.producer if w is not None else None
        if x is None or w is None or made is None or made.op_id != "Reshape" or len(node.inputs) > 2:
            return False
        return self._fits(x) and node.attributes.get("group", 1) == x.shape[1] and self._regroups(made)

    def _conv_by_image(self, node: Node) -> Free:
        """The gradient of a depthwise kernel (``passes.lowering.cpu``): image and kernel lie in blocks."""
        x, w = node.inputs[0], node.inputs[1]
        assert x is not None and w is not None
        kernel = tuple(int(k) for k in w.shape[2:])

        def flip(op: Builder, inputs: list[Any]) -> Sequence[Value]:
            return _in_domain(node, op, inputs, kernel_shape=kernel)

        return Free((0, 1), True, flip, gain=_DEPTHWISE_GAIN * max(bytes_of(x), bytes_of(w)))

    def _regroups(self, node: Node) -> bool:
        """Whether a Reshape only moves whole blocks between batch and channels, or makes one kernel of each channel."""
        x, y = node.inputs[0], node.output
        if x is None or not x.type.is_static or not y.type.is_static or x.ndim != 4 or y.ndim != 4:
            return False
        same = x.shape[2:] == y.shape[2:] and prod(x.shape[:2]) == prod(y.shape[:2])
        return same and self._fits(x) and (self._fits(y) or y.shape[1] == 1)

    def _reshape(self, node: Node) -> Free | None:
        if not self._regroups(node):
            return None
        return Free((0,), True, lambda op, inputs: again(node, range(4), op, inputs))

    def _pool(self, node: Node) -> Free | None:
        x = node.inputs[0]
        if x is None or x.dtype != "float32" or not self._fits(x) or len(node.outputs) > 1:
            return None
        known = {"auto_pad", "ceil_mode", "count_include_pad", "dilations", "kernel_shape", "pads", "strides"}
        if not known.issuperset(node.attributes):
            return None
        gain = _AVERAGE_GAIN * bytes_of(x) if node.op == "AveragePool" else 0
        return Free((0,), True, lambda op, inputs: _in_domain(node, op, inputs), gain=gain)

    def _resize(self, node: Node) -> Free | None:
        """Repeating every pixel; other ways to resize are left alone."""
        x, scales = node.inputs[0], node.inputs[2] if len(node.inputs) == 3 else None
        if x is None or x.dtype != "float32" or not self._fits(x) or scales is None or scales.data is None:
            return None
        repeats = scales.data.tolist()
        modes = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        if node.inputs[1] is not None or node.attributes != modes or repeats[:2] != [1, 1] or len(repeats) != 4:
            return None
        if any(r != int(r) for r in repeats):
            return None

        def flip(op: Builder, inputs: list[Any]) -> Sequence[Value]:
            attributes = {"scales": tuple(int(r) for r in repeats), "mode": "nearest"}
            return [_made(node, op, "Upsample", inputs[:1], attributes)]

        return Free((0,), True, flip)

    def _sum(self, node: Node) -> Free | None:
        """The sum over the batch, or over all pixels, such as the gradient of a bias: over two axes of the blocks."""
        x = node.inputs[0]
        if x is None or not self._fits(x):
            return None
        if axes_of(node) == (0,) and node.attributes.get("keepdims", 1):
            return Free((0,), True, lambda op, inputs: again(node, range(4), op, inputs))
        if axes_of(node) != (0, 2, 3) or node.attributes.get("keepdims", 1):
            return None
        sizes = x.shape[2:]
        if not all(isinstance(d, int) for d in sizes):
            return None

        def flip(op: Builder, inputs: list[Any]) -> Sequence[Value]:
            total = op.ReduceSum(means_of(op, inputs[0]), ints(0, 2, 3), keepdims=0)
            return [op.Mul(total, np.float32(prod(int(d) for d in sizes)))]

        return Free((0,), False, flip)

    def _transpose(self, node: Node) -> Free | None:
        """From and to channels last it is a reorder."""
        x, perm = node.inputs[0], permutation(node)
        if x is None or x.dtype != "float32" or x.ndim != 4 or not x.type.is_static:
            return None
        if perm == _FIRST and self._fits(node.output):
            return Free((), True, lambda op, inputs: [_made(node, op, "ReorderInput", inputs, {"channels_last": 1})])
        if perm == _LAST and self._fits(x):
            return Free((0,), False, lambda op, inputs: [rows_of(op, inputs[0])])
        return None


_ELEMENTWISE = UNARY | (BROADCASTING - {"PRelu"})


def _made(node: Node, op: Builder, name: str, inputs: list[Any], attributes: dict[str, Any]) -> Value:
    value: Value = op.node(name, inputs, _domain=NCHWC, _types=[node.output.type], **attributes)
    return value


def _in_domain(node: Node, op: Builder, inputs: list[Any], **more: Any) -> Sequence[Value]:
    """Make the node's namesake of the runtime's own domain."""
    return [_made(node, op, node.op, inputs, {**node.attributes, **more})]


def _affine(op: Builder, x: Value, scale: Any, shift: Any = None) -> Value:
    """Return ``scale x + shift`` for a blocked tensor and one number a channel."""
    channels = int(x.shape[1])
    kernel: Any = (
        scale.reshape(channels, 1, 1, 1)
        if isinstance(scale, np.ndarray)
        else op.Reshape(scale, ints(channels, 1, 1, 1))
    )
    inputs = [x, kernel] if shift is None else [x, kernel, shift]
    value: Value = op.node("Conv", inputs, _domain=NCHWC, _types=[x.type], kernel_shape=(1, 1), group=channels)
    return value
