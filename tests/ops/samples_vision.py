"""Samples of regions, moved convolutions, columns of blocks and grids."""

from __future__ import annotations

import numpy as np
from sample import S, Sample, apart, between, ints, normal

SIZES = "the sizes of images and kernels are known"
NONE = "onnx.reference fails, or computes something else than the specification"

IMAGES = normal(2, 2, 4, 5)
BOXES = np.array([[0.37, 0.23, 3.41, 2.67], [1.21, 0.74, 4.13, 3.28], [-0.43, -0.31, 2.26, 1.93]])
BATCH = np.array([0, 1, 1])


def unlike(sample: Sample) -> Sample:
    return sample.but(reference=False, why=NONE)


def fixed(*samples: Sample) -> list[Sample]:
    return [s.but(named=False, why=SIZES) for s in samples]


def aligned(images: np.ndarray = IMAGES, **attributes) -> Sample:
    sample = S(images, BOXES, BATCH, output_height=2, output_width=3, **attributes)
    return unlike(sample).but(fed=(2,))


def unpooled(*shape: int) -> np.ndarray:
    """Places in an image of these sizes for a half as many pixels along its last two axes, each once."""
    steps = np.arange(int(np.prod(shape))).reshape(shape)
    return np.ascontiguousarray(steps[..., ::2, 1::2])


def deformed(x, w, *more, offset_group: int = 1, counts=(2, 2), mask: bool = False, bias: bool = False, **attributes):
    """A sample whose places are far from whole numbers, where the gradient by the offset has steps."""
    places = int(np.prod(w[2:]))
    offset = np.floor(between(-2, 2, x[0], offset_group * places * 2, *counts)) + between(
        0.2, 0.8, x[0], offset_group * places * 2, *counts
    )
    inputs = [normal(*x), normal(*w), offset, normal(w[0]) if bias else None]
    if mask:
        inputs.append(between(0.2, 1, x[0], offset_group * places, *counts))
    return S(*inputs, offset_group=offset_group, **attributes)


SAMPLES = {
    "RoiAlign": [
        aligned(sampling_ratio=2),
        aligned(coordinate_transformation_mode="output_half_pixel", spatial_scale=0.7, sampling_ratio=1),
        aligned(),
        aligned(apart(2, 2, 4, 5, gap=0.5), mode="max", sampling_ratio=2),
    ],
    "MaxRoiPool": [
        unlike(
            S(apart(2, 2, 4, 5), np.array([[0, 0.3, 0.2, 3.4, 2.6], [1, 1.2, 0.7, 4.1, 3.2]]), pooled_shape=(2, 2))
        ).but(wrt=(0,)),
        unlike(S(apart(1, 2, 4, 5), np.array([[0, 1.0, 1.0, 9.0, 6.0]]), pooled_shape=(3, 2), spatial_scale=0.5)).but(
            wrt=(0,)
        ),
    ],
    "DeformConv": fixed(
        deformed((1, 2, 3, 4), (2, 2, 2, 3)),
        deformed(
            (2, 4, 4, 4),
            (2, 2, 2, 2),
            group=2,
            offset_group=2,
            pads=(1, 0, 0, 1),
            strides=(2, 1),
            dilations=(1, 2),
            counts=(2, 3),
            mask=True,
            bias=True,
        ),
    ),
    "Col2Im": [
        S(normal(1, 10, 5), ints(5, 5), ints(1, 5)),
        S(normal(2, 12, 12), ints(6, 7), ints(2, 3), strides=(2, 1), pads=(1, 0, 0, 1), dilations=(1, 2)),
        unlike(S(normal(1, 4, 36), ints(3, 4, 5), ints(1, 2, 2))),
    ],
    "MaxUnpool": [
        S(normal(1, 2, 2, 2), unpooled(1, 2, 4, 4), kernel_shape=(2, 2), strides=(2, 2)),
        unlike(S(normal(1, 1, 2, 2), unpooled(1, 1, 4, 4), ints(1, 1, 5, 5), kernel_shape=(2, 2), strides=(2, 2))),
        unlike(S(normal(1, 1, 2, 3), np.array([[[[0, 4, 4], [2, 9, 4]]]]), kernel_shape=(2, 2))),
    ],
    "AffineGrid": [
        S(normal(2, 2, 3), ints(2, 3, 2, 3)),
        S(normal(1, 2, 3), ints(1, 1, 3, 2), align_corners=1).but(fed=(1,)),
        S(normal(2, 3, 4), ints(2, 1, 2, 3, 2)),
    ],
}
