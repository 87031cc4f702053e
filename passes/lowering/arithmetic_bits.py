"""Bit operators as arithmetic and table look-ups, for providers that have no kernels for them.

The CUDA provider neither shifts nor combines bits. Random numbers need shifts (``nngraph.ops.bits``), the common
generators and hashes in other graphs the rest, and both must be the same on every target to the last bit, so what is
written here is exact:

- ``x >> s`` is a division by ``2^s``, and ``x << s`` a multiplication.
- ``x ^ (x >> s)`` leaves the upper ``s`` bits of x as they are. The others are looked up in pieces of 9 bits, in a
  table of ``a ^ b`` for all a and b.
- ``x | 1`` adds 1 to even numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nngraph.ir import Graph, Node, Value, numpy_dtype
from passes.build import Builder, replace_value, splat

__all__ = ["arithmetic_bits"]

_PIECE = 9
"""Bits of a piece: two cover the 17 bits of ``x >> 15``, and the table of all pairs takes a megabyte."""


def arithmetic_bits(graph: Graph) -> int:
    """Replace the bit operators that have a form here, in place; return how many there were.

    The numbers are unsigned; what has no form stays and runs on the CPU.
    """
    changes = 0
    for node in graph:
        changes += sum(arithmetic_bits(sub) for sub in node.subgraphs)
        form = _FORMS.get(node.op_id)
        if form is None or not node.output.dtype.startswith("uint"):
            continue
        op, inputs = Builder(node, "lower"), list(node.inputs)
        result = form(node, op)
        if result is None:
            continue
        replace_value(node.output, result, op)
        graph.erase(node)
        changes += 1
        for shifted in (v.producer for v in inputs if v is not None):
            if shifted is not None and shifted.op_id == "BitShift" and _is_dead(shifted):
                graph.erase(shifted)
    # Last: a shift that is left is one whose result is used as a number.
    return changes + sum(_shift(node) for node in graph)


def _is_dead(node: Node) -> bool:
    return not node.output.uses and not node.output.is_output


def _shift(node: Node) -> int:
    """Replace a shift by a constant number of bits."""
    places = _places(node)
    if places is None:
        return 0
    op, x = Builder(node, "lower"), node.inputs[0]
    factor = np.array(1 << places, numpy_dtype(node.output.dtype))
    result = op.Div(x, factor) if node.attributes["direction"] == "RIGHT" else op.Mul(x, factor)
    assert node.graph is not None
    replace_value(node.output, result, op)
    node.graph.erase(node)
    return 1


def _places(node: Node | None) -> int | None:
    """Return by how many bits a node shifts all numbers, or ``None``."""
    if node is None or node.op_id != "BitShift":
        return None
    places = splat(node.inputs[1])
    inside = places is not None and 0 <= places < 8 * numpy_dtype(node.output.dtype).itemsize
    # Constants with several numbers would make the result wider than x.
    return int(places) if inside and places is not None and node.output.shape == _shape(node.inputs[0]) else None


def _shape(x: Value | None) -> Any:
    return None if x is None else x.shape


def _xor(node: Node, op: Builder) -> Value | None:
    """``x ^ (x >> s)``, in either order."""
    for x, shifted in (node.inputs, node.inputs[::-1]):
        maker = None if shifted is None else shifted.producer
        places = _places(maker)
        if x is not None and maker is not None and places is not None and maker.inputs[0] is x and x.dtype == "uint32":
            right = maker.attributes["direction"] == "RIGHT"
            return _folded(op, x, places) if right and places >= 32 - 2 * _PIECE else None
    return None


def _folded(op: Builder, x: Value, places: int) -> Value:
    """Return ``x ^ (x >> places)`` where two pieces hold all bits that change."""
    piece = _u32(1 << _PIECE)
    lower = op.Mod(x, _u32(1 << (32 - places)))
    shifted = op.Div(x, _u32(1 << places))
    table = op.constant(_table(), "xor")

    def look_up(a: Value, b: Value) -> Value:
        place = op.Cast(op.Add(op.Mul(a, piece), b), to="int32")
        value: Value = op.Gather(table, place, axis=0)
        return value

    low = look_up(op.Mod(lower, piece), op.Mod(shifted, piece))
    high = look_up(op.Div(lower, piece), op.Div(shifted, piece))
    value: Value = op.Add(op.Sub(x, lower), op.Add(op.Mul(high, piece), low))
    return value


def _table() -> np.ndarray[Any, Any]:
    numbers = np.arange(1 << _PIECE, dtype=np.uint32)
    return np.bitwise_xor.outer(numbers, numbers).ravel()


def _or(node: Node, op: Builder) -> Value | None:
    """``x | 1``."""
    for x, one in (node.inputs, node.inputs[::-1]):
        if x is not None and splat(one) == 1 and node.output.shape == x.shape:
            kind = numpy_dtype(x.dtype).type
            value: Value = op.Add(x, op.Sub(kind(1), op.Mod(x, kind(2))))
            return value
    return None


def _not(node: Node, op: Builder) -> Value | None:
    """All ones minus x."""
    kind = numpy_dtype(node.output.dtype)
    value: Value = op.Sub(np.array(np.iinfo(kind).max, kind), node.inputs[0])
    return value


def _u32(number: int) -> np.ndarray[Any, Any]:
    return np.array(number, np.uint32)


_FORMS: dict[str, Callable[[Node, Builder], Value | None]] = {
    "BitwiseNot": _not,
    "BitwiseOr": _or,
    "BitwiseXor": _xor,
}
