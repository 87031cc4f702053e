"""Matrices and sequences of them with their columns in blocks, where the loops of recurrent layers multiply faster.

A product with a weight is a convolution of one pixel, and the runtime's blocked convolution (``passes.blocks``) reads
its kernel as it lies, where a matrix product first packs it: each time anew, in every step of a loop. With few rows
that is much of the work. The rows of a matrix become the pixels of an image: form 0 is (rows, columns) or (steps, rows,
columns), form 1 an image (steps or 1, columns, 1, rows) with its columns in blocks. A Scan moves as a whole, with its
body.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np

from nngraph.ir import Graph, Node, TensorType, Value, bytes_of
from nngraph.ops.axes import ints
from passes.base import Pass
from passes.blocks import NCHWC, block_size, image_type, images_of, pixels_of, rows_of, to_blocks
from passes.build import Builder, beside, take_names
from passes.layout.blocked_rules import RULES
from passes.layout.flip import move
from passes.layout.layouts import Free, Layouts
from passes.layout.sequence_rules import RULES as PARTS
from passes.recurrent import RULES as OPERATORS
from passes.rewrite import LocalRule, Result, rewrite
from passes.traits import ELEMENTWISE

__all__ = ["Loops", "Sequences"]

_FLOPS_PER_BYTE = 50
"""A blocked product of this many operations gains as much time as reordering one byte takes.

