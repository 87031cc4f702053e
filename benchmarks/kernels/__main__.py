"""Times ways to write kernels: ``python -m benchmarks.kernels [--quick] [--only TEXT] [--output FILE]``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.kernels import attention, building, convolution, depthwise, others
from benchmarks.kernels.building import Case
from benchmarks.results import summary
from benchmarks.schedule import interleave
from benchmarks.worker import steps_for

__all__ = ["disagreements", "main", "measure"]


def all_cases(block: int) -> list[Case]:
    """Return every case that this machine can run."""
    found = [case for shape in convolution.SHAPES for case in convolution.cases(shape, block)]
    found += [case for shape in depthwise.SHAPES for case in depthwise.cases(shape, block)]
    return [*found, *attention.cases(), *others.cases(block)]


def disagreements(cases: Sequence[Case], results: dict[str, list[np.ndarray]]) -> list[str]:
    """Return the names of cases whose result is not that of the first case of the group."""
    named = {case.name: case for case in cases if case.canonical is not None and case.name in results}
    values = {name: case.canonical(results[name]) for name, case in named.items() if case.canonical is not None}
    first = next(iter(values.values()), np.zeros(0))
    scale = float(np.abs(first).max(initial=1e-30))
    return [
        name
        for name, value in values.items()
        if value.size != first.size or np.abs(value.reshape(-1) - first.reshape(-1)).max() > 2e-3 * scale
    ]


def measure(
    cases: Sequence[Case], threads: int, rounds: int, target: float, device: str = "cpu"
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return one row for each case of a group, timed in turns, and the names of those that compute something else."""
    runs, first, failed = {}, {}, {}
    for case in cases:
        try:
            runs[case.name], first[case.name] = building.runner(case, threads, device)
        except Exception as error:  # an operator that this build of the runtime lacks
            failed[case.name] = str(error)[:200]
    counts = {name: steps_for(run(1), target, 1, 1000) for name, run in runs.items()}
    measures = {name: (lambda run=run, n=counts[name]: run(n) * 1e3) for name, run in runs.items()}
    samples, broken = interleave(measures, rounds, float("inf"), settle=0.0)
    rows = []
    for case in cases:
        row: dict[str, Any] = {"group": case.group, "name": case.name}
        if samples.get(case.name):
            row.update(summary(samples[case.name]))
            if case.flops:
                row["gflops"] = float(f"{case.flops / row['minimum'] / 1e6:.4g}")
        else:
            row["error"] = {**failed, **broken}.get(case.name, "not measured")
        rows.append(row)
    return rows, disagreements(cases, first)


def line(row: dict[str, Any]) -> str:
    """Return a row as text."""
    if "error" in row:
        return f"{row['name']:38} {row['error']}"
    rate = f"{row['gflops']:9.0f} GF/s" if "gflops" in row else ""
    return f"{row['name']:38} {row['median']:9.3f} {row['minimum']:9.3f}{rate}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kernels", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few short rounds")
    parser.add_argument("--only", default="", metavar="TEXT", help="groups whose name holds this text")
    parser.add_argument("--threads", type=int, default=2, help="threads of the runtime (default: %(default)s)")
    parser.add_argument("--device", choices=building.PROVIDERS, default="cpu", help="where (default: %(default)s)")
    parser.add_argument("--output", type=Path, help="write the rows as JSON")
    options = parser.parse_args(arguments)

    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    rounds, target = (3, 0.02) if options.quick else (9, 0.1)
    block = building.block_size() if options.device == "cpu" else 0
    print(f"channels in a block of the runtime's blocked layout: {block or 'none'}")
    print(f"{'':38} {'median':>9} {'min, ms':>9}")
    chosen = [case for case in all_cases(block) if options.only.lower() in case.group.lower()]
    rows, wrong = [], []
    for group, members in groupby(chosen, key=lambda case: case.group):
        cases = list(members)
        found, differing = measure(cases, options.threads, rounds, target, options.device)
        rows += found
        wrong += [f"{group}: {name}" for name in differing]
        if len(cases) > 1:
            print(f"\n{group}")
        print("\n".join(map(line, found)), flush=True)
    if options.output is not None:
        import onnxruntime

        about: dict[str, Any] = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "device": options.device,
            "threads": options.threads,
            "block": block,
        }
        versions = {"onnxruntime": onnxruntime.__version__, "numpy": np.__version__}
        document = {**about, "machine": machine.describe(), "versions": versions, "rows": rows}
        options.output.write_text(json.dumps(document, indent=1) + "\n")
    for text in wrong:
        print(f"computes something else than the first of its group: {text}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
