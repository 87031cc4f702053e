"""Old nodes mean in the newest opset what they meant: the runtime executes both."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
from old_models import Scope, old_model, run, upgraded
from onnx import defs, helper, version_converter

from nngraph.ir import TensorType
from nngraph.proto import attribute_to_proto
from nngraph.runtime import Session
from nngraph.schema import OPSET
from nngraph.serde import from_proto
from nngraph.serde.upgrade import RULES, upgrade_node


class Case(NamedTuple):
    op: str
    opset: int
    inputs: list[Any]
    attributes: dict[str, Any] = {}
    outputs: int = 1
    constants: tuple[int, ...] = ()


def f(*shape: int, dtype: str = "float32", seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


X = f(2, 3, 4, 5)
BN = [X, f(3), f(3, seed=1), f(3, seed=2), np.abs(f(3, seed=3)) + 0.5]
REDUCTIONS = [op for op in RULES if op.startswith("Reduce")]


def cases() -> Iterator[Case]:
    # Attributes that became inputs.
    for opset in (7, 10):
        yield Case("Clip", opset, [X], {"min": -0.5, "max": 0.25})
        yield Case("Clip", opset, [X], {"max": 0.25})
        yield Case("Clip", opset, [X])
    for mode in ("constant", "reflect", "edge"):
        yield Case("Pad", 10, [X], {"pads": [0, 1, 2, 0, 0, 0, 1, 1], "mode": mode})
    yield Case("Pad", 7, [f(2, 3, dtype="float64")], {"pads": [0, -1, 1, 2], "value": 2.5})
    yield Case("Slice", 9, [X], {"starts": [1, -3], "ends": [3, 1000], "axes": [1, 3]})
    yield Case("Slice", 7, [X], {"starts": [0, 1], "ends": [2, -1]})
    yield Case("TopK", 9, [X], {"k": 2, "axis": 2}, outputs=2)
    yield Case("TopK", 7, [X], {"k": 3}, outputs=2)
    yield Case("TopK", 10, [X, ints(2)], {}, outputs=2)
    yield Case("Split", 12, [X], {"split": [1, 3], "axis": 2}, outputs=2)
    yield Case("Split", 7, [X], {"axis": 2}, outputs=2)
    yield Case("Split", 13, [X], {"axis": 2}, outputs=4)
    yield Case("Split", 13, [X, ints(1, 2)], {"axis": 1}, outputs=2, constants=(1,))
    for opset in (7, 11, 12):
        yield Case("Squeeze", opset, [f(1, 3, 1, 2)], {"axes": [0, 2]})
        yield Case("Squeeze", opset, [f(1, 3, 1, 2)])
        yield Case("Unsqueeze", opset, [f(3, 2)], {"axes": [0, 3]})
    for op in REDUCTIONS:
        data = np.abs(X) + 0.5
        for opset in (7, 11, 12, 13, 17):
            if op == "ReduceSum" and opset > 12:
                continue
            yield Case(op, opset, [data], {"axes": [1, 3], "keepdims": 0})
        yield Case(op, 11, [data], {"axes": [-1]})
        yield Case(op, 8, [data])
    for opset in (17, 19):
        yield Case("DFT", opset, [f(2, 8, 6, 1)])
        yield Case("DFT", opset, [f(2, 8, 6, 1)], {"axis": 2, "onesided": 1})
        yield Case("DFT", opset, [f(2, 8, 6, 2), np.array(7, np.int64)], {"axis": 1, "inverse": 1})
    for opset in (7, 10, 11):
        yield Case("Dropout", opset, [X], {"ratio": 0.4})
        yield Case("Dropout", opset, [X])
    yield Case("Scatter", 9, [f(4, 3), np.array([[0, 2, 1], [3, 0, 2]], np.int64), f(2, 3)], {"axis": 0})
    yield Case("Scatter", 10, [f(4, 3), np.array([[0, 2, 1], [1, 0, 2]], np.int64), f(2, 3)], {"axis": 1})
    for mode in ("bilinear", "bicubic", "nearest"):
        for padding in ("zeros", "border", "reflection"):
            yield Case("GridSample", 16, [X, f(2, 3, 3, 2)], {"mode": mode, "padding_mode": padding})
    yield Case("GridSample", 16, [X, f(2, 3, 3, 2)])
    # Meanings.
    for op in ("Softmax", "LogSoftmax", "Hardmax"):
        for opset in (7, 11, 12):
            yield Case(op, opset, [X])
            for axis in (0, 2, 3):
                yield Case(op, opset, [X], {"axis": axis})
        yield Case(op, 12, [X], {"axis": -2})
        yield Case(op, 9, [f(3, 4)])
        yield Case(op, 9, [f(3, 4, 1, 1)])
    for opset in (7, 8, 9, 13):
        yield Case("BatchNormalization", opset, BN, {"epsilon": 1e-3})
    yield Case("BatchNormalization", 7, BN, {"spatial": 1, "momentum": 0.8})
    per_element = [X, f(3, 4, 5), f(3, 4, 5, seed=1), f(3, 4, 5, seed=2), np.abs(f(3, 4, 5, seed=3)) + 0.5]
    yield Case("BatchNormalization", 7, per_element, {"spatial": 0, "epsilon": 1e-2})
    for dtype in ("float32", "float64", "float16"):
        values = [f(2, 6, 4, dtype=dtype), f(3, dtype=dtype), f(3, dtype=dtype, seed=1)]
        yield Case("GroupNormalization", 18, values, {"num_groups": 3})
    boxes = np.array([[0, 0, 3, 2.5], [1, 0.5, 4, 3]], np.float32)
    for opset in (10, 15):
        for mode in ("avg", "max"):
            attributes = {"mode": mode, "output_height": 2, "output_width": 3, "sampling_ratio": 2}
            yield Case("RoiAlign", opset, [X, boxes, ints(0, 1)], attributes)
    yield Case("RoiAlign", 16, [X, boxes, ints(0, 1)], {"output_height": 2, "output_width": 2})
    for opset in (7, 8):
        for mode in ("nearest", "linear"):
            yield Case("Upsample", opset, [X], {"mode": mode, "scales": [1.0, 1.0, 2.0, 1.5]})
    for opset, op in ((9, "Upsample"), (10, "Resize")):
        for mode in ("nearest", "linear"):
            scales = np.array([1, 1, 2, 1.7], np.float32)
            yield Case(op, opset, [X, scales], {"mode": mode}, constants=(1,))
            yield Case(op, opset, [X, scales], {"mode": mode})
    for mode in ("nearest", "linear"):
        for scales in ([1, 1, 0.6, 0.6], [1, 1, 0.6, 2.3], [1, 1, 0.5, 0.4]):
            yield Case("Resize", 10, [X, np.array(scales, np.float32)], {"mode": mode}, constants=(1,))
            yield Case("Resize", 10, [X, np.array(scales, np.float32)], {"mode": mode})
    none = np.zeros(0, np.float32)
    for how in ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"):
        for mode in ("nearest", "linear", "cubic"):
            for opset in (11, 13, 18):
                roi = none if opset == 11 else None
                attributes = {"mode": mode, "coordinate_transformation_mode": how}
                for scales in ([1, 1, 2.5, 0.6], [1, 1, 0.3, 0.2]):
                    yield Case("Resize", opset, [X, roi, np.array(scales, np.float32)], attributes, constants=(2,))
                empty = none if opset == 11 else None
                where = (1, 2) if opset == 11 else ()
                yield Case("Resize", opset, [X, roi, empty, ints(2, 3, 7, 2)], attributes, constants=where)
    for rounding in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"):
        attributes = {"mode": "nearest", "nearest_mode": rounding}
        yield Case("Resize", 11, [X, none, np.array([1, 1, 1.5, 0.5], np.float32)], attributes, constants=(1, 2))
    attributes = {"mode": "nearest", "coordinate_transformation_mode": "tf_half_pixel_for_nn", "nearest_mode": "floor"}
    yield Case("Resize", 11, [X, none, np.array([1, 1, 2, 3], np.float32)], attributes, constants=(1, 2))
    roi = np.array([0, 0, 0.2, 0.1, 1, 1, 0.8, 1.3], np.float32)
    attributes = {"mode": "linear", "coordinate_transformation_mode": "tf_crop_and_resize", "extrapolation_value": 7.0}
    for opset in (11, 13):
        yield Case("Resize", opset, [X, roi, np.array([1, 1, 1.5, 2], np.float32)], attributes, constants=(1, 2))
    # The same all along: no rule, and the runtime agrees. The last windows hang over the edge.
    image = f(1, 2, 10, 9)
    for opset in (7, 10, 11, 18):
        for ceil in (0, 1) if opset >= 10 else (0,):
            for pads in ([0, 0, 0, 0], [1, 1, 1, 1]):
                attributes: dict[str, Any] = {"kernel_shape": [3, 2], "strides": [2, 3], "pads": pads}
                if opset >= 10:
                    attributes["ceil_mode"] = ceil
                for include in (0, 1):
                    yield Case("AveragePool", opset, [image], {**attributes, "count_include_pad": include})
                yield Case("MaxPool", opset, [image], attributes)
                yield Case("MaxPool", max(opset, 8), [image], attributes, outputs=2)
                if not ceil:
                    yield Case("LpPool", opset, [image], {k: v for k, v in attributes.items() if k != "ceil_mode"})
        for auto in ("SAME_UPPER", "SAME_LOWER", "VALID"):
            attributes = {"kernel_shape": [3, 2], "strides": [2, 2], "auto_pad": auto}
            yield Case("AveragePool", opset, [image], attributes)
            yield Case("MaxPool", opset, [image], attributes)
            yield Case("LpPool", opset, [image], attributes)
            yield Case("Conv", opset, [image, f(4, 2, 3, 2)], attributes)
            yield Case("ConvTranspose", opset, [image, f(2, 4, 3, 2)], attributes)
        yield Case("ConvTranspose", opset, [image, f(2, 4, 3, 3)], {"output_shape": [20, 19], "strides": [2, 2]})
        yield Case("Flatten", opset, [X], {"axis": 2})
        yield Case("Gemm", opset, [f(2, 3), f(3, 4), f(4)], {"alpha": 0.5})
        yield Case("PRelu", opset, [X, f(3, 1, 1)])
        yield Case("Concat", opset, [X, X], {"axis": 1})
        yield Case("Gather", opset, [X, ints(1, 0)], {"axis": 1})
        yield Case("ArgMax", opset, [X], {"axis": 1})
        yield Case("Cast", opset, [X * 3], {"to": onnx.TensorProto.INT32})
        yield Case("Reshape", opset, [X, ints(0, -1)])
        yield Case("LRN", opset, [X], {"size": 3})
        yield Case("LpNormalization", opset, [X], {"axis": 1, "p": 2})
        yield Case("DepthToSpace", opset, [f(1, 8, 2, 3)], {"blocksize": 2})
        yield Case("LSTM", opset, [f(4, 2, 3), f(1, 20, 3), f(1, 20, 5)], {"hidden_size": 5}, outputs=3)
        yield Case("GRU", opset, [f(4, 2, 3), f(1, 15, 3), f(1, 15, 5)], {"hidden_size": 5}, outputs=2)
        yield Case("HardSigmoid", opset, [X])
        yield Case("Selu", opset, [X])
        for op in ("Sum", "Max", "Min", "Mean"):
            yield Case(op, max(opset, 8), [X, f(5)])
    for opset in (9, 10, 11):
        onehot = [ints(0, 2, -1, 5, -7), np.array(3, np.int64), np.array([0, 1], np.float32)]
        yield Case("OneHot", opset, onehot)
    boxes = np.abs(f(1, 6, 4))
    nms = [boxes, np.abs(f(1, 1, 6)), ints(3), np.float32([0.5]), np.float32([0.0])]
    yield Case("NonMaxSuppression", 10, nms)
    for opset in (11, 13, 16):
        yield Case("ScatterND", opset, [f(4, 3), np.array([[1], [3]], np.int64), f(2, 3)])
        yield Case("ScatterElements", opset, [f(4, 3), np.array([[0, 2, 1]], np.int64), f(1, 3)])
    for opset in (10, 13, 19, 21):
        yield Case("QuantizeLinear", opset, [X, np.array(0.1, np.float32), np.array(100, np.uint8)])
        quantized = [(X * 30).astype(np.int8), np.array(0.1, np.float32), np.array(3, np.int8)]
        yield Case("DequantizeLinear", opset, quantized)
    for opset in (12, 13):
        for reduction in ("mean", "sum", "none"):
            loss = [f(4, 3), ints(0, 2, 1, 2), np.abs(f(3))]
            yield Case("NegativeLogLikelihoodLoss", opset, loss, {"reduction": reduction, "ignore_index": 1})
            yield Case("SoftmaxCrossEntropyLoss", opset, loss, {"reduction": reduction, "ignore_index": 1})
    for mode in (0, 1, 2, 3):
        attributes = {"is_causal": 1, "qk_matmul_output_mode": mode, "softcap": 2.0}
        yield Case("Attention", 23, [f(1, 2, 3, 4)] * 3, attributes)


def case_id(case: Case) -> str:
    attributes = ",".join(f"{k}={v}" for k, v in case.attributes.items())
    return f"{case.op}-{case.opset}({attributes})"


CASES = list(cases())

RUNS_AT = {"RoiAlign": 21}
"""Operators whose newest version only lists more dtypes, and for which the runtime has no kernel by that number."""


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_the_runtime_computes_the_same(case: Case) -> None:
    model, feeds = old_model(*case[:4], outputs=case.outputs, constants=case.constants)
    new = upgraded(model)
    new.opset_import[0].version = RUNS_AT.get(case.op, OPSET)
    old_values, new_values = run(model, feeds), run(new, feeds)
    for entry, value in zip(new.graph.output, old_values, strict=True):
        dtype = helper.np_dtype_to_tensor_dtype(value.dtype)
        entry.CopyFrom(helper.make_tensor_value_info(entry.name, dtype, value.shape))
    onnx.checker.check_model(new, full_check=True)
    for a, b in zip(old_values, new_values, strict=True):
        assert a.dtype == b.dtype
        half = a.dtype == np.float16
        np.testing.assert_allclose(b, a, rtol=2e-3 if half else 1e-5, atol=1e-3 if half else 1e-6)


CONVERTED = [c for c in CASES if c.op in RULES and c.opset < RULES[c.op][-1].before]


CONVERTER_IS_WRONG = ("Hardmax", "Upsample", "Resize")
"""It flattens no Hardmax, and samples at half pixels what opset 10 sampled at the corners of pixels."""


def test_onnx_converts_to_the_same_where_it_can() -> None:
    compared = 0
    for case in CONVERTED:
        if case.op in CONVERTER_IS_WRONG:
            continue
        model, feeds = old_model(*case[:4], outputs=case.outputs, constants=case.constants)
        new = upgraded(model)
        opset = new.opset_import[0].version = RUNS_AT.get(case.op, OPSET)
        try:
            theirs = run(version_converter.convert_version(model, opset), feeds)
        except Exception:  # no adapter, or a result that the runtime refuses
            continue
        for a, b in zip(theirs, run(new, feeds), strict=True):
            np.testing.assert_allclose(b, a, rtol=2e-3, atol=1e-3, err_msg=case_id(case))
        compared += 1
    assert compared > 60


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_a_second_upgrade_changes_nothing(case: Case) -> None:
    new = upgraded(old_model(*case[:4], outputs=case.outputs, constants=case.constants)[0])
    assert upgraded(new, OPSET) == new
    for node in new.graph.node:
        assert upgrade_node(node, OPSET, Scope({}, {}, [0])) == [node]
        schema = defs.get_schema(node.op_type, OPSET, "")
        assert {a.name for a in node.attribute} <= set(schema.attributes)


def test_a_node_that_means_the_same_is_the_same_object() -> None:
    node = helper.make_node("Relu", ["x"], ["y"])
    assert upgrade_node(node, 7, Scope({}, {}, [0]))[0] is node
    foreign = helper.make_node("Clip", ["x"], ["y"], domain="com.example", min=1.0)
    assert upgrade_node(foreign, 7, Scope({}, {}, [0]))[0] is foreign
    new = helper.make_node("Clip", ["x", "low"], ["y"])
    assert upgrade_node(new, 11, Scope({}, {}, [0]))[0] is new


def test_names_and_metadata_stay() -> None:
    node = helper.make_node("Softmax", ["x"], ["y"], name="attention", axis=1)
    node.metadata_props.add(key="layer", value="head")
    new = upgrade_node(node, 9, Scope({"x": TensorType("float32", (2, 3, 4))}, {}, [0]))
    assert [n.op_type for n in new] == ["Shape", "Flatten", "Softmax", "Reshape"]
    assert new[2].name == "attention"
    assert new[-1].output[0] == "y"
    assert all(n.metadata_props[0].value == "head" for n in new)
    assert node.op_type == "Softmax" and node.attribute[0].i == 1  # the file's own node is as it was


def test_the_reader_upgrades_whole_files() -> None:
    chosen = {case.op: case for case in CASES if case.op in RULES and case.op not in RUNS_AT}
    assert len(chosen) > 25
    for case in chosen.values():
        model, feeds = old_model(*case[:4], outputs=case.outputs, constants=case.constants)
        expected = run(model, feeds)
        for entry, value in zip(model.graph.output, expected, strict=True):
            dtype = helper.np_dtype_to_tensor_dtype(value.dtype)
            entry.CopyFrom(helper.make_tensor_value_info(entry.name, dtype, value.shape))
        graph = from_proto(model)
        found = Session(graph, "cpu").run(feeds)
        for name, value in zip(graph.output_names, expected, strict=True):
            half = value.dtype == np.float16
            np.testing.assert_allclose(
                found[name], value, 2e-3 if half else 1e-4, 1e-3 if half else 1e-5, err_msg=case.op
            )


def test_resize_leaves_out_what_it_does_not_use() -> None:
    node = helper.make_node("Resize", ["x", "roi", "scales", "sizes"], ["y"], mode="cubic")
    (new,) = upgrade_node(node, 11, Scope({}, {}, [0]))
    assert list(new.input) == ["x", "", "", "sizes"]
    node = helper.make_node(
        "Resize", ["x", "roi", "scales"], ["y"], coordinate_transformation_mode="tf_crop_and_resize"
    )
    assert upgrade_node(node, 11, Scope({}, {}, [0]))[0].input[1] == "roi"
    node = helper.make_node("Resize", ["x", "", "scales"], ["y"], coordinate_transformation_mode="tf_half_pixel_for_nn")
    with pytest.raises(ValueError, match="without nearest_mode='floor'"):
        upgrade_node(node, 11, Scope({}, {}, [0]))


# -- what the runtime does not execute -------------------------------------------------------------------------------


def test_batch_normalization_that_trains_gives_all_five_outputs() -> None:
    model, feeds = old_model("BatchNormalization", 9, BN, {"momentum": 0.8}, outputs=5)
    new = upgraded(model)
    y, mean, var, saved_mean, saved_var = run(new, feeds)
    x, scale, bias, old_mean, old_var = (a.astype("float64") for a in BN)
    m, v = x.mean((0, 2, 3)), x.var((0, 2, 3))
    column = (slice(None), None, None)
    normal = (x - m[column]) / np.sqrt(v[column] + 1e-5)
    np.testing.assert_allclose(y, normal * scale[column] + bias[column], 1e-4, 1e-5)
    np.testing.assert_allclose(mean, old_mean * 0.8 + m * 0.2, 1e-5, 1e-6)
    np.testing.assert_allclose(var, old_var * 0.8 + v * 0.2, 1e-5, 1e-6)
    np.testing.assert_allclose(saved_mean, m, 1e-5, 1e-6)
    np.testing.assert_allclose(saved_var, v, 1e-5, 1e-6)


@pytest.mark.parametrize("opset", [7, 10])
def test_the_mask_of_dropout_has_the_dtype_of_its_opset(opset: int) -> None:
    y, mask = run(upgraded(old_model("Dropout", opset, [X], {"ratio": 0.4}, outputs=2)[0]), {"i0": X})
    np.testing.assert_array_equal(y, X)
    assert mask.dtype == (np.float32 if opset == 7 else np.bool_)
    assert mask.all()


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div"])
@pytest.mark.parametrize(
    ("shape", "axis", "seen"), [((3, 4), 1, (3, 4, 1)), ((2,), 0, (2, 1, 1, 1)), ((5,), None, (5,))]
)
def test_broadcasting_of_opset_6(op: str, shape: tuple[int, ...], axis: int | None, seen: tuple[int, ...]) -> None:
    attributes = {"broadcast": 1} if axis is None else {"broadcast": 1, "axis": axis}
    b = f(*shape)
    model, feeds = old_model(op, 6, [X, b], attributes)
    numpy_op = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide}[op]
    np.testing.assert_allclose(run(declared(upgraded(model)), feeds)[0], numpy_op(X, b.reshape(seen)), 1e-5)


def declared(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with a type for each output that has none; the runtime asks for the dtype only."""
    for entry in model.graph.output:
        entry.type.tensor_type.elem_type = entry.type.tensor_type.elem_type or onnx.TensorProto.FLOAT
    return model


