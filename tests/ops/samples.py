"""Samples of every registered operator, for the sweeps in this folder.

An operator that is registered in ``nngraph.registry`` (a gradient rule, a composite, a stated absence of gradients)
needs samples: ``test_completeness.py`` names those without. To add them, write a list of :func:`sample.S` under the
operator's id into the ``SAMPLES`` of a file ``samples_<family>.py`` in this folder; this module merges all such files::

    from sample import S, normal, ints

    SAMPLES = {
        "ReduceSum": [S(normal(2, 3), ints(1)), S(normal(2, 3), None, keepdims=0)],
        "nngraph::Gelu": [S(normal(4)).but(rtol=1e-5)],
    }

A sample then gives, without more ado: eager = onnx.reference = ONNX Runtime, inferred type = actual type, a text that
survives the file format, first and second derivatives against central differences in float64, and the same gradient
when sizes are names. What does not hold for an operator is switched off with ``.but(..., why="...")``.
Choose inputs inside the operator's domain and away from its kinks (:func:`sample.apart`, :func:`sample.between`).
"""

from __future__ import annotations

import importlib
from pathlib import Path

from sample import Sample, restart


def _merged() -> dict[str, list[Sample]]:
    merged: dict[str, list[Sample]] = {}
    for path in sorted(Path(__file__).parent.glob("samples_*.py")):
        restart(path.stem)
        for op_id, samples in importlib.import_module(path.stem).SAMPLES.items():
            merged.setdefault(op_id, []).extend(samples)
    return merged


SAMPLES: dict[str, list[Sample]] = _merged()

CASES: list[tuple[str, int]] = [(op_id, k) for op_id, samples in sorted(SAMPLES.items()) for k in range(len(samples))]
