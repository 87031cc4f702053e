"""Traced functions and gradients: against formulas, nested, with variables, with structures."""

from __future__ import annotations

import numpy as np
import pytest

from nngraph import ops
from nngraph.ops import Variable
from nngraph.transforms import CompiledFunction, function, grad, gradients, value_and_grad

X = np.array([0.3, -1.2, 2.0], np.float64)


def test_a_function_runs_as_one_graph_and_is_traced_once_for_a_signature() -> None:
    calls = []

    @function
    def f(x, flag=True):
        calls.append(flag)
        return ops.sum(x * x) if flag else ops.sum(x)

    assert float(f(X)) == pytest.approx(float(X @ X))
    assert float(f(X + 1)) == pytest.approx(float((X + 1) @ (X + 1)))
    assert len(calls) == 1
    assert float(f(X, flag=False)) == pytest.approx(float(X.sum()))
    assert len(calls) == 2
    assert isinstance(f, CompiledFunction)
    assert [n.op for n in f.graph(X)] == ["Mul", "ReduceSum"]


def test_structures_go_in_and_come_out() -> None:
    @function
    def f(batch, scale=2.0):
        return {"sum": batch["a"] + batch["b"][0], "pair": (batch["a"] * scale, "text")}

    result = f({"a": X, "b": [X]}, scale=3.0)
    np.testing.assert_allclose(result["sum"], 2 * X)
    np.testing.assert_allclose(result["pair"][0], 3 * X)
    assert result["pair"][1] == "text"


def test_variables_are_state() -> None:
    total = Variable(np.zeros(3), name="total")

    @function
    def add(x):
        total.assign_add(x)
        return total * 2

    add(X)
    np.testing.assert_allclose(add(X), 4 * X)
    np.testing.assert_allclose(total.numpy(), 2 * X)
    total.assign(np.ones(3))
    np.testing.assert_allclose(add(X), 2 * (1 + X))


@pytest.mark.parametrize(
    ("fn", "derivatives"),
    [
        (lambda x: x * x * x, [lambda x: 3 * x**2, lambda x: 6 * x, lambda x: 6 + 0 * x]),
        (ops.exp, [np.exp, np.exp, np.exp]),
        (lambda x: ops.sin(x) * x, [lambda x: np.sin(x) + x * np.cos(x), lambda x: 2 * np.cos(x) - x * np.sin(x)]),
        (ops.tanh, [lambda x: 1 - np.tanh(x) ** 2, lambda x: -2 * np.tanh(x) * (1 - np.tanh(x) ** 2)]),
    ],
    ids=["cube", "exp", "x sin x", "tanh"],
)
def test_gradients_of_gradients(fn, derivatives) -> None:
    x = np.float64(0.7)
    current = fn
    for expected in derivatives:
        current = grad(current)
        assert float(current(x)) == pytest.approx(float(expected(x)), rel=1e-12)


def test_value_and_grad_of_several_structured_arguments() -> None:
    rng = np.random.default_rng(0)
    weights = {"w": rng.normal(size=(3, 2)), "b": rng.normal(size=2)}
    x = rng.normal(size=(5, 3))

    def loss(p, x):
        return ops.sum(ops.square(ops.matmul(x, p["w"]) + p["b"]))

    value, (dp, dx) = value_and_grad(loss, argnums=(0, 1))(weights, x)
    y = x @ weights["w"] + weights["b"]
    assert float(value) == pytest.approx((y**2).sum())
    np.testing.assert_allclose(dp["w"], x.T @ (2 * y), rtol=1e-12)
    np.testing.assert_allclose(dp["b"], (2 * y).sum(0), rtol=1e-12)
    np.testing.assert_allclose(dx, 2 * y @ weights["w"].T, rtol=1e-12)


def test_has_aux_passes_the_rest_through() -> None:
    value, gradient = value_and_grad(lambda x: (ops.sum(x), x * 2), has_aux=True)(X)
    np.testing.assert_allclose(value[1], 2 * X)
    np.testing.assert_allclose(gradient, np.ones(3))
    only, aux = grad(lambda x: (ops.sum(x), x * 2), has_aux=True)(X)
    np.testing.assert_allclose(only, np.ones(3))
    np.testing.assert_allclose(aux, 2 * X)


def test_only_the_way_through_the_function_counts() -> None:
    """The inner gradient is taken with the outer x held fixed."""

    def outer(x):
        inner = grad(lambda y: ops.sum(y * x))(x)  # d/dy = x
        return ops.sum(inner * x)  # sum x^2

    np.testing.assert_allclose(grad(outer)(X), 2 * X)


def test_gradients_inside_a_traced_function_with_respect_to_variables() -> None:
    w = Variable(np.array([2.0, 3.0]), name="w")

    @function
    def step(x):
        loss = ops.sum(ops.square(w * x))
        (dw,) = gradients(loss, [w])
        w.assign_sub(0.1 * dw)
        return loss

    x = np.array([1.0, 2.0])
    assert float(step(x)) == pytest.approx(4 + 36)
    np.testing.assert_allclose(w.numpy(), [2 - 0.1 * 4, 3 - 0.1 * 24])


def test_unused_arguments_have_zero_gradient() -> None:
    np.testing.assert_array_equal(grad(lambda a, b: ops.sum(a), argnums=1)(X, X), np.zeros(3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: grad(lambda x: x * 2)(X), "returns a scalar"),
        (lambda: grad(lambda x: x, argnums=2)(X), "argnums=2"),
        (lambda: gradients(X, [X]), "nngraph.grad"),
        (lambda: function(lambda x: 1 if x.sum() > 0 else 2)(X), "sum"),
        (lambda: function(lambda x: 1 if x[0] > 0 else 2)(X), "ops.cond"),
        (lambda: function(lambda x: np.sin(x))(X), "nngraph.ops.sin"),
        (lambda: grad(lambda x: ops.sum(x))(np.array([1, 2])), "only floating"),
    ],
)
def test_mistakes_say_what_to_do(call, message: str) -> None:
    with pytest.raises((ValueError, TypeError, RuntimeError, AttributeError), match=message):
        call()
