"""A child process tries a model; whatever it does there, the parent gets an answer."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from nngraph.runtime import isolation
from nngraph.runtime.isolation import probe


def model(text: str, opset: int = 20) -> bytes:
    header = f'<ir_version: 9, opset_import: ["": {opset}]> '
    return onnx.parser.parse_model(header + text).SerializeToString()


GOOD = model("g (float[n, 3] x) => (float[n, 3] y) { y = Relu(x) }")
# Each of these passes the checker's default mode.
BLOCKS = model("g (float[1, 4, 1, 1] x) => (float[a, b, c, d] y) { y = DepthToSpace<blocksize = 4294967296>(x) }")
PARTS = model("g (float[6] x) => (float[a] p, float[b] q, float[c] r) { p, q, r = Split<num_outputs = 2>(x) }")
AXIS = model(
    "g (float[2, 3, 4] x, float[3] w, float[3] b) => (float[p, q, r] y, float[p, q, r] m, float[p, q, r] i)"
    "{ y, m, i = LayerNormalization<axis = 9223372036854775807>(x, w, b) }"
)


def test_a_good_model_survives(tmp_path: Path) -> None:
    probe(GOOD)
    (tmp_path / "m.onnx").write_bytes(GOOD)
    probe(tmp_path / "m.onnx")
    probe(str(tmp_path / "m.onnx"), check=False)
    assert os.listdir(tmp_path) == ["m.onnx"]


def test_a_model_with_its_data_in_another_file_survives(tmp_path: Path) -> None:
    big = onnx.load_from_string(model("g (float[4] x) => (float[4] y) { y = Neg(x) }"))
    big.graph.node[0].CopyFrom(helper.make_node("Add", ["x", "w"], ["y"]))
    big.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(4, np.float32), "w"))
    onnx.save(big, tmp_path / "m.onnx", save_as_external_data=True, size_threshold=0, location="m.data")
    probe(tmp_path / "m.onnx")
    (tmp_path / "m.data").unlink()
    with pytest.raises(ValueError, match="is refused by"):
        probe(tmp_path / "m.onnx")


@pytest.mark.parametrize(
    ("content", "check", "message"),
    [
        # onnxruntime 1.31 divides by 0 here, later ones refuse it.
        (BLOCKS, False, r"the model crashes the runtime, while it builds a session, with SIGFPE|is refused by"),
        (BLOCKS, True, r"the model is refused by onnx's checker and type inference: .*Inference"),
        (PARTS, True, r"the model crashes onnx's checker and type inference, with SIG(ABRT|SEGV)"),
        (AXIS, True, r"the model crashes onnx's checker and type inference, with SIGSEGV"),
        (b"", True, r"the model is refused by onnx's checker"),
        (b"no model", True, r"the model is refused by onnx's checker"),
        (b"no model", False, r"the model is refused by the runtime, while it builds a session"),
    ],
)
def test_what_happens_to_the_child_is_said(content: bytes, check: bool, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        probe(content, check=check)
    assert "\n" not in str(caught.value)


def test_a_missing_file() -> None:
    with pytest.raises(FileNotFoundError, match="there is no file"):
        probe("nowhere.onnx")


def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """Let another script be the child, after the limits are set."""
    script = tmp_path / "child.py"
    text = isolation._SCRIPT.read_text().replace('if __name__ == "__main__":\n    _main()', "")
    script.write_text(f"{text}\n{body}\n_main()\n")  # the later definition of _try counts
    monkeypatch.setattr(isolation, "_SCRIPT", script)


def test_processor_time_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child(tmp_path, monkeypatch, "def _try(source, check):\n    _say('session')\n    while True: pass")
    with pytest.raises(ValueError, match="uses more than 1 seconds of processor time in the runtime"):
        probe(GOOD, seconds=1)


def test_the_clock_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child(tmp_path, monkeypatch, "def _try(source, check):\n    _say('checker')\n    import time; time.sleep(60)")
    monkeypatch.setattr(isolation, "_clock", lambda seconds: 1)
    with pytest.raises(ValueError, match="keeps onnx's checker and type inference busy for more than 1 seconds"):
        probe(GOOD)


def test_memory_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child(tmp_path, monkeypatch, "def _try(source, check):\n    _say('session')\n    bytearray(1 << 32)")
    with pytest.raises(ValueError, match=r"needs more than 2\.0 GiB in the runtime"):
        probe(GOOD, memory=2 << 30)


def test_the_child_can_write_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "written"
    body = f"def _try(source, check):\n    f = open({str(target)!r}, 'w'); f.write('x' * 10); f.flush()"
    child(tmp_path, monkeypatch, body)
    with pytest.raises(ValueError, match=r"SIGXFSZ|File too large"):
        probe(GOOD)
    assert target.read_bytes() == b""


def test_a_child_that_just_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child(tmp_path, monkeypatch, "def _try(source, check):\n    os._exit(7)")
    with pytest.raises(ValueError, match="exit status 7"):
        probe(GOOD)


def test_a_module_in_the_working_folder_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "onnx.py").write_text("raise SystemExit('taken over')")
    monkeypatch.chdir(tmp_path)
    probe(GOOD)


def test_the_child_imports_nothing_of_nngraph() -> None:
    text = isolation._SCRIPT.read_text()
    assert "import nngraph" not in text and "from nngraph" not in text
    assert sys.executable  # the child is this interpreter again


def test_a_constant_that_the_runtime_would_have_to_compute_is_no_danger() -> None:
    shape = helper.make_tensor("s", TensorProto.INT64, [1], [2**38])
    node = helper.make_node("ConstantOfShape", ["s"], ["y"])
    graph = helper.make_graph([node], "g", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])], [shape])
    content = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9).SerializeToString()
    probe(content)  # the runtime does not fold it; whoever runs it meets check_sizes first
