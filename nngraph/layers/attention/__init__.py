"""Attention layers."""

from nngraph.layers.attention.attention import AdditiveAttention, Attention
from nngraph.layers.attention.multi_head import GroupQueryAttention, MultiHeadAttention

__all__ = ["AdditiveAttention", "Attention", "GroupQueryAttention", "MultiHeadAttention"]
