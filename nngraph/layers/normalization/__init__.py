"""Normalisation layers."""

from nngraph.layers.normalization.batch_normalization import BatchNormalization
from nngraph.layers.normalization.group_normalization import GroupNormalization
from nngraph.layers.normalization.layer_normalization import LayerNormalization, RMSNormalization, UnitNormalization
from nngraph.layers.normalization.spectral_normalization import SpectralNormalization

__all__ = [
    "BatchNormalization",
    "GroupNormalization",
    "LayerNormalization",
    "RMSNormalization",
    "SpectralNormalization",
    "UnitNormalization",
]