@pytest.mark.parametrize(
    ("op", "opset", "inputs", "attributes", "expected"),
    [
        ("PRelu", 6, [X, f(3)], {}, np.where(X < 0, X * f(3)[:, None, None], X)),
        ("Upsample", 6, [X], {"height_scale": 2.0, "width_scale": 3.0}, X.repeat(2, 2).repeat(3, 3)),
        ("Reshape", 4, [X], {"shape": [6, -1]}, X.reshape(6, -1)),
        ("Concat", 3, [X, X], {}, np.concatenate([X, X], 1)),
        ("Cast", 5, [X], {"to": "DOUBLE"}, X.astype("float64")),
        ("Pad", 1, [X], {"paddings": [0, 0, 1, 0, 0, 0, 0, 2]}, np.pad(X, [(0, 0), (0, 0), (1, 0), (0, 2)])),
        ("Relu", 5, [X], {"consumed_inputs": [0]}, np.maximum(X, 0)),
        ("Selu", 1, [X], {}, np.where(X > 0, 1.0507 * X, 1.0507 * (1.6732 * np.exp(X) - 1.6732))),
        ("Dropout", 6, [X], {"is_test": 1}, X),
        ("Gemm", 6, [f(2, 3), f(3, 4), f(4)], {"broadcast": 1}, f(2, 3) @ f(3, 4) + f(4)),
        ("LpPool", 1, [X], {"p": 2.0, "kernel_shape": [4, 5]}, np.sqrt((X**2).sum((2, 3), keepdims=True))),
        ("Tile", 1, [X, ints(2), ints(1)], {}, np.tile(X, (1, 2, 1, 1))),
        ("Split", 1, [X, np.float32([1, 2])], {"axis": 1}, X[:, :1]),
    ],
)
def test_opsets_before_7(op: str, opset: int, inputs: Any, attributes: Any, expected: np.ndarray) -> None:
    constants = (1, 2) if op == "Tile" else ()
    model, feeds = old_model(op, opset, inputs, attributes, constants=constants, outputs=2 if op == "Split" else 1)
    new = upgraded(model)
    new.graph.output[0].type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(expected.dtype)
    np.testing.assert_allclose(run(declared(new), feeds)[0], expected, 1e-4, 1e-6)


