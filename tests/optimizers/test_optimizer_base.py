"""What all optimizers share: arguments, state, the learning rate, weight decay, constraints, configurations."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import pytest

from golden import optimizer_cases as cases
from nngraph import config, constraints, ops, optimizers
from nngraph.ops import Variable
from nngraph.optimizers import schedules
from nngraph.optimizers.clipping import are_finite, clip_by_global_norm
from traced import TracedStep

ONES = np.float32([1, 1])


def variable(*values: float, name: str = "w") -> Variable:
    return Variable(np.float32(values or (1, 2)), name=name)


# -- arguments ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"learning_rates": 1.0}, r"Argument\(s\) not recognized by SGD: {'learning_rates': 1.0}"),
        ({"learning_rate": "fast"}, "learning_rate must be a number.*'fast'"),
        ({"learning_rate": None}, "learning_rate must be a number"),
        ({"clipnorm": 1, "clipvalue": 1}, "only one of clipnorm.*clipnorm=1, clipvalue=1, global_clipnorm=None"),
        ({"clipnorm": -1.0}, "clipnorm must be a number >= 0.*-1.0"),
        ({"weight_decay": "much"}, "weight_decay must be a number >= 0"),
        ({"use_ema": True, "ema_momentum": 2}, r"ema_momentum must lie in \[0, 1\]"),
        ({"ema_overwrite_frequency": 0}, "ema_overwrite_frequency must be an integer >= 1"),
        ({"gradient_accumulation_steps": 1}, "gradient_accumulation_steps must be an integer >= 2"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        optimizers.SGD(**arguments)


def test_old_spellings() -> None:
    with pytest.warns(UserWarning, match=r"Adam\(lr=...\) is an old spelling") as caught:
        optimizer = optimizers.Adam(lr=0.25)
    assert float(optimizer.learning_rate) == 0.25
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match=r"SGD\(decay=0.1\) is ignored.*InverseTimeDecay\(0.5"):
        optimizers.SGD(0.5, decay=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimizers.SGD(0.5, decay=0.0)


def test_names() -> None:
    config.clear_session()
    assert [optimizers.RMSprop().name for _ in range(2)] == ["rm_sprop", "rm_sprop_1"]
    assert repr(optimizers.SGD(name="mine")) == "<SGD name=mine>"
    for name in ("adam", "Adam", "rmsprop", "schedulefreeadamw", "lamb"):
        assert type(optimizers.get(name)).__name__.lower() == name.lower()
    assert type(optimizers.get(optimizers.Lion)) is optimizers.Lion
    assert optimizers.get(None) is None
    with pytest.raises(ValueError, match=r"Unknown optimizer 'adamm'. Did you mean 'adam'"):
        optimizers.get("adamm")
    for wrong in (3, len):
        with pytest.raises(ValueError, match="ptimizer"):
            optimizers.get(wrong)


# -- state -------------------------------------------------------------------------------------------------------------


def test_variables_are_named_as_in_keras() -> None:
    kernel, bias = variable(name="kernel"), variable(name="bias")
    kernel.path, bias.path = "dense/kernel", "dense/bias"
    optimizer = optimizers.Adam(name="adam")
    optimizer.build([kernel, bias])
    optimizer.build([kernel])
    assert [v.path for v in optimizer.variables] == [
        "adam/iteration",
        "adam/learning_rate",
        "adam/dense_kernel_momentum",
        "adam/dense_kernel_velocity",
        "adam/dense_bias_momentum",
        "adam/dense_bias_velocity",
    ]
    everything = optimizers.SGD(
        schedules.CosineDecay(0.1, 5), 0.9, use_ema=True, gradient_accumulation_steps=2, name="s"
    )
    everything.build([kernel])
    assert [v.path.split("/")[1] for v in everything.variables] == [
        "iteration",
        "dense_kernel_average",
        "dense_kernel_gradient_accumulator",
        "dense_kernel_momentum",
    ]


def test_state_goes_out_and_in() -> None:
    v = variable()
    optimizer = optimizers.Adam(0.1)
    for _ in range(3):
        optimizer.apply([ONES], [v])
    store: dict[str, Any] = {}
    optimizer.save_own_variables(store)
    assert list(store) == ["0", "1", "2", "3"]
    twin, w = optimizers.Adam(0.5), Variable(v.numpy(), name="w")
    twin.build([w])
    twin.load_own_variables(store)
    for o, x in ((optimizer, v), (twin, w)):
        o.apply([ONES], [x])
    np.testing.assert_array_equal(v.numpy(), w.numpy())
    assert float(twin.learning_rate) == np.float32(0.1)
    twin.set_weights([x.numpy() for x in optimizer.variables])
    with pytest.raises(ValueError, match=r"has 4 variables. Received: 1 arrays"):
        twin.set_weights([0])


def test_stateless_apply() -> None:
    v = variable()
    optimizer = optimizers.SGD(0.5, momentum=0.5)
    with pytest.raises(ValueError, match="must be built"):
        optimizer.stateless_apply([], [ONES], [v.numpy()])
    optimizer.build([v])
    state = [x.numpy() for x in optimizer.variables]
    values, new_state = optimizer.stateless_apply(state, [ONES], [np.float32([5, 6])])
    assert values[0].tolist() == [4.5, 5.5]
    assert [x.tolist() for x in new_state[:1]] == [1] and new_state[2].tolist() == [-0.5, -0.5]
    assert v.numpy().tolist() == [1.0, 2.0] and int(optimizer.iterations) == 0
    with pytest.raises(ValueError, match=r"1 trained variables and 3 of its own. Received: 1 and 2"):
        optimizer.stateless_apply(state[:2], [ONES], [v.numpy()])


class Custom(optimizers.Optimizer):
    """A rule as it is written for Keras."""

    def build(self, variables: Any) -> None:
        if self.built:
            return
        super().build(variables)
        self.sums = self.add_optimizer_variables(variables, "sum", "ones")
        self.lows, self.highs = self.add_optimizer_variables(variables, ["low", "high"])
        self.extra = self.add_variable_from_reference(variables[0], initializer="ones")

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        learning_rate = ops.cast(learning_rate, variable.dtype)
        total = self.sums[self._get_variable_index(variable)]
        self.assign_add(total, gradient)
        self.assign(self.lows[0], ops.minimum(self.lows[0], gradient))
        self.assign_sub(variable, learning_rate * total)


@pytest.mark.parametrize("traced", [False, True])
def test_a_rule_written_for_keras(traced: bool) -> None:
    optimizer = Custom(0.5, name="c")
    v = variable(name="kernel")
    optimizer.build([v])
    step: Any = lambda g: optimizer.apply([g], [v])  # noqa: E731
    step = TracedStep(step, ONES) if traced else step
    step(ONES)
    step(-ONES)
    assert v.numpy().tolist() == [1 - 0.5 * 2 - 0.5 * 1, 2 - 0.5 * 2 - 0.5 * 1]
    assert optimizer.lows[0].numpy().tolist() == [-1.0, -1.0]
    names = [x.path for x in optimizer.variables]
    assert names == ["c/iteration", "c/learning_rate", *(f"c/kernel_{n}" for n in ("sum", "low", "high", "var"))]


def test_a_rule_must_be_there() -> None:
    with pytest.raises(NotImplementedError, match="Optimizer must define update_step"):
        optimizers.Optimizer(0.1).apply([ONES], [variable()])


# -- gradients ---------------------------------------------------------------------------------------------------------


def test_gradients_and_variables_must_fit() -> None:
    optimizer = optimizers.SGD(0.5)
    v, w = variable(name="v"), variable(name="w")
    with pytest.raises(ValueError, match="gradients without variables before it was built"):
        optimizer.apply([ONES])
    with pytest.raises(ValueError, match="2 gradients were given for 1 variables"):
        optimizer.apply([ONES, ONES], [v])
    optimizer.apply([])
    optimizer.build([v, w])
    with pytest.raises(ValueError, match=r"built for other variables than \['z'\].*Compile the model again"):
        optimizer.apply([ONES], [variable(name="z")])
    with pytest.raises(ValueError, match="No variable has a gradient"):
        optimizer.apply([None, None])
    with pytest.warns(UserWarning, match=r"does not depend on the variables \['w'\]"):
        optimizer.apply([ONES, None])
    assert (v.numpy().tolist(), w.numpy().tolist()) == ([0.5, 1.5], [1.0, 2.0])
    assert optimizer.apply_gradients([(ONES, w)]) is optimizer._iterations
    assert w.numpy().tolist() == [0.5, 1.5]


def test_a_norm_that_is_not_finite_is_noticed() -> None:
    found = clip_by_global_norm([np.float32([np.inf]), np.float32([1.0])], 1.0)
    assert all(np.isnan(g).all() for g in found)
    zero = clip_by_global_norm([np.float32([0.0])], 1.0)
    assert zero[0].tolist() == [0.0]
    assert not bool(are_finite([np.float32([1]), np.float16([np.inf])]))


def test_a_variable_can_take_its_gradient_for_its_value() -> None:
    """Keras 3.15: every second step, the largest "gradient" since the last."""
    direct, other = variable(1, 1, name="direct"), variable(1, 1, name="other")
    direct.overwrite_with_gradient = True
    optimizer = optimizers.SGD(1.0, momentum=0.9, gradient_accumulation_steps=2)
    optimizer.build([direct, other])
    found = []
    for step in range(3):
        optimizer.apply([np.full(2, step + 5.0, "float32"), ONES], [direct, other])
        found.append((direct.numpy().tolist(), other.numpy().tolist()))
    assert found == [([1, 1], [1, 1]), ([6, 6], [0, 0]), ([6, 6], [0, 0])]
    plain = optimizers.SGD(1.0)
    plain.apply([np.float32([7, 8]), ONES], [direct, other])
    assert direct.numpy().tolist() == [7.0, 8.0]
    assert "direct_momentum" not in " ".join(v.path for v in optimizer.variables)


@pytest.mark.parametrize("traced", [False, True])
def test_constraints_come_last(traced: bool) -> None:
    v = variable(0.5, 3.0)
    v.constraint = constraints.NonNeg()
    optimizer = optimizers.SGD(1.0, use_ema=True)
    optimizer.build([v])
    step: Any = lambda g: optimizer.apply([g], [v])  # noqa: E731
    (TracedStep(step, ONES) if traced else step)(ONES)
    assert v.numpy().tolist() == [0.0, 2.0]
    # As in Keras, the average is of the value before the constraint.
    assert optimizer._model_variables_moving_average[0].numpy().tolist() == [-0.5, 2.0]


def test_weight_decay_leaves_out() -> None:
    kernel, bias, third = variable(1, 1, name="kernel"), variable(1, 1, name="bias"), variable(1, 1, name="third")
    optimizer = optimizers.SGD(0.5, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_list=[third], var_names=["^bi"])
    optimizer.apply([0 * ONES] * 3, [kernel, bias, third])
    assert [v.numpy()[0] for v in (kernel, bias, third)] == [0.75, 1.0, 1.0]
    with pytest.raises(ValueError, match="before the optimizer is built"):
        optimizer.exclude_from_weight_decay(var_names=["x"])


def test_weight_decay_is_not_rounded_away() -> None:
    """A decay of 1.46e-7 a step, about the spacing of float32 at 1, has its mean effect; 1 - 1.46e-7 is 18 % off."""
    rng = np.random.default_rng(0)
    start = (1 + rng.random(20000)).astype("float32")
    v = Variable(start.copy(), name="v")
    optimizer = optimizers.SGD(1.46e-4, weight_decay=1e-3)
    optimizer.build([v])
    step = TracedStep(lambda g: optimizer.apply([g], [v]), np.zeros_like(start))
    for _ in range(20):
        step(np.zeros_like(start))
    lost = (start.astype("float64") - v.numpy()).mean() / start.mean()
    assert lost == pytest.approx(20 * 1.46e-7, rel=0.08)


# -- the learning rate -------------------------------------------------------------------------------------------------


def test_the_learning_rate_is_a_variable_of_the_graph() -> None:
    v = variable(1, 1)
    optimizer = optimizers.SGD(0.5)
    optimizer.build([v])
    step = TracedStep(lambda g: optimizer.apply([g], [v]), ONES)
    step(ONES)
    optimizer.learning_rate = 0.25
    step(ONES)
    optimizer.learning_rate.assign(0.125)
    step(ONES)
    assert v.numpy().tolist() == [0.125, 0.125]
    assert float(optimizer.lr) == 0.125


def test_a_schedule_of_the_user_runs_in_the_graph() -> None:
    class Halving(schedules.LearningRateSchedule):
        def __call__(self, step: Any) -> Any:
            return ops.power(0.5, ops.cast(step, "float32") + 1.0)

    v = variable(1, 1)
    optimizer = optimizers.SGD(Halving())
    optimizer.build([v])
    step = TracedStep(lambda g: optimizer.apply([g], [v]), ONES)
    for _ in range(3):
        step(ONES)
    assert v.numpy().tolist() == [0.125, 0.125]
    assert float(optimizer.learning_rate) == 0.0625
    with pytest.raises(TypeError, match="has a learning rate schedule"):
        optimizer.learning_rate = 0.1


def test_a_function_as_learning_rate() -> None:
    rate = [0.5]
    optimizer = optimizers.SGD(lambda: rate[0])
    v = variable(1, 1)
    optimizer.apply([ONES], [v])
    rate[0] = 0.25
    optimizer.apply([ONES], [v])
    assert v.numpy().tolist() == [0.25, 0.25]
    assert optimizer.learning_rate == 0.25


def test_a_schedule_takes_the_place_of_a_number() -> None:
    optimizer = optimizers.SGD(0.5)
    optimizer.learning_rate = schedules.PiecewiseConstantDecay([0], [0.25, 0.125])
    assert [v.path.split("/")[1] for v in optimizer.variables] == ["iteration"]
    v = variable(1, 1)
    optimizer.apply([ONES], [v])
    assert v.numpy().tolist() == [0.75, 0.75]


# -- configurations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", cases.CASES, ids=[cases.key(*case) for case in cases.CASES])
def test_configurations_come_back(case: tuple[str, dict]) -> None:
    optimizer = cases.make(optimizers, *case)
    described = json.loads(json.dumps(optimizers.serialize(optimizer)))
    assert described["module"] == "nngraph.optimizers"
    again = optimizers.deserialize(described)
    assert type(again) is type(optimizer)
    assert again.get_config() == optimizer.get_config()
    for name, value in case[1].items():
        if name != "learning_rate":
            assert getattr(again, name) == value


def test_a_learning_rate_reads_as_it_was_written() -> None:
    assert optimizers.Adam(0.001).get_config()["learning_rate"] == 0.001
