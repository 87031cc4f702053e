"""Gradients beside those of onnx-ad, an independent package that writes gradients of ONNX models in ONNX.

``onnx_ad_cases.py`` names for each operator a sample that both differentiate. onnx-ad refuses a part of the others:
groups of convolutions, ``auto_pad``, ends of sequences, reductions while scattering. Where its numbers differ, as for
asymmetric padding of pools and convolutions, ``Det`` and ``OneHot``, central differences agree with ours.
"""

from __future__ import annotations

import pytest
from onnx_ad_cases import CASES
from onnx_ad_check import difference

pytestmark = pytest.mark.reference("onnx_ad")


@pytest.mark.parametrize("op", CASES)
def test_onnx_ad_gives_the_same_gradient(op: str) -> None:
    """Up to attributes, which ONNX stores in single precision."""
    assert difference(op, CASES[op]) < 1e-6
