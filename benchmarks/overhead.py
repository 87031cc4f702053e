"""What Python costs around the runtime: for one training step, for more variables, and for predicting one row.

    python benchmarks/overhead.py [--rounds 7] [--json]

Calls of a session and the copying of a generator's batches into the bound buffers are timed inside `fit` and `predict`;
the rest is Python. Python and copying are processor time of the calling thread, which other programs hardly lengthen;
the runtime is wall time, because it uses several threads, and over arrays it also gathers the rows. A training step's
cost is the slope between a short and a long epoch, so that what an epoch costs once does not count. Medians.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np
import onnxruntime

import nngraph
from nngraph.layers import Dense, Dropout
from nngraph.models.steps import CompiledStep

BATCH = 128
SHORT, LONG = 100, 500


@dataclass
class Meter:
    """Wall time, processor time of the calling thread and number of calls of some functions."""

    wall: float = 0.0
    thread: float = 0.0
    calls: int = 0


@contextmanager
def metered(*functions: tuple[type, str]) -> Iterator[Meter]:
    """Time every call of the named methods inside the block."""
    meter = Meter()
    originals = [(owner, name, getattr(owner, name)) for owner, name in functions]

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

    for owner, name, call in originals:
        setattr(owner, name, timed(call))
    try:
        yield meter
    finally:
        for owner, name, call in originals:
            setattr(owner, name, call)


def costs_of(call: Callable[[], Any]) -> np.ndarray:
    """Return what a call costs, as in `COSTS`."""
    session = onnxruntime.InferenceSession
    with (
        metered((session, "run"), (session, "run_with_iobinding")) as runtime,
        metered((CompiledStep, "fill")) as copying,
    ):
        start = time.thread_time()
        call()
        total = time.thread_time() - start
    python = total - runtime.thread - copying.thread
    return np.array([python * 1e6, copying.thread * 1e6, runtime.wall * 1e6, runtime.calls])


COSTS = ("python µs", "copying µs", "runtime µs", "runtime calls")


def mlp(hidden: int = 1, width: int = 128) -> Any:
    layers = [Dense(width, activation="relu") for _ in range(hidden)]
    model = nngraph.Sequential([*layers, Dropout(0.2), Dense(10, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def data(steps: int, features: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    rows = steps * BATCH
    return generator.random((rows, features), dtype="float32"), generator.integers(0, 10, rows)


def slope(call: Callable[[int], Any], rounds: int) -> dict[str, float]:
    """Return what one more step costs; ``call`` takes the number of steps."""
    call(SHORT)  # traces, compiles
    slopes = []
    for _ in range(rounds):
        few, many = costs_of(lambda: call(SHORT)), costs_of(lambda: call(LONG))
        slopes.append((many - few) / (LONG - SHORT))
    return dict(zip(COSTS, np.median(slopes, axis=0).tolist(), strict=True))


def step_costs(model: Any, features: int, rounds: int) -> dict[str, float]:
    """Return what one training step over arrays costs."""
    sizes = {steps: data(steps, features) for steps in (SHORT, LONG)}
    return slope(lambda steps: model.fit(*sizes[steps], batch_size=BATCH, verbose=0), rounds)


def generator_costs(model: Any, features: int, rounds: int) -> dict[str, float]:
    """Return what one training step over a generator costs."""
    batch = data(1, features)
    return slope(lambda steps: model.fit(repeat(batch), steps_per_epoch=steps, verbose=0), rounds)


def test_costs(model: Any, features: int, rounds: int) -> dict[str, float]:
    """Return what one test step over arrays costs."""
    sizes = {steps: data(steps, features) for steps in (SHORT, LONG)}
    return slope(lambda steps: model.evaluate(*sizes[steps], batch_size=BATCH, verbose=0), rounds)


def row_costs(ask: Callable[[], Any], rounds: int) -> dict[str, float]:
    """Return what one call costs."""
    ask()
    return dict(zip(COSTS, np.median([costs_of(ask) for _ in range(50 * rounds)], axis=0).tolist(), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()

    model, row, batch = mlp(), np.zeros((1, 784), "float32"), data(1, 784)
    report = {
        "step, MLP 784-128-10": step_costs(model, 784, options.rounds),
        "the same, a generator": generator_costs(model, 784, options.rounds),
        "test step": test_costs(model, 784, options.rounds),
        "train_on_batch": row_costs(lambda: model.train_on_batch(*batch), options.rounds),
        "predict, one row": row_costs(lambda: model.predict(row, verbose=0), options.rounds),
        "predict_on_batch, one row": row_costs(lambda: model.predict_on_batch(row), options.rounds),
        "model(x), one row": row_costs(lambda: model(row), options.rounds),
    }
    for hidden in (1, 8, 32):
        deep = mlp(hidden, width=16)
        costs = step_costs(deep, 16, options.rounds)
        report[f"step, {len(deep.trainable_variables)} variables"] = costs
    if options.json:
        print(json.dumps(report))
        return
    print(f"{'':28}", *(f"{label:>14}" for label in COSTS))
    for name, costs in report.items():
        print(f"{name:28}", *(f"{value:14.1f}" for value in costs.values()))


if __name__ == "__main__":
    main()
