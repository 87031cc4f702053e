"""The graph: its few mutators, iteration while it changes, copies."""

from __future__ import annotations

import numpy as np
import pytest

import zoo
from nngraph.ir import Graph, Node, Origin, TensorType, copy_node, to_text, verify

F2 = TensorType("float32", (2,))


def add(graph: Graph, op: str, *inputs: object, before: Node | None = None) -> Node:
    return graph.insert_before(before, Node(op, inputs, {}), [F2])  # type: ignore[arg-type]


@pytest.fixture
def chain() -> Graph:
    """x -> a -> b -> c."""
    graph = Graph("chain")
    value = graph.add_input("x", F2)
    for op in ("Exp", "Neg", "Sin"):
        value = add(graph, op, value).output
    graph.set_outputs([value], ["y"])
    return graph


def ops(graph: Graph) -> list[str]:
    return [n.op for n in graph]


# -- building ---------------------------------------------------------------------------------------------------------


def test_names_are_unique_over_nodes_values_and_subgraphs() -> None:
    graph = Graph()
    assert [graph.add_input("x", F2).name for _ in range(3)] == ["x", "x_1", "x_2"]
    inner = Graph("inner", parent=graph)
    assert inner.add_input("x", F2).name == "x_3"
    assert graph.add_constant(np.float32(1), "x_3").name == "x_3_1"
    node = add(graph, "Exp", graph.inputs[0])
    assert node.name == node.output.name == "exp"
    split = graph.append(Node("Split", [graph.inputs[0]], {}), [F2, F2])
    assert [o.name for o in split.outputs] == ["split.0", "split.1"]
    named = graph.append(Node("Exp", [graph.inputs[0]], {}, name="exp"), [F2], ["result"])
    assert (named.name, named.output.name) == ("exp_1", "result")


def test_nodes_stand_where_they_are_put(chain: Graph) -> None:
    neg = chain.nodes[1]
    add(chain, "Cos", chain.inputs[0], before=neg)
    add(chain, "Tan", chain.inputs[0], before=chain.first)
    add(chain, "Abs", chain.inputs[0])
    assert ops(chain) == ["Tan", "Exp", "Cos", "Neg", "Sin", "Abs"]
    assert [n.op for n in reversed(chain)] == ops(chain)[::-1] and len(chain) == 6
    chain.move_before(None, chain.first)  # type: ignore[arg-type]
    assert ops(chain) == ["Exp", "Cos", "Neg", "Sin", "Abs", "Tan"] and len(chain) == 6
    chain.move_before(neg, neg)
    assert ops(chain)[2] == "Neg" and neg.next is not None and neg.next.op == "Sin"
    assert neg.previous is not None and neg.previous.op == "Cos"


def test_a_node_belongs_to_one_graph(chain: Graph) -> None:
    with pytest.raises(ValueError, match="node 'exp' is already in graph 'chain'"):
        Graph("other").append(chain.nodes[0], [F2])


def test_more_outputs_than_one_can_be_added(chain: Graph) -> None:
    node = chain.nodes[0]
    value = chain.add_node_output(node, F2, "more")
    assert node.outputs == (node.output, value) and value.index == 1 and value.producer is node


# -- uses -------------------------------------------------------------------------------------------------------------


def test_uses_follow_every_change(chain: Graph) -> None:
    x, (exp, neg, _) = chain.inputs[0], chain.nodes
    assert list(x.uses) == [(exp, 0)] and x.users == [exp]
    neg.set_input(0, x)
    assert list(x.uses) == [(exp, 0), (neg, 0)] and not exp.output.uses
    neg.set_input(0, None)
    assert list(x.uses) == [(exp, 0)] and neg.inputs == (None,)
    square = add(chain, "Mul", x, x)
    assert (square, 0) in x.uses and (square, 1) in x.uses and x.users == [exp, square]
    square.set_input(0, exp.output)
    assert (square, 0) not in x.uses and (square, 1) in x.uses


