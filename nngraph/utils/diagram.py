"""Boxes and arrows: a small directed diagram that can be written as Graphviz text or drawn as SVG."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

__all__ = ["Box", "Diagram"]

_CHARACTER, _LINE, _MARGIN, _GAP = 7.0, 18.0, 10.0, 36.0


@dataclass
class Box:
    """A box of the diagram.

    Attributes:
        key: what arrows call it.
        lines: the text, the first line in bold.
        group: the key of the frame that it stands in, or "".
    """

    key: str
    lines: list[str]
    group: str = ""

    @property
    def width(self) -> float:
        """The width in the drawing."""
        return max(map(len, self.lines)) * _CHARACTER + 2 * _MARGIN

    @property
    def height(self) -> float:
        """The height in the drawing."""
        return len(self.lines) * _LINE + _MARGIN


@dataclass
class Diagram:
    """A directed diagram.

    Attributes:
        boxes: in an order in which arrows point forward, as far as possible.
        arrows: pairs of keys.
        groups: from the key of a frame to its title.
        options: attributes of the graph for Graphviz.

    >>> diagram = Diagram([Box("a", ["first"]), Box("b", ["second"])], [("a", "b")])
    >>> print(diagram.to_string())
    digraph {
      node [shape=box, fontname="Helvetica"];
      "a" [label="first"];
      "b" [label="second"];
      "a" -> "b";
    }
    """

    boxes: list[Box] = field(default_factory=list)
    arrows: list[tuple[str, str]] = field(default_factory=list)
    groups: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)

    def to_string(self) -> str:
        """Return the diagram in the language of Graphviz."""
        lines = ["digraph {"]
        lines += [f"  {name}={_quoted(value)};" for name, value in self.options.items()]
        lines.append('  node [shape=box, fontname="Helvetica"];')
        for group in dict.fromkeys(box.group for box in self.boxes):
            indent = "    " if group else "  "
            if group:
                lines.append(f"  subgraph {_quoted('cluster_' + group)} {{")
                lines.append(f"    label={_quoted(self.groups.get(group, group))};")
            lines += [
                f"{indent}{_quoted(box.key)} [label={_quoted(chr(10).join(box.lines))}];"
                for box in self.boxes
                if box.group == group
            ]
            if group:
                lines.append("  }")
        lines += [f"  {_quoted(source)} -> {_quoted(target)};" for source, target in self.arrows]
        return "\n".join([*lines, "}"])

    def to_svg(self) -> str:
        """Return a drawing from top to bottom; frames are not drawn."""
        centres = self._layout()
        width = max((x + box.width / 2 for box, (x, _) in self._placed(centres)), default=0) + _MARGIN
        height = max((y + box.height / 2 for box, (_, y) in self._placed(centres)), default=0) + _MARGIN
        by_key = {box.key: box for box in self.boxes}
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            'font-family="Helvetica, Arial, sans-serif" font-size="12">',
            '<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="7" refY="3" orient="auto">'
            '<path d="M0,0 L8,3 L0,6 z"/></marker></defs>',
            f'<rect width="{width:.0f}" height="{height:.0f}" fill="white"/>',
        ]
        for source, target in self.arrows:
            (x1, y1), (x2, y2) = centres[source], centres[target]
            y1 += by_key[source].height / 2
            y2 -= by_key[target].height / 2
            bend = (y2 - y1) / 2
            parts.append(
                f'<path d="M{x1:.1f},{y1:.1f} C{x1:.1f},{y1 + bend:.1f} {x2:.1f},{y2 - bend:.1f} {x2:.1f},{y2:.1f}" '
                'fill="none" stroke="black" marker-end="url(#tip)"/>'
            )
        for box, (x, y) in self._placed(centres):
            left, top = x - box.width / 2, y - box.height / 2
            parts.append(
                f'<rect x="{left:.1f}" y="{top:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="4" '
                'fill="#eef3fb" stroke="black"/>'
            )
            for number, line in enumerate(box.lines):
                weight = ' font-weight="bold"' if number == 0 else ""
                baseline = top + _MARGIN / 2 + _LINE * (number + 0.75)
                parts.append(f'<text x="{x:.1f}" y="{baseline:.1f}" text-anchor="middle"{weight}>{escape(line)}</text>')
        return "\n".join([*parts, "</svg>"])

    def _placed(self, centres: dict[str, tuple[float, float]]) -> Iterable[tuple[Box, tuple[float, float]]]:
        return [(box, centres[box.key]) for box in self.boxes]

    def _layout(self) -> dict[str, tuple[float, float]]:
        """Return the centre of each box: rows by the longest way from the start, each box near its predecessors."""
        parents: dict[str, list[str]] = {box.key: [] for box in self.boxes}
        for source, target in self.arrows:
            parents[target].append(source)
        row_of: dict[str, int] = {}
        for box in self.boxes:
            # An arrow back to a box before, as shared layers have, does not push that box down.
            parents[box.key] = [parent for parent in parents[box.key] if parent in row_of]
            row_of[box.key] = 1 + max((row_of[parent] for parent in parents[box.key]), default=-1)
        rows: list[list[Box]] = [[] for _ in range(max(row_of.values(), default=-1) + 1)]
        for box in self.boxes:
            rows[row_of[box.key]].append(box)
        widest = max((sum(box.width + _GAP for box in row) for row in rows), default=0)
        centres: dict[str, tuple[float, float]] = {}
        top = _MARGIN
        for row in rows:
            row.sort(key=lambda box: _mean([centres[parent][0] for parent in parents[box.key]]))
            left = _MARGIN + (widest - sum(box.width + _GAP for box in row)) / 2 + _GAP / 2
            tallest = max(box.height for box in row)
            for box in row:
                centres[box.key] = (left + box.width / 2, top + tallest / 2)
                left += box.width + _GAP
            top += tallest + _GAP
        return centres


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
