"""Shapes on Keras tensors, dtypes, and what is said when arguments do not fit."""

from __future__ import annotations

import numpy as np
import pytest

from nngraph import config, ops
from nngraph.ops import KerasTensor


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


IMAGES = KerasTensor((None, 28, 27, 3))
ANY_SIZE = KerasTensor((None, None, None, 3))


@pytest.mark.parametrize(
    ("result", "shape"),
    [
        (ops.conv(IMAGES, zeros(3, 3, 3, 8)), (None, 26, 25, 8)),
        (ops.conv(IMAGES, zeros(3, 3, 3, 8), strides=2, padding="same"), (None, 14, 14, 8)),
        (ops.conv(ANY_SIZE, zeros(3, 3, 3, 8), padding="same"), (None, None, None, 8)),
        (ops.conv(ANY_SIZE, zeros(3, 3, 3, 8), strides=2, padding="same"), (None, None, None, 8)),
        (ops.conv_transpose(IMAGES, zeros(3, 3, 8, 3), strides=2, padding="same"), (None, 56, 54, 8)),
        (ops.conv_transpose(ANY_SIZE, zeros(3, 3, 8, 3), strides=2, padding="same"), (None, None, None, 8)),
        (ops.depthwise_conv(IMAGES, zeros(3, 3, 3, 2), padding="same"), (None, 28, 27, 6)),
        (ops.max_pool(IMAGES, 2), (None, 14, 13, 3)),
        (ops.average_pool(ANY_SIZE, 2, padding="same"), (None, None, None, 3)),
        (ops.adaptive_average_pool(IMAGES, (5, 4)), (None, 5, 4, 3)),
        (ops.softmax(IMAGES, axis=(1, 2)), (None, 28, 27, 3)),
        (ops.glu(KerasTensor((None, 8))), (None, 4)),
        (ops.unfold(KerasTensor((None, 3, 8, 8)), 2), (None, 12, 49)),
        (ops.fold(KerasTensor((None, 12, 49)), 8, 2), (None, 3, 8, 8)),
        (ops.sparse_categorical_crossentropy(KerasTensor((None, 1), "int32"), KerasTensor((None, 9))), (None,)),
        (ops.layer_normalization(ANY_SIZE, zeros(3), zeros(3)), (None, None, None, 3)),
        (ops.dot_product_attention(*[KerasTensor((None, None, 4, 8))] * 3, is_causal=True), (None, None, 4, 8)),
    ],
)
def test_shapes_on_keras_tensors(result: KerasTensor, shape: tuple) -> None:
    assert result.shape == shape


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_results_keep_the_dtype(dtype: str) -> None:
    x, image = np.ones((2, 4), dtype), np.ones((1, 4, 4, 2), dtype)
    results = {
        "gelu": ops.gelu(x),
        "softmax": ops.softmax(x),
        "layer_normalization": ops.layer_normalization(x),
        "rms_normalization": ops.rms_normalization(x),
        "batch_normalization": ops.batch_normalization(x, np.zeros(4), np.ones(4), -1),
        "moments": ops.moments(x, 0)[1],
        "conv": ops.conv(image, np.ones((2, 2, 2, 3), dtype)),
        "max_pool": ops.max_pool(image, 2),
        "average_pool": ops.average_pool(image, 2),
        "categorical_crossentropy": ops.categorical_crossentropy(x, x, from_logits=True),
    }
    assert {name: str(y.dtype) for name, y in results.items()} == dict.fromkeys(results, dtype)


def test_integers_stay_where_keras_keeps_them() -> None:
    x = np.int32([-2, 0, 9])
    assert (ops.relu(x).dtype, ops.hard_tanh(x).dtype) == (np.int32, np.int32)
    assert (ops.relu6(x).dtype, ops.softsign(x).dtype) == (np.float32, np.float32)