def test_a_value_is_replaced_at_all_its_uses(chain: Graph) -> None:
    x, (exp, neg, sin) = chain.inputs[0], chain.nodes
    square = add(chain, "Mul", exp.output, exp.output, before=neg)
    exp.output.replace_uses(x)
    assert square.inputs == (x, x) and neg.inputs == (x,) and not exp.output.uses
    sin.output.replace_uses(x, outputs=False)
    assert chain.outputs == [sin.output]
    sin.output.replace_uses(x)
    assert chain.outputs == [x] and chain.output_names == ["y"] and x.is_output and not sin.output.is_output
    x.replace_uses(x)
    assert chain.outputs == [x]


def test_a_value_in_two_outputs_is_replaced_in_both(chain: Graph) -> None:
    y, x = chain.outputs[0], chain.inputs[0]
    chain.set_outputs([y, x, y], ["a", "b", "c"])
    y.replace_uses(x)
    assert chain.outputs == [x, x, x] and chain.output_names == ["a", "b", "c"]


def test_erasing_frees_what_was_used(chain: Graph) -> None:
    *_, neg, sin = chain.nodes
    chain.set_outputs([chain.inputs[0]])
    chain.erase(sin)
    assert ops(chain) == ["Exp", "Neg"] and not neg.output.uses and sin.graph is None and len(chain) == 2


def test_nothing_in_use_can_be_erased(chain: Graph) -> None:
    exp, _, sin = chain.nodes
    with pytest.raises(ValueError, match=r"cannot erase node 'exp' \(Exp\): its output 'exp' is still used"):
        chain.erase(exp)
    with pytest.raises(ValueError, match="cannot erase node 'sin'"):
        chain.erase(sin)
    constant = chain.add_constant(np.float32(1))
    used = add(chain, "Add", constant, sin.output)
    with pytest.raises(ValueError, match="cannot erase constant 'const'"):
        chain.erase_constant(constant)
    chain.erase(used)
    chain.erase_constant(constant)
    assert not chain.constants


def test_erasing_a_node_with_a_subgraph_frees_what_that_captured() -> None:
    graph = zoo.ZOO["branches"]()
    (node,) = (n for n in graph if n.op == "If")
    w = graph.inputs[1]
    assert w.uses and w in node.captures()
    graph.set_outputs([graph.inputs[0]])
    graph.erase(node)
    assert not w.uses


def test_an_input_becomes_a_constant(chain: Graph) -> None:
    x = chain.inputs[0]
    chain.make_constant(x, np.zeros(2, np.float32))
    assert not chain.inputs and x.is_constant and list(chain.constants) == [x]
    verify(chain)


def test_a_graph_returns_its_own_values(chain: Graph) -> None:
    inner = Graph("inner", parent=chain)
    with pytest.raises(ValueError, match="graph 'inner' cannot return 'x', a value of graph 'chain'"):
        inner.set_outputs([chain.inputs[0]])
    with pytest.raises(ValueError, match="1 outputs need as many names, got 2"):
        chain.set_outputs([chain.inputs[0]], ["a", "b"])


# -- iteration --------------------------------------------------------------------------------------------------------


def test_a_node_may_be_erased_while_iterating(chain: Graph) -> None:
    chain.set_outputs([chain.inputs[0]])
    for node in reversed(chain):
        chain.erase(node)
    assert not ops(chain) and chain.first is None


def test_neighbours_may_be_erased_while_iterating(chain: Graph) -> None:
    chain.set_outputs([chain.inputs[0]])
    seen = []
    for node in chain:
        seen.append(node.op)
        if node.op == "Exp":
            for other in reversed(chain.nodes):
                chain.erase(other)
    assert seen == ["Exp"]


def test_what_is_inserted_behind_is_visited_and_what_is_inserted_before_is_not(chain: Graph) -> None:
    seen = []
    for node in chain:
        seen.append(node.op)
        if node.op == "Neg":
            add(chain, "Cos", chain.inputs[0], before=node)
            add(chain, "Tan", chain.inputs[0], before=node.next)
    assert seen == ["Exp", "Neg", "Tan", "Sin"]


