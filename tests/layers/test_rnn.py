"""Recurrent layers against plain numpy, numbers of Keras, unrolled graphs and finite differences."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sequence_run import as_graph, check_gradients, filled, nodes, run, wave

from nngraph import layers, ops
from nngraph.ir import TensorType
from nngraph.layers import (
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    ConvLSTM1D,
    ConvLSTM2D,
    ConvLSTM3D,
    Dense,
    GRUCell,
    Input,
    Layer,
    LSTMCell,
    SimpleRNN,
    SimpleRNNCell,
    StackedRNNCells,
    TimeDistributed,
    deserialize,
    serialize,
)

KINDS = ("SimpleRNN", "LSTM", "GRU", "GRU-before")
MASK = np.array([[True, True, False, True], [False, True, True, False]])


def make(kind: str, units: int = 2, **arguments: Any) -> Any:
    name, _, before = kind.partition("-")
    return getattr(layers, name)(units, **({"reset_after": False} if before else {}), **arguments)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def numpy_step(kind: str, weights: list[np.ndarray]) -> Callable[[Any, list[Any]], list[Any]]:
    """One step as the textbooks write it: takes an input and the states, returns the states, the output first."""
    w, u, b = weights
    n = u.shape[0]

    def simple(x: Any, states: list[Any]) -> list[Any]:
        return [np.tanh(x @ w + b + states[0] @ u)]

    def lstm(x: Any, states: list[Any]) -> list[Any]:
        h, c = states
        i, f, g, o = np.split(x @ w + h @ u + b, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return [sigmoid(o) * np.tanh(c), c]

    def gru(x: Any, states: list[Any]) -> list[Any]:
        h = states[0]
        inner = b if b.ndim == 1 else b[0]
        xz, xr, xh = np.split(x @ w + inner, 3, axis=1)
        if b.ndim == 2:
            hz, hr, hh = np.split(h @ u + b[1], 3, axis=1)
            candidate = np.tanh(xh + sigmoid(xr + hr) * hh)
        else:
            hz, hr = np.split(h @ u[:, : 2 * n], 2, axis=1)
            candidate = np.tanh(xh + (sigmoid(xr + hr) * h) @ u[:, 2 * n :])
        z = sigmoid(xz + hz)
        return [z * h + (1 - z) * candidate]

    return {"SimpleRNN": simple, "LSTM": lstm, "GRU": gru, "GRU-before": gru}[kind]


def expected(
    kind: str, layer: Any, x: np.ndarray, mask: Any = None, states: Any = None, backwards: bool = False
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Outputs in the order of computation, and the last states."""
    step = numpy_step(kind, [w.numpy().astype("float64") for w in layer.weights])
    units = layer.units
    count = 2 if kind == "LSTM" else 1
    states = [np.zeros((len(x), units))] * count if states is None else list(states)
    outputs = []
    for t in reversed(range(x.shape[1])) if backwards else range(x.shape[1]):
        new = step(x[:, t].astype("float64"), states)
        keep = np.ones((len(x), 1), bool) if mask is None else mask[:, t, None]
        states = [np.where(keep, n, o) for n, o in zip(new, states, strict=True)]
        outputs.append(states[0])
    return np.stack(outputs, axis=1), states


