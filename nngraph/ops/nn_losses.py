"""Cross-entropies, named as in ``keras.ops``, and the one from logits as one operator."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngraph import config
from nngraph.ir import is_float
from nngraph.ops.axes import axis_of, ints, scalar, to_float
from nngraph.ops.core import convert, dtype_of, promote, type_of
from nngraph.ops.dispatch import public
from nngraph.ops.trace import composite
from nngraph.ops.vjp import raw

__all__ = [
    "binary_crossentropy",
    "categorical_crossentropy",
    "class_index",
    "sigmoid_crossentropy",
    "softmax_crossentropy",
    "sparse_categorical_crossentropy",
]


def _differ(a: Any, b: Any) -> bool:
    """Tell whether two shapes are known not to be equal."""
    return len(a) != len(b) or any(
        isinstance(x, int) and isinstance(y, int) and x != y for x, y in zip(a, b, strict=True)
    )


def _same_shape(name: str, target: Any, output: Any) -> None:
    a, b = type_of(target).shape, type_of(output).shape
    if _differ(a, b):
        raise ValueError(f"{name}: target and output must have the same shape, got target {a} and output {b}")


def _axis(name: str, axis: int, rank: int) -> int:
    if rank < 1:
        raise ValueError(f"{name}: output must have an axis of classes, got a scalar")
    return axis_of(axis, rank, name)


def _limited(p: Any) -> Any:
    """Limit probabilities to [ε, 1 - ε], so that their logarithms stay finite."""
    small = config.epsilon()
    return raw.Clip(p, scalar(small, p), scalar(1 - small, p))


@composite("SigmoidCrossEntropy")
def sigmoid_crossentropy(logits: Any, labels: Any) -> Any:
    """Return -(t log p + (1 - t) log(1 - p)) for p = sigmoid(z), as max(z, 0) - z t + log(1 + exp(-|z|))."""
    linear = raw.Sub(raw.Relu(logits), raw.Mul(logits, labels))
    return raw.Add(linear, raw.Softplus(raw.Neg(raw.Abs(logits))))


@composite("SoftmaxCrossEntropy")
def softmax_crossentropy(logits: Any, labels: Any) -> tuple[Any, Any]:
    """Return the cross-entropy of softmax(logits) over the last axis, and the logarithms of the probabilities.

    Labels are either class numbers, one for each row of logits, or floating weights for each class. A class number that
    does not exist has loss 0.
    """
    logp = raw.LogSoftmax(logits, axis=-1)
    last = ints(-1)
    if is_float(dtype_of(labels)):
        return raw.Neg(raw.ReduceSum(raw.Mul(labels, logp), last, keepdims=0)), logp
    index, known = class_index(labels, type_of(logits).shape[-1], dtype_of(logits))
    picked = raw.Squeeze(raw.GatherElements(logp, raw.Unsqueeze(index, last), axis=type_of(logp).rank - 1), last)
    return raw.Neg(raw.Mul(picked, known)), logp


def class_index(labels: Any, classes: Any, dtype: str) -> tuple[Any, Any]:
    """Return class numbers limited to those that exist, as int64, and 1 where they were among them, else 0."""
    whole = convert(labels, "int64")
    if not isinstance(classes, int):
        raise ValueError(f"sparse class numbers need a known number of classes, got {classes!r}; fix that size")
    index = raw.Clip(whole, np.asarray(0, np.int64), np.asarray(classes - 1, np.int64))
    return index, raw.Cast(raw.Equal(index, whole), to=dtype)


def _last(x: Any, axis: int) -> Any:
    """Move an axis to the end."""
    rank = type_of(x).rank
    return x if axis == rank - 1 else raw.Transpose(x, perm=[*(k for k in range(rank) if k != axis), axis])


@public
def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    """Return -(t log p + (1 - t) log(1 - p)), element by element.

    Args:
        target: t, from 0 to 1.
        output: p, limited to [ε, 1 - ε] with ε = ``config.epsilon()``; or its logit, then computed without limits as
            max(z, 0) - z t + log(1 + exp(-|z|)).
        from_logits: whether ``output`` holds logits.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> print(binary_crossentropy([1.0, 0.0], [0.5, 0.0]).round(3))
        [0.693 0.   ]
        >>> binary_crossentropy([1.0], [-1000.0], from_logits=True).tolist()
        [1000.0]
    """
    t, p = promote(target, output, to_float=True)
    _same_shape("binary_crossentropy", t, p)
    if from_logits:
        return sigmoid_crossentropy(p, t)
    p = _limited(p)
    positive = raw.Mul(t, raw.Log(p))
    negative = raw.Mul(raw.Sub(1, t), raw.Log(raw.Sub(1, p)))
    return raw.Neg(raw.Add(positive, negative))


@public
def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """Return -Σ t log p over the classes.

    Args:
        target: t, a distribution over classes.
        output: p, divided by its sum and limited to [ε, 1 - ε] with ε = ``config.epsilon()``; or logits.
        from_logits: whether ``output`` holds logits.
        axis: the axis of the classes.

    Returns:
        The losses, without that axis.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> print(categorical_crossentropy([[0.0, 1.0]], [[1.0, 3.0]]).round(3))
        [0.288]
    """
    t, p = promote(target, output, to_float=True)
    where = _axis("categorical_crossentropy", axis, type_of(p).rank)
    _same_shape("categorical_crossentropy", t, p)
    if from_logits:
        return softmax_crossentropy(_last(p, where), _last(t, where), outputs=2)[0]
    axes = ints(where)
    p = _limited(raw.Div(p, raw.ReduceSum(p, axes, keepdims=1)))
    return raw.Neg(raw.ReduceSum(raw.Mul(t, raw.Log(p)), axes, keepdims=0))


@public
def sparse_categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """Return -log p of the class with the given number.

    Args:
        target: class numbers in the shape of ``output`` without the axis of classes, or with that axis of size 1.
        output: p, divided by its sum and limited to [ε, 1 - ε] with ε = ``config.epsilon()``; or logits.
        from_logits: whether ``output`` holds logits.
        axis: the axis of the classes.

    Returns:
        The losses; 0 for a class number that does not exist.

    Raises:
        ValueError: the shapes do not fit.

    Example:
        >>> print(sparse_categorical_crossentropy([1], [[1.0, 3.0]]).round(3))
        [0.288]
    """
    name = "sparse_categorical_crossentropy"
    p = to_float(output)
    where = _axis(name, axis, type_of(p).rank)
    t = convert(target)
    p = _last(p, where)
    classes, rows = type_of(p).shape[-1], type_of(p).shape[:-1]
    given = type_of(t).shape
    if len(given) == len(rows) + 1 and given[where] == 1:
        t = raw.Squeeze(t, ints(where))
    if _differ(type_of(t).shape, rows):
        raise ValueError(
            f"{name}: target must have the shape of output without axis {axis}; "
            f"got target {given} and output {type_of(output).shape}"
        )
    t = convert(t, "int64")
    if from_logits:
        return softmax_crossentropy(p, t, outputs=2)[0]
    last = ints(-1)
    p = _limited(raw.Div(p, raw.ReduceSum(p, last, keepdims=1)))
    index, known = class_index(t, classes, dtype_of(p))
    picked = raw.Squeeze(raw.GatherElements(p, raw.Unsqueeze(index, last), axis=type_of(p).rank - 1), last)
    return raw.Neg(raw.Mul(raw.Log(picked), known))
