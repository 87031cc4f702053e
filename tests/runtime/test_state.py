"""Cells, groups and bound steps: swapped buffers never mix up values, whatever steps share them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from nngraph.ir import Graph, Node, TensorType
from nngraph.runtime import BoundCall, BoundStep, Cell, Session, Tables

SIZE = 20_000
"""Large enough that arrays are shared with the runtime while nothing writes them."""

F32 = TensorType("float32", (3,))
LARGE = TensorType("float32", (SIZE,))


def adder(written: list[str], read: list[str]) -> Graph:
    """A graph in which every written variable grows by x plus the sum of the variables only read."""
    graph = Graph("adder")
    x = graph.add_input("x", F32)
    values = {name: graph.add_input(name, F32) for name in (*written, *read)}
    extra = x
    for name in read:
        extra = graph.append(Node("Add", [extra, values[name]], {}), [F32]).output
    outputs = [graph.append(Node("Add", [values[name], extra], {}), [F32]).output for name in written]
    total = graph.append(Node("Sum", [*outputs, x], {}), [F32]).output
    graph.set_outputs([*outputs, total], [*(f"new_{n}" for n in written), "total"])
    return graph


def bind(written: list[str], read: list[str], cells: dict[str, Cell], in_place: str = "") -> BoundStep:
    state = [(n, f"new_{n}", cells[n]) for n in written] + [(n, None, cells[n]) for n in read]
    return BoundStep(Session(adder(written, read), "cpu"), state, ["x"], ["total"], in_place=in_place)


@pytest.fixture
def cells() -> dict[str, Cell]:
    return {name: Cell(np.full(3, float(k), np.float32)) for k, name in enumerate("abc")}


def test_a_step_writes_what_the_next_one_reads(cells: dict[str, Cell]) -> None:
    step = bind(["a", "b"], ["c"], cells)
    step.data["x"][:] = 1.0
    for _ in range(5):
        step.run()
    assert cells["a"].read().tolist() == [15.0] * 3  # 0 + 5 * (1 + c), c = 2
    assert cells["b"].read().tolist() == [16.0] * 3
    assert cells["c"].read().tolist() == [2.0] * 3
    assert step.results["total"].tolist() == [32.0] * 3


@pytest.mark.parametrize("order", ["AB", "ABAB", "AABBA", "BAABB", "ABCABC", "CCABACB"])
@pytest.mark.parametrize("in_place", ["", "a", "bc", "abc", "A:ab", "B:b C:a"])
def test_steps_that_share_cells_see_each_others_writes(cells: dict[str, Cell], order: str, in_place: str) -> None:
    """A writes all three, B only b, C reads b and writes a: three partitions of the same cells.

    Each step, or each that is named, writes some of its cells where they lie.
    """
    inside = dict(part.split(":") for part in in_place.split()) if ":" in in_place else dict.fromkeys("ABC", in_place)
    recipes = {"A": (["a", "b", "c"], []), "B": (["b"], ["a"]), "C": (["a"], ["b"])}
    expected = {n: c.read().copy() for n, c in cells.items()}
    steps: dict[str, BoundStep] = {}
    for name in order:  # bound at first use, so that groups change while others are already bound
        if name not in steps:
            steps[name] = bind(*recipes[name], cells, inside.get(name, ""))
        steps[name].data["x"][:] = 1.0
        steps[name].run()
        written, read = recipes[name]
        extra = 1.0 + sum(expected[n] for n in read)
        for n in written:
            expected[n] = expected[n] + extra
        for n in expected:
            np.testing.assert_array_equal(cells[n].read(), expected[n], err_msg=f"{n} after {name} of {order}")


def test_writing_a_cell_between_steps_counts(cells: dict[str, Cell]) -> None:
    step = bind(["a"], [], cells)
    step.data["x"][:] = 1.0
    step.run()
    cells["a"].write(np.full(3, 10.0, np.float32))
    step.run()
    assert cells["a"].read().tolist() == [11.0] * 3


def test_a_view_cannot_be_written(cells: dict[str, Cell]) -> None:
    with pytest.raises(ValueError, match="read-only"):
        cells["a"].read()[0] = 5.0


@pytest.mark.parametrize("value", [np.float32(2), np.int64(2), np.bool_(True), np.zeros((0,), np.float32)])
def test_scalars_truth_values_and_empty_arrays_are_state_too(value: np.generic) -> None:
    array = np.asarray(value)
    graph = Graph("same")
    kind = TensorType.of(array)
    v = graph.add_input("v", kind)
    graph.set_outputs([graph.append(Node("Identity", [v], {}), [kind]).output], ["new_v"])
    cell = Cell(array)
    step = BoundStep(Session(graph, "cpu"), [("v", "new_v", cell)], [], [])
    for _ in range(3):
        step.run()
    assert cell.read().shape == array.shape
    np.testing.assert_array_equal(cell.read(), array)


def test_calls_return_arrays_of_their_own(cells: dict[str, Cell]) -> None:
    state = [("a", "new_a", cells["a"]), ("c", None, cells["c"])]
    call = BoundCall(Session(adder(["a"], ["c"]), "cpu"), state, ["x"], ["total"])
    first = call([np.ones(3, np.float32)])[0]
    second = call([np.full(3, 5.0, np.float32)])[0]
    assert first.tolist() == [4.0] * 3  # a becomes 0 + 1 + 2, and x is added once more
    assert second.tolist() == [15.0] * 3  # a becomes 3 + 5 + 2
    assert cells["a"].read().tolist() == [10.0] * 3


def scaled() -> Graph:
    """A graph that reads a large variable: x + w."""
    graph = Graph("scaled")
    x, w = graph.add_input("x", LARGE), graph.add_input("w", LARGE)
    graph.set_outputs([graph.append(Node("Add", [x, w], {}), [LARGE]).output], ["y"])
    return graph


def test_what_nothing_writes_is_read_where_it_lies() -> None:
    array = np.arange(SIZE, dtype=np.float32)
    cell = Cell(array)
    call = BoundCall(Session(scaled(), "cpu"), [("w", None, cell)], ["x"], ["y"])
    zeros = np.zeros(SIZE, np.float32)
    np.testing.assert_array_equal(call([zeros])[0], array)
    assert np.shares_memory(cell.read(), array)
    before = cell.snapshot()
    cell.write(zeros + 7)  # an assignment replaces the array: others may hold it
    assert call([zeros])[0].tolist() == [7.0] * SIZE
    assert array[5] == before[5] == 5.0


def test_an_array_that_cannot_be_written_is_copied_once_a_step_writes_it() -> None:
    array = np.arange(SIZE, dtype=np.float32)
    array.flags.writeable = False
    cell = Cell(array)
    predict = BoundCall(Session(scaled(), "cpu"), [("w", None, cell)], ["x"], ["y"])
    ones = np.ones(SIZE, np.float32)
    assert predict([ones])[0][3] == 4.0
    graph = scaled()
    new = graph.outputs[0]
    graph.set_outputs([new, graph.append(Node("Neg", [new], {}), [LARGE]).output], ["new_w", "z"])
    step = BoundStep(Session(graph, "cpu"), [("w", "new_w", cell)], ["x"], ["z"])
    step.data["x"][:] = 1.0
    for k in range(1, 4):
        step.run()
        assert predict([ones])[0][3] == 4.0 + k  # the other session follows to the new buffers
    snapshot = cell.snapshot()
    step.run()
    assert snapshot[3] == 6.0
    assert array[3] == 3.0


def test_unaligned_arrays_are_aligned_for_the_runtime() -> None:
    content = bytes(1) + np.arange(SIZE, dtype=np.float32).tobytes()
    array = np.frombuffer(content, np.float32, SIZE, 1)
    assert not array.flags.aligned
    call = BoundCall(Session(scaled(), "cpu"), [("w", None, Cell(array))], ["x"], ["y"])
    np.testing.assert_array_equal(call([np.zeros(SIZE, np.float32)])[0], array)


def test_versions_tell_which_cells_have_changed(cells: dict[str, Cell]) -> None:
    def versions() -> dict[str, int]:
        return {name: cell.version for name, cell in cells.items()}

    def changed_by(action: Callable[[], object]) -> set[str]:
        before = versions()
        action()
        after = versions()
        assert all(after[n] >= before[n] for n in after)
        return {n for n in after if after[n] > before[n]}

    both = bind(["a", "b"], ["c"], cells)
    assert changed_by(both.run) == {"a", "b"}
    assert changed_by(lambda: cells["c"].write(np.ones(3, np.float32))) == {"c"}
    assert changed_by(lambda: bind(["b"], ["a"], cells)) == set()  # splits the group that the last step wrote
    assert changed_by(bind(["b"], ["a"], cells).run) == {"b"}
    assert changed_by(both.run) == {"a", "b"}


def test_a_cell_written_in_place_has_one_buffer_of_its_own() -> None:
    given = np.zeros(SIZE, np.float32)
    graph = Graph("counter")
    a = graph.add_input("a", LARGE)
    graph.set_outputs([graph.append(Node("Add", [a, a], {}), [LARGE]).output], ["new_a"])
    cell = Cell(given)
    cell.place("cpu", written=False)
    assert np.shares_memory(cell.read(), given)
    cell.write(np.ones(SIZE, np.float32))
    step = BoundStep(Session(graph, "cpu"), [("a", "new_a", cell)], [], [], in_place=["a"])
    before, version = cell.read(), cell.version
    step.run()
    step.run()
    assert np.shares_memory(cell.read(), before) and cell.read()[0] == 4
    assert cell.version > version
    assert not given.any()


def test_held_arrays_are_read_where_they_lie() -> None:
    graph = Graph("rows")
    table = graph.add_input("table", TensorType("float32", ("n", 2)))
    rows = graph.add_input("rows", TensorType("int64", (2,)))
    out = graph.append(Node("Gather", [table, rows], {"axis": 0}), [TensorType("float32", (2, 2))]).output
    graph.set_outputs([out], ["y"])
    step = BoundStep(Session(graph, "cpu"), [], ["rows"], ["y"], ["table"])
    step.data["rows"][:] = [2, 0]
    first = np.arange(6, dtype=np.float32).reshape(3, 2)
    for table in (first, first + 10, np.tile(first, (50_000, 1))):
        tables = Tables("cpu")
        tables.load([table])
        tables.serve(step)
        step.run()
        assert step.results["y"].tolist() == table[[2, 0]].tolist()
        table[2] = 7  # not a copy
        step.run()
        assert step.results["y"][0].tolist() == [7, 7]
    tables.release()
    with pytest.raises(Exception, match="Missing Input: table"):
        step.run()
