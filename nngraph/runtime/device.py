"""The runtime library and the devices it offers."""

from __future__ import annotations

import functools
import os
from types import ModuleType
from typing import Any

from nngraph import config

__all__ = ["DEVICES", "available_providers", "onnxruntime", "provider_options", "resolve_device", "session_options"]

DEVICES = ("auto", "cpu", "cuda")


@functools.cache
def onnxruntime() -> ModuleType:
    """Return the onnxruntime module, imported at first use with its telemetry switched off.

    Raises:
        ImportError: no runtime is installed; the message says which two there are.
    """
    # The wheel reports usage unless this is set before it is imported; a user's own setting stays.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime as ort
    except ImportError:
        raise ImportError(
            'nngraph needs a runtime to compute: pip install "nngraph[cpu]" for CPU, '
            'or pip install "nngraph[cuda]" for NVIDIA GPUs (one of them, not both)'
        ) from None
    ort.set_default_logger_severity(3)
    module: ModuleType = ort
    return module


def session_options(*, single_thread: bool = False) -> Any:
    """Return options for a new session: quiet, with the number of threads that the settings ask for.

    Every session of the runtime has a pool of threads of its own, except one with a single thread.
    """
    options = onnxruntime().SessionOptions()
    options.log_severity_level = 4  # errors become exceptions; the log need not repeat them
    options.intra_op_num_threads = 1 if single_thread else config.threads()
    return options


def provider_options(device: str, *, capture: bool = False) -> list[tuple[str, dict[str, str]]]:
    """Return the providers of a session and their options, the first choice first.

    Args:
        device: ``"cpu"`` or ``"cuda"``.
        capture: let the runtime capture what it runs as CUDA graphs.

    Example:
        >>> provider_options("cpu")
        [('CPUExecutionProvider', {})]
        >>> provider_options("cuda", capture=True)[0][1]["enable_cuda_graph"]
        '1'
    """
    cpu: tuple[str, dict[str, str]] = ("CPUExecutionProvider", {})
    if device == "cpu":
        return [cpu]
    options = {
        "use_tf32": str(int(config.cuda_tf32())),
        "prefer_nhwc": str(int(config.cuda_nhwc())),
        "cudnn_conv_algo_search": config.cuda_conv_search().upper(),
        "cudnn_conv_use_max_workspace": "1",
        "enable_cuda_graph": str(int(capture)),
    }
    if config.cuda_memory_bytes():
        # An arena that doubles would pass the limit long before the memory is used up.
        options |= {"gpu_mem_limit": str(config.cuda_memory_bytes()), "arena_extend_strategy": "kSameAsRequested"}
    return [("CUDAExecutionProvider", options), cpu]


@functools.cache
def available_providers() -> tuple[str, ...]:
    """Return the runtime's names of the providers that it was built with."""
    return tuple(onnxruntime().get_available_providers())


def resolve_device(device: str = "auto") -> str:
    """Return ``"cpu"`` or ``"cuda"`` for a wish; ``"auto"`` is CUDA where the runtime has it.

    Raises:
        ValueError: the device is unknown.
        RuntimeError: CUDA is asked for and the runtime has no CUDA provider.
    """
    if device not in DEVICES:
        raise ValueError(f"device must be one of {DEVICES}, got {device!r}")
    if device == "cpu":
        return "cpu"
    has_cuda = "CUDAExecutionProvider" in available_providers()
    if device == "cuda" and not has_cuda:
        raise RuntimeError(
            "device='cuda' needs the CUDA build of the runtime: pip uninstall onnxruntime, then "
            'pip install "nngraph[cuda]"; this runtime offers ' + ", ".join(available_providers())
        )
    return "cuda" if has_cuda else "cpu"
