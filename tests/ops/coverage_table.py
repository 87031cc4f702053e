"""The table of gradients, ``docs/op-coverage.md``; ``python tests/ops/coverage_table.py`` measures and writes it.

Everything but the errors follows from the registry and the samples, so that a test can compare it quickly.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from derivatives import first_error, second_errors
from onnx import defs
from onnx_ad_cases import AGREES
from sample import Sample
from samples import SAMPLES

import nngraph.ops  # noqa: F401  (fills the registry)
from nngraph.ops.vjp import rule_of, way_of
from nngraph.registry import REGISTRY, OpDef
from nngraph.schema import OPSET, schema_of

__all__ = ["PATH", "Row", "parsed", "rows", "summary", "text"]

PATH = Path(__file__).parents[2] / "docs" / "op-coverage.md"

WAYS = ("rule", "simpler operators", "function body", "zero", "refused")
HEADER = "| Operator | By ONNX | How | Differentiated by | Cases | Oracles | Order | Error |"
_FLOATS = {"tensor(float)", "tensor(double)"}
_TAGGED = defs.OpSchema.DifferentiationCategory.Differentiable


@dataclass(frozen=True)
class Row:
    """One line of the table: all of it but the error."""

    op: str
    tagged: str
    how: str
    inputs: str
    cases: str
    oracles: str
    order: str

    def line(self, error: str) -> str:
        """Return the line in Markdown."""
        cells = (f"`{self.op}`", self.tagged, self.how, self.inputs, self.cases, self.oracles, self.order, error)
        return "| " + " | ".join(cells) + " |"


def operators() -> list[str]:
    """All operators of ai.onnx at the graph's opset."""
    found = {s.name for s in defs.get_all_schemas_with_history() if s.domain == ""}
    return sorted(n for n in found if defs.has(n, OPSET, "") and not schema_of(n).deprecated)


def rows() -> tuple[list[Row], list[Row]]:
    """The rows of ai.onnx, and those of the composite operators that have gradients."""
    own = [e for e in REGISTRY.values() if e.domain and rule_of(e) is not None]
    return [_row(n) for n in operators()], [_own_row(e) for e in sorted(own, key=lambda e: e.name)]


def _row(name: str) -> Row:
    schema = schema_of(name)
    tagged = ", ".join(i.name for i in schema.inputs if i.differentiation_category == _TAGGED) or "–"
    entry = REGISTRY.get(("", name), OpDef(name))
    how = _how(entry)
    if rule_of(entry) is None:
        return Row(name, tagged, how, "–", "–", "–", "–")
    names = [i.name for i in schema.inputs]
    return Row(name, tagged, how, *_checked(name, names))


def _own_row(entry: OpDef) -> Row:
    return Row(entry.op_id, "–", _how(entry), *_checked(entry.op_id, []))


def _how(entry: OpDef) -> str:
    if rule_of(entry) is not None:
        return way_of(entry)
    if entry.no_gradient:
        return f"zero: {entry.no_gradient}"
    if entry.refusal:
        return f"refused: {entry.refusal}"
    schema = schema_of(entry.name)
    if not schema.inputs:
        return "zero: it has no input"
    constraints = {c.type_param_str: set(c.allowed_type_strs) for c in schema.type_constraints}
    if not any(_FLOATS & constraints.get(o.type_str, {o.type_str}) for o in schema.outputs):
        return "zero: its results are no real numbers"
    return "missing"


def _checked(op_id: str, names: list[str]) -> tuple[str, str, str, str, str]:
    samples = [s for s in SAMPLES.get(op_id, []) if s.by]
    oracles = "differences, J" + (", onnx-ad" if op_id in AGREES else "")
    first_only = sum(not s.second for s in samples)
    order = "2" if not first_only else "1" if first_only == len(samples) else f"2 ({len(samples) - first_only} cases)"
    return _inputs(samples, names), _cases(samples), oracles, order


def _inputs(samples: list[Sample], names: list[str]) -> str:
    by = sorted({k for s in samples if s.call is None for k in s.by})
    if not by or not names:
        return "what it captures" if any(s.call for s in samples) and names else "its tensors"
    last = len(names) - 1
    return ", ".join(dict.fromkeys(names[min(k, last)] for k in by))


def _cases(samples: list[Sample]) -> str:
    parts = [str(len(samples))]
    attributes: dict[str, list[Any]] = {}
    for sample in samples:
        for key, value in sample.attributes.items():
            attributes.setdefault(key, []).append(value)
    parts += [f"{key} {_values(values)}" for key, values in sorted(attributes.items())]
    named = sorted({s.call.__name__ for s in samples if s.call is not None and s.call.__name__.isidentifier()})
    parts += [name.replace("_", " ") for name in named if name not in ("call", "<lambda>")]
    return "; ".join(parts)


