"""A layer applied to every step of a sequence."""

from __future__ import annotations

from typing import Any

from nngraph import ops, tree
from nngraph.layers.core.wrapper import Wrapper
from nngraph.layers.layer import Layer
from nngraph.layers.signature import signature_of

__all__ = ["TimeDistributed"]


class TimeDistributed(Wrapper):
    """Apply a layer to every step of a sequence by itself.

    Input ``(batch, steps, ...)``, output ``(batch, steps, ...)`` with what the layer makes of one step. All steps are
    computed at once, as a larger batch.

    Args:
        layer: a layer that takes ``(batch, ...)``.

    Raises:
        ValueError: ``layer`` is no layer, or the input has no axis of steps.

    Example:
        >>> from nngraph.layers import Dense
        >>> TimeDistributed(Dense(4))(np.ones((2, 5, 3), "float32")).shape
        (2, 5, 4)
    """

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.supports_masking = True

    def build(self, input_shape: Any = None) -> None:
        """Build the layer for one step."""
        super().build(tree.map_shape_structure(self._step_shape, input_shape))

    def _step_shape(self, shape: Any) -> tuple[Any, ...]:
        if len(shape) < 3:
            raise ValueError(f"the input needs axes of batch, steps and features; got shape {tuple(shape)}")
        return (shape[0], *shape[2:])

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Return the layer's outputs for all steps."""
        batch, steps = ops.shape(tree.flatten(inputs)[0])[:2]
        accepts = signature_of(type(self.layer).call).accepts
        kwargs: dict[str, Any] = {}
        if training is not None and accepts("training"):
            kwargs["training"] = training
        if mask is not None and accepts("mask"):
            kwargs["mask"] = tree.map_structure(_merged, mask)
        merged = self.layer(tree.map_structure(_merged, inputs), **kwargs)

        def apart(x: Any) -> Any:
            return ops.reshape(x, (batch, steps, *ops.shape(x)[1:]))

        return tree.map_structure(apart, merged)


def _merged(x: Any) -> Any:
    """Make one batch of all steps."""
    return ops.reshape(x, (-1, *ops.shape(x)[2:]))
