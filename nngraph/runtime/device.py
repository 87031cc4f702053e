"""The runtime library and the devices it offers."""

from __future__ import annotations

import contextlib
import functools
import io
import os
from types import ModuleType
from typing import Any

import numpy as np

from nngraph import config

__all__ = [
    "DEVICES",
    "available_providers",
    "cuda_problem",
    "onnxruntime",
    "provider_options",
    "resolve_device",
    "session_options",
]

DEVICES = ("auto", "cpu", "cuda")

_QUIET = 3  # errors only


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
    ort.set_default_logger_severity(_QUIET)
    if "CUDAExecutionProvider" in ort.get_available_providers() and hasattr(ort, "preload_dlls"):
        # CUDA's libraries from the packages beside the runtime, which the loader does not look at by itself.
        with contextlib.redirect_stdout(io.StringIO()):
            ort.preload_dlls()
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


@functools.cache
def cuda_problem() -> str | None:
    """Return why CUDA cannot be used, or ``None`` where it can; a build for CUDA may lack libraries or a device."""
    if "CUDAExecutionProvider" not in available_providers():
        return (
            "this needs the CUDA build of the runtime: pip uninstall onnxruntime, then "
            'pip install "nngraph[cuda]"; this runtime offers ' + ", ".join(available_providers())
        )
    ort = onnxruntime()
    ort.set_default_logger_severity(4)  # what it would print is in the answer
    try:
        ort.OrtValue.ortvalue_from_numpy(np.zeros(1, np.float32), "cuda", 0)
    except Exception as error:  # the runtime has no class of its own for this
        return f"the runtime finds no usable GPU: {str(error).splitlines()[0]}"
    finally:
        ort.set_default_logger_severity(_QUIET)
    return None


def resolve_device(device: str = "auto") -> str:
    """Return ``"cpu"`` or ``"cuda"`` for a wish; ``"auto"`` is CUDA where the runtime can use it.

    Raises:
        ValueError: the device is unknown.
        RuntimeError: CUDA is asked for and cannot be used; the message says why.
    """
    if device not in DEVICES:
        raise ValueError(f"device must be one of {DEVICES}, got {device!r}")
    if device == "cpu":
        return "cpu"
    problem = cuda_problem()
    if device == "cuda" and problem is not None:
        raise RuntimeError(f"device='cuda': {problem}")
    return "cuda" if problem is None else "cpu"
