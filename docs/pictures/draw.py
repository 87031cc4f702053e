"""Draws docs/pictures/architecture.svg: the way of a model through the packages."""

from __future__ import annotations

from html import escape
from pathlib import Path

ROWS = [
    ("nngraph.layers · models · losses · optimizers", "a call on arrays runs, one on symbols is recorded", "#e8f0fe"),
    ("trace", "forward, or a whole training step, becomes one graph; variables are inputs and outputs", "#ffffff"),
    ("nngraph.ir.Graph", "typed SSA in ONNX's vocabulary, plus composite operators (one idea, one node)", "#fef7e0"),
    ("passes", "gradients · fold · cse · simplify · layout · fuse · lower[portable | cpu | cuda]", "#e6f4ea"),
    ("nngraph.serde", "the one place that speaks protobuf", "#ffffff"),
]
ENDS = [
    ("nngraph.runtime", "InferenceSession + IOBinding; state stays on the device", "#fce8e6"),
    ("exporters", "plain .onnx for any runtime", "#f3e8fd"),
]
WIDTH, LEFT, BOX, GAP = 860, 30, 56, 26


def box(x: int, y: int, width: int, title: str, text: str, fill: str) -> str:
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{BOX}" rx="8" fill="{fill}" stroke="#5f6368"/>'
        f'<text x="{x + width // 2}" y="{y + 24}" class="title">{escape(title)}</text>'
        f'<text x="{x + width // 2}" y="{y + 43}" class="text">{escape(text)}</text>'
    )


def arrow(x: int, y: int, to_x: int, to_y: int) -> str:
    ends = f'x1="{x}" y1="{y}" x2="{to_x}" y2="{to_y - 2}"'
    return f'<line {ends} stroke="#5f6368" stroke-width="1.5" marker-end="url(#tip)"/>'


def draw() -> str:
    parts, y, inner = [], 20, WIDTH - 2 * LEFT
    for k, (title, text, fill) in enumerate(ROWS):
        parts.append(box(LEFT, y, inner, title, text, fill))
        if k + 1 < len(ROWS):
            parts.append(arrow(WIDTH // 2, y + BOX, WIDTH // 2, y + BOX + GAP))
        y += BOX + GAP
    half = (inner - GAP) // 2
    for k, (title, text, fill) in enumerate(ENDS):
        x = LEFT + k * (half + GAP)
        parts.append(arrow(x + half // 2, y - GAP, x + half // 2, y))
        parts.append(box(x, y, half, title, text, fill))
    height = y + BOX + 20
    style = (
        "<style>text{font-family:Helvetica,Arial,sans-serif;text-anchor:middle;fill:#202124}"
        ".title{font-size:15px;font-weight:bold}.text{font-size:12.5px}</style>"
    )
    tip = (
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z" fill="#5f6368"/></marker></defs>'
    )
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">\n'
        f'{style}{tip}<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


if __name__ == "__main__":
    Path(__file__).with_name("architecture.svg").write_text(draw())
