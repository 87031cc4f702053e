"""Execution on stock ONNX Runtime: devices, sessions, state."""

from nngraph.runtime.device import onnxruntime, resolve_device
from nngraph.runtime.eager import run_node
from nngraph.runtime.kernels import expand_composite, expand_composites, has_kernel, legalize
from nngraph.runtime.session import Session, clear_sessions
from nngraph.runtime.state import BoundCall, BoundStep, Cell, Group

__all__ = [
    "BoundCall",
    "BoundStep",
    "Cell",
    "Group",
    "Session",
    "clear_sessions",
    "expand_composite",
    "expand_composites",
    "has_kernel",
    "legalize",
    "onnxruntime",
    "resolve_device",
    "run_node",
]
