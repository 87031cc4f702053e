"""Sessions: a graph made executable, cached by what it computes."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nngraph import config
from nngraph.garbage import collection_paused
from nngraph.ir import Graph, TensorType, bytes_of, fingerprint
from nngraph.runtime.device import onnxruntime, provider_options, resolve_device, session_options
from nngraph.runtime.kernels import expand_composites, is_legal, legalize
from nngraph.runtime.placement import capture_obstacles
from nngraph.runtime.values import to_array, to_runtime
from nngraph.serde import to_proto

__all__ = ["Session", "clear_sessions"]

_CACHE: OrderedDict[tuple[str, str, bool, str], Any] = OrderedDict()
_CACHE_SIZE = 256
_LITTLE = 32 << 20
"""Where all results of a graph together take fewer bytes than this, their memory is not worth saving."""

_PROTOBUF_LIMIT = 1 << 31
_OUT_OF_BOUNDS = re.compile(
    r"Name:'([^']*)'.*out of data bounds, idx=(-?\d+) must be within .*\[-?\d+,(\d+)\]", re.DOTALL
)


class Session:
    """A graph on a device, ready to run.

    Sessions of equal graphs on the same device share one compiled runtime session.

    Args:
        graph: what to run; it is not changed. Composite operators are expanded to their portable form.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        optimize: let the runtime fuse and reorder on top of what the graph says.
        share: look for, and leave behind, a compiled session of an equal graph; of no use to one that runs once.
        capture: on CUDA, run as CUDA graphs if nothing in the graph forbids it (``capture_obstacles``). Such a session
            is only run on buffers of the device that stay where they are.

    Attributes:
        captures: whether it runs as CUDA graphs.

    Raises:
        ImportError: no runtime is installed.
        RuntimeError: the runtime refuses the graph; the message holds its reason.

    Example:
        >>> from nngraph.ir import Graph, Node, TensorType
        >>> g = Graph("g"); x = g.add_input("x", TensorType("float32", (2,)))
        >>> g.set_outputs([g.append(Node("Neg", [x], {}), [x.type]).output], ["y"])
        >>> Session(g, device="cpu").run({"x": np.array([1, 2], "float32")})["y"].tolist()
        [-1.0, -2.0]
    """

    def __init__(
        self, graph: Graph, device: str = "auto", *, optimize: bool = True, share: bool = True, capture: bool = False
    ) -> None:
        self.device = resolve_device(device)
        wanted = capture and self.device == "cuda" and config.cuda_graphs()
        self.captures = wanted and not capture_obstacles(graph)
        providers = provider_options(self.device, capture=self.captures)
        self.name = graph.name
        self.input_types: dict[str, TensorType] = {v.name: v.type for v in graph.inputs}
        self.output_types: dict[str, TensorType] = dict(
            zip(graph.output_names, (v.type for v in graph.outputs), strict=True)
        )
        self._tables = {n.name: n.origin.layer for n in graph.all_nodes() if n.op.startswith("Gather")}
        types = (*self.input_types.values(), *self.output_types.values())
        self._numpy_knows_all = not any(t.dtype == "bfloat16" for t in types)
        if not share:
            self.ort = _compile(graph, providers, optimize)
            return
        key = (fingerprint(graph), self.device, optimize, repr(providers))
        cached = _CACHE.get(key)
        if cached is None:
            cached = _compile(graph, providers, optimize)
            _CACHE[key] = cached
            while len(_CACHE) > _CACHE_SIZE:
                _CACHE.popitem(last=False)
        _CACHE.move_to_end(key)
        self.ort = cached

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs, in the graph's order."""
        return list(self.input_types)

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs, in the graph's order."""
        return list(self.output_types)

    def run(self, feeds: Mapping[str, Any], outputs: Sequence[str] | None = None) -> dict[str, np.ndarray[Any, Any]]:
        """Run once on host arrays and return the outputs by name.

        Raises:
            ValueError: an input is missing, unknown, or does not have the declared dtype and shape.
        """
        arrays = {name: np.asarray(value) for name, value in feeds.items()}
        self._check(arrays)
        names = list(outputs) if outputs is not None else self.output_names
        return dict(zip(names, self.call(arrays, names), strict=True))

    def call(self, feeds: Mapping[str, np.ndarray[Any, Any]], outputs: Sequence[str]) -> list[np.ndarray[Any, Any]]:
        """Run once on arrays that nobody checks and return the outputs in order: as fast as the runtime by itself."""
        try:
            if self._numpy_knows_all:
                found: list[np.ndarray[Any, Any]] = self.ort.run(outputs, feeds)
                return found
            given = {name: to_runtime(np.asarray(array, order="C")) for name, array in feeds.items()}
            return [to_array(value) for value in self.ort.run_with_ort_values(outputs, given)]
        except Exception as error:
            raise self.explained(error) from None

    def explained(self, error: Exception) -> Exception:
        """Return a clearer error for one that the runtime raised while running, where there is one."""
        found = _OUT_OF_BOUNDS.search(str(error))
        if found is None:
            return error
        node, index, last = found.groups()
        layer = self._tables.get(node)
        where = f"layer {layer!r}" if layer else f"graph {self.name!r}"
        rows = int(last) + 1
        return ValueError(
            f"{where}: index {index} is outside of a table with {rows} rows; the numbers looked up must be whole "
            f"numbers from 0 to {last} (an Embedding needs an input_dim above the largest token number)"
        )

    def _check(self, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
        missing = [n for n in self.input_types if n not in arrays]
        unknown = [n for n in arrays if n not in self.input_types]
        if missing or unknown:
            problem = f"lacks inputs {missing}" if missing else f"has no inputs named {unknown}"
            raise ValueError(f"graph {self.name!r} {problem}; it takes {self.input_names}")
        sizes: dict[str, int] = {}
        for name, type in self.input_types.items():
            given = TensorType.of(arrays[name])
            fits = given.dtype == type.dtype and given.rank == type.rank
            for want, got in zip(type.shape, given.shape, strict=False) if fits else ():
                bound = sizes.setdefault(want, int(got)) if isinstance(want, str) else want
                fits = fits and bound == got
            if not fits:
                raise ValueError(f"input {name!r} of graph {self.name!r} must be {type}, got {given}")


@collection_paused()
def _compile(graph: Graph, providers: list[tuple[str, dict[str, str]]], optimize: bool) -> Any:
    ort = onnxruntime()
    device = "cpu" if len(providers) == 1 else "cuda"
    if not is_legal(graph, device):  # a graph that was lowered is
        graph = graph.clone()
        expand_composites(graph)
        legalize(graph, device)
    options = session_options()
    # On CPU the runtime's two plans of memory cost more of it than they save. One lays all tensors into one block,
    # which fits badly. The other gives the memory of a tensor that is no longer needed to a later one of the same
    # shape, and holds it for nobody in between; small graphs run 2 to 4 % faster so, and have little to lose.
    options.enable_mem_pattern = len(providers) > 1
    options.enable_mem_reuse = len(providers) > 1 or _bytes_of_results(graph) < _LITTLE
    if not optimize:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = ort.InferenceSession(_serialized(graph, options), options, providers=providers)
        if providers[0][0] not in session.get_providers():  # it only warns, and goes on without
            raise RuntimeError(f"onnxruntime could not start {providers[0][0]} for graph {graph.name!r}")
        return session
    except ort.capi.onnxruntime_pybind11_state.Fail as error:
        raise RuntimeError(f"onnxruntime refuses graph {graph.name!r}: {error}") from error
    except ort.capi.onnxruntime_pybind11_state.InvalidGraph as error:
        raise RuntimeError(f"onnxruntime refuses graph {graph.name!r}: {error}") from error
    except ort.capi.onnxruntime_pybind11_state.NotImplemented as error:
        raise RuntimeError(f"onnxruntime {ort.__version__} lacks a kernel for graph {graph.name!r}: {error}") from error


def _bytes_of_results(graph: Graph) -> int:
    """Return the bytes of all that nodes compute, as far as sizes are known."""
    results = (v for node in graph for v in node.outputs if isinstance(v.type, TensorType) and v.type.is_static)
    return sum(bytes_of(v) for v in results)


def _serialized(graph: Graph, options: Any) -> bytes:
    """Return the model's bytes; constants too large for protobuf go to the runtime as they lie in memory."""
    ort = onnxruntime()
    total = sum(v.data.nbytes for v in graph.constants if v.data is not None)
    if total < _PROTOBUF_LIMIT // 2:
        return to_proto(graph).SerializeToString()
    big = [v for v in graph.constants if v.data is not None and v.data.nbytes > 1 << 20]
    stored = {v.name: np.ascontiguousarray(v.data) for v in big}
    lean = graph.clone()
    for value in [v for v in lean.constants if v.name in stored]:
        value.data = np.zeros((0,), stored[value.name].dtype)
    model = to_proto(lean)
    for tensor in model.graph.initializer:
        if tensor.name in stored:
            del tensor.dims[:]
            tensor.dims.extend(stored[tensor.name].shape)
            tensor.raw_data = b""
            tensor.data_location = 1
            tensor.external_data.add(key="location", value="memory")
    names = list(stored)
    options.add_external_initializers(names, [ort.OrtValue.ortvalue_from_numpy(stored[n]) for n in names])
    return model.SerializeToString()


def clear_sessions() -> None:
    """Forget all compiled sessions, so that their memory can go."""
    _CACHE.clear()
