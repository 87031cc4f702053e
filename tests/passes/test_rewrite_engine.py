"""The engine itself: what a pattern matches, when a rule refuses, how the driver ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import zoo
from nngraph.ir import Graph, Node, Value
from nngraph.ops import raw
from passes.base import check_graph
from passes.build import Builder
from passes.observer import Observer, observing
from passes.pattern import Match
from passes.rewrite import LocalRule, PatternRule, Refusal, Result, example, explain, rewrite


def graph_of(fn: Any, *types: str) -> Graph:
    return example(fn, *types).graph()


def ops(graph: Graph) -> list[str]:
    return [node.op for node in graph.all_nodes()]


class ReluOfSum(PatternRule):
    """``Relu(x · 2 + y) = Exp(y)``, which is nonsense, but easy to see."""

    @staticmethod
    def pattern(op: Any, x: Any, y: Any) -> Any:
        return op.Relu(op.Add(op.Mul(x, 2.0), y))

    def rewrite(self, op: Builder, match: Match) -> Value:
        value: Value = op.Exp(match.y)
        return value


F = "float32[3]"
TWO = np.float32(2)


@pytest.mark.parametrize(
    "fn",
    [
        lambda x, y: raw.Relu(raw.Add(raw.Mul(x, TWO), y)),
        lambda x, y: raw.Relu(raw.Add(raw.Mul(TWO, x), y)),
        lambda x, y: raw.Relu(raw.Add(y, raw.Mul(x, TWO))),
        lambda x, y: raw.Relu(raw.Add(y, raw.Mul(np.array([2], np.float32), x))),
    ],
)
def test_operands_may_stand_in_any_order(fn: Any) -> None:
    graph = graph_of(fn, F, F)
    assert rewrite(graph, [ReluOfSum()]) == 1
    assert ops(graph) == ["Exp"] and graph.first is not None and graph.first.inputs[0] is graph.inputs[1]


def test_both_operands_of_a_commutative_operator_are_tried() -> None:
    graph = graph_of(lambda x, y: raw.Relu(raw.Add(raw.Mul(x, np.float32(3)), raw.Mul(y, TWO))), F, F)
    assert rewrite(graph, [ReluOfSum()]) == 1
    assert ops(graph) == ["Mul", "Exp"]


@pytest.mark.parametrize(
    ("fn", "why"),
    [
        (lambda x, y: raw.Relu(raw.Add(raw.Mul(x, np.float32(3)), y)), "is not the number 2.0"),
        (lambda x, y: raw.Relu(raw.Add(raw.Mul(x, np.full((1, 1), 2, np.float32)), y)), "widens the other operands"),
        (lambda x, y: raw.Relu(raw.Add(raw.Neg(x), y)), "is Neg, not Mul"),
        (lambda x, y: (lambda m: (raw.Relu(raw.Add(m, y)), m))(raw.Mul(x, TWO)), "an inner value is used elsewhere"),
    ],
)
def test_a_near_miss_is_explained(fn: Any, why: str) -> None:
    graph = graph_of(fn, F, F)
    before = str(graph)
    observer = Observer(near_misses=[])
    with observing(observer):
        assert rewrite(graph, [ReluOfSum()]) == 0
    assert str(graph) == before
    assert observer.near_misses is not None
    (line,) = observer.near_misses
    assert why in line and line.startswith("relu_of_sum not at 'relu'")


def test_what_is_nowhere_near_is_not_explained() -> None:
    assert list(explain(graph_of(lambda x: raw.Relu(x), F), [ReluOfSum()])) == []


class SameTwice(PatternRule):
    """``exp(x) + exp(x) = 2 exp(x)``: a variable and a call that occur twice."""

    shared = True

    @staticmethod
    def pattern(op: Any, x: Any) -> Any:
        e = op.Exp(x)
        return op.Add(e, e)

    def rewrite(self, op: Builder, match: Match) -> Value:
        value: Value = op.Mul(match.nodes[1].output, 2.0)
        return value


def test_a_call_that_occurs_twice_is_one_node() -> None:
    graph = graph_of(lambda x: raw.Add(raw.Exp(x), raw.Exp(x)), F)
    assert rewrite(graph, [SameTwice()]) == 0
    graph = graph_of(lambda x: (lambda e: (raw.Add(e, e), raw.Neg(e)))(raw.Exp(x)), F)
    wanted = zoo.run(graph)
    assert rewrite(graph, [SameTwice()]) == 1, "inner values may be used elsewhere here"
    np.testing.assert_allclose(zoo.run(graph)["y0"], wanted["y0"])


class VariableTwice(PatternRule):
    """``x − x = x``, which is nonsense too."""

    @staticmethod
    def pattern(op: Any, x: Any) -> Any:
        return op.Sub(x, x)

    def rewrite(self, op: Builder, match: Match) -> Value:
        return match.x


def test_a_variable_that_occurs_twice_is_one_value() -> None:
    assert rewrite(graph_of(lambda x, y: raw.Sub(x, y), F, F), [VariableTwice()]) == 0
    assert rewrite(graph_of(lambda x: raw.Sub(x, x), F), [VariableTwice()]) == 1


class SoftmaxOfLastAxis(PatternRule):
    """``Softmax(x, axis=-1) = x``."""

    @staticmethod
    def pattern(op: Any, x: Any) -> Any:
        return op.Softmax(x, axis=-1)

    def rewrite(self, op: Builder, match: Match) -> Value:
        return match.x


@pytest.mark.parametrize(("attributes", "hits"), [({}, 1), ({"axis": -1}, 1), ({"axis": 0}, 0)])
def test_attributes_compare_with_the_default_filled_in(attributes: dict[str, int], hits: int) -> None:
    assert rewrite(graph_of(lambda x: raw.Softmax(x, **attributes), "float32[2, 3]"), [SoftmaxOfLastAxis()]) == hits


class ConvWithoutBias(PatternRule):
    """``Conv(x, w) = Conv(x, −w)``, with bound node and refusal."""

    @staticmethod
    def pattern(op: Any, x: Any, w: Any) -> Any:
        return op.Relu(op.Conv(x, w, _bind="conv"))

    def check(self, match: Match) -> Refusal | None:
        group = match.node("conv").attributes.get("group", 1)
        return match.refuse("it has groups", match.w) if group != 1 else None

    def rewrite(self, op: Builder, match: Match) -> Value:
        value: Value = op.Conv(match.x, match.w, **match.node("conv").attributes)
        return value


def test_inputs_must_be_as_many_as_in_the_pattern_and_check_has_the_last_word() -> None:
    image, kernel = "float32[1, 2, 4, 4]", "float32[2, 2, 3, 3]"
    with_bias = graph_of(lambda x, w, b: raw.Relu(raw.Conv(x, w, b)), image, kernel, "float32[2]")
    assert rewrite(with_bias, [ConvWithoutBias()]) == 0
    grouped = graph_of(lambda x, w: raw.Relu(raw.Conv(x, w, group=2)), image, "float32[2, 1, 3, 3]")
    assert rewrite(grouped, [ConvWithoutBias()]) == 0
    (why,) = explain(grouped, [ConvWithoutBias()])
    assert why == "conv_without_bias not at 'relu' (Relu): it has groups ('x1': float32[2, 1, 3, 3])"
    plain = graph_of(lambda x, w: raw.Relu(raw.Conv(x, w, strides=(2, 2))), image, kernel)
    assert rewrite(plain, [ConvWithoutBias()]) == 1
    assert ops(plain) == ["Conv"] and plain.first is not None and plain.first.attributes["strides"] == (2, 2)


def test_new_nodes_carry_names_and_origins_on() -> None:
    graph = graph_of(lambda x, y: raw.Neg(raw.Relu(raw.Add(raw.Mul(x, TWO), y))), F, F)
    relu = graph.nodes[2]
    name, value_name = relu.name, relu.output.name
    rewrite(graph, [ReluOfSum()])
    exp = graph.nodes[0]
    assert (exp.name, exp.output.name) == (name, value_name)
    assert exp.origin.by == ("relu_of_sum",)


def test_sizes_known_by_name_survive() -> None:
    class Stacked(PatternRule):
        """``Relu(x) = Reshape(x, …)``, whose inferred size is only some name."""

        @staticmethod
        def pattern(op: Any, x: Any) -> Any:
            return op.Relu(x)

        def rewrite(self, op: Builder, match: Match) -> Value:
            value: Value = op.Slice(match.x, np.array([0]), op.Shape(match.x, end=1), np.array([0]))
            return value

    graph = graph_of(lambda x: raw.Relu(x), "float32[batch, 2]")
    rewrite(graph, [Stacked()])
    assert graph.outputs[0].shape == ("batch", 2)


def test_a_rule_may_not_change_a_type() -> None:
    class Wrong(PatternRule):
        """``Relu(x) = x == x``."""

        @staticmethod
        def pattern(op: Any, x: Any) -> Any:
            return op.Relu(x)

        def rewrite(self, op: Builder, match: Match) -> Value:
            value: Value = op.Equal(match.x, match.x)
            return value

    with pytest.raises(RuntimeError, match=r"wrong replaces 'relu', float32\[3\], by a value of type bool\[3\]"):
        rewrite(graph_of(lambda x: raw.Relu(x), F), [Wrong()])


class SinToCos(LocalRule):
    """``sin x = cos x``."""

    roots = ("Sin",)

    def apply(self, node: Node, op: Builder) -> Result:
        return op.Cos(node.inputs[0])


class CosToSin(LocalRule):
    """``cos x = sin x``."""

    roots = ("Cos",)

    def apply(self, node: Node, op: Builder) -> Result:
        return op.Sin(node.inputs[0])


def test_rules_that_undo_each_other_are_named() -> None:
    with pytest.raises(RuntimeError, match="does not settle") as raised:
        rewrite(graph_of(lambda x: raw.Sin(x), F), [SinToCos(), CosToSin()])
    assert "sin_to_cos" in str(raised.value) and "cos_to_sin" in str(raised.value)


def test_what_becomes_possible_is_done_in_the_same_run() -> None:
    """Erasing the second user of an inner value makes the rule fire at the first."""
    graph = graph_of(
        lambda x, y: (lambda m: raw.Sub(raw.Relu(raw.Add(m, y)), raw.Relu(raw.Add(m, y))))(raw.Mul(x, TWO)), F, F
    )

    class DropSecond(LocalRule):
        """``a − b = a``."""

        roots = ("Sub",)

        def apply(self, node: Node, op: Builder) -> Result:
            return node.inputs[0]

    assert rewrite(graph, [ReluOfSum(), DropSecond()]) == 2
    assert ops(graph) == ["Exp"]


def test_dead_nodes_are_left_alone() -> None:
    graph = graph_of(lambda x: (lambda _: raw.Exp(x))(raw.Sin(x)), F)
    assert rewrite(graph, [SinToCos()]) == 0


def test_a_subgraph_returns_no_value_of_another_graph() -> None:
    class NegToInput(LocalRule):
        """``−x = x``."""

        roots = ("Neg",)

        def apply(self, node: Node, op: Builder) -> Result:
            return node.inputs[0]

    graph = zoo.ZOO["branches"]()
    assert rewrite(graph, [NegToInput()]) == 1
    check_graph(graph)
    branch = next(n for n in graph if n.op == "If").attributes["then_branch"]
    assert branch.outputs[2].producer.op == "Identity"


def test_hits_are_counted_by_rule() -> None:
    with observing(Observer()) as observer:
        rewrite(graph_of(lambda x, y: raw.Relu(raw.Add(raw.Mul(x, TWO), y)), F, F), [ReluOfSum()])
    assert observer.hits == {"relu_of_sum": 1}
