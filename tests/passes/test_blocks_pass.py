"""The blocked layout: what goes there, what comes back, and what stays."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest

import zoo
from nngraph.ir import Graph, Node
from nngraph.ops import raw
from nngraph.runtime import Session
from passes import PassManager, gradients, pipeline
from passes.base import check_graph
from passes.blocks import NCHWC, block_size, from_blocks, kernel_in_blocks, to_blocks
from passes.build import Builder
from passes.dce import Dce
from passes.layout import Blocks, blocked
from passes.layout.blocked import Blocked
from passes.rewrite import example

pytestmark = pytest.mark.skipif(block_size() is None, reason="this runtime has no blocked layout")

IMAGE, KERNEL = "float32[2, 16, 12, 12]", "float32[16, 16, 3, 3]"


def i64(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def conv(x: Any, w: Any, *bias: Any, **attributes: Any) -> Any:
    return raw.Conv(x, w, *bias, pads=(1, 1, 1, 1), **attributes)


def graph_of(fn: Any, *types: str) -> Graph:
    return example(fn, *types).graph()


def blocks(graph: Graph) -> Counter[str]:
    """Run the pass, check that nothing else changed, and count what is in blocks, but for how kernels get there."""
    wanted = zoo.run(graph)
    Blocks().run(graph)
    check_graph(graph, after="blocks")
    for name, result in zoo.run(graph).items():
        np.testing.assert_allclose(result, wanted[name], rtol=1e-4, atol=1e-5 * np.abs(wanted[name]).max())
    text = str(graph)
    assert Blocks().run(graph) == 0 and str(graph) == text
    return Counter(n.op for n in graph.all_nodes() if n.domain == NCHWC and not _arranges_kernels(n))


def _arranges_kernels(node: Node) -> bool:
    """Whether a node's result is only read as the kernel of convolutions, perhaps arranged further."""
    return node.op in ("ReorderInput", "Reshape", "Transpose") and all(
        slot == 1 if user.op == "Conv" else _arranges_kernels(user) for user, slot in node.output.uses
    )


def test_the_block_is_found_by_trial() -> None:
    assert block_size() in (4, 8, 16)


def test_a_convolution_goes_to_blocks_and_its_result_comes_back() -> None:
    graph = graph_of(lambda x, w: conv(x, w), IMAGE, KERNEL)
    assert blocks(graph) == {"ReorderInput": 1, "Conv": 1, "ReorderOutput": 1}


@pytest.mark.parametrize(
    "attributes", [{}, {"strides": (2, 2)}, {"kernel_shape": (3, 3)}, {"strides": (1, 2), "pads": (0, 2, 1, 0)}]
)
def test_attributes_of_convolutions(attributes: dict[str, Any]) -> None:
    types = "float32[2, 16, 32, 32]", "float32[64, 16, 3, 3]", "float32[64]"
    found = blocks(graph_of(lambda x, w, b: raw.Conv(x, w, b, **attributes), *types))
    assert found["Conv"] == 1