def test_recurrent_nodes_before_7_and_batch_normalization() -> None:
    node = helper.make_node("LSTM", ["x", "w", "r"], ["", "h"], hidden_size=2, output_sequence=0)
    (new,) = upgrade_node(node, 6, Scope({}, {}, [0]))
    assert [a.name for a in new.attribute] == ["hidden_size"]
    hints = [0, 0, 0, 1, 1]
    node = helper.make_node("BatchNormalization", list("xsbmv"), ["y", "", ""], is_test=1, consumed_inputs=hints)
    (new,) = upgrade_node(node, 5, Scope({}, {}, [0]))
    assert list(new.output) == ["y"] and not new.attribute
    node = helper.make_node("BatchNormalization", list("xsbmv"), ["y"])
    with pytest.raises(ValueError, match="is_test=0"):
        upgrade_node(node, 6, Scope({}, {}, [0]))


def torch_cases() -> list[Any]:
    from onnx.backend.test import loader

    return [c for c in loader.load_model_tests(kind="pytorch-converted") if (c.model_dir or "")]


@pytest.mark.parametrize("case", torch_cases(), ids=lambda c: c.name)
def test_models_of_opset_6_give_their_recorded_outputs(case: Any) -> None:
    folder = Path(case.model_dir)
    model = onnx.load(folder / "model.onnx")
    feeds = {}
    stored = {t.name for t in model.graph.initializer}
    names = [i.name for i in model.graph.input if i.name not in stored]
    for k, name in enumerate(names):
        feeds[name] = onnx.numpy_helper.to_array(onnx.load_tensor(folder / f"test_data_set_0/input_{k}.pb"))
    new = upgraded(model)
    for k, found in enumerate(run(new, feeds)):
        expected = onnx.numpy_helper.to_array(onnx.load_tensor(folder / f"test_data_set_0/output_{k}.pb"))
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("backwards", [False, True])
def test_scan_with_a_batch_axis(backwards: bool) -> None:
    body = onnx.parser.parse_graph(
        """body (float[2] state, float[2] item) => (float[2] next, float[2] seen) {
            next = Add(state, item)
            seen = Clip <min = -1.5, max = 1.5> (next)
        }"""
    )
    attributes: dict[str, Any] = {"body": body, "num_scan_inputs": 1}
    if backwards:
        attributes["directions"] = [1]
    feeds = {"state": f(3, 2), "items": f(3, 5, 2)}
    graph = helper.make_graph(
        [helper.make_node("Scan", ["", "state", "items"], ["last", "all"], name="scan", **attributes)],
        "g",
        [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, a.shape) for n, a in feeds.items()],
        [
            helper.make_tensor_value_info("last", onnx.TensorProto.FLOAT, (3, 2)),
            helper.make_tensor_value_info("all", onnx.TensorProto.FLOAT, (3, 5, 2)),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 8)], ir_version=8)
    new = upgraded(model)
    onnx.checker.check_model(new)
    last, seen = run(new, feeds)
    items = feeds["items"][:, ::-1] if backwards else feeds["items"]
    sums = feeds["state"][:, None] + np.cumsum(items, 1)
    np.testing.assert_allclose(last, sums[:, -1], 1e-5)
    np.testing.assert_allclose(seen, np.clip(sums, -1.5, 1.5), 1e-5)
    for a, b in zip(run(model, feeds), (last, seen), strict=True):
        np.testing.assert_allclose(b, a, 1e-5)
    imported = Session(from_proto(model), "cpu").run(feeds)  # the reader upgrades the bodies inside of bodies too
    np.testing.assert_allclose(imported["last"], last, 1e-5)
    np.testing.assert_allclose(imported["all"], seen, 1e-5)


