"""A GPU that is only pretended: the CPU executes what was lowered for CUDA, on buffers that only copies reach."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nngraph.runtime import device, session

__all__ = ["pretend_gpu"]


def pretend_gpu(patch: pytest.MonkeyPatch) -> None:
    """Let ``device="cuda"`` work on this machine."""
    values = device.onnxruntime().OrtValue
    make = values.ortvalue_from_numpy

    def elsewhere(array: np.ndarray, device: str = "cpu", number: int = 0) -> Any:
        # The runtime would work on the host's own memory; a device has a copy.
        return make(array) if device == "cpu" else make(np.array(array))

    patch.setattr(values, "ortvalue_from_numpy", elsewhere)
    patch.setattr(device, "cuda_problem", lambda: None)
    patch.setattr(session, "provider_options", lambda device, capture=False: [("CPUExecutionProvider", {})])
