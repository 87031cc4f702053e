"""A float64 graph computes in float64: operators without such a kernel have another form."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import nngraph.ops  # noqa: F401  (registers the forms)
from nngraph.ir import TensorType
from nngraph.ops import raw
from nngraph.ops.trace import trace_graph
from nngraph.registry import REGISTRY
from nngraph.runtime import legalize

AROUND = np.concatenate([np.linspace(-6, 6, 501), 10.0 ** np.arange(-20, 1), -(10.0 ** np.arange(-20, 1))])
INSIDE = np.clip(AROUND / 6, -0.999999, 0.999999)


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.max(np.abs(found - expected) / np.maximum(np.abs(expected), 1e-300)))


@pytest.mark.parametrize(
    ("op", "function", "x"),
    [
        ("Erf", math.erf, AROUND),
        ("Atan", math.atan, np.concatenate([AROUND, 10.0 ** np.arange(2, 300, 20)])),
        ("Sinh", math.sinh, AROUND),
        ("Cosh", math.cosh, AROUND),
        ("Asinh", math.asinh, AROUND),
        ("Tan", math.tan, AROUND / 4),
        ("Asin", math.asin, INSIDE),
        ("Acos", math.acos, INSIDE),
        ("Atanh", math.atanh, INSIDE),
        ("Acosh", math.acosh, 1 + np.abs(AROUND)),
        ("Softplus", lambda x: max(x, 0) + math.log1p(math.exp(-abs(x))), np.concatenate([AROUND, [-700.0, 700.0]])),
        ("Gelu", lambda x: x / 2 * math.erfc(-x / math.sqrt(2)), AROUND[AROUND > -1]),
    ],
)
def test_elementary_functions_are_exact_to_a_few_last_digits(op: str, function, x: np.ndarray) -> None:
    assert relative_error(getattr(raw, op)(x), np.array([function(v) for v in x])) < 2e-15


@pytest.mark.parametrize(
    ("op", "x", "expected"),
    [
        ("Erf", [np.inf, -np.inf, np.nan, 0.0], [1, -1, np.nan, 0]),
        ("Atan", [np.inf, -np.inf, np.nan], [np.pi / 2, -np.pi / 2, np.nan]),
        ("Asin", [1, -1, 1.5], [np.pi / 2, -np.pi / 2, np.nan]),
        ("Acos", [1, -1, -1.5], [0, np.pi, np.nan]),
        ("Atanh", [1, -1, 2], [np.inf, -np.inf, np.nan]),
        ("Acosh", [1, 0.5, np.inf], [0, np.nan, np.inf]),
        ("Softplus", [-1000, 1000, np.inf], [0, 1000, np.inf]),
    ],
)
def test_special_values(op: str, x: list[float], expected: list[float]) -> None:
    np.testing.assert_allclose(getattr(raw, op)(np.array(x, np.float64)), expected, rtol=1e-15)


def agree(op: str, arrays: list[np.ndarray], attributes: dict) -> None:
    wide = getattr(raw, op)(*arrays, **attributes)
    narrow = getattr(raw, op)(*(a.astype(np.float32) for a in arrays), **attributes)
    assert wide.dtype == np.float64
    np.testing.assert_allclose(wide, narrow, rtol=1e-4, atol=1e-5)
    assert np.abs(wide - narrow).max() > 0, "the same numbers would mean single precision in both"


SPATIAL = [((7,), (3,)), ((6, 7), (3, 2)), ((4, 5, 4), (2, 3, 1))]
PLACING = [{}, {"pads": "uneven"}, {"auto_pad": "SAME_UPPER"}, {"auto_pad": "SAME_LOWER"}, {"auto_pad": "VALID"}]


def window_attributes(rank: int, stride: int, dilation: int, placing: dict) -> dict:
    pads = {"pads": (1,) * rank + (0,) * (rank - 1) + (1,)} if "pads" in placing else placing
    return {"strides": (stride,) * rank, "dilations": (dilation,) * rank, **pads}


@pytest.mark.parametrize(("size", "kernel"), SPATIAL)
@pytest.mark.parametrize("placing", PLACING, ids=lambda p: next(iter(p.values()), "none"))
def test_convolutions_are_those_of_the_float32_kernel(size, kernel, placing) -> None:
    rng = np.random.default_rng(2)
    rank = len(size)
    for stride, dilation, group in itertools.product((1, 2, 3), (1, 2), (1, 2)):
        if dilation == 2 and (placing.get("auto_pad", "")[:4] == "SAME" or rank == 3):
            continue
        attributes = {**window_attributes(rank, stride, dilation, placing), "group": group}
        x, w = rng.normal(size=(2, 4, *size)), rng.normal(size=(6, 4 // group, *kernel))
        agree("Conv", [x, w, rng.normal(size=6)], attributes)
        # The runtime and ONNX differ on "same" where the stride exceeds the kernel.
        if placing.get("auto_pad", "")[:4] != "SAME" or stride <= (min(kernel) - 1) * dilation + 1:
            w = rng.normal(size=(4, 6 // group, *kernel))
            agree("ConvTranspose", [x, w, rng.normal(size=6)], attributes)


@pytest.mark.parametrize("op", ["AveragePool", "LpPool"])
@pytest.mark.parametrize("placing", PLACING[:4], ids=lambda p: next(iter(p.values()), "none"))
def test_pooling_is_that_of_the_float32_kernel(op, placing) -> None:
    x = np.random.default_rng(3).normal(size=(2, 3, 6, 7))
    for stride, dilation, ceil in itertools.product((1, 2), (1, 2), (0, 1)):
        if placing.get("auto_pad") and (dilation == 2 or ceil):
            continue
        attributes = {**window_attributes(2, stride, dilation, placing), "kernel_shape": (3, 2), "ceil_mode": ceil}
        extras = [{"count_include_pad": k} for k in (0, 1)] if op == "AveragePool" else [{"p": p} for p in (1, 3)]
        for extra in extras:
            agree(op, [x], attributes | extra)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("place", ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"])
def test_resize_is_that_of_the_float32_kernel(mode: str, place: str) -> None:
    x = np.random.default_rng(4).normal(size=(2, 2, 4, 5))
    for scales, nearest in itertools.product([(2, 3), (1.5, 2.5), (0.5, 0.4)], ["floor", "ceil", "round_prefer_ceil"]):
        attributes = {"mode": mode, "coordinate_transformation_mode": place, "nearest_mode": nearest}
        wide = raw.Resize(x, None, np.float32([1, 1, *scales]), **attributes)
        narrow = raw.Resize(x.astype(np.float32), None, np.float32([1, 1, *scales]), **attributes)
        np.testing.assert_allclose(wide, narrow, rtol=1e-4, atol=1e-5)


def test_a_form_needs_no_single_precision() -> None:
    """All of an activation's form stays in double; only Atan starts from a single-precision angle."""

    def model(x):
        return raw.Gelu(raw.Selu(raw.Softplus(raw.Mish(raw.HardSwish(x)))))

    graph, _, y = trace_graph(model, [TensorType("float64", ("batch", 3))])
    graph.set_outputs([y], ["y"])
    assert legalize(graph) == 5
    assert {v.dtype for n in graph for v in n.outputs} <= {"float64", "bool"}


def test_every_form_is_of_an_operator_of_onnx() -> None:
    forms = [e for (domain, _), e in REGISTRY.items() if domain == "" and e.expand is not None]
    assert len(forms) > 30
    assert all(e.expand_node is not None for e in forms)
