"""Class weights become sample weights."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np

from nngraph import config
from nngraph.ir.types import numpy_dtype

__all__ = ["check_class_weight", "class_weight_to_sample_weights"]


def check_class_weight(class_weight: Any) -> dict[int, float]:
    """Return ``class_weight`` as a dict from label to weight.

    Raises:
        TypeError: it is no mapping, or a key is no integer, or a weight is no number.
        ValueError: a label is negative.

    >>> check_class_weight({np.int64(0): 1, 1: 2.5})
    {0: 1.0, 1: 2.5}
    """
    if not isinstance(class_weight, Mapping):
        raise TypeError(
            f"class_weight must be a dict such as {{0: 1.0, 1: 5.0}}. Received: {class_weight!r} "
            f"of type {type(class_weight).__name__}."
        )
    checked: dict[int, float] = {}
    for key, weight in class_weight.items():
        if not isinstance(key, Integral):
            raise TypeError(f"The keys of class_weight are integer class labels. Received the key {key!r}.")
        if key < 0:
            raise ValueError(f"The keys of class_weight are class labels from 0 up. Received the key {key}.")
        try:
            checked[int(key)] = float(weight)
        except (TypeError, ValueError):
            raise TypeError(
                f"The weight of class {key} in class_weight must be a number. Received: {weight!r}."
            ) from None
    return checked


def class_weight_to_sample_weights(y: Any, class_weight: Mapping[int, float]) -> np.ndarray:
    """Return one weight per row of ``y``, of dtype ``floatx()``; classes that are not mentioned weigh 1.

    Args:
        y: labels of shape (n,) or (n, 1), or one-hot rows of shape (n, classes).
        class_weight: what ``check_class_weight`` returned.

    Raises:
        ValueError: ``y`` is not one array, or one-hot rows have no column for a class that is mentioned.

    >>> class_weight_to_sample_weights(np.array([0, 1, 2]), {1: 5.0})
    array([1., 5., 1.], dtype=float32)
    """
    if not isinstance(y, np.ndarray):
        raise ValueError(
            f"class_weight works with a single array of labels. Received y of type {type(y).__name__}; "
            "for several outputs give sample_weight instead."
        )
    if y.ndim >= 2 and y.shape[-1] != 1:
        classes = y.shape[-1]
        unknown = sorted(set(class_weight) - set(range(classes)))
        if unknown:
            raise ValueError(f"class_weight mentions class {unknown[0]}, but y is one-hot with {classes} classes.")
        labels = np.argmax(y, axis=-1)
    else:
        labels = (y[..., 0] if y.ndim >= 2 else y).astype(np.int64)
    present, inverse = np.unique(labels, return_inverse=True)
    weights = np.array([class_weight.get(int(value), 1.0) for value in present], numpy_dtype(config.floatx()))
    return weights[inverse].reshape(labels.shape)
