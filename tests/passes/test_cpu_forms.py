"""The CPU's forms compute what the portable ones do, on every kind of convolution."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import zoo
from nngraph.ir import Graph, TensorType
from nngraph.ops import raw
from nngraph.ops.nn_norm import batch_norm_training
from nngraph.ops.trace import trace_graph
from nngraph.ops.vjp_conv import conv_input_grad, conv_weight_grad
from nngraph.runtime import Session
from passes import PassManager, gradients, lower, pipeline
from passes.base import check_graph
from passes.blocks import NCHWC, block_size
from passes.dce import Dce


def traced(fn: Any, *shapes: tuple[int | str, ...], dtype: str = "float32") -> Graph:
    graph, _, y = trace_graph(fn, [TensorType(dtype, s) for s in shapes])
    graph.set_outputs([y], ["y"])
    return graph


def op_ids(graph: Graph) -> list[str]:
    return [node.op_id for node in graph]


def same_as_portable(graph: Graph, *, form: bool) -> list[str]:
    """Compare the two lowerings; ``form`` says whether they should differ."""
    portable, fast = lower(graph.clone(), "portable"), lower(graph.clone(), "cpu")
    check_graph(fast)
    assert (op_ids(portable) != op_ids(fast)) == form
    wanted, result = zoo.run(portable)["y"], zoo.run(fast)["y"]
    assert result.shape == wanted.shape
    np.testing.assert_allclose(result, wanted, rtol=1e-4, atol=1e-4)
    return op_ids(fast)


# batch, channels, filters, sizes, outputs, kernel, strides, pads, dilations
WEIGHT_GRADS = {
    "same": (4, 3, 5, (6, 7), (6, 7), (3, 3), (1, 1), (1, 1, 1, 1), (1, 1)),
    "valid": (3, 2, 4, (6, 7), (4, 5), (3, 3), (1, 1), (0, 0, 0, 0), (1, 1)),
    "one pixel": (4, 3, 5, (6, 7), (6, 7), (1, 1), (1, 1), (0, 0, 0, 0), (1, 1)),
    "stride": (4, 3, 2, (8, 8), (4, 4), (3, 3), (2, 2), (0, 0, 1, 1), (1, 1)),
    "stride that leaves pixels out": (2, 3, 2, (8, 9), (3, 3), (3, 3), (2, 3), (0, 0, 0, 0), (1, 1)),
    "stride longer than the kernel": (2, 3, 2, (7, 7), (3, 3), (1, 1), (3, 3), (0, 0, 0, 0), (1, 1)),
    "uneven": (1, 1, 3, (5, 9), (3, 9), (3, 2), (2, 1), (1, 0, 1, 1), (1, 1)),
    "dilated height": (2, 3, 2, (7, 6), (3, 4), (3, 3), (1, 1), (0, 0, 0, 0), (2, 1)),
    "many channels": (2, 64, 3, (4, 4), (4, 4), (3, 3), (1, 1), (1, 1, 1, 1), (1, 1)),
    "odd batch": (5, 2, 3, (4, 4), (4, 4), (3, 3), (1, 1), (1, 1, 1, 1), (1, 1)),
    "one axis": (4, 3, 2, (9,), (9,), (4,), (1,), (1, 2), (1,)),
    "three axes": (2, 2, 3, (4, 5, 3), (2, 5, 3), (3, 2, 1), (2, 1, 1), (1, 0, 0, 0, 1, 0), (1, 1, 1)),
}


@pytest.mark.parametrize("kind", WEIGHT_GRADS)
def test_gradients_of_kernels(kind: str) -> None:
    batch, channels, filters, sizes, outputs, kernel, strides, pads, dilations = WEIGHT_GRADS[kind]

    def fn(x: Any, g: Any) -> Any:
        return conv_weight_grad(x, g, kernel_shape=kernel, strides=strides, pads=pads, dilations=dilations)

    graph = traced(fn, (batch, channels, *sizes), (batch, filters, *outputs))
    assert graph.outputs[0].shape == (filters, channels, *kernel)
    same_as_portable(graph, form=True)


@pytest.mark.parametrize(("behind", "left"), [((0, 0, 1, 2), 0), ((0, 0, 0, 0), 0), ((1, 0, 0, 0), 1)])
def test_zeros_behind_a_gradient_are_not_read(behind: tuple[int, ...], left: int) -> None:
    def fn(x: Any, g: Any) -> Any:
        padded = raw.Pad(g, np.array((0, 0, 0, 0, *behind), np.int64))
        return conv_weight_grad(x, padded, kernel_shape=(3, 3), strides=(1, 1), pads=(1, 1, 1, 1), dilations=(1, 1))

    sizes = 5 + behind[2], 6 + behind[3]
    graph = traced(fn, (4 + behind[0], 3, *sizes), (4, 8, 5, 6))
    same_as_portable(graph, form=True)
    lower(graph, "cpu")
    Dce().run(graph)
    assert op_ids(graph).count("Pad") == left


# sizes, outputs, kernel, pads, dilations
SWAPPED = {
    "same": ((6, 7), (6, 7), (3, 3), (1, 1, 1, 1), (1, 1)),
    "valid": ((6, 7), (4, 6), (3, 2), (0, 0, 0, 0), (1, 1)),
    "dilated": ((9, 7), (5, 6), (3, 2), (0, 1, 0, 0), (2, 2)),
    "pixels left out": ((9, 9), (5, 6), (3, 3), (0, 0, 0, 0), (1, 1)),
    "large kernel": ((4, 5), (2, 2), (4, 5), (1, 0, 1, 1), (1, 1)),
}


@pytest.mark.skipif(block_size() is None, reason="this runtime has no blocked layout")
@pytest.mark.parametrize("kind", SWAPPED)
def test_gradients_of_kernels_in_blocks(kind: str) -> None:
    sizes, outputs, kernel, pads, dilations = SWAPPED[kind]

    def fn(x: Any, g: Any) -> Any:
        return conv_weight_grad(
            raw.Tanh(x), raw.Tanh(g), kernel_shape=kernel, strides=(1, 1), pads=pads, dilations=dilations
        )

    graph = traced(fn, (16, 32, *sizes), (16, 64, *outputs))
    made = PassManager(pipeline("cpu")).run(graph, clone=True).graph
    assert [n.domain for n in made if n.op == "Conv"] == [NCHWC]
    wanted, result = zoo.run(lower(graph, "portable"))["y"], zoo.run(made)["y"]
    np.testing.assert_allclose(result, wanted, rtol=1e-4, atol=1e-4)


# sizes, kernel, strides, pads, dilations
DEPTHWISE = {
    "same": ((6, 7), (3, 3), (1, 1), (1, 1, 1, 1), (1, 1)),
    "stride": ((8, 9), (3, 3), (2, 2), (0, 1, 2, 1), (1, 1)),
    "stride that leaves pixels out": ((8, 9), (2, 3), (3, 2), (0, 0, 0, 0), (1, 1)),
    "dilated": ((8, 8), (3, 2), (1, 2), (1, 1, 1, 1), (2, 1)),
    "one axis": ((9,), (4,), (1,), (1, 2), (1,)),
}


@pytest.mark.parametrize("channels", [6, 16], ids=["no whole block", "whole blocks"])
@pytest.mark.parametrize("kind", DEPTHWISE)
def test_depthwise_convolutions_and_their_gradients(kind: str, channels: int) -> None:
    sizes, kernel, strides, pads, dilations = DEPTHWISE[kind]
    attributes = {"kernel_shape": kernel, "strides": strides, "pads": pads, "dilations": dilations, "group": channels}

    def fn(x: Any, w: Any) -> Any:
        return raw.Relu(raw.Conv(raw.Relu(x), w, **attributes))

    graph = traced(fn, (4, channels, *sizes), (channels, 1, *kernel))
    backward = gradients(graph, ["y"], ["x0", "x1"])
    feeds = zoo.feeds(backward)
    results = {}
    for target in ("portable", "cpu"):
        made = PassManager(pipeline(target=target)).run(backward, clone=True).graph
        results[target] = Session(made, "cpu").run({n: feeds[n] for n in feeds})
    # Of the three convolutions the kernel's gradient is one only in blocks, where nothing needs to be moved for it.
    in_blocks = block_size() is not None and channels % 8 == 0 and len(sizes) == 2
    assert sum(node.op in ("Conv", "ConvTranspose") for node in made) == 2 + in_blocks
    by_image = [n for n in made if n.op == "Conv" and n.attributes["group"] == 4 * channels]
    assert [n.domain for n in by_image] == [NCHWC] * in_blocks
    for name, wanted in results["portable"].items():
        np.testing.assert_allclose(results["cpu"][name], wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("dtype", "batch", "group", "dilations"),
    [("float64", 4, 1, (1, 1)), ("float32", "batch", 1, (1, 1)), ("float32", 4, 1, (1, 2))],
)
def test_gradients_of_kernels_that_stay_portable(dtype: str, batch: Any, group: int, dilations: Any) -> None:
    def fn(x: Any, g: Any) -> Any:
        return conv_weight_grad(
            x, g, kernel_shape=(2, 2), strides=(1, 1), pads=(0, 0, 0, 0), dilations=dilations, group=group
        )

    width = 5 - dilations[1]
    same_as_portable(traced(fn, (batch, 2, 5, 5), (batch, 2, 4, width), dtype=dtype), form=False)


def test_padding_by_name() -> None:
    def fn(x: Any, g: Any) -> Any:
        return conv_weight_grad(x, g, kernel_shape=(3, 3), strides=(2, 2), dilations=(1, 1), auto_pad="SAME_UPPER")

    same_as_portable(traced(fn, (2, 3, 7, 8), (2, 4, 4, 4)), form=True)


# batch, channels, filters, sizes, outputs, kernel, pads, dilations
INPUT_GRADS = {
    "same": (2, 16, 32, (6, 7), (6, 7), (3, 3), (1, 1, 1, 1), (1, 1)),
    "valid": (2, 32, 16, (6, 7), (4, 5), (3, 3), (0, 0, 0, 0), (1, 1)),
    "uneven": (2, 16, 16, (6, 7), (6, 7), (3, 2), (2, 0, 0, 1), (1, 1)),
    "dilated": (2, 16, 16, (7, 7), (3, 7), (3, 3), (0, 2, 0, 2), (2, 2)),
}


def input_grad(case: Any, strides: tuple[int, ...] = (1, 1), group: int = 1, batch: Any = None) -> Graph:
    count, channels, filters, sizes, outputs, kernel, pads, dilations = case

    def fn(g: Any, w: Any) -> Any:
        return conv_input_grad(g, w, spatial=sizes, strides=strides, pads=pads, dilations=dilations, group=group)

    return traced(fn, (batch or count, filters, *outputs), (filters, channels, *kernel))


@pytest.mark.parametrize("kind", INPUT_GRADS)
def test_gradients_of_images(kind: str) -> None:
    found = same_as_portable(input_grad(INPUT_GRADS[kind]), form=block_size() is not None)
    assert ("Conv" in found) == (block_size() is not None)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_gradients_of_images_for_kernels_of_one_pixel(rank: int) -> None:
    case = (2, 3, 5, (4,) * rank, (4,) * rank, (1,) * rank, (0,) * 2 * rank, (1,) * rank)
    assert same_as_portable(input_grad(case, (1,) * rank), form=True) == ["Transpose", "Conv"]


@pytest.mark.parametrize(
    ("case", "strides", "batch"),
    [
        ((2, 3, 16, (6, 6), (6, 6), (3, 3), (1, 1, 1, 1), (1, 1)), (1, 1), None),
        ((2, 16, 16, (6, 6), (3, 3), (3, 3), (0, 0, 1, 1), (1, 1)), (2, 2), None),
        ((2, 16, 16, (6, 6), (6, 6), (3, 3), (1, 1, 1, 1), (1, 1)), (1, 1), "batch"),
        ((2, 16, 16, (4, 4), (8, 8), (1, 1), (2, 2, 2, 2), (1, 1)), (1, 1), None),
        ((2, 16, 16, (6, 6, 6), (6, 6, 6), (3, 3, 3), (1,) * 6, (1, 1, 1)), (1, 1, 1), None),
    ],
)
def test_gradients_of_images_that_stay_portable(case: Any, strides: tuple[int, ...], batch: Any) -> None:
    same_as_portable(input_grad(case, strides, batch=batch), form=False)


def test_without_blocks_everything_stays_portable(monkeypatch: pytest.MonkeyPatch) -> None:
    from passes.lowering import cpu

    monkeypatch.setattr(cpu, "block_size", lambda: None)
    same_as_portable(input_grad(INPUT_GRADS["same"]), form=False)


@pytest.mark.parametrize("shape", [(4, 3, 5, 6), (2, 7), (3, 2, 4), ("batch", 3, 4, 4)])
@pytest.mark.parametrize("outputs", [1, 3, 4])
def test_batch_normalisation(shape: tuple[int | str, ...], outputs: int) -> None:
    types = [TensorType("float32", shape), *[TensorType("float32", (shape[1],))] * 2]
    # A large mean, where a careless variance would be far off.
    graph, _, results = trace_graph(
        lambda x, s, b: batch_norm_training(x * 0.1 + 30.0, s, b, epsilon=0.01, outputs=outputs), types
    )
    results = results if isinstance(results, tuple) else (results,)
    graph.set_outputs(list(results), [f"y{k}" for k in range(outputs)])
    portable, fast = lower(graph.clone(), "portable"), lower(graph.clone(), "cpu")
    check_graph(fast)
    assert "BatchNormalization" in op_ids(fast) and "BatchNormalization" not in op_ids(portable)
    wanted = zoo.run(portable)
    for name, result in zoo.run(fast).items():
        np.testing.assert_allclose(result, wanted[name], rtol=1e-3, atol=1e-4)


def test_batch_normalisation_in_double_precision_stays_portable() -> None:
    graph = traced(lambda x, s, b: batch_norm_training(x, s, b, epsilon=0.01), (3, 2, 4), (2,), (2,), dtype="float64")
    assert "BatchNormalization" not in op_ids(lower(graph, "cpu"))


def test_origins_are_kept() -> None:
    graph = lower(input_grad(INPUT_GRADS["same"]), "cpu")
    assert all(node.origin.by == ("lower",) for node in graph if node.op != "ConvTranspose")
