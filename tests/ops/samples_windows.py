"""Samples of convolution, pooling and resizing."""

from __future__ import annotations

import numpy as np
from sample import S, Sample, apart, ints, normal

KNOWN = "kernels and their channels have known sizes"


def fixed(*samples: Sample, why: str = KNOWN) -> list[Sample]:
    return [s.but(named=False, why=why) for s in samples]


def unreferenced(sample: Sample) -> Sample:
    return sample.but(reference=False, why="onnx.reference fails")


def scales(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float32)


def resized(**attributes) -> Sample:
    return S(normal(1, 2, 5, 6), None, scales(0.6, 1.7), axes=(2, 3), **attributes)


X1, X2, X3 = normal(2, 4, 7), normal(2, 4, 6, 7), normal(1, 4, 3, 4, 3)
POOLED = apart(2, 2, 5, 6)
POOL = {"kernel_shape": (2, 2), "strides": (2, 2)}
OVERLAP = {"kernel_shape": (3, 2), "strides": (2, 1), "pads": (1, 0, 0, 1)}
SAME = {"strides": (2, 2), "dilations": (1, 1), "auto_pad": "SAME_UPPER"}
SKIP = {"strides": (3, 2), "dilations": (1, 1), "pads": (0, 0, 0, 0)}
GRAD = {"strides": (2, 1), "dilations": (1, 2), "pads": (1, 0, 2, 1)}
WINDOWS = {"kernel_shape": (3, 2), "strides": (2, 1), "dilations": (1, 1), "pads": (1, 0, 0, 1)}
TILES = {"kernel_shape": (2, 2), "strides": (2, 2), "dilations": (1, 1), "pads": (0, 0, 0, 0)}