BETWEEN = {
    "tanh": lambda x: raw.Tanh(x),
    "scalars": lambda x: raw.Mul(raw.Add(x, np.float32(1)), np.full((1, 1, 1), 2, np.float32)),
    "two tensors": lambda x: raw.Mul(x, raw.Sigmoid(x)),
    "mask": lambda x: raw.Mul(x, raw.Cast(raw.Greater(x, np.float32(0)), to="float32")),
    "where": lambda x: raw.Where(raw.Less(x, np.float32(0)), raw.Tanh(x), x),
    "clip": lambda x: raw.Clip(x, np.float32(0), np.float32(6)),
    "max pool": lambda x: raw.MaxPool(x, kernel_shape=(2, 2), strides=(2, 2)),
    "max pool with padding": lambda x: raw.MaxPool(x, kernel_shape=(3, 3), pads=(1, 1, 1, 1), dilations=(1, 1)),
    "average pool": lambda x: raw.AveragePool(x, kernel_shape=(3, 3), pads=(1, 1, 1, 1), count_include_pad=1),
    "repeat": lambda x: raw.Resize(
        x,
        None,
        np.array([1, 1, 2, 3], np.float32),
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    ),
    "constant": lambda x: raw.Add(x, zoo.ramp(2, 16, 12, 12)),
    "rows and columns": lambda x: raw.Slice(x, i64(1, 9), i64(7, 0), i64(2, -1), i64(2, -3)),
    "one image": lambda x: raw.Slice(x, i64(1), i64(2)),
    "all channels": lambda x: raw.Slice(x, i64(0, 0, 3), i64(2, 16, 9)),
    "blocks of channels": lambda x: raw.Concat(
        *(raw.Slice(x, i64(a), i64(b), i64(1)) for a, b in ((-block_size(), 99), (-99, block_size()))),
        axis=1,  # type: ignore[operator]
    ),
    "two images": lambda x: raw.Slice(raw.Concat(x, raw.Tanh(x), axis=-4), i64(0), i64(4), i64(0), i64(2)),
    "padding": lambda x: raw.Pad(x, i64(0, 0, 1, 0, 0, 0, 0, -2)),
    "padding with a number": lambda x: raw.Pad(x, i64(0, 0, 1, 0, 1, 0, 0, 2), np.float32(3)),
    "padding with a mirror": lambda x: raw.Pad(x, i64(0, 0, 2, 1, 0, 0, 2, 1), mode="reflect"),
}


@pytest.mark.parametrize("kind", BETWEEN)
def test_what_lies_between_convolutions_stays_in_blocks(kind: str) -> None:
    found = blocks(graph_of(lambda x, w: conv(BETWEEN[kind](conv(x, w)), w), IMAGE, KERNEL))
    assert (found["ReorderInput"], found["ReorderOutput"], found["Conv"]) == (1, 1, 2)


def normalized(x: Any, b: Any, **attributes: Any) -> Any:
    corner = raw.Reshape(raw.Slice(x, i64(0, 0, 0, 0), i64(1, 16, 1, 1)), i64(16))
    flat = raw.Reshape(b, i64(16))
    attributes = {"training_mode": 1, "momentum": 0.0, "epsilon": 0.01, **attributes}
    outputs = attributes.pop("outputs", 3)
    return raw.BatchNormalization(x, raw.Exp(flat), flat, corner, raw.Neg(corner), outputs=outputs, **attributes)


def statistics(x: Any, b: Any) -> Any:
    """What a gradient of batch normalisation is made of."""
    y, mean, variance = normalized(x, b)
    away = raw.Sub(x, raw.Unsqueeze(mean, i64(1, 2)))
    total = raw.ReduceSum(raw.Mul(y, away), i64(0, 2, 3), keepdims=0)
    slope = raw.Unsqueeze(raw.Mul(total, variance), i64(1, 2))
    return raw.Add(raw.Mul(y, b), raw.Add(raw.Mul(away, slope), b))


# What is done, and the convolutions and pools that it becomes.
BY_CHANNEL: dict[str, Any] = {
    "shift": (lambda x, b: raw.Add(x, b), 0, 0),  # goes into the convolution before it
    "shift of what is used twice": (lambda x, b: raw.Mul(raw.Add(x, b), x), 1, 0),
    "scale": (lambda x, b: raw.Mul(raw.Unsqueeze(b, i64(0)), x), 1, 0),
    "scale and shift": (lambda x, b: raw.Add(raw.Mul(x, b), b), 1, 0),
    "difference": (lambda x, b: raw.Sub(x, b), 0, 0),
    "difference from": (lambda x, b: raw.Sub(b, x), 1, 0),
    "sum": (lambda x, b: raw.Add(x, raw.Mul(x, b)), 1, 0),
    "sum of two for itself": (lambda x, b: raw.Add(raw.Mul(x, b), raw.Tanh(x)), 1, 0),
    "clip": (lambda x, b: raw.Clip(raw.Mul(x, b), np.float32(0), np.float32(6)), 1, 0),
    "pixels": (lambda x, b: raw.Mul(x, zoo.ramp(1, 1, 12, 12)), 0, 0),
    "normalisation": (lambda x, b: normalized(x, b)[0], 3, 1),
    "gradient of a normalisation": (statistics, 7, 1),  # x - mean stands there twice until equal nodes are merged
}


