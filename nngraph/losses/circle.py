"""The circle loss: a batch of embeddings in which equal labels should be near and others far."""

from __future__ import annotations

from typing import Any

from nngraph import ops
from nngraph.losses.base import Loss
from nngraph.ops.masking import set_mask

__all__ = ["Circle", "circle"]


def circle(
    y_true: Any,
    y_pred: Any,
    ref_labels: Any = None,
    ref_embeddings: Any = None,
    remove_diagonal: bool = True,
    gamma: float = 80,
    margin: float = 0.4,
) -> Any:
    """Return the circle loss of each embedding against the reference embeddings.

    With distances d = 1 - cosine, the loss is softplus(log Σ₊ exp(-γ a₊ (m - d)) + log Σ₋ exp(γ a₋ (1 - m - d))), where
    Σ₊ runs over references with the same label, Σ₋ over the others, a₊ = max(m + d, 0) and a₋ = max(1 + m - d, 0).
    Without a pair of either kind it is zero, and
    a mean leaves it out. Sun et al., "Circle loss", 2020.

    Args:
        y_true: labels (batch,) or (batch, 1).
        y_pred: embeddings (batch, size) of length 1.
        ref_labels, ref_embeddings: what to compare with; default is the batch itself.
        remove_diagonal: leave out the pair of an embedding with itself; use it when the batch is its own reference.
        gamma: scale.
        margin: the margin m.

    Raises:
        ValueError: only one of `ref_labels` and `ref_embeddings` is given.

    >>> import numpy as np
    >>> print(circle(np.array([0, 0, 1]), np.eye(3, 4)).round(1))
    [54.4 54.4  0. ]
    """
    if (ref_labels is None) != (ref_embeddings is None):
        raise ValueError("circle() needs both of ref_labels and ref_embeddings, or neither.")
    y_pred = ops.convert_to_tensor(y_pred)
    labels = ops.reshape(ops.cast(y_true, "int32"), (-1, 1))
    references = y_pred if ref_embeddings is None else ops.cast(ref_embeddings, ops.dtype_of(y_pred))
    others = labels if ref_labels is None else ops.cast(ref_labels, "int32")
    distance = ops.maximum(1.0 - ops.matmul(y_pred, ops.transpose(references)), 0.0)
    same = ops.equal(labels, ops.reshape(others, (1, -1)))
    different = ops.logical_not(same)
    if remove_diagonal:
        rows, columns = (ops.shape(distance)[k] for k in (0, 1))
        itself = ops.equal(ops.reshape(ops.arange(rows), (-1, 1)), ops.reshape(ops.arange(columns), (1, -1)))
        same = ops.logical_and(same, ops.logical_not(itself))
    attract = -gamma * ops.maximum(margin + distance, 0.0) * (margin - distance)
    repel = gamma * ops.maximum(1.0 + margin - distance, 0.0) * (1.0 - margin - distance)
    loss = ops.softplus(_log_sum_exp(attract, same) + _log_sum_exp(repel, different))
    has_both = ops.logical_and(ops.any(same, axis=1), ops.any(different, axis=1))
    loss = ops.where(has_both, loss, 0.0)
    set_mask(loss, has_both)
    return loss


# exp() of it is zero beside any logit of the circle loss, and unlike -inf it has a gradient.
_ABSENT = -1e6


def _log_sum_exp(logits: Any, mask: Any) -> Any:
    """Return log Σ exp over the entries of each row where the mask holds; very low where it never does."""
    logits = ops.where(mask, logits, _ABSENT)
    top = ops.max(logits, axis=1, keepdims=True)
    return ops.squeeze(top, 1) + ops.log(ops.sum(ops.exp(logits - top), axis=1))


class Circle(Loss):
    """The loss :func:`circle` of a batch of embeddings of length 1; its arguments and those of :class:`Loss`.

    >>> import numpy as np
    >>> round(float(Circle()(np.array([0, 0, 1]), np.eye(3, 4))), 2)
    54.4
    """

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "circle",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.gamma = gamma
        self.margin = margin
        self.remove_diagonal = remove_diagonal

    def convert_targets(self, y_true: Any) -> Any:
        """Return labels as whole numbers."""
        return ops.cast(y_true, "int32")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each embedding."""
        return circle(
            y_true,
            y_pred,
            remove_diagonal=self.remove_diagonal,
            gamma=self.gamma,
            margin=self.margin,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, of which `from_config` builds an equal loss."""
        own = {"gamma": self.gamma, "margin": self.margin, "remove_diagonal": self.remove_diagonal}
        return {**super().get_config(), **own}
