"""Tables from results: for the terminal, for the results page, and for the README."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import picture
from benchmarks.peers import OURS, PEERS, Peer
from benchmarks.results import KINDS, best_peer, load, newest_rows, ratio
from benchmarks.workloads import COST_WORKLOADS, WORKLOADS

__all__ = [
    "README_END",
    "README_START",
    "page",
    "readme_table",
    "replace_between",
    "row_title",
    "table",
    "write_report",
]

README_START, README_END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"
Row = Mapping[str, Any]

# The README's columns: who is the best of these?
_GROUPS = {
    "torch": ("torch", "torch-nhwc"),
    "torch.compile": ("torch-compile", "torch-compile-nhwc"),
    "JAX": ("jax",),
    "Keras on JAX": ("keras-jax",),
    "Keras on torch": ("keras-torch",),
    "Keras on TensorFlow": ("keras-tensorflow", "keras-tensorflow-onednn"),
}


def number(value: float) -> str:
    """Return three significant digits, without an exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= 0.01 else f"{value:.4f}"


def row_title(row: Row) -> str:
    """Return what a row is about."""
    works = {**WORKLOADS, **COST_WORKLOADS}
    if not row["workload"]:
        return KINDS[row["kind"]]
    title = works[row["workload"]].title if row["workload"] in works else row["workload"]
    return title if row["kind"] in ("epoch", "predict") else f"{title} ({row['batch']})"


def _cell(result: Mapping[str, Any] | None, best: bool) -> str:
    if result is None:
        return ""
    if "error" in result:
        return "failed"
    median, minimum = number(result["median"]), number(result["minimum"])
    text = median if len(result["samples"]) == 1 else f"{median} ({minimum})"
    return f"**{text}**" if best else text


def _columns(rows: Iterable[Row], peers: Mapping[str, Peer]) -> list[str]:
    present = {name for row in rows for name in row["results"]}
    return [name for name in peers if name in present]


def _ratio_cell(row: Row) -> str:
    peer, value = best_peer(row), ratio(row)
    return "" if peer is None or value is None else f"{value:.2f}"


