"""Loops that the CPU provider has one kernel for: a Scan over the cell of an LSTM is its ``LSTM`` operator.

The kernel gives each thread some rows of the batch for the whole sequence, where a Scan lets the threads meet after
every operator of every step. It gives nothing but the states, so a Scan that also returns what a gradient needs stays.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from nngraph.ir import Graph, Node, Value
from nngraph.ops import raw
from nngraph.ops.control import scan_steps
from passes.build import Builder, splat
from passes.pattern import Attempt, Match, trace_pattern
from passes.rewrite import LocalRule, Refusal, Result, Rule, example

__all__ = ["RULES"]


def _cell(op: Any, write: Any, forget: Any, candidate: Any, read: Any, carried: Any) -> Any:
    kept = op.Mul(op.Sigmoid(forget), carried)
    state = op.Add(kept, op.Mul(op.Sigmoid(write), op.Tanh(candidate)), _bind="state")
    return op.Mul(op.Sigmoid(read), op.Tanh(state))


(_CELL,) = trace_pattern(_cell)

_GATES = ("write", "forget", "candidate", "read")
"""The order of the gates in Keras's weights."""

_ORDER = np.array([0, 3, 1, 2], np.int64)
"""The order of the gates in the operator's weights: write, read, forget, candidate."""


def _recurrent_weights(body: Graph) -> Value | None:
    """Return U of a body that is the cell of an LSTM: ``step + hidden U``, split into gates, makes the new states."""
    if len(body.inputs) != 3 or len(body.outputs) not in (2, 3):
        return None
    hidden, carried, step = body.inputs
    result, state = body.outputs[0], body.outputs[1]
    if result.producer is None or any(_source(v) is not result for v in body.outputs[2:]):
        return None
    for match in Attempt(result.producer).matches(_CELL):
        if match.carried is carried and match.node("state").output is state:
            total = _split_into_gates(match)
            return None if total is None else _factor(total, hidden, step)
    return None


def _source(value: Value) -> Value:
    """The value that an Identity returns once more."""
    made = value.producer
    return value if made is None or made.op_id != "Identity" or made.inputs[0] is None else made.inputs[0]


def _split_into_gates(match: Match) -> Value | None:
    """Return the tensor of which the gates are equal parts, one after the other."""
    gates = [getattr(match, name) for name in _GATES]
    split = gates[0].producer
    if split is None or split.op_id != "Split" or tuple(split.outputs) != tuple(gates):
        return None
    if split.attributes.get("axis", 0) not in (-1, 1) or len({v.shape for v in gates}) > 1:
        return None
    return split.inputs[0]


def _factor(total: Value, hidden: Value, step: Value) -> Value | None:
    """Return U of ``step + hidden U`` where it comes from outside of the body."""
    node = total.producer
    if node is None or node.op_id != "Gemm" or node.inputs[0] is not hidden or node.inputs[2:] != (step,):
        return None
    if any(node.attributes.get(k, d) != d for k, d in (("alpha", 1), ("beta", 1), ("transA", 0), ("transB", 0))):
        return None
    weights = node.inputs[1]
    return None if weights is None or weights.graph is total.graph else weights


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
        body: Graph = node.attributes["body"]
        recurrent = _recurrent_weights(body) if node.attributes["num_scan_inputs"] == 1 else None
        if recurrent is None or _axes(node) != {0} or len(_directions(node)) != 1:
            return None
        if body.outputs[0].dtype != "float32":
            return Refusal("the kernel is for float32 here", node.output)
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
                None if _is_zero(hidden) else op.Unsqueeze(hidden, _i64(0)),
                None if _is_zero(carried) else op.Unsqueeze(carried, _i64(0)),
            ],
            _outputs=3,
            hidden_size=units,
            direction="reverse" if _directions(node) == {1} else "forward",
        )
        sequence, *states = outputs
        last = [op.Squeeze(state, _i64(0)) for state in states]
        return tuple(last if len(node.outputs) == 2 else [*last, op.Squeeze(sequence, _i64(1))])


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
    gates = op.Gather(op.Reshape(weights, _i64(0, 4, units)), _ORDER, axis=1)
    turned: Value = op.Unsqueeze(op.Transpose(op.Reshape(gates, _i64(0, 4 * units)), perm=(1, 0)), _i64(0))
    return turned


def _reordered_bias(op: Builder, bias: Value, units: int) -> Value:
    """Biases (4 units) as the operator wants them: (1, 8 units), of which the second half is for the state."""
    gates = op.Gather(op.Reshape(bias, _i64(4, units)), _ORDER, axis=0)
    both: Value = op.Concat(op.Reshape(gates, _i64(1, 4 * units)), np.zeros((1, 4 * units), np.float32), axis=1)
    return both


def _is_zero(state: Value) -> bool:
    """Whether a state is zeros, which the operator takes for one that is absent."""
    made = state.producer
    spread = made is not None and made.op_id == "Expand"
    return splat(made.inputs[0] if made is not None and spread else state) == 0


def _i64(*numbers: int) -> np.ndarray[Any, Any]:
    return np.array(numbers, np.int64)


RULES: tuple[Rule, ...] = (ScanToLstm(),)
