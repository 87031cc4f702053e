"""Layers that change shapes: crop, pad, repeat, flatten and reorder."""

from nngraph.layers.reshaping.cropping import Cropping1D, Cropping2D, Cropping3D
from nngraph.layers.reshaping.shapes import Flatten, Permute, RepeatVector, Reshape
from nngraph.layers.reshaping.up_sampling import UpSampling1D, UpSampling2D, UpSampling3D
from nngraph.layers.reshaping.zero_padding import ZeroPadding1D, ZeroPadding2D, ZeroPadding3D

__all__ = [
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "Flatten",
    "Permute",
    "RepeatVector",
    "Reshape",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
]