SAMPLES = {
    "Conv": fixed(
        S(X1, normal(3, 4, 3)),
        S(X1, normal(6, 2, 2), normal(6), strides=(3,), pads=(1, 2), dilations=(2,), group=2),
        S(X2, normal(3, 4, 3, 2), normal(3), strides=(2, 1), pads=(1, 0, 2, 1)),
        S(X2, normal(4, 1, 3, 3), group=4, auto_pad="SAME_UPPER", strides=(2, 2)),
        S(X2, normal(2, 2, 2, 3), group=2, auto_pad="SAME_LOWER"),
        S(X2, normal(3, 4, 1, 1), strides=(3, 2), kernel_shape=(1, 1)),
        S(X3, normal(2, 2, 2, 3, 1), group=2, strides=(1, 2, 2), pads=(0, 1, 0, 1, 0, 0)),
    ),
    "ConvTranspose": fixed(
        S(X1, normal(4, 3, 3), normal(3)),
        unreferenced(S(X1, normal(4, 1, 2), strides=(3,), output_padding=(1,), pads=(1, 0), group=2)),
        unreferenced(S(X2, normal(4, 2, 3, 2), strides=(2, 1), dilations=(1, 2), pads=(1, 0, 0, 1), group=2)),
        unreferenced(S(X2, normal(4, 2, 3, 2), strides=(2, 2), auto_pad="SAME_LOWER")),
        unreferenced(S(X2, normal(4, 1, 3, 2), strides=(2, 2), output_shape=(12, 13), group=2)),
        S(X3, normal(4, 1, 2, 1, 2), strides=(2, 1, 1)),
    ),
    "nngraph::ConvInputGrad": fixed(
        unreferenced(S(normal(2, 6, 4, 6), normal(6, 2, 3, 2), **GRAD, group=2, spatial=(6, 7))),
        unreferenced(S(normal(2, 6, 4, 6), normal(6, 4, 3, 2), ints(6, 7), **GRAD)).but(fed=(2,)),
        unreferenced(S(normal(2, 3, 3, 4), normal(3, 4, 3, 2), ints(6, 7), **SAME)),
        S(normal(2, 3, 3), normal(3, 4, 2), strides=(3,), dilations=(1,), pads=(0, 0), spatial=(10,)),
    ),
    "nngraph::ConvWeightGrad": fixed(
        S(normal(2, 4, 6, 7), normal(2, 6, 4, 6), kernel_shape=(3, 2), **GRAD, group=2),
        unreferenced(S(normal(2, 4, 6, 7), normal(2, 3, 2, 4), kernel_shape=(1, 1), **SKIP)),
        S(normal(2, 4, 7), normal(2, 4, 7), kernel_shape=(3,), strides=(1,), dilations=(1,), pads=(1, 1), group=4),
    ),
    "AveragePool": [
        S(POOLED, **POOL),
        S(POOLED, **OVERLAP),
        S(POOLED, **OVERLAP, count_include_pad=1),
        S(POOLED, kernel_shape=(3, 2), strides=(2, 2), auto_pad="SAME_UPPER"),
        unreferenced(S(POOLED, kernel_shape=(2, 2), dilations=(2, 1), auto_pad="VALID")),
        *fixed(S(POOLED, **POOL, ceil_mode=1), why="ceil_mode needs known sizes"),
        S(normal(2, 3, 7), kernel_shape=(3,)),
        S(normal(1, 2, 4, 4, 3), kernel_shape=(2, 2, 2), strides=(2, 2, 1)),
    ],
    "nngraph::AveragePoolGrad": [
        S(normal(2, 3, 3, 6), **WINDOWS, spatial=(6, 6)),
        unreferenced(S(normal(2, 3, 3, 6), ints(6, 6), **WINDOWS)).but(fed=(1,)),
        *fixed(S(normal(2, 3, 3, 3), **TILES, spatial=(6, 7)), why="it says what the sizes are"),
    ],
    "MaxPool": [
        S(POOLED, **POOL),
        S(POOLED, **OVERLAP),
        S(POOLED, **OVERLAP).but(outputs=2),
        unreferenced(S(POOLED, **OVERLAP, storage_order=1).but(outputs=2)),
        S(POOLED, kernel_shape=(3, 2), strides=(2, 2), auto_pad="SAME_UPPER"),
        S(POOLED, kernel_shape=(2, 2), dilations=(2, 1), auto_pad="VALID"),
        *fixed(S(POOLED, **POOL, ceil_mode=1), why="ceil_mode needs known sizes"),
        S(apart(2, 3, 7), kernel_shape=(3,)),
        S(apart(1, 2, 4, 4, 3), kernel_shape=(2, 2, 2), strides=(2, 2, 1)),
    ],
    "nngraph::MaxPoolGrad": [
        S(normal(2, 2, 2, 6), apart(2, 2, 5, 6), **WINDOWS),
        S(normal(2, 2, 2, 3), apart(2, 2, 5, 6), **TILES),
    ],
    "nngraph::MaxPoolPick": [
        S(normal(1, 2, 5, 6), apart(1, 2, 5, 6), **WINDOWS),
        S(normal(1, 2, 5, 6), apart(1, 2, 5, 6), **TILES),
    ],
    "LpPool": [
        S(POOLED, **POOL),
        S(POOLED, **OVERLAP, p=3),
        S(POOLED, **OVERLAP, p=1),
        *fixed(unreferenced(S(POOLED, kernel_shape=(2, 2), dilations=(2, 1), ceil_mode=1)), why="ceil_mode"),
        S(POOLED, kernel_shape=(3, 2), strides=(2, 2), auto_pad="SAME_UPPER"),
    ],
    "GlobalAveragePool": [S(normal(2, 3, 4, 2)), S(normal(2, 3, 4))],
    "GlobalMaxPool": [S(apart(2, 3, 4, 2)), unreferenced(S(apart(2, 3, 4)))],
    "GlobalLpPool": [unreferenced(S(apart(2, 3, 4, 2), p=p)) for p in (1, 2, 3)],
    "Resize": fixed(
        S(
            normal(2, 2, 3, 4),
            None,
            scales(1, 1, 2, 3),
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        ),
        S(normal(2, 2, 3, 4), None, scales(1, 1, 2, 1.5)),
        S(normal(2, 2, 3, 4), None, scales(1, 1, 2, 1.5), mode="linear"),
        S(
            normal(2, 2, 3, 4),
            None,
            None,
            ints(2, 2, 2, 7),
            mode="linear",
            coordinate_transformation_mode="align_corners",
        ),
        S(normal(2, 2, 3, 4), None, scales(0.5, 2), mode="cubic", axes=(2, 3)),
        S(
            normal(1, 2, 3, 2, 2),
            None,
            scales(1, 1, 2, 1, 2),
            mode="linear",
            coordinate_transformation_mode="asymmetric",
        ),
        *(
            unreferenced(resized(**attributes))
            for attributes in (
                {"mode": "linear", "antialias": 1},
                {"mode": "cubic", "antialias": 1, "exclude_outside": 1, "cubic_coeff_a": -0.5},
                {"mode": "linear", "coordinate_transformation_mode": "half_pixel_symmetric"},
                {"mode": "nearest", "nearest_mode": "ceil", "coordinate_transformation_mode": "pytorch_half_pixel"},
            )
        ),
        *(
            unreferenced(
                S(
                    *(normal(1, 2, 5, 6), scales(0.1, -0.2, 0.9, 1.1), None, ints(3, 8)),
                    axes=(2, 3),
                    mode=mode,
                    coordinate_transformation_mode="tf_crop_and_resize",
                    extrapolation_value=1.5,
                )
            )
            for mode in ("linear", "cubic")
        ),
        *(
            unreferenced(
                S(
                    normal(1, 2, 3, 4),
                    None,
                    None,
                    ints(5, 9),
                    axes=(2, 3),
                    mode="linear",
                    keep_aspect_ratio_policy=policy,
                )
            )
            for policy in ("not_larger", "not_smaller")
        ),
        why="the weights depend on the sizes",
    ),
}
