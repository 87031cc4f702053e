"""RNN, GRU and LSTM written with simpler operators: one Scan over the steps for each direction.

Through this form they are differentiated, computed in double precision, and computed with the batch in front, which the
runtime does not do. What does not depend on the state, the product of all steps with the input weights, is outside of
the Scan. A sequence that has ended keeps its state and gives zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nngraph.errors import unknown_name
from nngraph.ir import TensorType, numpy_dtype
from nngraph.ops.axes import ints, sizes
from nngraph.ops.core import dtype_of, shape_vector, type_of
from nngraph.ops.subgraph import trace_body
from nngraph.ops.trace import apply, current_trace, is_traced, run_traced, set_expansion
from nngraph.ops.vjp import raw, through_form
from nngraph.registry import op_def

__all__: list[str] = []

Activation = Callable[[Any], Any]
Step = Callable[..., Sequence[Any]]

# -- activations ----------------------------------------------------------------------------------------------------

_ALPHA = {
    "affine": 1.0,
    "leakyrelu": 0.01,
    "thresholdedrelu": 1.0,
    "scaledtanh": 1.0,
    "hardsigmoid": 0.2,
    "elu": 1.0,
}
_BETA = {"affine": 0.0, "scaledtanh": 1.0, "hardsigmoid": 0.5}

_ACTIVATIONS: dict[str, Callable[[Any, float, float], Any]] = {
    "relu": lambda x, a, b: raw.Relu(x),
    "tanh": lambda x, a, b: raw.Tanh(x),
    "sigmoid": lambda x, a, b: raw.Sigmoid(x),
    "affine": lambda x, a, b: raw.Add(raw.Mul(x, a), b),
    "leakyrelu": lambda x, a, b: raw.LeakyRelu(x, alpha=a),
    "thresholdedrelu": lambda x, a, b: raw.ThresholdedRelu(x, alpha=a),
    "scaledtanh": lambda x, a, b: raw.Mul(raw.Tanh(raw.Mul(x, b)), a),
    "hardsigmoid": lambda x, a, b: raw.HardSigmoid(x, alpha=a, beta=b),
    "elu": lambda x, a, b: raw.Elu(x, alpha=a),
    "softsign": lambda x, a, b: raw.Softsign(x),
    "softplus": lambda x, a, b: raw.Softplus(x),
}


def _activations(names: Sequence[str], alphas: Sequence[float], betas: Sequence[float]) -> list[Activation]:
    """Return functions; each activation that has a parameter takes the next number given, or else its default."""
    left, right = iter(alphas), iter(betas)

    def one(name: str) -> Activation:
        key = name.lower()
        if key not in _ACTIVATIONS:
            raise unknown_name("activation of a recurrent operator", name, tuple(_ACTIVATIONS))
        alpha = next(left, _ALPHA[key]) if key in _ALPHA else 0.0
        beta = next(right, _BETA[key]) if key in _BETA else 0.0
        return lambda x: _ACTIVATIONS[key](x, alpha, beta)

    return [one(name) for name in names]


# -- what the three share -------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Direction:
    """One direction's numbers.

    Attributes:
        steps: what the scan reads at each step, apart from the state: the input times its weights, with biases.
        recurrent: the recurrent weights (hidden, gates * hidden).
        recurrent_bias: their bias (gates * hidden), or ``None``.
        peepholes: LSTM's (3 * hidden), or ``None``.
        activations: the functions of this direction.
        hidden: the number of units.
    """

    steps: Any
    recurrent: Any
    recurrent_bias: Any
    peepholes: Any
    activations: list[Activation]
    hidden: int


def _at(stack: Any, k: int) -> Any:
    return None if stack is None else raw.Gather(stack, np.asarray(k, np.int64), axis=0)


def _swapped(x: Any) -> Any:
    return None if x is None else raw.Transpose(x, perm=(1, 0, 2))


def _part(x: Any, start: int, end: int) -> Any:
    return raw.Slice(x, ints(start), ints(end), ints(-1))


def _zero_state(x: Any, hidden: int) -> Any:
    batch = sizes(x)[1]
    kind = TensorType(dtype_of(x), (type_of(x).shape[1], hidden))
    target = shape_vector([batch, hidden])
    trace = current_trace()
    if isinstance(target, np.ndarray) and trace is not None:
        target = trace.constant(target)
    return apply("ConstantOfShape", target, value=np.zeros(1, numpy_dtype(dtype_of(x))), types=[kind])


def _valid(x: Any, lengths: Any) -> Any:
    """True where a sequence has not ended: (steps, batch, 1)."""
    count = sizes(x)[0]
    last = raw.Cast(count, to="int64") if not isinstance(count, int) else np.asarray(count, np.int64)
    numbers = raw.Range(np.asarray(0, np.int64), last, np.asarray(1, np.int64))
    running = raw.Less(raw.Unsqueeze(numbers, ints(1)), raw.Unsqueeze(raw.Cast(lengths, to="int64"), ints(0)))
    return raw.Unsqueeze(running, ints(2))


def _scan(step: Step, inputs: Any, states: Sequence[Any], valid: Any, backwards: bool) -> tuple[Any, list[Any]]:
    """Run a cell over the steps; return the hidden states of all steps, and the states after the last."""
    feeds = [inputs] if valid is None else [inputs, valid]
    given = [*((f"state{k}", type_of(s)) for k, s in enumerate(states))]
    given += [(f"step{k}", TensorType(dtype_of(f), type_of(f).shape[1:])) for k, f in enumerate(feeds)]
    count = len(states)

    def body(*values: Any) -> list[tuple[Any, None]]:
        old, now = values[:count], values[count:]
        new = step(now[0], *old)
        if valid is None:
            return [(v, None) for v in (*new, new[0])]
        kept = [raw.Where(now[1], n, o) for n, o in zip(new, old, strict=True)]
        nothing = np.zeros((), numpy_dtype(dtype_of(new[0])))
        return [(v, None) for v in (*kept, raw.Where(now[1], new[0], nothing))]

    way: dict[str, Any] = (
        {"scan_input_directions": (1,) * len(feeds), "scan_output_directions": (1,)} if backwards else {}
    )
    steps: Any = type_of(inputs).shape[0]
    kinds = [type_of(s) for s in states]
    kinds.append(TensorType(kinds[0].dtype, (steps, *kinds[0].shape)))
    *last, outputs = apply(
        "Scan",
        *states,
        *feeds,
        outputs=count + 1,
        types=kinds,
        body=trace_body("recurrent_step", given, body),
        num_scan_inputs=len(feeds),
        **way,
    )
    return outputs, last


def _clipped(clip: float | None) -> Activation:
    if clip is None:
        return lambda x: x
    return lambda x: raw.Clip(
        x, np.asarray(-clip, numpy_dtype(dtype_of(x))), np.asarray(clip, numpy_dtype(dtype_of(x)))
    )


def _recurrent(
    cell: Callable[[_Direction, Mapping[str, Any]], Step],
    gates: int,
    defaults: Sequence[str],
    tensors: Sequence[Any],
    attributes: Mapping[str, Any],
) -> tuple[Any, ...]:
    """Run all directions of an operator whose inputs are X, W, R, B, lengths, initial_h, and of LSTM initial_c, P."""
    given = [*tensors, *(None,) * (8 - len(tensors))]
    x, w, r, b, lengths = given[:5]
    initial, peepholes = given[5:7], given[7]
    batch_first = bool(attributes.get("layout", 0))
    if batch_first:
        x, initial = _swapped(x), [_swapped(t) for t in initial]
    way = attributes.get("direction", "forward")
    if way not in ("forward", "reverse", "bidirectional"):
        raise unknown_name("direction", way, ("forward", "reverse", "bidirectional"))
    count = 2 if way == "bidirectional" else 1
    names = list(attributes.get("activations") or [*defaults] * count)[: len(defaults) * count]
    functions = _activations(names, attributes.get("activation_alpha") or (), attributes.get("activation_beta") or ())
    hidden: Any = attributes.get("hidden_size") or type_of(r).shape[2]
    if not isinstance(hidden, int):
        raise ValueError(f"a recurrent operator needs a known number of units, got weights R of {type_of(r)}")
    valid = None if lengths is None else _valid(x, lengths)
    stacks, finals = [], []
    for k in range(count):
        bias = _at(b, k)
        own, recurrent_bias = (None, None) if bias is None else raw.Split(bias, axis=0, num_outputs=2, outputs=2)
        steps = raw.MatMul(x, raw.Transpose(_at(w, k), perm=(1, 0)))
        steps = steps if own is None else raw.Add(steps, own)
        direction = _Direction(
            steps,
            raw.Transpose(_at(r, k), perm=(1, 0)),
            recurrent_bias,
            _at(peepholes, k),
            functions[k * len(defaults) : (k + 1) * len(defaults)],
            hidden,
        )
        step = cell(direction, attributes)
        states = [_zero_state(x, hidden) if s is None else _at(s, k) for s in initial[: 2 if gates == 4 else 1]]
        stack, last = _scan(step, direction.steps, states, valid, backwards=way == "reverse" or k == 1)
        stacks.append(raw.Unsqueeze(stack, ints(1)))
        finals.append([raw.Unsqueeze(s, ints(0)) for s in last])
    y = stacks[0] if count == 1 else raw.Concat(*stacks, axis=1)
    ends = [e[0] if count == 1 else raw.Concat(*e, axis=0) for e in zip(*finals, strict=True)]
    if batch_first:
        y, ends = raw.Transpose(y, perm=(2, 0, 1, 3)), [_swapped(e) for e in ends]
    return (y, *ends)


# -- the cells ------------------------------------------------------------------------------------------------------


def _rnn_cell(d: _Direction, attributes: Mapping[str, Any]) -> Step:
    (f,) = d.activations
    clip = _clipped(attributes.get("clip"))
    if d.recurrent_bias is not None:
        d.steps = raw.Add(d.steps, d.recurrent_bias)

    def step(xt: Any, h: Any) -> list[Any]:
        return [f(clip(raw.Add(xt, raw.MatMul(h, d.recurrent))))]

    return step


def _gru_cell(d: _Direction, attributes: Mapping[str, Any]) -> Step:
    f, g = d.activations
    n, clip, bias = d.hidden, _clipped(attributes.get("clip")), d.recurrent_bias
    late = bool(attributes.get("linear_before_reset", 0))
    gates, candidate = _part(d.recurrent, 0, 2 * n), _part(d.recurrent, 2 * n, 3 * n)
    late_bias = None
    if bias is not None and late:
        late_bias = _part(bias, 2 * n, 3 * n)
        bias = raw.Pad(_part(bias, 0, 2 * n), ints(0, n))
    if bias is not None:
        d.steps = raw.Add(d.steps, bias)

    def step(xt: Any, h: Any) -> list[Any]:
        both = f(clip(raw.Add(_part(xt, 0, 2 * n), raw.MatMul(h, gates))))
        z, r = raw.Split(both, axis=-1, num_outputs=2, outputs=2)
        if late:
            product = raw.MatMul(h, candidate)
            product = product if late_bias is None else raw.Add(product, late_bias)
            inner = raw.Mul(r, product)
        else:
            inner = raw.MatMul(raw.Mul(r, h), candidate)
        new = g(clip(raw.Add(_part(xt, 2 * n, 3 * n), inner)))
        return [raw.Add(raw.Mul(raw.Sub(1, z), new), raw.Mul(z, h))]

    return step


def _lstm_cell(d: _Direction, attributes: Mapping[str, Any]) -> Step:
    f, g, h_of = d.activations
    clip = _clipped(attributes.get("clip"))
    coupled = bool(attributes.get("input_forget", 0))
    if d.recurrent_bias is not None:
        d.steps = raw.Add(d.steps, d.recurrent_bias)
    looks = None if d.peepholes is None else raw.Split(d.peepholes, axis=0, num_outputs=3, outputs=3)

    def peeped(gate: Any, state: Any, k: int) -> Any:
        return gate if looks is None else raw.Add(gate, raw.Mul(looks[k], state))

    def step(xt: Any, h: Any, c: Any) -> list[Any]:
        total = raw.Add(xt, raw.MatMul(h, d.recurrent))
        i, o, forget, new = raw.Split(total, axis=-1, num_outputs=4, outputs=4)
        i = f(clip(peeped(i, c, 0)))
        forget = raw.Sub(1, i) if coupled else f(clip(peeped(forget, c, 2)))
        state = raw.Add(raw.Mul(forget, c), raw.Mul(i, g(clip(new))))
        o = f(clip(peeped(o, state, 1)))
        # The runtime does not clip the state that goes into the last activation.
        return [raw.Mul(o, h_of(state)), state]

    return step


# -- registration ---------------------------------------------------------------------------------------------------


def _is_beyond_runtime(attributes: Mapping[str, Any]) -> bool:
    """Whether the batch is in front, or the runtime would take 0 where a parameter of an activation is left out."""
    names = [n.lower() for n in attributes.get("activations") or ()]
    unsure = any(n in ("affine", "thresholdedrelu", "scaledtanh") for n in names)
    wanted = sum(n in _ALPHA for n in names)
    return bool(attributes.get("layout", 0)) or (unsure and len(attributes.get("activation_alpha") or ()) < wanted)


def _register(name: str, cell: Any, gates: int, defaults: Sequence[str]) -> None:
    def form(*tensors: Any, **attributes: Any) -> Any:
        def run(*given: Any) -> tuple[Any, ...]:
            rest = iter(given)
            return _recurrent(cell, gates, defaults, [None if t is None else next(rest) for t in tensors], attributes)

        present = [t for t in tensors if t is not None]
        return run(*present) if is_traced(*present) else run_traced(run, *present)

    entry = op_def(name)
    set_expansion(entry, form)
    entry.vjp = through_form
    entry.beyond_runtime = _is_beyond_runtime


_register("RNN", _rnn_cell, 1, ("Tanh",))
_register("GRU", _gru_cell, 3, ("Sigmoid", "Tanh"))
_register("LSTM", _lstm_cell, 4, ("Sigmoid", "Tanh", "Tanh"))
