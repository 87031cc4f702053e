"""What a layer demands of its input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["InputSpec"]


class InputSpec:
    """Rank, sizes and dtype that an input must have.

    Args:
        dtype: expected dtype name.
        shape: expected shape, ``None`` where any size fits.
        ndim: expected rank.
        max_ndim, min_ndim: bounds of the rank.
        axes: axis to expected size.
        allow_last_axis_squeeze: accept a missing last axis of size 1.
        optional: the input may be ``None``.
        name: expected name.

    Example:
        >>> InputSpec(ndim=2, axes={-1: 8}).problem((None, 5))
        'expected size 8 on axis -1, got shape (None, 5)'
    """

    def __init__(
        self,
        dtype: str | None = None,
        shape: Sequence[int | None] | None = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: Mapping[int, int | None] | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ) -> None:
        self.dtype = dtype
        self.shape = None if shape is None else tuple(shape)
        self.ndim = len(self.shape) if self.shape is not None else ndim
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        self.axes = {int(k): v for k, v in (axes or {}).items()}
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        self.optional = optional
        self.name = name

    def problem(self, shape: Sequence[int | None]) -> str:
        """Return what is wrong with an input of this shape, or an empty text."""
        rank, given = len(shape), tuple(shape)
        if self.allow_last_axis_squeeze and self.ndim is not None and rank == self.ndim - 1:
            return ""
        if self.ndim is not None and rank != self.ndim:
            return f"expected {self.ndim} dimensions, got shape {given} with {rank}"
        if self.max_ndim is not None and rank > self.max_ndim:
            return f"expected at most {self.max_ndim} dimensions, got shape {given}"
        if self.min_ndim is not None and rank < self.min_ndim:
            return f"expected at least {self.min_ndim} dimensions, got shape {given}"
        for axis, size in self.axes.items():
            if size is not None and -rank <= axis < rank and shape[axis] not in (size, None):
                return f"expected size {size} on axis {axis}, got shape {given}"
        for want, got in zip(self.shape or (), shape, strict=False):
            if want is not None and got is not None and want != got:
                return f"expected shape {self.shape}, got {given}"
        return ""

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal spec."""
        return {
            "dtype": self.dtype,
            "shape": self.shape,
            "ndim": None if self.shape is not None else self.ndim,
            "max_ndim": self.max_ndim,
            "min_ndim": self.min_ndim,
            "axes": self.axes,
            "allow_last_axis_squeeze": self.allow_last_axis_squeeze,
            "optional": self.optional,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> InputSpec:
        """Make a spec from its configuration."""
        return cls(**config)

    def __repr__(self) -> str:
        given = ", ".join(f"{k}={v!r}" for k, v in self.get_config().items() if v not in (None, {}, False))
        return f"InputSpec({given})"