@pytest.mark.parametrize("kind", BY_CHANNEL)
def test_numbers_for_each_channel_or_pixel_in_blocks(kind: str) -> None:
    fn, convolutions, pools = BY_CHANNEL[kind]
    graph = graph_of(lambda x, w, b: conv(fn(conv(x, w), b), w), IMAGE, KERNEL, "float32[16, 1, 1]")
    found = blocks(graph)
    assert (found["ReorderInput"], found["ReorderOutput"]) == (1, 1)
    assert (found["Conv"], found["GlobalAveragePool"]) == (2 + convolutions, pools)


def test_normalisations_that_stay() -> None:
    for attributes in ({"momentum": 0.5}, {"training_mode": 0, "outputs": 1}):
        graph = graph_of(
            lambda x, w, b, more=attributes: conv(keep_first(normalized(conv(x, w), b, **more)), w),
            IMAGE,
            KERNEL,
            "float32[16, 1, 1]",
        )
        found = blocks(graph)
        assert found["ReorderOutput"] == 2


def keep_first(values: Any) -> Any:
    return values[0] if isinstance(values, tuple) else values


def test_a_sum_with_what_is_needed_again_stays() -> None:
    def fn(x: Any, w: Any) -> Any:
        y = raw.Tanh(conv(x, w))
        return conv(raw.Mul(raw.Add(conv(y, w), y), y), w)

    graph = graph_of(fn, IMAGE, KERNEL)
    blocks(graph)
    assert "Add" in [n.op for n in graph]


OUT = {
    "some channels": lambda x, b: raw.Concat(*[raw.Slice(x, i64(4), i64(12), i64(1))] * 2, axis=1),
    "rows of two": lambda x, b: raw.Concat(x, x, axis=2),
    "channels turned round": lambda x, b: raw.Slice(x, i64(-1), i64(-99), i64(1), i64(-1)),
    "more channels": lambda x, b: raw.Slice(raw.Pad(x, i64(0, 1, 0, 0, 0, 0, 0, 0)), i64(1), i64(17), i64(1)),
    "quotient": lambda x, b: raw.Div(x, b),
    "one row": lambda x, b: raw.Add(x, zoo.ramp(1, 12)),
    "cumulative sum": lambda x, b: raw.CumSum(x, np.int64(1)),
    "softmax": lambda x, b: raw.Softmax(x, axis=1),
    "mean of channels": lambda x, b: raw.Sub(x, raw.ReduceMean(x, i64(1), keepdims=1)),
    "smooth resize": lambda x, b: raw.Resize(x, None, np.array([1, 1, 2, 2], np.float32), mode="linear"),
}


@pytest.mark.parametrize("kind", OUT)
def test_what_needs_the_order_of_channels_gets_it(kind: str) -> None:
    found = blocks(graph_of(lambda x, w, b: conv(OUT[kind](conv(x, w), b), w), IMAGE, KERNEL, "float32[16, 1, 1]"))
    assert (found["ReorderInput"], found["ReorderOutput"]) == (2, 2)


STAYS = {
    "constant weights": (lambda x, w: conv(x, zoo.ramp(16, 16, 3, 3)), IMAGE, KERNEL),
    "odd channels": (lambda x, w: conv(x, w), "float32[2, 3, 6, 6]", "float32[16, 3, 3, 3]"),
    "odd filters": (lambda x, w: conv(x, w), IMAGE, "float32[5, 16, 3, 3]"),
    "groups": (lambda x, w: conv(x, w, group=2), IMAGE, "float32[16, 8, 3, 3]"),
    "dilation": (lambda x, w: conv(x, w, dilations=(2, 2)), IMAGE, KERNEL),
    "doubles": (lambda x, w: conv(x, w), "float64[2, 16, 6, 6]", "float64[16, 16, 3, 3]"),
    "one axis": (lambda x, w: raw.Conv(x, w), "float32[2, 16, 6]", "float32[16, 16, 3]"),
    "a kernel of one pixel": (lambda x, w: raw.Conv(x, w), IMAGE, "float32[16, 16, 1, 1]"),
    "no convolution": (lambda x, w: raw.MaxPool(raw.Relu(x), kernel_shape=(2, 2)), IMAGE, KERNEL),
}


