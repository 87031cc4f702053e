"""What the runtime's providers have kernels for: asked where that is safe, else read from a recorded table.

A runtime lists its own kernels, but a build for CUDA dies on the question where one of its providers does not load
(TensorRT is rarely installed). So the answer of such a build is recorded in ``kernel_table.txt``; it also tells what
CUDA has on machines without it. ``python -m benchmarks.cuda --record`` writes the file anew, where all providers load.

A line of the file is an operator of ai.onnx, the opsets that a kernel serves, and the dtypes of each type parameter in
one letter each:

>>> [k for k in table("cuda")["", "GatherND"] if k.last == ANY][0].dtypes["indices"]
frozenset({'int64'})
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nngraph.runtime.device import available_providers, onnxruntime

__all__ = ["ANY", "PROVIDERS", "Kernel", "installed", "record", "recorded", "table", "write"]

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
"""The runtime's name of each device's provider."""

ANY = 2**31 - 1
"""The last opset of a kernel that ends with no version."""

_OLDEST = 20
"""Kernels that serve only older opsets are left out: the files written for a session never ask for one."""

_FILE = Path(__file__).with_name("kernel_table.txt")

_LETTERS = dict(
    zip(
        "bshgfd1248ABCDcz",
        (
            *("bool", "string", "float16", "bfloat16", "float32", "float64"),
            *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "complex64", "complex128"),
        ),
        strict=True,
    )
)
_DTYPES = {dtype: letter for letter, dtype in _LETTERS.items()}
_RUNTIME_NAMES = {"float": "float32", "double": "float64"}


@dataclass(frozen=True)
class Kernel:
    """One kernel of an operator.

    Attributes:
        first, last: the opsets it serves; ``last`` is ``ANY`` where no later version of the operator is known to it.
        dtypes: type parameter of the operator to the dtypes it takes there; parameters without limit are absent.
    """

    first: int
    last: int
    dtypes: Mapping[str, frozenset[str]]

    def serves(self, since: int) -> bool:
        """Tell whether it executes the version of the operator that came with opset ``since``."""
        return self.first == since or (self.first < since <= self.last != ANY)


Table = dict[tuple[str, str], list[Kernel]]
"""(domain, operator) to its kernels."""


def table(device: str) -> Table:
    """Return the kernels of a device's provider (``"cpu"`` or ``"cuda"``)."""
    alone = set(available_providers()) <= {"CPUExecutionProvider", "AzureExecutionProvider"}
    return installed(device) if alone and device == "cpu" else recorded()[device]


@functools.cache
def installed(device: str) -> Table:
    """Return what the installed runtime says; it must be able to load all of its providers."""
    onnxruntime()
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    found: Table = defaultdict(list)
    for kernel in state.get_all_opkernel_def():
        if kernel.provider == PROVIDERS[device]:
            dtypes = {k: frozenset(map(_dtype, names)) for k, names in kernel.type_constraints.items()}
            first, last = kernel.version_range
            found[kernel.domain, kernel.op_name].append(Kernel(first, last, dtypes))
    return dict(found)


def _dtype(name: str) -> str:
    """Return the dtype of ``tensor(...)``; other kinds of values keep the runtime's name."""
    inner = name.removeprefix("tensor(").removesuffix(")") if name.startswith("tensor(") else name
    return _RUNTIME_NAMES.get(inner, inner)


@functools.cache
def recorded() -> dict[str, Table]:
    """Return the recorded kernels of each device."""
    tables: dict[str, Table] = {}
    current: Table = {}
    for line in _FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            current = tables.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            op, versions, *parameters = line.split(" ")
            first, _, last = versions.partition("-")
            dtypes = {k: frozenset(_LETTERS[c] for c in v) for k, _, v in (p.partition(":") for p in parameters)}
            current.setdefault(("", op), []).append(Kernel(int(first), int(last) if last else ANY, dtypes))
    return tables


def write(tables: Mapping[str, Table], version: str) -> str:
    """Return the text of the file for these tables, without the dtypes that have no letter.

    Kernels that differ in one parameter only share a line.
    """
    lines = [f"# Kernels of ai.onnx in onnxruntime {version}, see kernel_table.py."]
    for device, found in tables.items():
        lines += ["", f"[{device}]"]
        for domain, op in sorted(found):
            if domain == "":
                lines += [_line(op, k) for k in _joined(found[domain, op]) if k.last >= _OLDEST]
    return "\n".join(lines) + "\n"


def _joined(kernels: Iterable[Kernel]) -> list[Kernel]:
    """Return as few kernels as say the same: the runtime lists one for each dtype."""
    rest = sorted(
        (_lettered(k) for k in kernels),
        key=lambda k: (k.first, k.last, sorted((p, sorted(d)) for p, d in k.dtypes.items())),
    )
    k = 0
    while k < len(rest):
        for other in rest[k + 1 :]:
            both = _union(rest[k], other)
            if both is not None:
                rest[k] = both
                rest.remove(other)
                k = -1
                break
        k += 1
    return rest


def _order(kernel: Kernel) -> Any:
    return kernel.first, kernel.last, sorted((p, sorted(dtypes)) for p, dtypes in kernel.dtypes.items())


def _lettered(kernel: Kernel) -> Kernel:
    return Kernel(kernel.first, kernel.last, {p: ds & _DTYPES.keys() for p, ds in kernel.dtypes.items()})


def _union(a: Kernel, b: Kernel) -> Kernel | None:
    """Return the kernel that takes what either takes, if there is one that takes no more than that."""
    if (a.first, a.last, a.dtypes.keys()) != (b.first, b.last, b.dtypes.keys()):
        return None
    differing = [p for p in a.dtypes if a.dtypes[p] != b.dtypes[p]]
    if len(differing) > 1:
        return None
    return Kernel(a.first, a.last, {p: a.dtypes[p] | b.dtypes[p] for p in a.dtypes})


def _line(op: str, kernel: Kernel) -> str:
    order = list(_LETTERS)
    parts = [f"{p}:{''.join(sorted((_DTYPES[d] for d in ds), key=order.index))}" for p, ds in kernel.dtypes.items()]
    last = "" if kernel.last == ANY else kernel.last
    return " ".join([op, f"{kernel.first}-{last}", *sorted(parts)])


def record() -> Path:
    """Write what the installed runtime says to the file, and return its path."""
    text = write({device: installed(device) for device in PROVIDERS}, onnxruntime().__version__)
    _FILE.write_text(text, encoding="utf-8")
    return _FILE
