"""From what ``fit``, ``evaluate`` and ``predict`` accept to uniform batches of numpy arrays."""

from __future__ import annotations

from nngraph.data.adapters import (
    Adapter,
    ArrayAdapter,
    Batch,
    GeneratorAdapter,
    IterableAdapter,
    PyDatasetAdapter,
    make_adapter,
)
from nngraph.data.arrays import train_validation_split
from nngraph.data.prefetch import prefetched
from nngraph.data.py_dataset import PyDataset, Sequence
from nngraph.data.weights import class_weight_to_sample_weights

__all__ = [
    "Adapter",
    "ArrayAdapter",
    "Batch",
    "GeneratorAdapter",
    "IterableAdapter",
    "PyDataset",
    "PyDatasetAdapter",
    "Sequence",
    "class_weight_to_sample_weights",
    "make_adapter",
    "prefetched",
    "train_validation_split",
]