@pytest.mark.parametrize("kind", STAYS)
def test_what_stays(kind: str) -> None:
    fn, *types = STAYS[kind]
    graph = graph_of(fn, *types)
    before = str(graph)
    assert Blocks().run(graph) == 0 and str(graph) == before


def test_a_first_convolution_reads_the_ordinary_layout() -> None:
    types = "float32[2, 3, 12, 12]", "float32[16, 3, 3, 3]", KERNEL, "float32[16]"
    graph = graph_of(lambda x, v, w, b: conv(raw.Relu(conv(x, v, b)), w), *types)
    assert blocks(graph) == {"Conv": 2, "ReorderOutput": 1}


@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (1, 1, 1, 1)])
def test_a_kernel_that_lies_in_blocks_is_arranged_from_there(pads: tuple[int, ...]) -> None:
    """As in the gradient of a kernel, where batch and channels change places."""

    def fn(x: Any, w: Any) -> Any:
        y = raw.Tanh(conv(x, w))
        kernel = raw.Slice(y, i64(0, 0), i64(10, 10), i64(2, 3))
        return raw.Conv(raw.Transpose(x, perm=(1, 0, 2, 3)), raw.Transpose(kernel, perm=(1, 0, 2, 3)), pads=pads)

    graph = graph_of(fn, "float32[32, 16, 12, 12]", "float32[64, 16, 3, 3]")
    assert blocks(graph)["Conv"] == 2
    Dce().run(graph)
    assert [n.op for n in graph].count("ReorderOutput") == 1, "only the result leaves the blocks"


def _memory(perm: tuple[int, ...], channels: int) -> tuple[int, ...]:
    """The shape of what a transpose makes a kernel of."""
    shape = (48, channels, 3, 2)
    return tuple(shape[perm.index(k)] for k in range(4))


ARRANGED = [
    (perm, channels, lies_in_blocks)
    for perm in itertools.permutations(range(4))
    for channels in (1, 3, 32)
    for lies_in_blocks in (False, True)
    if not lies_in_blocks or _memory(perm, channels)[1] % 16 == 0
]


