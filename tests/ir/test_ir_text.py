"""The text form, the fingerprint, types, and the networkx view."""

from __future__ import annotations

import numpy as np
import pytest

import zoo
from nngraph.ir import Graph, Node, Origin, TensorType, broadcast_shapes, fingerprint, node_to_text, to_text
from nngraph.ir.nx import same_structure, to_networkx
from nngraph.ir.types import dims_compatible, is_float, is_integer, numpy_dtype, standardize_dtype

F2 = TensorType("float32", (2,))


def small(**changes: object) -> Graph:
    """Build a graph with one thing in it different."""
    graph = Graph(str(changes.get("graph", "small")))
    x = graph.add_input(str(changes.get("input", "x")), changes.get("type", F2))  # type: ignore[arg-type]
    scale = graph.add_constant(
        np.asarray(changes.get("data", np.float32([1, 2]))), str(changes.get("constant", "scale"))
    )
    op = str(changes.get("op", "Mul"))
    node = Node(op, [x, scale], {}, name=str(changes.get("node", "")), origin=changes.get("origin", Origin()))  # type: ignore[arg-type]
    product = graph.append(node, [F2]).output
    attributes = changes.get("attributes", {"alpha": 0.1})
    relu = graph.append(Node("LeakyRelu", [product], attributes), [F2]).output  # type: ignore[arg-type]
    graph.set_outputs([relu, x], [str(changes.get("output", "y")), "x_again"])
    graph.metadata["note"] = str(changes.get("note", ""))
    return graph


def test_the_text_of_a_graph() -> None:
    assert to_text(small(origin=Origin(layer="scale"))) == (
        "graph small(%x: float32[2]) {\n"
        "  const %scale: float32[2] = [1.0, 2.0]\n"
        "  %mul: float32[2] = Mul(%x, %scale)  # scale\n"
        "  %leakyrelu: float32[2] = LeakyRelu(%mul, alpha=0.1)\n"
        "  return y=%leakyrelu, x_again=%x\n"
        "}"
    )


def test_origins_may_be_left_out() -> None:
    assert to_text(small(origin=Origin(layer="scale")), origins=False) == to_text(small())


def test_large_constants_are_shown_by_their_hash() -> None:
    first, again, other = (small(data=np.arange(9) + k) for k in (0, 0, 1))
    line = to_text(first).splitlines()[1]
    assert "<9 elements, sha256 " in line
    assert to_text(first) == to_text(again) != to_text(other)


def test_absent_inputs_and_several_outputs() -> None:
    graph = Graph()
    x = graph.add_input("x", F2)
    low = graph.add_constant(np.float32(1), "low")
    assert node_to_text(graph.append(Node("Clip", [x, None, low], {}), [F2])) == "%clip: float32[2] = Clip(%x, _, %low)"
    split = graph.append(Node("Split", [x], {"axis": 0, "num_outputs": 2}), [TensorType("float32", (1,))] * 2)
    assert node_to_text(split).startswith(
        "%split.0: float32[1], %split.1: float32[1] = Split(%x, axis=0, num_outputs=2)"
    )


def test_subgraphs_are_indented() -> None:
    text = to_text(zoo.ZOO["branches"]())
    assert "\n    else_branch = graph otherwise() {\n" in text and "\n    then_branch = graph then() {\n" in text
    assert "then_branch=<graph>" in text and "\n      return " in text


@pytest.mark.parametrize("name", zoo.ZOO)
def test_text_and_fingerprint_are_deterministic(name: str) -> None:
    first, second = zoo.ZOO[name](), zoo.ZOO[name]()
    assert to_text(first) == to_text(second) == to_text(first.clone())
    assert fingerprint(first) == fingerprint(second) == fingerprint(first.clone())


def test_fingerprints_of_the_zoo_differ() -> None:
    assert len({fingerprint(make()) for make in zoo.ZOO.values()}) == len(zoo.ZOO)


@pytest.mark.parametrize(
    "changes",
    [
        {"input": "z"},
        {"output": "z"},
        {"op": "Add"},
        {"data": np.float32([1, 3])},
        {"attributes": {"alpha": 0.2}},
        {"attributes": {}},
        {"type": TensorType("float32", ("batch",))},
    ],
)
def test_what_decides_the_result_is_in_the_fingerprint(changes: dict[str, object]) -> None:
    assert fingerprint(small(**changes)) != fingerprint(small())


@pytest.mark.parametrize(
    "changes",
    [{"graph": "z"}, {"node": "z"}, {"constant": "z"}, {"origin": Origin(layer="z")}, {"note": "z"}],
)
def test_what_only_names_things_is_not(changes: dict[str, object]) -> None:
    assert fingerprint(small(**changes)) == fingerprint(small())


