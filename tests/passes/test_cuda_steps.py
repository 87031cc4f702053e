"""Whole training steps, lowered for CUDA: every node has a kernel there, told from the recorded table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nngraph as keras
from benchmarks.workloads import WORKLOADS
from benchmarks.workloads.keras_models import MODELS
from nngraph.data.packing import pack_x_y_sample_weight
from nngraph.ir import Graph
from nngraph.models.steps import describe, trace_step
from nngraph.runtime.placement import capture_obstacles, off_cuda
from passes import PassManager, pipeline

layers = keras.layers


def step(model: Any, x: np.ndarray, y: np.ndarray) -> Graph:
    """Return a training step's graph, lowered for CUDA."""
    data = (x, y, None)
    model._prepare(data)
    graph, _, _ = trace_step(lambda batch: model.train_step(pack_x_y_sample_weight(*batch)), *describe(data), "step")
    PassManager(pipeline("cuda")).run(graph)
    return graph


@pytest.mark.parametrize("name", WORKLOADS)
def test_steps_of_the_benchmarks(name: str) -> None:
    work = WORKLOADS[name]
    model = MODELS[name](keras, True)
    binary = work.loss == "binary"
    losses = keras.losses
    loss = (losses.BinaryCrossentropy if binary else losses.SparseCategoricalCrossentropy)(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    graph = step(model, *work.data(2))
    assert off_cuda(graph) == []
    assert bool(capture_obstacles(graph)) == (name in ("lstm", "gru"))


IMAGES: dict[str, Callable[[], list[Any]]] = {
    "strided convolutions": lambda: [layers.Conv2D(4, 3, strides=2, padding="same"), layers.SeparableConv2D(4, 3)],
    "transposed": lambda: [layers.Conv2DTranspose(4, 3, strides=2, padding="same")],
    "depthwise": lambda: [layers.DepthwiseConv2D(3, strides=2, padding="same")],
    "overlapping pools": lambda: [
        layers.MaxPooling2D(3, 2, padding="same"),
        layers.AveragePooling2D(3, 2, padding="same"),
    ],
    "global pools": lambda: [layers.GlobalMaxPooling2D(keepdims=True)],
    "normalisation": lambda: [layers.BatchNormalization(), layers.GroupNormalization(3), layers.LayerNormalization()],
    "noise": lambda: [layers.GaussianNoise(0.1), layers.GaussianDropout(0.1), layers.AlphaDropout(0.1)],
    "augmentation": lambda: [layers.RandomFlip(), layers.RandomRotation(0.1), layers.RandomZoom(0.1)],
    "sizes": lambda: [layers.UpSampling2D(2, interpolation="bilinear"), layers.Resizing(8, 8)],
    "activations": lambda: [layers.PReLU(), *(layers.Activation(a) for a in ("gelu", "mish", "celu", "hard_silu"))],
}


@pytest.mark.parametrize("kind", IMAGES)
def test_steps_with_other_layers(kind: str) -> None:
    model = keras.Sequential([keras.Input((12, 12, 3)), *IMAGES[kind](), layers.Flatten(), layers.Dense(3)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    assert capture_obstacles(step(model, np.zeros((2, 12, 12, 3), np.float32), np.zeros(2, np.int64))) == []


@pytest.mark.parametrize("optimizer", ["rmsprop", "adamw", "nadam", "adafactor", "lamb", "muon", "lion", "ftrl"])
def test_steps_with_other_optimizers_and_metrics(optimizer: str) -> None:
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="softmax")])
    kinds = [keras.metrics.AUC(), keras.metrics.F1Score(), "top_k_categorical_accuracy", "cosine_similarity"]
    model.compile(optimizer, "categorical_crossentropy", metrics=kinds)
    assert capture_obstacles(step(model, np.zeros((2, 4), np.float32), np.zeros((2, 3), np.float32))) == []