def test_the_configured_data_format_is_the_default() -> None:
    x, w = np.arange(32, dtype=np.float32).reshape(1, 2, 4, 4), np.ones((2, 2, 2, 1), np.float32)
    before = config.image_data_format()
    try:
        config.set_image_data_format("channels_first")
        assert ops.conv(x, w).shape == (1, 1, 3, 3)
        assert ops.max_pool(x, 2).shape == (1, 2, 2, 2)
    finally:
        config.set_image_data_format(before)
    assert ops.max_pool(x, 2).shape == (1, 1, 2, 4)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: ops.conv(zeros(1, 5, 5, 3), zeros(3, 3, 2, 4)), "3 input channels and a kernel of shape .* multiple"),
        (lambda: ops.conv(zeros(1, 5, 5, 4), zeros(3, 3, 2, 3)), "cannot share 3 filters among 2 groups"),
        (lambda: ops.conv(zeros(1, 5, 5, 3), zeros(3, 3, 4)), "the same number of spatial axes"),
        (lambda: ops.conv(zeros(1, 5, 5, 3), zeros(3, 3, 3, 4), padding="sane"), "padding 'sane'. Did you mean 'same'"),
        (lambda: ops.conv(zeros(1, 5, 5, 3), zeros(3, 3, 3, 4), data_format="last"), "data_format 'last'"),
        (lambda: ops.conv(zeros(1, 5, 5, 3), zeros(3, 3, 3, 4), strides=(1, 2, 1)), "strides must be one integer or 2"),
        (lambda: ops.conv(zeros(1, 5, 5, 3), zeros(3, 3, 3, 4), dilation_rate=0), "dilation_rate .* at least 1"),
        (lambda: ops.conv(KerasTensor((None, 5, 5, None)), zeros(3, 3, 3, 4)), "known number of input channels"),
        (
            lambda: ops.conv(ANY_SIZE, zeros(3, 3, 3, 8), strides=2, padding="same", dilation_rate=2),
            "needs known sizes",
        ),
        (lambda: ops.depthwise_conv(zeros(1, 5, 5, 3), zeros(3, 3, 2, 4)), "made for 2"),
        (lambda: ops.conv_transpose(zeros(1, 5, 5, 3), zeros(3, 3, 3, 4)), r"its kernel is \(spatial..., filters"),
        (lambda: ops.max_pool(zeros(4, 4), 2), "1 to 3 spatial axes"),
        (lambda: ops.max_pool(zeros(1, 4, 4, 1), (2, 2, 2)), "pool_size must be one integer or 2"),
        (lambda: ops.adaptive_max_pool(ANY_SIZE, 2), "needs known spatial sizes"),
        (lambda: ops.binary_crossentropy(zeros(2, 3), zeros(1, 3)), "must have the same shape"),
        (lambda: ops.categorical_crossentropy(zeros(2, 3), zeros(2, 4)), "must have the same shape"),
        (lambda: ops.categorical_crossentropy(zeros(), zeros()), "axis of classes, got a scalar"),
        (lambda: ops.sparse_categorical_crossentropy(np.zeros(3, int), zeros(2, 3)), "shape of output without axis -1"),
        (lambda: ops.batch_normalization(zeros(2, 3), zeros(2), zeros(3), -1), "mean must be a vector of size 3"),
        (
            lambda: ops.layer_normalization(zeros(2, 3, 4), zeros(2), axis=1),
            r"must have the sizes \(3,\) of the axes \(1,\)",
        ),
        (lambda: ops.normalize(zeros(2), order=0), "order must be an integer of at least 1"),
        (lambda: ops.moments(zeros(2, 3), axes=2), "axis 2 is out of range"),
        (lambda: ops.moments(zeros(2), axes=0, synchronized=True), "synchronized=True needs several replicas"),
        (lambda: ops.glu(zeros(3)), "its size 3 is odd"),
        (lambda: ops.sparsemax(KerasTensor((None, None))), "must be known"),
        (
            lambda: ops.dot_product_attention(zeros(2, 3, 4), zeros(2, 3, 4), zeros(2, 3, 4)),
            "batch, length, heads, size",
        ),
        (lambda: ops.dot_product_attention(zeros(1, 2, 3, 4), *[zeros(1, 2, 2, 4)] * 2), "no multiple of the 2 heads"),
        (lambda: ops.depth_to_space(zeros(1, 2, 2, 6), 2), "channels must be multiples of 4"),
        (lambda: ops.space_to_depth(zeros(1, 3, 2, 6), 2), "height and width must be multiples of 2"),
        (lambda: ops.fold(zeros(1, 12, 3), 4, 2), "fold takes"),
        (lambda: ops.multi_hot([0]), "needs num_classes"),
        (lambda: ops.multi_hot([0], 2, sparse=True), "sparse tensors are not supported"),
    ],
)
def test_what_does_not_fit_is_said(call, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        call()


def test_a_graph_holds_no_complex_numbers() -> None:
    with pytest.raises(TypeError, match="real and imaginary part"):
        ops.polar(KerasTensor((2,)), KerasTensor((2,)))


def test_class_numbers_out_of_range_lose_nothing() -> None:
    losses = ops.sparse_categorical_crossentropy(np.int64([-1, 3, 1]), np.zeros((3, 3), np.float32), from_logits=True)
    np.testing.assert_allclose(losses, [0, 0, np.log(3)], rtol=1e-6)
