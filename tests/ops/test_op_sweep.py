"""What holds for every operator: values, types, the file format, and derivatives of first and second order."""

from __future__ import annotations

import numpy as np
import pytest
from derivatives import differentiated, first_error, narrow, second_errors, wide
from opcheck import by_reference, checked, narrowed
from samples import CASES, SAMPLES

from nngraph.ir import to_text
from nngraph.ops.vjp import rule_of
from nngraph.registry import op_def
from nngraph.runtime import expand_composites
from nngraph.serde import from_proto, to_proto

ALL = [pytest.param(op_id, k, id=f"{op_id}-{k}") for op_id, k in CASES]
SMOOTH = [
    pytest.param(op_id, k, id=f"{op_id}-{k}")
    for op_id, k in CASES
    if rule_of(op_def(*reversed(op_id.rpartition("::")[::2]))) is not None and SAMPLES[op_id][k].by
]


def is_random(op_id: str) -> bool:
    domain, _, op = op_id.rpartition("::")
    return op_def(op, domain).random


@pytest.mark.parametrize(("op_id", "k"), ALL)
def test_values_agree(op_id: str, k: int) -> None:
    """Eager = ONNX Runtime = onnx.reference."""
    sample, graph, feeds, results = narrow(op_id, k)
    eager = sample.run(op_id, [narrowed(a) for a in sample.inputs])
    if is_random(op_id):
        assert [np.asarray(e).shape for e in eager] == [r.shape for r in results.values()]
        return
    sources = [results] + ([by_reference(graph, feeds)] if sample.reference else [])
    for source in sources:
        for e, r in zip(eager, source.values(), strict=True):
            assert np.asarray(e).dtype == r.dtype
            np.testing.assert_allclose(e, r, rtol=sample.value_rtol, atol=sample.value_rtol)


@pytest.mark.parametrize(("op_id", "k"), ALL)
def test_types_are_what_comes_out(op_id: str, k: int) -> None:
    _, graph, _, results = narrow(op_id, k)
    checked(graph)
    for value, result in zip(graph.outputs, results.values(), strict=True):
        assert (value.dtype, value.ndim) == (str(result.dtype), result.ndim)
        assert all(isinstance(want, str) or want == have for want, have in zip(value.shape, result.shape, strict=True))


@pytest.mark.parametrize(("op_id", "k"), ALL)
def test_the_text_survives_the_file_format(op_id: str, k: int) -> None:
    graph = narrow(op_id, k)[1].clone()
    expand_composites(graph)
    once = from_proto(to_proto(graph))
    assert to_text(from_proto(to_proto(once))) == to_text(once)
    assert [n.op_id for n in once] == [n.op_id for n in graph]
    assert [v.type for v in once.outputs] == [v.type for v in graph.outputs]


@pytest.mark.parametrize(("op_id", "k"), SMOOTH)
def test_gradient(op_id: str, k: int) -> None:
    """The gradient against central differences of the outputs in a random direction."""
    checked(wide(op_id, k).graph)
    assert first_error(op_id, k) <= SAMPLES[op_id][k].rtol


@pytest.mark.parametrize(("op_id", "k"), SMOOTH)
def test_second_derivative(op_id: str, k: int) -> None:
    """J, which the gradient's gradient gives, and the second derivative against central differences."""
    sample = SAMPLES[op_id][k]
    if not sample.second:
        assert sample.why, "say why the second derivative is not checked"
        return
    assert max(second_errors(op_id, k)) <= sample.rtol


@pytest.mark.parametrize(("op_id", "k"), SMOOTH)
def test_gradient_with_named_sizes(op_id: str, k: int) -> None:
    """A rule gives the same when sizes are known only at run time."""
    sample, _, _, shapes = narrow(op_id, k)
    if not sample.named:
        assert sample.why, "say why the rule needs known sizes"
        return
    expected = wide(op_id, k).results
    found = differentiated(op_id, sample, shapes, named=True)
    checked(found.graph)
    for j in range(len(found.along)):
        np.testing.assert_allclose(found.results[f"d{j}"], expected[f"d{j}"], rtol=1e-9, atol=1e-12)
