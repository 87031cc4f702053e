"""The process of one peer: reads one JSON request a line, computes, answers with one JSON line.

    python -m benchmarks.worker ADAPTER THREADS OPTIONS

It is started by ``benchmarks.processes`` with the interpreter of the peer's environment, in the project's folder. What
libraries print goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

from benchmarks.clock import now

__all__ = ["Worker", "main", "steps_for"]


def steps_for(seconds_a_step: float, target: float, least: int, most: int = 200) -> int:
    """Return how many steps fill a round of ``target`` seconds."""
    wanted = most if seconds_a_step <= 0 else round(target / seconds_a_step)
    return max(least, min(most, wanted))


class Worker:
    """Answers requests with one adapter; every public method is a request.

    Args:
        adapter: the framework in this process.
    """

    def __init__(self, adapter: Any) -> None:
        self.adapter = adapter
        self.run: Callable[[int], float] = lambda count: 0.0
        self.count = 1
        self.settles = True
        self.built: str | None = None

    def versions(self) -> dict[str, Any]:
        """Return the versions of what computes."""
        return {"versions": {"python": sys.version.split()[0], **self.adapter.versions()}}

    def write_reference(self, workload: str, folder: str) -> dict[str, Any]:
        """Write the weights that all peers load, and the exported model."""
        self.adapter.write_reference(_workload(workload), folder)
        self.adapter.close()
        return {}

    def prepare_training(
        self, workload: str, weights: str, target: float, least: int, batch: int | None = None
    ) -> dict[str, Any]:
        """Build, run the first step, and find out how many steps make a round of ``target`` seconds."""
        work = _workload(workload)
        batch = batch or work.batch
        start = now()
        self.adapter.build(work, True, weights)
        self.adapter.set_training_data(*work.data(2 * batch), batch)
        self.adapter.train(1)
        first = now() - start
        self.run = lambda count: self.adapter.train(count) / count
        self.count = steps_for(self.run(2), target, least)
        if self.count > least:
            # Two short steps say little: what an epoch costs at its end is in them.
            self._repeat_data(work, batch)
            self.count = steps_for(self.run(self.count), target, least)
        self._repeat_data(work, batch)
        return {"parameters": self.adapter.parameters(), "prepare_seconds": first, "count": self.count}

    def _repeat_data(self, work: Any, batch: int) -> None:
        """Give the adapter as many batches as a round has: two, again and again."""
        x, y = work.data(2 * batch)
        rows = [k % len(x) for k in range(self.count * batch)]
        self.adapter.set_training_data(x[rows], y[rows], batch)

    def prepare_inference(self, workload: str, weights: str, target: float, batch: int) -> dict[str, Any]:
        """Build unless it is there, run once, and find out how many calls make a round of ``target`` seconds."""
        work = _workload(workload)
        start = now()
        if self.built != workload:
            self.adapter.build(work, True, weights)
            self.built = workload
        self.adapter.set_inference_data(work.data(batch)[0])
        self.adapter.infer()
        first = now() - start
        return {"prepare_seconds": first, **self._calls(self.adapter.infer, target)}

    def prepare_predict(self, workload: str, weights: str, target: float) -> dict[str, Any]:
        """The same for ``predict`` of one row, as a user calls it."""
        work = _workload(workload)
        self.adapter.build(work, True, weights)
        row = work.data(1)[0]
        self.adapter.set_inference_data(row)
        return self._calls(lambda: self.adapter.predict(row), target)

    def _calls(self, call: Callable[[], Any], target: float) -> dict[str, Any]:
        def run(count: int) -> float:
            start = now()
            for _ in range(count):
                call()
            return (now() - start) / count

        self.run = run
        run(2)
        self.count = steps_for(run(2), target, 2, 1000)
        return {"count": self.count}

    def round(self) -> dict[str, Any]:
        """Return the seconds of one step (or call), averaged over one round.

        One more in front of them does not count: it finds caches and page tables full of what others computed.
        """
        if self.settles:
            self.run(1)
        return {"seconds": self.run(self.count)}

    def check(self, workload: str, weights: str, batch: int, steps: int, train: bool) -> dict[str, Any]:
        """Return logits, then losses before each of some steps on one batch, without dropout."""
        work = _workload(workload)
        x, y = work.data(batch)
        self.adapter.build(work, False, weights)
        self.adapter.set_inference_data(x)
        logits = self.adapter.infer().reshape(-1)
        answer: dict[str, Any] = {"logits": [float(v) for v in logits[:: max(1, logits.size // 64)][:64]]}
        if train:
            self.adapter.set_training_data(x, y, batch)
            answer["parameters"] = self.adapter.parameters()
            answer["losses"] = [self.adapter.loss() for _ in range(steps)]
        self.adapter.close()
        return answer

    def first_step(self, workload: str, weights: str) -> dict[str, Any]:
        """Return the seconds from nothing but the imported module to a finished first training step."""
        work = _workload(workload)
        x, y = work.data(work.batch)
        start = now()
        self.adapter.build(work, True, weights)
        self.adapter.set_training_data(x, y, work.batch)
        self.adapter.train(1)
        return {"seconds": now() - start}

    def memory(self, workload: str, weights: str, steps: int, batch: int) -> dict[str, Any]:
        """Return this process's peak resident bytes: after the import, and after some training steps."""
        work = _workload(workload)
        before = peak_memory()
        self.adapter.build(work, True, weights)
        self.adapter.set_training_data(*work.data(2 * batch), batch)
        for _ in range(steps):
            self.adapter.train(2)
        return {"bytes": peak_memory(), "before": before}

    def prepare_epoch(self, weights: str) -> dict[str, Any]:
        """Build the MLP with an accuracy, make MNIST-sized data, and train on a tenth of it."""
        work = _workload("mlp")
        extra = {"metrics": ("accuracy",)} if hasattr(self.adapter, "keras") else {}
        self.adapter.build(work, True, weights, **extra)
        x, y = work.data(60_000)
        self.adapter.epoch(x[:6016], y[:6016], work.batch)
        self.run = lambda count: self.adapter.epoch(x, y, work.batch)
        self.count, self.settles = 1, False  # an epoch is long enough
        return {"count": 1}

    def close(self) -> dict[str, Any]:
        """Forget the model."""
        self.run = lambda count: 0.0
        self.settles, self.built = True, None
        self.adapter.close()
        return {}


def peak_memory() -> int:
    """Return the peak resident bytes of this process."""
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def _workload(name: str) -> Any:
    from benchmarks.workloads import COST_WORKLOADS, WORKLOADS

    return {**WORKLOADS, **COST_WORKLOADS}[name]


def serve(worker: Worker, requests: Any, answers: Any) -> None:
    """Answer requests until there are no more."""
    for line in requests:
        request = json.loads(line)
        try:
            answer = getattr(worker, request.pop("request"))(**request)
        except Exception as error:  # a peer that fails must not end the run
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"[:500]}
        print(json.dumps(answer), file=answers, flush=True)


def main() -> None:
    adapter, threads, options = sys.argv[1:4]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print to standard output
    if hasattr(os, "sched_setaffinity"):
        # Libraries that count processors by themselves see only as many as there are threads.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(threads)])
    import importlib

    module, name = adapter.split(":")
    start = now()
    made = getattr(importlib.import_module(module), name)(int(threads), **json.loads(options))
    print(json.dumps({"import_seconds": now() - start}), file=answers, flush=True)
    serve(Worker(made), sys.stdin, answers)


if __name__ == "__main__":
    main()
