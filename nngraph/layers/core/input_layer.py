"""The entrance of a functional model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nngraph import config
from nngraph.layers.layer import Layer
from nngraph.ops.keras_tensor import CallRecord, KerasTensor

__all__ = ["Input", "InputLayer"]


class InputLayer(Layer):
    """Holds the Keras tensor at which a model begins; made by :func:`Input`.

    Args:
        shape: sizes without the batch, ``None`` where any size fits.
        batch_size: a fixed batch size, if it must be fixed.
        dtype: dtype name; default ``floatx()``.
        batch_shape: sizes with the batch, instead of ``shape``.
        name: the input's name in the graph and in exported files.
    """

    def __init__(
        self,
        shape: Sequence[int | None] | None = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: Any = None,
        ragged: Any = None,
        batch_shape: Sequence[int | None] | None = None,
        input_tensor: KerasTensor | None = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        if sparse or ragged:
            raise ValueError("Input(sparse=True) and Input(ragged=True) are not supported; pass dense, padded arrays")
        if input_tensor is not None:
            batch_shape, dtype = input_tensor.shape, dtype or input_tensor.dtype
        if shape is not None and batch_shape is not None:
            raise ValueError("Input takes either shape= (without the batch) or batch_shape= (with it), not both")
        if shape is None and batch_shape is None:
            raise ValueError("Input needs shape=, the sizes without the batch, such as Input(shape=(784,))")
        if isinstance(shape, int):
            raise ValueError(f"Input(shape=...) takes a tuple; for vectors of {shape} numbers write shape=({shape},)")
        if batch_shape is None:
            assert shape is not None
            batch_shape = (batch_size, *shape)
        for size in batch_shape:
            if size is not None and (not isinstance(size, int) or size < 0):
                raise ValueError(f"Input: each size must be a whole number or None, got {tuple(batch_shape)}")
        self.batch_shape = tuple(batch_shape)
        self.optional = optional
        self.input_type = dtype or config.floatx()
        self.built = True
        tensor = KerasTensor(self.batch_shape, self.input_type, name=self.name)
        self._calls = [CallRecord(self, (), {}, tensor)]

    @property
    def input(self) -> KerasTensor:
        """The Keras tensor itself; nothing comes before it."""
        return self._calls[0].outputs[0]

    def call(self) -> Any:
        """An input layer is the beginning; it computes nothing."""
        return self.output

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        from nngraph.ir import standardize_dtype

        return {"batch_shape": self.batch_shape, "dtype": standardize_dtype(self.input_type), "name": self.name}


def Input(
    shape: Sequence[int | None] | None = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: Any = None,
    ragged: Any = None,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
    tensor: KerasTensor | None = None,
    optional: bool = False,
) -> KerasTensor:
    """Return a Keras tensor at which a functional model begins.

    Args:
        shape: sizes without the batch, ``None`` where any size fits.
        batch_size: a fixed batch size, if it must be fixed.
        dtype: dtype name; default ``floatx()``.
        batch_shape: sizes with the batch, instead of ``shape``.
        name: the input's name in the graph and in exported files.

    Raises:
        ValueError: no shape, both shapes, or a size that is not a whole number.

    Example:
        >>> Input(shape=(28, 28, 1), name="image").shape
        (None, 28, 28, 1)
    """
    layer = InputLayer(
        shape=shape,
        batch_size=batch_size,
        dtype=dtype,
        sparse=sparse,
        ragged=ragged,
        batch_shape=batch_shape,
        input_tensor=tensor,
        optional=optional,
        name=name,
    )
    return layer.output
