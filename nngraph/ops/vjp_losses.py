"""Gradient rules of cross-entropies, of the loss operators of ONNX, and of its Dropout."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngraph.ir import is_float
from nngraph.ops.axes import ints, scalar
from nngraph.ops.core import dtype_of, type_of
from nngraph.ops.float64_forms import float64_form
from nngraph.ops.nn_losses import class_index
from nngraph.ops.trace import composite
from nngraph.ops.vjp import raw, through_form, vjp
from nngraph.registry import op_def

__all__ = ["softmax_crossentropy_grad"]


@vjp("SigmoidCrossEntropy", domain="nngraph")
def _(g: Any, y: Any, logits: Any, labels: Any) -> Any:
    return lambda: raw.Mul(g, raw.Sub(raw.Sigmoid(logits), labels)), lambda: raw.Neg(raw.Mul(g, logits))


@composite("SoftmaxCrossEntropyGrad")
def softmax_crossentropy_grad(g: Any, logp: Any, labels: Any) -> Any:
    """Return the logits' gradient of ``SoftmaxCrossEntropy``: (softmax - labels) g, from the log-probabilities."""
    last = ints(-1)
    spread = raw.Unsqueeze(g, last)
    if is_float(dtype_of(labels)):
        total = raw.ReduceSum(labels, last, keepdims=1)
        return raw.Mul(raw.Sub(raw.Mul(raw.Exp(logp), total), labels), spread)
    index, known = class_index(labels, type_of(logp).shape[-1], dtype_of(logp))
    spread = raw.Mul(spread, raw.Unsqueeze(known, last))
    # One class of each row is taken off, instead of subtracting a row of labels.
    rows = raw.Mul(raw.Exp(logp), spread)
    axis = type_of(logp).rank - 1
    return raw.ScatterElements(rows, raw.Unsqueeze(index, last), raw.Neg(spread), axis=axis, reduction="add")


@vjp("SoftmaxCrossEntropy", domain="nngraph")
def _(gs: Any, ys: Any, logits: Any, labels: Any) -> Any:
    g, g_logp = gs
    logp = ys[1]

    def of_logits() -> Any:
        dz = None if g is None else softmax_crossentropy_grad(g, logp, labels)
        if g_logp is None:
            return dz
        total = raw.ReduceSum(g_logp, ints(-1), keepdims=1)
        through = raw.Sub(g_logp, raw.Mul(raw.Exp(logp), total))
        return through if dz is None else raw.Add(dz, through)

    dense = g is not None and is_float(dtype_of(labels))
    return of_logits, (lambda: raw.Neg(raw.Mul(logp, raw.Unsqueeze(g, ints(-1))))) if dense else None


def _weighted(logp: Any, target: Any, weights: Any, ignore_index: int | None, reduction: str) -> Any:
    """-w log p of the target class, reduced; classes on axis 1 and a target without that axis."""
    classes: Any = type_of(logp).shape[1]
    index, known = class_index(target, classes, dtype_of(logp))
    places = raw.Unsqueeze(index, ints(1))
    weight = known if weights is None else raw.Mul(raw.Gather(weights, index, axis=0), known)
    if ignore_index is not None:
        kept = raw.Not(raw.Equal(target, scalar(ignore_index, target)))
        weight = raw.Mul(weight, raw.Cast(kept, to=dtype_of(logp)))
    picked = raw.Squeeze(raw.GatherElements(logp, places, axis=1), ints(1))
    loss = raw.Neg(raw.Mul(picked, weight))
    if reduction == "none":
        return loss
    total = raw.ReduceSum(loss, keepdims=0)
    return total if reduction == "sum" else raw.Div(total, raw.ReduceSum(weight, keepdims=0))


@float64_form("NegativeLogLikelihoodLoss")
def _(x: Any, target: Any, weight: Any = None, *, ignore_index: int | None = None, reduction: str = "mean") -> Any:
    return _weighted(x, target, weight, ignore_index, reduction)


@float64_form("SoftmaxCrossEntropyLoss")
def _(
    scores: Any, labels: Any, weights: Any = None, *, ignore_index: int | None = None, reduction: str = "mean"
) -> tuple[Any, Any]:
    logp = raw.LogSoftmax(scores, axis=1)
    return _weighted(logp, labels, weights, ignore_index, reduction), logp


for _name in ("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"):
    op_def(_name).vjp = through_form


@vjp("Dropout")
def _(g: Any, y: Any, x: Any, ratio: Any = None, training_mode: Any = None, *, seed: int | None = None) -> Any:
    g, *_ = g if isinstance(g, tuple) else (g,)
    trains = False if training_mode is None else _constant(training_mode)
    if trains is not None and not trains:
        return (g,)
    mask = y[1] if isinstance(y, tuple) else _mask_output(y)
    kept = raw.Cast(mask, to=dtype_of(x))
    ratio = scalar(0.5, x) if ratio is None else raw.Cast(ratio, to=dtype_of(x))
    factor = raw.Reciprocal(raw.Sub(1, ratio))
    if trains is None:
        factor = raw.Where(training_mode, factor, scalar(1, x))
    return (raw.Mul(raw.Mul(g, kept), factor),)


def _mask_output(y: Any) -> Any:
    """Let a Dropout node that gives its first output alone give the mask too."""
    node = y.producer
    return node.graph.add_node_output(node, y.type.with_dtype("bool"), f"{y.name}_mask")


def _constant(x: Any) -> Any:
    """The number that a tensor holds, or ``None`` where it is known only at run time."""
    data = x if isinstance(x, np.ndarray) else x.data
    return None if data is None else data.item()
