"""Update rules: twenty steps as in Keras 3.15, eagerly and as one graph a step, with as few passes as they need."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden import optimizer_cases as cases
from nngraph import optimizers
from nngraph.ops import Variable
from nngraph.optimizers.joined import Joined, is_elementwise, join_small
from traced import TracedStep

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent.parent / "golden" / "optimizers.json").read_text())
IDS = [cases.key(*case) for case in cases.CASES]
RULES = {name for name, _ in cases.CASES}


def trained(optimizer: Any, dtype: str = "float32") -> list[Variable]:
    variables = [Variable(value.astype(dtype), name=name) for name, value in cases.starts().items()]
    optimizer.build(variables)
    return variables


def flat(variables: list[Variable]) -> np.ndarray:
    return np.concatenate([v.numpy().ravel() for v in variables])


def check(found: list[list[float]], case: tuple[str, dict]) -> None:
    for a, b in zip(found, GOLDEN[cases.key(*case)], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=2e-6)


@pytest.mark.parametrize("count", [2, 65, 300])
def test_many_small_vectors(count: int) -> None:
    random = np.random.default_rng(0)
    starts = [random.random(1 + k % 5, dtype="float32") for k in range(count)]
    slopes = [random.random(value.shape, dtype="float32") for value in starts]
    variables = [Variable(value, name=f"v{k}") for k, value in enumerate(starts)]
    optimizer = optimizers.SGD(0.5)
    optimizer.build(variables)
    TracedStep(lambda *grads: optimizer.apply(list(grads), variables), *slopes)(*slopes)
    for variable, start, slope in zip(variables, starts, slopes, strict=True):
        np.testing.assert_allclose(variable.numpy(), start - 0.5 * slope, rtol=1e-6)


@pytest.mark.parametrize("case", cases.CASES, ids=IDS)
def test_as_a_graph_and_as_keras(case: tuple[str, dict]) -> None:
    optimizer = cases.make(optimizers, *case)
    variables = trained(optimizer)
    step = TracedStep(lambda *grads: optimizer.apply(list(grads), variables), *cases.gradients(0))
    found = cases.run(optimizer, variables, lambda grads: step(*grads))
    optimizer.finalize_variable_values(variables)
    check([*found, flat(variables).tolist()], case)


@pytest.mark.parametrize("case", cases.CASES[::3], ids=IDS[::3])
def test_on_arrays_and_as_keras(case: tuple[str, dict]) -> None:
    optimizer = cases.make(optimizers, *case)
    variables = trained(optimizer)
    found = cases.run(optimizer, variables, lambda grads: optimizer.apply(grads, variables))
    optimizer.finalize_variable_values(variables)
    check([*found, flat(variables).tolist()], case)


def test_every_rule_has_a_case() -> None:
    wrappers = {"Optimizer", "OptimizerMap", "MultiOptimizer", "LossScaleOptimizer"}
    assert RULES | wrappers == {name for name in optimizers.__all__ if name[0].isupper()}


@pytest.mark.parametrize("name", sorted(RULES))
def test_double_precision(name: str) -> None:
    """In float64 the numbers are those of float32, only more of them; slots and scalars are float64, too."""
    results = {}
    for dtype in ("float32", "float64"):
        optimizer = getattr(optimizers, name)()
        variables = trained(optimizer, dtype)
        for step in range(2):
            optimizer.apply([g.astype(dtype) for g in cases.gradients(step)], variables)
        assert {v.dtype for v in variables} == {dtype}
        results[dtype] = flat(variables)
    np.testing.assert_allclose(results["float32"], results["float64"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "passes"),
    [
        ("SGD", 2),
        ("Adam", 12),
        ("RMSprop", 9),
        ("Adagrad", 7),
        ("Adamax", 10),
        ("Nadam", 15),
        ("Lion", 9),
        ("Adadelta", 15),
    ],
)
def test_a_variable_costs_so_many_passes_and_no_scalars(name: str, passes: int) -> None:
    """What is the same for all variables is computed once: a second variable adds only passes over its entries."""

    def nodes(count: int) -> Counter[str]:
        optimizer = getattr(optimizers, name)()
        variables = [Variable(np.ones((4, 3), "float32"), name=f"v{k}") for k in range(count)]
        optimizer.build(variables)
        step = TracedStep(lambda *g: optimizer.apply(list(g), variables), *(np.ones((4, 3), "float32"),) * count)
        return Counter(n.op for n in step.graph if n.op != "Identity")

    added = nodes(3) - nodes(2)
    assert sum(added.values()) == passes, added


def test_nothing_grows_but_the_variables() -> None:
    """The iteration is 64 bits wide, so that no training is too long for it."""
    optimizer = optimizers.Adam()
    variables = trained(optimizer)
    optimizer._iterations.assign(np.int64(2**40))
    optimizer.apply(cases.gradients(0), variables)
    assert int(optimizer.iterations.numpy()) == 2**40 + 1
    assert np.isfinite(flat(variables)).all()


# -- small vectors together --------------------------------------------------------------------------------------------

ELEMENTWISE = {"SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lion", "Nadam", "RMSprop"}
ELEMENTWISE |= {"ScheduleFreeAdamW"}


def vectors() -> list[Variable]:
    rng = np.random.default_rng(3)
    shapes = [(4,), (2, 3), (1,), (5,), (9000,)]
    return [Variable(rng.standard_normal(s).astype("float32"), name=f"v{k}") for k, s in enumerate(shapes)]


@pytest.mark.parametrize("name", sorted(RULES))
@pytest.mark.parametrize("traced", [False, True])
def test_small_vectors_are_updated_together_and_as_if_alone(name: str, traced: bool, monkeypatch: Any) -> None:
    rule = getattr(optimizers, name)
    assert is_elementwise(rule.update_step) == (name in ELEMENTWISE)
    found = {}
    for together in (True, False):
        if not together:
            monkeypatch.setattr("nngraph.optimizers.optimizer.is_elementwise", lambda rule: False)
        optimizer, variables, rng = rule(), vectors(), np.random.default_rng(4)
        optimizer.build(variables)
        grads = [[rng.standard_normal(v.shape).astype("float32") for v in variables] for _ in range(3)]
        apply = TracedStep(lambda *g: optimizer.apply(list(g), variables), *grads[0]) if traced else None  # noqa: B023
        for each in grads:
            _ = apply(*each) if apply else optimizer.apply(each, variables)
        found[together] = [v.numpy() for v in (*variables, *optimizer.variables)]
    for one, other in zip(found[True], found[False], strict=True):
        np.testing.assert_array_equal(one, other)


def test_another_small_vector_adds_no_pass() -> None:
    def nodes(count: int) -> Counter[str]:
        optimizer = optimizers.Adam()
        variables = [Variable(np.ones(4, "float32"), name=f"v{k}") for k in range(count)]
        optimizer.build(variables)
        step = TracedStep(lambda *g: optimizer.apply(list(g), variables), *(np.ones(4, "float32"),) * count)
        return Counter(n.op for n in step.graph if n.op != "Identity")

    assert nodes(8) == nodes(2)
    assert nodes(2)["Concat"] == 4  # the gradients, the variables, both means
    assert nodes(9)["Concat"] == 4 and nodes(10)["Concat"] == 8, "a group has at most 8"


def test_a_group_has_the_place_of_its_first_member() -> None:
    """The order of updates is that of the layers, on which the memory of a step depends."""
    shapes = [(2, 2), (2,), (2,), (2, 2), *[(2,)] * 7, (2, 2), (2,)]
    variables = [Variable(np.ones(s, "float32"), name=f"v{k}") for k, s in enumerate(shapes)]
    found = [v for _, v in join_small([(np.ones(v.shape, "float32"), v) for v in variables])]
    groups = [[variables.index(m) for m in v.variables] if isinstance(v, Joined) else variables.index(v) for v in found]
    assert groups == [0, [1, 2, *range(4, 10)], 3, [10, 12], 11]


def test_a_rule_of_a_users_own_sees_each_variable_alone() -> None:
    seen = []

    class Mine(optimizers.Adam):
        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            seen.append(variable)
            super().update_step(gradient, variable, learning_rate)

    variables = vectors()
    Mine().apply([np.ones(v.shape, "float32") for v in variables], variables)
    assert seen == variables


# -- dynamic loss scaling ----------------------------------------------------------------------------------------------

# Of Keras 3.15: SGD(0.1, momentum=0.9) inside, initial_scale 4, growth every 2 steps; gradients [0.1, -0.2, 0.3] times
# t + 1, the last entry infinite in steps 3 and 4. Each row: the variable, the counter, the scale, the inner iterations.
SCALED = [
    ([0.9975, 2.005, 2.9925], 1, 4.0, 1),
    ([0.99025, 2.0195, 2.97075], 0, 8.0, 2),
    ([0.979975, 2.04005, 2.9399252], 1, 8.0, 3),
    ([0.979975, 2.04005, 2.9399252], 0, 4.0, 3),
    ([0.979975, 2.04005, 2.9399252], 0, 2.0, 3),
    ([0.9407275, 2.118545, 2.8221827], 1, 2.0, 4),
    ([0.8704047, 2.2591906, 2.6112144], 0, 4.0, 5),
    ([0.78711426, 2.4257715, 2.361343], 1, 4.0, 6),
]


@pytest.mark.parametrize("traced", [False, True])
def test_loss_scaling(traced: bool) -> None:
    optimizer = optimizers.LossScaleOptimizer(
        optimizers.SGD(0.1, momentum=0.9), initial_scale=4.0, dynamic_growth_steps=2
    )
    variable = Variable(np.float32([1, 2, 3]))
    optimizer.build([variable])
    step: Any = lambda g: optimizer.apply([g], [variable])  # noqa: E731
    if traced:
        step = TracedStep(step, np.ones(3, "float32"))
    for t, (value, counter, scale, updates) in enumerate(SCALED):
        step(np.array([0.1, -0.2, np.inf if t in (3, 4) else 0.3], "float32") * (t + 1))
        np.testing.assert_allclose(variable.numpy(), value, rtol=1e-6)
        found = [optimizer.step_counter, optimizer.dynamic_scale, optimizer.iterations]
        assert [float(v.numpy()) for v in found] == [counter, scale, updates]
    assert float(optimizer.scale_loss(np.float32(2))) == 8.0


def test_loss_scaling_belongs_to_the_inner_optimizer() -> None:
    inner = optimizers.Adam(0.5, use_ema=True)
    optimizer = optimizers.LossScaleOptimizer(inner)
    variable = Variable(np.float32([1, 2, 3]))
    optimizer.build([variable])
    optimizer.lr = 0.125
    assert float(inner.learning_rate) == 0.125
    optimizer.learning_rate = 0.25
    assert float(inner.learning_rate) == float(optimizer.lr) == 0.25
    assert len(optimizer.variables) == 2 + len(inner.variables)
    optimizer.apply([np.float32([1, 1, 1])], [variable])
    optimizer.apply([])
    np.testing.assert_allclose(inner._model_variables_moving_average[0].numpy(), variable.numpy())
    optimizer.finalize_variable_values([variable])
    again = optimizers.deserialize(json.loads(json.dumps(optimizers.serialize(optimizer))))
    assert again.get_config() == optimizer.get_config()
    with pytest.raises(ValueError, match=r"does not take \['clipnorm'\]: give them to the inner_optimizer"):
        optimizers.LossScaleOptimizer(inner, clipnorm=1.0)
    with pytest.raises(ValueError, match=r"inner_optimizer must be an Optimizer. Received: 'adam'"):
        optimizers.LossScaleOptimizer("adam")


# -- several optimizers ------------------------------------------------------------------------------------------------


def two() -> list[Variable]:
    return [Variable(np.float32([1, 1]), name="encoder"), Variable(np.float32([1, 1]), name="head")]


@pytest.mark.parametrize("by_function", [False, True])
@pytest.mark.parametrize("traced", [False, True])
def test_several_optimizers(by_function: bool, traced: bool) -> None:
    fast, slow = optimizers.SGD(0.5), optimizers.Adam(0.25)
    chosen: Any = optimizers.OptimizerMap(slow, {"hea.": fast})
    if by_function:
        chosen = lambda v: fast if v.name == "head" else slow  # noqa: E731
    optimizer = optimizers.MultiOptimizer(chosen)
    variables = two()
    optimizer.build(variables)
    step: Any = lambda *g: optimizer.apply(list(g), variables)  # noqa: E731
    grads = [np.float32([1, 1]), np.float32([1, -1])]
    (TracedStep(step, *grads) if traced else step)(*grads)
    np.testing.assert_allclose(variables[0].numpy(), [0.75, 0.75], rtol=1e-5)
    np.testing.assert_allclose(variables[1].numpy(), [0.5, 1.5])
    assert optimizer.optimizers == [slow, fast]
    assert [int(o.iterations.numpy()) for o in (optimizer, slow, fast)] == [1, 1, 1]
    assert optimizer.variables[0].path.endswith("iteration")
    assert len(optimizer.variables) == 1 + len(slow.variables) + len(fast.variables)


def test_several_optimizers_have_no_one_learning_rate() -> None:
    optimizer = optimizers.MultiOptimizer(optimizers.OptimizerMap(optimizers.SGD(use_ema=True)), loss_scale_factor=4.0)
    variables = two()
    optimizer.apply([], variables)
    optimizer.build(variables)
    with pytest.raises(AttributeError, match="has no learning_rate"):
        _ = optimizer.learning_rate
    with pytest.raises(AttributeError, match="has no learning_rate"):
        optimizer.learning_rate = 0.1
    assert optimizer.optimizers[0].loss_scale_factor == 4.0
    optimizer.loss_scale_factor = 2.0
    assert optimizer.optimizers[0].loss_scale_factor == optimizer.loss_scale_factor == 2.0
    assert float(optimizer.scale_loss(np.float32(3))) == 6.0
    optimizer.apply([np.float32([1, 1]), None], variables)
    optimizer.finalize_variable_values(variables)
    assert variables[1].numpy().tolist() == [0.0, 0.0] or variables[0].numpy()[0] < 1
    described = json.loads(json.dumps(optimizers.serialize(optimizer)))
    assert optimizers.deserialize(described).get_config() == optimizer.get_config()


def test_optimizers_in_a_table() -> None:
    slow, fast, other = optimizers.SGD(), optimizers.SGD(), optimizers.SGD()
    table = optimizers.OptimizerMap(slow, {"enc.*": fast, ".*out": other})
    found = [table[path] for path in ("enc/x", "out", "layer/out", "layer/out/kernel", "xenc", "enc.*")]
    assert found == [fast, other, other, slow, slow, fast]
    assert list(table) == ["enc.*", ".*out"] and len(table) == 2
    assert "enc.*" in table and "enc/x" not in table
    assert table.default_optimizer is slow
    del table[".*out"]
    assert table["enc_out"] is fast
    table[".*out"] = other
    with pytest.raises(ValueError, match="Several patterns match the variable 'enc_out'"):
        _ = table["enc_out"]
    with pytest.raises(ValueError, match="has an optimizer already"):
        table["enc.*"] = other
    with pytest.raises(ValueError, match=r"must be an Optimizer. Received: 'adam'"):
        table["q"] = "adam"
    with pytest.raises(TypeError, match=r"default_optimizer must be an Optimizer. Received: 'sgd'"):
        optimizers.OptimizerMap("sgd")
    with pytest.raises(ValueError, match=r"must be an OptimizerMap or a function"):
        optimizers.MultiOptimizer(3)


def test_optimizers_must_agree_on_the_loss_scale() -> None:
    table = optimizers.OptimizerMap(optimizers.SGD(), {"head": optimizers.SGD(loss_scale_factor=2.0)})
    with pytest.raises(ValueError, match="must have one loss_scale_factor"):
        optimizers.MultiOptimizer(table).build(two())


# -- what single rules say ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optimizers.SGD(momentum=2.0), r"SGD: momentum must lie in \[0, 1\]. Received: momentum=2.0"),
        (lambda: optimizers.SGD(momentum="a"), r"SGD: momentum must lie in \[0, 1\]"),
        (lambda: optimizers.AdamW(weight_decay=None), "AdamW: weight_decay must be a number"),
        (lambda: optimizers.Ftrl(learning_rate_power=1.0), "learning_rate_power must be <= 0"),
        (lambda: optimizers.Ftrl(initial_accumulator_value=-1.0), "initial_accumulator_value must be >= 0"),
        (lambda: optimizers.Lion(beta_1=0.0), r"beta_1 must lie in \(0, 1\]"),
    ],
)
def test_one_clear_error(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
