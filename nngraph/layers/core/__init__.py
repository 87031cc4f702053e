"""Core layers."""

from nngraph.layers.core.input_layer import Input, InputLayer

__all__ = ["Input", "InputLayer"]
