"""What is wrong with a layer's arguments or inputs is said in one sentence that names the layer and the argument."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nngraph import layers as L
from nngraph.ops import KerasTensor

CONSTRUCTORS: dict[str, tuple[Callable[[], Any], str]] = {
    "units 0": (lambda: L.Dense(0), "Dense: units must be a positive integer, got 0"),
    "units half": (lambda: L.Dense(2.5), "Dense: units must be a positive integer, got 2.5"),
    "units true": (lambda: L.Dense(True), "Dense: units must be a positive integer, got True"),
    "activation": (lambda: L.Dense(2, activation="reluu"), "Unknown activation 'reluu'. Did you mean 'relu'?"),
    "initializer": (
        lambda: L.Dense(2, kernel_initializer="zerros"),
        "Unknown initializer 'zerros'. Did you mean 'zeros'?",
    ),
    "keyword": (lambda: L.Dense(2, unit=3), "Unrecognized keyword arguments passed to Dense: ['unit']"),
    "quantization": (lambda: L.Dense(2, quantization_config="int8"), "Dense: quantization_config is not supported"),
    "lora and constraint": (
        lambda: L.Dense(2, lora_rank=1, kernel_constraint="non_neg").build((None, 3)),
        "low-rank adaptation does not go with kernel_constraint",
    ),
    "equation": (lambda: L.EinsumDense("ab->ab", 3), "EinsumDense: equation must look like 'ab,bc->ac'"),
    "input_dim": (lambda: L.Embedding(-1, 2), "Embedding: input_dim must be a positive integer, got -1"),
    "lambda": (lambda: L.Lambda(3), "Lambda takes a function, got 3"),
    "wrapper": (lambda: L.SpectralNormalization("dense"), "SpectralNormalization takes a layer, got 'dense'"),
    "filters": (lambda: L.Conv2D(0, 3), "Conv2D: filters must be a positive integer, got 0"),
    "kernel size": (
        lambda: L.Conv2D(4, (3,)),
        "Conv2D: kernel_size must be a positive integer or a tuple of 2 of them, got (3,)",
    ),
    "kernel size 1D": (
        lambda: L.Conv1D(4, (3, 3)),
        "Conv1D: kernel_size must be a positive integer or a tuple of one, got (3, 3)",
    ),
    "strides": (
        lambda: L.Conv2D(4, 3, strides=0),
        "Conv2D: strides must be a positive integer or a tuple of 2 of them, got 0",
    ),
    "strides and dilation": (
        lambda: L.Conv2D(4, 3, strides=2, dilation_rate=2),
        "Conv2D: strides=(2, 2) and dilation_rate=(2, 2) cannot both be more than 1",
    ),
    "padding": (lambda: L.Conv2D(4, 3, padding="sme"), "Unknown padding of Conv2D 'sme'. Did you mean 'same'?"),
    "causal": (lambda: L.Conv2D(4, 3, padding="causal"), "Conv2D: padding='causal' is for Conv1D only"),
    "data format": (
        lambda: L.Conv2D(4, 3, data_format="channel_last"),
        "Unknown data_format of Conv2D 'channel_last'. Did you mean 'channels_last'?",
    ),
    "groups": (lambda: L.Conv2D(4, 3, groups=3), "Conv2D: filters=4 must be a multiple of groups=3"),
    "output padding": (
        lambda: L.Conv2DTranspose(4, 3, strides=2, output_padding=2),
        "Conv2DTranspose: output_padding=(2, 2) must be less than strides=(2, 2)",
    ),
    "pool size": (
        lambda: L.MaxPooling2D((2, 2, 2)),
        "MaxPooling2D: pool_size must be a positive integer or a tuple of 2",
    ),
    "pool padding": (lambda: L.AveragePooling1D(2, padding="vaild"), "Did you mean 'valid'?"),
    "output size": (lambda: L.AdaptiveMaxPooling1D(0), "AdaptiveMaxPooling1D: output_size must be a positive integer"),
    "cropping": (
        lambda: L.Cropping2D(((1, 2, 3), 1)),
        "Cropping2D: cropping must be an integer of at least 0 or 2 integers",
    ),
    "zero padding": (lambda: L.ZeroPadding1D(-1), "ZeroPadding1D: padding must be an integer of at least 0"),
    "interpolation": (lambda: L.UpSampling2D(2, interpolation="bilinar"), "Did you mean 'bilinear'?"),
    "permute": (lambda: L.Permute((0, 1)), "Permute: dims must hold each of 1 to 2 once"),
    "reshape": (
        lambda: L.Reshape((-1, -1)),
        "Reshape: target_shape must be sizes without the batch, at most one of them -1",
    ),
    "repeat": (lambda: L.RepeatVector(2.0), "RepeatVector: n must be an integer, got 2.0"),
    "batch norm axis": (lambda: L.BatchNormalization(axis=[1]), "BatchNormalization: axis must be an integer, got [1]"),
    "momentum": (
        lambda: L.BatchNormalization(momentum=2),
        "BatchNormalization: momentum must be a number from 0 to 1, got 2",
    ),
    "renorm": (
        lambda: L.BatchNormalization(renorm=True, renorm_clipping={"max": 1}),
        "has the keys rmin, rmax and dmax",
    ),
    "layer norm axis": (
        lambda: L.LayerNormalization(axis="last"),
        "LayerNormalization: axis must be an integer or a list",
    ),
    "rms scaling": (lambda: L.LayerNormalization(rms_scaling=True), "use the layer RMSNormalization"),
    "group norm": (
        lambda: L.GroupNormalization(0),
        "GroupNormalization: groups must be a positive integer or -1, got 0",
    ),
    "rate": (lambda: L.Dropout(1.5), "Dropout: rate must be a number from 0 to 1, got 1.5"),
    "rate text": (lambda: L.Dropout("0.5"), "Dropout: rate must be a number from 0 to 1, got '0.5'"),
    "alpha rate": (lambda: L.AlphaDropout(1), "AlphaDropout: rate must be a number at least 0 and less than 1, got 1"),
    "stddev": (lambda: L.GaussianNoise(-0.1), "GaussianNoise: stddev must be a number from 0 to 1, got -0.1"),
    "seed": (lambda: L.Dropout(0.5, seed="a"), "seed must be an integer"),
    "slope": (lambda: L.LeakyReLU(-1), "LeakyReLU: negative_slope must be a number of at least 0, got -1"),
    "dot axes": (lambda: L.Dot((1, 2, 3)), "Dot: axes must be an integer or two integers, got (1, 2, 3)"),
    "statistics": (lambda: L.Normalization(mean=1.0), "Normalization: give both mean and variance"),
    "tokens": (lambda: L.CategoryEncoding(), "CategoryEncoding: num_tokens must be given"),
    "mode": (lambda: L.CategoryEncoding(3, output_mode="onehot"), "Did you mean 'one_hot'?"),
    "boundaries": (lambda: L.Discretization([2.0, 1.0]), "Discretization: bin_boundaries must rise"),
    "neither": (lambda: L.Discretization(), "give num_bins (and call adapt) or bin_boundaries"),
    "both aspect ratios": (
        lambda: L.Resizing(2, 2, crop_to_aspect_ratio=True, pad_to_aspect_ratio=True),
        "only one of crop_to_aspect_ratio and pad_to_aspect_ratio",
    ),
    "flip": (lambda: L.RandomFlip("horizontl"), "Unknown mode of RandomFlip 'horizontl'. Did you mean 'horizontal'?"),
    "brightness": (
        lambda: L.RandomBrightness(2),
        "RandomBrightness: factor must be a number (or two) from -1 to 1, got 2",
    ),
    "value range": (
        lambda: L.RandomContrast(0.1, value_range=(1, 0)),
        "value_range must be the lowest and the highest",
    ),
    "fill mode": (lambda: L.RandomZoom(0.1, fill_mode="mirror"), "Unknown fill_mode of RandomZoom 'mirror'."),
    "name": (lambda: L.Dense(2, name=3), "name of a Dense layer must be a string, got 3"),
}


@pytest.mark.parametrize("what", CONSTRUCTORS)
def test_a_wrong_argument(what: str) -> None:
    make, message = CONSTRUCTORS[what]
    with pytest.raises((ValueError, TypeError), match=re.escape(message)):
        make()


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, "float32")


CALLS: dict[str, tuple[Callable[[], Any], Any, str]] = {
    "rank": (lambda: L.Dense(2, name="d"), ones(3), "layer 'd' (Dense) on input of shape (3,): "),
    "conv rank": (lambda: L.Conv2D(2, 3, name="c"), ones(2, 5, 5), "expected 4 dimensions, got shape (2, 5, 5) with 3"),
    "small image": (
        lambda: L.Conv2D(2, 5),
        ones(1, 4, 4, 2),
        "kernel_size (5, 5) with dilation_rate (1, 1) reaches over 5",
    ),
    "small pool": (
        lambda: L.MaxPooling2D(3),
        ones(1, 2, 2, 1),
        "pool_size (3, 3) does not fit into axis 1, whose size is 2",
    ),
    "channel groups": (
        lambda: L.Conv2D(4, 1, groups=2),
        ones(1, 2, 2, 3),
        "the 3 channels of the input must be a multiple",
    ),
    "cropped away": (
        lambda: L.Cropping1D(2),
        ones(1, 4, 1),
        "cropping (2, 2) leaves nothing of axis 1, whose size is 4",
    ),
    "reshape": (
        lambda: L.Reshape((3, 3)),
        ones(2, 8),
        "a sample of shape (8,) has 8 elements and cannot take the shape (3, 3)",
    ),
    "norm groups": (
        lambda: L.GroupNormalization(3),
        ones(2, 4),
        "the 4 channels on axis -1 must be a multiple of groups=3",
    ),
    "norm axis": (lambda: L.LayerNormalization(axis=3), ones(2, 4), "axis 3 is none of an input of shape (2, 4)"),
    "index": (
        lambda: L.Embedding(3, 2, name="e"),
        np.array([[0, 3]]),
        "index 3 is out of range: input_dim=3 has rows 0 to 2",
    ),
    "negative index": (lambda: L.Embedding(3, 2), np.array([[0, -1]]), "index -1 is out of range"),
    "merge": (
        lambda: L.Add(),
        [ones(2, 3), ones(2, 4)],
        "cannot merge tensors of shapes [(2, 3), (2, 4)]: sizes [3, 4] differ",
    ),
    "no list": (lambda: L.Add(), ones(2, 3), "call it on a list of tensors, such as [a, b]"),
    "subtract": (lambda: L.Subtract(), [ones(2, 3)] * 3, "call it on a list of two tensors, got 3"),
    "concatenate": (
        lambda: L.Concatenate(),
        [ones(2, 3), ones(3, 3)],
        "cannot concatenate tensors of shapes [(2, 3), (3, 3)] along axis -1: sizes [2, 3] differ on axis 0",
    ),
    "dot": (lambda: L.Dot(1), [ones(2, 3), ones(2, 4)], "have sizes 3 and 4, which must be equal"),
    "dot batch": (lambda: L.Dot(0), [ones(2, 3), ones(2, 3)], "must be axes of (2, 3) other than 0, the batch"),
    "category": (
        lambda: L.CategoryEncoding(3),
        np.array([[0, 3]]),
        "category 3 is out of range: num_tokens=3 has 0 to 2",
    ),
    "bins": (lambda: L.Discretization(num_bins=3), ones(2, 2), "call adapt(data) before the layer"),
    "images": (lambda: L.Resizing(2, 2), ones(2, 2), "expected images with 4 dimensions"),
    "statistics": (
        lambda: L.Normalization(mean=[1.0, 2.0], variance=[1.0, 1.0]),
        ones(2, 3),
        "mean of shape (2,) does not fit",
    ),
    "einsum": (lambda: L.EinsumDense("ab,bc->ac", 4), ones(2, 3, 4), "is for inputs of 2 dimensions, got 3"),
    "einsum shape": (lambda: L.EinsumDense("abc,cd->abd", 4), ones(2, 3, 4), "needs 2, one for each label"),
    "shared axes": (lambda: L.PReLU(shared_axes=[4]), ones(2, 3, 4), "shared_axes [4] must be among the axes 1 to 2"),
}


@pytest.mark.parametrize("what", CALLS)
def test_a_wrong_input(what: str) -> None:
    make, inputs, message = CALLS[what]
    layer = make()
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        layer(inputs)
    assert f"layer {layer.name!r} ({type(layer).__name__})" in str(caught.value)


@pytest.mark.parametrize(
    ("make", "good", "bad", "message"),
    [
        (lambda: L.Dense(2), (None, 8), (None, 5), "expected size 8 on axis -1, got shape (None, 5)"),
        (lambda: L.Conv2D(2, 3), (None, 9, 9, 3), (None, 9, 9, 4), "expected size 3 on axis -1"),
        (
            lambda: L.Conv2D(2, 3, data_format="channels_first"),
            (None, 3, 9, 9),
            (None, 4, 9, 9),
            "expected size 3 on axis 1",
        ),
        (lambda: L.BatchNormalization(), (None, 4), (None, 5), "expected size 4 on axis 1"),
        (lambda: L.SeparableConv1D(2, 3), (None, 9, 3), (None, 9, 2), "expected size 3 on axis -1"),
        (lambda: L.PReLU(), (None, 3), (None, 4), "expected size 3 on axis 1"),
        (lambda: L.Dense(2), (None, None), None, "weight 'kernel' needs a known shape"),
        (lambda: L.Conv1D(2, 3), (None, 5, None), None, "the number of channels, axis -1 of the input"),
        (lambda: L.BatchNormalization(), (None, None), None, "the number of features, axis -1, must be known"),
        (lambda: L.UpSampling2D(interpolation="bilinear"), (None, None, None, 3), None, "needs images of known height"),
        (lambda: L.CenterCrop(2, 2), (None, None, None, 3), None, "height and width of the images must be known"),
    ],
)
def test_a_shape_that_does_not_fit(make: Any, good: Any, bad: Any, message: str) -> None:
    layer = make()
    if bad is not None:
        layer(KerasTensor(good))
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        layer(KerasTensor(bad or good))
    assert layer.name in str(caught.value)


def test_adapt_says_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="mean and variance were given"):
        L.Normalization(mean=1.0, variance=1.0).adapt(ones(2, 2))
    with pytest.raises(ValueError, match="bin_boundaries were given"):
        L.Discretization([1.0]).adapt(ones(2, 2))
    with pytest.raises(ValueError, match=r"Normalization.adapt got no data"):
        L.Normalization().adapt(iter(()))
    with pytest.raises(ValueError, match="takes the inputs alone, got a batch that is a tuple of 2"):
        L.Normalization().adapt(iter([(ones(2, 2), ones(2))]))
    with pytest.raises(ValueError, match="adapt takes an array or an iterable"):
        L.Normalization().adapt(3)
    layer = L.Normalization()
    layer.build((None, 3))
    with pytest.raises(ValueError, match=re.escape("adapt got a batch of shape (2, 2)")):
        layer.adapt(ones(2, 2))


def test_low_rank_weights_need_a_built_layer_and_come_once() -> None:
    layer = L.Dense(3)
    with pytest.raises(ValueError, match="is not built"):
        layer.enable_lora(2)
    layer.build((None, 4))
    layer.enable_lora(2)
    with pytest.raises(ValueError, match="has its low-rank weights already"):
        layer.enable_lora(2)


def test_a_lambda_is_not_saved() -> None:
    layer = L.Lambda(lambda x: x + 1, name="plus")
    with pytest.raises(
        ValueError, match=re.escape("layer 'plus' (Lambda) cannot be saved: its function is Python code")
    ):
        layer.get_config()
