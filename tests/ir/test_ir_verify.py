"""The verifier: every fault is found, named, and shown with its neighbours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import zoo
from nngraph.ir import Graph, Node, TensorType, Value, VerificationError, verify
from nngraph.schema import infer_types
from passes.base import check_graph

F2 = TensorType("float32", (2,))


def build() -> Graph:
    """x -> exp -> add(exp, 1) -> y"""
    graph = Graph("broken")
    x = graph.add_input("x", F2)
    exp = graph.append(Node("Exp", [x], {}), [F2]).output
    one = graph.add_constant(np.ones(2, np.float32), "one")
    graph.set_outputs([graph.append(Node("Add", [exp, one], {}), [F2]).output], ["y"])
    return graph


Fault = tuple[Callable[[Graph], object], str]


def _swap_order(g: Graph) -> None:
    g.move_before(g.first, g.nodes[1])


def _steal(g: Graph) -> None:
    stranger = Graph("stranger").add_input("s", F2)
    g.nodes[0].set_input(0, stranger)


def _forget_use(g: Graph) -> None:
    g.inputs[0].uses.clear()


def _invent_use(g: Graph) -> None:
    g.inputs[0].uses[g.nodes[1], 0] = None


def _invent_slot(g: Graph) -> None:
    g.inputs[0].uses[g.nodes[1], 5] = None


def _erased_user(g: Graph) -> None:
    gone = g.append(Node("Neg", [g.inputs[0]], {}), [F2])
    g.erase(gone)
    g.inputs[0].uses[gone, 0] = None


def _same_value_name(g: Graph) -> None:
    g.nodes[1].output.name = "x"


def _same_node_name(g: Graph) -> None:
    g.nodes[1].name = g.nodes[0].name


def _dtype(g: Graph) -> None:
    g.inputs[0].type = TensorType("float7", (2,))


def _negative(g: Graph) -> None:
    g.inputs[0].type = TensorType("float32", (-2,))


def _half(g: Graph) -> None:
    g.inputs[0].type = TensorType("float32", (2.5,))  # type: ignore[arg-type]


def _input_with_data(g: Graph) -> None:
    g.inputs[0].data = np.ones(2, np.float32)


def _constant_without_data(g: Graph) -> None:
    next(iter(g.constants)).data = None


def _constant_of_other_type(g: Graph) -> None:
    next(iter(g.constants)).data = np.ones(3, np.float32)


def _producer(g: Graph) -> None:
    g.nodes[0].output.producer = g.nodes[1]


def _index(g: Graph) -> None:
    g.nodes[0].output.index = 1


def _graph_of_value(g: Graph) -> None:
    g.nodes[0].output.graph = Graph("other")


def _graph_of_node(g: Graph) -> None:
    g.nodes[1].graph = None


def _output_names(g: Graph) -> None:
    g.output_names = ["y", "z"]


def _output_names_repeat(g: Graph) -> None:
    g.set_outputs([g.outputs[0]] * 2, ["y", "y"])


def _foreign_output(g: Graph) -> None:
    g.outputs = [Value("elsewhere", F2, g)]


FAULTS: dict[str, Fault] = {
    "order": (_swap_order, "node 'add' uses 'exp' before it is defined"),
    "foreign input": (_steal, "node 'exp' uses 's' before it is defined, or from another graph"),
    "use not recorded": (_forget_use, "node 'exp' uses 'x', which does not know it"),
    "use recorded twice": (_invent_use, "value 'x' lists 'add' as a user, which does not use it"),
    "use of a slot that is not there": (_invent_slot, "value 'x' lists 'add' as a user, which does not use it"),
    "erased user": (_erased_user, "value 'x' is used by the erased node 'neg'"),
    "two values of one name": (_same_value_name, "two values are named 'x'"),
    "two nodes of one name": (_same_node_name, "two nodes are named 'exp'"),
    "dtype": (_dtype, "value 'x' has the unknown dtype 'float7'"),
    "negative size": (_negative, "value 'x' has the bad shape (-2,)"),
    "size that is no number": (_half, "value 'x' has the bad shape (2.5,)"),
    "input with data": (_input_with_data, "input 'x' also holds constant data"),
    "constant without data": (_constant_without_data, "constant 'one' holds no data"),
    "constant of another type": (_constant_of_other_type, "constant 'one' is float32[3] but is recorded as float32[2]"),
    "producer": (_producer, "output 'exp' does not know its producer"),
    "index": (_index, "output 'exp' does not know its producer"),
    "graph of a value": (_graph_of_value, "value 'exp' is recorded in graph 'other'"),
    "number of output names": (_output_names, "1 outputs but 2 output names"),
    "repeated output names": (_output_names_repeat, "output names repeat: ['y', 'y']"),
    "foreign output": (_foreign_output, "output 'elsewhere' is not a value of this graph"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_is_found(kind: str) -> None:
    graph = build()
    verify(graph)
    breaks, message = FAULTS[kind]
    breaks(graph)
    with pytest.raises(VerificationError) as raised:
        verify(graph)
    assert message in str(raised.value)


def test_a_node_recorded_elsewhere_is_found() -> None:
    graph = build()
    node = graph.nodes[1]
    checker = graph.__class__.__iter__
    assert checker is not None
    node.graph = Graph("other")
    # Iteration skips what is not of the graph, so the last node's output is the one that is missed.
    with pytest.raises(VerificationError):
        verify(graph)


TYPE_FAULTS: dict[str, Fault] = {
    "dtype": (
        lambda g: setattr(g.nodes[0].output, "type", TensorType("int32", (2,))),
        "value 'exp' is recorded as int32[2], but Exp gives float32[2]",
    ),
    "rank": (lambda g: setattr(g.nodes[0].output, "type", TensorType("float32", (2, 1))), "but Exp gives float32[2]"),
    "size": (lambda g: setattr(g.nodes[0].output, "type", TensorType("float32", (3,))), "but Exp gives float32[2]"),
    "attribute": (
        lambda g: g.nodes[0].attributes.update(axis=1),
        "node 'exp' (Exp) is illegal: Exp has no attribute ['axis']",
    ),
    "operator": (lambda g: setattr(g.nodes[0], "op", "Expo"), "operator 'Expo' does not exist in ai.onnx opset"),
    "number of inputs": (
        lambda g: g.append(Node("Exp", [g.inputs[0], g.inputs[0]], {}), [F2]),
        "Exp takes 1 to 1 inputs, got 2",
    ),
    "dtypes that do not go together": (
        lambda g: g.append(Node("Add", [g.inputs[0], g.add_constant(np.int64(1))], {}), [F2]),
        "Add does not accept (float32[2], int64[])",
    ),
    "sizes that do not go together": (
        lambda g: g.append(Node("Add", [g.inputs[0], g.add_constant(np.ones(3, np.float32))], {}), [F2]),
        "Add does not accept (float32[2], float32[3])",
    ),
}


@pytest.mark.parametrize("kind", TYPE_FAULTS)
def test_a_wrong_type_is_found_with_inference_only(kind: str) -> None:
    graph = build()
    breaks, message = TYPE_FAULTS[kind]
    breaks(graph)
    verify(graph)
    with pytest.raises(VerificationError) as raised:
        verify(graph, infer_types)
    assert message in str(raised.value)


def test_a_name_may_stand_for_any_size() -> None:
    graph = build()
    graph.nodes[0].output.type = TensorType("float32", ("n",))
    verify(graph, infer_types)


def test_too_many_outputs_are_found() -> None:
    graph = build()
    graph.add_node_output(graph.nodes[0], F2, "more")
    with pytest.raises(VerificationError, match="node 'exp'"):
        verify(graph, infer_types)


def test_the_error_shows_the_neighbourhood_and_what_ran_last() -> None:
    graph = Graph("long")
    value = graph.add_input("x", F2)
    for k in range(20):
        value = graph.append(Node("Neg", [value], {}, name=f"n{k}"), [F2]).output
    graph.set_outputs([value], ["y"])
    graph.nodes[10].output.type = TensorType("int8", (2,))
    with pytest.raises(VerificationError) as raised:
        verify(graph, infer_types, after="pass flip")
    text = str(raised.value)
    assert text.startswith("graph 'long' is invalid after pass flip: ")
    lines = text.splitlines()[1:]
    assert len(lines) == 11 and [line[:3] for line in lines].count("-> ") == 1
    assert next(line for line in lines if line.startswith("-> ")) == "-> %n10: int8[2] = Neg(%n9)"
    assert any("%n5:" in line for line in lines) and not any("%n4:" in line for line in lines)


def test_subgraphs_are_verified() -> None:
    graph = zoo.ZOO["branches"]()
    branch = next(n for n in graph if n.op == "If").attributes["then_branch"]
    branch.parent = None
    with pytest.raises(VerificationError, match="subgraph 'then' of node 'if' has another parent"):
        check_graph(graph)
    graph = zoo.ZOO["branches"]()
    branch = next(n for n in graph if n.op == "If").attributes["then_branch"]
    branch.nodes[-1].output.type = TensorType("int8", (2,))
    with pytest.raises(VerificationError, match="graph 'then' is invalid"):
        check_graph(graph)


def test_a_name_may_not_be_used_again_inside() -> None:
    graph = zoo.ZOO["branches"]()
    branch = next(n for n in graph if n.op == "If").attributes["then_branch"]
    branch.nodes[0].output.name = "x"
    with pytest.raises(VerificationError, match="two values are named 'x'"):
        verify(graph)


@pytest.mark.parametrize("name", zoo.ZOO)
def test_the_zoo_is_valid(name: str) -> None:
    check_graph(zoo.ZOO[name]())
