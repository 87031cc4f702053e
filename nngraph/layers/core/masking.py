"""Leave out time steps that hold a certain value."""

from __future__ import annotations

from typing import Any

from nngraph import ops
from nngraph.layers.arguments import config_of
from nngraph.layers.layer import Layer

__all__ = ["Masking"]


class Masking(Layer):
    """Mask the steps of a sequence whose features all equal one value.

    Input and output ``(batch, steps, features)``; masked steps become 0, and layers that know masks leave them out.

    Args:
        mask_value: the value that marks padding.

    Example:
        >>> x = np.array([[[1.0, 2.0], [-1.0, -1.0]]])
        >>> Masking(mask_value=-1.0).compute_mask(x).tolist()
        [[True, False]]
    """

    def __init__(self, mask_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mask_value = mask_value
        self.supports_masking = True

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return where at least one feature is not the value."""
        return ops.any(ops.not_equal(inputs, self.mask_value), axis=-1)

    def call(self, inputs: Any) -> Any:
        """Return the inputs with masked steps set to 0."""
        kept = ops.any(ops.not_equal(inputs, self.mask_value), axis=-1, keepdims=True)
        return ops.multiply(inputs, ops.cast(kept, ops.dtype_of(inputs)))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), **config_of(self, "mask_value")}
