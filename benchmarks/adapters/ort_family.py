"""onnxruntime by itself on the model that nngraph exported: what inference costs without any of our Python."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from benchmarks.adapters.base import Adapter
from benchmarks.workloads import Workload

__all__ = ["OrtAdapter"]


class OrtAdapter(Adapter):
    """No options; inference only."""

    def versions(self) -> dict[str, str]:
        return {"onnxruntime": onnxruntime.__version__, "numpy": np.__version__}

    def build(self, workload: Workload, dropout: bool, weights: str | None) -> None:
        if weights is None:
            raise ValueError("give the weights' file: the exported model lies beside it")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        path = Path(weights).with_name("model.onnx")
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.name = self.session.get_inputs()[0].name

    def parameters(self) -> int:
        return 0

    def set_training_data(self, x: np.ndarray, y: np.ndarray, batch: int) -> None:
        raise NotImplementedError("stock onnxruntime does not train")

    def train(self, steps: int) -> float:
        raise NotImplementedError("stock onnxruntime does not train")

    def loss(self) -> float:
        raise NotImplementedError("stock onnxruntime does not train")

    def set_inference_data(self, x: np.ndarray) -> None:
        self.feeds: dict[str, Any] = {self.name: x}

    def infer(self) -> np.ndarray:
        return self.session.run(None, self.feeds)[0]

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the output for new rows."""
        return self.session.run(None, {self.name: x})[0]

    def close(self) -> None:
        self.session = None
        gc.collect()
