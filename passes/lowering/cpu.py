"""Forms that run faster than the portable ones on the CPU provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nngraph.ir import Node, Value
from nngraph.ops.axes import ints
from nngraph.ops.windows import Window
from passes.blocks import block_size
from passes.build import Builder, replace_value
from passes.lowering.table import Form
from passes.simplify.reductions import zeros_around
from passes.simplify.transposes import permutation

__all__ = ["FORMS"]


def _put(node: Node, op: Builder, result: Value) -> bool:
    """Let a value take the place of a composite's only output."""
    assert node.graph is not None
    replace_value(node.output, result, op)
    node.graph.erase(node)
    return True


def _is_plain(node: Node, *values: Value | None) -> bool:
    """Whether a convolution has one group and works on float32 tensors of known sizes."""
    return node.attributes.get("group", 1) == 1 and all(
        v is not None and v.dtype == "float32" and v.type.is_static and 0 not in v.shape for v in values
    )


def _window(attributes: Mapping[str, Any], sizes: tuple[int, ...]) -> Window:
    """Return the windows of a convolution whose kernel's gradient a node computes."""
    return Window(
        attributes["kernel_shape"],
        attributes["strides"],
        attributes["dilations"],
        attributes.get("pads"),
        attributes.get("auto_pad", "NOTSET"),
        sizes=sizes,
    )


def _is_depthwise(node: Node, *images: Value | None) -> bool:
    """Whether a convolution works on each channel by itself, on float32 images of known sizes."""
    group = node.attributes.get("group", 1)
    return group > 1 and all(
        v is not None and v.dtype == "float32" and v.type.is_static and 0 not in v.shape and v.shape[1] == group
        for v in images
    )


def _reached(g: Value | None) -> Value | None:
    """Return an output's gradient without the zeros behind it, such as a pooling's that leaves out the last row."""
    amount = zeros_around(g)
    if g is None or amount is None or any(amount[: g.ndim + 2]):
        return g
    assert g.producer is not None
    return g.producer.inputs[0]


def _depthwise_weight_grad(node: Node, x: Value, g: Value) -> bool:
    """Compute the gradient of a depthwise kernel in one of two ways; the portable form is slow in any layout."""
    window = _window(node.attributes, _sizes(x))
    if window.pads is None:
        return False
    block = block_size()
    if block is not None and window.rank == 2 and int(x.shape[1]) % block == 0:
        return _depthwise_by_image(node, x, g, window)
    return _depthwise_by_entry(node, x, g, window)


def _depthwise_by_image(node: Node, x: Value, g: Value, window: Window) -> bool:
    """Convolve each channel of each image with its own g, then add up the images.

    Images and channels together are the channels of one image, so nothing is moved. This is for the blocked layout
    (``passes.layout``), where the same holds; there it costs little more than reading x and g.
    """
    batch, channels = int(x.shape[0]), int(x.shape[1])
    kernel, steps = tuple(node.attributes["kernel_shape"]), _sizes(g)
    reach = window.reach(_sizes(x), steps)
    assert window.pads is not None
    op = Builder(node, "lower")
    each = op.Conv(
        op.Reshape(x, ints(1, batch * channels, *_sizes(x))),
        op.Reshape(g, ints(batch * channels, 1, *steps)),
        kernel_shape=steps,
        strides=window.dilations,
        dilations=window.strides,
        pads=(*window.pads[:2], *(max(r, 0) for r in reach)),
        group=batch * channels,
    )
    places = _sizes(each)
    total = op.ReduceSum(op.Reshape(each, ints(batch, channels, *places)), ints(0), keepdims=1)
    if places != kernel:  # the last pixels are in no window
        total = op.Slice(total, ints(0, 0), ints(*kernel), ints(2, 3))
    return _put(node, op, op.Reshape(total, ints(channels, 1, *kernel)))


def _depthwise_by_entry(node: Node, x: Value, g: Value, window: Window) -> bool:
    """Compute one entry of a depthwise kernel at a time: the sum over all pixels of x, moved, times g."""
    kernel, steps, rank = tuple(node.attributes["kernel_shape"]), _sizes(g), window.rank
    op = Builder(node, "lower")
    assert window.pads is not None
    after = [max(r, 0) for r in window.reach(_sizes(x), steps)]
    before = window.pads[:rank]
    padded = op.Pad(x, ints(0, 0, *before, 0, 0, *after)) if any((*before, *after)) else x
    axes, pixels = range(2, x.ndim), ints(0, *range(2, x.ndim))
    entries = []
    for place in np.ndindex(*kernel):
        starts = [p * d for p, d in zip(place, window.dilations, strict=True)]
        ends = [b + (n - 1) * s + 1 for b, n, s in zip(starts, steps, window.strides, strict=True)]
        moved = op.Slice(padded, ints(*starts), ints(*ends), ints(*axes), ints(*window.strides))
        entries.append(op.ReduceSum(op.Mul(moved, g), pixels, keepdims=0))
    columns = [op.Unsqueeze(e, ints(1)) for e in entries]
    whole = op.Concat(*columns, axis=1) if len(columns) > 1 else columns[0]
    return _put(node, op, op.Reshape(whole, ints(int(g.shape[1]), 1, *kernel)))


