"""MNIST: 28x28 grey images of handwritten digits."""

from __future__ import annotations

import numpy as np

from nngraph.datasets.sources import STORAGE, fetch, read_npz

__all__ = ["load_data"]

_HASH = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"

Pair = tuple[np.ndarray, np.ndarray]


def load_data(path: str = "mnist.npz") -> tuple[Pair, Pair]:
    """Return ``(x_train, y_train), (x_test, y_test)``.

    Args:
        path: the name of the file in the cache directory, ``NNGRAPH_HOME``/datasets, or an absolute path.

    Returns:
        Images as uint8 of shape (60000, 28, 28) and (10000, 28, 28), digits as uint8 of shape (60000,) and (10000,).

    Raises:
        FileNotFoundError: the file is not there and cannot be downloaded; the message says where to put it.

    Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits".
    """
    file = fetch(path, STORAGE + "mnist.npz", _HASH)
    x_train, y_train, x_test, y_test = read_npz(file, "x_train", "y_train", "x_test", "y_test")
    return (x_train, y_train), (x_test, y_test)
