"""A picture of training steps: one panel of bars for each workload, drawn as SVG without any library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from benchmarks.peers import OURS, PEERS

__all__ = ["bars", "ticks"]

_ACROSS = 3
_LABEL, _BARS, _VALUE, _GAP = 176, 150, 62, 26
_BAR, _STEP, _TITLE, _AXIS = 13, 18, 30, 34
_MARGIN, _HEAD = 20, 62
_OURS, _BEST, _OTHER, _INK, _FAINT = "#1f6feb", "#57606a", "#c3cad1", "#1f2328", "#d8dee4"


def ticks(highest: float, about: int = 3) -> list[float]:
    """Return round numbers from 0 up to at most ``highest``.

    >>> ticks(7.3)
    [0.0, 2.0, 4.0, 6.0]
    """
    if highest <= 0:
        return [0.0]
    raw = highest / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.75)
    return [round(k * step, 10) for k in range(int(highest / step + 1e-9) + 1)]


def _text(
    x: float, y: float, text: str, size: int = 11, fill: str = _INK, anchor: str = "start", bold: bool = False
) -> str:
    weight = ' font-weight="600"' if bold else ""
    where = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {where} font-size="{size}" fill="{fill}"{weight}>{escape(text)}</text>'


def _value(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _panel(title: str, row: Mapping[str, Any], names: Sequence[str], left: float, top: float) -> list[str]:
    results = row["results"]
    medians = {n: results[n]["median"] for n in names if "median" in results.get(n, {})}
    highest = max(medians.values(), default=1.0)
    others = {n: m for n, m in medians.items() if n != OURS}
    best = min(others, key=others.__getitem__) if others else None
    zero, height = left + _LABEL, len(names) * _STEP
    parts = [_text(left, top + 14, title, 12, bold=True)]
    for tick in ticks(highest):
        x = zero + tick / highest * _BARS
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top + _TITLE - 4}" y2="{top + _TITLE + height}" stroke="{_FAINT}"/>'
        )
        parts.append(_text(x, top + _TITLE + height + 13, _value(tick), 10, _BEST, "middle"))
    parts.append(_text(zero + _BARS + 24, top + _TITLE + height + 13, row["unit"], 10, _BEST))
    for k, name in enumerate(names):
        y = top + _TITLE + k * _STEP
        ink = _OURS if name == OURS else _INK
        parts.append(_text(zero - 6, y + 10.5, PEERS[name].title, 11, ink, "end", bold=name == OURS))
        if name not in medians:
            parts.append(_text(zero + 5, y + 10.5, "failed" if name in results else "not measured", 10, _BEST))
            continue
        width = max(medians[name] / highest * _BARS, 1.0)
        fill = _OURS if name == OURS else _BEST if name == best else _OTHER
        parts.append(f'<rect x="{zero}" y="{y}" width="{width:.1f}" height="{_BAR}" rx="1.5" fill="{fill}"/>')
        parts.append(_text(zero + width + 5, y + 10.5, _value(medians[name]), 11, ink, bold=name == OURS))
    return parts


def bars(panels: Sequence[tuple[str, Mapping[str, Any]]], where: str) -> str:
    """Return an SVG of panels ``(title, row)``, three beside each other, each with its own scale from 0."""
    width = 2 * _MARGIN + _ACROSS * (_LABEL + _BARS + _VALUE) + (_ACROSS - 1) * _GAP
    body: list[str] = []
    top = float(_MARGIN + _HEAD)
    for start in range(0, len(panels), _ACROSS):
        line = panels[start : start + _ACROSS]
        heights = []
        for k, (title, row) in enumerate(line):
            names = [name for name in PEERS if name in row["results"]]
            left = _MARGIN + k * (_LABEL + _BARS + _VALUE + _GAP)
            body += _panel(title, row, names, left, top)
            heights.append(_TITLE + len(names) * _STEP + _AXIS)
        top += max(heights)
    height = top + _MARGIN - 8
    head = [
        _text(_MARGIN, _MARGIN + 14, "One training step, milliseconds (median; shorter is better)", 16, bold=True),
        _text(_MARGIN, _MARGIN + 36, f"Blue: nngraph. Dark: the best peer. Batch in brackets. {where}.", 11, _BEST),
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:.0f}" '
            f'width="{width}" height="{height:.0f}" font-family="Helvetica, Arial, sans-serif">',
            f'<rect width="{width}" height="{height:.0f}" fill="#ffffff"/>',
            *head,
            *body,
            "</svg>\n",
        ]
    )
