"""What seconds are in this process: wall time, or its processor time when ``NNGRAPH_BENCHMARK_CLOCK=cpu``."""

from __future__ import annotations

import os
import time

__all__ = ["CLOCK", "now"]

CLOCK = "NNGRAPH_BENCHMARK_CLOCK"
now = time.process_time if os.environ.get(CLOCK) == "cpu" else time.perf_counter