def conv_weight_grad(node: Node) -> bool:
    """Compute the gradient of a kernel as one convolution in which width and channels are one axis.

    x as (batch, height, width, channels) is also *one* image (1, batch, height, width · channels) whose channels are
    the batch. The gradient g of the output is the kernel that is moved over it, one step of g's being ``stride`` pixels
    or ``stride · channels`` numbers, and the result (1, filters, kernel height, kernel width · channels) is the
    gradient. What the runtime gathers for its matrix product are then runs of kernel width · channels numbers; the
    portable form, which exchanges batch and channels, gathers single ones.
    """
    x, g = node.inputs[0], _reached(node.inputs[1])
    attributes = dict(node.attributes)
    if _is_depthwise(node, x, g):
        assert x is not None and g is not None
        return _depthwise_weight_grad(node, x, g)
    if not _is_plain(node, x, g) or attributes["dilations"][-1] != 1:
        return False
    assert x is not None and g is not None
    sizes, steps, kernel = _sizes(x), _sizes(g), tuple(attributes["kernel_shape"])
    window = _window(attributes, sizes)
    if window.pads is None:
        return False
    before, reach = window.pads[: window.rank], window.reach(sizes, steps)
    if all(k == 1 for k in (*kernel, *window.strides)) and not any(before) and sizes == steps:
        return _pixel_weight_grad(node, x, g)
    if _swaps_in_blocks(x, g, window):
        node.set_input(1, g)  # the portable form is as good, but is not to read the zeros behind g either
        return False
    batch, channels, filters = int(x.shape[0]), int(x.shape[1]), int(g.shape[1])
    op = Builder(node, "lower")
    last = x.ndim - 2
    image = op.Transpose(x, perm=(0, *range(2, x.ndim), 1))
    if min(reach) < 0:  # the last pixels are in no window
        sizes = tuple(n + min(r, 0) for n, r in zip(sizes, reach, strict=True))
        image = op.Slice(image, ints(*[0] * window.rank), ints(*sizes), ints(*range(1, last + 1)))
    after = [max(r, 0) for r in reach]
    image = op.Reshape(image, ints(1, batch, *sizes[:-1], sizes[-1] * channels))
    # Few channels make few columns; two halves of the batch side by side keep the product busy.
    groups = 2 if channels <= 64 and batch % 2 == 0 else 1
    merged = op.Conv(
        image,
        _as_kernel(op, g, groups),
        kernel_shape=steps,
        strides=(*window.dilations[:-1], 1),
        dilations=(*window.strides[:-1], window.strides[-1] * channels),
        pads=(*before[:-1], before[-1] * channels, *after[:-1], after[-1] * channels),
        group=groups,
    )
    if groups == 1:
        gradient = op.Reshape(merged, ints(filters, *kernel, channels))
    else:
        gradient = op.ReduceSum(op.Reshape(merged, ints(groups, filters, *kernel, channels)), ints(0), keepdims=0)
    return _put(node, op, op.Transpose(gradient, perm=(0, last + 1, *range(1, last + 1))))


def _swaps_in_blocks(x: Value, g: Value, window: Window) -> bool:
    """Whether the portable form, which exchanges batch and channels, can work in the blocked layout.

    Batch and filters must fill blocks; the channels, which are the batch then, may be few. There it takes no memory for
    patches: those of a kernel of 3 × 3 pixels are nine times as large as the image.
    """
    block = block_size()
    if block is None or window.rank != 2 or any(s != 1 for s in window.strides):
        return False
    return int(x.shape[0]) % block == 0 and int(g.shape[1]) % block == 0


def _pixel_weight_grad(node: Node, x: Value, g: Value) -> bool:
    """Compute the gradient of a kernel of one pixel as a product of matrices with one row for each pixel."""
    op, rank = Builder(node, "lower"), x.ndim - 2
    last, first = (0, *range(2, x.ndim), 1), (rank + 1, rank, *range(rank))
    channels, filters = int(x.shape[1]), int(g.shape[1])
    rows, columns = (op.Reshape(op.Transpose(v, perm=last), ints(-1, int(v.shape[1]))) for v in (x, g))
    product = op.Reshape(op.Gemm(rows, columns, transA=1), ints(*[1] * rank, channels, filters))
    return _put(node, op, op.Transpose(product, perm=first))


