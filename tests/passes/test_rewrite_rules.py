"""Every rewrite rule on its own examples: it fires where it should and refuses for each reason that it can give."""

from __future__ import annotations

import ast
import inspect
import textwrap

import numpy as np
import pytest

import zoo
from passes.base import check_graph
from passes.build import Builder
from passes.fusion import RULES as FUSIONS
from passes.kernels import RULES as KERNELS
from passes.pattern import makers
from passes.recurrent import RULES as OPERATORS
from passes.rewrite import Example, Refusal, Rule, rewrite
from passes.simplify import RULES as SIMPLIFICATIONS

RULES: dict[str, Rule] = {rule.name: rule for rule in (*SIMPLIFICATIONS, *FUSIONS, *KERNELS, *OPERATORS)}
EXAMPLES = [(name, k) for name, rule in RULES.items() for k in range(len(rule.examples))]


def reasons_of(rule: Rule) -> set[str]:
    """The reasons in the source of a rule and of the private functions of its module that it calls."""
    module = inspect.getmodule(type(rule))
    seen: set[str] = set()
    pending = [type(rule).__name__]
    found: set[str] = set()
    while pending:
        name = pending.pop()
        thing = getattr(module, name, None)
        if name in seen or thing is None or inspect.getmodule(thing) is not module:
            continue
        seen.add(name)
        for call in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(thing)))):
            if not isinstance(call, ast.Call):
                continue
            target = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
            if target in ("Refusal", "refuse") and isinstance(call.args[0], ast.Constant):
                found.add(call.args[0].value)
            elif isinstance(call.func, ast.Name):
                pending.append(target)
    return found


@pytest.mark.parametrize(("name", "k"), EXAMPLES)
def test_an_example(name: str, k: int) -> None:
    rule = RULES[name]
    example: Example = rule.examples[k]
    graph = example.graph()
    check_graph(graph)
    before, wanted = str(graph), zoo.run(graph)
    hits = rewrite(graph, [rule])
    if example.refuses:
        assert hits == 0 and str(graph) == before
        whys = [rule.explain(node) or "" for node in graph if node.op_id in rule.roots]
        assert any(why.startswith(example.refuses) for why in whys), whys
        return
    assert hits >= 1 and str(graph) != before
    check_graph(graph, after=name)
    for output, result in zoo.run(graph).items():
        np.testing.assert_allclose(result, wanted[output], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_has_no_say_where_it_is_not_asked(name: str) -> None:
    """The driver asks a rule only where its ``roots`` and ``operands`` are; elsewhere it must not want to fire."""
    rule = RULES[name]
    for graph in (example.graph() for other in RULES.values() for example in other.examples):
        for node in graph.all_nodes():
            if node.op_id in rule.roots and not node.is_opaque and not rule.takes(node.op_id, makers(node)):
                assert isinstance(rule.apply(node, Builder(node, name)), Refusal | None), node


@pytest.mark.parametrize("name", RULES)
def test_every_reason_has_an_example(name: str) -> None:
    rule = RULES[name]
    shown = {e.refuses for e in rule.examples if e.refuses} - {"an inner value is used elsewhere"}
    shared = {"an inner value is used elsewhere", *reasons_of(rule)}
    assert any(not e.refuses for e in rule.examples), "no example in which it fires"
    assert shown <= shared, f"examples of reasons that it never gives: {shown - shared}"
    assert reasons_of(rule) <= shown | {"an inner value is used elsewhere"}, reasons_of(rule) - shown


@pytest.mark.parametrize("name", RULES)
def test_a_rule_states_its_equation(name: str) -> None:
    assert "``" in (type(RULES[name]).__doc__ or "")


def test_names_are_unique() -> None:
    assert len(RULES) == len(SIMPLIFICATIONS) + len(FUSIONS) + len(KERNELS) + len(OPERATORS)
