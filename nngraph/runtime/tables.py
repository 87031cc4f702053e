"""Whole arrays that steps pick their rows from, where a device reads them."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from nngraph import config
from nngraph.ir import TensorType, numpy_dtype
from nngraph.runtime.state import BoundStep, OnDevice
from nngraph.runtime.values import to_runtime

__all__ = ["Tables", "fit_on"]


def fit_on(device: str, arrays: Sequence[np.ndarray[Any, Any]]) -> bool:
    """Tell whether arrays can be tables on a device: the CPU reads them as they lie, elsewhere they take memory."""
    if device == "cpu":
        return True
    # The runtime's Python interface has no bfloat16 arrays, and CUDA's Gather counts elements in 32 bits.
    possible = all(a.dtype != numpy_dtype("bfloat16") and a.size < 2**31 for a in arrays)
    return possible and sum(a.nbytes for a in arrays) <= config.device_data_bytes()


class Tables:
    """The arrays that steps hold, see :meth:`BoundStep.hold`.

    On the CPU they are the caller's, read where they lie until :meth:`release`. Elsewhere they are copies. Their
    addresses stay as long as arrays of the same types take turns, because captured CUDA graphs know them.

    Args:
        device: ``"cpu"`` or ``"cuda"``, as of the steps that read them.

    Example:
        >>> tables = Tables("cpu")
        >>> tables.load([np.arange(6.0)])
        >>> [value.shape() for value in tables.values]
        [[6]]
        >>> tables.release(); tables.values
        []
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self.values: list[Any] = []
        self._copies: list[OnDevice] = []
        self._types: list[TensorType] = []
        self._readers: weakref.WeakSet[BoundStep] = weakref.WeakSet()

    def load(self, arrays: Sequence[np.ndarray[Any, Any]]) -> None:
        """Take these arrays in the place of those before."""
        types = [TensorType.of(a) for a in arrays]
        if self._copies and self._types == types:
            for copy, array in zip(self._copies, arrays, strict=True):
                copy.upload(array)
            return
        self.clear()
        if self.device == "cpu":
            # The runtime's kernels expect aligned memory; arrays mapped from a file may lie anywhere.
            self.values = [to_runtime(np.require(a, requirements=["C", "A"])) for a in arrays]
        else:
            self._copies, self._types = [OnDevice(a, self.device) for a in arrays], types
            self.values = [copy.value for copy in self._copies]

    def serve(self, step: BoundStep) -> None:
        """Have a step read these arrays in its next runs."""
        if step.hold(self.values):
            self._readers.add(step)

    def release(self) -> None:
        """Let go of the caller's arrays; copies on a device stay."""
        if not self._copies:
            self.clear()

    def clear(self) -> None:
        """Let go of all memory, and have the steps that read it do the same."""
        for step in self._readers:
            step.release()
        self._readers.clear()
        self.values, self._copies = [], []
