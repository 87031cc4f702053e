"""What a figure must say about where it was measured."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

__all__ = ["describe"]

# Instruction sets that decide which kernels run.
_FLAGS = ("avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "asimd", "sve")


def describe() -> dict[str, Any]:
    """Return processor, instruction sets, cores, memory, system, and how busy the machine is."""
    info = _read("/proc/cpuinfo")
    flags = next((line.split(":", 1)[1].split() for line in info if line.startswith(("flags", "Features"))), [])
    model = next((line.split(":", 1)[1].strip() for line in info if line.startswith("model name")), "")
    memory = next((int(line.split()[1]) for line in _read("/proc/meminfo") if line.startswith("MemTotal")), 0)
    return {
        "processor": model or platform.processor() or platform.machine(),
        "flags": [flag for flag in _FLAGS if flag in flags],
        "cores": os.cpu_count() or 0,
        "memory_gb": round(memory / 1e6, 1),
        "system": f"{platform.system()} {platform.release()}",
        "load": round(os.getloadavg()[0], 2),
    }


def _read(path: str) -> list[str]:
    file = Path(path)
    return file.read_text().splitlines() if file.exists() else []
