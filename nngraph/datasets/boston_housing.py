"""Boston housing: 13 features and the median price of homes. A small classic; its features are not above criticism."""

from __future__ import annotations

import numpy as np

from nngraph.datasets.sources import STORAGE, fetch, read_npz, shuffled, split_point

__all__ = ["load_data"]

_HASH = "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5"

Pair = tuple[np.ndarray, np.ndarray]


def load_data(path: str = "boston_housing.npz", test_split: float = 0.2, seed: int = 113) -> tuple[Pair, Pair]:
    """Return ``(x_train, y_train), (x_test, y_test)``.

    Args:
        path: the name of the file in the cache directory, ``NNGRAPH_HOME``/datasets, or an absolute path.
        test_split: the fraction of the rows for testing.
        seed: the seed of the order of the rows.

    Returns:
        Features as float64 of shape (n, 13) and prices, in 1000 dollars, as float64 of shape (n,).

    Raises:
        FileNotFoundError: the file is not there and cannot be downloaded; the message says where to put it.
        ValueError: ``test_split`` is out of range.

    Source: Harrison, Rubinfeld, "Hedonic prices and the demand for clean air", 1978.
    """
    split_point(1, test_split)
    x, y = read_npz(fetch(path, STORAGE + "boston_housing.npz", _HASH), "x", "y")
    x, y = shuffled(seed, x, y)
    split = split_point(len(x), test_split)
    return (x[:split], y[:split]), (x[split:], y[split:])
