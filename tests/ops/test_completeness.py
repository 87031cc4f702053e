"""Nothing registered escapes the sweeps."""

from __future__ import annotations

import pytest
from samples import SAMPLES

import nngraph.ops  # noqa: F401  (fills the registry)
from nngraph.ops.vjp import rule_of
from nngraph.registry import REGISTRY, OpDef
from nngraph.schema import has_schema, schema_of

ENTRIES = [pytest.param(entry, id=entry.op_id) for entry in list(REGISTRY.values()) if not entry.refusal]


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_registered_op_has_samples(entry: OpDef) -> None:
    assert SAMPLES.get(entry.op_id), f"add samples of {entry.op_id} to a file tests/ops/samples_<family>.py"


@pytest.mark.parametrize("op_id", sorted(SAMPLES))
def test_samples_are_of_registered_operators(op_id: str) -> None:
    domain, _, op = op_id.rpartition("::")
    assert (domain, op) in REGISTRY


def gives_floats(entry: OpDef) -> bool:
    if not has_schema(entry.name, entry.domain):
        return True
    schema = schema_of(entry.name, entry.domain)
    floats = {"tensor(float)", "tensor(double)"}
    constraints = {c.type_param_str: set(c.allowed_type_strs) for c in schema.type_constraints}
    return any(floats & constraints.get(p.type_str, {p.type_str}) for p in schema.outputs)


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_float_op_has_rule_or_reason(entry: OpDef) -> None:
    """An operator that can give floats, or a composite, is differentiable or says why not."""
    if gives_floats(entry):
        assert rule_of(entry) is not None or entry.no_gradient, (
            f"{entry.op_id} has neither a gradient rule nor a reason"
        )