def test_all_nodes_include_those_of_subgraphs() -> None:
    graph = zoo.ZOO["branches"]()
    assert len(list(graph.all_nodes())) == len(graph) + sum(len(s) for n in graph for s in n.subgraphs) > len(graph)


def test_find(chain: Graph) -> None:
    assert chain.find("y") is chain.outputs[0] and chain.find("neg") is chain.nodes[1].output
    assert chain.find("x") is chain.inputs[0]
    with pytest.raises(KeyError, match="graph 'chain' has no value named 'z'"):
        chain.find("z")


# -- values -----------------------------------------------------------------------------------------------------------


def test_a_value_is_no_number(chain: Graph) -> None:
    x = chain.inputs[0]
    for misuse in (bool, np.asarray):
        with pytest.raises(TypeError, match="value 'x'"):
            misuse(x)
    assert len(x) == 2
    scalar, named = (
        chain.add_input("s", TensorType("float32", ())),
        chain.add_input("n", TensorType("float32", ("batch",))),
    )
    with pytest.raises(TypeError, match="value 's' is a scalar and has no length"):
        len(scalar)
    with pytest.raises(TypeError, match="the length of value 'n' is 'batch', known only at run time"):
        len(named)


# -- copies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", zoo.ZOO)
def test_a_clone_is_equal_and_independent(name: str) -> None:
    graph = zoo.ZOO[name]()
    before = to_text(graph)
    copy, mapping = graph.clone_with_map()
    assert to_text(copy) == before
    verify(copy)
    mine = {*graph.values(), *(v for n in graph.all_nodes() for v in n.outputs)}
    theirs = {*copy.values(), *(v for n in copy.all_nodes() for v in n.outputs)}
    assert mine.isdisjoint(theirs) and {mapping[v] for v in graph.values()} <= theirs
    for value, twin in zip(graph.constants, copy.constants, strict=True):
        assert value.data is twin.data, "arrays are shared"
    copy.set_outputs([])
    for node in reversed(copy):
        copy.erase(node)
    assert to_text(graph) == before
    assert copy.unique_name(next(iter(graph.values())).name) != next(iter(graph.values())).name, "names stay taken"


def test_a_clone_can_have_another_name(chain: Graph) -> None:
    assert chain.clone("twin").name == "twin" and chain.clone().name == "chain"


def test_metadata_is_copied(chain: Graph) -> None:
    chain.metadata["key"] = "text"
    copy = chain.clone()
    copy.metadata["key"] = "other"
    assert chain.metadata == {"key": "text"}


def test_a_node_is_copied_with_fresh_names(chain: Graph) -> None:
    x, exp = chain.inputs[0], chain.nodes[0]
    exp.origin = Origin(layer="dense")
    mapping = {x: chain.add_input("other", F2)}
    copy = copy_node(exp, chain, mapping, before=chain.first)
    assert copy is chain.first and copy.name == "exp_1" and copy.inputs == (mapping[x],)
    assert mapping[exp.output] is copy.output and copy.origin.layer == "dense"
    verify(chain)


def test_copied_subgraphs_have_the_new_parent() -> None:
    graph = zoo.ZOO["scan"]()
    copy = graph.clone()
    body = next(n for n in copy if n.op == "Scan").attributes["body"]
    assert body.parent is copy
    assert all(v.graph in (copy, body) for n in body for v in n.inputs if v is not None)


# -- sizes, origins ---------------------------------------------------------------------------------------------------


def test_sizes_are_bound_everywhere() -> None:
    graph = zoo.ZOO["scan"]()
    graph.bind_dims({"batch": 7, "time": "steps"})
    assert graph.inputs[0].shape == ("steps", 7, 2)
    body = next(n for n in graph if n.op == "Scan").attributes["body"]
    assert body.inputs[0].shape == (7, 2)


def test_origins_say_where_a_node_comes_from() -> None:
    origin = Origin(layer="model/dense", forward="matmul")
    assert str(origin) == "model/dense; grad of matmul"
    twice = origin.rewritten("fuse").rewritten("fuse").rewritten("cse")
    assert twice.by == ("fuse", "cse") and str(twice).endswith("; by fuse, cse")
    assert str(Origin()) == ""
