"""The child process of :mod:`nngraph.runtime.isolation`: tries one model and says how far it came.

It is run as a script and imports nothing of nngraph, so that it starts fast. Its arguments are the model's path, or
``-`` for its bytes on the standard input, the limits, and whether to check the model; it writes one line for each step,
and last ``ok`` or an error.
"""

from __future__ import annotations

import os
import sys

__all__: list[str] = []


def _limit(memory: int, seconds: int) -> None:
    try:
        import resource
    except ImportError:  # Windows: only the parent's clock limits the child there
        return
    limits = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,  # it has no file to write
    }
    for which, wanted in limits.items():
        hard = resource.getrlimit(which)[1]
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        spare = 5 if which == resource.RLIMIT_CPU and hard == resource.RLIM_INFINITY else 0  # SIGXCPU before SIGKILL
        resource.setrlimit(which, (value, value + spare))


def _say(text: str) -> None:
    sys.stdout.write(text.replace("\n", " ")[:2000] + "\n")
    sys.stdout.flush()


def _try(source: str, check: bool) -> None:
    _say("start")
    content = sys.stdin.buffer.read() if source == "-" else b""
    if check:
        import onnx

        _say("checker")
        onnx.checker.check_model(content or source, full_check=True)
    _say("runtime")
    import onnxruntime as ort

    ort.set_default_logger_severity(4)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    _say("session")
    ort.InferenceSession(content or source, options, providers=["CPUExecutionProvider"])


def _main() -> None:
    source, memory, seconds, check = sys.argv[1:]
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    _limit(int(memory), int(seconds))
    try:
        _try(source, check == "1")
    except MemoryError:
        _say("memory")
    except BaseException as error:
        _say(f"error {error}")
    else:
        _say("ok")
    os._exit(0)  # what native code does on its way out tells nothing about the model


if __name__ == "__main__":
    _main()
