"""Execution on stock ONNX Runtime: devices, sessions, state."""

from nngraph.runtime.device import onnxruntime, resolve_device
from nngraph.runtime.eager import run_node
from nngraph.runtime.kernels import expand_composite, expand_composites, expand_unsafe, has_kernel, legalize
from nngraph.runtime.session import Session, clear_sessions
from nngraph.runtime.state import BoundCall, BoundStep, Cell, Group
from nngraph.runtime.tables import Tables, fit_on

__all__ = [
    "BoundCall",
    "BoundStep",
    "Cell",
    "Group",
    "Session",
    "Tables",
    "clear_sessions",
    "expand_composite",
    "expand_composites",
    "expand_unsafe",
    "fit_on",
    "has_kernel",
    "legalize",
    "onnxruntime",
    "resolve_device",
    "run_node",
]
