"""What a worker asks of a framework."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.workloads import Workload

__all__ = ["LEARNING_RATE", "Adapter", "adam_epsilon", "read_weights"]

LEARNING_RATE = 1e-3
adam_epsilon = 1e-7


def read_weights(path: str | Path) -> dict[str, list[np.ndarray]]:
    """Return the arrays of each layer from a file that an adapter of the Keras family wrote."""
    weights: dict[str, list[np.ndarray]] = {}
    with np.load(path) as file:
        for key in file.files:  # "layer/0", "layer/1" ... in order
            weights.setdefault(key.rsplit("/", 1)[0], []).append(file[key])
    return weights


class Adapter(ABC):
    """A framework in this process.

    Args:
        threads: how many threads may compute.
        options: the peer's options, see ``benchmarks.peers``.
    """

    def __init__(self, threads: int, **options: Any) -> None:
        self.threads = threads
        self.options = options

    @abstractmethod
    def versions(self) -> dict[str, str]:
        """Return the versions of what computes."""

    @abstractmethod
    def build(self, workload: Workload, dropout: bool, weights: str | None) -> None:
        """Make the model, ready for training and inference; ``weights`` is a file for :func:`read_weights`."""

    @abstractmethod
    def parameters(self) -> int:
        """Return the number of trained numbers."""

    @abstractmethod
    def set_training_data(self, x: np.ndarray, y: np.ndarray, batch: int) -> None:
        """Take the data of the following steps."""

    @abstractmethod
    def train(self, steps: int) -> float:
        """Run training steps over the data, from its beginning, and return the seconds they took."""

    @abstractmethod
    def loss(self) -> float:
        """Run one training step on the first batch and return the loss before the update."""

    @abstractmethod
    def set_inference_data(self, x: np.ndarray) -> None:
        """Take one batch for the following calls."""

    @abstractmethod
    def infer(self) -> np.ndarray:
        """Return the logits of the batch as a numpy array (the images' layout is the framework's own)."""

    @abstractmethod
    def close(self) -> None:
        """Forget the model."""
