"""Core layers."""

from nngraph.layers.core.dense import Dense
from nngraph.layers.core.einsum_dense import EinsumDense
from nngraph.layers.core.embedding import Embedding, ReversibleEmbedding
from nngraph.layers.core.identity import Identity
from nngraph.layers.core.input_layer import Input, InputLayer
from nngraph.layers.core.lambda_layer import Lambda
from nngraph.layers.core.masking import Masking
from nngraph.layers.core.wrapper import Wrapper

__all__ = [
    "Dense",
    "EinsumDense",
    "Embedding",
    "Identity",
    "Input",
    "InputLayer",
    "Lambda",
    "Masking",
    "ReversibleEmbedding",
    "Wrapper",
]
