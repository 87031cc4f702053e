"""Metrics: the values of Keras 3.15 over two batches, without and with weights, eagerly and in a graph."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden import metric_cases as cases
from nngraph import metrics
from traced import TracedStep

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent.parent / "golden" / "metrics.json").read_text())
IDS = [cases.key(*case) for case in cases.CASES]


@pytest.mark.parametrize("case", cases.CASES, ids=IDS)
def test_values_of_keras(case: tuple[str, dict, str]) -> None:
    found = cases.compute(metrics, *case)
    for a, b in zip(found, GOLDEN[cases.key(*case)], strict=True):
        np.testing.assert_allclose(a, b, rtol=3e-6, atol=3e-6)


def test_every_metric_has_a_case() -> None:
    tested = {name for name, _, _ in cases.CASES} | {"Metric", "Mean", "Sum", "MeanMetricWrapper"}
    assert tested == {name for name in metrics.__all__ if name[0].isupper()}


@pytest.mark.parametrize("case", cases.CASES, ids=IDS)
def test_in_a_graph_as_eagerly(case: tuple[str, dict, str]) -> None:
    name, arguments, _ = case
    metric = getattr(metrics, name)(**arguments)
    first, second = cases.batches(*case)[2:]
    step = TracedStep(lambda y, p, w: metric(y, p, sample_weight=w), *first, batch=arguments.get("axis") != 0)
    for arrays, wanted in zip((first, second), GOLDEN[cases.key(*case)][2:], strict=True):
        np.testing.assert_allclose(step(*arrays), wanted, rtol=3e-6, atol=3e-6)


BY_SAMPLE = [c for c in cases.CASES if c[1].get("axis") != 0 and c[0] != "R2Score"][::2]


@pytest.mark.parametrize("case", BY_SAMPLE, ids=[cases.key(*case) for case in BY_SAMPLE])
def test_a_graph_serves_any_batch_and_sees_a_reset(case: tuple[str, dict, str]) -> None:
    name, arguments, _ = case
    metric = getattr(metrics, name)(**arguments)
    (y_true, y_pred, weight), _ = cases.batches(*case)[2:]
    step = TracedStep(lambda y, p, w: metric(y, p, sample_weight=w), y_true, y_pred, weight, batch=True)
    step(y_true, y_pred, weight)
    metric.reset_state()
    part = [a[:1] for a in (y_true, y_pred, weight)]
    found = step(*part)
    other = getattr(metrics, name)(**arguments)
    np.testing.assert_allclose(found, other(*part[:2], sample_weight=part[2]), rtol=3e-6, atol=3e-6)