def close(a: Any, b: Any) -> None:
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_values(kind: str, backwards: bool, masked: bool) -> None:
    """Eager, and as a graph whose batch and time are names, against numpy."""
    x = wave((2, 4, 3), 9)
    mask = MASK if masked else None
    layer = make(kind, return_sequences=True, return_state=True, go_backwards=backwards)
    layer.build(x.shape)
    filled(layer)
    start = [wave((2, 2), 5 + k) for k in range(2 if kind == "LSTM" else 1)]
    types = [TensorType("float32", ("batch", "time", 3))]
    for states in (None, start):
        outputs, last = expected(kind, layer, x, mask, states, backwards)
        found = layer(x, mask=mask, initial_state=states)
        close(found[0], outputs)
        for a, b in zip(found[1:], last, strict=True):
            close(a, b)
    graph, trace, result = as_graph(lambda x: layer(x, mask=mask), types)
    if not masked:  # the mask's sizes are known here
        assert result[0].shape == ("batch", "time", 2)
        assert result[1].shape == ("batch", 2)
    outputs, last = expected(kind, layer, x, mask, None, backwards)
    found = run(graph, trace, [x])
    close(found[0], outputs)
    close(found[1], last[0])


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_output_alone_is_not_collected(kind: str) -> None:
    x = wave((2, 4, 3), 9)
    layer = make(kind)
    layer.build(x.shape)
    filled(layer)
    outputs, _ = expected(kind, layer, x)
    close(layer(x), outputs[:, -1])
    graph, trace, _ = as_graph(layer, [TensorType("float32", ("batch", "time", 3))])
    close(run(graph, trace, [x])[0], outputs[:, -1])
    (scan,) = nodes(graph, "Scan")
    assert len(scan.outputs) == (2 if kind == "LSTM" else 1)


@pytest.mark.parametrize(("kind", "products"), [("SimpleRNN", 1), ("LSTM", 1), ("GRU", 1), ("GRU-before", 2)])
def test_the_kernel_s_product_is_outside_of_the_loop(kind: str, products: int) -> None:
    layer = make(kind, return_sequences=True)
    graph, _, _ = as_graph(layer, [TensorType("float32", ("batch", "time", 3))])
    (scan,) = nodes(graph, "Scan")
    assert len(nodes(scan.attributes["body"], "MatMul")) == products
    assert len(nodes(graph, "MatMul")) == products + 1


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients(kind: str, masked: bool) -> None:
    x = wave((2, 4, 3), 9)
    layer = make(kind, return_sequences=True, return_state=True, dtype="float64")
    layer.build(x.shape)
    filled(layer)
    graph = check_gradients(layer, lambda x: layer(x, mask=MASK if masked else None), [x])
    backward = nodes(graph, "Scan")[1].attributes["body"]
    weights = 2 if kind == "GRU-before" else 1
    assert len(nodes(backward, "Gemm")) == weights  # the states' gradients; those of the weights are outside


