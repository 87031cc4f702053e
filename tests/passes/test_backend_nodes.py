"""ONNX's own node tests: importing, every pass, every level and exporting leave outputs and gradients as they are.

A case counts when stock onnxruntime passes it on the original file. The whole matrix (every pass alone, every level,
gradients) is marked ``slow``; the quick part imports and exports every case and runs the default pipeline.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest

from nngraph.ir import Graph, OpaqueType, Value, verify
from nngraph.runtime import Session
from nngraph.schema import OPSET, infer_types, schema_of
from nngraph.serde import check_model, from_proto, to_proto
from passes import PassManager, freeze, gradients, pipeline
from passes.base import PASSES, parse

PARTS = 8
"""The cases are split into so many tests, so that several processes can share them."""

LOOSE = {"float16": (5e-3, 5e-3), "bfloat16": (5e-2, 5e-2), "float32": (1e-4, 1e-5)}
"""How far a rewritten graph may differ: relative and absolute, by dtype; everything else must be equal."""


@cache
def cases() -> list[Any]:
    """Return ONNX's node tests that have data."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # onnx overflows on purpose
        return [c for c in collect_testcases(None) if c.data_sets]


def run(model: onnx.ModelProto, inputs: list[Any]) -> list[Any]:
    """Run a model in a plain session."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, dict(zip((i.name for i in model.graph.input), inputs, strict=True)))


def same(a: Any, b: Any, tolerance: tuple[float, float] | None = None) -> bool:
    """Whether two results of a runtime agree; sequences entry by entry, within what their dtype allows by default."""
    if isinstance(a, list):
        return (
            isinstance(b, list) and len(a) == len(b) and all(same(x, y, tolerance) for x, y in zip(a, b, strict=True))
        )
    if a is None or b is None:
        return a is b
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.kind not in "fc" and a.dtype.name != "bfloat16":
        return bool(np.all(a == b))
    rtol, atol = tolerance or LOOSE.get(a.dtype.name, (1e-9, 1e-12))
    wide = np.complex128 if a.dtype.kind == "c" else np.float64
    return bool(np.allclose(a.astype(wide), b.astype(wide), rtol=rtol, atol=atol, equal_nan=True))


def usable(part: int) -> Iterator[tuple[str, onnx.ModelProto, list[tuple[list[Any], list[Any]]]]]:
    """Yield the cases of one part that the runtime passes, with inputs and the runtime's outputs."""
    for case in cases()[part::PARTS]:
        if any(o.version > OPSET for o in case.model.opset_import if not o.domain):
            continue
        found = []
        try:
            for inputs, expected in case.data_sets:
                got = run(case.model, inputs)
                tolerance = (max(case.rtol, 1e-3), max(case.atol, 1e-7))
                fits = all(same(e, g, tolerance) for e, g in zip(expected, got, strict=True))
                found.append((inputs, got) if fits else None)
        except Exception:  # no kernel, or a model that the runtime refuses: not a case for us
            continue
        if all(found):
            yield case.name, case.model, found


def compare(part: int, variants: Callable[[Graph], Iterator[tuple[str, onnx.ModelProto]]]) -> Counter[str]:
    """Import each case and run what ``variants`` makes of it; fail with the names of all that differ."""
    counts: Counter[str] = Counter()
    broken = []
    for name, model, data in usable(part):
        counts["runtime passes"] += 1
        try:
            check_model(model)
            graph = from_proto(model)
            verify(graph, infer_types)
            for variant, exported in variants(graph):
                # The file may declare another opset, for which the runtime has another kernel.
                tolerance = (1e-6, 1e-7) if variant == "imported" else None
                for inputs, expected in data:
                    if not same(expected, run(exported, inputs), tolerance):
                        broken.append(f"{name}: {variant} differs")
                counts[variant] += 1
        except Exception as error:
            broken.append(f"{name}: {type(error).__name__}: {str(error)[:300]}")
    assert not broken, "\n".join(broken)
    assert counts["imported"] == counts["runtime passes"] > 100
    return counts


@pytest.mark.parametrize("part", range(PARTS))
def test_import_pipeline_and_export_change_nothing(part: int) -> None:
    def variants(graph: Graph) -> Iterator[tuple[str, onnx.ModelProto]]:
        yield "imported", to_proto(graph)
        if PassManager(pipeline()).run(graph).changes:
            yield "level 2", to_proto(graph)

    compare(part, variants)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_every_pass_and_level_changes_nothing(part: int) -> None:
    targets = [(target, level) for target in ("portable", "cpu") for level in (1, 2, 3)]
    matrix = {f"{target} {level}": pipeline(target=target, level=level) for target, level in targets}
    matrix |= {name: parse(name) for name in PASSES}

    def variants(graph: Graph) -> Iterator[tuple[str, onnx.ModelProto]]:
        yield "imported", to_proto(graph)
        for name, passes in matrix.items():
            report = PassManager(passes).run(graph, clone=True)
            if report.changes:
                yield name, to_proto(report.graph)

    compare(part, variants)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_passes_leave_gradients_as_they_are(part: int) -> None:
    broken, differentiated = [], 0
    for name, model, data in usable(part):
        graph = from_proto(model)
        feeds = dict(zip((v.name for v in graph.inputs), data[0][0], strict=True))
        graph = freeze(graph, {v.name: feeds[v.name] for v in graph.inputs if is_setting(v)})
        wrt = [v.name for v in graph.inputs if v.dtype in FLOATS]
        of = [n for n, v in zip(graph.output_names, graph.outputs, strict=True) if v.dtype in FLOATS]
        try:
            backward = gradients(graph, of, wrt)
        except ValueError:  # no rule, for a reason that docs/op-coverage.md gives
            continue
        except Exception as error:
            broken.append(f"{name}: {type(error).__name__}: {str(error)[:300]}")
            continue
        if not wrt or not of:
            continue
        differentiated += 1
        try:
            results = [gradient_values(backward, feeds, *how) for how in LEVELS]
        except Exception as error:
            broken.append(f"{name}: {type(error).__name__}: {str(error)[:300]}")
            continue
        for how, found in zip(LEVELS, results, strict=True):
            if not same(results[0], found):
                broken.append(f"{name}: gradients at {how} differ from those without passes")
    assert not broken, "\n".join(broken)
    assert differentiated > 20


LEVELS = (("portable", 0), ("portable", 1), ("portable", 2), ("portable", 3), ("cpu", 2))
FLOATS = ("float32", "float64")


def is_setting(value: Value) -> bool:
    """Whether an input is a tensor that only says how operators work, such as the scales of Resize."""
    if isinstance(value.type, OpaqueType) or value.dtype not in FLOATS:
        return not isinstance(value.type, OpaqueType) and value.dtype != "string"
    kinds = set()
    for node, k in value.uses:
        parameters = schema_of(node.op, node.domain).inputs
        kinds.add(parameters[min(k, len(parameters) - 1)].differentiation_category.name)
    return "Differentiable" not in kinds


def gradient_values(backward: Graph, feeds: dict[str, Any], target: str, level: int) -> list[np.ndarray]:
    """Run a graph of gradients after the passes of a level."""
    graph = PassManager(pipeline(target=target, level=level)).run(backward, clone=True).graph
    session = Session(graph, "cpu", share=False)
    return list(session.run({n: feeds[n] for n in session.input_names}).values())
