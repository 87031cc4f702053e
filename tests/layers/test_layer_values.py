"""Every layer computes the numbers that Keras computed (tests/golden/generate.py wrote them down)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from layer_cases import CASES, NOT_IN_KERAS, Case, summary
from layer_run import built, call

GOLDEN: dict[str, Any] = json.loads(
    (Path(__file__).resolve().parent.parent / "golden" / "layers.json").read_text(encoding="utf-8")
)
MEASURED = [c for c in CASES if not c.random and c.id not in NOT_IN_KERAS]


def test_nothing_was_left_unmeasured() -> None:
    assert set(GOLDEN) == {case.id for case in MEASURED}


@pytest.mark.parametrize("case", MEASURED, ids=lambda case: case.id)
def test_numbers_of_keras(case: Case) -> None:
    layer = built(case)
    outputs = call(case, layer, case.inputs())
    found = [summary(outputs), *([summary(w.numpy()) for w in layer.weights] if case.training else [])]
    for (shape, *numbers), (expected_shape, *expected) in zip(found, GOLDEN[case.id], strict=True):
        assert shape == expected_shape
        np.testing.assert_allclose(numbers, expected, rtol=2e-5, atol=2e-5)
