"""Loops in blocks: which ones go there, what goes with them, and that they compute the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import nngraph as keras
import zoo
from nngraph.ir import Graph
from nngraph.ops import raw
from nngraph.ops.control import scan_steps
from nngraph.runtime import Session
from passes import PassManager, gradients, pipeline
from passes.base import check_graph
from passes.blocks import NCHWC, block_size
from passes.build import Builder
from passes.layout import Loops, sequences
from passes.layout.sequences import Sequences
from passes.rewrite import example

pytestmark = pytest.mark.skipif(block_size() is None, reason="this runtime has no blocked layout")


@pytest.fixture(autouse=True)
def small_loops_gain(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let loops of a size for tests be worth the reorders."""
    monkeypatch.setattr(sequences, "_FLOPS_PER_BYTE", 1)
    yield


def loop(step: Any, *others: Any, reverse: bool = False) -> Any:
    """A loop over the first of others, whose state starts as the second; returns last state and all states."""
    steps, state = others

    def body(states: list[Any], slices: list[Any]) -> tuple[list[Any], list[Any]]:
        result = step(states[0], slices[0])
        return [result], [result]

    last, stacks = scan_steps(body, [state], [steps], reverse=reverse)
    return (*last, *stacks)


STEPS, STATE, WEIGHTS = "float32[6, 8, 32]", "float32[8, 32]", "float32[32, 32]"


def moved(graph: Graph) -> Counter[str]:
    """Run the pass, check that nothing else changed, and count what is in blocks."""
    wanted = zoo.run(graph)
    Loops().run(graph)
    check_graph(graph, after="loops")
    for name, result in zoo.run(graph).items():
        np.testing.assert_allclose(result, wanted[name], rtol=1e-4, atol=1e-5 * np.abs(wanted[name]).max())
    text = str(graph)
    assert Loops().run(graph) == 0 and str(graph) == text
    return Counter(n.op for n in graph.all_nodes() if n.domain == NCHWC)


def plain(x: Any, h: Any, w: Any, *more: Any) -> Any:
    return loop(lambda s, t: raw.Tanh(raw.Add(t, raw.MatMul(s, w))), x, h)


def test_a_loop_of_products_goes_to_blocks_and_its_results_come_back() -> None:
    found = moved(example(plain, STEPS, STATE, WEIGHTS).graph())
    assert found == {"ReorderInput": 3, "Conv": 1, "ReorderOutput": 2}, "steps, state and weights come"


BODIES: dict[str, Any] = {
    "matrix added in the product": lambda s, t, w, b, m: raw.Tanh(raw.Gemm(s, w, t)),
    "bias in the product": lambda s, t, w, b, m: raw.Mul(raw.Gemm(s, w, b), t),
    "bias apart": lambda s, t, w, b, m: raw.Mul(raw.Tanh(raw.Add(b, raw.MatMul(s, w))), t),
    "bias without a product in front": lambda s, t, w, b, m: raw.MatMul(raw.Add(raw.Tanh(t), b), w),
    "turned weights": lambda s, t, w, b, m: raw.Tanh(raw.Gemm(raw.Mul(s, t), w, transB=1)),
    "numbers": lambda s, t, w, b, m: raw.Sub(1.0, raw.Mul(raw.MatMul(s, w), raw.Add(t, 0.5))),
    "choice": lambda s, t, w, b, m: raw.Where(raw.Less(t, 0.0), raw.MatMul(s, w), s),
    "tensor from outside": lambda s, t, w, b, m: raw.Tanh(raw.Add(raw.MatMul(raw.Mul(s, m), w), t)),
    "constant tensor": lambda s, t, w, b, m: raw.Tanh(raw.Add(raw.MatMul(raw.Mul(s, zoo.ramp(8, 32)), w), t)),
    "parts": lambda s, t, w, b, m: raw.MatMul(
        raw.Concat(*reversed(raw.Split(raw.Add(s, t), axis=-1, num_outputs=2, outputs=2)), axis=1), w
    ),
    "parts of sizes": lambda s, t, w, b, m: raw.MatMul(
        raw.Concat(*reversed(raw.Split(raw.Add(s, t), np.array([16, 16]), axis=1, outputs=2)), axis=-1), w
    ),
}


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("reverse", [False, True])
def test_what_moves_with_a_loop(kind: str, reverse: bool) -> None:
    def fn(x: Any, h: Any, w: Any, b: Any, m: Any) -> Any:
        return loop(lambda s, t: BODIES[kind](s, t, w, b, m), x, h, reverse=reverse)

    assert moved(example(fn, STEPS, STATE, WEIGHTS, "float32[32]", STATE).graph())["Conv"] > 0


def test_operators_around_loops_move_with_them() -> None:
    def fn(x: Any, h: Any, w: Any, b: Any) -> Any:
        first = plain(raw.Add(raw.MatMul(x, w), b), h, w)[1]
        left, right = raw.Split(first, axis=2, num_outputs=2, outputs=2)
        return plain(raw.Tanh(raw.Concat(right, left, axis=2)), h, w)[0]

    found = moved(example(fn, STEPS, STATE, WEIGHTS, "float32[32]").graph())
    assert found == {"ReorderInput": 5, "Conv": 3, "ReorderOutput": 1}, "three of them bring weights"


