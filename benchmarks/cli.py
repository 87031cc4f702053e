"""The command line of the comparison."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import environments, report, results
from benchmarks.peers import OURS, PEERS
from benchmarks.runner import Effort, Runner
from benchmarks.workloads import WORKLOADS

__all__ = ["QUICK_PEERS", "main", "parser"]

RESULTS = Path(__file__).resolve().parent / "results"
# Those that are soon ready and that are the best peer of one row or another.
QUICK_PEERS = ("torch", "torch-nhwc", "jax", "keras-tensorflow-onednn", "onnxruntime")


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    made = argparse.ArgumentParser(prog="python -m benchmarks", description="nngraph and its peers, side by side.")
    add = made.add_argument
    add("--kind", action="append", choices=["training", "inference", "costs", "all"], help="default: training")
    add("--workload", action="append", choices=sorted(WORKLOADS), metavar="NAME", help="only this one; repeatable")
    add("--peer", action="append", choices=sorted(PEERS), metavar="NAME", help="only this one; repeatable")
    add("--quick", action="store_true", help=f"few short rounds, only {', '.join((OURS, *QUICK_PEERS))}; not kept")
    add("--list", action="store_true", help="list workloads and peers, and which are installed")
    add("--setup", action="store_true", help="make the peers' environments, or bring them up to date")
    add("--check", action="store_true", help="compare logits and first losses of all peers instead of their speed")
    add("--warm", action="store_true", help="only compile, so that the next run finds its caches filled")
    add("--report", action="store_true", help="write page, picture and the README's table from the kept results")
    add(
        "--envs", type=Path, default=environments.default_folder(), help="where environments lie (default: %(default)s)"
    )
    add("--threads", type=int, default=2, help="threads of each peer (default: %(default)s)")
    add(
        "--cpu",
        action="store_true",
        help="processor time of one thread, for a busy machine; not kept",
    )
    add("--output", type=Path, help="write the results to this file, whatever was run")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    options = parser().parse_args(arguments)
    if options.list:
        print(_listing(options.envs))
        return 0
    if options.setup:
        return _setup(options.peer or list(PEERS), options.envs)
    if options.report:
        readme = environments.ROOT / "README.md"
        marked = report.README_START in readme.read_text()
        for path in report.write_report(RESULTS, readme if marked else None):
            print(path)
        return 0
    return _run(options)


def _listing(folder: Path) -> str:
    lines = ["Workloads"]
    lines += [f"  {w.name:12} {w.title}; training {w.batch}, inference {w.inference}" for w in WORKLOADS.values()]
    lines.append("Peers")
    for peer in PEERS.values():
        there = environments.python_of(peer.environment, folder) is not None
        lines.append(f"  {peer.name:24} {peer.title:30} {'' if there else 'not '}installed")
    return "\n".join(lines)


def _setup(names: Sequence[str], folder: Path) -> int:
    wanted = dict.fromkeys(PEERS[name].environment for name in (OURS, *names))
    failed = 0
    for environment in wanted:
        print(f"{environment} ... ", end="", flush=True)
        problem = environments.create(environment, folder)
        print("ready" if problem is None else f"failed:\n{problem}")
        failed += problem is not None
    return 1 if failed == len(wanted) else 0


def _run(options: argparse.Namespace) -> int:
    names = list(options.peer or (QUICK_PEERS if options.quick and not options.check else ()))
    effort = Effort.none() if options.warm else Effort.quick() if options.quick else Effort()
    runner = Runner(options.envs, names, effort, 1 if options.cpu else options.threads, options.cpu)
    workloads = list(options.workload or WORKLOADS)
    load = runner.machine["load"]
    if load > 0.5 and not (options.check or options.warm or options.cpu):
        print(f"warning: this machine is busy (load {load}); the figures will be noise", file=sys.stderr)
    kinds = set(options.kind or ["training"])
    kinds = {"training", "inference", "costs"} if "all" in kinds else kinds
    path = _output(options, runner.date, kinds)
    if path is not None and not (options.check or options.warm):
        runner.keep = lambda: results.save(runner.document(options.quick), path)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if options.check:
            problems = runner.check(workloads)
            print("\n".join(problems) or "all peers agree")
            return 1 if problems else 0
        if "training" in kinds:
            runner.training(workloads)
        if "inference" in kinds:
            runner.inference(workloads)
        if "costs" in kinds:
            runner.costs()
    except KeyboardInterrupt:
        print("interrupted; what is measured is shown", file=sys.stderr)
    finally:
        runner.stop()
        runner.clean()
    if options.warm or not runner.rows:
        return 0 if options.warm else 1
    for kind, title in results.KINDS.items():
        rows = [row for row in runner.rows if row["kind"] == kind]
        if rows:
            print(f"\n{title}\n{report.plain(report.table(rows))}")
    if path is not None:
        print(f"\nkept in {path}; python -m benchmarks --report writes the page, the picture and the README's table")
    return 0


def _output(options: argparse.Namespace, date: str, kinds: set[str]) -> Path | None:
    """Return the file of the results; None where they are not kept."""
    if options.output is not None or options.quick or options.cpu or options.workload or options.peer:
        return options.output
    return RESULTS / f"{date[:19].replace(':', '')}-{'-'.join(sorted(kinds))}.json"
