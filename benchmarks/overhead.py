"""What Python costs around the runtime: for one training step, for more variables, and for predicting one row.

    python benchmarks/overhead.py [--rounds 7] [--json]

Every call of a session is timed inside `fit` and `predict`; the rest is Python. Python's share is processor time of the
calling thread, which other programs do not lengthen; the runtime's is wall time, because it uses several threads. A
training step's cost is the slope between a short and a long epoch, so that what an epoch costs once does not count.
Medians over rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime

import nngraph
from nngraph.layers import Dense, Dropout

BATCH = 128
SHORT, LONG = 100, 500


@dataclass
class Meter:
    """What happens inside the runtime: wall time, processor time of the calling thread, number of calls."""

    wall: float = 0.0
    thread: float = 0.0
    calls: int = 0


@contextmanager
def metered() -> Iterator[Meter]:
    """Time every call of a session inside the block."""
    meter = Meter()
    session = onnxruntime.InferenceSession
    originals = {name: getattr(session, name) for name in ("run", "run_with_iobinding")}

    def timed(call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            wall, thread = time.perf_counter(), time.thread_time()
            try:
                return call(*args, **kwargs)
            finally:
                meter.wall += time.perf_counter() - wall
                meter.thread += time.thread_time() - thread
                meter.calls += 1

        return run

    for name, call in originals.items():
        setattr(session, name, timed(call))
    try:
        yield meter
    finally:
        for name, call in originals.items():
            setattr(session, name, call)


def outside(call: Callable[[], Any]) -> tuple[float, float, int]:
    """Return the seconds of a call outside and inside the runtime, and how often it called the runtime."""
    with metered() as meter:
        start = time.thread_time()
        call()
        total = time.thread_time() - start
    return total - meter.thread, meter.wall, meter.calls


def mlp(hidden: int = 1, width: int = 128) -> Any:
    layers = [Dense(width, activation="relu") for _ in range(hidden)]
    model = nngraph.Sequential([*layers, Dropout(0.2), Dense(10, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def data(steps: int, features: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    rows = steps * BATCH
    return generator.random((rows, features), dtype="float32"), generator.integers(0, 10, rows)


def step_costs(model: Any, features: int, rounds: int) -> dict[str, float]:
    """Return microseconds of a training step outside and inside the runtime, and the runtime's calls a step."""
    short, long = data(SHORT, features), data(LONG, features)
    model.fit(*short, batch_size=BATCH, verbose=0)  # traces, compiles
    slopes = []
    for _ in range(rounds):
        few = outside(lambda: model.fit(*short, batch_size=BATCH, verbose=0))
        many = outside(lambda: model.fit(*long, batch_size=BATCH, verbose=0))
        slopes.append([(b - a) / (LONG - SHORT) for a, b in zip(few, many, strict=True)])
    python, runtime, calls = (statistics.median(column) for column in zip(*slopes, strict=True))
    return {"python_us": python * 1e6, "runtime_us": runtime * 1e6, "calls": calls}


def predict_costs(model: Any, features: int, rounds: int) -> dict[str, float]:
    """Return microseconds of predicting one row outside and inside the runtime, by three ways of asking."""
    row = np.zeros((1, features), "float32")
    ways = {
        "predict": lambda: model.predict(row, verbose=0),
        "predict_on_batch": lambda: model.predict_on_batch(row),
        "model(x)": lambda: model(row),
    }
    costs = {}
    for name, ask in ways.items():
        ask()
        measured = [outside(ask) for _ in range(50 * rounds)]
        costs[name] = statistics.median(python for python, _, _ in measured) * 1e6
        costs[f"{name}, runtime"] = statistics.median(runtime for _, runtime, _ in measured) * 1e6
    return costs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()

    model = mlp()
    report: dict[str, Any] = {"step, MLP 784-128-10": step_costs(model, 784, options.rounds)}
    report["one row, MLP 784-128-10"] = predict_costs(model, 784, options.rounds)
    for hidden in (1, 8, 32):
        deep = mlp(hidden, width=16)
        costs = step_costs(deep, 16, options.rounds)
        report[f"step, {len(deep.trainable_variables)} variables"] = costs
    if options.json:
        print(json.dumps(report))
        return
    for name, costs in report.items():
        print(name)
        for label, value in costs.items():
            print(f"    {label:28} {value:8.1f}")


if __name__ == "__main__":
    main()