STAYS: dict[str, Any] = {
    "constant weights": (lambda x, h: plain(x, h, zoo.ramp(32, 32)), STEPS, STATE),
    "part of a block of columns": (plain, "float32[6, 8, 5]", "float32[8, 5]", "float32[5, 5]"),
    "doubles": (plain, *(t.replace("float32", "float64") for t in (STEPS, STATE, WEIGHTS))),
    "few rows": (plain, "float32[6, 4, 32]", "float32[4, 32]", WEIGHTS),
    "rows of no known number": (plain, "float32[6, n, 32]", "float32[n, 32]", WEIGHTS),
    "a sum over columns": (
        lambda x, h, w: loop(lambda s, t: raw.MatMul(raw.Softmax(raw.Add(s, t), axis=-1), w), x, h),
        *(STEPS, STATE, WEIGHTS),
    ),
    "one number for each row": (
        lambda x, h, w, m: loop(lambda s, t: raw.MatMul(raw.Mul(raw.Add(s, t), m), w), x, h),
        *(STEPS, STATE, WEIGHTS, "float32[8, 1]"),
    ),
    "a factor in the product": (
        lambda x, h, w: loop(lambda s, t: raw.Gemm(s, w, t, alpha=0.5), x, h),
        *(STEPS, STATE, WEIGHTS),
    ),
    "a product of two states": (
        lambda x, h: loop(lambda s, t: raw.MatMul(s, t), x, h),
        *("float32[6, 16, 16]", "float32[16, 16]"),
    ),
    "no loop": (lambda x, w: raw.Tanh(raw.MatMul(x, w)), STEPS, WEIGHTS),
}


@pytest.mark.parametrize("kind", STAYS)
def test_what_stays(kind: str) -> None:
    fn, *types = STAYS[kind]
    graph = example(fn, *types).graph()
    before = str(graph)
    assert Loops().run(graph) == 0 and str(graph) == before


def test_a_loop_too_small_for_the_reorders_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequences, "_FLOPS_PER_BYTE", 50)
    graph = example(plain, STEPS, STATE, WEIGHTS).graph()
    assert Loops().run(graph) == 0


def test_without_blocks_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequences, "block_size", lambda: None)
    assert Loops().run(example(plain, STEPS, STATE, WEIGHTS).graph()) == 0


@pytest.mark.parametrize("shape", [(8, 32), (6, 8, 32)])
def test_constants_are_reordered_as_the_runtime_does(shape: tuple[int, ...]) -> None:
    array = zoo.ramp(*shape)
    block = block_size()
    assert block is not None
    sizes = ", ".join(map(str, shape))
    graph = example(lambda x: raw.Identity(x), f"float32[{sizes}]").graph()
    assert graph.first is not None
    graph.set_outputs([Sequences(block).turn(Builder(graph.first, "test"), graph.inputs[0], 0)], ["y"])
    wanted = Session(graph, "cpu").run({graph.inputs[0].name: array})["y"]
    np.testing.assert_array_equal(Sequences(block).turn_constant(array, 0), wanted)


def test_gradients_of_weights_are_taken_from_the_blocks() -> None:
    """Of all steps at once: products with all rows are convolutions whose kernel is the gradient of the steps."""
    types = "float32[64, 16, 32]", "float32[16, 32]", WEIGHTS, WEIGHTS, "float32[32]"

    def fn(x: Any, h: Any, w: Any, u: Any, b: Any) -> Any:
        return plain(raw.Add(raw.MatMul(x, w), b), h, u)[0]

    def differentiated() -> Graph:
        graph = example(fn, *types).graph()
        return gradients(graph, graph.output_names, [v.name for v in graph.inputs])

    graph = differentiated()
    wanted = zoo.run(graph)
    PassManager(pipeline("cpu")).run(graph)
    for name, result in zoo.run(graph).items():
        np.testing.assert_allclose(result, wanted[name], rtol=1e-3, atol=1e-4 * np.abs(wanted[name]).max())
    ops = Counter(n.op for n in graph.all_nodes())
    assert (ops["Gemm"] + ops["MatMul"], ops["Conv"]) == (0, 6), "of projections, loops and kernels, two each"
    portable = differentiated()
    PassManager(pipeline("portable")).run(portable)
    assert not any(n.domain for n in portable.all_nodes())


LAYERS: dict[str, Any] = {
    "LSTM": lambda: keras.layers.LSTM(32),
    "LSTM, sequences backwards": lambda: keras.layers.LSTM(32, return_sequences=True, go_backwards=True),
    "LSTM, dropped": lambda: keras.layers.LSTM(32, dropout=0.3, recurrent_dropout=0.3, seed=3),
    "GRU": lambda: keras.layers.GRU(32, return_sequences=True),
    "GRU, reset before": lambda: keras.layers.GRU(32, reset_after=False),
    "SimpleRNN": lambda: keras.layers.SimpleRNN(32),
    "both ways": lambda: keras.layers.Bidirectional(keras.layers.GRU(32, return_sequences=True)),
    "two": lambda: keras.Sequential([keras.layers.LSTM(32, return_sequences=True), keras.layers.LSTM(32)]),
}


