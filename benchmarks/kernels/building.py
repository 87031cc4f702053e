"""Small graphs for timing: built by calling operators, run by a session with bound buffers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["MICROSOFT", "NCHWC", "PROVIDERS", "Builder", "Case", "block_size", "runner"]

NCHWC, MICROSOFT = "com.microsoft.nchwc", "com.microsoft"


class Builder:
    """Collects the nodes of a graph; calling it adds one and returns its output's name."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.inputs: dict[str, np.ndarray] = {}
        self.constants: list[Any] = []

    def input(self, array: np.ndarray) -> str:
        """Add an input that is fed with ``array``."""
        name = f"x{len(self.inputs)}"
        self.inputs[name] = array
        return name

    def constant(self, value: Any, dtype: str = "int64") -> str:
        """Add a constant."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def __call__(self, op: str, *inputs: str, domain: str = "", outputs: int = 1, **attributes: Any) -> Any:
        names = [f"v{len(self.nodes)}_{k}" for k in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, domain=domain, **attributes))
        return names[0] if outputs == 1 else tuple(names)

    def reshape(self, x: str, *shape: int) -> str:
        """Add a Reshape to fixed sizes."""
        return self("Reshape", x, self.constant(shape))

    def model(self, outputs: Sequence[str]) -> onnx.ModelProto:
        """Return the graph as a model."""
        kinds = {np.dtype("float32"): TensorProto.FLOAT, np.dtype("int64"): TensorProto.INT64}
        inputs = [helper.make_tensor_value_info(n, kinds[a.dtype], a.shape) for n, a in self.inputs.items()]
        results = [onnx.ValueInfoProto(name=name) for name in outputs]
        graph = helper.make_graph(self.nodes, "kernel", inputs, results, self.constants)
        imports = [helper.make_opsetid("", 20), helper.make_opsetid(NCHWC, 1), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=imports, ir_version=9)


@dataclass(frozen=True)
class Case:
    """One way to compute something.

    Attributes:
        group: what is computed; the ways of a group are compared.
        name: the way.
        build: adds nodes to a builder and returns the outputs.
        flops: floating-point operations, multiply-adds twice; 0 where bytes count.
        canonical: makes a result comparable with those of the group's other ways; None where it is random or partial.
    """

    group: str
    name: str
    build: Callable[[Builder], Sequence[str]]
    flops: float = 0.0
    canonical: Callable[[list[np.ndarray]], np.ndarray] | None = field(default=lambda results: results[0])


PROVIDERS = {"cpu": ["CPUExecutionProvider"], "cuda": ["CUDAExecutionProvider", "CPUExecutionProvider"]}


def runner(case: Case, threads: int, device: str = "cpu") -> tuple[Callable[[int], float], list[np.ndarray]]:
    """Return a function that gives the seconds of one run as the mean of some, and the outputs of a first run.

    Raises:
        Exception: the runtime lacks the operator on this machine, in its own words.
    """
    import onnxruntime as ort

    builder = Builder()
    outputs = list(case.build(builder))
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    # The layout passes would replace what is compared here.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    model = builder.model(outputs).SerializeToString()
    session = ort.InferenceSession(model, options, providers=PROVIDERS[device])
    first = session.run(outputs, builder.inputs)
    binding = session.io_binding()
    for name, array in builder.inputs.items():
        binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(array, device, 0))
    for name, result in zip(outputs, first, strict=True):
        binding.bind_ortvalue_output(name, ort.OrtValue.ortvalue_from_numpy(result.copy(), device, 0))

    def run(count: int) -> float:
        start = time.perf_counter()
        for _ in range(count):
            session.run_with_iobinding(binding)
        return (time.perf_counter() - start) / count

    return run, first


def block_size(threads: int = 1) -> int:
    """Return how many channels the runtime keeps together in its blocked layout; 0 where it has none."""
    channels = 32
    x = np.arange(channels, dtype="float32").reshape(1, channels, 1, 1).repeat(2, 3)
    case = Case("", "", lambda g: [g("ReorderInput", g.input(x), domain=NCHWC)])
    try:
        _, (blocked,) = runner(case, threads)
    except Exception:  # the wheels of some processors have no such kernels
        return 0
    # The second place holds channel 1 in a blocked layout; the first channel comes again after a whole block.
    return int(np.flatnonzero(blocked.reshape(-1) == 0)[1])