In a loop over 100 steps of 32 rows, 128 by 512, it gained about a tenth of the time (two cores of a Zen 3).
"""

_FEW_ROWS = 8
"""Products of fewer rows gain nothing."""


@dataclass(frozen=True)
class Loops(Pass):
    """Writes loops as the CPU provider runs them fastest: as one operator, or with their matrices in blocks.

    It is for graphs that run on this machine: the size of a block depends on the processor.
    """

    name: ClassVar[str] = "loops"
    tensors_only: ClassVar[bool] = True

    def run(self, graph: Graph) -> int:
        """Replace loops, move others to the blocks with what lies between them; return how many changes that took."""
        if not any(node.op_id == "Scan" for node in graph.all_nodes()):
            return 0
        changes, block = rewrite(graph, OPERATORS), block_size()
        if block is not None:
            changes += move(graph, Sequences(block)) + rewrite(graph, (ProductOfPixels(), *PARTS, *RULES))
        return changes


class Sequences(Layouts):
    """Rows of columns, and images of pixels whose channels lie in blocks."""

    by = "sequences"

    def __init__(self, block: int) -> None:
        self.block = block

    def link(self, node: Node) -> int | None:
        """Return ``None``: a turn is a reorder between two reshapes."""
        return None

    def seeds(self, node: Node) -> list[tuple[Value, int]]:
        """The inputs of loops."""
        return [(v, 0) for v in node.inputs if v is not None and self._fits(v)] if node.op_id == "Scan" else []

    def free(self, node: Node, form: int) -> Free | None:
        """Return how a node is brought to the blocks."""
        if form == 1 or not all(self._fits(v) for v in node.outputs):
            return None
        if not node.domain and node.op in ELEMENTWISE:
            return self._elementwise(node)
        handler = {
            "Concat": self._concat,
            "Gemm": self._product,
            "MatMul": self._product,
            "Scan": self._scan,
            "Split": self._split,
        }.get(node.op_id)
        return handler(node) if handler is not None else None

    def turn(self, op: Builder, value: Value, form: int) -> Value:
        """Reorder a tensor."""
        if form == 0:
            return images_of(op, value)
        number, columns, _, rows = (int(d) for d in value.shape)
        result: Value = op.Reshape(rows_of(op, value), ints(*([number] if number > 1 else []), rows, columns))
        return result

    def turn_constant(self, data: np.ndarray[Any, Any], form: int) -> np.ndarray[Any, Any]:
        """Reorder an array; all of them have form 0."""
        *steps, rows, columns = data.shape
        blocks = data.reshape(prod(steps), rows, columns // self.block, self.block).transpose(0, 2, 1, 3)
        return np.ascontiguousarray(blocks).reshape(prod(steps), columns, 1, rows)

    def cost(self, value: Value, form: int) -> int | None:
        """Return the tensor's size; the runtime reorders floats only."""
        return bytes_of(value) if value.dtype == "float32" else None

    # -- operators ----------------------------------------------------------------------------------------------------

    def _fits(self, value: Value) -> bool:
        """Whether a tensor is a matrix, or several, with whole blocks of columns."""
        if value.ndim not in (2, 3) or not value.type.is_static or 0 in value.shape:
            return False
        return int(value.shape[-1]) % self.block == 0 and (value.ndim == 2 or value.shape[0] != 1)

    def _elementwise(self, node: Node) -> Free | None:
        """Operands have the result's shape, or are single numbers; or one is a number for each column."""
        out = node.output
        slots = tuple(k for k, v in enumerate(node.inputs) if v is not None and v.shape == out.shape)
        others = [k for k, v in enumerate(node.inputs) if v is not None and k not in slots and v.type.size != 1]
        if not slots:
            return None
        if others:
            return self._columnwise(node, slots[0], others[0]) if len(node.inputs) == 2 else None

        def flip(op: Builder, inputs: list[Any]) -> Sequence[Value]:
            return [op.node(node.op, inputs, _types=[image_type(out.type)], **node.attributes)]

        return Free(slots, True, flip)

    def _columnwise(self, node: Node, slot: int, other: int) -> Free | None:
        """A sum with a bias is a convolution of each channel with one, which a product in front of it takes over."""
        columns, v = int(node.output.shape[-1]), node.inputs[other]
        if node.op != "Add" or v is None or v.shape != (columns,) or v.dtype != "float32":
            return None

        def flip(op: Builder, inputs: list[Any]) -> Sequence[Value]:
            ones = np.ones((columns, 1, 1, 1), np.float32)
            return [_conv(op, [inputs[slot], ones, inputs[other]], node.output.type, group=columns)]

        return Free((slot,), True, flip)

    def _concat(self, node: Node) -> Free | None:
        if node.attributes["axis"] % node.output.ndim != node.output.ndim - 1:
            return None
        if not all(v is not None and self._fits(v) for v in node.inputs):
            return None

        def flip(op: Builder, inputs: list[Any]) -> Sequence[Value]:
            return [op.node("Concat", inputs, _types=[image_type(node.output.type)], axis=1)]

        return Free(tuple(range(len(node.inputs))), True, flip)

    def _split(self, node: Node) -> Free | None:
        x = node.inputs[0]
        if x is None or node.attributes.get("axis", 0) % x.ndim != x.ndim - 1:
            return None
        sizes = ints(*(int(v.shape[-1]) for v in node.outputs))

        def flip(op: Builder, inputs: list[Any]) -> Sequence[Value]:
            types = [image_type(v.type) for v in node.outputs]
            made = op.node("Split", [inputs[0], sizes], _outputs=len(types), _types=types, axis=1)
            return made if isinstance(made, tuple) else (made,)

        return Free((0,), True, flip)

    def _product(self, node: Node) -> Free | None:
        """A product with weights from outside of all loops, to which a bias or a matrix may be added."""
        x, w, *added = (*node.inputs, None)[:3]
        attributes = node.attributes
        if x is None or w is None or x.dtype != "float32" or w.data is not None or w.ndim != 2 or not self._fits(x):
            return None
        if any(attributes.get(k, d) != d for k, d in (("alpha", 1), ("beta", 1), ("transA", 0))):
            return None
        if not w.type.is_static or any(int(d) % self.block for d in w.shape):
            return None
        extra = added[0] if added else None
        whole = extra is not None and extra.shape == node.output.shape
        columns = int(node.output.shape[-1])
        if extra is not None and not whole and extra.shape != (columns,):
            return None
        turned = bool(attributes.get("transB", 0))
        rows = prod(int(d) for d in x.shape[:-1])
        gain = 2 * rows * w.type.size // _FLOPS_PER_BYTE if rows >= _FEW_ROWS and w.type.size else 0

        def flip(op: Builder, inputs: list[Any]) -> Sequence[Value]:
            outside = op if w.graph is node.graph else beside(w, self.by)
            kernel = _kernel(outside, w, turned)
            more = [] if extra is None else [None, inputs[2]] if whole else [inputs[2]]
            return [_conv(op, [inputs[0], kernel, *more], node.output.type)]

        return Free((0, 2) if whole else (0,), True, flip, gain=gain)

    # -- loops ---------------------------------------------------------------------------------------------------------

    def _scan(self, node: Node) -> Free | None:
        """A loop along the first axis, all of whose body can go to the blocks."""
        axes = [a for key in ("scan_input_axes", "scan_output_axes") for a in node.attributes.get(key) or ()]
        if any(axes) or not all(v is not None and self._fits(v) for v in node.inputs):
            return None
        body: Graph = node.attributes["body"]
        plan = self._plan(body)
        stack = node.inputs[-1]
        if plan is None or stack is None:
            return None

        def flip(op: Builder, inputs: list[Any]) -> Sequence[Value]:
            return self._moved(op, node, plan, inputs)

        gain = int(stack.shape[0]) * sum(how.gain for how in plan)
        return Free(tuple(range(len(node.inputs))), True, flip, gain=gain)

    def _plan(self, body: Graph) -> list[Free] | None:
        """Return how each node of a body is brought to the blocks, or ``None`` if one cannot."""
        if not all(v.ndim == 2 and self._fits(v) for v in body.inputs):
            return None
        inside, plan = set(body.inputs), []
        for node in body:
            how = self.free(node, 0)
            if how is None:
                return None
            for k, v in enumerate(node.inputs):
                # What stays as it is comes from outside; what is turned there is a tensor of floats.
                if v is not None and (v in inside) != (k in how.slots) and (v in inside or not self._turns(v)):
                    return None
            inside.update(node.outputs)
            plan.append(how)
        return plan

    def _turns(self, value: Value) -> bool:
        return value.data is not None or (value.dtype == "float32" and self._fits(value))

    def _moved(self, op: Builder, node: Node, plan: list[Free], inputs: list[Any]) -> list[Value]:
        """Make the loop once more, around the same body, whose nodes go to the blocks."""
        body: Graph = node.attributes["body"]
        before = body.nodes
        for value in body.inputs:
            value.type = image_type(value.type)
        found = {v: v for v in body.inputs}
        for inner, how in zip(before, plan, strict=True):
            values = list(inner.inputs)
            for k in how.slots:
                values[k] = self._inside(body, values[k], found)
            for old, new in zip(inner.outputs, how.flip(Builder(inner, self.by), values), strict=True):
                take_names(new, old)
                found[old] = new
        body.set_outputs([self._inside(body, v, found) for v in body.outputs], body.output_names)
        for inner in reversed(before):
            body.erase(inner)
        states = len(node.inputs) - int(node.attributes["num_scan_inputs"])
        stacks = [op.Reshape(v, _sizes(_stacked(v.type))) for v in inputs[states:]]
        types = [image_type(v.type) for v in node.outputs]
        outer = [*types[:states], *map(_stacked, types[states:])]
        made = op.node("Scan", [*inputs[:states], *stacks], _outputs=len(types), _types=outer, **node.attributes)
        # The body lives on in the new node, so the old one must not release what it uses.
        node.attributes = {k: v for k, v in node.attributes.items() if v is not body}
        results = list(made) if isinstance(made, tuple) else [made]
        for k in range(states, len(types)):
            results[k] = op.Reshape(results[k], _sizes(types[k]))
        return results

    def _inside(self, body: Graph, value: Value | None, found: dict[Value, Value]) -> Value:
        """Return a tensor in blocks for a node of a body."""
        assert value is not None
        if value not in found:
            if value.data is not None:
                found[value] = body.add_constant(self.turn_constant(value.data, 0), value.name)
            else:
                found[value] = self.turn(beside(value, self.by), value, 0)
        return found[value]


