"""Activation layers."""

from nngraph.layers.activations.activation import Activation
from nngraph.layers.activations.rectifiers import ELU, LeakyReLU, PReLU, ReLU
from nngraph.layers.activations.softmax import Softmax

__all__ = ["ELU", "Activation", "LeakyReLU", "PReLU", "ReLU", "Softmax"]