def _values(values: Iterable[Any]) -> str:
    """The values of an attribute: few plain ones as they are, others by their number."""
    plain = sorted({_plain(v) for v in values})
    return ", ".join(plain) if len(plain) <= 5 and all(len(p) <= 24 for p in plain) else f"in {len(plain)} ways"


def _plain(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype}"
    if isinstance(value, (tuple, list)):
        return " ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value).replace("|", "\\|")


# -- measuring and writing ------------------------------------------------------------------------------------------


def measured(op_id: str) -> str:
    """The worst error of an operator's samples, as the power of ten above it; 1e-08 stands for all that is below."""
    worst = 0.0
    for k, sample in enumerate(SAMPLES.get(op_id, [])):
        if sample.by:
            worst = max(worst, first_error(op_id, k), *(second_errors(op_id, k) if sample.second else ()))
    return f"{10.0 ** max(math.ceil(math.log10(max(worst, 1e-300))), -8):.0e}"


def text() -> str:
    """Measure all errors and return the file."""
    standard, own = rows()
    lines = [*summary(standard, own), "## Operators of ai.onnx", "", HEADER, _RULER]
    lines += [row.line(_error(row)) for row in standard]
    lines += ["", "## Operators of nngraph, which become several of ai.onnx", "", HEADER, _RULER]
    lines += [row.line(_error(row)) for row in own]
    return "\n".join(lines) + "\n"


_RULER = "|" + "---|" * HEADER.count(" | ") + "---|"


def _error(row: Row) -> str:
    return "–" if row.order == "–" else measured(row.op)


def summary(standard: list[Row], own: list[Row]) -> list[str]:
    """Return the lines above the table."""
    counts = {way: sum(row.how.partition(":")[0] == way for row in standard) for way in WAYS}
    tagged = [row for row in standard if row.tagged != "–"]
    answered = sum(row.how != "missing" for row in tagged)
    body = _INTRODUCTION.format(
        opset=OPSET,
        total=len(standard),
        tagged=len(tagged),
        answered=answered,
        missing=sum(row.how == "missing" for row in standard),
        own=len(own),
        cases=sum(len([s for s in SAMPLES.get(row.op, []) if s.by]) for row in (*standard, *own) if row.order != "–"),
        agrees=len(AGREES),
        **{way.replace(" ", "_"): count for way, count in counts.items()},
    )
    return [*body.splitlines(), ""]


_INTRODUCTION = """\
# Gradients of ONNX's operators

Written by `python tests/ops/coverage_table.py`; a test compares it with the registry and the samples.

Of the {total} operators of ai.onnx {opset}, **{missing} have neither a gradient nor a reason**. ONNX tags inputs of
{tagged} operators as differentiable; {answered} of them have an answer here.

| | Operators |
|---|---|
| a rule of their own | {rule} |
| differentiated through simpler operators that mean the same | {simpler_operators} |
| differentiated through the function body that ONNX gives them | {function_body} |
| the gradient is zero, or there is nothing to differentiate | {zero} |
| refused with an error that says what to do | {refused} |

{own} composite operators of nngraph have gradients too. The sweep differentiates {cases} cases.

## How to read it

- **By ONNX**: the inputs that the standard tags as differentiable. Others may be differentiable too: the offsets of
  `DeformConv`, the grid of `GridSample`, the boxes of `RoiAlign`.
- **How**: a rule, a form, ONNX's own definition, or the reason why nothing flows back.
- **Differentiated by**: the inputs by which the tests differentiate.
- **Cases**: how many calls are differentiated, with which values of which attributes.
- **Oracles**: *differences* are central differences of fourth order in random directions, in double precision; *J* says
  that the gradient's own gradient, by what arrives from above, is the derivative along a direction, so that Jᵀ and J
  agree; *onnx-ad* is an independent package that gives the same numbers ({agrees} operators).
- **Order**: 2 if the gradient's gradient was compared with central differences as well; in brackets in how many cases,
  where a case is exact for first derivatives only.
- **Error**: the worst of all these differences, relative, as the next power of ten; `1e-08` stands for all that is
  below. The bar is `1e-06`, and `1e-05` where ONNX has an operator in single precision only, or the operator has steps.
"""


def parsed(table: str) -> dict[str, tuple[Row, str]]:
    """Read a written table: from operators to their rows and errors."""
    found = {}
    for line in table.splitlines():
        if line.startswith("| `"):
            op, *cells, error = line.removeprefix("| ").removesuffix(" |").split(" | ")
            found[op.strip("`")] = (Row(op.strip("`"), *cells), error)
    return found


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
