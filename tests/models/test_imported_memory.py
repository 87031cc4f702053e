"""Importing maps weights instead of copying them: measured on a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.models.foreign_models import model_of

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory in use from /proc")

SIDE, LAYERS = 1600, 6
WEIGHTS = SIDE * SIDE * LAYERS * 4 / 2**20

PROBE = """
import json, sys
import onnx, nngraph
from onnx import helper

def in_use(key):
    (line,) = [x for x in open("/proc/self/status") if x.startswith(key)]
    return int(line.split()[1]) / 1024

x, y = (helper.make_tensor_value_info(n, 1, [1]) for n in "xy")
tiny = helper.make_model(helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y]), ir_version=8,
                         opset_imports=[helper.make_opsetid("", 17)])
nngraph.load_onnx(tiny)  # everything that is imported once
before = {k: in_use(k) for k in ("RssAnon", "VmHWM")}
model = nngraph.load_onnx(sys.argv[1])
print(json.dumps({k: in_use(k) - v for k, v in before.items()} | {"weights": len(model.weights)}))
"""


@pytest.mark.parametrize("external", [False, True], ids=["inside", "external"])
def test_importing_copies_no_weights(external: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = ["x", *(f"h{k}" for k in range(LAYERS))]
    weights = {f"w{k}": rng.standard_normal((SIDE, SIDE)).astype("float32") for k in range(LAYERS)}
    nodes = [onnx.helper.make_node("MatMul", [names[k], f"w{k}"], [names[k + 1]]) for k in range(LAYERS)]
    path = tmp_path / "big.onnx"
    options = {"save_as_external_data": True, "location": "big.bin"} if external else {}
    onnx.save(model_of(nodes, {"x": ["n", SIDE]}, names[-1:], weights), path, **options)
    del weights
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(path)], capture_output=True, text=True, check=True, env=os.environ
    )
    found = json.loads(done.stdout)
    assert found["weights"] == LAYERS
    # The bar is 1.5 times the weights at most; memory of its own is next to nothing, the rest is the file's pages.
    assert found["RssAnon"] < 0.1 * WEIGHTS, found
    assert found["VmHWM"] < 1.0 * WEIGHTS, found
