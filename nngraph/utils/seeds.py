"""One seed for everything."""

from __future__ import annotations

import random

import numpy as np

from nngraph import config

__all__ = ["set_random_seed"]


def set_random_seed(seed: int) -> None:
    """Seed ``random``, ``numpy.random``, and every initializer, dropout and shuffle without a seed of its own.

    Raises:
        ValueError: ``seed`` is not an integer from 0 to 2**32 - 1.

    >>> set_random_seed(1)
    >>> first = random.random(), np.random.rand()
    >>> set_random_seed(1)
    >>> first == (random.random(), np.random.rand())
    True
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**32:
        raise ValueError(f"seed must be an integer from 0 to 2**32 - 1. Received: {seed!r}")
    random.seed(int(seed))
    np.random.seed(int(seed))
    config.set_global_seed(int(seed))
