"""California housing: 8 features and the median price of homes in 20640 blocks."""

from __future__ import annotations

import numpy as np

from nngraph.datasets.sources import STORAGE, fetch, read_npz, shuffled, split_point
from nngraph.errors import unknown_name

__all__ = ["load_data"]

_HASH = "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f"
_SMALL = 600

Pair = tuple[np.ndarray, np.ndarray]


def load_data(
    version: str = "large", path: str = "california_housing.npz", test_split: float = 0.2, seed: int = 113
) -> tuple[Pair, Pair]:
    """Return ``(x_train, y_train), (x_test, y_test)``.

    Args:
        version: "large" for all blocks, "small" for the first 600.
        path: the name of the file in the cache directory, ``NNGRAPH_HOME``/datasets, or an absolute path.
        test_split: the fraction of the rows for testing.
        seed: the seed of the order of the rows.

    Returns:
        Features as float32 of shape (n, 8) and prices, in dollars, as float32 of shape (n,).

    Raises:
        FileNotFoundError: the file is not there and cannot be downloaded; the message says where to put it.
        ValueError: ``version`` is unknown, or ``test_split`` is out of range.

    Source: Pace, Barry, "Sparse spatial autoregressions", 1997.
    """
    if version not in ("large", "small"):
        raise unknown_name("version", version, ("large", "small"))
    split_point(1, test_split)
    x, y = read_npz(fetch(path, STORAGE + "california_housing.npz", _HASH), "x", "y")
    if version == "small":
        x, y = x[:_SMALL], y[:_SMALL]
    x, y = shuffled(seed, x, y)
    split = split_point(len(x), test_split)
    return (x[:split], y[:split]), (x[split:], y[split:])
