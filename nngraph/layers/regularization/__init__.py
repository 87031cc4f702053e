"""Layers that work against overfitting."""

from nngraph.layers.regularization.activity_regularization import ActivityRegularization
from nngraph.layers.regularization.dropout import (
    AlphaDropout,
    Dropout,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)
from nngraph.layers.regularization.gaussian import GaussianDropout, GaussianNoise

__all__ = [
    "ActivityRegularization",
    "AlphaDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
]
