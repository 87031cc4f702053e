"""Learning rate schedules: the rates of Keras 3.15, as numbers and in a graph."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden import optimizer_cases as cases
from nngraph.optimizers import schedules
from traced import TracedStep

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent.parent / "golden" / "schedules.json").read_text())
IDS = [cases.key(*case) for case in cases.SCHEDULES]


@pytest.mark.parametrize("case", cases.SCHEDULES, ids=IDS)
def test_rates_of_keras(case: tuple[str, dict]) -> None:
    schedule = getattr(schedules, case[0])(**case[1])
    found = [float(schedule(time)) for time in cases.TIMES]
    np.testing.assert_allclose(found, GOLDEN[cases.key(*case)], rtol=1e-6, atol=2e-8)


@pytest.mark.parametrize("case", cases.SCHEDULES, ids=IDS)
def test_in_a_graph(case: tuple[str, dict]) -> None:
    schedule = getattr(schedules, case[0])(**case[1])
    step = TracedStep(schedule, np.int64(0))
    found = [float(step(np.int64(time))) for time in cases.TIMES]
    np.testing.assert_allclose(found, GOLDEN[cases.key(*case)], rtol=1e-6, atol=2e-8)


@pytest.mark.parametrize("case", cases.SCHEDULES, ids=IDS)
def test_configurations_come_back(case: tuple[str, dict]) -> None:
    schedule = getattr(schedules, case[0])(**case[1])
    described = json.loads(json.dumps(schedules.serialize(schedule)))
    assert described["module"] == "nngraph.optimizers.schedules"
    again = schedules.deserialize(described)
    assert type(again) is type(schedule)
    assert again.get_config() == schedule.get_config()
    assert {name: again.get_config()[name] for name in case[1]} == case[1]


def test_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="one value more than boundaries"):
        schedules.PiecewiseConstantDecay([1, 2], [1.0, 2.0])
    for name in ("CosineDecay", "PolynomialDecay"):
        with pytest.raises(ValueError, match="decay_steps must be greater than 0"):
            getattr(schedules, name)(0.1, 0)
    with pytest.raises(ValueError, match="first_decay_steps must be greater than 0"):
        schedules.CosineDecayRestarts(0.1, -1)


def test_a_subclass_must_define_its_methods() -> None:
    class Nothing(schedules.LearningRateSchedule):
        pass

    with pytest.raises(NotImplementedError, match="Nothing must define __call__"):
        Nothing()(0)
    with pytest.raises(NotImplementedError, match="Nothing must define get_config"):
        Nothing().get_config()
