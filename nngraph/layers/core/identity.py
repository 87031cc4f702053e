"""The layer that does nothing."""

from __future__ import annotations

from typing import Any

from nngraph.layers.layer import Layer

__all__ = ["Identity"]


class Identity(Layer):
    """Return the input as it is.

    Example:
        >>> Identity()(np.array([1.0, 2.0])).tolist()
        [1.0, 2.0]
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """Return the input."""
        return inputs

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config()
