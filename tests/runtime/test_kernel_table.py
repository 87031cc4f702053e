"""The tables of kernels, and what is told from them: which nodes CUDA executes."""

from __future__ import annotations

from typing import Any

import pytest

from nngraph.ir import Graph, TensorType
from nngraph.ops import raw
from nngraph.ops.trace import trace_graph
from nngraph.runtime import kernel_table
from nngraph.runtime.kernel_table import ANY, Kernel, installed, recorded, table, write
from nngraph.runtime.placement import capture_obstacles, off_cuda


def traced(fn: Any, *types: TensorType) -> Graph:
    graph, _, y = trace_graph(fn, list(types))
    graph.set_outputs([y], ["y"])
    return graph


def test_the_file_says_what_the_runtime_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Writing and reading lose nothing about the dtypes that have a letter."""
    path = tmp_path / "table.txt"
    path.write_text(write({"cpu": installed("cpu")}, "x"))
    monkeypatch.setattr(kernel_table, "_FILE", path)
    again = recorded.__wrapped__()["cpu"]
    known = set(kernel_table._DTYPES)

    def accepted(kernels: list[Kernel], since: int, **given: str) -> bool:
        return any(k.serves(since) and all(d in k.dtypes.get(p, (d,)) for p, d in given.items()) for k in kernels)

    for (domain, op), kernels in installed("cpu").items():
        for kernel in kernels if domain == "" else ():
            if kernel.last < 20:
                continue
            for parameter, dtypes in kernel.dtypes.items():
                for dtype in dtypes & known:
                    others = {p: min(ds & known) for p, ds in kernel.dtypes.items() if p != parameter and ds & known}
                    assert accepted(again["", op], kernel.first, **{parameter: dtype}, **others), (op, parameter, dtype)
    for (_, op), kernels in again.items():
        for kernel in kernels:
            for parameter, dtypes in kernel.dtypes.items():
                there = set().union(*(k.dtypes[parameter] for k in installed("cpu")["", op] if k.first == kernel.first))
                assert dtypes <= there


def test_the_recorded_tables_are_whole() -> None:
    for name, found in recorded().items():
        assert name in kernel_table.PROVIDERS
        assert {("", "MatMul"), ("", "Conv"), ("", "ScatterND"), ("", "Scan")} <= found.keys()
        for kernels in found.values():
            assert all(k.last >= 20 and k.first <= k.last for k in kernels)
    current = {op for (domain, op), ks in installed("cpu").items() if domain == "" and any(k.last >= 20 for k in ks)}
    assert current - {op for _, op in recorded()["cpu"]} <= {"Swish"}, "operators newer than the recording"


def test_a_build_for_cuda_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer kills the process where TensorRT is not installed."""
    providers = ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider")
    monkeypatch.setattr(kernel_table, "available_providers", lambda: providers)
    monkeypatch.setattr(kernel_table, "installed", lambda device: pytest.fail("the runtime was asked"))
    assert table("cpu") is recorded()["cpu"]
    monkeypatch.setattr(kernel_table, "available_providers", lambda: ("CPUExecutionProvider",))
    assert table("cuda") is recorded()["cuda"]


@pytest.mark.parametrize(
    ("first", "last", "since", "serves"),
    [(13, ANY, 13, True), (13, ANY, 14, False), (13, 20, 13, True), (13, 20, 19, True), (13, 20, 21, False)],
)
def test_versions_that_a_kernel_serves(first: int, last: int, since: int, serves: bool) -> None:
    assert Kernel(first, last, {}).serves(since) == serves