def test_bodies_are_in_the_fingerprint() -> None:
    graph = zoo.ZOO["scan"]()
    before = fingerprint(graph)
    body = next(n for n in graph if n.op == "Scan").attributes["body"]
    body.nodes[-1].attributes["other"] = 1
    assert fingerprint(graph) != before


# -- types ------------------------------------------------------------------------------------------------------------


def test_types() -> None:
    kind = TensorType("float32", ("batch", 3))
    assert (kind.rank, kind.is_static, kind.size, str(kind)) == (2, False, None, "float32[batch, 3]")
    assert kind.with_dtype("int8") == TensorType("int8", ("batch", 3))
    assert (
        kind.with_shape([2, 3]).size == 6 and TensorType("bool", ()).size == 1 and TensorType("bool", (0, 5)).size == 0
    )
    assert TensorType.of(np.zeros((2, 0), "uint8")) == TensorType("uint8", (2, 0))


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (np.float64, "float64"),
        (np.dtype("int8"), "int8"),
        (float, "float32"),
        (int, "int32"),
        (bool, "bool"),
        (str, "string"),
        ("half", "float16"),
        ("double", "float64"),
        ("bfloat16", "bfloat16"),
        ("torch.float32", "float32"),
        (np.dtype("<U3"), "string"),
        (np.dtype(object), "string"),
    ],
)
def test_dtype_names(given: object, name: str) -> None:
    assert standardize_dtype(given) == name


def test_unknown_dtypes_are_named() -> None:
    with pytest.raises(ValueError, match="dtype 'float31' is not supported"):
        standardize_dtype("float31")


def test_kinds_of_dtypes() -> None:
    assert is_float("bfloat16") and not is_float("int8") and not is_float("complex64")
    assert is_integer("uint64") and not is_integer("bool")
    assert numpy_dtype("bfloat16").itemsize == 2 and numpy_dtype("string") == np.dtype(object)


@pytest.mark.parametrize(
    ("shapes", "result"),
    [
        ([], ()),
        ([(2, 3), (3,)], (2, 3)),
        ([("batch", 1), (4,)], ("batch", 4)),
        ([("batch",), (5,)], (5,)),
        ([(1, 0), (3, 1)], (3, 0)),
        ([("n",), ("n",)], ("n",)),
    ],
)
def test_broadcasting(shapes: list[tuple[int | str, ...]], result: tuple[int | str, ...]) -> None:
    assert broadcast_shapes(shapes) == result


def test_shapes_that_do_not_broadcast() -> None:
    with pytest.raises(ValueError, match="do not broadcast"):
        broadcast_shapes([(2,), (3,)])
    assert dims_compatible("a", 3) and dims_compatible(3, 3) and not dims_compatible(3, 4)


# -- networkx ---------------------------------------------------------------------------------------------------------


def test_the_view_has_everything() -> None:
    graph = small()
    view = to_networkx(graph)
    kinds = sorted(data["kind"] for _, data in view.nodes(data=True))
    assert kinds == ["constant", "input", "node", "node", "output", "output"]
    mul, relu = graph.nodes
    ((_, _, edge),) = view.out_edges(mul, data=True)
    assert edge["value"] is mul.output and edge["slot"] == 0 and edge["bytes"] == 8
    assert sorted(d["slot"] for *_, d in view.in_edges(mul, data=True)) == [0, 1]
    assert ("output", 0) in view.successors(relu)
    assert len(to_networkx(graph, constants=False)) == len(view) - 1


def test_unknown_sizes_have_no_bytes() -> None:
    graph = small(type=TensorType("float32", ("batch",)))
    edges = [d for *_, d in to_networkx(graph).out_edges(graph.inputs[0], data=True)]
    assert edges and all(d["bytes"] is None for d in edges)


def test_captured_values_are_edges() -> None:
    graph = zoo.ZOO["branches"]()
    view = to_networkx(graph)
    branch = next(n for n in graph if n.op == "If")
    assert view.has_edge(graph.inputs[1], branch)


@pytest.mark.parametrize("name", ["mlp", "branches", "duplicates", "many_outputs", "passes_through"])
def test_structure_is_equal_up_to_names(name: str) -> None:
    graph, other = zoo.ZOO[name](), zoo.ZOO[name]()
    for node in other:
        node.name += "_renamed"
    assert same_structure(graph, other)


def test_structure_knows_order_of_inputs_attributes_and_types() -> None:
    def difference(swap: bool, kind: TensorType = F2) -> Graph:
        graph = Graph()
        a, b = graph.add_input("a", kind), graph.add_input("b", kind)
        graph.set_outputs([graph.append(Node("Sub", [b, a] if swap else [a, b], {}), [kind]).output])
        return graph

    assert same_structure(difference(False), difference(False))
    assert not same_structure(difference(False), difference(True))
    assert not same_structure(difference(False), difference(False, TensorType("float32", (3,))))
    assert not same_structure(small(), small(attributes={"alpha": 0.5}))
