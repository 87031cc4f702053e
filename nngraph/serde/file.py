"""One .onnx file: an executable model, and beside it the state that only training needs.

The state lies in the model's ``training_info`` as plain tensors, which runtimes skip. Files are written whole or not at
all: to a temporary file in the same folder, flushed to disk, then renamed.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import onnx

from nngraph.ir import Graph
from nngraph.proto import array_to_tensor, tensor_to_array
from nngraph.serde.checking import check_model
from nngraph.serde.limits import check_limits
from nngraph.serde.to_onnx import to_proto

__all__ = ["ModelFile", "atomic_write", "parse_model", "read_model", "write_model"]


@dataclass
class ModelFile:
    """What :func:`read_model` found in a file.

    Attributes:
        metadata: the file's metadata texts.
        tensors: the model's initializers by name.
        state: the tensors beside the model, by name.
        proto: the model itself.
    """

    metadata: dict[str, str] = field(default_factory=dict)
    tensors: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    state: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    proto: Any = None


@contextlib.contextmanager
def atomic_write(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file that appears under its name only when the block ends without an error.

    Raises:
        FileNotFoundError: the folder does not exist.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"cannot write {str(target)!r}: the folder {str(target.parent)!r} does not exist")
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)  # mkstemp makes private files; a model is an ordinary one
        os.replace(name, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


def write_model(
    graph: Graph,
    path: str | Path,
    *,
    opset_version: int | None = None,
    state: Mapping[str, np.ndarray[Any, Any]] | None = None,
    check: bool = True,
) -> onnx.ModelProto:
    """Write a graph, and state beside it, as one .onnx file.

    Args:
        graph: a graph without composite operators; its metadata goes along.
        path: the file.
        opset_version: see :func:`nngraph.serde.to_proto`.
        state: arrays that runtimes need not see.
        check: let ``onnx.checker`` prove the model first.

    Returns:
        The model that was written.

    Raises:
        ValueError: the model is not valid ONNX, or too large for one file.
    """
    model = to_proto(graph, opset_version)
    if model.ByteSize() >= 2**31 - 2**20:
        raise ValueError(f"the model takes {model.ByteSize() / 2**30:.1f} GiB; one .onnx file holds less than 2 GiB")
    if check:
        check_model(model)
    if state:
        holder = model.training_info.add().algorithm
        holder.name = "state"
        holder.initializer.extend(array_to_tensor(array, name) for name, array in state.items())
    with atomic_write(path) as file:
        file.write(model.SerializeToString())
    return model


def parse_model(source: Path) -> onnx.ModelProto:
    """Return the protobuf of a model file, as it is.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not an ONNX model, is cut off, or asks for what no model may.
    """
    if not source.is_file():
        raise FileNotFoundError(f"there is no file {str(source)!r}")
    model = onnx.ModelProto()
    data = source.read_bytes()
    try:
        model.ParseFromString(data)
    except Exception:  # protobuf has no public exception class for this
        raise ValueError(f"{str(source)!r} ({len(data)} bytes) is not an ONNX model, or is cut off") from None
    if not model.ir_version or not model.HasField("graph"):
        raise ValueError(f"{str(source)!r} ({len(data)} bytes) is not an ONNX model: it holds no graph")
    check_limits(model)
    return model


def read_model(path: str | Path) -> ModelFile:
    """Read a file that :func:`write_model` wrote, or any single-file .onnx model.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not an ONNX model, is cut off, or asks for what no model may.
    """
    source = Path(path)
    model = parse_model(source)
    found = ModelFile(proto=model)
    found.metadata = {entry.key: entry.value for entry in model.metadata_props}
    for tensors, place in ((model.graph.initializer, found.tensors), (_state(model), found.state)):
        for tensor in tensors:
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                raise ValueError(
                    f"{str(source)!r} keeps tensor {tensor.name!r} in another file, which is not followed here"
                )
            place[tensor.name] = tensor_to_array(tensor)
    return found


def _state(model: onnx.ModelProto) -> Any:
    return model.training_info[0].algorithm.initializer if model.training_info else ()
