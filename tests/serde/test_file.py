"""Files: written whole or not at all, read as data, refused with one clear error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.reference
import pytest

from nngraph.ir import Graph, Node, TensorType, to_text
from nngraph.serde import from_proto, read_model, summarize, to_proto, write_model
from nngraph.serde.file import atomic_write


def small_graph() -> Graph:
    graph = Graph("small")
    x = graph.add_input("x", TensorType("float32", ("batch", 2)))
    w = graph.add_constant(np.arange(6, dtype=np.float32).reshape(2, 3), "w")
    y = graph.append(Node("MatMul", [x, w], {}), [TensorType("float32", ("batch", 3))]).output
    z = graph.append(Node("Softmax", [y], {"axis": -1}), [y.type]).output
    graph.set_outputs([z, x], ["probabilities", "same"])
    return graph


def test_a_model_and_its_state_come_back(tmp_path: Path) -> None:
    graph = small_graph()
    graph.metadata["note"] = "ünïcode"
    state = {"slot": np.arange(3.0), "count": np.int64(7).reshape(())}
    write_model(graph, tmp_path / "m.onnx", state=state)
    found = read_model(tmp_path / "m.onnx")
    assert found.metadata["note"] == "ünïcode"
    np.testing.assert_array_equal(found.tensors["w"], np.arange(6).reshape(2, 3))
    np.testing.assert_array_equal(found.state["slot"], np.arange(3.0))
    assert found.state["count"].shape == () and int(found.state["count"]) == 7
    onnx.checker.check_model(str(tmp_path / "m.onnx"), full_check=True)


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="half way"), atomic_write(path) as file:
        file.write(b"new")
        raise RuntimeError("half way")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write_model(small_graph(), tmp_path / "nowhere" / "m.onnx")


@pytest.mark.parametrize("cut", [0, 1, 10, 0.5, 0.9])
def test_a_cut_off_file_is_refused(tmp_path: Path, cut: float) -> None:
    path = tmp_path / "m.onnx"
    write_model(small_graph(), path)
    data = path.read_bytes()
    path.write_bytes(data[: int(cut * len(data)) if 0 < cut < 1 else int(cut)])
    with pytest.raises(ValueError, match="not an ONNX model"):
        read_model(path)


def test_foreign_bytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(np.random.default_rng(0).bytes(500))
    with pytest.raises(ValueError, match="not an ONNX model"):
        summarize(path)


def test_round_trip_keeps_the_text() -> None:
    graph = small_graph()
    again = from_proto(to_proto(graph))
    assert to_text(from_proto(to_proto(again))) == to_text(again)
    assert [v.name for v in again.inputs] == ["x"]
    assert again.output_names == ["probabilities", "same"]
    assert again.outputs[0].shape == ("batch", 3)


def test_an_output_that_is_an_input_gets_a_node_of_its_own() -> None:
    model = to_proto(small_graph())
    onnx.checker.check_model(model, full_check=True)
    assert [n.op_type for n in model.graph.node] == ["MatMul", "Softmax", "Identity"]


def test_an_inner_value_steps_aside_for_an_outputs_name() -> None:
    graph = Graph("clash")
    x = graph.add_input("x", TensorType("float32", (2,)))
    inner = graph.append(Node("Neg", [x], {}, name="y"), [x.type]).output
    outer = graph.append(Node("Abs", [inner], {}, name="z"), [x.type]).output
    graph.set_outputs([outer], ["y"])
    model = to_proto(graph)
    onnx.checker.check_model(model, full_check=True)
    session = onnx.reference.ReferenceEvaluator(model)
    np.testing.assert_array_equal(session.run(None, {"x": np.float32([1, -2])})[0], [1, 2])


@pytest.mark.parametrize(
    ("op", "attributes", "types", "opset"),
    [
        ("Relu", {}, ["float32"], 20),
        ("Gelu", {"approximate": "tanh"}, ["float32"], 20),
        ("Swish", {"alpha": 1.0}, ["float32"], 24),
        ("ReduceSum", {}, ["float32"], 20),
    ],
)
def test_files_declare_the_oldest_sufficient_opset(op: str, attributes: dict, types: list[str], opset: int) -> None:
    graph = Graph("one")
    values = [graph.add_input(f"x{k}", TensorType(t, (2,))) for k, t in enumerate(types)]
    shape = (1,) if op == "ReduceSum" else (2,)
    node = graph.append(Node(op, values, attributes), [TensorType("float32", shape)])
    graph.set_outputs([node.output], ["y"])
    assert to_proto(graph).opset_import[0].version == opset


def test_a_default_that_an_older_opset_does_not_know_is_left_out() -> None:
    graph = Graph("g")
    x = graph.add_input("x", TensorType("uint8", (2,)))
    scale = graph.add_constant(np.float32(0.5))
    node = Node("DequantizeLinear", [x, scale], {"block_size": 0, "axis": 0})
    graph.set_outputs([graph.append(node, [TensorType("float32", (2,))]).output], ["y"])
    model = to_proto(graph)
    onnx.checker.check_model(model)
    assert [a.name for a in model.graph.node[0].attribute] == ["axis"]
    assert {a.name for a in to_proto(graph, 21).graph.node[0].attribute} == {"axis", "block_size"}


def test_an_opset_that_cannot_express_the_graph_is_refused() -> None:
    graph = Graph("one")
    x = graph.add_input("x", TensorType("float32", (2,)))
    graph.set_outputs([graph.append(Node("Gelu", [x], {}), [x.type]).output], ["y"])
    with pytest.raises(ValueError, match=r"opset_version=17 cannot express Gelu \(needs 20\)"):
        to_proto(graph, 17)
    with pytest.raises(ValueError, match="choose 13 to"):
        to_proto(graph, 99)


def test_old_models_are_upgraded() -> None:
    """Opset 11's Softmax flattens to two dimensions, opset 9's Squeeze has its axes as an attribute."""
    helper = onnx.helper
    value = helper.make_tensor_value_info
    nodes = [helper.make_node("Squeeze", ["x"], ["s"], axes=[1]), helper.make_node("Softmax", ["s"], ["y"], axis=1)]
    graph = helper.make_graph(nodes, "old", [value("x", 1, [2, 1, 3, 4])], [value("y", 1, [2, 3, 4])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 9)], ir_version=4)
    data = np.random.default_rng(0).normal(size=(2, 1, 3, 4)).astype(np.float32)
    new = onnx.reference.ReferenceEvaluator(to_proto(from_proto(model))).run(None, {"x": data})[0]
    flat = np.exp(data.reshape(2, 12))
    np.testing.assert_allclose(new, (flat / flat.sum(1, keepdims=True)).reshape(2, 3, 4), rtol=1e-5)


def test_a_summary_has_the_facts(tmp_path: Path) -> None:
    write_model(small_graph(), tmp_path / "m.onnx")
    found = summarize(tmp_path / "m.onnx")
    assert (found.parameters, found.parameter_bytes, found.initializers, found.nodes) == (6, 24, 1, 3)
    assert found.operators == {"Identity": 1, "MatMul": 1, "Softmax": 1}
    assert [(t.name, t.dtype, t.shape) for t in found.inputs] == [("x", "float32", ["batch", 2])]
    assert found.opsets == {"ai.onnx": 20}
    assert found.size == (tmp_path / "m.onnx").stat().st_size
