"""What the first step of a model is made of: tracing, every pass, writing, reading, the session; and how it grows.

    python -m benchmarks.compile [--workload mlp ...] [--nodes 1000 ...] [--json]

Without options: some workloads, and the training step of one residual network in three depths, so that about 1,000,
3,000 and 10,000 nodes are traced. Each is compiled in a fresh process; all figures are seconds of processor time with
one thread, and contain what is imported on the way. `write` and `read` are what serde costs for the lowered graph; they
are no part of the first step, in which `session` contains one writing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

WORKLOADS = ("mlp", "cnn", "resnet100", "transformer")
NODES = (1_000, 3_000, 10_000)

_PHASES = ("build", "trace", "passes", "session", "run")
"""What the first step consists of."""


def residual(keras: Any, blocks: int) -> Any:
    """Return a residual network on 8 × 8 images."""
    layers = keras.layers
    inputs = keras.Input((8, 8, 8))
    x = inputs
    for _ in range(blocks):
        y = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same")(x)))
        x = layers.Add()([x, y])
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


class Clock:
    """Notes the processor time of everything on the way of a step.

    Attributes:
        seconds: name to seconds; passes are called ``pass NAME``.
        traced, lowered: how many nodes there were before and after the passes.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.traced = self.lowered = 0

    def timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with its time added to a name."""

        def run(*args: Any, **kwargs: Any) -> Any:
            start = time.process_time()
            try:
                return call(*args, **kwargs)
            finally:
                self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - start

        return run

    def compile_graph(self, graph: Any, device: str | None = None, **options: Any) -> Any:
        """Do what ``nngraph.transforms.compile_graph`` does on the CPU, where no option counts, and note each pass."""
        from nngraph.runtime import Session
        from nngraph.serde import from_proto, to_proto
        from passes import PassManager, pipeline

        last = time.process_time()

        def note(_: Any, step: Any, number: int) -> None:
            nonlocal last
            now = time.process_time()
            if number:
                name = f"pass {step.name.partition('{')[0]}"
                self.seconds[name] = self.seconds.get(name, 0.0) + now - last
            last = now

        report = self.timed("passes", PassManager(pipeline("cpu"), instruments=[note]).run)(graph)
        self.traced, self.lowered = report.steps[0].before, report.steps[-1].after
        session = self.timed("session", Session)(graph, "cpu")
        model = self.timed("write", to_proto)(graph)
        self.timed("read", from_proto)(model)
        return session


def first_step(make: Callable[[Any], Any], loss: str, x: Any, y: Any) -> Clock:
    """Take the first step of a model and return what was noted."""
    import nngraph as keras

    clock = Clock()

    def build() -> Any:
        from nngraph.models import steps

        model = make(keras)
        losses = keras.losses
        kind = losses.BinaryCrossentropy if loss == "binary" else losses.SparseCategoricalCrossentropy
        model.compile(keras.optimizers.Adam(1e-3), kind(from_logits=True))
        model.optimizer.build(model.trainable_variables)
        vars(steps).update(trace_step=clock.timed("trace", steps.trace_step), compile_graph=clock.compile_graph)
        return model

    model = clock.timed("build", build)()
    clock.timed("whole", model.train_on_batch)(x, y)
    apart = sum(clock.seconds[name] for name in ("trace", "passes", "session", "write", "read"))
    clock.seconds["run"] = clock.seconds.pop("whole") - apart
    return clock


def of_workload(name: str) -> Clock:
    """Return what the first step of a workload costs."""
    from benchmarks.workloads import COST_WORKLOADS, WORKLOADS
    from benchmarks.workloads.keras_models import MODELS

    work = {**WORKLOADS, **COST_WORKLOADS}[name]
    x, y = work.data(work.batch)
    return first_step(lambda keras: MODELS[name](keras, True), work.loss, x, y)


def of_nodes(blocks: int) -> Clock:
    """Return what the first step of the residual network costs."""
    import numpy as np

    x = np.random.default_rng(0).random((2, 8, 8, 8), dtype="float32")
    return first_step(lambda keras: residual(keras, blocks), "classes", x, np.zeros(2, "int64"))


def fresh(*arguments: str) -> dict[str, Any]:
    """Measure in a new process, with one thread."""
    ours = {"NNGRAPH_THREADS": "1", "NNGRAPH_DEVICE": "cpu", "PYTHONDONTWRITEBYTECODE": ""}
    command = [sys.executable, "-m", "benchmarks.compile", "--only", *arguments]
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=root, env={**os.environ, **ours})
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def blocks_for(nodes: Sequence[int]) -> list[int]:
    """Return how many blocks give about so many nodes: the number is linear in the blocks."""
    few, more = (fresh("blocks", str(n))["traced"] for n in (1, 5))
    each = (more - few) / 4
    return [max(1, round(1 + (wanted - few) / each)) for wanted in nodes]


def table(columns: dict[str, dict[str, Any]]) -> str:
    """Return the figures, one column for each graph."""
    names = dict.fromkeys(name for found in columns.values() for name in found["seconds"])
    passes = sorted(name for name in names if name.startswith("pass "))
    rows = [("", list(columns))]
    rows += [(f"nodes {key}", [f"{c[key]:,}" for c in columns.values()]) for key in ("traced", "lowered")]
    for name in ("build", "trace", "passes", *passes, "session", "run", "write", "read"):
        rows.append((name, [f"{c['seconds'].get(name, 0.0):.3f}" for c in columns.values()]))
    rows.append(("first step", [f"{sum(c['seconds'][p] for p in _PHASES):.3f}" for c in columns.values()]))
    rows.append(
        (
            "passes and serde",
            [f"{sum(c['seconds'][p] for p in ('passes', 'write', 'read')):.3f}" for c in columns.values()],
        )
    )
    return "\n".join(f"{name:18}" + "".join(f"{cell:>14}" for cell in cells) for name, cells in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workload", action="append", help="only these workloads; may be repeated")
    parser.add_argument("--nodes", action="append", type=int, help="only residual networks of about so many nodes")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--only", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        kind, what = options.only
        clock = of_workload(what) if kind == "workload" else of_nodes(int(what))
        print(json.dumps({"seconds": clock.seconds, "traced": clock.traced, "lowered": clock.lowered}))
        return
    everything = not (options.workload or options.nodes)
    columns = {name: fresh("workload", name) for name in (WORKLOADS if everything else options.workload or ())}
    nodes = NODES if everything else options.nodes or ()
    for count, blocks in zip(nodes, blocks_for(nodes) if nodes else (), strict=True):
        columns[f"{count:,} nodes"] = fresh("blocks", str(blocks))
    print(json.dumps(columns) if options.json else table(columns))


if __name__ == "__main__":
    main()