def _stacked(image: TensorType) -> TensorType:
    """The type of images as a loop takes them, one at each step."""
    steps, *sizes = image.shape
    return image.with_shape((steps, 1, *sizes))


def _sizes(type: TensorType) -> np.ndarray[Any, Any]:
    return ints(*(int(d) for d in type.shape))


def _kernel(op: Builder, w: Value, turned: bool) -> Value:
    """Arrange weights (columns, filters), or the reverse if turned, for a blocked convolution of one pixel.

    Blocks of filters, then columns, then filters within a block: that is an image of columns as pixels.
    """
    first, second = (int(d) for d in w.shape)
    filters, columns = (first, second) if turned else (second, first)
    image = to_blocks(op, op.Reshape(w, ints(1, filters, 1, columns))) if turned else images_of(op, w)
    value: Value = op.Reshape(image, ints(filters, columns, 1, 1))
    return value


def _conv(op: Builder, inputs: list[Any], type: TensorType, **attributes: Any) -> Value:
    """Make a blocked convolution of one pixel, with the type in blocks of its result."""
    value: Value = op.node("Conv", inputs, _domain=NCHWC, _types=[image_type(type)], kernel_shape=(1, 1), **attributes)
    return value


class ProductOfPixels(LocalRule):
    """``Gemm(pixels of x, w) = pixels of Conv(x, w)``: less leaves the blocks, and products are faster there.

    That is for images of one row, such as steps of loops are.
    """

    roots = ("Gemm",)

    def apply(self, node: Node, op: Builder) -> Result:
        x, w = node.inputs[:2]
        image, block = None if x is None else pixels_of(x), block_size()
        if image is None or image.shape[2] != 1 or w is None or block is None or len(node.inputs) > 2:
            return None
        how = Sequences(block).free(node, 0)
        if how is None or not how.gain:
            return None
        steps, _, _, rows = (int(d) for d in image.shape)
        columns = int(node.output.shape[1])
        kernel = _kernel(op, w, bool(node.attributes.get("transB", 0)))
        product = _conv(op, [image, kernel], image.type.with_shape((steps, rows, columns)))
        return op.Reshape(rows_of(op, product), ints(steps * rows, columns))