# -- nothing is forgotten --------------------------------------------------------------------------------------------

CHECKED_BY_HAND = {
    # (operator, opset of the change): why what looks broken is not.
    ("Erf", 13): "integers were listed by mistake: no runtime computes them",
    ("GRU", 3): "the default of `direction` was misspelt",
}


def changes() -> list[tuple[str, int, Any, Any]]:
    history: dict[str, list[Any]] = {}
    for schema in defs.get_all_schemas_with_history():
        if schema.domain == "" and schema.since_version <= OPSET:
            history.setdefault(schema.name, []).append(schema)
    found = []
    for op, schemas in history.items():
        schemas.sort(key=lambda s: s.since_version)
        found += [(op, new.since_version, old, new) for old, new in itertools.pairwise(schemas)]
    return [c for c in found if c[1] > 1]


def broken(old: Any, new: Any) -> list[str]:
    """Return why a node written for an old schema may be wrong, or mean something else, under a new one."""
    faults = []
    if new.deprecated:
        faults.append("deprecated")
    for name, attribute in old.attributes.items():
        if name not in new.attributes:
            faults.append(f"attribute {name} is gone")
        elif new.attributes[name].type != attribute.type:
            faults.append(f"attribute {name} is of another kind")
        elif attribute.default_value.name and new.attributes[name].default_value != attribute.default_value:
            faults.append(f"attribute {name} has another default")
        elif new.attributes[name].required and not attribute.required:
            faults.append(f"attribute {name} is required")
    added = [a for n, a in new.attributes.items() if n not in old.attributes]
    faults += [f"attribute {a.name} is required" for a in added if a.required]
    for what in ("inputs", "outputs"):
        before, after = getattr(old, what), getattr(new, what)
        if len(after) < len(before):
            faults.append(f"fewer {what}")
        for a, b in zip(before, after, strict=False):
            if a.option != b.option and b.option == defs.OpSchema.FormalParameterOption.Single:
                faults.append(f"{b.name} is required")
        faults += [f"{b.name} is required" for b in after[len(before) :] if b.option.name == "Single"]
    allowed = {t for c in new.type_constraints for t in c.allowed_type_strs}
    lost = {t for c in old.type_constraints for t in c.allowed_type_strs} - allowed
    if lost:
        faults.append(f"dtypes {sorted(lost)} are gone")
    return faults


