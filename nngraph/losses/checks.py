"""One clear error for targets and predictions that do not fit, before a runtime stumbles over them."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngraph import ops
from nngraph.losses.base import squeeze_or_expand_to_same_rank

__all__ = ["aligned", "as_labels", "check_class_vectors", "shape_text", "targets_like"]


def shape_text(x: Any) -> str:
    """Return a tensor's shape as people write it, unknown sizes as None."""
    sizes = [str(d) if isinstance(d, (int, np.integer)) else "None" for d in x.shape]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


def _may_be_equal(a: Any, b: Any) -> bool:
    return a == b or not isinstance(a, int) or not isinstance(b, int)


def _broadcasts(y_true: Any, y_pred: Any) -> bool:
    same_rank = len(y_true.shape) == len(y_pred.shape)
    for a, b in zip(reversed(y_true.shape), reversed(y_pred.shape), strict=False):
        if a == 1 or b == 1 or a == b:
            continue
        # Two unknown sizes may be equal; an unknown one against a number only where the axes correspond.
        if not _may_be_equal(a, b) or not same_rank:
            return False
    return True


def targets_like(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Return both as tensors, the targets in the dtype of the predictions, which is at least a float."""
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.convert_to_tensor(y_true)
    dtype = ops.result_type(ops.dtype_of(y_pred), float)
    return ops.cast(y_true, dtype), ops.cast(y_pred, dtype)


def aligned(loss: str, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Return targets and predictions as tensors of one dtype and, if a last axis of size 1 is in the way, of one rank.

    Raises:
        ValueError: the shapes do not broadcast; the message names the loss and both shapes.
    """
    y_true, y_pred = targets_like(y_true, y_pred)
    y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
    if not _broadcasts(y_true, y_pred):
        raise ValueError(
            f"Loss {loss!r} needs targets and predictions of the same shape. Received: y_true of shape "
            f"{shape_text(y_true)}, y_pred of shape {shape_text(y_pred)}.{_advice(y_true, y_pred)}"
        )
    return y_true, y_pred


def _advice(y_true: Any, y_pred: Any) -> str:
    features = y_true.shape[-1] if len(y_true.shape) else 1
    if len(y_true.shape) == len(y_pred.shape) and isinstance(features, int):
        return f" Give the last layer {features} units, or change the targets."
    return " Change the output of the model or the targets."


def check_class_vectors(loss: str, y_true: Any, y_pred: Any, axis: int) -> None:
    """Raise ValueError unless targets are vectors over the classes of the predictions along `axis`."""
    if len(y_true.shape) == len(y_pred.shape):
        pairs = zip(y_true.shape, y_pred.shape, strict=True)
        if all(_may_be_equal(a, b) for a, b in pairs):
            return
    classes = _classes(y_pred, axis)
    shapes = f"Received: y_true of shape {shape_text(y_true)}, y_pred of shape {shape_text(y_pred)}."
    if _looks_like_labels(y_true, y_pred):
        number = classes if classes is not None else "num_classes"
        raise ValueError(
            f"Loss {loss!r} needs one-hot targets, and these have one number for each sample. {shapes} Use the loss "
            f"'sparse_categorical_crossentropy' for class numbers, or convert them with to_categorical(y, {number})."
        )
    raise ValueError(
        f"Loss {loss!r} needs targets of the same shape as the predictions. {shapes}{_advice(y_true, y_pred)}"
    )


def _classes(x: Any, axis: int) -> Any:
    size = x.shape[axis] if -len(x.shape) <= axis < len(x.shape) else None
    return size if isinstance(size, int) else None


def _looks_like_labels(y_true: Any, y_pred: Any) -> bool:
    """Tell whether targets lack the class axis, or have one of size 1."""
    rank, wanted = len(y_true.shape), len(y_pred.shape)
    return rank == wanted - 1 or (rank == wanted and y_true.shape[-1] == 1 and y_pred.shape[-1] != 1)


def as_labels(loss: str, y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Return class numbers without a last axis of size 1.

    Raises:
        ValueError: their shape is not that of the predictions without the class axis.
    """
    if len(y_true.shape) == len(y_pred.shape) and len(y_true.shape) and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, -1)
    rank = len(y_pred.shape)
    class_axis = axis % rank if rank else 0
    wanted = tuple(d for k, d in enumerate(y_pred.shape) if k != class_axis)
    got = tuple(y_true.shape)
    if rank and len(got) == len(wanted) and all(_may_be_equal(a, b) for a, b in zip(got, wanted, strict=True)):
        return y_true
    message = (
        f"Loss {loss!r} needs one class number for each prediction. Received: y_true of shape {shape_text(y_true)}, "
        f"y_pred of shape {shape_text(y_pred)}."
    )
    if len(got) == rank and rank and _may_be_equal(got[class_axis], y_pred.shape[class_axis]):
        message += " One-hot targets go with 'categorical_crossentropy'; np.argmax(y, axis=-1) makes class numbers."
    raise ValueError(message)