def table(rows: Sequence[Row], peers: Mapping[str, Peer] = PEERS) -> list[list[str]]:
    """Return header and lines: medians with minima in brackets, and nngraph's share of the best peer's median."""
    columns = _columns(rows, peers)
    units = {row["unit"] for row in rows}
    unit = f", {units.pop()}" if len(units) == 1 else ""
    lines = [[f"median (minimum){unit}", *(peers[name].title for name in columns), "best peer", "ratio"]]
    for row in rows:
        medians = {n: r["median"] for n, r in row["results"].items() if "median" in r}
        fastest = min(medians, key=medians.__getitem__) if medians else None
        cells = [_cell(row["results"].get(name), name == fastest) for name in columns]
        best = best_peer(row)
        lines.append([row_title(row), *cells, peers[best].title if best else "", _ratio_cell(row)])
    return lines


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; all columns but the first are aligned to the right."""
    header, *body = (f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([header, "|---" + "|---:" * (len(lines[0]) - 1) + "|", *body])


def plain(lines: Sequence[Sequence[str]]) -> str:
    """Return a table for the terminal."""
    widths = [max(len(line[k].replace("*", "")) for line in lines) for k in range(len(lines[0]))]
    rows = []
    for line in lines:
        first, *rest = (cell.replace("*", "") for cell in line)
        rows.append("  ".join([first.ljust(widths[0]), *(c.rjust(w) for c, w in zip(rest, widths[1:], strict=True))]))
    return "\n".join(rows)


def _dates(documents: Iterable[Mapping[str, Any]]) -> str:
    """Return when some documents were measured, each time once."""
    return ", ".join(sorted({document["date"][:16].replace("T", " ") for document in documents})) + " UTC"


def _where(*documents: Mapping[str, Any]) -> str:
    """Return the machine of the newest of some documents, and when all of them were measured."""
    newest = max(documents, key=lambda document: document["date"])
    machine = newest["machine"]
    flags = ", ".join(machine["flags"])
    return (
        f"{machine['processor']} ({machine['cores']} cores, {flags}; {machine['memory_gb']:g} GB), "
        f"{machine['system']}, {newest['threads']} threads for each peer, {_dates(documents)}"
    )


def _versions(document: Mapping[str, Any]) -> str:
    lines = []
    for name in PEERS:
        about = document["peers"].get(name, {})
        if "versions" in about:
            text = ", ".join(f"{package} {version}" for package, version in about["versions"].items())
            lines.append(f"- {PEERS[name].title}: {text}")
        elif "missing" in about:
            lines.append(f"- {PEERS[name].title}: left out ({about['missing']})")
    return "\n".join(lines)


def page(pairs: Sequence[tuple[Row, Mapping[str, Any]]], notes: str = "") -> str:
    """Return the results page of rows with their documents, and what there is to say about them."""
    parts = [
        "# Results",
        "Written by `python -m benchmarks --report` from the files in this folder; [how it is measured](../README.md). "
        "Each row was measured side by side in one run. Smaller is better everywhere; *ratio* is nngraph's median as a "
        "share of the best peer's: below 1, nngraph is ahead.",
    ]
    if any(row["kind"] == "training" for row, _ in pairs):
        parts.append("![Training steps](training.svg)")
    documents: dict[str, Mapping[str, Any]] = {}
    for kind, title in KINDS.items():
        chosen = [(row, document) for row, document in pairs if row["kind"] == kind]
        if not chosen:
            continue
        documents.update({document["date"]: document for _, document in chosen})
        dates = _dates(document for _, document in chosen)
        parts += [f"## {title}", markdown(table([row for row, _ in chosen])), f"Measured {dates}."]
        failures = [
            f"- {row_title(row)}, {PEERS[name].title}: {result['error']}"
            for row, _ in chosen
            for name, result in row["results"].items()
            if "error" in result
        ]
        if failures:
            parts.append("\n".join(["Failed:", "", *failures]))
    if notes:
        parts.append(notes.strip())
    parts.append("## Where, and with what")
    for date in sorted(documents, reverse=True):
        parts += [f"{_where(documents[date])}.", _versions(documents[date])]
    return "\n\n".join(parts) + "\n"


def readme_table(pairs: Sequence[tuple[Row, Mapping[str, Any]]]) -> str:
    """Return the short table: training steps, the better of each framework's settings.

    Raises:
        ValueError: there are no training rows.
    """
    rows = [(row, document) for row, document in pairs if row["kind"] == "training"]
    if not rows:
        raise ValueError("there are no results of training steps yet; run python -m benchmarks first")
    lines = [["One training step, ms", "nngraph", *_GROUPS, "ratio"]]
    for row, _ in rows:
        medians = {n: r["median"] for n, r in row["results"].items() if "median" in r}
        picked = [OURS if OURS in medians else None, *(best_peer(row, names) for names in _GROUPS.values())]
        fastest = min(medians.values(), default=None)
        cells = [
            ""
            if name is None
            else f"**{number(medians[name])}**"
            if medians[name] == fastest
            else number(medians[name])
            for name in picked
        ]
        lines.append([row_title(row), *cells, _ratio_cell(row)])
    return "\n\n".join(
        [
            markdown(lines),
            "Medians; a row is from one interleaved run, the batch is in brackets, *ratio* is nngraph's "
            f"share of the best peer's time. {_where(*(document for _, document in rows))}. "
            "All figures, minima and versions: [benchmarks/results](benchmarks/results/README.md).",
        ]
    )


def replace_between(text: str, start: str, end: str, middle: str) -> str:
    """Return ``text`` with what stands between two marks replaced.

    Raises:
        ValueError: a mark is missing.
    """
    if text.count(start) != 1 or text.count(end) != 1 or text.index(start) > text.index(end):
        raise ValueError(f"the text must hold {start} and, after it, {end}, each once")
    return f"{text[: text.index(start) + len(start)]}\n\n{middle}\n\n{text[text.index(end) :]}"


def write_report(folder: Path, readme: Path | None) -> list[Path]:
    """Write page and picture beside the results of a folder, and the README's table; return what was written.

    ``notes.md`` in the folder, what bounds the rows, is written by hand and becomes a part of the page.
    """
    pairs = newest_rows(load(folder))
    if not pairs:
        raise ValueError(f"no results in {folder}; run python -m benchmarks first")
    written = [folder / "README.md"]
    notes = folder / "notes.md"
    written[0].write_text(page(pairs, notes.read_text() if notes.exists() else ""))
    training = [pair for pair in pairs if pair[0]["kind"] == "training"]
    if training:
        where = _where(*(document for _, document in training))
        svg = picture.bars([(row_title(row), row) for row, _ in training], where)
        (folder / "training.svg").write_text(svg)
        written.append(folder / "training.svg")
    if readme is not None:
        text = replace_between(readme.read_text(), README_START, README_END, readme_table(pairs))
        readme.write_text(text)
        written.append(readme)
    return written