SILENT = {
    # The form stayed, the meaning did not; ONNX says so in prose only.
    ("GroupNormalization", 21),
    ("RoiAlign", 16),
    ("PRelu", 7),
    ("Resize", 11),
    ("Split", 18),
    ("Dropout", 10),
    ("BatchNormalization", 14),
}


@pytest.mark.parametrize(("op", "opset", "old", "new"), changes(), ids=lambda v: "" if hasattr(v, "doc") else str(v))
def test_every_change_of_an_operator_has_a_rule_or_breaks_nothing(op: str, opset: int, old: Any, new: Any) -> None:
    ruled = any(rule.before == opset for rule in RULES.get(op, ()))
    faults = broken(old, new)
    if (op, opset) in SILENT:
        assert ruled
    elif (op, opset) not in CHECKED_BY_HAND:
        assert ruled or not faults, f"{op} {old.since_version} -> {opset}: {faults}"


def test_every_rule_says_what_onnx_changed() -> None:
    for op, rules in RULES.items():
        for rule in rules:
            assert (rule.edit.__doc__ or "").startswith("Opset "), op
            assert str(rule.before) in (rule.edit.__doc__ or ""), op
            assert any(s.since_version < rule.before for s in history_of(op)), (op, rule.before)


def history_of(op: str) -> list[Any]:
    return [s for s in defs.get_all_schemas_with_history() if s.domain == "" and s.name == op]