def trained(layer: Any, masked: bool, monkeypatch: pytest.MonkeyPatch, block: int | None) -> list[np.ndarray]:
    """The weights after three steps."""
    monkeypatch.setattr(sequences, "block_size", lambda: block)
    keras.utils.set_random_seed(4)
    inputs = keras.Input((6, 16))
    model = keras.Model(inputs, layer()(keras.layers.Masking()(inputs) if masked else inputs))
    model.compile(keras.optimizers.SGD(0.5), "mse")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 6, 16)).astype("float32")
    x[2:, 4:] = 0
    y = np.tanh(rng.normal(size=(8, *model.output.shape[1:]))).astype("float32")
    for _ in range(3):
        model.train_on_batch(x, y)
    return [np.array(w) for w in model.weights]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kind", LAYERS)
def test_layers_learn_the_same_in_blocks(kind: str, masked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = trained(LAYERS[kind], masked, monkeypatch, None)
    found = trained(LAYERS[kind], masked, monkeypatch, block_size())
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


GATES = "float32[32, 64]"


def gated(keep: bool = False) -> Any:
    """A loop whose step splits a product of a state and a step's tensor, with the projection that makes the steps."""

    def fn(x: Any, h: Any, u: Any, w: Any, b: Any) -> Any:
        def body(states: list[Any], slices: list[Any]) -> tuple[list[Any], list[Any]]:
            total = raw.Gemm(states[0], u, slices[0])
            gate, new = raw.Split(total, axis=1, num_outputs=2, outputs=2)
            return [raw.Mul(raw.Sigmoid(gate), raw.Tanh(new))], [raw.Exp(total)] if keep else [raw.Sigmoid(new)]

        last, stacks = scan_steps(body, [h], [raw.Add(raw.MatMul(x, w), b)])
        return (*last, *stacks)

    return example(fn, STEPS, STATE, GATES, GATES, "float32[64]").graph()


def convolutions(graph: Graph) -> list[Any]:
    """The activations of the convolutions in a graph's loops."""
    return sorted(
        str(n.attributes.get("activation")) for n in graph.all_nodes() if n.op == "Conv" and n.graph is not graph
    )


def test_parts_of_a_product_are_products_of_their_own() -> None:
    graph = gated()
    moved(graph)
    assert convolutions(graph) == ["None", "Sigmoid"], "the second part is wanted by two"
    assert all(n.op != "Split" or n.graph is graph for n in graph.all_nodes())
    assert {n.op for n in graph if any(v.shape[:1] == (6,) for v in n.inputs if v is not None)} <= {
        *("Reshape", "ReorderInput", "Conv", "Scan", "ReorderOutput")
    }, "neither is a stack of steps split"


def test_a_product_that_is_wanted_whole_stays_whole() -> None:
    graph = gated(keep=True)
    moved(graph)
    assert convolutions(graph) == ["None"]


def test_steps_that_no_product_made_are_split_for_all_steps() -> None:
    def fn(x: Any, h: Any, u: Any) -> Any:
        def body(states: list[Any], slices: list[Any]) -> tuple[list[Any], list[Any]]:
            first, second = raw.Split(slices[0], axis=1, num_outputs=2, outputs=2)
            return [raw.Tanh(raw.Add(raw.MatMul(raw.Mul(states[0], first), u), second))], [second]

        last, stacks = scan_steps(body, [h], [x], reverse=True)
        return (*last, *stacks)

    graph = example(fn, "float32[6, 8, 64]", STATE, WEIGHTS).graph()
    moved(graph)
    assert [n.graph is graph for n in graph.all_nodes() if n.op == "Split"] == [True]
    scan = next(n for n in graph if n.op == "Scan")
    assert scan.attributes["scan_input_directions"] == (1, 1)


def test_of_higher_images_only_gradients_of_kernels_read_the_blocks() -> None:
    def fn(image: Any, kernel: Any, x: Any, h: Any, w: Any) -> Any:
        y = raw.Transpose(raw.Conv(image, kernel, pads=(1, 1, 1, 1)), perm=(0, 2, 3, 1))
        rows = raw.Reshape(y, np.array([1024, 32], np.int64))
        return raw.Gemm(rows, w), raw.Gemm(rows, rows, transA=1), plain(x, h, w)[0]

    types = "float32[4, 32, 16, 16]", "float32[32, 32, 3, 3]", STEPS, STATE, WEIGHTS
    graph = example(fn, *types).graph()
    wanted = zoo.run(graph)
    PassManager(pipeline("cpu")).run(graph)
    for name, result in zoo.run(graph).items():
        np.testing.assert_allclose(result, wanted[name], rtol=1e-3, atol=1e-4 * np.abs(wanted[name]).max())
    ops = Counter(n.op for n in graph.all_nodes())
    assert (ops["Gemm"] + ops["MatMul"], ops["Conv"]) == (1, 3)
