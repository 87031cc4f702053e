"""Measured rows, the files they are kept in, and what a row says.

A file is one JSON object::

    {"schema": 1, "date": "2026-01-31T12:00:00+00:00", "quick": false, "threads": 2, "machine": {...},
     "peers": {"torch": {"versions": {...}} or {"missing": "why"}},
     "rows": [{"kind": "training", "workload": "mlp", "batch": 128, "unit": "ms",
               "results": {"torch": {"median": 1.0, "minimum": 0.9, "samples": [...]} or {"error": "why"}}}]}
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers import OURS, OWN

__all__ = ["KINDS", "best_peer", "load", "newest_rows", "ratio", "row", "save", "summary", "validate"]

SCHEMA = 1
KINDS = {
    "training": "Training step",
    "inference": "Inference",
    "predict": "`predict` of one row",
    "first step": "First training step: build, trace, compile, run",
    "epoch": "One epoch of 60,000 × 784 through `fit`",
    "memory": "Peak resident memory of training",
    "import": "Import, as a whole process",
    "size": "Installed size",
}
_FIELDS = {"schema": int, "date": str, "quick": bool, "threads": int, "machine": dict, "peers": dict, "rows": list}
_ROW_FIELDS = {"kind": str, "workload": str, "batch": int, "unit": str, "results": dict}


def summary(samples: Sequence[float]) -> dict[str, Any]:
    """Return median and minimum with the samples.

    Raises:
        ValueError: there is no sample.
    """
    if not samples:
        raise ValueError("a summary needs at least one sample")
    rounded = [float(f"{value:.4g}") for value in samples]
    return {"median": statistics.median(rounded), "minimum": min(rounded), "samples": rounded}


def row(
    kind: str,
    workload: str,
    batch: int,
    unit: str,
    samples: Mapping[str, Sequence[float]],
    failures: Mapping[str, str],
) -> dict[str, Any]:
    """Return one row of results."""
    results: dict[str, Any] = {name: summary(values) for name, values in samples.items() if values}
    results.update({name: {"error": message} for name, message in failures.items()})
    return {"kind": kind, "workload": workload, "batch": batch, "unit": unit, "results": results}


def best_peer(row: Mapping[str, Any], names: Iterable[str] | None = None) -> str | None:
    """Return the peer with the smallest median, of ``names`` or of all but nngraph."""
    medians = {n: r["median"] for n, r in row["results"].items() if "median" in r and n not in OWN}
    if names is not None:
        medians = {n: m for n, m in medians.items() if n in set(names)}
    return min(medians, key=medians.__getitem__) if medians else None


def ratio(row: Mapping[str, Any], peer: str | None = None) -> float | None:
    """Return nngraph's median as a share of a peer's (the best one's): below 1 nngraph is ahead."""
    peer = peer or best_peer(row)
    ours = row["results"].get(OURS, {}).get("median")
    if peer is None or ours is None:
        return None
    return float(ours / row["results"][peer]["median"])


def validate(document: Any) -> None:
    """Check a document.

    Raises:
        ValueError: it is not as this module's docstring says; the message names the place.
    """
    _require(document, _FIELDS, "the document")
    if document["schema"] != SCHEMA:
        raise ValueError(f"schema {document['schema']} is unknown; this program reads {SCHEMA}")
    for number, entry in enumerate(document["rows"]):
        place = f"row {number}"
        _require(entry, _ROW_FIELDS, place)
        if entry["kind"] not in KINDS:
            raise ValueError(f"{place}: kind {entry['kind']!r} is none of {sorted(KINDS)}")
        for name, result in entry["results"].items():
            if name not in document["peers"]:
                raise ValueError(f"{place}: {name!r} is not among the peers")
            if "error" in result:
                continue
            samples = result.get("samples")
            if not samples or not all(isinstance(v, int | float) and v >= 0 for v in samples):
                raise ValueError(f"{place}, {name}: samples must be numbers, got {samples!r}")
            if result["minimum"] != min(samples) or result["median"] != statistics.median(samples):
                raise ValueError(f"{place}, {name}: median and minimum do not follow from the samples")


def _require(value: Any, fields: Mapping[str, type], place: str) -> None:
    if not isinstance(value, dict):
        raise ValueError(f"{place} must be an object, got {type(value).__name__}")
    for name, kind in fields.items():
        if not isinstance(value.get(name), kind) or (kind is int and isinstance(value[name], bool)):
            raise ValueError(f"{place}: {name!r} must be of type {kind.__name__}, got {value.get(name)!r}")


def save(document: dict[str, Any], path: Path) -> None:
    """Check and write a document."""
    validate(document)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")


def load(folder: Path) -> list[dict[str, Any]]:
    """Return the checked documents of a folder, oldest first."""
    documents = []
    for path in sorted(folder.glob("*.json")):
        document = json.loads(path.read_text())
        try:
            validate(document)
        except ValueError as error:
            raise ValueError(f"{path.name}: {error}") from error
        documents.append(document)
    return sorted(documents, key=lambda d: d["date"])


def newest_rows(documents: Iterable[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return each row once, from the newest document that has it (quick ones do not count), with its document.

    A row is never put together from several documents: its figures were measured side by side.
    """
    found: dict[tuple[str, str, int], tuple[dict[str, Any], dict[str, Any]]] = {}
    for document in documents:
        if not document["quick"]:
            for entry in document["rows"]:
                found[entry["kind"], entry["workload"], entry["batch"]] = (entry, document)
    kinds = list(KINDS)
    return sorted(found.values(), key=lambda pair: kinds.index(pair[0]["kind"]))
