"""Every function of keras.ops has its name here, but those that ONNX cannot express."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nngraph import ops

NAMES: dict[str, list[str]] = json.loads((Path(__file__).parent.parent / "golden" / "op_names.json").read_text())
"""The functions of each namespace of keras.ops; the last has those that only stand at the top."""

ABSENT = {
    "eig": "needs an iteration of unknown length on complex numbers",
    "eigh": "ONNX has no eigenvalues",
    "jvp": "gradients are taken in reverse",
    "matrix_rank": "needs singular values",
    "pinv": "needs singular values",
    "svd": "ONNX has no singular values",
    "vectorize": "a Python function for single elements cannot be traced once for all",
    "view_as_complex": "the runtime has no complex tensors",
    "view_as_real": "the runtime has no complex tensors",
}


@pytest.mark.parametrize("namespace", ["numpy", "nn", "linalg"])
def test_the_names_of_a_namespace(namespace: str) -> None:
    module = getattr(ops, namespace)
    assert not [n for n in NAMES[namespace] if not callable(getattr(module, n, None)) and n not in ABSENT]


def test_the_names_at_the_top() -> None:
    names = [n for group in NAMES.values() for n in group]
    assert not [n for n in names if not callable(getattr(ops, n, None)) and n not in ABSENT]


@pytest.mark.parametrize("name", sorted(ABSENT))
def test_what_is_absent_is_no_stub(name: str) -> None:
    assert not hasattr(ops, name)