# -- files that lie --------------------------------------------------------------------------------------------------

WRONG: list[Any] = [1, 2.5, "text", [1, 2], [0.5], ["a"], np.zeros(2, np.float32), -(2**63), 2**63 - 1, float("nan")]


@pytest.mark.parametrize("op", sorted(RULES))
def test_attributes_of_any_kind_give_a_node_or_a_value_error(op: str) -> None:
    names = {n for s in history_of(op) for n in s.attributes} | {"scan_input_axes"}
    types = {"x": TensorType("float32", (2, 3, 4)), "v": TensorType("float32", (3,))}
    for opset in (1, 5, 6, 7, 9, 10, 12, 17, 20):
        for name in sorted(names):
            for value in WRONG:
                for inputs in (["x", "v", "v"], ["x"], [], ["", "", "nowhere"]):
                    attribute = attribute_to_proto(name, value)
                    node = onnx.NodeProto(op_type=op, input=inputs, output=["y"], attribute=[attribute])
                    try:
                        new = upgrade_node(node, opset, Scope(types, {"v": np.float32([2, 0.5, 1])}, [0]))
                    except ValueError as error:
                        assert op in str(error) and str(opset) in str(error) and "; " in str(error)
                    else:
                        assert all(isinstance(n, onnx.NodeProto) for n in new)


