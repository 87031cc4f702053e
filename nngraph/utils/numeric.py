"""Small numeric conversions of data."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["normalize", "to_categorical"]


def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray:
    """Return integer labels as one-hot rows.

    Args:
        x: labels from 0 up, of any shape; a last axis of size 1 is dropped.
        num_classes: the number of columns; the largest label plus one by default.

    Returns:
        A float array of the shape of ``x`` with one more axis of size ``num_classes``.

    Raises:
        ValueError: a label is negative or too large, or ``x`` is empty and ``num_classes`` is not given.

    >>> to_categorical([0, 2])
    array([[1., 0., 0.],
           [0., 0., 1.]])
    """
    labels = np.asarray(x)
    if labels.dtype.kind not in "biuf":
        raise ValueError(f"to_categorical needs integer labels. Received an array of dtype {labels.dtype}.")
    labels = labels.astype(np.int64)
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels.reshape(labels.shape[:-1])
    if num_classes is None:
        if labels.size == 0:
            raise ValueError("to_categorical cannot count the classes of no labels. Give num_classes.")
        num_classes = int(labels.max()) + 1
    if labels.size and labels.min() < 0:
        raise ValueError(f"to_categorical needs labels from 0 up. The smallest one is {labels.min()}.")
    if labels.size and labels.max() >= num_classes:
        raise ValueError(
            f"to_categorical was asked for {num_classes} classes (labels 0 to {num_classes - 1}), "
            f"but the largest label is {labels.max()}."
        )
    one_hot = np.zeros((labels.size, num_classes))
    one_hot[np.arange(labels.size), labels.ravel()] = 1.0
    return one_hot.reshape((*labels.shape, num_classes))


def normalize(x: Any, axis: int = -1, order: int | float = 2) -> np.ndarray:
    """Return ``x`` with each vector along ``axis`` divided by its norm of that ``order``; zero vectors stay zero.

    A single vector becomes a matrix of one row. Integers become float32.

    >>> normalize(np.array([3.0, 4.0]))
    array([[0.6, 0.8]])
    """
    array = np.atleast_2d(np.asarray(x))
    if array.dtype.kind != "f":
        array = array.astype(np.float32)
    norms = np.linalg.norm(array, ord=order, axis=axis, keepdims=True)
    return array / np.where(norms == 0, np.ones_like(norms), norms)
