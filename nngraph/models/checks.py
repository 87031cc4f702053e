"""Checks of data that a graph cannot make: they look at numbers, once, before training begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nngraph.losses import SparseCategoricalCrossentropy
from nngraph.ops.keras_tensor import leaves

__all__ = ["check_inputs", "check_labels", "has_class_numbers"]


def check_inputs(model: Any, x: Any) -> None:
    """Check arrays against the inputs that a sequential or functional model declares.

    Raises:
        ValueError: the number of arrays or a shape does not fit; both shapes are named.
    """
    functional = getattr(model, "_functional", None) or model
    if not hasattr(functional, "_connections") or x is None:
        return
    tensors = functional._connections.inputs
    arrays = functional._in_order(x)
    if len(arrays) != len(tensors):
        return  # the call itself says which inputs there are
    for tensor, array in zip(tensors, arrays, strict=True):
        shape = np.shape(array)
        want = tensor.shape
        mendable = (len(shape) == len(want) - 1 and want[-1] == 1) or (len(shape) == len(want) + 1 and shape[-1] == 1)
        fits = len(shape) == len(want) and all(w is None or w == s for w, s in zip(want, shape, strict=True))
        if not fits and not mendable:
            what = "x" if len(tensors) == 1 else f"the array for input {tensor.name!r}"
            raise ValueError(f"{what} has shape {shape}, but model {model.name!r} takes {want} (None is any size)")


def check_labels(losses: Sequence[Any], names: Sequence[str], y: Any, classes: Sequence[int | None]) -> None:
    """Check that class numbers fit the number of classes that a model gives.

    Args:
        losses: each output's loss, or ``None``.
        names: the outputs' names.
        y: the targets, arrays in the structure of the outputs.
        classes: size of each output's last axis.

    Raises:
        ValueError: a label is negative or too large; the array, the label and the valid range are named.
    """
    targets = [y.get(n) for n in names] if isinstance(y, dict) else list(leaves(y))
    for loss, name, target, count in zip(losses, names, targets, classes, strict=False):
        if not has_class_numbers(loss) or target is None or count is None or not np.size(target):
            continue
        labels = np.asarray(target)
        ignored = getattr(loss, "ignore_class", None)
        kept = labels if ignored is None else labels[labels != ignored]
        if not kept.size:
            continue
        low, high = kept.min(), kept.max()
        if low < 0 or high >= count:
            worst = low if low < 0 else high
            raise ValueError(
                f"y holds the label {worst:g}, but output {name!r} has {count} classes; labels are 0 to {count - 1}. "
                + (
                    "Subtract the smallest label"
                    if low == 1 and high == count
                    else "Check the labels, or the units of the last layer"
                )
            )


def has_class_numbers(loss: Any) -> bool:
    """Return whether a loss compares predictions with class numbers rather than with numbers like the predictions."""
    name = getattr(loss, "name", "") or ""
    return isinstance(loss, SparseCategoricalCrossentropy) or str(name).startswith("sparse_categorical_crossentropy")
