"""Runs the rows: starts workers, prepares them, and measures them in turn."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import checking, environments, machine, results
from benchmarks.clock import CLOCK
from benchmarks.peers import OURS, OWN, PEERS, Peer, select
from benchmarks.processes import Failure, Process, compile_caches, environment_of
from benchmarks.schedule import interleave
from benchmarks.workloads import COST_WORKLOADS, WORKLOADS

__all__ = ["Effort", "Runner"]


_LARGE = 8
"""How many times its usual batch a workload gets where its activations shall be most of the memory."""


@dataclass(frozen=True)
class Effort:
    """How much time the rows get.

    Attributes:
        rounds: the most rounds of a row.
        budget: seconds after which a row ends, once it has ``least_rounds``.
        round_seconds: how long one peer's turn lasts at least.
        least_steps: the fewest training steps of a turn.
        least_rounds: the fewest rounds of a row.
        repeats: how often what needs a fresh process is measured.
    """

    rounds: int = 11
    budget: float = 24.0
    round_seconds: float = 0.25
    least_steps: int = 2
    least_rounds: int = 4
    repeats: int = 2

    @classmethod
    def none(cls) -> Effort:
        """Return what only compiles."""
        return cls(rounds=0, budget=0.0, round_seconds=0.0, least_steps=1, least_rounds=0)

    @classmethod
    def quick(cls) -> Effort:
        """Return what suffices for a first look."""
        return cls(rounds=5, budget=3.0, round_seconds=0.1, least_steps=1, least_rounds=2, repeats=1)


@dataclass
class Runner:
    """Runs rows of the comparison.

    Attributes:
        folder: where the environments lie.
        names: the peers' names; all when empty. nngraph always takes part.
        effort: how much time rows get.
        threads: how many threads each peer may use.
        cpu: measure processor time instead of wall time.
        say: receives one line about what goes on.
        keep: called after each row, so that an interrupted run leaves what it has measured.
        table: the peers by name.
        python: an interpreter that can import every peer; without, each has an environment of its own.
        environ: further environment variables of all peers.
    """

    folder: Path
    names: Sequence[str] = ()
    effort: Effort = field(default_factory=Effort)
    threads: int = 2
    cpu: bool = False
    say: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True)
    keep: Callable[[], None] = lambda: None
    table: Mapping[str, Peer] = field(default_factory=lambda: PEERS)
    python: Path | None = None
    environ: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.date = datetime.now(UTC).isoformat(timespec="seconds")
        self.work = Path(tempfile.mkdtemp(prefix="nngraph-benchmarks-"))
        self.machine = {**machine.describe(), "nice": os.nice(0)}  # the load is that before the run
        self.found: dict[str, Any] = {}
        self.rows: list[dict[str, Any]] = []
        self._processes: dict[str, Process] = {}
        self._missing: dict[str, str] = {}

    # -- processes -------------------------------------------------------------------------------------------------

    def process(self, peer: Peer) -> Process:
        """Return the peer's process, started when there is none.

        Raises:
            Failure: its environment is missing or it cannot be imported.
        """
        running = self._processes.get(peer.name)
        if running is not None and running.process.poll() is None:
            return running
        if peer.name in self._missing:
            raise Failure(self._missing[peer.name])
        try:
            started = self._start(peer)
            self.found[peer.name] = {"versions": started.ask("versions")["versions"]}
        except Failure as error:
            self._missing[peer.name] = str(error)
            self.found[peer.name] = {"missing": str(error)}
            self.say(f"{peer.name} is left out: {error}")
            raise
        self._processes[peer.name] = started
        return started

    def _start(self, peer: Peer, environ: dict[str, str] | None = None) -> Process:
        python = self.python or environments.python_of(peer.environment, self.folder)
        if python is None:
            raise Failure("no environment; make it with --setup")
        log = self.work / f"{peer.name}.log"
        environ = environ or compile_caches(self.folder / "compiled")
        process = Process(
            peer, python, self.threads, log, {**environ, **self.environ, CLOCK: "cpu" if self.cpu else "wall"}
        )
        process.hello()
        return process

    def stop(self) -> None:
        """End all processes."""
        for process in self._processes.values():
            process.stop()
        self._processes = {}

    def clean(self) -> None:
        """Remove weights and logs; the logs stay when somebody failed."""
        if any("error" in result for row in self.rows for result in row["results"].values()):
            self.say(f"what the peers printed is in {self.work}")
            return
        shutil.rmtree(self.work, ignore_errors=True)

    def _reference(self, workload: str) -> str:
        """Return the file of the weights that everybody loads; the exported model lies beside it."""
        folder = self.work / workload
        path = folder / "weights.npz"
        if not path.exists():
            folder.mkdir(exist_ok=True)
            self.process(self.table[OURS]).ask("write_reference", workload=workload, folder=str(folder))
        return str(path)

    # -- rows measured in turns ------------------------------------------------------------------------------------

    def _peers(self, *, training: bool, images: bool, memory: bool = False) -> list[Peer]:
        names = [*OWN, *self.names] if self.names else []
        return select(names, training=training, images=images, memory=memory, table=self.table)

    def _turns(
        self,
        kind: str,
        workload: str,
        batch: int,
        peers: Sequence[Peer],
        request: str,
        how: dict[str, Any],
        unit: str = "ms",
        close: bool = True,
    ) -> None:
        """Prepare the peers, two at a time, then measure them in turns and add the row."""
        start = time.monotonic()
        failures: dict[str, str] = {}
        ready: dict[str, Process] = {}
        weights = self._reference(workload)

        def prepare(peer: Peer) -> None:
            try:
                process = self.process(peer)
                process.ask(request, weights=weights, **how)
                ready[peer.name] = process
            except Failure as error:
                if peer.name not in self._missing:
                    failures[peer.name] = str(error)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(prepare, peers))
        prepared = time.monotonic() - start
        effort = self.effort
        scale = {"ms": 1e3, "s": 1.0}[unit]
        measures = {
            # Bound now: the loop's variable changes.
            peer.name: (lambda p=ready[peer.name]: p.ask("round")["seconds"] * scale)
            for peer in peers
            if peer.name in ready
        }
        samples, failed = interleave(measures, effort.rounds, effort.budget, effort.least_rounds)
        for name in ready.keys() - failed.keys() if close else ():
            try:
                ready[name].ask("close")
            except Failure as error:
                self.say(f"{name}: {error}")
        self._add(results.row(kind, workload, batch, unit, samples, {**failures, **failed}), prepared)

    def _add(self, row: dict[str, Any], prepared: float = 0.0) -> None:
        self.rows.append(row)
        self.keep()
        medians = "  ".join(f"{n} {r['median']:.4g}" for n, r in row["results"].items() if "median" in r)
        errors = "".join(f"\n    {n}: {r['error']}" for n, r in row["results"].items() if "error" in r)
        rounds = max((len(r.get("samples", ())) for r in row["results"].values()), default=0)
        about = f"{row['kind']}, {row['workload']} ({row['batch']}), {row['unit']}"
        self.say(f"{about}; {prepared:.0f} s to prepare, {rounds} rounds\n    {medians}{errors}")

    def training(self, names: Iterable[str]) -> None:
        """One training step of each workload."""
        how = {"target": self.effort.round_seconds, "least": self.effort.least_steps}
        for name in names:
            work = WORKLOADS[name]
            peers = self._peers(training=True, images=work.images)
            self._turns("training", name, work.batch, peers, "prepare_training", {"workload": name, **how})

    def inference(self, names: Iterable[str]) -> None:
        """One batch of each workload, in several sizes, as numpy arrays in and out."""
        for name in names:
            work = WORKLOADS[name]
            peers = self._peers(training=False, images=work.images)
            for batch in work.inference:
                how = {"workload": name, "target": self.effort.round_seconds / 2, "batch": batch}
                last = batch == work.inference[-1]
                self._turns("inference", name, batch, peers, "prepare_inference", how, close=last)

    # -- costs around them -----------------------------------------------------------------------------------------

    def costs(self) -> None:
        """Import, first step, one epoch, predict of one row, memory, installed size."""
        self._predict()
        self._epoch()
        for name in ("mlp", "cnn"):
            self._fresh("first step", name, "s", "first_step", self.effort.repeats)
        if self.effort.repeats > 1:
            self._fresh("first step", "resnet100", "s", "first_step", 1)
        for name in ("resnet", "transformer"):
            batch = WORKLOADS[name].batch
            for more in (1, _LARGE) if self.effort.repeats > 1 else (1,):
                self._fresh("memory", name, "MB", "memory", 1, steps=3 if more == 1 else 1, batch=more * batch)
        self._imports()
        self._sizes()

    def _predict(self) -> None:
        peers = self._peers(training=False, images=False)
        how = {"workload": "mlp", "target": self.effort.round_seconds / 2}
        self._turns("predict", "mlp", 1, peers, "prepare_predict", how)

    def _epoch(self) -> None:
        peers = [p for p in self._peers(training=True, images=False) if p.name.startswith((OURS, "keras"))]
        plain = [p for p in self._peers(training=True, images=False) if p.name == "torch"]
        self._turns("epoch", "mlp", 128, [*peers, *plain], "prepare_epoch", {}, unit="s")

    def _fresh(self, kind: str, workload: str, unit: str, request: str, repeats: int, **how: Any) -> None:
        """Measure in processes of their own that have done nothing before, with empty caches of compiled code."""
        weights = self._reference(workload)
        work = {**WORKLOADS, **COST_WORKLOADS}[workload]
        self.stop()

        def once(peer: Peer) -> float:
            with tempfile.TemporaryDirectory() as cache:
                process = self._start(peer, compile_caches(Path(cache)))
                try:
                    answer = process.ask(request, workload=workload, weights=weights, **how)
                finally:
                    process.stop()
            return answer["bytes"] / 1e6 if "bytes" in answer else answer["seconds"]

        chosen = self._peers(training=True, images=False, memory=kind == "memory")
        peers = [p for p in chosen if self._is_there(p)]
        measures = {peer.name: (lambda p=peer: once(p)) for peer in peers}
        samples, failed = interleave(measures, repeats, float("inf"))
        self._add(results.row(kind, workload, how.get("batch", work.batch), unit, samples, failed))

    def _is_there(self, peer: Peer) -> bool:
        if peer.name not in self.found:
            try:
                self.process(peer)
            except Failure:
                return False
            self.stop()
        return "versions" in self.found[peer.name]

    def _imports(self) -> None:
        def once(peer: Peer, statement: str) -> float:
            python = environments.python_of(peer.environment, self.folder)
            environ = environment_of(peer, self.threads)
            start = time.perf_counter()
            subprocess.run([str(python), "-c", statement], check=True, env=environ, stderr=subprocess.DEVNULL)
            return time.perf_counter() - start

        peers = [p for p in self._peers(training=False, images=False) if p.imports and self._is_there(p)]
        measures = {p.name: (lambda p=p: once(p, p.imports)) for p in peers}
        interleave(measures, 1, 0.0)  # reads the files into the disk cache
        samples, failed = interleave(measures, 3 * self.effort.repeats, 60.0)
        self._add(results.row("import", "", 0, "s", samples, failed))

    def _sizes(self) -> None:
        peers = [p for p in self._peers(training=False, images=False) if p.imports and self._is_there(p)]
        sizes = {p.name: [environments.size_of(p.environment, self.folder) / 1e6] for p in peers}
        self._add(results.row("size", "", 0, "MB", sizes, {}))

    # -- correctness -----------------------------------------------------------------------------------------------

    def check(self, names: Iterable[str]) -> list[str]:
        """Compare logits and the first losses of all peers from equal weights; return what does not agree."""
        problems: list[str] = []
        for name in names:
            answers: dict[str, Any] = {}
            for peer in self._peers(training=False, images=WORKLOADS[name].images):
                how = {"batch": checking.CHECK_BATCH, "steps": checking.CHECK_STEPS, "train": peer.trains}
                try:
                    weights = self._reference(name)
                    answers[peer.name] = self.process(peer).ask("check", workload=name, weights=weights, **how)
                except Failure as error:
                    if peer.name not in self._missing:
                        problems.append(f"{name}, {peer.name}: {error}")
            found = checking.differences(answers, OURS) if OURS in answers else []
            problems += [f"{name}, {line}" for line in found]
            self.say(f"{name}: {len(answers)} peers, {'all agree' if not found else f'{len(found)} differences'}")
        return problems

    def document(self, quick: bool) -> dict[str, Any]:
        """Return the results so far."""
        return {
            "schema": results.SCHEMA,
            "date": self.date,
            "quick": quick or self.cpu,
            "threads": self.threads,
            "machine": self.machine,
            "peers": self.found,
            "rows": self.rows,
        }
