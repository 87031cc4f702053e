"""Branches, loops and scans: their values, and their gradients against differences and unrolled graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from nngraph import ops, tree
from nngraph.ir import Graph, Node, TensorType, Value, verify
from nngraph.ops import Variable, raw
from nngraph.ops.subgraph import as_value
from nngraph.ops.trace import Trace, infer_composite, trace_graph
from nngraph.registry import op_def
from nngraph.runtime import Session
from nngraph.schema import infer_types
from passes.autodiff import append_gradients, gradients

RNG = np.random.default_rng(0)


def infer(node: Node) -> Any:
    return infer_composite(node) if node.domain == "nngraph" else infer_types(node)


def traced(fn: Callable[..., Any], arrays: Sequence[np.ndarray[Any, Any]], types: Any = None) -> tuple[Graph, Any]:
    """Trace a function of some arrays and check the graph; outputs are named y0, y1 ..."""
    names = [f"x{k}" for k in range(len(arrays))]
    graph, trace, result = trace_graph(fn, types or [TensorType.of(a) for a in arrays], names)
    with trace:
        outputs = [as_value(x) for x in tree.flatten(result) if x is not None]
    graph.set_outputs(outputs, [f"y{k}" for k in range(len(outputs))])
    verify(graph, infer)
    return graph, trace


def run(graph: Graph, trace: Any, arrays: Sequence[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
    feeds = {f"x{k}": a for k, a in enumerate(arrays)}
    feeds.update({v.name: variable.numpy() for variable, v in trace.sources.items()})
    return list(Session(graph, "cpu").run(feeds).values())


def both(fn: Callable[..., Any], *arrays: Any, types: Any = None) -> list[np.ndarray[Any, Any]]:
    """Run a function eagerly and as a graph, compare, and return the results."""
    data = [np.asarray(a) for a in arrays]
    graph, trace = traced(fn, data, types)
    found = run(graph, trace, data)
    eager = [np.asarray(x) for x in tree.flatten(fn(*data)) if x is not None]
    assert len(found) == len(eager)
    for a, b in zip(found, eager, strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)
    return found


def normal(*shape: int) -> np.ndarray[Any, Any]:
    return RNG.normal(size=shape)


def check_gradient(fn: Callable[..., Any], *arrays: Any, types: Any = None, order: int = 1, eps: float = 1e-5) -> Graph:
    """Compare gradients of a fixed projection of the outputs with central differences in random directions.

    With ``order=2`` the same is done for the gradient's own projection. Returns the gradient graph.
    """
    data = [np.asarray(a, np.float64) for a in arrays]

    def projected(*xs: Any) -> Any:
        weights = np.random.default_rng(1)
        total: Any = None
        for y in tree.flatten(fn(*xs)):
            if y is None or "float" not in str(y.dtype):
                continue
            sizes = [d if isinstance(d, int) else 1 for d in y.shape]
            part = ops.sum(ops.sin(y) * (1 + weights.normal(size=sizes)))
            total = part if total is None else total + part
        return total

    def grad_projected(*xs: Any) -> Any:
        y = projected(*xs)
        weights = np.random.default_rng(2)
        total: Any = None
        for g in append_gradients([y], list(xs)):
            sizes = [d if isinstance(d, int) else 1 for d in g.shape]
            part = ops.sum(ops.cos(g) * (1 + weights.normal(size=sizes)))
            total = part if total is None else total + part
        return total

    graph, trace = traced(projected if order == 1 else grad_projected, data, types)
    names = [f"x{k}" for k in range(len(data))]
    backward = gradients(graph, ["y0"], names)
    verify(backward, infer)
    found = run(backward, trace, data)
    session = Session(graph, "cpu")
    extra = {v.name: variable.numpy() for variable, v in trace.sources.items()}

    def value(xs: Sequence[np.ndarray[Any, Any]]) -> float:
        return float(session.run({**dict(zip(names, xs, strict=True)), **extra})["y0"])

    for _ in range(2):
        directions = [RNG.normal(size=a.shape) for a in data]
        plus = value([a + eps * d for a, d in zip(data, directions, strict=True)])
        minus = value([a - eps * d for a, d in zip(data, directions, strict=True)])
        numeric = (plus - minus) / (2 * eps)
        exact = sum(float((g * d).sum()) for g, d in zip(found, directions, strict=True))
        assert exact == pytest.approx(numeric, rel=2e-5, abs=2e-6)
    return backward


def ops_in(graph: Graph, name: str) -> list[Node]:
    return [n for n in graph.all_nodes() if n.op == name]


# -- branches -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [1.0, -1.0])
def test_cond_takes_the_branch(first: float) -> None:
    x = np.array([first, 2.0], "float32")
    (y,) = both(lambda x: ops.cond(x[0] > 0, lambda: x * 2, lambda: x), x)
    assert y.tolist() == ([2.0, 4.0] if first > 0 else [-1.0, 2.0])


def test_cond_returns_structures_and_numbers() -> None:
    x = np.array([1.0, 2.0], "float32")
    found = both(
        lambda x: ops.cond(x[0] > 0, lambda: {"a": x, "b": (x[0], None)}, lambda: {"a": x, "b": (x[1], None)}), x
    )
    assert len(found) == 2
    (y,) = both(lambda x: ops.cond(x[0] > 0, lambda: x[0], lambda: np.float32(3)), x)
    assert y == 1


def test_cond_on_a_known_predicate_records_no_branch() -> None:
    graph, _ = traced(lambda x: ops.cond(True, lambda: x, lambda: x * 2), [normal(2)])
    assert not ops_in(graph, "If")


def test_cond_says_what_does_not_fit() -> None:
    x = normal(2)
    with pytest.raises(ValueError, match="both must return the same structure"):
        traced(lambda x: ops.cond(x[0] > 0, lambda: x, lambda: (x, x)), [x])
    with pytest.raises(ValueError, match="same dtype and rank"):
        traced(lambda x: ops.cond(x[0] > 0, lambda: x, lambda: x[0]), [x])
    with pytest.raises(ValueError, match="must be a scalar"):
        traced(lambda x: ops.cond(x > 0, lambda: x, lambda: x), [x])


@pytest.mark.parametrize("index", [-3, 0, 1, 2, 7])
def test_switch(index: int) -> None:
    branches = [lambda x: x, lambda x: x * 10, lambda x: x + 100]
    (y,) = both(lambda i, x: ops.switch(i, branches, x), np.int32(index), np.float32([1, 2]))
    assert y.tolist() == [[1, 2], [10, 20], [101, 102]][min(max(index, 0), 2)]


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("order", [1, 2])
def test_gradient_of_cond(sign: float, order: int) -> None:
    def fn(x: Any, y: Any) -> Any:
        z = ops.tanh(x)
        return ops.cond(sign * ops.sum(x * x) > 0, lambda: (z * y, x * x * x), lambda: (ops.sin(y) * x, y + 0 * x))

    check_gradient(fn, normal(3), normal(3), order=order)


def test_gradient_of_nested_switch() -> None:
    branches = [lambda x: x * x, lambda x: ops.sin(x), lambda x: ops.exp(x)]
    check_gradient(lambda x: ops.switch(ops.cast(ops.sum(x * 0) + 1, "int32"), branches, x), normal(3))


# -- loops ----------------------------------------------------------------------------------------------------------


def test_while_loop() -> None:
    def fn(x: Any) -> Any:
        return ops.while_loop(lambda i, v: i < 5, lambda i, v: (i + 1, v * x), (0, x))

    found = both(fn, np.float32([1, 2]))
    assert int(found[0]) == 5
    assert found[1].tolist() == [1, 64]


def test_while_loop_of_one_tensor_stops_at_the_maximum() -> None:
    (y,) = both(lambda x: ops.while_loop(lambda v: ops.sum(v) < 100, lambda v: v * 2, x), np.float32([1, 2]))
    assert y.tolist() == [64, 128]
    (y,) = both(
        lambda x: ops.while_loop(lambda v: ops.sum(v) < 100, lambda v: v * 2, x, maximum_iterations=3),
        np.float32([1, 2]),
    )
    assert y.tolist() == [8, 16]


def test_while_loop_keeps_the_kind_of_its_variables() -> None:
    result = ops.while_loop(lambda a, b: a < 3, lambda a, b: [a + 1, b], [np.int32(0), {"k": np.float32(1)}])
    assert isinstance(result, list)
    assert set(result[1]) == {"k"}


@pytest.mark.parametrize("upper", [0, 1, 4])
def test_fori_loop(upper: int) -> None:
    both(lambda x: ops.fori_loop(0, upper, lambda i, v: v + ops.cast(i, "float32") * x, x), np.float32([1, 2]))
    both(lambda n, x: ops.fori_loop(1, n, lambda i, v: v * 2 + x, x), np.int32(upper), np.float32([1, 2]))


def test_loops_refuse_a_state_that_changes() -> None:
    x = np.float32([1, 2])
    with pytest.raises(ValueError, match="tensor 0 is int32 of shape"):
        traced(lambda x: ops.fori_loop(0, 3, lambda i, v: ops.cast(v, "int32"), x), [x])
    with pytest.raises(ValueError, match=r"instead of float32\[2\]"):
        traced(lambda x: ops.scan(lambda c, t: (ops.concatenate([c, c]), None), x, x), [x])
    with pytest.raises(ValueError, match="it has 2 tensors instead of 1"):
        traced(lambda x: ops.while_loop(lambda v: True, lambda v: (v, v), (x,)), [x])


def test_assigning_a_variable_in_a_body_is_refused() -> None:
    v = Variable(np.float32(1), name="v")
    with pytest.raises(RuntimeError, match="cannot be assigned inside the body"):
        traced(lambda x: ops.fori_loop(0, 3, lambda i, c: c + v.assign_add(1.0), x), [np.float32(1)])


@pytest.mark.parametrize("order", [1, 2])
def test_gradient_of_a_loop_with_a_known_count(order: int) -> None:
    check_gradient(
        lambda x, w: ops.fori_loop(0, 4, lambda i, v: ops.tanh(ops.matmul(v, w) + ops.cast(i, "float64") * x), x),
        normal(2, 3),
        normal(3, 3),
        order=order,
    )


def test_gradient_of_a_loop_known_to_run_no_time() -> None:
    graph = check_gradient(lambda x, w: ops.fori_loop(0, 0, lambda i, v: v * w, x * x), normal(2, 3), normal(2, 3))
    assert not ops_in(graph, "If")  # that is for loops whose count is only known when they run


def test_gradient_of_a_loop_with_a_computed_count() -> None:
    def fn(x: Any, w: Any) -> Any:
        count = ops.cast(ops.round(ops.sum(x * 0) + 3), "int32")
        return ops.fori_loop(0, count, lambda i, v: (ops.sin(v[0] * w) + v[1], v[1] * x), (x, w))

    check_gradient(fn, normal(3), normal(3))


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_gradient_of_a_while_loop(rounds: int, order: int) -> None:
    def fn(x: Any, w: Any) -> Any:
        return ops.while_loop(lambda i, v: i < rounds, lambda i, v: (i + 1, v * ops.cos(v * w) + x), (np.int32(0), x))

    check_gradient(fn, normal(2, 4), normal(4), order=order)


def test_gradient_of_a_linear_loop_needs_only_the_count() -> None:
    check_gradient(lambda x: ops.fori_loop(0, 3, lambda i, v: v * 2.0, x), normal(3))
    check_gradient(lambda x: ops.scan(lambda c, t: (c * 2.0, None), x, length=3)[0], normal(3))


def test_gradient_of_a_foreign_loop_with_stacked_outputs() -> None:
    """A Loop as other tools write it: it collects outputs, and its weight is used inside by several operators."""

    def fn(x: Any, w: Any) -> Any:
        from nngraph.ops.subgraph import trace_body

        def step(count: Value, going: Value, state: Value) -> Any:
            new = ops.tanh(ops.matmul(state, ops.transpose(w)) * ops.cast(count + 1, "float64"))
            return [(going, None), (new, None), (ops.exp(state) + ops.sum(w), None)]

        types = [("i", TensorType("int64", ())), ("go", TensorType("bool", ())), ("s", x.type)]
        return ops.apply("Loop", np.int64(3), np.bool_(True), x, outputs=2, body=trace_body("body", types, step))

    graph = check_gradient(fn, normal(2, 3), normal(3, 3))
    assert len(ops_in(graph, "Loop")) == 1
    check_gradient(fn, normal(2, 3), normal(3, 3), order=2)


# -- scans ----------------------------------------------------------------------------------------------------------


def cell(w: Any, u: Any, b: Any) -> Callable[[Any, Any], Any]:
    def step(h: Any, x: Any) -> Any:
        new = ops.tanh(ops.matmul(x, w) + ops.matmul(h, u) + b)
        return new, new

    return step


@pytest.mark.parametrize("reverse", [False, True])
def test_scan(reverse: bool) -> None:
    carry, ys = both(
        lambda x: ops.scan(lambda c, t: (c + t, c * t), np.float32(1), x, reverse=reverse), np.float32([1, 2, 3])
    )
    order = [3.0, 2.0, 1.0] if reverse else [1.0, 2.0, 3.0]
    total, expected = 1.0, []
    for t in order:
        expected.append(total * t)
        total += t
    assert float(carry) == total
    assert ys.tolist() == (expected[::-1] if reverse else expected)


@pytest.mark.parametrize("reverse", [False, True])
def test_scan_unrolled(reverse: bool) -> None:
    def fn(x: Any, unroll: Any) -> Any:
        return ops.scan(lambda c, t: (c * 2 + t, c * t), x[0], x, reverse=reverse, unroll=unroll)

    x = normal(4, 2).astype("float32")
    loop, flat = both(lambda x: fn(x, 1), x), both(lambda x: fn(x, True), x)
    for a, b in zip(loop, flat, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    graph, _ = traced(lambda x: fn(x, True), [x])
    assert not ops_in(graph, "Scan")
    with pytest.raises(ValueError, match="known only at run time"):
        traced(lambda x: fn(x, True), [x], [TensorType("float32", ("time", 2))])


def test_splitting_a_step_s_input_leaves_the_loop() -> None:
    def fn(x: Any, h: Any) -> Any:
        def step(c: Any, t: Any) -> Any:
            a, b = ops.split(t, 2, axis=1)
            return ops.tanh(c * a) + b, None

        return ops.scan(step, h, x)[0]

    graph = check_gradient(fn, normal(4, 2, 6), normal(2, 3))
    forward = ops_in(graph, "Scan")[0].attributes["body"]
    assert not ops_in(forward, "Split")


def test_scan_without_xs_and_of_structures() -> None:
    both(lambda x: ops.scan(lambda c, _: (c * 2, c), x, length=4), np.float32([1, 2]))
    x = np.float32([[1, 2], [3, 4]])
    both(lambda x: ops.scan(lambda c, t: ({"s": c["s"] + t[0]}, (t[1], None)), {"s": np.float32(0)}, (x[:, 0], x)), x)
    with pytest.raises(ValueError, match="length="):
        ops.scan(lambda c, t: (c, c), np.float32(0))
    with pytest.raises(ValueError, match="length=3, but xs has 2 steps"):
        ops.scan(lambda c, t: (c, c), np.float32(0), x, length=3)
    with pytest.raises(ValueError, match="must return a pair"):
        traced(lambda x: ops.scan(lambda c, t: c, x[0], x), [x])
    with pytest.raises(ValueError, match="different numbers of steps"):
        traced(lambda a, b: ops.scan(lambda c, t: (c, c), a[0], (a, b)), [normal(2), normal(3)])


def test_map_and_its_vectorized_sister() -> None:
    x = normal(3, 2).astype("float32")
    (y,) = both(lambda x: ops.map(lambda t: t * t, x), x)
    np.testing.assert_allclose(y, x * x, rtol=1e-6)
    both(lambda x: ops.vectorized_map(lambda t: ops.sum(t) + t[0], x), x)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", [1, 2, 5, 8])
def test_associative_scan(length: int, reverse: bool) -> None:
    x = normal(2, length, 2, 2).astype("float32")
    (y,) = both(lambda x: ops.associative_scan(lambda a, b: ops.matmul(a, b), x, reverse=reverse, axis=1), x)
    expected = x.copy()
    for k in range(length - 2, -1, -1) if reverse else range(1, length):
        expected[:, k] = expected[:, k + 1] @ x[:, k] if reverse else expected[:, k - 1] @ x[:, k]
    if not reverse:
        np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    else:
        np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="must be known"):
        traced(lambda x: ops.associative_scan(ops.add, x), [x], [TensorType("float32", ("n", 2))])


def test_what_does_not_depend_on_the_state_leaves_the_loop() -> None:
    w, u, b = (Variable(normal(*s).astype("float32"), name=n) for s, n in (((3, 4), "w"), ((4, 4), "u"), ((4,), "b")))
    types = [TensorType("float32", ("time", "batch", 3))]
    x = normal(5, 2, 3).astype("float32")
    graph, trace = traced(lambda x: ops.scan(cell(w, ops.transpose(u), b), np.zeros((2, 4), "float32"), x), [x], types)
    (node,) = ops_in(graph, "Scan")
    assert [n.op for n in node.attributes["body"]].count("MatMul") == 1  # the input's product is outside, as one
    assert len(ops_in(graph, "MatMul")) == 2
    h, rows = np.zeros((2, 4)), []
    for t in range(5):
        h = np.tanh(x[t] @ w.numpy() + h @ u.numpy().T + b.numpy())
        rows.append(h)
    np.testing.assert_allclose(run(graph, trace, [x])[1], rows, rtol=1e-5, atol=1e-6)
    assert graph.outputs[1].shape == ("time", 2, 4)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("order", [1, 2])
def test_gradient_of_a_recurrent_cell(reverse: bool, order: int) -> None:
    def fn(x: Any, h: Any, w: Any, u: Any, b: Any) -> Any:
        return ops.scan(cell(w, u, b), h, x, reverse=reverse)

    check_gradient(fn, normal(4, 2, 3), normal(2, 3), normal(3, 3), normal(3, 3), normal(3), order=order)


def test_gradient_with_symbolic_batch_and_time() -> None:
    types = [TensorType("float64", s) for s in (("time", "batch", 3), (3, 4), (4, 4))]

    def fn(x: Any, w: Any, u: Any) -> Any:
        return ops.scan(cell(w, u, np.float64(0.1)), ops.zeros((ops.shape(x)[1], 4), dtype="float64"), x)[1]

    graph = check_gradient(fn, normal(5, 2, 3), normal(3, 4), normal(4, 4), types=types)
    sizes = {v.name: v.shape for v in graph.outputs}
    assert list(sizes.values())[1:] == [(3, 4), (4, 4)]


def test_weight_gradients_are_one_product_after_the_scan() -> None:
    def fn(x: Any, h: Any, u: Any, b: Any) -> Any:
        def step(c: Any, t: Any) -> Any:
            new = ops.tanh(t + ops.matmul(c, u) + b)
            return new, new

        return ops.scan(step, h, x)[1]

    graph = check_gradient(fn, normal(4, 2, 3), normal(2, 3), normal(3, 3), normal(3))
    scans = ops_in(graph, "Scan")
    assert len(scans) == 2
    backward = scans[1].attributes["body"]
    products = [n for n in backward if n.op in ("MatMul", "Gemm")]
    assert len(products) == 1  # the gradient of the state; that of the weight is outside
    assert not any(v.name.startswith("g_total") for v in backward.inputs)
    assert sum(n.op == "Gemm" for n in graph) == 1


def test_the_backward_step_of_an_lstm_is_short() -> None:
    """Of the gates' derivatives only what depends on the gradient's state stays in the loop."""

    def fn(x: Any, u: Any) -> Any:
        def step(carry: Any, t: Any) -> Any:
            h, c = carry
            i, f, g, o = ops.split(t + ops.matmul(h, u), 4, axis=1)
            c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
            h = ops.sigmoid(o) * ops.tanh(c)
            return (h, c), h

        start = np.full((2, 3), 0.1)
        return ops.scan(step, (start, start), x)

    graph = check_gradient(fn, normal(4, 2, 12), normal(3, 12))
    check_gradient(fn, normal(4, 2, 12), normal(3, 12), order=2)
    backward = ops_in(graph, "Scan")[1].attributes["body"]
    assert sorted(n.op for n in backward) == ["Add", "Add", "Concat", "Gemm", "Mul", "Mul", "Mul"]


def test_gradient_of_weights_used_in_other_ways() -> None:
    def fn(x: Any, w: Any, s: Any) -> Any:
        def step(c: Any, t: Any) -> Any:
            new = ops.tanh(ops.matmul(w, c) * s + t) + ops.matmul(t, w) * ops.sum(w)
            return new, (new * s, ops.sum(c))

        return ops.scan(step, x[0], x)

    check_gradient(fn, normal(3, 2, 2), normal(2, 2), normal(2))
    check_gradient(fn, normal(3, 2, 2), normal(2, 2), normal(2), order=2)


def test_gradient_of_one_output_only() -> None:
    u = normal(3, 3)
    check_gradient(lambda x, h: ops.scan(cell(u, u, 0.0), h, x)[0], normal(4, 2, 3), normal(2, 3))
    check_gradient(lambda x, h: ops.scan(cell(u, u, 0.0), h, x)[1], normal(4, 2, 3), normal(2, 3))


def test_gradient_of_a_scan_with_integers_and_branches_inside() -> None:
    def fn(x: Any, w: Any) -> Any:
        def step(carry: Any, t: Any) -> Any:
            k, c = carry
            new = ops.cond(ops.equal(ops.mod(k, 2), 0), lambda: ops.sin(c) * w, lambda: c + t * w)
            return (k + 1, new), (k, new * ops.cast(k, "float64"))

        return ops.scan(step, (np.int32(0), x[0]), x)

    check_gradient(fn, normal(5, 3), normal(3))
    check_gradient(fn, normal(5, 3), normal(3), order=2)


def test_gradient_of_a_scan_inside_a_scan() -> None:
    def fn(x: Any, w: Any) -> Any:
        def outer(c: Any, row: Any) -> Any:
            inner, ys = ops.scan(lambda a, t: (ops.tanh(a * w + t), a * t), c, row)
            return inner, ops.sum(ys)

        return ops.scan(outer, ops.sum(x) * 0.1, x)

    check_gradient(fn, normal(3, 4), np.float64(0.7))
    check_gradient(fn, normal(3, 4), np.float64(0.7), order=2)


def test_gradient_of_a_foreign_scan_with_axes_and_directions() -> None:
    def fn(x: Any, y: Any, w: Any) -> Any:
        from nngraph.ops.subgraph import trace_body

        def step(h: Value, a: Value, b: Value) -> Any:
            new = ops.tanh(ops.matmul(h, w) + a * b)
            return [(new, None), (new * a, None), (ops.sin(h), None)]

        inputs = [
            ("h", TensorType("float64", (2, 3))),
            ("a", TensorType("float64", (2, 3))),
            ("b", TensorType("float64", (2, 3))),
        ]
        return ops.apply(
            "Scan",
            np.full((2, 3), 0.5),
            x,
            y,
            outputs=3,
            body=trace_body("body", inputs, step),
            num_scan_inputs=2,
            scan_input_axes=(1, 0),
            scan_input_directions=(0, 1),
            scan_output_axes=(2, 0),
            scan_output_directions=(1, 0),
        )

    check_gradient(fn, normal(2, 4, 3), normal(4, 2, 3), normal(3, 3))
    check_gradient(fn, normal(2, 4, 3), normal(4, 2, 3), normal(3, 3), order=2)


def test_gradient_equals_that_of_the_unrolled_graph() -> None:
    def scanned(x: Any, w: Any, u: Any) -> Any:
        return ops.sum(ops.scan(cell(w, u, 0.0), ops.zeros((2, 3), dtype="float32"), x)[1] ** 2)

    def unrolled(x: Any, w: Any, u: Any) -> Any:
        h, total = np.zeros((2, 3), "float32"), 0.0
        for t in range(6):
            h, _ = cell(w, u, 0.0)(h, x[t])
            total = total + ops.sum(h**2)
        return total

    data = [normal(*s).astype("float32") for s in ((6, 2, 4), (4, 3), (3, 3))]
    results = []
    for fn in (scanned, unrolled):
        graph, trace = traced(fn, data)
        results.append(run(gradients(graph, ["y0"], ["x0", "x1", "x2"]), trace, data))
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-5)


def test_gradients_leave_the_forward_values_alone() -> None:
    """The forward loop returns more after a gradient was taken; what it returned before stays the same value."""
    graph = Graph("g")
    x = graph.add_input("x0", TensorType("float64", (4, 2)))
    with Trace(graph):
        final, ys = ops.scan(lambda c, t: (ops.tanh(c + t), c * t), np.zeros(2), x)
        first = append_gradients([ops.sum(ys)], [x])
        again = append_gradients([ops.sum(ys) + ops.sum(final)], [x])
    graph.set_outputs([final, ys, first[0], again[0]], ["final", "ys", "first", "again"])
    verify(graph, infer)
    forward = ops_in(graph, "Scan")[0]
    assert len(forward.outputs) == len(forward.attributes["body"].outputs)
    data = normal(4, 2)
    found = Session(graph, "cpu").run({"x0": data})
    eager = ops.scan(lambda c, t: (np.tanh(c + t), c * t), np.zeros(2), data)
    np.testing.assert_allclose(found["ys"], eager[1], rtol=1e-6)
    np.testing.assert_allclose(found["final"], eager[0], rtol=1e-6)
    assert not np.allclose(found["first"], found["again"])


# -- gradients of one's own -----------------------------------------------------------------------------------------


@ops.custom_gradient
def log1p_exp(x: Any) -> Any:
    e = ops.exp(x)

    def grad(*args: Any, upstream: Any = None) -> Any:
        if upstream is None:
            (upstream,) = args
        return upstream * (1.0 - 1.0 / (1.0 + e))

    return ops.log(1.0 + e), grad


@pytest.mark.parametrize("order", [1, 2])
def test_custom_gradient_is_right_and_differentiable(order: int) -> None:
    (y,) = both(lambda x: log1p_exp(x), normal(3).astype("float32"))
    assert y.shape == (3,)
    check_gradient(lambda x: log1p_exp(x) * x, normal(3), order=order)


def test_custom_gradient_replaces_the_function_s_own() -> None:
    @ops.custom_gradient
    def scaled(x: Any, y: Any, power: int) -> Any:
        return (x * y, x**power), lambda gx, gy: (gx * 10.0, gy * y, None)

    graph, trace = traced(lambda x, y: scaled(x, y, 2), [normal(2), normal(2)])
    backward = gradients(graph, ["y0", "y1"], ["x0", "x1"])
    data = [normal(2), normal(2)]
    gx, gy = run(backward, trace, data)
    assert gx.tolist() == [10.0, 10.0]
    np.testing.assert_allclose(gy, data[1])
    # One output without a gradient counts as zero.
    gx, gy = run(gradients(graph, ["y1"], ["x0", "x1"]), trace, data)
    assert gx.tolist() == [0.0, 0.0]


def test_custom_gradient_hides_operators_without_a_rule() -> None:
    @ops.custom_gradient
    def hidden(x: Any) -> Any:
        return raw.Det(raw.Mul(raw.Unsqueeze(x, np.array([0])), raw.Unsqueeze(x, np.array([1])))), lambda g: g * x

    rule = op_def("Det").vjp
    op_def("Det").vjp = None
    try:
        check = normal(2)
        graph, trace = traced(hidden, [check])
        np.testing.assert_allclose(run(gradients(graph, ["y0"], ["x0"]), trace, [check])[0], check)
    finally:
        op_def("Det").vjp = rule


def test_custom_gradient_survives_cloning_loops_and_variables() -> None:
    v = Variable(np.float64(3.0), name="v")

    @ops.custom_gradient
    def times(x: Any, w: Any) -> Any:
        return x * w, lambda g: (g * w * 2.0, ops.sum(g * x))

    graph, trace = traced(lambda x: ops.scan(lambda c, t: (times(c, v) + t, None), x[0], x)[0], [normal(3, 2)])
    clone = graph.clone()
    verify(clone, infer)
    data = normal(3, 2)
    np.testing.assert_allclose(run(clone, trace, [data])[0], run(graph, trace, [data])[0])
    (g,) = run(gradients(clone, ["y0"], ["x0"]), trace, [data])
    np.testing.assert_allclose(
        g, np.array([[36.0 + 216.0] * 2, [6.0] * 2, [1.0] * 2])[[0, 1, 2]] - [[0.0], [0.0], [0.0]]
    )


def test_custom_gradient_says_what_is_wrong() -> None:
    with pytest.raises(ValueError, match=r"must return a pair \(outputs, grad_fn\)"):
        ops.custom_gradient(lambda x: x)(normal(2))
    wrong = ops.custom_gradient(lambda x: (x * 2, lambda g: (g, g, g)))
    with pytest.raises(ValueError, match="returned 3 gradients for 1 arguments"):
        traced(wrong, [normal(2)])


def test_custom_gradient_on_keras_tensors() -> None:
    y = log1p_exp(ops.KerasTensor((None, 3)))
    assert y.shape == (None, 3)
