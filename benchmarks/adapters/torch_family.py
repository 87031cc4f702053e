"""PyTorch, eager and compiled: a plain loop, fused Adam, gradients set to None, inference mode."""

from __future__ import annotations

import gc
import os

import numpy as np
import torch
from torch.nn import functional

from benchmarks.adapters.base import LEARNING_RATE, Adapter, adam_epsilon, read_weights
from benchmarks.clock import now
from benchmarks.workloads import Workload
from benchmarks.workloads.torch_models import MODELS, as_layout, load_weights

__all__ = ["TorchAdapter"]


class TorchAdapter(Adapter):
    """Options: see below.

    Args:
        compiled: model and loss go through ``torch.compile``.
        channels_last: the layout of images.
        device: where it computes; training data lie there, inputs of inference come from the host.
        mode: of ``torch.compile``.

    On a GPU the environment variable ``NNGRAPH_CUDA_TF32`` decides about TensorFloat-32, as it does for nngraph.
    """

    def __init__(
        self,
        threads: int,
        *,
        compiled: bool = False,
        channels_last: bool = False,
        device: str = "cpu",
        mode: str | None = None,
    ) -> None:
        super().__init__(threads)
        torch.set_num_threads(threads)
        self.compiled, self.channels_last, self.device, self.mode = compiled, channels_last, device, mode
        if device != "cpu":
            tf32 = os.environ.get("NNGRAPH_CUDA_TF32", "0") == "1"
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
            torch.backends.cudnn.benchmark = True

    def versions(self) -> dict[str, str]:
        found = {"torch": torch.__version__, "numpy": np.__version__}
        if self.device != "cpu":
            found |= {"cuda": str(torch.version.cuda), "cudnn": str(torch.backends.cudnn.version())}
        return found

    def build(self, workload: Workload, dropout: bool, weights: str | None) -> None:
        torch.manual_seed(0)
        self.workload = workload
        self.model = MODELS[workload.name](dropout)
        if weights is not None:
            load_weights(self.model, read_weights(weights))
        self.model.to(self.device)
        if self.channels_last:
            self.model.to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.Adam(self.model.parameters(), LEARNING_RATE, eps=adam_epsilon, fused=True)
        self.forward, self.objective = self.model, self._objective
        if self.compiled:
            torch._dynamo.reset()
            # The batch is the same at each call; code for any size would be slower.
            self.forward = torch.compile(self.model, dynamic=False, mode=self.mode)
            self.objective = torch.compile(self._objective, dynamic=False, mode=self.mode)

    def _objective(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        logits = self.model(x)
        if self.workload.loss == "binary":
            return functional.binary_cross_entropy_with_logits(logits, y)
        return functional.cross_entropy(logits.flatten(0, -2), y.flatten())

    def parameters(self) -> int:
        # PyTorch's recurrent layers have a second bias that Keras's LSTM lacks.
        return sum(p.numel() for p in self.model.parameters())

    def set_training_data(self, x: np.ndarray, y: np.ndarray, batch: int) -> None:
        self.model.train()
        self.batch = batch
        images = self.workload.images
        self.x = as_layout(x, images, self.channels_last).to(self.device)
        self.y = as_layout(y, images and y.ndim == 4, self.channels_last).to(self.device)

    def _step(self, number: int) -> torch.Tensor:
        rows = slice(number * self.batch, (number + 1) * self.batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.objective(self.x[rows], self.y[rows])
        loss.backward()
        self.optimizer.step()
        return loss

    def train(self, steps: int) -> float:
        start = now()
        for number in range(steps):
            loss = self._step(number)
        loss.item()
        return now() - start

    def loss(self) -> float:
        return self._step(0).item()

    def set_inference_data(self, x: np.ndarray) -> None:
        self.model.eval()
        self.x = as_layout(x, self.workload.images, self.channels_last)

    def infer(self) -> np.ndarray:
        with torch.inference_mode():
            return self.forward(self.x.to(self.device)).cpu().numpy()

    def epoch(self, x: np.ndarray, y: np.ndarray, batch: int) -> float:
        """Return the seconds of one epoch in a new order with loss and accuracy, as a plain loop."""
        start = now()
        inputs, targets = torch.from_numpy(x).to(self.device), torch.from_numpy(y).long().to(self.device)
        loss_sum = torch.zeros((), device=self.device)
        correct = torch.zeros((), dtype=torch.int64, device=self.device)
        for rows in torch.randperm(len(x), device=self.device).split(batch):
            self.optimizer.zero_grad(set_to_none=True)
            logits = self.model(inputs[rows])
            loss = functional.cross_entropy(logits, targets[rows])
            loss.backward()
            self.optimizer.step()
            with torch.no_grad():
                loss_sum += loss * len(rows)
                correct += (logits.argmax(1) == targets[rows]).sum()
        print(f"loss {loss_sum.item() / len(x):.4f}, accuracy {correct.item() / len(x):.4f}")
        return now() - start

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the logits of new rows."""
        with torch.inference_mode():
            return self.forward(torch.from_numpy(x).to(self.device)).cpu().numpy()

    def close(self) -> None:
        self.model = self.forward = self.objective = self.optimizer = None
        if self.compiled:
            torch._dynamo.reset()
        gc.collect()