F = TensorType("float32", (2, 3))
SEQUENCE, GATES, THREE = (TensorType("float32", shape) for shape in ((5, 1, 2), (1, 8, 2), (1, 6, 2)))
PLACES: dict[str, tuple[Any, list[TensorType], str | None]] = {
    "float32": (lambda x: raw.Add(x, x), [F], None),
    "shift": (
        lambda x: raw.BitShift(x, x, direction="LEFT"),
        [TensorType("uint32", (2,))],
        "no kernel for uint32",
    ),
    "dtype of an output": (lambda x: raw.Cast(x, to="string"), [F], "no kernel for float32"),
    "dtype of one input": (
        lambda x, y: raw.Where(x, y, y),
        [TensorType("bool", (2,)), TensorType("int8", (2,))],
        "int8",
    ),
    "function without a kernel": (raw.Mish, [F], None),
    "function with a kernel on the CPU": (raw.Celu, [F], "no kernel for float32"),
    "recurrent": (lambda x, w, r: raw.LSTM(x, w, r, hidden_size=2), [SEQUENCE, GATES, GATES], None),
    "clipped": (
        lambda x, w, r: raw.LSTM(x, w, r, hidden_size=2, clip=1.0),
        [SEQUENCE, GATES, GATES],
        "have parameters",
    ),
    "coupled gates": (
        lambda x, w, r: raw.LSTM(x, w, r, hidden_size=2, input_forget=1),
        [SEQUENCE, GATES, GATES],
        "coupled gates",
    ),
    "other activations": (
        lambda x, w, r: raw.LSTM(x, w, r, hidden_size=2, activations=("Sigmoid", "Relu", "Tanh")),
        [SEQUENCE, GATES, GATES],
        "not the usual ones",
    ),
    "usual activations": (
        lambda x, w, r: raw.LSTM(x, w, r, hidden_size=2, activations=("Sigmoid", "Tanh", "Tanh")),
        [SEQUENCE, GATES, GATES],
        None,
    ),
    "reset first": (lambda x, w, r: raw.GRU(x, w, r, hidden_size=2), [SEQUENCE, THREE, THREE], "reset gate"),
    "reset last": (
        lambda x, w, r: raw.GRU(x, w, r, hidden_size=2, linear_before_reset=1),
        [SEQUENCE, THREE, THREE],
        None,
    ),
    "padding by name": (
        lambda x, w: raw.ConvTranspose(x, w, auto_pad="SAME_UPPER"),
        [TensorType("float32", (1, 1, 4, 4)), TensorType("float32", (1, 1, 3, 3))],
        "left to the runtime",
    ),
    "training mode": (
        lambda x, s: raw.BatchNormalization(x, s, s, s, s, training_mode=1, outputs=3)[0],
        [TensorType("float32", (2, 3)), TensorType("float32", (3,))],
        "refuses",
    ),
    "function with a kernel for other dtypes": (raw.Relu, [TensorType("int32", (2,))], "no kernel for int32"),
    "no kernel at all": (raw.Det, [TensorType("float32", (2, 2))], "no kernel for float32"),
    "even padding": (
        lambda x, w: raw.ConvTranspose(x, w, pads=(1, 0, 1, 0)),
        [TensorType("float32", (1, 1, 4, 4)), TensorType("float32", (1, 1, 3, 3))],
        None,
    ),
    "uneven padding": (
        lambda x, w: raw.ConvTranspose(x, w, pads=(1, 0, 0, 0)),
        [TensorType("float32", (1, 1, 4, 4)), TensorType("float32", (1, 1, 3, 3))],
        "not the same on both sides",
    ),
    "last index": (lambda x: raw.ArgMax(x, select_last_index=1), [F], "select_last_index"),
    "first index": (raw.ArgMax, [F], None),
}


@pytest.mark.parametrize("kind", PLACES)
def test_where_a_node_runs(kind: str) -> None:
    fn, types, reason = PLACES[kind]
    found = off_cuda(traced(fn, *types))
    assert len(found) == (reason is not None)
    assert all(reason is not None and reason in why for _, why in found)


def test_what_keeps_a_graph_from_being_captured() -> None:
    assert capture_obstacles(traced(raw.Relu, F)) == []
    assert "not fixed" in capture_obstacles(traced(raw.Relu, TensorType("float32", ("batch", 3))))[0]
    table, rows = TensorType("float32", ("samples", 3)), TensorType("int64", (4,))
    assert capture_obstacles(traced(raw.Gather, table, rows)) == [], "held arrays have an address and a size"
    assert any("waits for the device" in why for why in capture_obstacles(traced(raw.NonZero, F)))
    assert "on the CPU" in capture_obstacles(traced(raw.Det, TensorType("float32", (2, 2))))[0]
