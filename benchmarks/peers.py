"""Who is compared: one row for each peer, with its environment, its adapter and its settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["CUDA_PEERS", "OURS", "OWN", "PEERS", "Peer", "select"]

OURS = "nngraph"
_RECOMPUTE = "nngraph-recompute"
OWN = frozenset((OURS, _RECOMPUTE))
"""What is nngraph, in one way of running it or another: no peer to be compared with."""

_KERAS = "benchmarks.adapters.keras_family:KerasAdapter"
_TORCH = "benchmarks.adapters.torch_family:TorchAdapter"


@dataclass(frozen=True)
class Peer:
    """A framework with its settings.

    Attributes:
        name: how it is called on the command line and in results.
        title: how tables call it.
        environment: the name of its virtual environment and of its file in ``requirements/``.
        adapter: ``module:class``.
        options: arguments of the adapter.
        environ: environment variables of its process.
        imports: the statement whose time counts as importing it.
        trains: whether it can train.
        images_only: whether it differs from another peer only for images.
        memory_only: whether it differs from another peer only in how much memory it takes.
    """

    name: str
    title: str
    environment: str
    adapter: str
    options: Mapping[str, Any] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    imports: str = ""
    trains: bool = True
    images_only: bool = False
    memory_only: bool = False


def _keras(backend: str, **environ: str) -> Peer:
    title = {"jax": "JAX", "torch": "torch", "tensorflow": "TensorFlow"}[backend]
    return Peer(
        f"keras-{backend}",
        f"Keras on {title}",
        f"keras-{backend}",
        _KERAS,
        {"module": "keras", "backend": backend},
        {"KERAS_BACKEND": backend, **environ},
        "import keras",
    )


_TABLE = (
    Peer(OURS, "nngraph", "nngraph", _KERAS, {"module": "nngraph"}, imports="import nngraph"),
    Peer(
        _RECOMPUTE, "nngraph, recompute", "nngraph", _KERAS, {"module": "nngraph", "recompute": True}, memory_only=True
    ),
    Peer("torch", "torch", "torch", _TORCH, imports="import torch"),
    Peer("torch-nhwc", "torch, channels last", "torch", _TORCH, {"channels_last": True}, images_only=True),
    Peer("torch-compile", "torch.compile", "torch", _TORCH, {"compiled": True}),
    Peer(
        "torch-compile-nhwc",
        "torch.compile, channels last",
        "torch",
        _TORCH,
        {"compiled": True, "channels_last": True},
        images_only=True,
    ),
    Peer("jax", "JAX", "jax", "benchmarks.adapters.jax_family:JaxAdapter", imports="import jax"),
    _keras("jax"),
    _keras("torch"),
    _keras("tensorflow", TF_CPP_MIN_LOG_LEVEL="2"),
    Peer(
        "keras-tensorflow-onednn",
        "Keras on TensorFlow, oneDNN",
        "keras-tensorflow",
        _KERAS,
        {"module": "keras", "backend": "tensorflow", "jit_compile": False},
        # TensorFlow asks for AVX-512 before it uses oneDNN by itself; it is faster without, too.
        {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "2", "TF_ENABLE_ONEDNN_OPTS": "1"},
        images_only=True,
    ),
    Peer(
        "onnxruntime",
        "onnxruntime, exported model",
        "onnxruntime",
        "benchmarks.adapters.ort_family:OrtAdapter",
        trains=False,
        imports="import onnxruntime",
    ),
)

PEERS = {peer.name: peer for peer in _TABLE}


_ON_CUDA = {"device": "cuda"}

CUDA_PEERS = {
    peer.name: peer
    for peer in (
        Peer(OURS, "nngraph", "nngraph", _KERAS, {"module": "nngraph"}, {"NNGRAPH_DEVICE": "cuda"}),
        Peer("torch", "torch", "torch", _TORCH, _ON_CUDA),
        Peer(
            "torch-nhwc", "torch, channels last", "torch", _TORCH, {**_ON_CUDA, "channels_last": True}, images_only=True
        ),
        Peer("torch-compile", "torch.compile", "torch", _TORCH, {**_ON_CUDA, "compiled": True}),
        Peer(
            "torch-compile-graphs",
            "torch.compile, CUDA graphs",
            "torch",
            _TORCH,
            {**_ON_CUDA, "compiled": True, "mode": "reduce-overhead"},
        ),
        Peer(
            "torch-compile-nhwc",
            "torch.compile, channels last",
            "torch",
            _TORCH,
            {**_ON_CUDA, "compiled": True, "channels_last": True},
            images_only=True,
        ),
    )
}
"""Who is compared on a GPU (``benchmarks.cuda``)."""


def select(
    names: Sequence[str],
    *,
    training: bool,
    images: bool,
    memory: bool = False,
    table: Mapping[str, Peer] = PEERS,
) -> list[Peer]:
    """Return the peers of one row of the table: the named ones (all when empty) that have a part in it."""
    chosen = [peer for peer in table.values() if not names or peer.name in names]
    fitting = [p for p in chosen if (p.trains or not training) and (images or not p.images_only)]
    return [p for p in fitting if memory or not p.memory_only]