GOLDEN: dict[str, tuple[Callable[[], Any], bool, list[float]]] = {
    "SimpleRNN": (
        lambda: SimpleRNN(2, return_sequences=True),
        False,
        [
            *(-0.166098, -0.616888, 0.234412, -0.747594, 0.203278, -0.763954, -0.280859, -0.681045),
            *(-0.589837, -0.379763, -0.42068, -0.51482, 0.077742, -0.670489, 0.250333, -0.745197),
        ],
    ),
    "LSTM": (
        lambda: LSTM(2, return_sequences=True),
        False,
        [
            *(-0.180827, -0.020502, -0.20536, 0.019131, -0.071911, -0.009061, -0.040523, -0.112835),
            *(-0.172923, -0.088091, -0.302257, -0.059035, -0.307328, 0.014122, -0.157289, 0.028043),
        ],
    ),
    "GRU": (
        lambda: GRU(2, return_sequences=True),
        False,
        [
            *(-0.25847, -0.361639, -0.24238, -0.577594, -0.112263, -0.541064, -0.077082, -0.318302),
            *(-0.212521, 0.002521, -0.400631, -0.212578, -0.375777, -0.476338, -0.216657, -0.529088),
        ],
    ),
    "GRU-before": (
        lambda: GRU(2, reset_after=False, return_sequences=True),
        False,
        [
            *(-0.448743, -0.317054, -0.458883, -0.487128, -0.293068, -0.413967, -0.28426, -0.159328),
            *(-0.41596, 0.052499, -0.642397, -0.069144, -0.590758, -0.312021, -0.374643, -0.371815),
        ],
    ),
    "LSTM-masked": (
        lambda: LSTM(2, return_sequences=True),
        True,
        [
            *(-0.180827, -0.020502, -0.20536, 0.019131, -0.20536, 0.019131, -0.09574, -0.077805),
            *(0.0, 0.0, -0.189441, -0.036226, -0.247226, 0.010656, -0.247226, 0.010656),
        ],
    ),
    "GRU-backwards-masked": (
        lambda: GRU(2, return_sequences=True, go_backwards=True),
        True,
        [
            *(0.016883, -0.01889, 0.016883, -0.01889, -0.052029, -0.471907, -0.324031, -0.573264),
            *(0.0, 0.0, -0.125843, -0.463726, -0.395268, -0.471007, -0.395268, -0.471007),
        ],
    ),
    "Bidirectional-masked": (
        lambda: Bidirectional(LSTM(1, return_sequences=True)),
        True,
        [
            *(0.139932, -0.175935, 0.16092, -0.127526, 0.0, 0.0, 0.078236, -0.001272),
            *(0.0, 0.0, 0.140927, -0.16102, 0.170473, -0.127858, 0.0, 0.0),
        ],
    ),
    "Stacked": (
        lambda: RNN([LSTMCell(3), GRUCell(2)], return_sequences=True),
        False,
        [
            *(-0.039192, 0.170965, -0.061567, 0.230366, -0.017459, 0.219172, -0.01595, 0.193772),
            *(-0.018832, 0.134702, -0.101446, 0.224571, -0.135783, 0.239893, -0.077108, 0.201564),
        ],
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_numbers_of_keras(name: str) -> None:
    """Keras 3.15 gave these numbers for the weights and inputs of ``wave``."""
    build, masked, numbers = GOLDEN[name]
    layer = build()
    x = wave((2, 4, 3), 9)
    layer.build(x.shape)
    filled(layer)
    y = layer(x, mask=MASK if masked else None)
    np.testing.assert_allclose(np.ravel(y), numbers, rtol=1e-5, atol=1e-6)


# -- weights and configuration --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "paths"),
    [
        (lambda: SimpleRNN(4, name="a"), {"kernel": (3, 4), "recurrent_kernel": (4, 4), "bias": (4,)}),
        (lambda: LSTM(4, name="a"), {"kernel": (3, 16), "recurrent_kernel": (4, 16), "bias": (16,)}),
        (lambda: GRU(4, name="a"), {"kernel": (3, 12), "recurrent_kernel": (4, 12), "bias": (2, 12)}),
        (lambda: GRU(4, reset_after=False, name="a"), {"kernel": (3, 12), "recurrent_kernel": (4, 12), "bias": (12,)}),
        (lambda: LSTM(4, use_bias=False, name="a"), {"kernel": (3, 16), "recurrent_kernel": (4, 16)}),
    ],
)
def test_weights_have_the_names_and_shapes_of_keras(layer: Callable[[], Any], paths: dict[str, Any]) -> None:
    made = layer()
    made(wave((2, 4, 3), 1))
    cell = f"a/{made.cell.name}"
    assert [(w.path, w.shape) for w in made.weights] == [(f"{cell}/{k}", s) for k, s in paths.items()]
    assert (
        made.cell.name == {"SimpleRNN": "simple_rnn_cell", "LSTM": "lstm_cell", "GRU": "gru_cell"}[type(made).__name__]
    )


def test_the_forget_gate_begins_open() -> None:
    for flag, want in ((True, [0, 1, 0, 0]), (False, [0, 0, 0, 0])):
        layer = LSTM(3, unit_forget_bias=flag)
        layer.build((None, None, 2))
        assert layer.weights[2].numpy().reshape(4, 3)[:, 0].tolist() == want


CONFIGURED: dict[str, Callable[[], Any]] = {
    "SimpleRNN": lambda: SimpleRNN(3, activation="relu", dropout=0.2, go_backwards=True),
    "LSTM": lambda: LSTM(
        3, recurrent_activation="hard_sigmoid", unit_forget_bias=False, kernel_regularizer="l2", seed=4
    ),
    "GRU": lambda: GRU(3, reset_after=False, return_sequences=True, return_state=True, bias_constraint="non_neg"),
    "RNN": lambda: RNN(LSTMCell(3, recurrent_dropout=0.1), unroll=True, zero_output_for_mask=True),
    "Stacked": lambda: RNN([LSTMCell(3), GRUCell(2)], return_sequences=True),
    "Bidirectional": lambda: Bidirectional(GRU(3, return_sequences=True), merge_mode="ave"),
    "Bidirectional-other": lambda: Bidirectional(LSTM(3), backward_layer=GRU(3, go_backwards=True), merge_mode=None),
    "TimeDistributed": lambda: TimeDistributed(Dense(2, activation="tanh")),
}


@pytest.mark.parametrize("name", CONFIGURED)
def test_configuration_makes_an_equal_layer(name: str) -> None:
    layer = CONFIGURED[name]()
    x = wave((2, 4, 3), 9)
    first = layer(x)
    described = json.loads(json.dumps(serialize(layer)))
    twin = deserialize(described)
    assert twin.get_config() == layer.get_config()
    twin(x)
    twin.set_weights(layer.get_weights())
    for a, b in zip(ops_list(twin(x)), ops_list(first), strict=True):
        np.testing.assert_array_equal(a, b)


def ops_list(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple) else [result]


@pytest.mark.parametrize("cell", [SimpleRNNCell(3, seed=1), LSTMCell(3, dropout=0.3), GRUCell(3, reset_after=False)])
def test_cells_are_configured_and_called_alone(cell: Any) -> None:
    x = wave((2, 4), 1)
    states = cell.get_initial_state(batch_size=2)
    output, new = cell(x, states)
    assert output.shape == (2, 3)
    assert len(new) == len(states) == (2 if isinstance(cell, LSTMCell) else 1)
    assert new[0] is output
    assert deserialize(json.loads(json.dumps(serialize(cell)))).get_config() == cell.get_config()


# -- cells of one's own ---------------------------------------------------------------------------------------------


class Averaging(Layer):
    """A cell whose output is not its state."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.state_size = [units, 1]
        self.output_size = units + 1
        self.inner = Dense(units, name="inner")

    def call(self, inputs: Any, states: Any) -> Any:
        total, count = states
        total, count = total + self.inner(inputs), count + 1.0
        return ops.concatenate([total / count, count], axis=1), [total, count]


@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_a_cell_of_one_s_own(masked: bool, zero: bool) -> None:
    x = wave((2, 4, 3), 9)
    mask = MASK if masked else None
    layer = RNN(Averaging(2), return_sequences=True, return_state=True, zero_output_for_mask=zero)
    y, total, count = layer(x, mask=mask)
    kernel, bias = (w.numpy() for w in layer.weights)
    kept = MASK if masked else np.ones((2, 4), bool)
    steps = (x @ kernel + bias) * kept[..., None]
    counts = np.cumsum(kept, axis=1)[..., None]
    with np.errstate(invalid="ignore"):
        outputs = np.concatenate([np.cumsum(steps, axis=1) / counts, counts], axis=2)
    outputs = np.where(counts == 0, 0, outputs)
    close(y, np.where(kept[..., None], outputs, 0) if zero else outputs)
    close(total, steps.sum(1))
    close(count, counts[:, -1])
    single = RNN(layer.cell, zero_output_for_mask=zero)
    close(single(x, mask=mask), outputs[:, -1])
    graph, trace, _ = as_graph(lambda x: layer(x, mask=mask), [TensorType("float32", ("batch", "time", 3))])
    close(run(graph, trace, [x])[0], y)
    assert len(nodes(graph, "MatMul")) == 1  # of the layer inside the cell, for all steps at once


def test_gradients_of_a_cell_of_one_s_own() -> None:
    layer = RNN(Averaging(2, dtype="float64"), return_sequences=True, dtype="float64")
    layer.cell.inner.dtype_policy = layer.dtype_policy
    x = wave((2, 4, 3), 9)
    layer(x.astype("float64"))
    check_gradients(layer, lambda x: layer(x, mask=MASK), [x])


def test_a_cell_that_is_no_layer() -> None:
    class Sum:
        state_size = 3

        def call(self, inputs: Any, states: Any) -> Any:
            return states[0] + inputs, [states[0] + inputs]

    x = wave((2, 4, 3), 9)
    close(RNN(Sum())(x), x.sum(1))


def test_stacked_cells() -> None:
    x = wave((2, 4, 3), 9)
    stacked = RNN([LSTMCell(4), GRUCell(2)], return_sequences=True, return_state=True)
    y, first, second = stacked(x)
    assert [s.shape for s in first] == [(2, 4), (2, 4)]
    assert [s.shape for s in second] == [(2, 2)]
    assert isinstance(stacked.cell, StackedRNNCells)
    assert stacked.state_size == [[4, 4], 2]
    one, two = LSTM(4, return_sequences=True), GRU(2, return_sequences=True)
    middle = one(x)
    two(middle)
    one.set_weights(stacked.get_weights()[:3])
    two.set_weights(stacked.get_weights()[3:])
    close(y, two(one(x)))
    close(RNN(stacked.cell)(x), y[:, -1])
    again = stacked(x, initial_state=[first, second])
    assert not np.allclose(again[0], y)


# -- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_unrolled_is_the_same_without_a_loop(kind: str, masked: bool) -> None:
    x = wave((2, 4, 3), 9)
    rolled = make(kind, return_sequences=True, go_backwards=True)
    flat = make(kind, return_sequences=True, go_backwards=True, unroll=True)
    for layer in (rolled, flat):
        layer.build(x.shape)
        filled(layer)
    mask = MASK if masked else None
    graph, trace, _ = as_graph(lambda x: flat(x, mask=mask), [TensorType("float32", ("batch", 4, 3))])
    assert not nodes(graph, "Scan")
    close(run(graph, trace, [x])[0], rolled(x, mask=mask))


def test_stateful_goes_on_where_it_stopped() -> None:
    x = wave((2, 6, 3), 9)
    layer, plain = LSTM(4, stateful=True, return_sequences=True), LSTM(4, return_sequences=True)
    plain(x)
    layer(x)
    layer.reset_state()
    layer.set_weights(plain.get_weights())
    assert len(layer.weights) == 3
    whole = plain(x)
    close(layer(x[:, :2]), whole[:, :2])
    graph, trace, _ = as_graph(layer, [TensorType("float32", (2, 4, 3))])
    found = run(graph, trace, [x[:, 2:]])
    close(found[0], whole[:, 2:])
    assert {v.name for v in trace.assigned} == {"rnn_state"}
    close(layer(x[:, 2:]), whole[:, 2:])
    layer.reset_state()
    close(layer(x), whole)
    both = Bidirectional(GRU(3, stateful=True))
    both(x)
    assert len(both.states) == 2
    assert np.any(both.states[0].numpy() != 0)
    both.reset_state()
    assert not np.any(both.states[0].numpy())


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_keeps_one_mask_for_all_steps(kind: str) -> None:
    # With a kernel of ones and no recurrence, the output tells which inputs were dropped.
    x = np.ones((3, 5, 8), "float32")
    layer = make(kind, 2, dropout=0.5, return_sequences=True, activation="linear", seed=7)
    layer.build(x.shape)
    layer.set_weights([np.ones(w.shape) if w.name == "kernel" else np.zeros(w.shape) for w in layer.weights])
    first = layer(x, training=True)
    second = layer(x, training=True)
    assert not np.allclose(first, second)
    assert np.allclose(layer(x), layer(x))
    again = make(kind, 2, dropout=0.5, return_sequences=True, activation="linear", seed=7)
    again.build(x.shape)
    again.set_weights(layer.get_weights())
    graph, trace, _ = as_graph(lambda x: again(x, training=True), [TensorType("float32", ("batch", "time", 8))])
    found = run(graph, trace, [x])
    close(found[0], first)
    assert found[1].tolist() == [7, 1]
    if kind == "SimpleRNN":
        assert np.allclose(first, first[:, :1])


def test_recurrent_dropout_acts_on_the_state() -> None:
    x = np.zeros((4, 3, 2), "float32")
    layer = SimpleRNN(6, recurrent_dropout=0.5, activation="linear", seed=3, return_sequences=True)
    layer.build(x.shape)
    layer.set_weights([np.zeros((2, 6)), np.eye(6), np.zeros(6)])
    y = layer(x, initial_state=np.ones((4, 6), "float32"), training=True)
    assert set(np.unique(y[:, 0]).tolist()) == {0.0, 2.0}
    close(y[:, 2], np.where(y[:, 0] > 0, 8.0, 0.0))
    stacked = RNN([LSTMCell(3, dropout=0.5, recurrent_dropout=0.5), GRUCell(2, dropout=0.5)])
    assert np.isfinite(stacked(wave((2, 4, 3), 1), training=True)).all()
    assert stacked.cell.cells[0]._dropout_mask is None


def test_recurrent_dropout_of_a_gru_leaves_what_is_kept_alone() -> None:
    x, ones = np.zeros((4, 3, 2), "float32"), np.ones((4, 6), "float32")
    layer = GRU(6, recurrent_dropout=0.5, seed=3)
    layer.build(x.shape)
    bias = np.zeros((2, 18))
    bias[0, :6] = 50.0  # the update gate keeps everything
    layer.set_weights([np.zeros((2, 18)), np.zeros((6, 18)), bias])
    close(layer(x, initial_state=ones, training=True), ones)


# -- Bidirectional and TimeDistributed ------------------------------------------------------------------------------


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("mode", ["concat", "sum", "mul", "ave", None])
def test_bidirectional(mode: Any, sequences: bool) -> None:
    x = wave((2, 4, 3), 9)
    inner = GRU(3, return_sequences=sequences, return_state=True, name="gru")
    layer = Bidirectional(inner, merge_mode=mode, name="both")
    result = layer(x)
    assert [w.path.split("/")[1] for w in layer.weights] == ["forward_gru"] * 3 + ["backward_gru"] * 3
    one, other = (GRU(3, return_sequences=sequences) for _ in range(2))
    one(x)
    other(x)
    one.set_weights(layer.get_weights()[:3])
    other.set_weights(layer.get_weights()[3:])
    a, b = one(x), other(x[:, ::-1])
    b = b[:, ::-1] if sequences else b
    merged = {
        "concat": lambda: np.concatenate([a, b], -1),
        "sum": lambda: a + b,
        "mul": lambda: a * b,
        "ave": lambda: (a + b) / 2,
        None: lambda: (a, b),
    }[mode]()
    found = result[:2] if mode is None else result[:1]
    for y, want in zip(found, merged if mode is None else [merged], strict=True):
        close(y, want)
    assert len(result) == len(found) + 2
    graph, trace, _ = as_graph(layer, [TensorType("float32", ("batch", "time", 3))])
    for y, want in zip(run(graph, trace, [x]), result, strict=True):
        close(y, want)
    # No tensor is reversed: the loop itself goes backwards.
    assert all(n.inputs[4].data.tolist() != [-1] for n in nodes(graph, "Slice"))


def test_bidirectional_names_states_and_masks() -> None:
    layer = Bidirectional(LSTM(3, return_sequences=True, return_state=True, name="lstm"), name="both")
    x = wave((2, 4, 3), 9)
    y, *states = layer(x)
    assert [w.path for w in layer.weights[::3]] == [
        "both/forward_lstm/lstm_cell/kernel",
        "both/backward_lstm/lstm_cell/kernel",
    ]
    again, *_ = layer(x, initial_state=states)
    assert not np.allclose(again, y)
    assert layer.compute_mask(x, MASK)[0] is MASK
    assert layer.compute_mask(x, MASK)[1:] == [None] * 4
    weighted = Bidirectional(LSTM(3), weights=layer.get_weights())
    weighted(x)
    np.testing.assert_array_equal(weighted.get_weights()[3], layer.get_weights()[3])
    with pytest.raises(ValueError, match="as many of the backward layer; got 3 tensors"):
        layer(x, initial_state=states[:3])


def test_gradients_of_bidirectional() -> None:
    x = wave((2, 4, 3), 9)
    layer = Bidirectional(LSTM(2, return_sequences=True, dtype="float64"), dtype="float64")
    layer.build(x.shape)
    filled(layer)
    check_gradients(layer, lambda x: layer(x, mask=MASK), [x])


def test_time_distributed() -> None:
    x = wave((2, 4, 3), 9)
    layer = TimeDistributed(Dense(5, activation="relu"), name="each")
    y = layer(x)
    assert [w.path for w in layer.weights] == [f"each/{layer.layer.name}/{name}" for name in ("kernel", "bias")]
    for t in range(4):
        close(y[:, t], layer.layer(x[:, t]))
    graph, trace, result = as_graph(layer, [TensorType("float32", ("batch", "time", 3))])
    assert result.shape == ("batch", "time", 5)
    close(run(graph, trace, [x])[0], y)
    inner = TimeDistributed(LSTM(3))
    z = wave((2, 3, 4, 5), 2)
    found = inner(z)
    for t in range(3):
        close(found[:, t], inner.layer(z[:, t]))


# -- convolutions in the place of products -------------------------------------------------------------------------


CONVOLUTIONAL: dict[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
    "1D": (lambda **k: ConvLSTM1D(3, 2, **k), (2, 4, 5, 2)),
    "2D": (lambda **k: ConvLSTM2D(3, (2, 3), strides=2, padding="same", **k), (2, 4, 5, 4, 2)),
    "2D-dilated": (lambda **k: ConvLSTM2D(2, 2, dilation_rate=2, use_bias=False, **k), (2, 4, 4, 5, 2)),
    "2D-first": (lambda **k: ConvLSTM2D(3, 2, data_format="channels_first", padding="same", **k), (2, 4, 2, 4, 5)),
    "3D": (lambda **k: ConvLSTM3D(2, 2, **k), (2, 4, 3, 4, 3, 2)),
}


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_convolutional_lstm(name: str, masked: bool) -> None:
    build, shape = CONVOLUTIONAL[name]
    layer, x = build(return_sequences=True, return_state=True), wave(shape, 9)
    layer(x)
    filled(layer)
    axis = 1 if layer.data_format == "channels_first" else -1
    kernel, recurrent, *bias = (w.numpy() for w in layer.weights)
    h = c = None
    outputs = []
    for t in range(4):
        z = np.array(ops.conv(x[:, t], kernel, layer.strides, layer.padding, layer.data_format, layer.dilation_rate))
        h = np.zeros_like(np.split(z, 4, axis)[0]) if h is None else h
        c = np.zeros_like(h) if c is None else c
        z += np.array(ops.conv(h, recurrent, 1, "same", layer.data_format))
        z += np.moveaxis(np.broadcast_to(bias[0] if bias else 0.0, np.moveaxis(z, axis, -1).shape), -1, axis)
        i, f, g, o = np.split(z, 4, axis)
        keep = MASK[:, t].reshape(-1, *(1 for _ in h.shape[1:])) if masked else True
        c = np.where(keep, sigmoid(f) * c + sigmoid(i) * np.tanh(g), c)
        h = np.where(keep, sigmoid(o) * np.tanh(c), h)
        outputs.append(h)
    types = [TensorType("float32", ("batch", "time", *shape[2:]))]
    mask = MASK if masked else None
    found = layer(x, mask=mask)
    graph, trace, _ = as_graph(lambda x: layer(x, mask=mask), types)
    traced = run(graph, trace, [x])
    for y in (found, traced):
        close(y[0], np.stack(outputs, 1))
        close(y[1], h)
        close(y[2], c)
    (scan,) = nodes(graph, "Scan")
    assert len(nodes(scan.attributes["body"], "Conv")) == 1  # the input's convolution is outside of the loop
    twin = deserialize(json.loads(json.dumps(serialize(layer))))
    assert twin.get_config() == layer.get_config()


@pytest.mark.parametrize("name", ["1D", "2D-first"])
def test_gradients_of_a_convolutional_lstm(name: str) -> None:
    build, shape = CONVOLUTIONAL[name]
    layer = build(return_sequences=True, dtype="float64")
    layer(wave(shape, 9).astype("float64"))
    filled(layer)
    check_gradients(layer, lambda x: layer(x), [wave(shape, 9)])


def test_convolutional_lstm_states_weights_and_mistakes() -> None:
    layer = ConvLSTM2D(3, 2, stateful=True, name="a")
    x = wave((2, 4, 4, 5, 2), 9)
    first, second = layer(x), layer(x)
    assert not np.allclose(first, second)
    layer.reset_state()
    close(layer(x), first)
    assert [(w.path, w.shape) for w in layer.weights] == [
        ("a/conv_lstm_cell/kernel", (2, 2, 2, 12)),
        ("a/conv_lstm_cell/recurrent_kernel", (2, 2, 3, 12)),
        ("a/conv_lstm_cell/bias", (12,)),
    ]
    assert np.isfinite(ConvLSTM1D(2, 2, dropout=0.5, recurrent_dropout=0.5)(x[:, :, 0], training=True)).all()
    with pytest.raises(ValueError, match="the spatial sizes must be known"):
        ConvLSTM2D(3, 2)(Input((None, None, 5, 2)))


# -- in models, with masks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "shapes"),
    [
        ({}, [(None, 4)]),
        ({"return_sequences": True}, [(None, None, 4)]),
        ({"return_sequences": True, "return_state": True}, [(None, None, 4), (None, 4), (None, 4)]),
    ],
)
def test_shapes_on_keras_tensors(arguments: dict[str, Any], shapes: list[Any]) -> None:
    result = LSTM(4, **arguments)(Input((None, 3)))
    assert [t.shape for t in ops_list(result)] == shapes
    assert LSTM(4, **arguments).compute_output_shape((None, 7, 3)) == (
        shapes[0] if not arguments else (None, 7, 4) if len(shapes) == 1 else ((None, 7, 4), *shapes[1:])
    )


def test_masks_travel() -> None:
    tokens = np.array([[1, 2, 0, 0], [3, 0, 1, 0]])
    embedded = layers.Embedding(5, 3, mask_zero=True)
    first, second = LSTM(4, return_sequences=True), GRU(2)
    x = embedded(tokens)
    y = second(first(x))
    by_hand = second(first(np.array(x), mask=tokens != 0), mask=tokens != 0)
    close(y, by_hand)
    symbol = first(embedded(Input((None,), dtype="int32")))
    assert symbol._keras_mask is not None
    assert second(symbol)._keras_mask is None


def test_initial_state_on_keras_tensors() -> None:
    x, h, c = Input((None, 3)), Input((4,)), Input((4,))
    y = LSTM(4)(x, initial_state=[h, c])
    assert y.shape == (None, 4)
    assert len(y.record.parents) == 3


# -- mistakes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: LSTM(0), "LSTMCell: units must be a positive integer, got 0"),
        (lambda: GRU(3, dropout=1.5), "dropout must be a number from 0 to 1"),
        (lambda: RNN(Dense(3)), "has no state_size"),
        (lambda: RNN("cell"), "cell must be an object with a call method"),
        (lambda: StackedRNNCells([1]), "every cell needs call"),
        (lambda: LSTM(3)(wave((2, 5), 1)), "expected 3 dimensions"),
        (lambda: LSTM(3)(wave((2, 4, 5), 1), initial_state=[wave((2, 3), 1)]), "must hold 2 tensors"),
        (lambda: LSTM(3, stateful=True)(Input((4, 5))), "needs a known batch size"),
        (lambda: LSTM(3, unroll=True)(Input((None, 5))), "needs a known number of steps"),
        (lambda: Bidirectional(Dense(3)), "takes a recurrent layer"),
        (lambda: Bidirectional(LSTM(3), merge_mode="add"), "merge_mode"),
        (lambda: Bidirectional(LSTM(3), backward_layer=LSTM(3)), "both have go_backwards=False"),
        (
            lambda: Bidirectional(LSTM(3), backward_layer=LSTM(3, go_backwards=True, return_sequences=True)),
            "return_sequences=False and backward_layer return_sequences=True",
        ),
        (lambda: TimeDistributed(3), "takes a layer, got 3"),
        (lambda: TimeDistributed(Dense(2))(wave((3, 2), 1)), "needs axes of batch, steps and features"),
    ],
)
def test_mistakes(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
