"""State that lives beside a session: variables in pairs of buffers that a training step swaps.

A step reads each variable from one buffer and writes its new value to the other, so a graph never overwrites what it
still reads. Where nothing reads it any more by then (``passes.in_place``), one buffer is enough. Which buffer is
current is one bit for a *group* of cells that are always written together; so a step costs the same Python work for ten
variables and for ten thousand.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from nngraph.ir import numpy_dtype
from nngraph.runtime.device import onnxruntime
from nngraph.runtime.values import to_array, to_runtime

__all__ = ["BoundCall", "BoundStep", "Cell", "Group", "OnDevice"]


class Group:
    """Cells that every step writes all together, and the bit that says which of their two buffers is current."""

    __slots__ = ("cells", "changed", "fresh", "parity")

    layout = 0
    """Counts every change of any group; a bound step that sees another number looks at its groups anew."""

    clock = 0
    """Counts every change of any value: who sees the same number again knows that all cells are as they were."""

    def __init__(self, cells: Iterable[Cell], parity: int = 0, *, fresh: bool = False) -> None:
        self.cells = set(cells)
        self.parity = parity
        self.fresh = fresh  # a cell alone that no step has written yet
        for cell in self.cells:
            if cell.group is not None:
                cell.changed = max(cell.changed, cell.group.changed)
                cell.group.cells.discard(cell)
            cell.group = self
        self.changed: int = 0
        Group.layout += 1

    def flip(self) -> None:
        """Make the values current that a step has just written to the other buffers."""
        self.parity ^= 1
        self.touch()

    def touch(self) -> None:
        """Note that the values have changed."""
        Group.clock += 1
        self.changed = Group.clock


_SHARED_BYTES = 1 << 16
"""Arrays of this size or more are shared with the runtime while no step writes them; smaller ones are copied."""


class Cell:
    """The storage of one variable: its array, and while a step writes it elsewhere, a second one to write to.

    What no step writes (frozen weights, a model that only predicts) is not copied: the runtime reads the array where it
    lies, be it in a file.
    """

    __slots__ = ("__weakref__", "_arrays", "_buffers", "_device", "_host", "_shared", "changed", "group")

    def __init__(self, value: np.ndarray[Any, Any]) -> None:
        self._host: np.ndarray[Any, Any] | None = value
        self._buffers: dict[int, Any] = {}  # by parity
        self._arrays: dict[int, np.ndarray[Any, Any]] = {}  # on CPU, the arrays that the runtime's buffers alias
        self._device = "cpu"
        self._shared = True  # others may hold the current array, so it is replaced and never written to
        self.group: Group | None = None
        self.changed: int = 0  # the clock at the last write from outside of steps

    @property
    def version(self) -> int:
        """A number that grows whenever the value changes: the clock at that time."""
        return self.changed if self.group is None else max(self.changed, self.group.changed)

    def read(self) -> np.ndarray[Any, Any]:
        """Return the current value; on CPU a read-only view that a later step overwrites."""
        view: np.ndarray[Any, Any]
        if not self._buffers:
            assert self._host is not None
            view = self._host.view()
        elif self._device == "cpu":
            assert self.group is not None
            view = self._arrays[self.group.parity].view()
        else:
            assert self.group is not None
            view = self._buffers[self.group.parity].numpy()
        view.flags.writeable = False
        return view

    def snapshot(self) -> np.ndarray[Any, Any]:
        """Return the current value as an array that no later step or assignment changes."""
        return self.read() if self._shared else np.array(self.read())

    def write(self, value: np.ndarray[Any, Any]) -> None:
        """Set the current value; shape and dtype must stay."""
        Group.clock += 1
        self.changed = Group.clock
        if not self._buffers:
            self._host = np.array(value, order="C")
        elif self._device != "cpu":
            assert self.group is not None
            self._buffers[self.group.parity].update_inplace(np.asarray(value, order="C"))
        elif self._shared:
            self._hold(np.array(value, order="C"), twice=False)
        else:
            assert self.group is not None
            np.copyto(self._arrays[self.group.parity], value)

    def place(self, device: str, *, written: bool, in_place: bool = False) -> None:
        """Give the cell its buffer on a device, a second one if it is written and not ``in_place``; the value stays."""
        twice = written and not in_place
        enough = (len(self._buffers) == 2 or not twice) and not (written and self._shared)
        if self._buffers and self._device == device and enough:
            return
        value = self.read()
        if self.group is None:
            Group((self,), fresh=True)
        assert self.group is not None
        if device == "cpu":
            self._shared = not written and value.nbytes >= _SHARED_BYTES
            # The runtime's kernels expect aligned memory; arrays mapped from a file may lie anywhere.
            value = np.require(value, requirements=["C", "A"]) if self._shared else np.array(value, order="C")
            self._hold(value, twice)
        else:
            make = onnxruntime().OrtValue.ortvalue_from_numpy
            value = np.require(value, requirements=["C", "A"])
            parity = self.group.parity
            self._arrays = {}
            self._buffers = {p: make(value, device, 0) for p in ((parity, parity ^ 1) if twice else (parity,))}
            self._shared = False
            Group.layout += 1
        self._host = None
        self._device = device

    def _hold(self, value: np.ndarray[Any, Any], twice: bool) -> None:
        assert self.group is not None
        parity = self.group.parity
        self._arrays = {parity: value, parity ^ 1: np.empty_like(value)} if twice else {parity: value}
        self._buffers = {p: to_runtime(a) for p, a in self._arrays.items()}
        Group.layout += 1  # bound steps must look for the buffers anew

    def buffer(self, parity: int) -> Any:
        """Return one of the runtime values."""
        return self._buffers[parity]


class OnDevice:
    """An array that lies on the device at a fixed place; the host sees it only when it asks.

    Example:
        >>> result = OnDevice(np.zeros((), "float32"), "cpu")
        >>> result.upload(np.float32(2)); float(result)
        2.0
    """

    __slots__ = ("ndim", "value")

    def __init__(self, array: np.ndarray[Any, Any], device: str) -> None:
        # The runtime shares the memory of an array on the host, which must then be nobody else's.
        own = np.array(array, order="C") if device == "cpu" else np.require(array, requirements=["C", "A"])
        self.value = onnxruntime().OrtValue.ortvalue_from_numpy(own, device, 0)
        self.ndim = array.ndim

    def upload(self, array: Any) -> None:
        """Copy an array of the same shape and dtype to the device."""
        self.value.update_inplace(np.asarray(array, order="C"))

    def copy(self) -> np.ndarray[Any, Any]:
        """Return what is there now as an array of the host."""
        return np.array(self.value.numpy())

    def __float__(self) -> float:
        return float(self.value.numpy())

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
        return self.copy() if dtype is None else self.copy().astype(dtype)


_GRAPH_NUMBERS = itertools.count(1)
"""Sessions are shared, so every binding that is captured needs a number that no other has."""


def _run_options(captures: bool) -> Any:
    """Return the options under which a binding always runs, or ``None``."""
    if not captures:
        return None
    options = onnxruntime().RunOptions()
    options.add_run_config_entry("gpu_graph_id", str(next(_GRAPH_NUMBERS)))
    return options


def _align_groups(written: Iterable[Cell]) -> None:
    """Split groups so that the written cells fill whole groups, and join the cells that no step has written yet."""
    wanted = set(written)
    fresh: list[Cell] = []
    for group in {c.group for c in wanted if c.group is not None}:
        inside = group.cells & wanted
        if group.fresh:
            fresh.extend(inside)
        elif inside != group.cells:
            Group(inside, group.parity)
    if fresh:
        Group(fresh)


class _Bound:
    """A session whose state inputs and outputs are bound to cells; the bindings are made once for each parity."""

    def __init__(
        self, session: Any, state: Sequence[tuple[str, str | None, Cell]], in_place: Collection[str] = ()
    ) -> None:
        self._session = session.ort
        self._captures = session.captures
        self._explained = session.explained
        known = set(session.input_types)
        # A pass may have found that a variable does not matter.
        self._state = [(name, out, cell) for name, out, cell in state if name in known or out is not None]
        self._read_names = known
        self._in_place = frozenset(in_place)
        for name, out, cell in self._state:
            cell.place(session.device, written=out is not None, in_place=name in self._in_place)
        self._written = {name: cell for name, out, cell in self._state if out is not None}
        for inside in (True, False):
            _align_groups(cell for name, cell in self._written.items() if (name in self._in_place) == inside)
        self._bindings: dict[tuple[int, ...], tuple[Any, Any]] = {}
        self._groups: list[Group] = []
        self._flips: list[Group] = []
        self._touches: list[Group] = []
        self._layout = -1

    def _binding(self) -> tuple[Any, Any]:
        """Return the binding of the current parities and the options under which it runs."""
        if self._layout != Group.layout:
            self._regroup()
        key = tuple([g.parity for g in self._groups])
        found = self._bindings.get(key)
        if found is None:
            binding = self._session.io_binding()
            found = self._bindings[key] = binding, _run_options(self._captures)
            for name, out, cell in self._state:
                assert cell.group is not None
                parity = cell.group.parity
                if name in self._read_names:
                    binding.bind_ortvalue_input(name, cell.buffer(parity))
                if out is not None:
                    binding.bind_ortvalue_output(out, cell.buffer(parity if name in self._in_place else parity ^ 1))
            self._bind_data(binding)
        return found

    def _made_current(self) -> None:
        """What a run has written is the state from now on."""
        for group in self._flips:
            group.flip()
        for group in self._touches:
            group.touch()

    def _bind_data(self, binding: Any) -> None:
        raise NotImplementedError

    def _regroup(self) -> None:
        self._groups = list(dict.fromkeys(c.group for _, _, c in self._state if c.group is not None))
        written = [(n in self._in_place, c.group) for n, c in self._written.items() if c.group is not None]
        self._flips, self._touches = (
            list(dict.fromkeys(g for inside, g in written if inside == kind)) for kind in (False, True)
        )
        self._layout = Group.layout
        self._bindings.clear()


class BoundStep(_Bound):
    """A step of fixed shapes: state swaps between buffers, data lies in host buffers that the caller fills.

    Args:
        session: a :class:`nngraph.runtime.Session`; only the held inputs may have open sizes.
        state: (input name, output name or ``None`` when only read, cell) of each variable.
        data: names of the remaining inputs; each gets a buffer of the input's type in :attr:`data`.
        results: names of the remaining outputs; each gets a buffer in :attr:`results`.
        held: names of inputs without a buffer, which are read where the caller says; see :meth:`hold`.
        in_place: names of the state's inputs whose buffers receive the new values too, see :mod:`passes.in_place`.
        staged: keep data and results in buffers of the device, to which a run copies and from which they are read when
            somebody asks; by default on every device but the CPU, which works on the host's buffers.
    """

    def __init__(
        self,
        session: Any,
        state: Sequence[tuple[str, str | None, Cell]],
        data: Sequence[str],
        results: Sequence[str],
        held: Sequence[str] = (),
        *,
        in_place: Collection[str] = (),
        staged: bool | None = None,
    ) -> None:
        super().__init__(session, state, in_place)

        def buffer(type: Any) -> np.ndarray[Any, Any]:
            return np.zeros(type.shape, numpy_dtype(type.dtype))

        self.data = {name: buffer(session.input_types[name]) for name in data if name in session.input_types}
        self.results: dict[str, Any] = {name: buffer(session.output_types[name]) for name in results}
        self._uploads: list[tuple[OnDevice, np.ndarray[Any, Any]]] = []
        if session.device == "cpu" if staged is None else not staged:
            self._inputs = {name: to_runtime(array) for name, array in self.data.items()}
            self._outputs = {name: to_runtime(array) for name, array in self.results.items()}
        else:
            self._stage(session.device)
        self._held = list(held)
        self._values: Sequence[Any] | None = None

    def _stage(self, device: str) -> None:
        there = {name: OnDevice(array, device) for name, array in self.data.items()}
        self._uploads = [(there[name], array) for name, array in self.data.items()]
        self.results = {name: OnDevice(array, device) for name, array in self.results.items()}
        self._inputs = {name: array.value for name, array in there.items()}
        self._outputs = {name: array.value for name, array in self.results.items()}

    def hold(self, values: Sequence[Any]) -> bool:
        """Read the held inputs, in their order, from these values of the runtime until :meth:`release`.

        Returns:
            Whether that is new. Then all is bound anew, since a captured CUDA graph knows the addresses of the others.
        """
        if values is self._values:
            return False
        self.release()
        self._values = values
        self._inputs |= {n: v for n, v in zip(self._held, values, strict=True) if n in self._read_names}
        return True

    def release(self) -> None:
        """Let go of the held values."""
        self._values = None
        for name in self._held:
            self._inputs.pop(name, None)
        self._bindings.clear()

    def _bind_data(self, binding: Any) -> None:
        for name, value in self._inputs.items():
            binding.bind_ortvalue_input(name, value)
        for name, value in self._outputs.items():
            binding.bind_ortvalue_output(name, value)

    def run(self) -> None:
        """Run the session once on the data buffers and make the written state current."""
        binding, options = self._binding()
        for there, array in self._uploads:
            there.upload(array)
        try:
            self._session.run_with_iobinding(binding, options)
        except Exception as error:
            raise self._explained(error) from None
        self._made_current()


class BoundCall(_Bound):
    """A call on arrays of any fitting shape; state is bound to cells, results are new arrays.

    Args:
        session: a :class:`nngraph.runtime.Session`.
        state: (input name, output name or ``None`` when only read, cell) of each variable.
        data: names of the remaining inputs, in the order of the call's arguments.
        results: names of the remaining outputs, in the order of the call's results.
    """

    def __init__(
        self, session: Any, state: Sequence[tuple[str, str | None, Cell]], data: Sequence[str], results: Sequence[str]
    ) -> None:
        super().__init__(session, state)
        self._data = [(k, name) for k, name in enumerate(data) if name in session.input_types]
        self._results = list(results)

    def _bind_data(self, binding: Any) -> None:
        for name in self._results:
            binding.bind_output(name, "cpu")

    def __call__(self, arrays: Sequence[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
        """Run once and return the results."""
        binding, options = self._binding()
        held: list[Any] = []  # the runtime borrows the arrays' memory until it has run
        for k, name in self._data:
            held.append(to_runtime(np.asarray(arrays[k], order="C")))
            binding.bind_ortvalue_input(name, held[-1])
        for name in self._results:
            binding.bind_output(name, "cpu")  # forget the last call's array, which is the caller's now
        try:
            self._session.run_with_iobinding(binding, options)
        except Exception as error:
            raise self._explained(error) from None
        self._made_current()
        # The runtime lists outputs in binding order: state first.
        values = binding.get_outputs()[len(self._written) :]
        return [to_array(value) for value in values]
