"""The bytes of tensors in model files: found without protobuf, and the same that onnx finds."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from exporters.spans import INITIAL_STATE, INITIALIZERS, tensor_spans

ARRAYS = {
    "matrix": np.arange(600, dtype=np.float32).reshape(20, 30),
    "count": np.array(2**40, np.int64),
    "flags": np.array([True, False, True]),
    "half": np.float16([1.5, -2]),
    "empty": np.zeros((0, 3), np.float32),
}


def half(array: np.ndarray) -> np.ndarray:
    return array.ravel()[: array.size // 2]


def model() -> onnx.ModelProto:
    graph = helper.make_graph(
        [helper.make_node("Identity", ["matrix"], ["y"], doc_string="x" * 300)],
        "g",
        [],
        [helper.make_tensor_value_info("y", 1, [20, 30])],
        [numpy_helper.from_array(a, n) for n, a in ARRAYS.items()],
    )
    made = helper.make_model(graph)
    for name, array in ARRAYS.items():
        made.training_info.add().initialization.initializer.append(numpy_helper.from_array(half(array), name))
    return made


@pytest.mark.parametrize(("path", "last"), [(INITIALIZERS, None), (INITIAL_STATE, 1)])
def test_the_bytes_at_a_span_are_the_tensor(path: tuple[int, ...], last: int | None) -> None:
    data = model().SerializeToString()
    spans = tensor_spans(data, path)
    assert list(spans) == list(ARRAYS)
    for name, array in ARRAYS.items():
        offset, length = spans[name]
        wanted = array if last is None else half(array)
        assert data[offset : offset + length] == wanted.tobytes()


def test_replaced_bytes_are_what_onnx_reads() -> None:
    data = bytearray(model().SerializeToString())
    offset, length = tensor_spans(bytes(data), INITIALIZERS)["matrix"]
    new = np.full((20, 30), 7, np.float32)
    data[offset : offset + length] = new.tobytes()
    changed = onnx.load_model_from_string(bytes(data))
    np.testing.assert_array_equal(numpy_helper.to_array(changed.graph.initializer[0]), new)
    np.testing.assert_array_equal(numpy_helper.to_array(changed.graph.initializer[1]), ARRAYS["count"])


@pytest.mark.parametrize("data", [b"\x3a", b"\x3a\xff\xff\xff", b"\x3b\x01", model().SerializeToString()[:-9]])
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="protobuf"):
        tensor_spans(data, INITIALIZERS)
