"""CIFAR-10: 32x32 colour images in ten classes."""

from __future__ import annotations

import numpy as np

from nngraph.datasets import cifar
from nngraph.datasets.sources import fetch

__all__ = ["load_data"]

_NAME = "cifar-10-python.tar.gz"
_HASH = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"

Pair = tuple[np.ndarray, np.ndarray]


def load_data() -> tuple[Pair, Pair]:
    """Return ``(x_train, y_train), (x_test, y_test)``.

    The classes are: 0 airplane, 1 automobile, 2 bird, 3 cat, 4 deer, 5 dog, 6 frog, 7 horse, 8 ship, 9 truck.

    Returns:
        Images as uint8 of shape (50000, 32, 32, 3) and (10000, 32, 32, 3), or with the channels first where
        ``config.image_data_format()`` says so; labels as uint8 of shape (50000, 1) and (10000, 1).

    Raises:
        FileNotFoundError: the file is not in the cache and cannot be downloaded; the message says where to put it.
        ValueError: the file is not what it should be.

    Source: Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
    """
    path = fetch(_NAME, cifar.SITE + _NAME, _HASH)
    names = [f"cifar-10-batches-py/{name}" for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")]
    batches = cifar.read_members(path, names)
    train, test = batches[:-1], batches[-1:]
    return (
        (cifar.images(train), cifar.labels(train, "labels").astype(np.uint8)),
        (cifar.images(test), cifar.labels(test, "labels").astype(np.uint8)),
    )
