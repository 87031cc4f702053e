"""Loops that the CPU provider has one kernel for: a Scan over the cell of an LSTM or GRU is its operator.

The kernels give each thread some rows of the batch for the whole sequence, where a Scan lets the threads meet after
every operator of every step. They give nothing but the states, so a Scan that also returns what a gradient needs stays.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np

from nngraph.ir import Graph, Node, Value
from nngraph.ops import raw
from nngraph.ops.axes import ints
from nngraph.ops.control import scan_steps
from passes.build import Builder, splat
from passes.pattern import Attempt, trace_pattern
from passes.rewrite import LocalRule, Refusal, Result, Rule, example

__all__ = ["RULES"]

T = TypeVar("T")


def _cell(op: Any, write: Any, forget: Any, candidate: Any, read: Any, carried: Any) -> Any:
    kept = op.Mul(op.Sigmoid(forget), carried)
    state = op.Add(kept, op.Mul(op.Sigmoid(write), op.Tanh(candidate)), _bind="state")
    return op.Mul(op.Sigmoid(read), op.Tanh(state))


(_CELL,) = trace_pattern(_cell)


def _gru_cell(op: Any, x_update: Any, x_reset: Any, x_new: Any, update: Any, reset: Any, new: Any, hidden: Any) -> Any:
    kept = op.Sigmoid(op.Add(x_update, update))
    candidate = op.Tanh(op.Add(x_new, op.Mul(op.Sigmoid(op.Add(x_reset, reset)), new)))
    return op.Add(candidate, op.Mul(kept, op.Sub(hidden, candidate)))


(_GRU_CELL,) = trace_pattern(_gru_cell)

_GATES = ("write", "forget", "candidate", "read")
"""The order of the gates in Keras's weights of an LSTM."""

_GRU_GATES = ("update", "reset", "new")
"""The order of the gates in Keras's weights of a GRU, and in the operator's."""

_ORDER = np.array([0, 3, 1, 2], np.int64)
"""The order of the gates in the operator's weights: write, read, forget, candidate."""


def _recurrent_weights(body: Graph) -> Value | None:
    """Return U of a body that is the cell of an LSTM: ``step + hidden U``, split into gates, makes the new states."""
    if len(body.inputs) != 3 or not _gives_states(body, 2):
        return None
    hidden, carried, step = body.inputs
    result, state = body.outputs[0], body.outputs[1]
    assert result.producer is not None
    for match in Attempt(result.producer).matches(_CELL):
        if match.carried is carried and match.node("state").output is state:
            total = _whole([getattr(match, name) for name in _GATES], axis=1)
            product = None if total is None else _product(total, hidden)
            return product[0] if product is not None and product[1] is step else None
    return None


def _gru_weights(body: Graph) -> tuple[Value, Value | None] | None:
    """Return U and b of a body that is the cell of a GRU: ``hidden U + b``, split into gates, and the three steps."""
    if len(body.inputs) != 4 or not _gives_states(body, 1):
        return None
    hidden, *steps = body.inputs
    result = body.outputs[0]
    assert result.producer is not None
    for match in Attempt(result.producer).matches(_GRU_CELL):
        if match.hidden is hidden and [match.x_update, match.x_reset, match.x_new] == steps:
            total = _whole([getattr(match, name) for name in _GRU_GATES], axis=1)
            product = None if total is None else _product(total, hidden)
            # A bias that a step makes for itself is not known outside.
            return product if product is None or product[1] is None or product[1].graph is not body else None
    return None


def _gives_states(body: Graph, states: int) -> bool:
    """Whether a body computes its states and at most gives the first once more, as what leaves at each step."""
    if len(body.outputs) not in (states, states + 1) or body.outputs[0].producer is None:
        return False
    return all(_source(v) is body.outputs[0] for v in body.outputs[states:])


def _source(value: Value) -> Value:
    """The value that an Identity returns once more."""
    made = value.producer
    return value if made is None or made.op_id != "Identity" or made.inputs[0] is None else made.inputs[0]


def _whole(gates: list[Value], axis: int) -> Value | None:
    """Return the tensor of which the gates are equal parts, one after the other."""
    split = gates[0].producer
    if split is None or split.op_id != "Split" or tuple(split.outputs) != tuple(gates):
        return None
    if split.attributes.get("axis", 0) not in (-1, axis) or len({v.shape for v in gates}) > 1:
        return None
    return split.inputs[0]


def _product(total: Value, hidden: Value) -> tuple[Value, Value | None] | None:
    """Return U and b of ``hidden U + b`` or ``hidden U``, where U comes from outside of the body."""
    node = total.producer
    if node is None or node.op_id not in ("Gemm", "MatMul") or node.inputs[0] is not hidden:
        return None
    if any(node.attributes.get(k, d) != d for k, d in (("alpha", 1), ("beta", 1), ("transA", 0), ("transB", 0))):
        return None
    weights, added = (*node.inputs[1:], None)[:2]
    return None if weights is None or weights.graph is total.graph else (weights, added)


