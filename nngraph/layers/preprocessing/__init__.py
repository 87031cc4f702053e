"""Layers that prepare data, inside of the model or before it."""

from nngraph.layers.preprocessing.categories import CategoryEncoding, Discretization
from nngraph.layers.preprocessing.image_sizes import CenterCrop, Resizing
from nngraph.layers.preprocessing.normalization import Normalization
from nngraph.layers.preprocessing.random_colors import RandomBrightness, RandomContrast
from nngraph.layers.preprocessing.random_flip import RandomFlip
from nngraph.layers.preprocessing.random_moves import RandomRotation, RandomTranslation, RandomZoom
from nngraph.layers.preprocessing.rescaling import Rescaling

__all__ = [
    "CategoryEncoding",
    "CenterCrop",
    "Discretization",
    "Normalization",
    "RandomBrightness",
    "RandomContrast",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
    "Rescaling",
    "Resizing",
]
