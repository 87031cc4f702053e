"""The networks that are timed: one table, and one definition for each family of frameworks.

``keras_models`` serves nngraph and Keras alike (the imported module is a parameter), ``torch_models`` PyTorch and
``jax_models`` plain JAX. All three use the same layer names, so that one file of weights fits all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["COST_WORKLOADS", "LM_VOCABULARY", "MOBILENET_BLOCKS", "VOCABULARY", "WORKLOADS", "Workload"]

VOCABULARY = 10_000
LM_VOCABULARY = 4_096

# Filters and stride of each depthwise-separable block.
MOBILENET_BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1))


@dataclass(frozen=True)
class Workload:
    """One network with its data.

    Attributes:
        name: how it is called on the command line.
        title: how tables call it.
        batch: rows of a training step.
        shape: one row of the input.
        kind: ``"float"`` for numbers in [0, 1), ``"tokens"`` for numbers of words.
        vocabulary: how many words there are.
        target: one row of the target.
        classes: number of classes, 2 with ``loss="binary"``.
        loss: ``"classes"`` (softmax cross-entropy over the last axis) or ``"binary"`` (sigmoid cross-entropy).
        inference: batch sizes of the inference rows.
        images: whether the memory format of images matters.
    """

    name: str
    title: str
    batch: int
    shape: tuple[int, ...]
    kind: str = "float"
    vocabulary: int = VOCABULARY
    target: tuple[int, ...] = ()
    classes: int = 10
    loss: str = "classes"
    inference: tuple[int, ...] = (1, 32)
    images: bool = False

    def data(self, rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Return the same inputs and targets in every process."""
        rng = np.random.default_rng([seed, rows])
        if self.kind == "tokens":
            x = rng.integers(0, self.vocabulary, (rows, *self.shape), dtype=np.int32)
        else:
            x = rng.random((rows, *self.shape), dtype=np.float32)
        if self.loss == "binary":
            return x, rng.integers(0, 2, (rows, *self.target)).astype(np.float32)
        return x, rng.integers(0, self.classes, (rows, *self.target), dtype=np.int32)


_TABLE = (
    Workload("mlp", "MLP 784-128-10, dropout", 128, (784,), inference=(1, 32, 256)),
    Workload("cnn", "CNN, 32×32×3", 128, (32, 32, 3), inference=(1, 32, 256), images=True),
    Workload("resnet", "ResNet, 13 3×3 convolutions", 64, (32, 32, 3), inference=(1, 32, 256), images=True),
    Workload("lstm", "Embedding + LSTM 128, T=100", 32, (100,), "tokens", target=(1,), classes=2, loss="binary"),
    Workload("transformer", "Transformer, 4 blocks, d=256, T=128", 16, (128,), "tokens"),
    Workload("gru", "Embedding + GRU 128, T=100", 32, (100,), "tokens", target=(1,), classes=2, loss="binary"),
    Workload("unet", "U-Net, 64×64×3", 16, (64, 64, 3), target=(64, 64, 1), classes=2, loss="binary", images=True),
    Workload("mobilenet", "MobileNet (depthwise), 64×64×3", 32, (64, 64, 3), images=True),
    Workload(
        "lm",
        "Causal language model, 2 blocks, d=256, T=128",
        8,
        (128,),
        "tokens",
        vocabulary=LM_VOCABULARY,
        target=(128,),
        classes=LM_VOCABULARY,
    ),
)

WORKLOADS = {workload.name: workload for workload in _TABLE}

# Networks that only the costs use: what a deep one takes until its first step is done.
COST_WORKLOADS = {"resnet100": Workload("resnet100", "ResNet, 100 layers", 16, (32, 32, 3), images=True)}
