"""nngraph on CUDA against PyTorch on the same GPU: eager and ``torch.compile``, with and without CUDA graphs.

    python -m benchmarks.cuda                       # training steps of all workloads in float32; kept
    python -m benchmarks.cuda --precision tf32      # everybody multiplies in TensorFloat-32; kept
    python -m benchmarks.cuda --check               # no timing: do all compute the same?
    python -m benchmarks.cuda --report              # writes results/cuda/README.md from the kept results

Workloads, weights, turns and files are those of ``python -m benchmarks``. Training data lie on the GPU for everybody.
All peers run in one interpreter's environment (``--python``, default: this one), which needs ``torch`` and
``onnxruntime-gpu``; or in those of ``--envs``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import environments, report, results
from benchmarks.peers import CUDA_PEERS
from benchmarks.runner import Effort, Runner
from benchmarks.workloads import WORKLOADS

__all__ = ["RESULTS", "devices", "main", "page", "parser"]

RESULTS = Path(__file__).resolve().parent / "results" / "cuda"
PRECISIONS = {"float32": "0", "tf32": "1"}


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.cuda", description="nngraph and PyTorch on one GPU.")
    add = made.add_argument
    add("--precision", choices=PRECISIONS, default="float32", help="what may be rounded (default: %(default)s)")
    add("--kind", action="append", choices=["training", "inference"], help="default: training")
    add("--workload", action="append", choices=sorted(WORKLOADS), metavar="NAME", help="only this one; repeatable")
    add("--peer", action="append", choices=sorted(CUDA_PEERS), metavar="NAME", help="only this one; repeatable")
    add("--quick", action="store_true", help="few short rounds; not kept")
    add("--check", action="store_true", help="compare logits and first losses of all peers instead of their speed")
    add("--report", action="store_true", help="write the page from the kept results")
    add("--record", action="store_true", help="write nngraph's table of kernels anew from the installed runtime")
    add("--python", type=Path, default=Path(sys.executable), help="interpreter of all peers (default: this one)")
    add("--envs", type=Path, help="instead, a folder with an environment for each peer")
    add("--threads", type=int, default=4, help="threads of each peer on the host (default: %(default)s)")
    add("--output", type=Path, help="write the results to this file, whatever was run")
    return made


def devices() -> list[str]:
    """Return name, driver and memory of each GPU, as NVIDIA's own program says them; empty where there is none."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    query = [program, "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True)
    return [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    options = parser().parse_args(arguments)
    if options.report:
        path = RESULTS / "README.md"
        path.write_text(page(results.load(RESULTS)), encoding="utf-8")
        print(path)
        return 0
    if options.record:
        from nngraph.runtime.kernel_table import record

        print(record())
        return 0
    found = devices()
    if not found:
        print("there is no GPU here: nvidia-smi is absent or finds none", file=sys.stderr)
        return 1
    return _run(options, found)


def _run(options: argparse.Namespace, found: list[str]) -> int:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
    runner = Runner(
        options.envs or environments.default_folder(),
        options.peer or (),
        Effort.quick() if options.quick else Effort(),
        options.threads,
        table=CUDA_PEERS,
        python=None if options.envs else options.python,
        environ={"CUDA_VISIBLE_DEVICES": visible, "NNGRAPH_CUDA_TF32": PRECISIONS[options.precision]},
    )
    runner.machine |= {"gpu": found[0], "precision": options.precision}
    print(f"{runner.date}, {found[0]}, {options.precision}", file=sys.stderr)
    workloads = list(options.workload or WORKLOADS)
    kinds = options.kind or ["training"]
    partial = options.quick or options.workload or options.peer
    kept = RESULTS / f"{runner.date[:19].replace(':', '')}-{'-'.join(sorted(kinds))}-{options.precision}.json"
    path = options.output if options.output is not None or partial else kept
    if path is not None and not options.check:
        path.parent.mkdir(parents=True, exist_ok=True)
        runner.keep = lambda: results.save(runner.document(options.quick), path)
    try:
        if options.check:
            problems = runner.check(workloads)
            print("\n".join(problems) or "all peers agree")
            return 1 if problems else 0
        for kind in kinds:
            getattr(runner, kind)(workloads)
    finally:
        runner.stop()
        runner.clean()
    for kind in kinds:
        rows = [row for row in runner.rows if row["kind"] == kind]
        print(f"\n{results.KINDS[kind]}\n{report.plain(report.table(rows, CUDA_PEERS))}")
    for name, peer in runner.found.items():
        print(f"{name}: {_versions(peer)}")
    if path is not None:
        print(f"kept in {path}")
    return 0


def _versions(peer: dict[str, Any]) -> str:
    return ", ".join(f"{k} {v}" for k, v in peer["versions"].items()) if "versions" in peer else peer["missing"]


def page(documents: Sequence[dict[str, Any]]) -> str:
    """Return the page of the kept results: for each precision and GPU the newest rows, and where they were measured."""
    lines = ["# On a GPU", "", "Written by `python -m benchmarks.cuda --report` from the files in this folder."]
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for document in documents:
        groups.setdefault((document["machine"]["gpu"], document["machine"]["precision"]), []).append(document)
    for (gpu, precision), group in groups.items():
        found = results.newest_rows(group)
        for kind in dict.fromkeys(row["kind"] for row, _ in found):
            rows = [row for row, _ in found if row["kind"] == kind]
            dates = sorted({document["date"][:10] for row, document in found if row["kind"] == kind})
            lines += ["", f"## {results.KINDS[kind]}, {precision}, {gpu}, {', '.join(dates)}", ""]
            lines += [report.markdown(report.table(rows, CUDA_PEERS))]
        newest = group[-1]
        lines += [""] + [f"- {name}: {_versions(peer)}" for name, peer in newest["peers"].items()]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main())