def test_an_attribute_of_the_wrong_kind_is_named() -> None:
    node = helper.make_node("Clip", ["x"], ["y"], name="clip", min="low")
    message = r"node 'clip' \(Clip, opset 7\) has the attribute 'min' of kind STRING, which must be a float; repair"
    with pytest.raises(ValueError, match=message):
        upgrade_node(node, 7, Scope({}, {}, [0]))


EMPTY = onnx.GraphProto()


@pytest.mark.parametrize(
    ("node", "opset", "message"),
    [
        (helper.make_node("Scan", ["n", "s", "x"], ["y"], body=EMPTY, num_scan_inputs=1), 8, "sequence_lens"),
        (helper.make_node("Scan", ["", "s"], ["y"], body=EMPTY, num_scan_inputs=9), 8, "num_scan_inputs=9"),
        (helper.make_node("Softmax", ["x"], ["y"], axis=7), 9, "axis 7, which must be -3 to 2"),
        (helper.make_node("GroupNormalization", ["x", "s", "b"], ["y"], num_groups=0), 18, "num_groups=0"),
        (helper.make_node("Add", ["x", "x"], ["y"], broadcast=1, axis=1), 6, "rank 3 into rank 3 from axis 1"),
        (helper.make_node("Slice", ["x"], ["y"], starts=[1], ends=[1, 2]), 9, "1 starts and 2 ends"),
        (helper.make_node("TopK", ["x"], ["y", "i"]), 9, "lacks the attribute 'k'"),
        (helper.make_node("Clip", ["unknown"], ["y"], min=0.0), 9, "known dtype"),
    ],
)
def test_what_cannot_be_upgraded_says_why(node: onnx.NodeProto, opset: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        upgrade_node(node, opset, Scope({"x": TensorType("float32", (2, 3, 4))}, {}, [0]))
