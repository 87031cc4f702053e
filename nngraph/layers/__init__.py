"""Layers, named as in ``keras.layers``."""

from __future__ import annotations

from nngraph.layers.core import (
    Dense,
    EinsumDense,
    Embedding,
    Identity,
    Input,
    InputLayer,
    Lambda,
    Masking,
    ReversibleEmbedding,
    Wrapper,
)
from nngraph.layers.input_spec import InputSpec
from nngraph.layers.layer import Layer

__all__ = [
    "Dense",
    "EinsumDense",
    "Embedding",
    "Identity",
    "Input",
    "InputLayer",
    "InputSpec",
    "Lambda",
    "Layer",
    "Masking",
    "ReversibleEmbedding",
    "Wrapper",
]
