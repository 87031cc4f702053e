"""The runner's side of the workers: start, ask, stop."""

from __future__ import annotations

import contextlib
import json
import os
import select as selectors
import subprocess
from pathlib import Path
from typing import Any, TextIO

from benchmarks.environments import ROOT
from benchmarks.peers import Peer

__all__ = ["Failure", "Process", "compile_caches", "environment_of"]


class Failure(Exception):
    """A peer cannot do what was asked; the message says why."""


def environment_of(peer: Peer, threads: int) -> dict[str, str]:
    """Return the environment variables of a peer's process: the same number of threads for everybody."""
    count = str(threads)
    limits = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), count)
    ours = {"NNGRAPH_THREADS": count, "NNGRAPH_DEVICE": "cpu", "ORT_DISABLE_TELEMETRY": "1"}
    quiet = {"PYTHONWARNINGS": "ignore", "TQDM_DISABLE": "1", "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    # Installed packages have their byte code; nngraph, which runs from its folder, may write its own.
    quiet["PYTHONDONTWRITEBYTECODE"] = ""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, **limits, **ours, **quiet, "PYTHONPATH": path, **peer.environ}


def compile_caches(folder: Path) -> dict[str, str]:
    """Return the environment variables that keep compiled code in a folder; what it computes stays the same."""
    return {
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "torch"),
        "JAX_COMPILATION_CACHE_DIR": str(folder / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.2",
    }


class Process:
    """One peer at work.

    Args:
        peer: who.
        python: the interpreter of its environment.
        threads: how many threads may compute.
        log: file that receives what its libraries print.
        environ: further environment variables.
    """

    def __init__(
        self, peer: Peer, python: Path, threads: int, log: Path, environ: dict[str, str] | None = None
    ) -> None:
        self.peer, self.log = peer, log
        self._log_file: TextIO = log.open("a")
        self.process = subprocess.Popen(
            [str(python), "-m", "benchmarks.worker", peer.adapter, str(threads), json.dumps(dict(peer.options))],
            cwd=ROOT,
            env={**environment_of(peer, threads), **(environ or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log_file,
            text=True,
        )

    def hello(self, timeout: float = 120) -> dict[str, Any]:
        """Wait until the framework is imported."""
        return self._answer(timeout)

    def ask(self, request: str, timeout: float = 300, **arguments: Any) -> dict[str, Any]:
        """Send one request and return its answer.

        Raises:
            Failure: the peer failed, died or took longer than ``timeout`` seconds.
        """
        self.send(request, **arguments)
        return self._answer(timeout)

    def send(self, request: str, **arguments: Any) -> None:
        """Send a request whose answer :meth:`receive` takes later."""
        stream = self.process.stdin
        assert stream is not None
        try:
            stream.write(json.dumps({"request": request, **arguments}) + "\n")
            stream.flush()
        except OSError as error:
            raise Failure(f"the process has ended ({self._last_words()})") from error

    receive = hello

    def _answer(self, timeout: float) -> dict[str, Any]:
        stream = self.process.stdout
        assert stream is not None
        ready, _, _ = selectors.select([stream], [], [], timeout)
        if not ready:
            self.stop()
            raise Failure(f"no answer within {timeout:.0f} s")
        line = stream.readline()
        if not line:
            self.process.wait()
            raise Failure(f"the process ended with status {self.process.returncode} ({self._last_words()})")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise Failure(answer["error"])
        return answer

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else "it printed nothing"

    def stop(self) -> None:
        """End the process."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self._log_file):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):  # a question that nobody read
                    stream.close()