def _lstm(x: Any, w: Any, u: Any, b: Any, h: Any, c: Any, backwards: bool = False, biased: bool = True) -> Any:
    """What a recurrent layer records."""
    stack = raw.Add(raw.MatMul(x, w), b) if biased else raw.MatMul(x, w)

    def step(states: list[Any], slices: list[Any]) -> Any:
        total = raw.Gemm(states[0], u, slices[0])
        write, forget, candidate, read = raw.Split(total, axis=1, num_outputs=4, outputs=4)
        kept = raw.Mul(raw.Sigmoid(forget), states[1])
        state = raw.Add(kept, raw.Mul(raw.Sigmoid(write), raw.Tanh(candidate)))
        result = raw.Mul(raw.Sigmoid(read), raw.Tanh(state))
        return [result, state], [result]

    last, stacks = scan_steps(step, [h, c], [stack], reverse=backwards)
    return (*last, *stacks)


_TYPES = ("float32[5, n, 3]", "float32[3, 8]", "float32[2, 8]", "float32[8]", "float32[n, 2]", "float32[n, 2]")


class ScanToLstm(LocalRule):
    """A Scan over the cell of an LSTM, fed by ``x W + b``, is the operator ``LSTM(x, W, U, b)``.

    Only its last states and its outputs of all steps may be wanted.
    """

    roots = ("Scan",)
    examples = (
        example(_lstm, *_TYPES),
        example(partial(_lstm, backwards=True), *_TYPES),
        example(partial(_lstm, biased=False), *_TYPES),
        example(
            _lstm,
            *(t.replace("32", "64") for t in _TYPES),
            refuses="the kernel is for float32 here",
        ),
        example(
            lambda x, w, u, b, h, c: _lstm(x, np.ones((5, 3, 8), np.float32), u, b, h, c),
            *_TYPES,
            refuses="the steps are not the inputs times weights",
        ),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        recurrent = _of_cell(node, 1, _recurrent_weights)
        if recurrent is None or isinstance(recurrent, Refusal):
            return recurrent
        hidden, carried, stack = node.inputs
        projection = None if stack is None else _projection(stack)
        if hidden is None or carried is None or projection is None:
            return Refusal("the steps are not the inputs times weights", stack)
        x, kernel, bias = projection
        units = recurrent.shape[0]
        if not isinstance(units, int) or (bias is not None and bias.shape != (4 * units,)):
            return None
        outputs = op.node(
            "LSTM",
            [
                x,
                _reordered(op, kernel, units),
                _reordered(op, recurrent, units),
                None if bias is None else _reordered_bias(op, bias, units),
                None,
                None if _is_zero(hidden) else op.Unsqueeze(hidden, ints(0)),
                None if _is_zero(carried) else op.Unsqueeze(carried, ints(0)),
            ],
            _outputs=3,
            hidden_size=units,
            direction="reverse" if _directions(node) == {1} else "forward",
        )
        sequence, *states = outputs
        last = [op.Squeeze(state, ints(0)) for state in states]
        return tuple(last if len(node.outputs) == 2 else [*last, op.Squeeze(sequence, ints(1))])


def _gru(x: Any, w: Any, u: Any, b: Any, h: Any, backwards: bool = False, biased: bool = True) -> Any:
    """What a recurrent layer records."""
    stack = raw.Add(raw.MatMul(x, w), b) if biased else raw.MatMul(x, w)
    steps = raw.Split(stack, axis=2, num_outputs=3, outputs=3)

    def step(states: list[Any], slices: list[Any]) -> Any:
        inner = raw.Gemm(states[0], u, b) if biased else raw.MatMul(states[0], u)
        update, reset, new = raw.Split(inner, axis=1, num_outputs=3, outputs=3)
        gate = raw.Sigmoid(raw.Add(slices[0], update))
        candidate = raw.Tanh(raw.Add(slices[2], raw.Mul(raw.Sigmoid(raw.Add(slices[1], reset)), new)))
        result = raw.Add(candidate, raw.Mul(gate, raw.Sub(states[0], candidate)))
        return [result], [result]

    last, stacks = scan_steps(step, [h], list(steps), reverse=backwards)
    return (*last, *stacks)


_GRU_TYPES = ("float32[5, n, 3]", "float32[3, 6]", "float32[2, 6]", "float32[6]", "float32[n, 2]")


class ScanToGru(LocalRule):
    """A Scan over the cell of a GRU, fed by the parts of ``x W + c``, is the operator ``GRU(x, W, U, c, b)``.

    The reset gate comes after the product with U, and only last state and outputs of all steps may be wanted.
    Over 100 steps of 128 units, on two cores of a Zen 3, it took 0.45 of the loop's time for one row, 0.64 for 32, and
    about the same for 8 and for 128.
    """

    roots = ("Scan",)
    examples = (
        example(_gru, *_GRU_TYPES),
        example(partial(_gru, backwards=True), *_GRU_TYPES),
        example(partial(_gru, biased=False), *_GRU_TYPES),
        example(_gru, *(t.replace("32", "64") for t in _GRU_TYPES), refuses="the kernel is for float32 here"),
        example(
            lambda x, w, u, b, h: _gru(x, np.ones((5, 3, 6), np.float32), u, b, h),
            *_GRU_TYPES,
            refuses="the steps are not the inputs times weights",
        ),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        product = _of_cell(node, 3, _gru_weights)
        if product is None or isinstance(product, Refusal):
            return product
        hidden, *steps = (v for v in node.inputs if v is not None)
        stack = _whole(steps, axis=2)
        projection = None if stack is None else _projection(stack)
        if projection is None:
            return Refusal("the steps are not the inputs times weights", steps[0])
        x, kernel, bias = projection
        recurrent, inner = product
        units = recurrent.shape[0]
        biases = [b for b in (bias, inner) if b is not None]
        if not isinstance(units, int) or any(b.shape != (3 * units,) for b in biases):
            return None
        zeros = np.zeros(3 * units, np.float32)
        both = op.Concat(zeros if bias is None else bias, zeros if inner is None else inner, axis=0)
        sequence, last = op.node(
            "GRU",
            [
                x,
                op.Unsqueeze(op.Transpose(kernel, perm=(1, 0)), ints(0)),
                op.Unsqueeze(op.Transpose(recurrent, perm=(1, 0)), ints(0)),
                op.Unsqueeze(both, ints(0)) if biases else None,
                None,
                None if _is_zero(hidden) else op.Unsqueeze(hidden, ints(0)),
            ],
            _outputs=2,
            hidden_size=units,
            direction="reverse" if _directions(node) == {1} else "forward",
            linear_before_reset=1,
        )
        state = op.Squeeze(last, ints(0))
        return (state,) if len(node.outputs) == 1 else (state, op.Squeeze(sequence, ints(1)))


def _of_cell(node: Node, stacks: int, weights: Callable[[Graph], T | None]) -> T | Refusal | None:
    """Return the weights of the cell that a Scan computes for the steps of so many stacks, all in one direction."""
    body: Graph = node.attributes["body"]
    found = weights(body) if node.attributes["num_scan_inputs"] == stacks else None
    if found is None or _axes(node) != {0} or len(_directions(node)) != 1:
        return None
    return found if body.outputs[0].dtype == "float32" else Refusal("the kernel is for float32 here", node.output)


def _axes(node: Node) -> set[int]:
    return {a for key in ("scan_input_axes", "scan_output_axes") for a in node.attributes.get(key) or (0,)}


def _directions(node: Node) -> set[int]:
    """The directions in which steps are read and outputs are written."""
    keys = ["scan_input_directions", *(["scan_output_directions"] if len(node.outputs) > 2 else [])]
    return {d for key in keys for d in node.attributes.get(key) or (0,)}


def _projection(stack: Value) -> tuple[Value, Value, Value | None] | None:
    """Return x, W and b of steps that are ``x W`` or ``x W + b``."""
    node, bias = stack.producer, None
    if node is not None and node.op_id == "Add":
        first, second = node.inputs
        assert first is not None and second is not None
        product, bias = (first, second) if first.ndim == 3 else (second, first)
        if bias.ndim != 1:
            return None
        node = product.producer
    if node is None or node.op_id != "MatMul":
        return None
    x, kernel = node.inputs
    assert x is not None and kernel is not None
    return (x, kernel, bias) if x.ndim == 3 and kernel.ndim == 2 else None


def _reordered(op: Builder, weights: Value, units: int) -> Value:
    """Weights (inputs, 4 units) as the operator wants them: (1, 4 units, inputs), the gates in its order."""
    gates = op.Gather(op.Reshape(weights, ints(0, 4, units)), _ORDER, axis=1)
    turned: Value = op.Unsqueeze(op.Transpose(op.Reshape(gates, ints(0, 4 * units)), perm=(1, 0)), ints(0))
    return turned


def _reordered_bias(op: Builder, bias: Value, units: int) -> Value:
    """Biases (4 units) as the operator wants them: (1, 8 units), of which the second half is for the state."""
    gates = op.Gather(op.Reshape(bias, ints(4, units)), _ORDER, axis=0)
    both: Value = op.Concat(op.Reshape(gates, ints(1, 4 * units)), np.zeros((1, 4 * units), np.float32), axis=1)
    return both


def _is_zero(state: Value) -> bool:
    """Whether a state is zeros, which the operator takes for one that is absent."""
    made = state.producer
    spread = made is not None and made.op_id == "Expand"
    return splat(made.inputs[0] if made is not None and spread else state) == 0


RULES: tuple[Rule, ...] = (ScanToLstm(), ScanToGru())
