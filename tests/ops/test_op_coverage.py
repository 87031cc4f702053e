"""The published table of gradients says what the registry has, and keeps within its bars."""

from __future__ import annotations

import pytest
from coverage_table import PATH, parsed, rows, summary
from peers import ONNX_AD, ORT_TRAINING
from samples import SAMPLES

REMEDY = "run: python tests/ops/coverage_table.py"
WRITTEN = parsed(PATH.read_text(encoding="utf-8"))
STANDARD, OWN = rows()


def test_the_table_is_of_these_operators() -> None:
    assert list(WRITTEN) == [row.op for row in (*STANDARD, *OWN)], REMEDY


def test_the_counts_are_right() -> None:
    assert PATH.read_text(encoding="utf-8").startswith("\n".join(summary(STANDARD, OWN))), REMEDY


@pytest.mark.parametrize("row", [*STANDARD, *OWN], ids=lambda row: row.op)
def test_a_row_says_what_there_is(row) -> None:
    written, error = WRITTEN[row.op]
    assert written == row, REMEDY
    assert row.how != "missing", f"{row.op} needs a gradient rule or a reason"
    if row.order != "–":
        bar = max(s.rtol for s in SAMPLES[row.op] if s.by)
        assert float(error) <= bar
        assert bar <= 1e-5 or row.op in APPROXIMATIONS


APPROXIMATIONS = {"nngraph::ErfInv"}
"""Composites whose value is an approximation: its derivative is that of the function, not of the approximation."""


@pytest.mark.parametrize("op", sorted(ORT_TRAINING | ONNX_AD))
def test_whatever_peers_differentiate_is_differentiated(op: str) -> None:
    assert WRITTEN[op][0].order != "–"