@pytest.mark.parametrize(("perm", "channels", "lies_in_blocks"), ARRANGED)
def test_kernels_are_arranged_as_the_runtime_reads_them(
    perm: tuple[int, ...], channels: int, lies_in_blocks: bool
) -> None:
    """From any order of axes in memory, with whole blocks of channels or a few."""
    block = block_size()
    assert block is not None
    shape, source = (48, channels, 3, 2), _memory(perm, channels)

    def fn(x: Any) -> Any:
        return raw.Transpose(raw.Identity(x), perm=perm)

    graph = graph_of(fn, f"float32[{', '.join(map(str, source))}]")
    first, last = graph.nodes
    op = Builder(first, "test")
    if lies_in_blocks:
        first.output.replace_uses(from_blocks(op, to_blocks(op, graph.inputs[0])))
    graph.set_outputs([kernel_in_blocks(Builder(last, "test"), last.output, block)], ["y"])
    array = zoo.ramp(*source)
    found = Session(graph, "cpu").run({graph.inputs[0].name: array})["y"]
    filters = array.transpose(perm).reshape(48 // block, block, channels, 3, 2)
    if channels < block:
        wanted = filters.transpose(0, 2, 3, 4, 1)
    else:
        wanted = filters.reshape(48 // block, block, channels // block, block, 3, 2).transpose(0, 2, 4, 5, 3, 1)
    np.testing.assert_array_equal(found, wanted.reshape(shape))


def test_truth_values_are_never_reordered() -> None:
    """A mask that leaves the network is made in the ordinary layout, from a tensor that was brought there."""

    def fn(x: Any, w: Any) -> Any:
        y = conv(x, w)
        return raw.Greater(y, np.float32(0)), conv(raw.Tanh(y), w)

    graph = graph_of(fn, IMAGE, KERNEL)
    blocks(graph)
    assert all(n.inputs[0].dtype == "float32" for n in graph if n.op.startswith("Reorder"))  # type: ignore[union-attr]


def test_relu_goes_into_the_convolution() -> None:
    graph = graph_of(lambda x, w: conv(raw.Relu(conv(x, w)), w), IMAGE, KERNEL)
    assert blocks(graph)["Conv"] == 2
    assert "Relu" not in [n.op for n in graph]
    used = graph_of(lambda x, w: (lambda y: conv(raw.Add(raw.Relu(y), y), w))(conv(x, w)), IMAGE, KERNEL)
    blocks(used)
    assert "Relu" in [n.op for n in used]


def test_channels_last_on_either_side_is_one_reorder() -> None:
    def fn(x: Any, w: Any) -> Any:
        y = conv(raw.Transpose(x, perm=(0, 3, 1, 2)), w)
        return raw.Transpose(y, perm=(0, 2, 3, 1))

    graph = graph_of(fn, "float32[2, 12, 12, 16]", KERNEL)
    assert blocks(graph) == {"ReorderInput": 1, "Conv": 1, "ReorderOutput": 1}
    assert all(n.op != "Transpose" for n in graph)


def test_a_result_that_leaves_in_both_layouts_takes_two_reorders() -> None:
    graph = graph_of(lambda x, w: (lambda y: (y, raw.Transpose(y, perm=(0, 2, 3, 1))))(conv(x, w)), IMAGE, KERNEL)
    assert blocks(graph) == {"ReorderInput": 1, "Conv": 1, "ReorderOutput": 2}


def test_gradients_of_biases_and_kernels_read_blocks() -> None:
    def fn(x: Any, w: Any) -> Any:
        y = raw.Tanh(conv(x, w))
        return raw.ReduceSum(y, i64(0, 2, 3), keepdims=0), raw.Transpose(y, perm=(1, 0, 2, 3)), conv(y, w)

    found = blocks(graph_of(fn, IMAGE, KERNEL))
    assert found["ReorderOutput"] == 2, "the transpose is fast from the ordinary layout only"


def test_a_named_batch() -> None:
    graph = graph_of(lambda x, w: conv(raw.Tanh(conv(x, w)), w), "float32[batch, 16, 12, 12]", KERNEL)
    assert blocks(graph)["Conv"] == 2


def test_the_pipeline_keeps_a_wide_network_in_blocks() -> None:
    graph = gradients(zoo.ZOO["wide_cnn"](), ["y"], ["w1", "b", "w2"])
    wanted = zoo.run(graph)
    PassManager(pipeline("cpu")).run(graph)
    found = Counter(n.op for n in graph if n.domain == NCHWC)
    assert found["Conv"] >= 3
    for name, result in zoo.run(graph).items():
        np.testing.assert_allclose(result, wanted[name], rtol=1e-4, atol=1e-5)
    portable = gradients(zoo.ZOO["wide_cnn"](), ["y"], ["w1", "b", "w2"])
    PassManager(pipeline("portable")).run(portable)
    assert not any(n.domain for n in portable)


def test_without_blocks_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocked, "block_size", lambda: None)
    graph = graph_of(lambda x, w: conv(x, w), IMAGE, KERNEL)
    assert Blocks().run(graph) == 0


def test_a_constant_is_reordered_as_the_runtime_does() -> None:
    layouts = Blocked(8)
    array = np.arange(2 * 16 * 3 * 2, dtype=np.float32).reshape(2, 16, 3, 2)
    turned = layouts.turn_constant(array, 0)
    assert turned.ravel()[:3].tolist() == [array[0, 0, 0, 0], array[0, 1, 0, 0], array[0, 2, 0, 0]]
    np.testing.assert_array_equal(layouts.turn_constant(turned, 1), array)
