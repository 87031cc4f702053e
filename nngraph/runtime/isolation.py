"""Trying a model in a child process, so that what it does to native code happens there.

A valid file may still crash the runtime, use up the memory, or never end. :func:`probe` lets a child with limits check
the model and build a session from it; whatever becomes of the child, the parent gets an answer or one ValueError.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

__all__ = ["probe"]

_STEPS = {
    "start": "starting the check",
    "checker": "onnx's checker and type inference",
    "runtime": "loading the runtime",
    "session": "the runtime, while it builds a session",
}
_SCRIPT = Path(__file__).with_name("probe.py")


def probe(
    source: str | os.PathLike[str] | bytes,
    *,
    seconds: int = 60,
    memory: int | None = None,
    check: bool = True,
    name: str | None = None,
) -> None:
    """Let a child process check a model and build a session from it; return when it survives that.

    Args:
        source: a path, or the bytes of a model without external data.
        seconds: how much processor time the child may use; the clock may show ten seconds more than twice as much.
        memory: how many bytes of address space; default is 8 GiB and four times the model.
        check: let onnx's checker see the model before the runtime does.
        name: what to call the model in messages.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the model is not valid, or it crashes onnx or the runtime, or takes too long or too much memory.

    Example:
        >>> probe(b"no model")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: the model is refused by onnx's checker and type inference: ...
    """
    if isinstance(source, bytes):
        content, argument, size = source, "-", len(source)
        name = name or "the model"
    else:
        path = Path(source)
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {str(path)!r}")
        content, argument, size = b"", str(path.absolute()), _size_with_data(path)
        name = name or repr(str(path))
    memory = (8 << 30) + 4 * size if memory is None else memory
    try:
        done = subprocess.run(
            [sys.executable, "-P", str(_SCRIPT), argument, str(memory), str(seconds), str(int(check))],
            input=content,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_clock(seconds),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        lines = (error.stdout or b"").decode("utf-8", "replace").split("\n")
        raise ValueError(
            f"{name} keeps {_step(lines)} busy for more than {_clock(seconds)} seconds; {_REMEDY}"
        ) from None
    lines = done.stdout.decode("utf-8", "replace").split("\n")
    last = next((line for line in reversed(lines) if line), "")
    if done.returncode < 0:
        raise ValueError(_died(name, -done.returncode, _step(lines), seconds))
    if last == "memory" or "bad_alloc" in last:
        raise ValueError(f"{name} needs more than {memory / 2**30:.1f} GiB in {_step(lines)}; {_REMEDY}")
    if last.startswith("error "):
        raise ValueError(f"{name} is refused by {_step(lines)}: {last.removeprefix('error ')}")
    if last != "ok":
        raise ValueError(f"{name} ends {_step(lines)} with exit status {done.returncode}; {_REMEDY}")


_REMEDY = "the file is damaged or hostile; get it again from its source"


def _clock(seconds: int) -> int:
    """Return how long the child may take, waiting for others included."""
    return 2 * seconds + 10


def _died(name: str, number: int, step: str, seconds: int) -> str:
    if number == getattr(signal, "SIGXCPU", None):
        return f"{name} uses more than {seconds} seconds of processor time in {step}; {_REMEDY}"
    try:
        what = signal.Signals(number).name
    except ValueError:
        what = f"signal {number}"
    return f"{name} crashes {step}, with {what}; {_REMEDY}"


def _step(lines: list[str]) -> str:
    found = [line for line in lines if line in _STEPS]
    return _STEPS[found[-1]] if found else "the child process"


def _size_with_data(path: Path) -> int:
    """Return the size of a model file and of the files beside it, which may hold its data."""
    return sum(p.stat().st_size for p in path.parent.iterdir() if p.is_file() and p.name.startswith(path.stem))
