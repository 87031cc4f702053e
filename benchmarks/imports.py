"""How long an import and the command line's help take, and how much room the installed packages need.

    python benchmarks/imports.py [--rounds 15] [--json]

The commands are run in turns, so that a slow moment of the machine meets all of them; the median is reported.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import numpy": ["-c", "import numpy"],
    "import nngraph": ["-c", "import nngraph"],
    "nngraph --help": ["-m", "nngraph", "--help"],
}


def seconds(arguments: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def installed_megabytes() -> float:
    """Return the size of this environment's packages in units of 10^6 bytes."""
    folders = {Path(sysconfig.get_path(kind)).resolve() for kind in ("purelib", "platlib")}
    return sum(p.lstat().st_size for folder in folders for p in folder.rglob("*") if p.is_file()) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()

    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for arguments in COMMANDS.values():
        seconds(arguments)  # writes the byte code
    for _ in range(options.rounds):
        for name, arguments in COMMANDS.items():
            times[name].append(seconds(arguments))

    medians = {name: statistics.median(values) for name, values in times.items()}
    size = installed_megabytes()
    if options.json:
        print(json.dumps({"seconds": medians, "megabytes": size}))
        return
    for name, median in medians.items():
        print(f"{name:16} {median * 1000:7.1f} ms   {median / medians['import numpy']:5.2f} × import numpy")
    print(f"{'installed':16} {size:7.1f} MB   packages of this environment")


if __name__ == "__main__":
    main()
