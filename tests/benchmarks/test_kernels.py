"""The ways to write a kernel compute the same; nothing is timed."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.kernels import __main__ as kernels
from benchmarks.kernels import attention, building, convolution, depthwise, others

SHAPE = (4, 16, 5, 32)


def results_of(cases: list[building.Case]) -> dict[str, list[np.ndarray]]:
    return {case.name: building.runner(case, 1)[1] for case in cases}


def conv_cases(prefix: str) -> list[building.Case]:
    found = convolution.cases(SHAPE, building.block_size())
    return [case for case in found if case.group.startswith(prefix)]


def direct_convolution() -> np.ndarray:
    """The definition, window by window."""
    n, c, size, m = SHAPE
    x, w = convolution.random_array(n, c, size, size), convolution.random_array(m, c, 3, 3)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    y = np.zeros((n, m, size, size))
    for i in range(size):
        for j in range(size):
            y[:, :, i, j] = np.einsum("ncij,mcij->nm", padded[:, :, i : i + 3, j : j + 3], w)
    return y


def test_block_size():
    assert building.block_size() in (0, 8, 16)


def test_convolutions():
    cases = conv_cases("convolution")
    results = results_of(cases)
    np.testing.assert_allclose(results["Conv, NCHW"][0], direct_convolution(), atol=1e-4)
    assert kernels.disagreements(cases, results) == []


def test_gradients_are_those_of_the_convolution():
    """For a linear map y = A(x), the inner product <y, A(x)> equals <x, A'(y)>, and the same for the kernel."""
    n, c, size, m = SHAPE
    x, w, dy = (convolution.random_array(*s) for s in ((n, c, size, size), (m, c, 3, 3), (n, m, size, size)))
    product = float((direct_convolution() * dy).sum())
    for prefix, of in (("input gradient", x), ("weight gradient", w.transpose(0, 2, 3, 1))):
        cases = conv_cases(prefix)
        results = results_of(cases)
        assert len(cases) >= 2 and kernels.disagreements(cases, results) == []
        first = cases[0].canonical(results[cases[0].name])
        assert float((first * of).sum()) == pytest.approx(product, rel=1e-4)


@pytest.mark.parametrize(
    "group",
    ["ReLU gradient", "MaxPool 2×2", "embedding gradient", "Adam", "sum over the leading", "gradients of a cell"],
)
def test_other_ways_agree(group: str):
    cases = [case for case in others.cases(0) if case.group.startswith(group)]
    assert len(cases) >= 2
    for name in {case.group for case in cases}:
        members = [case for case in cases if case.group == name]
        # Moments are kept in another scale by one way of Adam; the new weights are what is compared.
        assert kernels.disagreements(members, results_of(members)) == []


def test_ways_of_attention_agree():
    cases = list(attention.cases())
    groups = {case.group: [other for other in cases if other.group == case.group] for case in cases}
    for members in groups.values():
        assert len(members) >= 2 and kernels.disagreements(members, results_of(members)) == []


def test_depthwise_is_convolution_channel_by_channel():
    n, c, size = shape = (3, 16, 4)
    cases = list(depthwise.cases(shape, building.block_size()))
    groups = {case.group: [other for other in cases if other.group == case.group] for case in cases}
    assert len(groups) == (6 if building.block_size() else 3)
    results = {group: results_of(members) for group, members in groups.items()}
    for group, members in groups.items():
        assert kernels.disagreements(members, results[group]) == []
    x, w = convolution.random_array(n, c, size, size), convolution.random_array(c, 1, 3, 3)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    wanted = sum(
        padded[:, :, i : i + size, j : j + size] * w[:, 0, i, j, None, None] for i in range(3) for j in range(3)
    )
    forward, backward, weights, *_ = (results[group][members[0].name][0] for group, members in groups.items())
    np.testing.assert_allclose(forward, wanted, atol=1e-5)
    dy = convolution.random_array(n, c, size, size)[::-1]
    product = float((wanted * dy).sum())
    assert float((backward * x).sum()) == pytest.approx(product, rel=1e-4)
    assert float((weights.reshape(w.shape) * w).sum()) == pytest.approx(product, rel=1e-4)


def test_disagreements_are_found():
    x = np.ones(3, "float32")
    right = building.Case("g", "right", lambda g: [g("Neg", g.input(x))])
    wrong = building.Case("g", "wrong", lambda g: [g("Abs", g.input(x))])
    other = building.Case("g", "random", lambda g: [g("Abs", g.input(x))], canonical=None)
    cases = [right, wrong, other]
    assert kernels.disagreements(cases, results_of(cases)) == ["wrong"]


def test_an_operator_that_is_missing_is_a_row_with_an_error():
    x = np.ones(3, "float32")
    there = building.Case("g", "there", lambda g: [g("Neg", g.input(x))], flops=3e6)
    missing = building.Case("g", "missing", lambda g: [g("Nothing", g.input(x))])
    rows, wrong = kernels.measure([there, missing], 1, 2, 0.0)
    assert wrong == [] and rows[0]["gflops"] > 0 and "Nothing" in rows[1]["error"]
    assert [kernels.line(row).split()[0] for row in rows] == ["there", "missing"]