def _as_kernel(op: Builder, g: Value, groups: int) -> Value:
    """Return (batch, filters, ...) as a kernel (groups · filters, batch / groups, ...)."""
    batch, filters, *steps = (int(d) for d in g.shape)
    rest = range(2, g.ndim)
    value: Value
    if groups == 1:
        value = op.Transpose(g, perm=(1, 0, *rest))
        return value
    parts = op.Reshape(g, ints(groups, batch // groups, filters, *steps))
    turned = op.Transpose(parts, perm=(0, 2, 1, *(k + 1 for k in rest)))
    value = op.Reshape(turned, ints(groups * filters, batch // groups, *steps))
    return value


def conv_input_grad(node: Node) -> bool:
    """Compute the gradient of an image as a convolution with the kernel turned round.

    It fits where the stride is 1. It pays with a kernel of one pixel, where nothing needs turning, and where the
    channels on both sides fill whole blocks: then the convolution can work in the blocked layout (``passes.layout``).
    There a depthwise one pays even with larger strides, though most of what it multiplies then is zeros.
    """
    g, w, attributes = node.inputs[0], node.inputs[1], node.attributes
    spatial, pads, strides = attributes.get("spatial"), attributes.get("pads"), tuple(attributes["strides"])
    if g is None or w is None or spatial is None or pads is None:
        return False
    depthwise = _is_depthwise(node, g) and w.dtype == "float32" and w.shape[:2] == (g.shape[1], 1)
    if not depthwise and (not _is_plain(node, g, w) or any(s != 1 for s in strides)):
        return False
    rank = w.ndim - 2
    kernel, dilations = _sizes(w), tuple(attributes["dilations"])
    steps = [n * s for n, s in zip(_sizes(g), strides, strict=True)]
    reach = [(k - 1) * d for k, d in zip(kernel, dilations, strict=True)]
    before = [r - p for r, p in zip(reach, pads[:rank], strict=True)]
    after = [n - o + r - b for n, o, r, b in zip(spatial, steps, reach, before, strict=True)]
    if min(*before, *after) < 0:
        return False
    op = Builder(node, "lower")
    common: dict[str, Any] = {"kernel_shape": kernel, "dilations": dilations, "pads": (*before, *after)}
    block = block_size()
    turned: Any = w
    if any(n != 1 for n in (*kernel, *strides)):
        if block is None or rank != 2 or any(int(d) % block for d in w.shape[: 1 if depthwise else 2]):
            return False
        turned = _turned_round(op, w)
    if depthwise:
        return _put(node, op, op.Conv(_spread(op, g, strides), turned, group=int(w.shape[0]), **common))
    return _put(node, op, op.Conv(g, op.Transpose(turned, perm=(1, 0, *range(2, w.ndim))), **common))


def _turned_round(op: Builder, w: Value) -> Value:
    """Return a kernel with its pixels in reverse order.

    One that a transpose made, such as from Keras's layout, is turned in front of that, where its pixels lie far apart.
    """
    made, perm = w.producer, tuple(range(w.ndim))
    source: Value | None = w
    if made is not None and made.op_id == "Transpose":
        source, perm = made.inputs[0], permutation(made)
    back = [-1] * (w.ndim - 2)
    turned: Value = op.Slice(
        source, ints(*back), np.full(len(back), np.iinfo(np.int64).min), ints(*perm[2:]), ints(*back)
    )
    return turned if source is w else op.Transpose(turned, perm=perm)


def _spread(op: Builder, g: Value, strides: tuple[int, ...]) -> Value:
    """Return an image with ``stride - 1`` zeros after each pixel: every pixel repeated, and all but one put out."""
    if all(s == 1 for s in strides):
        return g
    modes = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    repeated = op.Resize(g, None, np.array((1, 1, *strides), np.float32), **modes)
    mask = np.zeros((1, 1, *_sizes(repeated)), np.float32)
    mask[:, :, :: strides[0], :: strides[1]] = 1
    value: Value = op.Mul(repeated, mask)
    return value


def batch_norm_training(node: Node) -> bool:
    """Normalise by the batch's statistics with the runtime's kernel, which reads the tensor two times instead of six.

    ``BatchNormalization`` in training mode blends its statistics with older ones; with momentum 0 it gives the batch's.
    The runtime writes the new ones over the older ones. Those must therefore be nobody else's: not a constant, which
    other nodes and other threads use, but some numbers of x, copied for the purpose.
    """
    x, scale, offset = node.inputs
    if x is None or scale is None or x.dtype != "float32" or scale.dtype != "float32" or node.graph is None:
        return False
    features = x.shape[1]
    if not isinstance(features, int):
        return False
    op = Builder(node, "lower")
    epsilon = float(node.attributes.get("epsilon", 1e-3))
    rest = [1] * (x.ndim - 2)
    corner = op.Slice(x, ints(*[0] * x.ndim), ints(1, features, *rest))
    old_mean = op.Reshape(corner, ints(features))
    old = [old_mean, op.Neg(old_mean)]
    y, mean, variance = op.node(
        "BatchNormalization", [x, scale, offset, *old], _outputs=3, epsilon=epsilon, momentum=0.0, training_mode=1
    )
    results = [y, mean, variance]
    if len(node.outputs) > 3:
        results.append(op.Reciprocal(op.Sqrt(op.Add(variance, epsilon))))
    for old_value, new in zip(node.outputs, results, strict=False):
        replace_value(old_value, new, op)
    node.graph.erase(node)
    return True


def _sizes(x: Value) -> tuple[int, ...]:
    return tuple(int(d) for d in x.shape[2:])


FORMS: dict[str, Form] = {
    "BatchNormTraining": batch_norm_training,
    "ConvInputGrad": conv_input_grad,
    "ConvWeightGrad": conv_weight_grad,
}
