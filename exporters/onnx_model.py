"""The inference model as a plain .onnx file."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import onnx

from nngraph.ir import Graph
from nngraph.serde import write_model

__all__ = ["ExportReport", "OnnxExporter", "report_of"]


@dataclass(frozen=True)
class ExportReport:
    """What an exporter wrote.

    Attributes:
        path: the file.
        size: its size in bytes.
        opset: the ai.onnx opset it declares.
        operators: how often each operator occurs.
    """

    path: Path
    size: int
    opset: int
    operators: dict[str, int]

    def __str__(self) -> str:
        kinds = ", ".join(f"{n} {op}" for op, n in sorted(self.operators.items(), key=lambda item: (-item[1], item[0])))
        return f"{self.path}: {self.size:,} bytes, ai.onnx opset {self.opset}, {kinds}"


@dataclass(frozen=True)
class OnnxExporter:
    """Writes a graph of standard operators as one .onnx file.

    Attributes:
        opset_version: the ai.onnx opset; default 20, or the oldest newer one that expresses the graph.
        check: prove the model with ``onnx.checker`` (full check) before it is written.

    Example:
        >>> import tempfile
        >>> from nngraph.ir import Graph, Node, TensorType
        >>> g = Graph("g"); x = g.add_input("x", TensorType("float32", ("batch",)))
        >>> g.set_outputs([g.append(Node("Relu", [x], {}), [x.type]).output], ["y"])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     OnnxExporter().export(g, f"{folder}/g.onnx").operators
        {'Relu': 1}
    """

    opset_version: int | None = None
    check: bool = True
    suffix: str = ".onnx"

    def export(self, graph: Graph, path: str | Path) -> ExportReport:
        """Write the graph; the file appears whole or not at all.

        Raises:
            ValueError: composite operators are left, the opset cannot express the graph, or the model is not valid.
            FileNotFoundError: the folder does not exist.
        """
        model = write_model(graph, path, opset_version=self.opset_version, check=self.check)
        return report_of(model, Path(path))


def report_of(model: onnx.ModelProto, path: Path) -> ExportReport:
    """Return what there is to say about a model that was written to a file."""
    return ExportReport(
        path=path,
        size=path.stat().st_size,
        opset=next(o.version for o in model.opset_import if o.domain == ""),
        operators=dict(Counter(node.op_type for node in model.graph.node)),
    )
