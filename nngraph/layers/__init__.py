"""Layers, named as in ``keras.layers``."""

from nngraph.layers.input_spec import InputSpec
from nngraph.layers.layer import Layer

__all__ = ["InputSpec", "Layer"]
