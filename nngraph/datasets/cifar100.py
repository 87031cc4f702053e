"""CIFAR-100: 32x32 colour images in a hundred classes, which form twenty groups."""

from __future__ import annotations

import numpy as np

from nngraph.datasets import cifar
from nngraph.datasets.sources import fetch
from nngraph.errors import unknown_name

__all__ = ["load_data"]

_NAME = "cifar-100-python.tar.gz"
_HASH = "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"

Pair = tuple[np.ndarray, np.ndarray]


def load_data(label_mode: str = "fine") -> tuple[Pair, Pair]:
    """Return ``(x_train, y_train), (x_test, y_test)``.

    Args:
        label_mode: "fine" for the hundred classes, "coarse" for the twenty groups.

    Returns:
        Images as uint8 of shape (50000, 32, 32, 3) and (10000, 32, 32, 3), or with the channels first where
        ``config.image_data_format()`` says so; labels as int64 of shape (50000, 1) and (10000, 1).

    Raises:
        FileNotFoundError: the file is not in the cache and cannot be downloaded; the message says where to put it.
        ValueError: the file is not what it should be, or ``label_mode`` is unknown.

    Source: Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
    """
    if label_mode not in ("fine", "coarse"):
        raise unknown_name("label_mode", label_mode, ("fine", "coarse"))
    path = fetch(_NAME, cifar.SITE + _NAME, _HASH)
    train, test = cifar.read_members(path, ["cifar-100-python/train", "cifar-100-python/test"])
    key = f"{label_mode}_labels"
    return (
        (cifar.images([train]), cifar.labels([train], key)),
        (cifar.images([test]), cifar.labels([test], key)),
    )
