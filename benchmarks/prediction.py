"""The ways in which `predict` could run a model: weights read or constant, forms of passes or of the runtime.

    python -m benchmarks.prediction [--workload NAME ...] [--batch N ...] [--rounds 7]

Milliseconds of a session's call, medians over interleaved rounds; in brackets the seconds of passes and session. What
`nngraph.models.prediction` does rests on these figures.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import nngraph
from benchmarks.workloads import WORKLOADS
from benchmarks.workloads.keras_models import MODELS
from nngraph.transforms import compile_graph
from passes import freeze

WAYS = {
    "read": (None, False, False),
    "constant, cpu forms": ("cpu", True, False),
    "the same, fixed batch": ("cpu", True, True),
    "constant, portable forms": ("portable", True, False),
    "those, fixed batch": ("portable", True, True),
}
"""Name to target of the passes, whether weights are constants, and whether the batch size is fixed."""


def prepared(model: Any, x: np.ndarray, way: str) -> tuple[Callable[[], Any], float]:
    """Return a call of the model's session, and the seconds that it took to make it."""
    target, constant, fixed = WAYS[way]
    graph, trace = model._traced(False, len(x) if fixed else None)
    weights = {value.name: variable.numpy() for variable, value in trace.sources.items()}
    start = time.perf_counter()
    graph = freeze(graph, weights) if constant else graph
    session = compile_graph(graph, "cpu", target=target, share=False)
    seconds = time.perf_counter() - start
    given = {**weights, graph.inputs[0].name: x}
    feeds = {name: given[name] for name in session.input_names}
    return lambda: session.call(feeds, session.output_names), seconds


def seconds_of(call: Callable[[], Any], least: float = 0.06) -> float:
    """Return the mean time of a call."""
    call()
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < least:
        call()
        count += 1
    return (time.perf_counter() - start) / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workload", action="append", choices=WORKLOADS)
    parser.add_argument("--batch", action="append", type=int)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    for name in options.workload or WORKLOADS:
        work = WORKLOADS[name]
        model = MODELS[name](nngraph, False)
        model.predict_on_batch(work.data(1)[0])
        for batch in options.batch or work.inference:
            x = work.data(batch)[0]
            ways = {way: prepared(model, x, way) for way in WAYS}
            samples: dict[str, list[float]] = {way: [] for way in ways}
            for _ in range(options.rounds):
                for way, (call, _) in ways.items():
                    samples[way].append(seconds_of(call))
            print(f"{name} ({batch})")
            for way, (_, seconds) in ways.items():
                print(f"    {way:26}{1e3 * np.median(samples[way]):10.3f}   ({seconds:.2f} s)")


if __name__ == "__main__":
    main()
